//! Slot by slot: what a symbol's closed bars leave behind, and what its forming bar would give.

use crate::cell::{Cell, Row};
use crate::columns::Scratch;
use crate::graph::ContextId;
use crate::kernels;
use crate::plan::{ContextPlan, Plan};
use crate::saved::{self, Damaged};
use crate::state::State;

/// How many slots a ring takes before its cells move to its front: more take more memory, fewer
/// move more often.
const ROOM: usize = 16;

/// The state of one context for one symbol. Contexts advance on their own, each at its own slots.
#[derive(Clone, Debug)]
pub struct Live {
    context: ContextId,
    state: State,
}

/// The cells of one slot.
#[derive(Clone, Copy, Debug)]
pub struct Cells<'a> {
    scratch: &'a Scratch,
    exports: &'a [usize],
}

impl Live {
    /// Before the first slot of a context.
    pub fn new(plan: &Plan, context: ContextId) -> Self {
        Self::after(plan, context, 0)
    }

    /// Without the first `slots` slots: see [`crate::History::after`].
    pub fn after(plan: &Plan, context: ContextId, slots: u64) -> Self {
        Self { context, state: State::new(plan.context(context), ROOM, slots) }
    }

    /// Memory that `advance` and `peek` work in: one serves all symbols of a context in turn.
    pub fn scratch(plan: &Plan, context: ContextId) -> Scratch {
        Scratch::new(plan.context(context), 1)
    }

    /// Takes a closed slot; `imports` are the cells of other contexts that [`Plan::imports`] names.
    ///
    /// # Panics
    /// If the plan or the scratch are not those of this state, or if imports are not as many.
    pub fn advance<'a>(
        &mut self,
        plan: &'a Plan,
        scratch: &'a mut Scratch,
        row: &Row,
        imports: &[Cell],
    ) -> Cells<'a> {
        let plan = plan.context(self.context);
        compute(plan, &mut self.state, scratch, row, imports);
        Cells { scratch, exports: &plan.exports }
    }

    /// What `advance` would give, without taking the slot. `copy` is worked in, and may be any
    /// state of the same plan and context.
    ///
    /// # Panics
    /// As `advance`.
    pub fn peek<'a>(
        &self,
        copy: &mut Self,
        plan: &'a Plan,
        scratch: &'a mut Scratch,
        row: &Row,
        imports: &[Cell],
    ) -> Cells<'a> {
        copy.context = self.context;
        copy.state.copy_from(&self.state);
        copy.advance(plan, scratch, row, imports)
    }

    /// How many slots there were.
    pub const fn slots(&self) -> u64 {
        self.state.slots
    }

    /// Whether all cells from here on will be equal, given equal inputs.
    pub fn state_eq(&self, other: &Self, plan: &Plan) -> bool {
        self.context == other.context && self.state.equals(&other.state, plan.context(self.context))
    }

    /// The state, to go on from later: here or in a [`crate::History`].
    pub fn save(&self, plan: &Plan) -> Vec<u8> {
        saved::encode(&self.state, plan.context(self.context))
    }

    /// A state that was saved by a plan of the same graph.
    ///
    /// # Errors
    /// If the bytes are not a state of this plan and context.
    pub fn restore(plan: &Plan, context: ContextId, bytes: &[u8]) -> Result<Self, Damaged> {
        Ok(Self { context, state: saved::decode(bytes, plan.context(context), ROOM)? })
    }

    /// How many bytes the state takes in memory.
    pub fn bytes(&self) -> usize {
        size_of::<ContextId>() + self.state.bytes()
    }
}

fn compute(
    plan: &ContextPlan,
    state: &mut State,
    scratch: &mut Scratch,
    row: &Row,
    imports: &[Cell],
) {
    assert_eq!(imports.len(), plan.imports.len(), "invariant: a cell for each import");
    for (field, node) in &plan.fields {
        scratch.set(*node, 0, row.get(*field).raw());
    }
    for ((_, node), cell) in plan.imports.iter().zip(imports) {
        scratch.set(*node, 0, cell.raw());
    }
    kernels::run(plan, scratch, state, 1);
}

impl Cells<'_> {
    /// How many there are.
    pub const fn len(&self) -> usize {
        self.exports.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.exports.is_empty()
    }

    /// One of them, in the order of [`Plan::exports`].
    ///
    /// # Panics
    /// If there are not that many.
    pub fn get(&self, export: usize) -> Cell {
        let (value, reason) = self.scratch.get(self.exports[export], 0);
        Cell::from_raw(value, reason)
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Cell> {
        (0..self.len()).map(|export| self.get(export))
    }
}
