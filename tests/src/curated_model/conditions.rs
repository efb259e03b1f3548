//! What a trade updates, by the texts of its conditions.

use std::collections::BTreeMap;

/// What a trade, or one of its codes, updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Updates {
    /// Open and close.
    pub last: bool,
    /// High and low.
    pub range: bool,
    /// Volume, vwap and the number of trades.
    pub volume: bool,
    /// It is the opening auction.
    pub opening: bool,
    /// It is the closing auction.
    pub closing: bool,
}

impl Updates {
    /// What a trade without conditions does.
    pub const ALL: Self =
        Self { last: true, range: true, volume: true, opening: false, closing: false };
    const NOTHING: Self = Self { last: false, range: false, volume: false, ..Self::ALL };
    const VOLUME: Self = Self { volume: true, ..Self::NOTHING };
    const RANGE: Self = Self { range: true, ..Self::VOLUME };
    const PRICES: Self = Self { volume: false, ..Self::ALL };
    const OPENING: Self = Self { opening: true, ..Self::ALL };
    const CLOSING: Self = Self { closing: true, ..Self::ALL };

    /// Whether it updates anything.
    pub const fn any(self) -> bool {
        self.last || self.range || self.volume
    }

    /// What both update.
    const fn and(self, other: Self) -> Self {
        Self {
            last: self.last && other.last,
            range: self.range && other.range,
            volume: self.volume && other.volume,
            opening: self.opening || other.opening,
            closing: self.closing || other.closing,
        }
    }

    /// What a rule such as `last,volume` or `none` says.
    fn of_rule(text: &str) -> Self {
        let words: Vec<&str> = text.split(',').collect();
        let has = |word: &str| words.contains(&word);
        Self {
            last: has("last"),
            range: has("range"),
            volume: has("volume"),
            opening: has("opening"),
            closing: has("closing"),
        }
    }
}

/// What a trade updates whose source has this setting, if any; `is_regular`: a session is between
/// its open and its close.
pub fn updates(setting: Option<&str>, text: Option<&str>, is_regular: bool) -> Updates {
    let mut words = setting.unwrap_or("all").split_whitespace();
    let preset = words.next().expect("invariant: nobody offers an empty setting");
    let rules = words.map(|word| {
        let (code, what) = word.split_once('=').expect("invariant: a rule is CODE=...");
        (code.to_owned(), Updates::of_rule(what))
    });
    let rules: BTreeMap<String, Updates> = rules.collect();
    let text = text.unwrap_or_default();
    let found: Vec<Updates> = match preset {
        "all" => Vec::new(),
        "us" => {
            let codes = text.chars().filter(char::is_ascii_alphanumeric);
            let of = |code: char| {
                let rule = rules.get(&code.to_string()).copied();
                rule.unwrap_or_else(|| of_tape(code, is_regular))
            };
            codes.map(of).collect()
        }
        "lean" => {
            let number = u64::from_str_radix(text, 16).unwrap_or(0);
            let flags = (0..64).map(|bit| 1 << bit).filter(|flag| number & flag != 0);
            let of = |flag: u64| {
                let rule = rules.get(&format!("{flag:X}")).copied();
                rule.unwrap_or_else(|| of_lean(flag, number))
            };
            flags.map(of).collect()
        }
        other => panic!("conditions {other}: nobody offers that"),
    };
    found.into_iter().fold(Updates::ALL, Updates::and)
}

/// A code of the consolidated tapes.
fn of_tape(code: char, is_regular: bool) -> Updates {
    match code {
        'B' | 'C' | 'H' | 'I' | 'N' | 'R' | 'U' | 'V' | 'W' | '7' => Updates::VOLUME,
        'T' if is_regular => Updates::VOLUME,
        'G' | 'P' | 'Z' | '4' => Updates::RANGE,
        '9' => Updates::PRICES,
        'M' | 'Q' => Updates::NOTHING,
        'O' => Updates::OPENING,
        '6' => Updates::CLOSING,
        _ => Updates::ALL,
    }
}

