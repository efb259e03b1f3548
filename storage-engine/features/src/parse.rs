//! Words into a tree: the grammar of `docs/FEATURES.md`, one function a rule.

use crate::error::{ExprError, Fault, nearest};
use crate::expr::{Argument, Expr, Place, What};
use crate::lexer::{Token, Word, words};
use crate::operator::Field;
use crate::table::{self, Body, Entry};

/// Deepest nesting of parentheses, calls and branches.
pub const NESTING_MAX: usize = 64;

/// The signs between two operands, loosest first, and what they stand for.
pub(crate) const INFIX: [&[(&str, &str)]; 5] = [
    &[("|", "Or")],
    &[("&", "And")],
    &[(">", "Gt"), (">=", "Ge"), ("<", "Lt"), ("<=", "Le"), ("==", "Eq"), ("!=", "Ne")],
    &[("+", "Add"), ("-", "Sub")],
    &[("*", "Mul"), ("/", "Div")],
];

/// The level of [`INFIX`] whose signs do not follow one another.
pub(crate) const COMPARISONS: usize = 2;

/// The signs before an operand.
pub(crate) const PREFIX: [(&str, &str); 2] = [("-", "Neg"), ("!", "Not")];

/// Whose text it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Author {
    User,
    /// May also use what only macros are written in.
    Macro,
}

/// Reads `text`.
///
/// # Errors
/// What the text should have said, at the character where it does not.
pub fn parse(text: &str) -> Result<Expr, ExprError> {
    parse_by(text, Author::User).map_err(|fault| fault.in_text(text))
}

pub(crate) fn parse_by(text: &str, author: Author) -> Result<Expr, Fault> {
    let tokens = words(text)?;
    let mut parser = Parser { tokens: &tokens, next: 0, places: Vec::new(), nesting: 0, author };
    parser.expr()?;
    match parser.peek().word {
        Word::End => Ok(Expr { places: parser.places }),
        _ => parser.unexpected("the end of the expression"),
    }
}

struct Parser<'t> {
    tokens: &'t [Token<'t>],
    next: usize,
    places: Vec<Place>,
    nesting: usize,
    author: Author,
}

