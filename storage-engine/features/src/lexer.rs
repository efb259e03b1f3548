//! Text into words. Each word knows its first character.

use crate::error::Fault;

/// Longest text of one expression, in bytes.
pub const TEXT_LEN_MAX: usize = 64 * 1024;

/// A word of an expression.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Word<'t> {
    Number(f64),
    /// A span of time: how many of which unit.
    Duration(u32, Unit),
    /// What stands between single quotes.
    Text(&'t str),
    Name(&'t str),
    /// What stands behind `$`.
    Field(&'t str),
    /// A sign, in its one spelling: `||` and `&&` are `|` and `&`.
    Sign(&'static str),
    End,
}

/// A unit of durations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
}

impl Unit {
    const ALL: [Self; 5] = [Self::Second, Self::Minute, Self::Hour, Self::Day, Self::Week];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Week => "w",
        }
    }
}

/// A word and how many characters stand before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) word: Word<'t>,
    pub(crate) at: usize,
}

/// Signs, those first that begin like a shorter one.
const SIGNS: [(&str, &str); 22] = [
    ("||", "|"),
    ("&&", "&"),
    (">=", ">="),
    ("<=", "<="),
    ("==", "=="),
    ("!=", "!="),
    ("|", "|"),
    ("&", "&"),
    (">", ">"),
    ("<", "<"),
    ("=", "="),
    ("!", "!"),
    ("+", "+"),
    ("-", "-"),
    ("*", "*"),
    ("/", "/"),
    ("^", "^"),
    ("?", "?"),
    (":", ":"),
    ("(", "("),
    (")", ")"),
    (",", ","),
];

/// The words of `text`, [`Word::End`] last.
pub(crate) fn words(text: &str) -> Result<Vec<Token<'_>>, Fault> {
    if text.len() > TEXT_LEN_MAX {
        let at = text.char_indices().take_while(|(byte, _)| *byte < TEXT_LEN_MAX).count();
        return Err(Fault::new(at, format!("an expression has at most {TEXT_LEN_MAX} bytes")));
    }
    let mut lexer = Lexer { rest: text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        let space = lexer.while_is(char::is_whitespace);
        lexer.skip(space);
        let at = lexer.at;
        let word = lexer.word()?;
        tokens.push(Token { word, at });
        if word == Word::End {
            return Ok(tokens);
        }
    }
}

struct Lexer<'t> {
    rest: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    /// How many bytes the next characters have for which `is` holds.
    fn while_is(&self, is: impl Fn(char) -> bool) -> usize {
        self.rest.find(|c| !is(c)).unwrap_or(self.rest.len())
    }

    fn skip(&mut self, bytes: usize) -> &'t str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.at += taken.chars().count();
        taken
    }

    fn fault<T>(&self, message: impl Into<String>) -> Result<T, Fault> {
        Err(Fault::new(self.at, message))
    }

    fn word(&mut self) -> Result<Word<'t>, Fault> {
        let Some(first) = self.rest.chars().next() else { return Ok(Word::End) };
        match first {
            '0'..='9' => self.number(),
            '\'' => self.text(),
            '$' => self.field(),
            _ if is_name_begin(first) => {
                let bytes = self.while_is(is_name_part);
                Ok(Word::Name(self.skip(bytes)))
            }
            _ => self.sign(first),
        }
    }

    fn sign(&mut self, first: char) -> Result<Word<'t>, Fault> {
        for (spelling, sign) in SIGNS {
            if self.rest.starts_with(spelling) {
                self.skip(spelling.len());
                return Ok(Word::Sign(sign));
            }
        }
        match first {
            '{' => self.fault("a placeholder that `for` does not name"),
            '"' => self.fault("texts stand in single quotes: 'SPY'"),
            '.' => self.fault("a number begins with a digit: 0.5"),
            _ => self.fault(format!("{first:?} has no meaning here")),
        }
    }

    fn text(&mut self) -> Result<Word<'t>, Fault> {
        let Some(len) = self.rest[1..].find('\'') else {
            return self.fault("a text without an end: close it with '");
        };
        let taken = self.skip(len + 2);
        Ok(Word::Text(&taken[1..=len]))
    }

    fn field(&mut self) -> Result<Word<'t>, Fault> {
        if self.rest.starts_with("$$") {
            return self.fault("point-in-time fields ($$) are not available yet");
        }
        let len = self.rest[1..].find(|c| !is_name_part(c)).unwrap_or(self.rest.len() - 1);
        if len == 0 {
            return self.fault("a field has a name: $close");
        }
        Ok(Word::Field(&self.skip(len + 1)[1..]))
    }

    /// A number, or a duration if a unit follows at once.
    fn number(&mut self) -> Result<Word<'t>, Fault> {
        let digits = |from: &str| from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let whole = digits(self.rest);
        let mut len = whole;
        if self.rest[len..].starts_with('.') {
            let fraction = digits(&self.rest[len + 1..]);
            if fraction == 0 {
                self.skip(len);
                return self.fault("a digit follows the point of a number: 1.0");
            }
            len += 1 + fraction;
        }
        if self.rest[len..].starts_with(['e', 'E']) {
            let sign = usize::from(self.rest[len + 1..].starts_with(['+', '-']));
            let exponent = digits(&self.rest[len + 1 + sign..]);
            if exponent > 0 {
                len += 1 + sign + exponent;
            }
        }
        let unit = self.rest[len..].find(|c| !is_name_part(c)).unwrap_or(self.rest.len() - len);
        if unit > 0 {
            return self.duration(whole, len, unit);
        }
        let value: f64 = self.rest[..len].parse().expect("invariant: digits make a number");
        if !value.is_finite() {
            return self.fault("a number beyond the range of binary64");
        }
        self.skip(len);
        Ok(Word::Number(value))
    }

    fn duration(&mut self, whole: usize, len: usize, unit: usize) -> Result<Word<'t>, Fault> {
        let name = &self.rest[len..len + unit];
        let Some(unit_of) = Unit::ALL.into_iter().find(|unit| unit.name() == name) else {
            self.skip(len);
            return self.fault("neither a number nor a duration, whose units are s, m, h, d, w");
        };
        let count = self.rest[..whole].parse::<u32>().ok().filter(|_| whole == len);
        let Some(count) = count else {
            return self.fault("a duration is a whole number of units: 90s, 20m, 2h");
        };
        self.skip(len + unit);
        Ok(Word::Duration(count, unit_of))
    }
}

