//! Many slots at once.

use barrow_types::Reason;

use crate::cell::{Cell, Column, Inputs};
use crate::columns::Scratch;
use crate::graph::ContextId;
use crate::kernels;
use crate::plan::Plan;
use crate::saved::{self, Damaged};
use crate::state::State;

/// How many rows are computed at a time: their columns stay in the cache.
const ROWS: usize = 256;

/// Computes consecutive slots of one context, in runs of any length.
#[derive(Debug)]
pub struct History {
    context: ContextId,
    state: State,
    scratch: Scratch,
}

/// Which cell of another context a slot reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The cell at this place of its column.
    Place(usize),
    /// None, for this reason.
    Null(Reason),
}

impl History {
    /// From the begin: the first run begins at slot 1.
    pub fn new(plan: &Plan, context: ContextId) -> Self {
        Self::after(plan, context, 0)
    }

    /// Without the first `slots` slots. The cells of the next [`Plan::lookback`] slots are not to
    /// be used; those that follow have the bits that they would have from the begin.
    pub fn after(plan: &Plan, context: ContextId, slots: u64) -> Self {
        let part = plan.context(context);
        let (state, scratch) = (State::new(part, ROWS, slots), Scratch::new(part, ROWS));
        Self { context, state, scratch }
    }

    /// From a state that was saved by a plan of the same graph.
    ///
    /// # Errors
    /// If the bytes are not a state of this plan and context.
    pub fn restore(plan: &Plan, context: ContextId, bytes: &[u8]) -> Result<Self, Damaged> {
        let part = plan.context(context);
        let state = saved::decode(bytes, part, ROWS)?;
        Ok(Self { context, state, scratch: Scratch::new(part, ROWS) })
    }

    /// The state after the last slot, to go on from later: here or in a [`crate::Live`].
    pub fn save(&self, plan: &Plan) -> Vec<u8> {
        saved::encode(&self.state, plan.context(self.context))
    }

    /// Whether the state is the one that was saved: if so, and inputs are equal from here on, then
    /// all cells will be.
    pub fn state_eq(&self, saved: &[u8], plan: &Plan) -> bool {
        self.save(plan) == saved
    }

    /// How many slots there were since the begin.
    pub const fn slots(&self) -> u64 {
        self.state.slots
    }

    /// Computes the slots that come next, all that `inputs` hold, and adds their cells to `out`,
    /// a column for each of [`Plan::exports`].
    ///
    /// # Panics
    /// If a column that the plan reads is not as long as the others, or if there are not as many
    /// imports or columns of cells as the plan has.
    pub fn run(&mut self, plan: &Plan, inputs: &Inputs, imports: &[Column], out: &mut [Column]) {
        let rows = plan.context(self.context).fields.first().map_or_else(
            || imports.first().map_or(0, Column::len),
            |(field, _)| inputs.column(*field).len(),
        );
        self.run_part(plan, inputs, imports, 0..rows, out);
    }

    /// As `run`, of the rows in a range only. For plans that read nothing at all the range says how
    /// many slots there are.
    ///
    /// # Panics
    /// As `run`.
    pub fn run_part(
        &mut self,
        plan: &Plan,
        inputs: &Inputs,
        imports: &[Column],
        range: std::ops::Range<usize>,
        out: &mut [Column],
    ) {
        let plan = plan.context(self.context);
        assert_eq!(imports.len(), plan.imports.len(), "invariant: a column for each import");
        assert_eq!(out.len(), plan.exports.len(), "invariant: a column for each export");
        let fields = plan.fields.iter().map(|(field, node)| (inputs.column(*field), *node));
        let read = plan.imports.iter().zip(imports).map(|((_, node), column)| (column, *node));
        let read: Vec<(&Column, usize)> = fields.chain(read).collect();
        let mut at = range.start;
        while at < range.end {
            let rows = ROWS.min(range.end - at);
            for (column, node) in &read {
                let (values, reasons) = (&column.values()[at..], &column.reasons()[at..]);
                self.scratch.take(*node, &values[..rows], &reasons[..rows]);
            }
            kernels::run(plan, &mut self.scratch, &mut self.state, rows);
            for (node, column) in plan.exports.iter().zip(&mut *out) {
                let (values, reasons) = self.scratch.column(*node, rows);
                column.extend(values, reasons);
            }
            at += rows;
        }
    }
}

/// The cells of another context as a context's slots read them: the column to import.
///
/// # Panics
/// If a link names a cell that there is not.
pub fn align(cells: &Column, links: &[Link]) -> Column {
    let cell = |link: &Link| match link {
        Link::Place(place) => cells.cell(*place),
        Link::Null(reason) => Cell::null(*reason),
    };
    links.iter().map(cell).collect()
}
