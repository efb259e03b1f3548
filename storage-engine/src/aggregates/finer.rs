//! Finer rows that were read, so that bars of several steps are made of one reading.

use std::cell::RefCell;
use std::rc::Rc;

use barrow_types::{ColumnId, Step};

use crate::calendar::{Bucket, SlotGrid, Stretch, slot_of};
use crate::error::Error;

use super::bars::Fine;
use super::lineage::{Origin, Steps};
use super::make::{Coverage, Maker, Wanted, origin_of};

/// Readings that are kept at a time: those of a block.
const KEPT_MAX: usize = 4;

/// Good rows of finer slots, and where they come from.
pub(super) struct Read {
    /// The slots.
    pub(super) stretches: Vec<Stretch>,
    /// Where the rows of each session come from; empty: all are bars of that step.
    pub(super) origins: Vec<(i32, Origin)>,
    pub(super) fine: Fine,
    /// When those slots begin that have only quarantined rows; ascending.
    pub(super) blocked: Vec<i64>,
}

impl Read {
    /// What the bar of the last slot of a session is made of, and its slot, if it holds rows of the
    /// session after it.
    pub(super) fn made_of_last(&self, step: Step, last: &Bucket) -> Option<(i64, Steps)> {
        let begins = self.fine.begins.as_deref().unwrap_or(&self.fine.rows.ts);
        let before = |at: i64| begins.partition_point(|begin| *begin < at);
        let places = before(last.start)..before(last.end);
        let date_of = |place: usize| {
            let next = self.stretches.partition_point(|of| of.begin_of(0) <= begins[place]);
            self.stretches[next.saturating_sub(1)].date
        };
        let is_shared = |date: i32| match origin_of(&self.origins, date) {
            _ if date != last.date => true,
            Origin::Own => false,
            Origin::Made(of) => of.last.is_some(),
        };
        if places.is_empty() || !is_shared(date_of(places.end - 1)) {
            return None;
        }
        let steps = places.map(|place| match origin_of(&self.origins, date_of(place)) {
            Origin::Own => Steps::of(step),
            Origin::Made(of) => of.of(slot_of(step, self.fine.rows.ts[place])),
        });
        Some((last.slot, steps.fold(Steps::NONE, Steps::with)))
    }
}

/// What was read.
type Of = (SlotGrid, (i64, i64), Vec<ColumnId>);

/// The last readings of one maker.
#[derive(Default)]
pub(crate) struct Memo(RefCell<Vec<(Of, Rc<Read>)>>);

impl Maker<'_> {
    /// The rows of the slots of a finer grid that begin in a range; `None` if there are no slots.
    pub(super) fn read(
        &self,
        grid: SlotGrid,
        (start, end): (i64, i64),
        columns: Vec<ColumnId>,
    ) -> Result<Option<Rc<Read>>, Error> {
        let of = (grid, (start, end), columns);
        if let Some(memo) = self.memo
            && let Some((_, read)) = memo.0.borrow().iter().find(|(other, _)| *other == of)
        {
            return Ok(Some(Rc::clone(read)));
        }
        let stretches = self.finer(grid, start, end);
        if stretches.is_empty() {
            return Ok(None);
        }
        let wanted = Wanted { grid, columns: &of.2, flags: false, coverage: Coverage::No };
        let made = self.make(wanted, &stretches)?;
        let origins = made.origins.clone();
        let (fine, blocked) = self.fine(grid.step, made, &stretches);
        let read = Rc::new(Read { stretches, origins, fine, blocked });
        if let Some(memo) = self.memo {
            let mut kept = memo.0.borrow_mut();
            if kept.len() == KEPT_MAX {
                kept.remove(0);
            }
            kept.push((of, Rc::clone(&read)));
        }
        Ok(Some(read))
    }
}
