//! What a trade updates: told by its condition codes, as the setting `conditions:SOURCE` reads
//! them.

/// The base of hexadecimal numbers.
const HEX: u32 = 16;

/// Flags of Lean: sweep, exempt from the trade-through rule, odd lot.
const WEAK: u64 = 0x20 | 0x2000_0000 | 0x8000_0000;
/// Flags beside which the weak ones say nothing: regular, cash, next day, the auctions, and before
/// or after hours.
const STRONG: u64 = 0x1 | 0x2 | 0x4 | 0x40 | 0x80 | 0x400 | 0x2000;

/// Texts up to this long are remembered.
const TEXT_LEN_MAX: usize = 8;
/// How many texts are remembered, as a power of two.
const MEMO_BITS: u32 = 8;

/// What a trade updates of a bar, and whether it is an auction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Updates(u8);

impl Updates {
    /// Open and close.
    pub(crate) const LAST: Self = Self(1);
    /// High and low.
    pub(crate) const RANGE: Self = Self(2);
    /// Volume, average price and number of trades.
    pub(crate) const VOLUME: Self = Self(4);
    /// It is of the auction before the session.
    pub(crate) const OPENING: Self = Self(8);
    /// It is of the auction after the session.
    pub(crate) const CLOSING: Self = Self(16);
    /// Nothing.
    pub(crate) const NOTHING: Self = Self(0);
    /// Everything, and it is no auction.
    pub(crate) const ALL: Self = Self(7);

    /// Whether one of `others` is among them.
    pub(crate) const fn has(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Of two codes of one trade.
    const fn and_code(self, other: Self) -> Self {
        let updates = self.0 & other.0 & Self::ALL.0;
        Self(updates | ((self.0 | other.0) & !Self::ALL.0))
    }

    /// Whether it updates anything.
    pub(crate) const fn any(self) -> bool {
        self.has(Self::ALL)
    }
}

/// What texts hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dialect {
    /// Nothing that matters.
    All,
    /// Codes of the consolidated tapes of the US, a character each.
    Us,
    /// Flags of Lean as a hexadecimal number.
    Lean,
}

/// What a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    /// A character of the tapes.
    Char(char),
    /// One flag of Lean.
    Flag(u64),
}

/// How the condition texts of a source are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conditions {
    dialect: Dialect,
    rules: Vec<(Code, Updates)>,
}

impl Default for Conditions {
    fn default() -> Self {
        Self { dialect: Dialect::All, rules: Vec::new() }
    }
}

impl Conditions {
    /// Reads a setting: `all`, or `us` or `lean` and then rules `CODE=last,range,volume,opening,
    /// closing` or `CODE=none`, separated by spaces.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(setting: &str) -> Result<Self, String> {
        let mut words = setting.split_whitespace();
        let dialect = match words.next() {
            Some("all") => Dialect::All,
            Some("us") => Dialect::Us,
            Some("lean") => Dialect::Lean,
            Some(other) => return Err(format!("'{other}' is not one of all, us, lean")),
            None => return Err("is empty: say all, us or lean".to_owned()),
        };
        let mut rules: Vec<(Code, Updates)> = Vec::new();
        for rule in words {
            if dialect == Dialect::All {
                return Err(format!("'{rule}': with all there are no codes; say us or lean first"));
            }
            let (code, updates) = parse_rule(dialect, rule)?;
            if rules.iter().any(|(other, _)| *other == code) {
                return Err(format!("'{rule}': there is a rule for this code already"));
            }
            rules.push((code, updates));
        }
        Ok(Self { dialect, rules })
    }

    /// All of it as text: the same for equal ones.
    pub(super) fn text(&self) -> String {
        format!("{self:?}")
    }

    /// Whether every trade updates all, so that texts need not be read.
    pub(crate) fn are_all(&self) -> bool {
        self.dialect == Dialect::All
    }

    /// What a trade with this text updates; `outside`: between no open and close.
    pub(crate) fn updates(&self, text: &str, outside: bool) -> Updates {
        match self.dialect {
            Dialect::All => Updates::ALL,
            Dialect::Us => {
                let codes = text.chars().filter(char::is_ascii_alphanumeric);
                let of = |code| self.rule(Code::Char(code)).unwrap_or(of_tape(code, outside));
                codes.map(of).fold(Updates::ALL, Updates::and_code)
            }
            Dialect::Lean => {
                let all = u64::from_str_radix(text, HEX).unwrap_or(0);
                let flags = (0..u64::BITS).map(|bit| 1 << bit).filter(|flag| all & flag != 0);
                let of = |flag| self.rule(Code::Flag(flag)).unwrap_or(of_lean(flag, all));
                flags.map(of).fold(Updates::ALL, Updates::and_code)
            }
        }
    }

    fn rule(&self, code: Code) -> Option<Updates> {
        let rule = self.rules.iter().find(|(of, _)| *of == code);
        rule.map(|(_, updates)| *updates)
    }
}

