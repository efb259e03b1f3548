//! The features of one group for one instrument, as they are now.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_types::{DAY_NANOS, Reason, Timestamp};

use crate::curate::{Curated, CuratedScan, Forward, watermarks};
use crate::error::Error;
use crate::reference::{Action, Reference};
use crate::snapshot::Snapshot;
use crate::vintage::Vintage;

use super::super::begin::{self, Lead};
use super::super::changes::{self, Change};
use super::super::inputs::{SlotReader, Slots};
use super::super::lane::Asked;
use super::super::{FeatureGroup, FeatureScan, Way};
use super::head::{Head, OWN, Room, fields, is_alone};
use super::row::LiveRow;

/// Slots that close at one time of which all are told; of more only the newest are.
const TOLD_MAX: usize = 1_024;

/// Heads are kept at the begins of sessions at least so many slots apart.
const KEPT_SLOTS: u64 = 16;
/// So many where a few slots decide a cell,
const KEPT_OF_WINDOWS: usize = 2;
/// and so many where all do: the older, the further apart.
const KEPT_OF_RECURSIONS: usize = 16;

/// Slots before the last one with a row that are right too, if there are no more that are not due.
const SLOTS_BEFORE: u32 = 2;

/// So many slots are taken in before it is asked whether to go on.
const PACE_SLOTS: usize = 256;

/// How soon is looked again at cells that wait for another instrument's slot to be due.
const AGAIN_NANOS: i64 = 1_000_000_000;

/// What an update did.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The slots that have closed, in order.
    pub(super) closed: Vec<Arc<LiveRow>>,
    /// From the last but one slot that was there before on to the last, those whose cells are
    /// others now, or that have come between them.
    pub(super) corrected: Vec<Arc<LiveRow>>,
    /// Whether there are more slots that have closed or that are no longer there.
    pub(super) skipped: bool,
}

/// See the module.
pub(super) struct LiveLane {
    scan: FeatureScan,
    head: Option<Head>,
    /// Heads at the begins of some sessions, ascending.
    kept: Vec<Head>,
    pub(super) newest: Option<Arc<LiveRow>>,
    pub(super) previous: Option<Arc<LiveRow>>,
    /// The last slot that is not due.
    pub(super) forming: Option<Arc<LiveRow>>,
    /// When the first slot will be due that is not.
    pub(super) due: Option<i64>,
    watermarks: Vec<Option<i64>>,
    /// What corporate actions do to the rows that the head has taken, if they do anything.
    forward: Option<Arc<Forward>>,
}

/// What is read for an update.
pub(super) struct Sources<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) reference: &'a Reference,
    pub(super) room: &'a mut Room,
    pub(super) pace: Pace<'a>,
}

/// Whether an update is to go on.
type Pace<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// # Errors
/// `Stopped` if the update is not to go on.
fn keep(pace: &mut dyn FnMut() -> ControlFlow<()>) -> Result<(), Error> {
    match pace() {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::stopped("the update of live features was stopped")),
    }
}

impl LiveLane {
    pub(super) fn new(instrument: Arc<str>, group: Arc<FeatureGroup>) -> Self {
        let scan = FeatureScan {
            vintage: Vintage::Final,
            instrument,
            group,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            as_of: None,
            at_sequence: None,
            due: Timestamp::MAX,
            since: Timestamp::MIN,
            way: Way::Columns,
        };
        Self {
            scan,
            head: None,
            kept: Vec::new(),
            newest: None,
            previous: None,
            forming: None,
            due: None,
            watermarks: Vec::new(),
            forward: None,
        }
    }

    /// Brings it up to the snapshot after some changes.
    pub(super) fn update(
        &mut self,
        sources: &mut Sources<'_>,
        changes: &[Change],
    ) -> Result<Done, Error> {
        keep(sources.pace)?;
        let mut closed = Closed::default();
        if is_alone(&self.scan.group.graph().contexts) {
            self.go_on(sources, changes, &mut closed)?;
        } else {
            self.compute(sources, &mut closed)?;
        }
        Ok(self.tell(closed))
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) -> Done {
        (self.head, self.forming, self.due) = (None, None, None);
        self.kept.clear();
        self.tell(Closed::default())
    }

