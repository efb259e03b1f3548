//! Kernels at work on one context.

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

    /// Computes the slots that come next, so many, and adds their cells to `out`.
    pub(super) fn run(
        &mut self,
        plan: &Plan,
        (inputs, imports, len): (&Inputs, &[Column], usize),
        out: &mut [Column],
    ) {
        match self {
            Self::Columns(history) => history.run_part(plan, inputs, imports, 0..len, out),
            Self::Slots(by_slot) => {
                let BySlot { live, scratch, row } = &mut **by_slot;
                for at in 0..len {
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