/// What a trade with a code of the consolidated tapes updates.
const fn of_tape(code: char, outside: bool) -> Updates {
    match code {
        'T' if outside => Updates::ALL,
        'B' | 'C' | 'H' | 'I' | 'N' | 'R' | 'T' | 'U' | 'V' | 'W' | '7' => Updates::VOLUME,
        'G' | 'P' | 'Z' | '4' => Updates::RANGE.or(Updates::VOLUME),
        'M' | 'Q' => Updates::NOTHING,
        '9' => Updates::LAST.or(Updates::RANGE),
        'O' => Updates::ALL.or(Updates::OPENING),
        '6' => Updates::ALL.or(Updates::CLOSING),
        _ => Updates::ALL,
    }
}

/// What a trade with this flag of Lean updates, among all the flags that it has.
const fn of_lean(flag: u64, all: u64) -> Updates {
    match flag {
        0x100_0000 | 0x400_0000 => Updates::NOTHING,
        0x40 => Updates::ALL.or(Updates::OPENING),
        0x80 => Updates::ALL.or(Updates::CLOSING),
        _ if flag & WEAK != 0 && all & STRONG == 0 => Updates::VOLUME,
        _ => Updates::ALL,
    }
}

fn parse_rule(dialect: Dialect, rule: &str) -> Result<(Code, Updates), String> {
    let wrong = || format!("'{rule}' is not a code, an = and what it updates, as in T=none");
    let (code, list) = rule.split_once('=').ok_or_else(wrong)?;
    let code = match dialect {
        Dialect::Lean => {
            let flag = u64::from_str_radix(code, HEX).ok().filter(|flag| flag.is_power_of_two());
            let flag = flag.ok_or_else(|| {
                format!("'{rule}': '{code}' is not one flag in hexadecimal digits, as in 20=none")
            });
            Code::Flag(flag?)
        }
        Dialect::All | Dialect::Us => {
            let mut chars = code.chars();
            let (Some(code), None) = (chars.next(), chars.next()) else { return Err(wrong()) };
            if !code.is_ascii_alphanumeric() {
                return Err(format!("'{rule}': '{code}' is neither a letter nor a digit"));
            }
            Code::Char(code)
        }
    };
    if list == "none" {
        return Ok((code, Updates::NOTHING));
    }
    let mut updates = Updates::NOTHING;
    for word in list.split(',') {
        updates = updates.or(match word {
            "last" => Updates::LAST,
            "range" => Updates::RANGE,
            "volume" => Updates::VOLUME,
            "opening" => Updates::OPENING,
            "closing" => Updates::CLOSING,
            _ => {
                return Err(format!(
                    "'{rule}': '{word}' is not one of last, range, volume, opening, closing, none"
                ));
            }
        });
    }
    Ok((code, updates))
}

/// A text as a number, and its length.
type Packed = (u64, usize);