    /// What is different from what was told before.
    fn tell(&mut self, closed: Closed) -> Done {
        let (newest, previous) = (closed.newest.clone(), closed.previous.clone());
        let old = (self.previous.take(), self.newest.take());
        (self.newest, self.previous) = (newest, previous);
        let mut done = Done::default();
        let Some(last) = &old.1 else {
            done.closed.extend([&self.previous, &self.newest].into_iter().flatten().cloned());
            return done;
        };
        let is_new = |row: &&Arc<LiveRow>| row.ts > last.ts;
        done.closed.extend(closed.rows.iter().filter(is_new).cloned());
        let is_gone = self.newest.as_ref().is_none_or(|newest| newest.ts < last.ts);
        done.skipped = closed.skipped || is_gone;
        let first = old.0.as_ref().map_or(last.ts, |previous| previous.ts);
        let ends = closed.ends();
        let mut rows: Vec<&Arc<LiveRow>> = ends.iter().chain(&closed.rows).collect();
        rows.retain(|row| (first..=last.ts).contains(&row.ts));
        rows.sort_by_key(|row| row.ts);
        rows.dedup_by_key(|row| row.ts);
        let was = [&old.0, &old.1];
        let is_other = |row: &&&Arc<LiveRow>| !was.contains(&&Some(Arc::clone(row)));
        done.corrected.extend(rows.iter().filter(is_other).map(|row| Arc::clone(row)));
        done
    }

    /// Takes the slots in that have come, from as far back as the changes reach.
    fn go_on(
        &mut self,
        sources: &mut Sources<'_>,
        changes: &[Change],
        closed: &mut Closed,
    ) -> Result<(), Error> {
        let scan = self.scan.clone();
        let Sources { snapshot, reference, room, pace } = sources;
        let asked = Asked::new((*snapshot, *reference), &scan);
        let mut curated = match &self.head {
            Some(head) => Some(asked.open(from(&asked, head.next))?),
            None => None,
        };
        let moved = self.first_final(&asked, changes)?;
        let first = match &curated {
            None => i64::MIN,
            Some(curated) => {
                let adjusted = self.first_adjusted(&asked, curated, changes)?;
                let head = self.head.as_ref().map_or((i64::MIN, i64::MIN), Head::reach);
                changes::first_changed(curated, changes, head, moved).min(adjusted)
            }
        };
        if self.head.as_ref().is_none_or(|head| first < head.next) {
            self.kept.retain(|kept| kept.next <= first);
            self.head = self.kept.last().cloned();
            curated = None;
        }
        let is_bounded = matches!(asked.lead(OWN), Lead::Slots(_));
        if let (Some(head), Some(read), true) = (&self.head, &curated, is_bounded)
            && read.grid().count(read.calendar(), head.next, read.end().nanos()) > TOLD_MAX as u64
        {
            (self.head, curated, closed.skipped) = (None, None, true);
            self.kept.clear();
        }
        let mut before = SLOTS_BEFORE;
        loop {
            if self.head.is_none()
                && let Some(Beginning { head, forward }) = beginning(&asked, before)?
            {
                (self.head, self.forward) = (Some(head), forward);
            }
            if self.head.is_none() {
                (self.forming, self.due) = (None, None);
                return Ok(());
            }
            let fed = self.feed(&asked, curated.take(), (room, *pace), closed)?;
            if matches!(fed, Fed::Mixed | Fed::Early) {
                // What its slots say depends on which of them are due, or on where the range ends.
                self.head = None;
                self.kept.clear();
                *closed = Closed { skipped: closed.skipped, ..Closed::default() };
                return self.compute(sources, closed);
            }
            if fed == Fed::Hollow {
                // The rows behind the kept head that it was are gone.
                self.kept.pop();
                self.head = self.kept.last().cloned();
                *closed = Closed { skipped: closed.skipped, ..Closed::default() };
                continue;
            }
            if self.head.as_ref().is_some_and(Head::has_both) {
                return Ok(());
            }
            // More slots than thought are not due yet.
            self.head = None;
            self.kept.clear();
            *closed = Closed { skipped: closed.skipped, ..Closed::default() };
            before = before.saturating_mul(8);
        }
    }

