//! A tree into text: one text for one tree, which reads back as the same tree.

use std::fmt::{self, Write as _};

use crate::expr::{Expr, What};
use crate::parse::{COMPARISONS, INFIX, PREFIX};

/// How tightly what stands at a place holds together; the levels of [`INFIX`] come in between.
const BRANCH: usize = 0;
const INFIX_FIRST: usize = 1;
const UNARY: usize = INFIX_FIRST + INFIX.len();
const POWER: usize = UNARY + 1;
const ATOM: usize = POWER + 1;

enum Task<'e> {
    /// Print the tree of a place, in parentheses if it holds together less than so.
    Tree(usize, usize),
    Sign(&'e str),
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut tasks = vec![Task::Tree(self.root(), BRANCH)];
        while let Some(task) = tasks.pop() {
            match task {
                Task::Sign(sign) => f.write_str(sign)?,
                Task::Tree(place, tightness) => {
                    let own = tightness_of(&self.places[place].what);
                    if own < tightness {
                        f.write_char('(')?;
                        tasks.push(Task::Sign(")"));
                    }
                    self.open(f, place, &mut tasks)?;
                }
            }
        }
        Ok(())
    }
}

/// How an operator is written.
enum Form {
    Branch,
    /// The level of [`INFIX`] and the sign.
    Infix(usize, &'static str),
    Prefix(&'static str),
    Power,
    Call,
}

fn form(name: &str) -> Form {
    for (level, signs) in INFIX.iter().enumerate() {
        if let Some((sign, _)) = signs.iter().find(|(_, meant)| *meant == name) {
            return Form::Infix(level, sign);
        }
    }
    if let Some((sign, _)) = PREFIX.iter().find(|(_, meant)| *meant == name) {
        return Form::Prefix(sign);
    }
    match name {
        "If" => Form::Branch,
        "Power" => Form::Power,
        _ => Form::Call,
    }
}

fn tightness_of(what: &What) -> usize {
    let What::Apply(entry, arguments) = what else { return ATOM };
    if !is_plain(what) || arguments.len() != entry.params.len() {
        return ATOM;
    }
    match form(entry.name) {
        Form::Branch => BRANCH,
        Form::Infix(level, _) => INFIX_FIRST + level,
        Form::Prefix(_) => UNARY,
        Form::Power => POWER,
        Form::Call => ATOM,
    }
}

/// Whether it can be written with signs: its arguments go by their order.
fn is_plain(what: &What) -> bool {
    let What::Apply(_, arguments) = what else { return true };
    arguments.iter().all(|argument| argument.name.is_none())
}

impl Expr {
    /// Prints what comes first of a place and leaves the rest as tasks, last first.
    fn open<'e>(
        &'e self,
        f: &mut fmt::Formatter<'_>,
        place: usize,
        tasks: &mut Vec<Task<'e>>,
    ) -> fmt::Result {
        let what = &self.places[place].what;
        let (entry, arguments) = match what {
            What::Number(value) => return f.write_str(&number(*value)),
            What::Duration(count, unit) => return write!(f, "{count}{}", unit.name()),
            What::Text(text) => return write!(f, "'{text}'"),
            What::Field(field) => return write!(f, "${}", field.name()),
            What::Name(name) => return f.write_str(name),
            What::Apply(entry, arguments) => (entry, arguments),
        };
        let tree = |argument: usize, tightness| Task::Tree(arguments[argument].place, tightness);
        let has_form = is_plain(what) && arguments.len() == entry.params.len();
        match if has_form { form(entry.name) } else { Form::Call } {
            Form::Branch => {
                tasks.extend([tree(2, BRANCH), Task::Sign(" : "), tree(1, BRANCH)]);
                tasks.extend([Task::Sign(" ? "), tree(0, INFIX_FIRST)]);
            }
            Form::Infix(level, sign) => {
                let own = INFIX_FIRST + level;
                let left = if level == COMPARISONS { own + 1 } else { own };
                tasks.extend([tree(1, own + 1), Task::Sign(" "), Task::Sign(sign)]);
                tasks.extend([Task::Sign(" "), tree(0, left)]);
            }
            Form::Prefix(sign) => {
                f.write_str(sign)?;
                tasks.push(tree(0, UNARY));
            }
            Form::Power => tasks.extend([tree(1, UNARY), Task::Sign("^"), tree(0, ATOM)]),
            Form::Call => {
                write!(f, "{}(", entry.name)?;
                tasks.push(Task::Sign(")"));
                for (at, argument) in arguments.iter().enumerate().rev() {
                    tasks.push(Task::Tree(argument.place, BRANCH));
                    if let Some(name) = &argument.name {
                        tasks.extend([Task::Sign("="), Task::Sign(name)]);
                    }
                    if at > 0 {
                        tasks.push(Task::Sign(", "));
                    }
                }
            }
        }
        Ok(())
    }
}

/// The shortest text that is this number: without an exponent from 0.0001 up to 1e16.
pub(crate) fn number(value: f64) -> String {
    let size = value.abs();
    if size == 0.0 || (1e-4..1e16).contains(&size) {
        value.to_string()
    } else {
        format!("{value:e}")
    }
}

#[cfg(test)]
mod tests;
