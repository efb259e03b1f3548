//! What a plan consists of: calls of kernels, each for as many nodes as share its work.
//!
//! Nodes are named by their place among the columns of a context, series with a past by their ring.

use crate::kernels::lanes::LANES;
use crate::operator::Operator;

/// One pass of kernels over the rows at hand.
#[derive(Clone, Debug)]
pub(crate) enum Call {
    /// An elementwise operator, for several nodes.
    Each(Operator, Vec<Each>),
    /// Cells that windows will look at go to their rings.
    Push(Vec<Push>),
    /// Cells some slots ago.
    Lag(Vec<Lag>),
    /// Sums and means, each over one window of one series.
    Means(Vec<Means>),
    /// All that comes of sums over one window of one series.
    Moments(Moments),
    /// The greatest or the least of one window, and where.
    Extremes(Extremes),
    /// Order statistics of one window.
    Order(Order),
    /// All that comes of sums over one window of two series.
    Pair(Pair),
    /// One operator of one window that shares nothing.
    Single(Single),
    /// One recursion.
    Recursion(Recursion),
}

/// An elementwise node; of the inputs those that the operator takes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Each {
    pub(crate) out: usize,
    pub(crate) inputs: [usize; 3],
    /// The first slots, null for operators that do not pass nulls on.
    pub(crate) warm_up: u64,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Push {
    pub(crate) node: usize,
    pub(crate) ring: usize,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Lag {
    pub(crate) out: usize,
    pub(crate) ring: usize,
    pub(crate) slots: usize,
}

/// A node that a window's kernel computes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    pub(crate) operator: Operator,
    pub(crate) node: usize,
    pub(crate) warm_up: u64,
    /// At least so many places are valid.
    pub(crate) min_valid: f64,
    pub(crate) number: f64,
}

/// The sum or the mean of a window, or both.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Means {
    pub(crate) ring: usize,
    pub(crate) slots: usize,
    pub(crate) sum: Option<Out>,
    pub(crate) mean: Option<Out>,
}

#[derive(Clone, Debug)]
pub(crate) struct Moments {
    pub(crate) ring: usize,
    pub(crate) slots: usize,
    pub(crate) need: Need,
    /// 1 to N and on to the end of an eight.
    pub(crate) places: Vec<[f64; LANES]>,
    /// S((i-p)²) over all places, and its root.
    pub(crate) spread: f64,
    pub(crate) spread_root: f64,
    pub(crate) outs: Vec<Out>,
}

/// Which sums a call takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    pub(crate) sum: bool,
    pub(crate) mean: bool,
    pub(crate) squares: bool,
    pub(crate) line: bool,
    pub(crate) powers: bool,
    pub(crate) absolute: bool,
    pub(crate) truths: bool,
}

/// The greatest or the least of a window, the oldest of equals or the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Extreme {
    Greatest,
    Least,
    LastGreatest,
    LastLeast,
}

#[derive(Clone, Debug)]
pub(crate) struct Extremes {
    pub(crate) ring: usize,
    pub(crate) slots: usize,
    pub(crate) extreme: Extreme,
    /// Which of those that the state has found it is.
    pub(crate) found: usize,
    pub(crate) outs: Vec<Out>,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) ring: usize,
    pub(crate) slots: usize,
    /// Which of the state's sorted windows.
    pub(crate) sorted: usize,
    pub(crate) outs: Vec<Out>,
}

#[derive(Clone, Debug)]
pub(crate) struct Pair {
    /// x and y.
    pub(crate) rings: [usize; 2],
    pub(crate) slots: usize,
    pub(crate) outs: Vec<Out>,
}

#[derive(Clone, Debug)]
pub(crate) struct Single {
    /// Twice the same if the operator takes one series.
    pub(crate) rings: [usize; 2],
    pub(crate) slots: usize,
    /// For operators that weigh places: the weights, the oldest first.
    pub(crate) weights: Vec<[f64; LANES]>,
    pub(crate) out: Out,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Recursion {
    pub(crate) operator: Operator,
    pub(crate) out: usize,
    /// x, and the session for those that have one.
    pub(crate) inputs: [usize; 2],
    pub(crate) slots: usize,
    pub(crate) warm_up: u64,
    /// Where its state begins, and how long it is.
    pub(crate) state: usize,
    pub(crate) state_len: usize,
}
