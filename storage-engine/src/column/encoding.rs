//! The ways a vector of values can be written, and the numbers they have in files.

use super::Damaged;

/// How the values of a vector are written. The numbers are what the files hold: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Encoding {
    /// One value for all rows: [`super::constant`].
    Constant = 1,
    /// Arithmetic runs: [`super::runs`].
    Runs = 2,
    /// Offsets from a base, bit-packed, with patches: [`super::packed`].
    Packed = 3,
    /// Differences between neighbours, packed: [`super::delta`].
    Delta = 4,
    /// Few distinct values and codes: [`super::dictionary`].
    Dictionary = 5,
    /// Eight bytes a value: [`super::raw`].
    Raw = 6,
    /// Doubles as integers on a decimal grid: [`super::decimal`].
    Decimal = 7,
    /// Few distinct texts and codes: [`super::text`].
    TextDictionary = 8,
    /// Lengths and bytes of texts: [`super::text`].
    TextRaw = 9,
    /// Doubles as distances from what two other columns let expect: [`super::beside`].
    Beside = 10,
}

impl Encoding {
    const ALL: [Self; 10] = [
        Self::Constant,
        Self::Runs,
        Self::Packed,
        Self::Delta,
        Self::Dictionary,
        Self::Raw,
        Self::Decimal,
        Self::TextDictionary,
        Self::TextRaw,
        Self::Beside,
    ];

    /// The number in files.
    pub(super) const fn code(self) -> u8 {
        self as u8
    }

    /// The encoding of that number.
    pub(super) fn from_code(code: u8) -> Result<Self, Damaged> {
        Self::ALL
            .into_iter()
            .find(|encoding| encoding.code() == code)
            .ok_or(Damaged("a vector has an encoding that does not exist"))
    }

    /// The name people see.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Runs => "runs",
            Self::Packed => "packed",
            Self::Delta => "delta",
            Self::Dictionary => "dictionary",
            Self::Raw => "raw",
            Self::Decimal => "decimal",
            Self::TextDictionary => "text dictionary",
            Self::TextRaw => "text",
            Self::Beside => "beside",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_lead_back_to_their_encoding() {
        for (place, encoding) in Encoding::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(encoding.code()), place + 1, "{}", encoding.name());
            assert_eq!(Encoding::from_code(encoding.code()), Ok(encoding));
        }
        assert!(Encoding::from_code(0).is_err());
        assert!(Encoding::from_code(11).is_err());
    }
}
