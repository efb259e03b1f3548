//! Single values out of text: numbers, times, names. What cannot be read says why.

use barrow_types::{DAY_NANOS, Step, Timestamp, civil_from_days, days_from_civil};

use super::super::time;

/// A cell of a row, as text formats have it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Cell<'a> {
    /// Nothing there.
    Null,
    /// A text, which may hold a number.
    Text(&'a str),
    /// A number, as it is written.
    Number(&'a str),
    /// Something that no column can hold, as it is written.
    Other(&'a str),
}

/// Why a row is refused: a word and a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The word.
    pub(crate) reason: &'static str,
    /// What was wrong, with the column's name.
    pub(crate) detail: String,
}

impl Fault {
    /// Column `column` is at fault.
    pub(crate) fn new(reason: &'static str, column: &str, what: impl std::fmt::Display) -> Self {
        Self { reason, detail: format!("{column}: {what}") }
    }
}

/// Largest whole number below which a double holds every whole number.
pub(crate) const EXACT_MAX: i64 = 1 << 53;

/// Longest piece of a cell that is repeated in a fault.
const SHOWN_LEN_MAX: usize = 40;

/// `text`, cut to a length that fits into a sentence.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN_LEN_MAX) {
        Some((at, _)) => format!("'{}...'", &text[..at]),
        None => format!("'{text}'"),
    }
}

impl<'a> Cell<'a> {
    fn number_text(self, column: &str) -> Result<Option<&'a str>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) | Self::Number(text) => Ok(Some(text.trim())),
            Self::Other(text) => {
                Err(Fault::new("not_a_number", column, format!("{} is no number", shown(text))))
            }
        }
    }

    /// The cell as a double: the nearest one to the decimal number that is written.
    pub(crate) fn f64(self, column: &str) -> Result<Option<f64>, Fault> {
        let Some(text) = self.number_text(column)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| {
            Fault::new("not_a_number", column, format!("{} is no number", shown(text)))
        })
    }

    /// The cell as a whole number; `12.0` is one.
    pub(crate) fn i64(self, column: &str) -> Result<Option<i64>, Fault> {
        let Some(text) = self.number_text(column)? else { return Ok(None) };
        if let Ok(number) = text.parse() {
            return Ok(Some(number));
        }
        text.parse().ok().and_then(whole).map(Some).ok_or_else(|| {
            Fault::new("not_a_number", column, format!("{} is no whole number", shown(text)))
        })
    }

    /// The cell as true or false, kept as 1 or 0.
    pub(crate) fn bool(self, column: &str) -> Result<Option<i64>, Fault> {
        let text = match self {
            Self::Null => return Ok(None),
            Self::Text(text) | Self::Number(text) | Self::Other(text) => text.trim(),
        };
        match text {
            "true" | "True" | "TRUE" | "1" => Ok(Some(1)),
            "false" | "False" | "FALSE" | "0" => Ok(Some(0)),
            _ => {
                let what = format!("{} is neither true nor false", shown(text));
                Err(Fault::new("not_a_bool", column, what))
            }
        }
    }

    /// The cell as a text.
    pub(crate) fn text(self, column: &str) -> Result<Option<&'a str>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text)),
            Self::Number(text) | Self::Other(text) => {
                Err(Fault::new("not_a_text", column, format!("{} is no text", shown(text))))
            }
        }
    }

    /// The cell as a text that may be a number: an id or a code as the source writes it.
    pub(crate) fn code(self, column: &str) -> Result<Option<&'a str>, Fault> {
        match self {
            Self::Number(text) => Ok(Some(text)),
            other => other.text(column),
        }
    }

    /// The cell as an instant; a bare date if `dates`.
    pub(crate) fn instant(self, column: &str, dates: bool) -> Result<Option<Timestamp>, Fault> {
        match self {
            Self::Null => Ok(None),
            Self::Text(text) | Self::Number(text) => time::parse(text.trim(), dates)
                .map(Some)
                .map_err(|fault| Fault::new("bad_time", column, fault)),
            Self::Other(text) => {
                Err(Fault::new("bad_time", column, format!("{} is no time", shown(text))))
            }
        }
    }
}

