//! An expression as it was read: a tree that lies flat.
//!
//! The places of a tree stand in one list, what is applied after what it is applied to, the root
//! last. So no walk needs to call itself, and no text, however deep, can exhaust the stack.

use crate::lexer::Unit;
use crate::operator::Field;
use crate::table::Entry;

/// An expression, read but not yet checked: names of features and kinds of arguments may be wrong.
///
/// Two are equal if they are the same tree, wherever their parts stood in the text.
#[derive(Clone, Debug, PartialEq)]
pub struct Expr {
    pub(crate) places: Vec<Place>,
}

/// A place of the tree, and where it stood.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) what: What,
    /// Characters before it.
    pub(crate) at: usize,
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.what == other.what
    }
}

/// What stands at a place.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum What {
    /// Never negative: that is [`What::Apply`] of `Neg`.
    Number(f64),
    Duration(u32, Unit),
    Text(String),
    Field(Field),
    /// A feature, or in the text of a macro one of its arguments.
    Name(String),
    Apply(&'static Entry, Vec<Argument>),
}

/// What an operator is applied to.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Argument {
    /// The name it is given by, instead of by its order.
    pub(crate) name: Option<String>,
    /// Its place, before the operator's.
    pub(crate) place: usize,
}

impl Argument {
    pub(crate) fn at(place: usize) -> Self {
        Self { name: None, place }
    }
}

impl Expr {
    pub(crate) fn root(&self) -> usize {
        self.places.len() - 1
    }
}