    /// Takes in what comes after the head; `curated` reads it.
    fn feed(
        &mut self,
        asked: &Asked<'_>,
        curated: Option<Curated>,
        (room, pace): (&mut Room, Pace<'_>),
        closed: &mut Closed,
    ) -> Result<Fed, Error> {
        let head = self.head.as_mut().expect("invariant: somebody has begun");
        let curated = match curated {
            Some(curated) => curated,
            None => asked.open(from(asked, head.next))?,
        };
        let curated = curated.brought_back(self.forward.clone());
        let group = &asked.scan.group;
        let fields = fields(&group.plan);
        let due = (Timestamp::MAX, false);
        let reader = SlotReader::new(curated, (&fields, group.gap()), due, head.close);
        let mut feed = Feed {
            group,
            room,
            pace,
            now: asked.snapshot.now().nanos(),
            head,
            forming: None,
            due: None,
            is_mixed: false,
            kept: &mut self.kept,
            closed,
        };
        feed.all(reader)?;
        let Feed { forming, due, is_mixed, .. } = feed;
        let last = forming.as_ref().unwrap_or(&*head).newest.as_ref().map(|row| row.ts);
        let is_early = |last: i64| {
            let instrument = &asked.scan.instrument;
            !asked.reference.keeps(instrument, "calendar", Timestamp::from_nanos(last))
        };
        let fed = match forming {
            _ if is_mixed => Fed::Mixed,
            _ if last.is_some_and(is_early) => Fed::Early,
            None if head.ends_empty => Fed::Hollow,
            _ => Fed::Whole,
        };
        self.due = due;
        self.forming = forming.and_then(|forming| forming.newest);
        (closed.newest, closed.previous) = (head.newest.clone(), head.previous.clone());
        if let Some(row) = self.forming.as_mut().map(Arc::make_mut) {
            row.provisional = true;
        }
        Ok(fed)
    }

    /// When the first slot starts to which corporate actions do something else now: they are looked
    /// at anew if a fact, or a close before one of them, may have changed, or another one counts.
    fn first_adjusted(
        &mut self,
        asked: &Asked<'_>,
        curated: &Curated,
        changes: &[Change],
    ) -> Result<i64, Error> {
        let Some(forward) = &self.forward else { return Ok(i64::MAX) };
        let settled = forward.settled_from(curated);
        let is_near = |change: &Change| match *change {
            Change::All => true,
            Change::Rows { first, .. } | Change::Reasons(first) => first < settled,
        };
        let actions = asked.reference.actions(&asked.scan.instrument);
        let head = self.head.as_ref().map_or(i32::MIN, |head| head.session);
        let end = curated.last_date().unwrap_or(head);
        let is_new = |action: &Action| (i64::from(head) + 1..=end.into()).contains(&action.ex_date);
        if !changes.iter().any(is_near) && !actions.iter().any(is_new) {
            return Ok(i64::MAX);
        }
        let calendar = asked.calendar(&asked.scan.instrument)?;
        let adjust = asked.scan.group.definition.bars.adjust;
        let all = (from(asked, i64::MIN), adjust);
        let now = begin::forward(asked.snapshot, asked.reference, &calendar, all)?;
        let Some(now) = now else { return Ok(i64::MIN) };
        let first = forward.first_other(&now, curated).unwrap_or(i64::MAX);
        self.forward = Some(Arc::new(now));
        Ok(first)
    }

    /// The instant behind which rows have become final, or no longer are, by what watermarks say.
    fn first_final(&mut self, asked: &Asked<'_>, changes: &[Change]) -> Result<i64, Error> {
        if self.head.is_some() && changes.iter().all(|change| matches!(change, Change::Rows { .. }))
        {
            return Ok(i64::MAX);
        }
        let now = watermarks(asked.snapshot, asked.reference, &asked.own())?;
        let old = std::mem::replace(&mut self.watermarks, now);
        let unsettled = self.head.as_ref().map_or(i64::MAX, |head| head.unsettled);
        Ok(changes::first_final(&old, &self.watermarks, unsettled))
    }

    /// Computes the last slots anew, because they read others' slots.
    fn compute(&mut self, sources: &mut Sources<'_>, closed: &mut Closed) -> Result<(), Error> {
        let snapshot = sources.snapshot;
        (self.forming, self.due) = (None, None);
        let Some(last) = snapshot.newest_slot(&self.scan)?.map(Timestamp::nanos) else {
            return Ok(());
        };
        let dated = self.scan.group.definition.bars.every.is_dated();
        let mut back = if dated { 40 * DAY_NANOS } else { DAY_NANOS };
        let mut start = self.previous.as_ref().map_or(last - back, |row| row.ts.min(last));
        loop {
            let now = snapshot.now();
            let rows = self.rows_from(sources, (start, last), now)?;
            if rows.len() >= 2 || start == i64::MIN {
                // What is not due yet, of this instrument or of another.
                let told = &rows[rows.len().saturating_sub(2)..];
                let after = told.first().map_or(start, |row| row.ts);
                let mut later = self.rows_from(sources, (after, last), Timestamp::MAX)?;
                if !later.starts_with(told) {
                    self.due = Some(now.nanos().saturating_add(AGAIN_NANOS));
                }
                let last = told.last().map_or(i64::MIN, |row| row.ts);
                later.retain(|row| row.ts > last);
                let next = later.first().map(|row| row.available_at);
                self.due = self.due.into_iter().chain(next).min();
                rows.into_iter().for_each(|row| closed.push(row));
                self.forming = later.pop();
                if let Some(row) = self.forming.as_mut().map(Arc::make_mut) {
                    row.provisional = true;
                }
                return Ok(());
            }
            back = back.saturating_mul(8);
            start = if back == i64::MAX { i64::MIN } else { last.saturating_sub(back) };
        }
    }

    /// The slots that start from one instant to another and are due at `due`.
    fn rows_from(
        &self,
        sources: &mut Sources<'_>,
        (start, last): (i64, i64),
        due: Timestamp,
    ) -> Result<Vec<Arc<LiveRow>>, Error> {
        let [start, end] = [start, last.saturating_add(1)].map(Timestamp::from_nanos);
        let scan = FeatureScan { start, end, due, ..self.scan.clone() };
        let mut features = sources.snapshot.features(&scan)?;
        let mut rows = Vec::new();
        while let Some(piece) = features.next()? {
            keep(sources.pace)?;
            rows.extend((0..piece.len()).map(|at| Arc::new(LiveRow::of_piece(&piece, at))));
        }
        Ok(rows)
    }
}

/// What to read from `next` on.
fn from(asked: &Asked<'_>, next: i64) -> CuratedScan {
    CuratedScan { start: Timestamp::from_nanos(next), ..asked.own() }
}

/// Where to begin.
struct Beginning {
    head: Head,
    forward: Option<Arc<Forward>>,
}

/// The head before the slots that decide the last ones, so many of them; `None` if there is no row.
fn beginning(asked: &Asked<'_>, before: u32) -> Result<Option<Beginning>, Error> {
    let group = &asked.scan.group;
    let own = asked.own();
    let lead = asked.lead(OWN);
    let (scan, lead, unready) = match lead {
        Lead::All => (own, lead, 0),
        Lead::Slots(slots) => {
            let Some(last) = asked.snapshot.newest_slot(asked.scan)? else { return Ok(None) };
            let lead = Lead::Slots(slots.saturating_add(before));
            (CuratedScan { start: last, ..own }, lead, u64::from(slots))
        }
    };
    let calendar = asked.calendar(&scan.instrument)?;
    let what = (lead, group.gap(), asked.scan.since, group.definition.bars.adjust);
    let begin = begin::find(asked.snapshot, asked.reference, &calendar, &scan, what)?;
    Ok(begin.map(|begin| {
        let unready = if begin.rank == 1 { 0 } else { unready };
        let from = (begin.start.nanos(), begin.rank - 1);
        let head = Head::before(&group.plan, from, unready, begin.close);
        Beginning { head, forward: begin.forward }
    }))
}

/// What came of taking slots in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fed {
    /// The head is what history says.
    Whole,
    /// A slot is not due though a later one is, because it comes from another source.
    Mixed,
    /// The instrument has another calendar from some time behind the last slot on: a range that
    /// ends with the slot follows its own.
    Early,
    /// No row is there behind the empty slots that the head ends with.
    Hollow,
}