/// [`Conditions`] that remember what texts meant: trades have few different ones.
pub(crate) struct Reader<'a> {
    conditions: &'a Conditions,
    /// What stands at the place that a text's hash says: the text, and what it updates inside and
    /// outside regular hours.
    memo: Vec<Option<(Packed, [Updates; 2])>>,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(conditions: &'a Conditions) -> Self {
        Self { conditions, memo: vec![None; 1 << MEMO_BITS] }
    }

    /// As [`Conditions::updates`].
    pub(crate) fn updates(&mut self, text: &str, outside: bool) -> Updates {
        let bytes = text.as_bytes();
        if bytes.len() > TEXT_LEN_MAX {
            return self.conditions.updates(text, outside);
        }
        let mut packed = [0; TEXT_LEN_MAX];
        packed[..bytes.len()].copy_from_slice(bytes);
        let packed = (u64::from_le_bytes(packed), bytes.len());
        let hash = packed.0.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - MEMO_BITS);
        let place = usize::try_from(hash).expect("invariant: it has few bits");
        if let Some((of, updates)) = self.memo[place]
            && of == packed
        {
            return updates[usize::from(outside)];
        }
        let updates = [false, true].map(|outside| self.conditions.updates(text, outside));
        self.memo[place] = Some((packed, updates));
        updates[usize::from(outside)]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(setting: &str, text: &str) -> u8 {
        Conditions::parse(setting).unwrap().updates(text, false).0
    }

    #[test]
    fn a_trade_updates_what_all_its_codes_update() {
        for (setting, text, updates) in [
            ("all", "M", 7),
            ("us", "", 7),
            ("us", "@", 7),
            ("us", "L", 7),
            ("us", "@ T", 4),
            ("us", "@,F,I", 4),
            ("us", "4", 6),
            ("us", "4I", 4),
            ("us", "9", 3),
            ("us", "9I", 0),
            ("us", "M", 0),
            ("us", "O", 15),
            ("us", "OI", 12),
            ("us", "6", 23),
            ("us", "@ 6 X", 23),
            ("lean", "1", 7),
            ("lean", "20", 4),
            ("lean", "21", 7),
            ("lean", "20000020", 4),
            ("lean", "20002000", 7),
            ("lean", "80000000", 4),
            ("lean", "80000040", 15),
            ("lean", "40", 15),
            ("lean", "80", 23),
            ("lean", "1000000", 0),
            ("lean", "4000001", 0),
            ("lean", "", 7),
            ("lean", "no number", 7),
            ("lean 2000=none", "2000", 0),
            ("lean 20=last", "21", 1),
            ("us T=last,range X=volume", "TX", 0),
            ("us 1=opening", "1", 8),
        ] {
            assert_eq!(of(setting, text), updates, "{setting}: {text}");
        }
    }

    #[test]
    fn trades_marked_as_of_other_hours_update_all_then_unless_a_rule_says_other() {
        let updates =
            |setting: &str, text: &str| Conditions::parse(setting).unwrap().updates(text, true).0;
        assert_eq!(updates("us", "@T"), 7);
        assert_eq!(updates("us", "U"), 4);
        assert_eq!(updates("us T=none", "@T"), 0);
    }

    #[test]
    fn settings_that_make_no_sense_say_why() {
        for (setting, why) in [
            ("", "is empty"),
            ("eu", "'eu'"),
            ("all T=none", "no codes"),
            ("us T", "'T'"),
            ("us TT=none", "'TT=none'"),
            ("us T=", "''"),
            ("us T=price", "'price'"),
            ("us T=none T=last", "already"),
            ("us @=none", "neither a letter"),
            ("lean T=none", "'T'"),
            ("lean 30=none", "'30'"),
            ("lean 20=none 0020=last", "already"),
        ] {
            let error = Conditions::parse(setting).unwrap_err();
            assert!(error.contains(why), "{setting}: {error}");
        }
    }

    proptest! {
        /// Whatever was asked before.
        #[test]
        fn a_reader_says_what_the_conditions_say(
            texts in prop::collection::vec(("[@TOI64 ]{0,10}", any::<bool>()), 0..300),
        ) {
            let conditions = Conditions::parse("us I=volume,closing").unwrap();
            let mut reader = Reader::new(&conditions);
            for (text, outside) in &texts {
                let expected = conditions.updates(text, *outside);
                prop_assert_eq!(reader.updates(text, *outside), expected);
            }
        }
    }
}