impl<'t> Parser<'t> {
    fn peek(&self) -> Token<'t> {
        self.tokens[self.next]
    }

    fn advance(&mut self) -> Token<'t> {
        let token = self.peek();
        // The last word is the end; nothing stands behind it.
        self.next = (self.next + 1).min(self.tokens.len() - 1);
        token
    }

    fn take(&mut self, sign: &'static str) -> bool {
        let is_it = self.peek().word == Word::Sign(sign);
        if is_it {
            self.advance();
        }
        is_it
    }

    fn expect(&mut self, sign: &'static str) -> Result<(), Fault> {
        if self.take(sign) { Ok(()) } else { self.unexpected(&format!("'{sign}'")) }
    }

    fn unexpected<T>(&self, wanted: &str) -> Result<T, Fault> {
        let Token { word, at } = self.peek();
        let found = match word {
            Word::Number(_) => "a number".to_owned(),
            Word::Duration(..) => "a duration".to_owned(),
            Word::Text(_) => "a text".to_owned(),
            Word::Name(name) => format!("the name {}", shorten(name)),
            Word::Field(name) => format!("the field ${}", shorten(name)),
            Word::Sign(sign) => format!("'{sign}'"),
            Word::End => "the end".to_owned(),
        };
        Err(Fault::new(at, format!("{wanted} is expected here, not {found}")))
    }

    fn push(&mut self, at: usize, what: What) -> usize {
        self.places.push(Place { what, at });
        self.places.len() - 1
    }

    fn apply(&mut self, at: usize, name: &str, places: &[usize]) -> usize {
        let entry = table::find(name).expect("invariant: signs stand for operators");
        let arguments = places.iter().map(|place| Argument::at(*place)).collect();
        self.push(at, What::Apply(entry, arguments))
    }

    fn nested<T>(&mut self, rule: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        if self.nesting == NESTING_MAX {
            let message = format!("nests deeper than {NESTING_MAX}");
            return Err(Fault::new(self.peek().at, message));
        }
        self.nesting += 1;
        let found = rule(self)?;
        self.nesting -= 1;
        Ok(found)
    }

    fn expr(&mut self) -> Result<usize, Fault> {
        let condition = self.infix(0)?;
        let at = self.peek().at;
        if !self.take("?") {
            return Ok(condition);
        }
        let yes = self.nested(Self::expr)?;
        self.expect(":")?;
        let no = self.nested(Self::expr)?;
        Ok(self.apply(at, "If", &[condition, yes, no]))
    }

    fn infix(&mut self, level: usize) -> Result<usize, Fault> {
        let Some(signs) = INFIX.get(level) else { return self.unary() };
        let mut left = self.infix(level + 1)?;
        let mut count = 0;
        loop {
            let Token { word: Word::Sign(sign), at } = self.peek() else { return Ok(left) };
            let Some((_, name)) = signs.iter().find(|(spelling, _)| *spelling == sign) else {
                return Ok(left);
            };
            if level == COMPARISONS && count > 0 {
                return Err(Fault::new(at, "comparisons do not follow one another: a < b & b < c"));
            }
            self.advance();
            let right = self.infix(level + 1)?;
            left = self.apply(at, name, &[left, right]);
            count += 1;
        }
    }

    /// Signs, operand, and powers of it; the rightmost power binds first.
    fn unary(&mut self) -> Result<usize, Fault> {
        let mut parts = Vec::new();
        loop {
            let mut signs = Vec::new();
            while let Token { word: Word::Sign(sign), at } = self.peek()
                && let Some((_, name)) = PREFIX.iter().find(|(spelling, _)| *spelling == sign)
            {
                signs.push((*name, at));
                self.advance();
            }
            let atom = self.atom()?;
            let caret = self.peek().at;
            parts.push((signs, atom, caret));
            if !self.take("^") {
                break;
            }
        }
        let mut power = None;
        for (signs, atom, caret) in parts.into_iter().rev() {
            let mut found = match power {
                None => atom,
                Some(exponent) => self.apply(caret, "Power", &[atom, exponent]),
            };
            for (name, at) in signs.into_iter().rev() {
                found = self.apply(at, name, &[found]);
            }
            power = Some(found);
        }
        Ok(power.expect("invariant: there is an operand"))
    }

    fn atom(&mut self) -> Result<usize, Fault> {
        let Token { word, at } = self.peek();
        let what = match word {
            Word::Number(value) => What::Number(value),
            Word::Duration(count, unit) => What::Duration(count, unit),
            Word::Text(text) => What::Text(text.to_owned()),
            Word::Field(name) => What::Field(field(name, at)?),
            Word::Name(name) => {
                self.advance();
                if self.peek().word == Word::Sign("(") {
                    return self.call(name, at);
                }
                return Ok(self.push(at, What::Name(name.to_owned())));
            }
            Word::Sign("(") => {
                return self.nested(|parser| {
                    parser.advance();
                    let inner = parser.expr()?;
                    parser.expect(")")?;
                    Ok(inner)
                });
            }
            _ => return self.unexpected("a number, field, feature or operator"),
        };
        self.advance();
        Ok(self.push(at, what))
    }

    fn call(&mut self, name: &str, at: usize) -> Result<usize, Fault> {
        let entry = operator(name, at, self.author)?;
        let arguments = self.nested(Self::arguments)?;
        Ok(self.push(at, What::Apply(entry, arguments)))
    }

    fn arguments(&mut self) -> Result<Vec<Argument>, Fault> {
        self.expect("(")?;
        let mut arguments: Vec<Argument> = Vec::new();
        if self.take(")") {
            return Ok(arguments);
        }
        loop {
            let at = self.peek().at;
            let name = self.argument_name();
            if name.is_none() && arguments.last().is_some_and(|last| last.name.is_some()) {
                return Err(Fault::new(at, "only arguments with a name follow one with a name"));
            }
            let place = self.expr()?;
            arguments.push(Argument { name, place });
            if !self.take(",") {
                self.expect(")")?;
                return Ok(arguments);
            }
        }
    }

    /// The name before `=`, if that comes next.
    fn argument_name(&mut self) -> Option<String> {
        let Word::Name(name) = self.peek().word else { return None };
        let behind = self.tokens.get(self.next + 1)?;
        if behind.word != Word::Sign("=") {
            return None;
        }
        self.advance();
        self.advance();
        Some(name.to_owned())
    }
}

/// At most so much of a name that a message stays readable.
pub(crate) fn shorten(name: &str) -> String {
    match name.char_indices().nth(32) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

fn field(name: &str, at: usize) -> Result<Field, Fault> {
    if let Some(field) = Field::ALL.into_iter().find(|f| f.name().eq_ignore_ascii_case(name)) {
        return Ok(field);
    }
    let meant = nearest(name, Field::ALL.into_iter().map(Field::name));
    let hint = meant.map_or_else(String::new, |meant| format!("; did you mean ${meant}?"));
    Err(Fault::new(at, format!("there is no field ${}{hint}", shorten(name))))
}

fn operator(name: &str, at: usize, author: Author) -> Result<&'static Entry, Fault> {
    let visible = |entry: &&Entry| author == Author::Macro || !entry.is_inner;
    let Some(entry) = table::find(name).filter(visible) else {
        let meant = nearest(name, table::names());
        let hint = meant.map_or_else(String::new, |meant| format!("; did you mean {meant}?"));
        return Err(Fault::new(at, format!("there is no operator {}{hint}", shorten(name))));
    };
    match entry.body {
        Body::LooksAhead => {
            Err(Fault::new(at, format!("{} looks ahead: a feature must not", entry.name)))
        }
        Body::NotYet(kind) => {
            Err(Fault::new(at, format!("{} ({kind}) is not available yet", entry.name)))
        }
        _ => Ok(entry),
    }
}