/// The slots that have closed.
#[derive(Default)]
struct Closed {
    rows: VecDeque<Arc<LiveRow>>,
    skipped: bool,
    /// The last one, and the one before.
    newest: Option<Arc<LiveRow>>,
    previous: Option<Arc<LiveRow>>,
}

impl Closed {
    fn push(&mut self, row: Arc<LiveRow>) {
        self.previous = self.newest.replace(Arc::clone(&row));
        if self.rows.len() == TOLD_MAX {
            self.rows.pop_front();
            self.skipped = true;
        }
        self.rows.push_back(row);
    }

    fn ends(&self) -> Vec<Arc<LiveRow>> {
        [&self.previous, &self.newest].into_iter().flatten().cloned().collect()
    }
}

/// Slots on their way into a head.
struct Feed<'a, 'b> {
    group: &'a FeatureGroup,
    room: &'a mut Room,
    pace: Pace<'a>,
    now: i64,
    head: &'a mut Head,
    /// What the head would be if the slots that are not due had closed.
    forming: Option<Head>,
    /// When the first slot is due that is not.
    due: Option<i64>,
    /// Whether a slot is not due though a later one is.
    is_mixed: bool,
    kept: &'a mut Vec<Head>,
    closed: &'b mut Closed,
}

impl Feed<'_, '_> {
    /// Takes all slots up to the last one with a row.
    fn all(&mut self, mut reader: SlotReader) -> Result<(), Error> {
        // Slots behind the last one that is due and has a row, and from where on.
        let mut held: Vec<(Slots, usize)> = Vec::new();
        while let Some(slots) = reader.next()? {
            let closes = |at: &usize| self.is_due(&slots, *at) && has_row(&slots, *at);
            let closed = (0..slots.len()).rfind(closes).map_or(0, |last| last + 1);
            if closed > 0 {
                for (slots, from) in held.drain(..) {
                    self.close_all((from..slots.len()).map(|at| (&slots, at)))?;
                }
                self.close_all((0..closed).map(|at| (&slots, at)))?;
            }
            held.push((slots, closed));
        }
        let all =
            held.iter().flat_map(|(slots, from)| (*from..slots.len()).map(move |at| (slots, at)));
        let all: Vec<(&Slots, usize)> = all.collect();
        let last = all.iter().rposition(|(slots, at)| has_row(slots, *at));
        let Some(last) = last else { return Ok(()) };
        let closed = all[..=last].iter().rposition(|(slots, at)| self.is_due(slots, *at));
        let (closed, forming) = all[..=last].split_at(closed.map_or(0, |last| last + 1));
        self.close_all(closed.iter().copied())?;
        for (slots, at) in forming {
            let due = slots.available_at[*at];
            self.due = earlier(self.due, Some(due));
            let forming = self.forming.get_or_insert_with(|| self.head.clone());
            forming.take(&self.group.plan, self.room, slots, *at);
        }
        Ok(())
    }