/// Whether a name may begin with it.
pub(crate) fn is_name_begin(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_'
}

/// Whether it may stand in a name.
pub(crate) fn is_name_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Whether it is a name as a whole.
pub(crate) fn is_name(text: &str) -> bool {
    text.starts_with(is_name_begin) && text.chars().all(is_name_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Word<'_>]) {
        let found: Vec<_> =
            words(text).expect("these are words").into_iter().map(|token| token.word).collect();
        assert_eq!(found.split_last(), Some((&Word::End, expected)), "{text}");
    }

    fn check_fault(text: &str, at: usize, message: &str) {
        let fault = words(text).expect_err(text);
        assert!(fault.message.contains(message), "{text}: {}", fault.message);
        assert_eq!(fault.at, at, "{text}: {}", fault.message);
    }

    #[test]
    fn words_need_no_space_between_them() {
        check(
            "Ref($close,2)>=1.5e-3||x",
            &[
                Word::Name("Ref"),
                Word::Sign("("),
                Word::Field("close"),
                Word::Sign(","),
                Word::Number(2.0),
                Word::Sign(")"),
                Word::Sign(">="),
                Word::Number(1.5e-3),
                Word::Sign("|"),
                Word::Name("x"),
            ],
        );
        check("20m 'BRK.B'", &[Word::Duration(20, Unit::Minute), Word::Text("BRK.B")]);
    }

    #[test]
    fn what_is_no_word_is_refused_at_its_character() {
        check_fault("é + 1", 0, "'é' has no meaning");
        check_fault("'é' + 1.", 7, "a digit follows");
        check_fault("1 + .5", 4, "begins with a digit");
        check_fault("1e999", 0, "beyond the range");
        check_fault("Mean($close, 20min)", 15, "neither a number nor a duration");
        check_fault("1.5h", 0, "whole number of units");
        check_fault("99999999999m", 0, "whole number of units");
        check_fault("At('1h", 3, "without an end");
        check_fault("Ref($close, {w})", 12, "placeholder");
        check_fault("$ close", 0, "a field has a name");
        check_fault("P($$roe)", 2, "not available yet");
    }

    #[test]
    fn a_text_beyond_the_bound_is_refused_before_it_is_read() {
        check_fault(&"é".repeat(1 << 19), TEXT_LEN_MAX / 2, "at most 65536 bytes");
    }
}
