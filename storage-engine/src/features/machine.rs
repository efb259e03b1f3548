//! Kernels at work on one context.

use std::ops::Range;

use barrow_features::{Cell, Column, ContextId, Field, History, Inputs, Live, Plan, Row, Scratch};
use barrow_types::Reason;

use super::Way;

/// See [`Way`].
pub(super) enum Machine {
    Columns(Box<History>),
    Slots(Box<BySlot>),
}

/// What a slot by itself takes.
pub(super) struct BySlot {
    live: Live,
    scratch: Scratch,
    row: Row,
}

impl Machine {
    /// One that begins after so many slots.
    pub(super) fn new(way: Way, plan: &Plan, context: ContextId, slots: u64) -> Self {
        match way {
            Way::Columns => Self::Columns(Box::new(History::after(plan, context, slots))),
            Way::Slots => Self::Slots(Box::new(BySlot {
                live: Live::new(plan, context),
                scratch: Live::scratch(plan, context),
                row: Row::null(Reason::Missing),
            })),
        }
    }

    /// One that goes on from a state that [`History::save`] gave.
    ///
    /// # Panics
    /// If the state is not one of this plan and context.
    pub(super) fn after(plan: &Plan, context: ContextId, state: &[u8]) -> Self {
        let history = History::restore(plan, context, state);
        Self::Columns(Box::new(history.expect("invariant: a state of the same version")))
    }

    /// Computes the slots that come next, some of those of `inputs`, and adds their cells to `out`.
    pub(super) fn run(
        &mut self,
        plan: &Plan,
        (inputs, imports, slots): (&Inputs, &[Column], Range<usize>),
        out: &mut [Column],
    ) {
        match self {
            Self::Columns(history) => history.run_part(plan, inputs, imports, slots, out),
            Self::Slots(by_slot) => {
                let BySlot { live, scratch, row } = &mut **by_slot;
                for at in slots {
                    for field in Field::ALL {
                        let column = inputs.column(field);
                        if !column.is_empty() {
                            row.set(field, column.cell(at));
                        }
                    }
                    let imports: Vec<Cell> = imports.iter().map(|column| column.cell(at)).collect();
                    let cells = live.advance(plan, scratch, row, &imports);
                    for (cell, column) in cells.iter().zip(&mut *out) {
                        column.push(cell);
                    }
                }
            }
        }
    }
}
