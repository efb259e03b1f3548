//! The columns of all nodes of a context, for the rows at hand.

use crate::kernels::lanes::LANES;
use crate::plan::ContextPlan;

/// A column per node, some rows long. It holds nothing between two runs, so that one serves all
/// symbols of a plan in turn.
#[derive(Clone, Debug)]
pub struct Scratch {
    /// How many rows fit.
    pub(crate) stride: usize,
    pub(crate) values: Vec<f64>,
    pub(crate) reasons: Vec<u8>,
    /// Whether no cell of a column is null, in the rows at hand.
    pub(crate) clean: Vec<bool>,
    /// Sums of the windows of one call, a column each.
    pub(crate) sums: Vec<f64>,
    /// For kernels that sort.
    pub(crate) order: Vec<f64>,
    /// For kernels of two series: 0 where both are valid.
    pub(crate) both: Vec<[u8; LANES]>,
}

impl Scratch {
    pub(crate) fn new(plan: &ContextPlan, stride: usize) -> Self {
        let cells = plan.columns * stride;
        let mut scratch = Self {
            stride,
            values: vec![0.0; cells],
            reasons: vec![0; cells],
            clean: vec![true; plan.columns],
            sums: Vec::new(),
            order: Vec::new(),
            both: Vec::new(),
        };
        for (node, number) in &plan.constants {
            scratch.values[node * stride..][..stride].fill(*number);
        }
        scratch
    }

    /// Takes away the memory for sums, at least so many columns; it is to be put back.
    pub(crate) fn take_sums(&mut self, columns: usize) -> Vec<f64> {
        if self.sums.len() < columns * self.stride {
            self.sums.resize(columns * self.stride, 0.0);
        }
        std::mem::take(&mut self.sums)
    }

    pub(crate) fn column(&self, node: usize, rows: usize) -> (&[f64], &[u8]) {
        let at = node * self.stride;
        (&self.values[at..at + rows], &self.reasons[at..at + rows])
    }

    #[inline(always)]
    pub(crate) fn set(&mut self, node: usize, row: usize, (value, reason): (f64, u8)) {
        let at = node * self.stride + row;
        self.values[at] = value;
        self.reasons[at] = reason;
    }

    /// Sets the only row.
    #[inline(always)]
    pub(crate) fn set_one(&mut self, node: usize, (value, reason): (f64, u8)) {
        self.values[node] = value;
        self.reasons[node] = reason;
    }

    /// The only row of all nodes; both slices are equally long.
    #[inline(always)]
    pub(crate) fn ones(&mut self) -> (&mut [f64], &mut [u8]) {
        let nodes = self.values.len();
        (&mut self.values[..nodes], &mut self.reasons[..nodes])
    }

    /// The only row.
    #[inline(always)]
    pub(crate) fn one(&self, node: usize) -> (f64, u8) {
        (self.values[node], self.reasons[node])
    }

    #[inline(always)]
    pub(crate) fn get(&self, node: usize, row: usize) -> (f64, u8) {
        let at = node * self.stride + row;
        (self.values[at], self.reasons[at])
    }

    /// Says of a column that was written cell by cell whether any of its cells is null.
    #[inline(always)]
    pub(crate) fn look(&mut self, node: usize, rows: usize) {
        let at = node * self.stride;
        self.clean[node] = self.reasons[at..at + rows].iter().all(|reason| *reason == 0);
    }

    /// Takes cells from outside as the column of a node.
    ///
    /// # Panics
    /// If there are fewer cells than that.
    pub(crate) fn take(&mut self, node: usize, values: &[f64], reasons: &[u8]) {
        let at = node * self.stride;
        self.values[at..at + values.len()].copy_from_slice(values);
        self.reasons[at..at + values.len()].copy_from_slice(reasons);
        self.look(node, values.len());
    }
}