/// The whole number that `value` is, if it is one and so small that no other is meant.
pub(crate) fn whole(value: f64) -> Option<i64> {
    #[expect(clippy::cast_precision_loss, reason = "2^53 is a double")]
    let bound = EXACT_MAX as f64;
    if value.fract() != 0.0 || value.abs() > bound {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "checked: whole and within 2^53")]
    let number = value as i64;
    Some(number)
}

/// The open of the bar whose `ts` in the body is `ts`.
///
/// # Errors
/// Bars of 1d and longer are stored by date, and this is none.
pub(crate) fn open_of(ts: Timestamp, step: Step, stamped_at_end: bool) -> Result<Timestamp, Fault> {
    let open = if stamped_at_end { opened(ts, step) } else { ts };
    if step.is_dated() && open.nanos().rem_euclid(DAY_NANOS) != 0 {
        let what = format!(
            "bars of {} are stored by date: send YYYY-MM-DD, or 00:00 UTC of that date",
            step.name()
        );
        return Err(Fault::new("not_a_date", "ts", what));
    }
    Ok(open)
}

/// The open of the bar that ends at `end`, the opposite of [`Step::ts_end`].
fn opened(end: Timestamp, step: Step) -> Timestamp {
    match (step, step.width()) {
        (_, Some(width)) => Timestamp::from_nanos(end.nanos().saturating_sub(width.get())),
        (Step::Mo1, None) => {
            let (year, month, day) = civil_from_days(end.day());
            let (year, month) = if month == 1 { (year - 1, 12) } else { (year, month - 1) };
            let midnight = days_from_civil(year, month, day).saturating_mul(DAY_NANOS);
            Timestamp::from_nanos(midnight.saturating_add(end.nanos().rem_euclid(DAY_NANOS)))
        }
        (_, None) => end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_where_nothing_is_lost() {
        assert_eq!(Cell::Text(" 1.50 ").f64("open"), Ok(Some(1.5)));
        assert_eq!(Cell::Number("1e3").f64("open"), Ok(Some(1_000.0)));
        assert_eq!(Cell::Text("12.0").i64("trades"), Ok(Some(12)));
        assert_eq!(Cell::Number("9007199254740993").i64("trades"), Ok(Some(9_007_199_254_740_993)));
        assert_eq!(Cell::Null.i64("trades"), Ok(None));
        for text in ["12.5", "abc", "", "1e300", "NaN"] {
            let fault = Cell::Text(text).i64("trades").unwrap_err();
            assert_eq!(fault.reason, "not_a_number", "{text}");
            assert!(fault.detail.starts_with("trades: "), "{fault:?}");
        }
        for text in ["1,5", "1.5 USD", "true", "--1"] {
            assert!(Cell::Text(text).f64("open").is_err(), "{text}");
        }
        assert!(Cell::Other("[1]").f64("open").is_err());
        assert!(Cell::Number("5").text("symbol").is_err());
        assert_eq!(Cell::Number("52983525029461").code("trade_id"), Ok(Some("52983525029461")));
        assert!(Cell::Other("[1]").code("conditions").is_err());
    }

    #[test]
    fn a_bar_stamped_at_its_end_is_stored_at_its_open() {
        let at = |text: &str| time::parse(text, true).unwrap();
        for (step, end, open) in [
            (Step::M1, "2013-10-07T13:31:00Z", "2013-10-07T13:30:00Z"),
            (Step::D1, "2013-10-08", "2013-10-07"),
            (Step::W1, "2013-10-14", "2013-10-07"),
            (Step::Mo1, "2013-11-01", "2013-10-01"),
            (Step::Mo1, "2014-01-01", "2013-12-01"),
        ] {
            assert_eq!(open_of(at(end), step, true), Ok(at(open)), "{step:?}");
            assert_eq!(open_of(at(end), step, false), Ok(at(end)), "{step:?}");
        }
    }

    #[test]
    fn a_day_that_begins_at_noon_is_not_stored_under_a_guessed_date() {
        let noon = time::parse("2013-10-07T12:00:00Z", false).unwrap();
        assert_eq!(open_of(noon, Step::D1, false).unwrap_err().reason, "not_a_date");
        assert!(open_of(noon, Step::H4, false).is_ok());
    }
}