    fn is_due(&self, slots: &Slots, at: usize) -> bool {
        slots.available_at[at] <= self.now
    }

    fn close_all<'s>(
        &mut self,
        all: impl Iterator<Item = (&'s Slots, usize)>,
    ) -> Result<(), Error> {
        for (count, (slots, at)) in all.enumerate() {
            if count % PACE_SLOTS == 0 {
                keep(self.pace)?;
            }
            self.close(slots, at);
        }
        Ok(())
    }

    fn close(&mut self, slots: &Slots, at: usize) {
        self.is_mixed |= !self.is_due(slots, at);
        self.keep(slots.session[at]);
        if self.head.take(&self.group.plan, self.room, slots, at) {
            self.head.newest.iter().for_each(|row| self.closed.push(Arc::clone(row)));
        }
    }

    /// Keeps the head if a session begins.
    fn keep(&mut self, session: i32) {
        let since = self.kept.last().map_or(0, |kept| kept.taken);
        if session == self.head.session || self.head.taken < since + KEPT_SLOTS {
            return;
        }
        let bounded = self.group.plan.lookback(OWN).is_some();
        let most = if bounded { KEPT_OF_WINDOWS } else { KEPT_OF_RECURSIONS };
        if self.kept.len() == most {
            // One without which the way to the next older is at most as long as the younger's age,
            // so that going back to the last one kept at most doubles the way.
            let taken = |at: usize| self.kept[at].taken;
            let is_spare =
                |at: &usize| taken(at + 1) - taken(at - 1) <= self.head.taken - taken(at + 1);
            self.kept.remove((1..most - 1).find(is_spare).unwrap_or(0));
        }
        self.kept.push(self.head.clone());
    }
}

fn earlier(one: Option<i64>, other: Option<i64>) -> Option<i64> {
    one.into_iter().chain(other).min()
}

fn has_row(slots: &Slots, at: usize) -> bool {
    slots.reason[at] == Reason::Ok.code()
}