/// A flag of Lean, of a text with these flags.
fn of_lean(flag: u64, all: u64) -> Updates {
    let strong = [0x1, 0x2, 0x4, 0x40, 0x80, 0x400, 0x2000];
    match flag {
        0x100_0000 | 0x400_0000 => Updates::NOTHING,
        0x20 | 0x2000_0000 | 0x8000_0000 => {
            let is_strong = strong.iter().any(|flag| all & flag != 0);
            if is_strong { Updates::ALL } else { Updates::VOLUME }
        }
        0x40 => Updates::OPENING,
        0x80 => Updates::CLOSING,
        _ => Updates::ALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What it updates as `lrv`, `-` for each that it does not, then `o` or `c`.
    fn told(setting: &str, text: &str, is_regular: bool) -> String {
        let updates = updates(Some(setting), Some(text), is_regular);
        let one = |has: bool, letter| if has { letter } else { '-' };
        let updated = [(updates.last, 'l'), (updates.range, 'r'), (updates.volume, 'v')];
        let mut told: String = updated.into_iter().map(|(has, letter)| one(has, letter)).collect();
        told.extend(updates.opening.then_some('o'));
        told.extend(updates.closing.then_some('c'));
        told
    }

    #[test]
    fn codes_of_the_tapes_update_what_the_page_says() {
        for (codes, expected) in [
            ("BCHINRUVW7T", "--v"),
            ("GPZ4", "-rv"),
            ("9", "lr-"),
            ("MQ", "---"),
            ("O", "lrvo"),
            ("6", "lrvc"),
            ("@ADEFKLSXY1258b", "lrv"),
        ] {
            for code in codes.chars() {
                assert_eq!(told("us", &code.to_string(), true), expected, "{code}");
            }
        }
        assert_eq!(told("us", "T", false), "lrv");
        assert_eq!(told("us", "U", false), "--v");
    }

    #[test]
    fn of_several_codes_the_trade_updates_what_all_do() {
        assert_eq!(told("us", "@ 4,9", true), "-r-");
        assert_eq!(told("us", "[O I]", true), "--vo");
        assert_eq!(told("us", "6M", true), "---c");
        assert_eq!(told("us", " ", true), "lrv");
    }

    #[test]
    fn flags_of_lean_are_weak_beside_regular_ones() {
        for (text, expected) in [
            ("1", "lrv"),
            ("20", "--v"),
            ("20000020", "--v"),
            ("20000021", "lrv"),
            ("80000000", "--v"),
            ("20002020", "lrv"),
            ("4000000", "---"),
            ("1000001", "---"),
            ("20000040", "lrvo"),
            ("80", "lrvc"),
            ("100000", "lrv"),
            ("20100200", "--v"),
            ("", "lrv"),
            ("zz", "lrv"),
            ("0", "lrv"),
        ] {
            assert_eq!(told("lean", text, true), expected, "{text}");
        }
    }

    #[test]
    fn rules_say_all_that_their_code_does() {
        let rules = "us I=last,volume T=none O=range Z=last,range,volume,closing";
        assert_eq!(told(rules, "I", true), "l-v");
        assert_eq!(told(rules, "T", false), "---");
        assert_eq!(told(rules, "O", true), "-r-");
        assert_eq!(told(rules, "Z", true), "lrvc");
        assert_eq!(told(rules, "B", true), "--v");
        assert_eq!(told("lean 20=last,range,volume", "20", true), "lrv");
        assert_eq!(told("lean 20=none 1=volume", "21", true), "---");
        assert_eq!(told("all", "M", true), "lrv");
        assert_eq!(updates(None, Some("M"), true), Updates::ALL);
        assert_eq!(updates(Some("us"), None, true), Updates::ALL);
    }
}
