//! What is wrong with a text, and at which character.

use std::fmt;

/// How much of a long line is shown on each side of the fault, in characters.
const SHOWN: usize = 40;

/// A fault at a place of a text that is known from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Characters before it.
    pub(crate) at: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(at: usize, message: impl Into<String>) -> Self {
        Self { at, message: message.into() }
    }

    /// The fault with the part of `text` that it is in.
    pub(crate) fn in_text(self, text: &str) -> ExprError {
        let mut line = Vec::new();
        let mut line_at = 0;
        for (at, c) in text.chars().enumerate().take(self.at.saturating_add(SHOWN)) {
            if c == '\n' {
                if at >= self.at {
                    break;
                }
                line.clear();
                line_at = at + 1;
            } else {
                line.push(if c.is_control() { ' ' } else { c });
            }
        }
        let column = self.at.saturating_sub(line_at).min(line.len());
        let from = column.saturating_sub(SHOWN);
        let excerpt = line.into_iter().skip(from).collect();
        ExprError { at: self.at, message: self.message, excerpt, caret: column - from }
    }
}

/// Why a text is not an expression that can be computed, and at which character.
///
/// Printed it is three lines: the message, the part of the text, and a caret below the character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExprError {
    at: usize,
    message: String,
    excerpt: String,
    caret: usize,
}

impl ExprError {
    /// How many characters of the text stand before the fault.
    pub fn at(&self) -> usize {
        self.at
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The line of the text that the fault is in, shortened around it.
    pub fn excerpt(&self) -> &str {
        &self.excerpt
    }

    /// How many characters of the excerpt stand before the fault.
    pub fn caret(&self) -> usize {
        self.caret
    }
}

impl fmt::Display for ExprError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (character {})\n  {}\n  ", self.message, self.at + 1, self.excerpt)?;
        write!(f, "{:1$}^", "", self.caret)
    }
}

impl std::error::Error for ExprError {}

/// Why a group cannot be put: the field of its document, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefinitionError {
    /// The field, as a path: `features[3].expr`.
    pub field: String,
    /// The feature that is meant, after expansion, if it is one.
    pub feature: Option<String>,
    /// What is wrong.
    pub message: String,
    /// Where in the feature's expression.
    pub expr: Option<Box<ExprError>>,
}

impl DefinitionError {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), feature: None, message: message.into(), expr: None }
    }

    pub(crate) fn in_expr(field: impl Into<String>, feature: &str, error: ExprError) -> Self {
        Self {
            field: field.into(),
            feature: Some(feature.to_owned()),
            message: error.message.clone(),
            expr: Some(Box::new(error)),
        }
    }
}

impl fmt::Display for DefinitionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.field)?;
        if let Some(feature) = &self.feature {
            write!(f, "feature {feature}: ")?;
        }
        match &self.expr {
            Some(expr) => write!(f, "{expr}"),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for DefinitionError {}

/// The word of `known` that `wrong` most likely means, whatever its case.
pub(crate) fn nearest<'k>(wrong: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let wrong = wrong.to_ascii_lowercase();
    // Beyond that no known word is near.
    if wrong.len() > 32 {
        return None;
    }
    let far = if wrong.len() < 4 { 1 } else { 2 };
    known
        .map(|word| (edits(&wrong, &word.to_ascii_lowercase()), word))
        .filter(|(edits, _)| *edits <= far)
        .min_by_key(|(edits, _)| *edits)
        .map(|(_, word)| word)
}

/// How many insertions, deletions and replacements of bytes lead from one to the other.
fn edits(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caret_stands_below_the_character() {
        let error = Fault::new(5, "no such field $clos").in_text("Mean($clos, 20)");
        assert_eq!(
            error.to_string(),
            "no such field $clos (character 6)\n  Mean($clos, 20)\n       ^"
        );
    }

    #[test]
    fn of_a_long_text_only_what_is_near_is_shown() {
        let text = format!("first\n{}!{}\nlast", "a".repeat(100), "b".repeat(100));
        let error = Fault::new(106, "wrong").in_text(&text);
        assert_eq!(error.excerpt(), format!("{}!{}", "a".repeat(40), "b".repeat(39)));
        assert_eq!(error.caret(), 40);
        let end = Fault::new(9, "ended").in_text("a\nb");
        assert_eq!((end.excerpt(), end.caret()), ("b", 1));
    }

    #[test]
    fn a_misspelt_word_finds_the_one_that_is_meant() {
        let known = || ["Mean", "Median", "Max", "RSI"].into_iter();
        assert_eq!(nearest("meen", known()), Some("Mean"));
        assert_eq!(nearest("rsii", known()), Some("RSI"));
        assert_eq!(nearest("Frobnicate", known()), None);
        assert_eq!(nearest(&"x".repeat(60_000), known()), None);
    }
}
