//! What the slots so far leave behind: enough to go on from there.

use std::sync::Arc;

use barrow_features::{Context, ContextId, Field, Live, Plan, Row, Scratch};
use barrow_types::Reason;

use super::super::clocks::Clocks;
use super::super::inputs::Slots;
use super::row::LiveRow;

/// The only context of a group whose slots are taken one by one.
pub(super) const OWN: ContextId = ContextId(0);

/// See the module.
#[derive(Clone)]
pub(super) struct Head {
    live: Live,
    clocks: Clocks,
    /// The close of the last row.
    pub(super) close: Option<f64>,
    /// All slots that start before this are in it.
    pub(super) next: i64,
    /// The end of the last slot in it that was empty, or whose row may change.
    pub(super) unsettled: i64,
    /// Whether its last slot is empty: it counts only if a row comes after it.
    pub(super) ends_empty: bool,
    /// The date of the session of its last slot.
    pub(super) session: i32,
    /// How many slots it has taken since it began.
    pub(super) taken: u64,
    /// How many slots it must have taken before its cells are right.
    unready: u64,
    /// The cells of its last slot, and of the one before.
    pub(super) newest: Option<Arc<LiveRow>>,
    pub(super) previous: Option<Arc<LiveRow>>,
}

/// Memory to work in, for any head of a group.
pub(super) struct Room {
    scratch: Scratch,
    row: Row,
}

impl Room {
    pub(super) fn new(plan: &Plan) -> Self {
        Self { scratch: Live::scratch(plan, OWN), row: Row::null(Reason::Missing) }
    }
}

impl Head {
    /// Before the slots from `start` on, of which there are `slots` before them since the begin;
    /// the cells of the first `unready` that it takes are not right.
    pub(super) fn before(
        plan: &Plan,
        (start, slots): (i64, u64),
        unready: u64,
        close: Option<f64>,
    ) -> Self {
        Self {
            live: Live::after(plan, OWN, slots),
            clocks: Clocks::new(plan.lookback(OWN)),
            close,
            next: start,
            unsettled: i64::MIN,
            ends_empty: false,
            session: i32::MIN,
            taken: 0,
            unready,
            newest: None,
            previous: None,
        }
    }

    /// Whether it has the cells of its last two slots, or there are no such slots.
    pub(super) const fn has_both(&self) -> bool {
        self.previous.is_some() || self.unready == 0
    }

    /// Where the slots that it has taken end, and up to where some of them may change by
    /// themselves.
    pub(super) const fn reach(&self) -> (i64, i64) {
        (self.next, self.unsettled)
    }

    /// Takes the slot at a place in; whether its cells are right.
    pub(super) fn take(&mut self, plan: &Plan, room: &mut Room, slots: &Slots, at: usize) -> bool {
        for field in plan.fields(OWN) {
            room.row.set(field, slots.inputs.column(field).cell(at));
        }
        self.close = slots.close[at];
        let has_row = slots.reason[at] == Reason::Ok.code();
        self.ends_empty = !has_row;
        if !has_row || slots.provisional[at] {
            self.unsettled = slots.ts_end[at];
        }
        let Room { scratch, row } = room;
        let cells = self.live.advance(plan, scratch, row, &[]);
        let of_row = (slots.known_at[at], slots.sequence[at], slots.provisional[at]);
        let (known_at, sequence, provisional) = self.clocks.push(of_row);
        self.next = slots.ts[at].saturating_add(1);
        self.session = slots.session[at];
        self.taken += 1;
        if self.taken <= self.unready {
            return false;
        }
        let row = LiveRow {
            ts: slots.ts[at],
            ts_end: slots.ts_end[at],
            available_at: slots.available_at[at],
            session: slots.session[at],
            known_at,
            sequence,
            provisional,
            cells: cells.iter().collect(),
        };
        self.previous = self.newest.replace(Arc::new(row));
        true
    }
}

/// The fields that a group reads of its own slots.
pub(super) fn fields(plan: &Plan) -> Vec<Field> {
    plan.fields(OWN).collect()
}

/// Whether the slots of a group can be taken one by one: it reads no others.
pub(super) fn is_alone(contexts: &[Context]) -> bool {
    contexts.len() == 1
}
