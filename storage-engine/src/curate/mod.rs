//! The curated layer: for each expected slot of an instrument one row, or the reason why not.
//!
//! What it answers is told in `docs/CURATION.md`. It is a view: the rows are merged from raw series
//! when they are asked for, a *window* of some thousand slots at a time. With one source the
//! rows of a window are handed on as they were read.

mod adjust;
mod candidates;
mod closes;
mod contents;
mod forward;
mod newest;
mod reach;
mod upkeep;
mod verify;
mod window;

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Align, DAY_NANOS, SessionSet};
use barrow_types::{ColumnId, PriceSide, Sequence, Step, Timestamp};

use crate::aggregates::{
    Coverage, Inspector, Maker, Origin, Reasons, Steps, Subjects, Wanted as Asked,
};
use crate::aggregates::{bounds, ticks_of};
use crate::calendar::{Calendar, SlotGrid, Stretch, day_of, slot_begin, slot_of};
use crate::error::Error;
use crate::gaps::{Explainer, FactsAt, Presence, Reason};
use crate::reference::Reference;
use crate::rows::{Column, Rows, Values, flags};
use crate::snapshot::Snapshot;

use adjust::{Adjuster, Role};
pub use adjust::{Adjustment, Anchor};
pub use barrow_types::Adjust;
pub use candidates::Candidate;
use candidates::{Wanted, candidates};
pub(crate) use candidates::{bound, sources};
use contents::Contents;
pub(crate) use forward::{Forward, Unknown};
pub use newest::Newest;
use reach::minute_of;
pub(crate) use reach::{Ending, Ends, watermarks};
pub use upkeep::{TilesDone, TilesJob};
pub(crate) use verify::{LiveTiles, NextTiles, verify_tile_files};
use window::Window;

/// No session is longer.
const SESSION_NANOS_MAX: i64 = 3 * DAY_NANOS;

/// No slot is longer: a month and what its first session has of the day before.
const SLOT_NANOS_MAX: i64 = 33 * DAY_NANOS;

/// The longest step below a day. What is said of a finer slot of a session may lie before or behind
/// the session: anywhere in that slot of the clock.
const LONGEST_FINER: Step = Step::H4;

/// A window has this many slots, or one session.
const WINDOW_SLOTS: u32 = 16_384;

/// Whose rows are taken where the preferred source has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fallback {
    /// Nobody's.
    None,
    /// For a whole session: those of the first source that has any in it.
    #[default]
    Session,
    /// For a single slot: those of the first source that has one.
    Slot,
}

impl Fallback {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::None, Self::Session, Self::Slot];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Session => "session",
            Self::Slot => "slot",
        }
    }

    /// The way of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.name() == name)
    }
}

/// What to read of the curated layer: one instrument, the slots that start in a range.
#[derive(Clone, Debug)]
pub struct CuratedScan {
    /// The instrument's id.
    pub instrument: Arc<str>,
    /// The length of its bars, as stored.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// The first instant at which a slot may start; [`Timestamp::MIN`]: with the first row.
    pub start: Timestamp,
    /// The end of these instants, not one of them; [`Timestamp::MAX`]: behind the last row.
    pub end: Timestamp,
    /// Which part of each session.
    pub session: SessionSet,
    /// How bars lie in it; `None`: as the preferred source says.
    pub align: Option<Align>,
    /// User columns wanted, in this order.
    pub columns: Vec<ColumnId>,
    /// Only this source.
    pub source: Option<String>,
    /// `None`: as the dataset's setting says.
    pub fallback: Option<Fallback>,
    /// T: only what was known then.
    pub as_of: Option<Timestamp>,
    /// N: only what Barrow held then.
    pub at_sequence: Option<Sequence>,
    /// D: what ends later is not due.
    pub due: Timestamp,
    /// Whether empty slots come too.
    pub empty: bool,
    /// Whether rows are told that rules flag: see [`Piece::flagged`].
    pub flags: bool,
    /// Whether it is told how much of each row is there: see [`Piece::coverage`].
    pub coverage: bool,
}

/// What is in the slots of a [`SlotSpan`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// One row each: those of the piece from this place on.
    Rows(usize),
    /// Nothing, for this reason.
    Empty(Reason),
}

/// Consecutive expected slots of one stretch, alike.
#[derive(Clone, Copy, Debug)]
pub struct SlotSpan {
    /// The stretch that they are of.
    pub stretch: Stretch,
    /// The first of them, counted in the stretch.
    pub first: u32,
    /// How many there are; at least one.
    pub count: u32,
    /// Whose rows they are, or whose would be: a place in [`Curated::candidates`].
    pub candidate: Option<usize>,
    /// What is in them.
    pub content: Content,
    /// Where their rows come from, or would.
    origin: Origin,
}

/// Some slots, in order, and their rows.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The slots.
    pub spans: Vec<SlotSpan>,
    /// Their rows, in order; `ts` as stored.
    pub rows: Rows,
    /// The places of the rows that a rule flags, in order, if [`CuratedScan::flags`] asks for them.
    pub flagged: Vec<usize>,
    /// Of each row the share of its finer slots that is there, if [`CuratedScan::coverage`] asks
    /// for it.
    pub coverage: Vec<f64>,
}

/// Whether a row may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Its slot has not ended, or its source has not said that it has.
    Provisional,
    /// It is what its source delivered.
    Final,
    /// It took the place of another.
    Corrected,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Provisional, Self::Final, Self::Corrected];

    /// Its place among all.
    pub const fn place(self) -> u32 {
        self as u32
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Provisional => "provisional",
            Self::Final => "final",
            Self::Corrected => "corrected",
        }
    }
}

/// Some slots of a stretch that have one candidate.
#[derive(Clone, Copy)]
struct Part {
    stretch: Stretch,
    first: u32,
    count: u32,
    candidate: Option<usize>,
}

/// The curated slots of one instrument, a piece at a time.
pub struct Curated {
    snapshot: Snapshot,
    scan: CuratedScan,
    fallback: Fallback,
    candidates: Vec<Candidate>,
    /// Of each candidate, then of slots without any.
    reasons: Vec<Reasons>,
    calendar: Option<Arc<Calendar>>,
    inspector: Inspector,
    /// The end of the range as it was asked for, even where rows end before it.
    asked_end: Timestamp,
    /// What corporate actions do to the rows.
    adjuster: Option<Adjuster>,
    /// What they do to the rows as features take them, and the role of each column.
    forward: Option<(Arc<Forward>, Vec<Role>)>,
    /// Whether only masks are read, and pieces have no rows.
    masks_only: bool,
    /// Whether the rows of a session decide together who delivers it.
    by_session: bool,
    /// The expected slots, whole sessions of them where the choice of a source needs that.
    stretches: VecDeque<Stretch>,
}

impl Snapshot {
    /// Streams the slots of one instrument in order, as the curated layer has them.
    ///
    /// # Errors
    /// `Invalid` if the instrument's calendar is not known, or for a column that bars do not have;
    /// `Corrupt` if a block that is needed is damaged.
    pub fn curated(&self, scan: CuratedScan) -> Result<Curated, Error> {
        let reference = Reference::at(self, scan.as_of, scan.at_sequence)?;
        Curated::new(self.clone(), &reference, scan, false)
    }

    /// As [`Self::curated`], but pieces have no rows, and a span of rows says only that there are
    /// some. Reads masks, so it costs little where little is missing.
    ///
    /// # Errors
    /// As [`Self::curated`].
    pub fn gaps(&self, scan: CuratedScan) -> Result<Curated, Error> {
        let reference = Reference::at(self, scan.as_of, scan.at_sequence)?;
        let scan = CuratedScan { empty: true, columns: Vec::new(), ..scan };
        Curated::new(self.clone(), &reference, scan, true)
    }
}

impl Curated {
    fn new(
        snapshot: Snapshot,
        reference: &Reference,
        scan: CuratedScan,
        masks_only: bool,
    ) -> Result<Self, Error> {
        let calendar = calendar_of(reference, &scan.instrument, scan.end)?;
        Self::on(calendar, snapshot, reference, scan, masks_only)
    }

    /// Slots that `calendar` expects.
    pub(crate) fn on(
        calendar: Option<Arc<Calendar>>,
        snapshot: Snapshot,
        reference: &Reference,
        scan: CuratedScan,
        masks_only: bool,
    ) -> Result<Self, Error> {
        let setting = reference.setting("bars", "fallback").and_then(Fallback::parse);
        let fallback = scan.fallback.or(setting).unwrap_or_default();
        let asked_end = scan.end;
        let mut scan = scan;
        let range = (scan.start.nanos(), scan.end.nanos());
        let wanted = Wanted {
            instrument: &scan.instrument,
            step: scan.step,
            side: scan.side,
            range,
            as_of: scan.as_of,
            at_sequence: scan.at_sequence,
            source: scan.source.as_deref(),
        };
        let mut candidates = candidates(&snapshot, reference, &wanted)?;
        if fallback == Fallback::None
            && let Some(first) = candidates.iter().position(|of| of.bound.cover(range.0, range.1))
        {
            // Nobody is asked after one that is bound at every slot.
            candidates.truncate(first + 1);
        }
        let preferred = candidates.first().map(|first| first.lineage.align);
        scan.align = scan.align.or(preferred);
        let slots = clip_to_rows(&snapshot, calendar.as_deref(), &candidates, &mut scan);
        let has_choice = |of: &Candidate| of.lineage.has_choice(scan.step);
        let by_session = fallback == Fallback::Session && candidates.len() > 1
            || candidates.iter().any(has_choice);
        let mut stretches = stretches(&scan, calendar.as_deref(), by_session);
        if scan.step.is_dated() {
            stretches.retain(|stretch| slots.contains(&stretch.first_slot));
        }
        let has_ticks = |of: &Candidate| of.lineage.series(Step::Tick).is_some();
        let ticks = candidates.iter().any(has_ticks).then(|| ticks_of(scan.side));
        let inspector = Inspector::new(reference, &scan.instrument, calendar.clone(), ticks);
        // Masks know which rows of their own are visible, not which are good or can be made.
        let keys = candidates.iter().map(|of| of.key(scan.step, scan.side));
        let masks_only = masks_only
            && candidates.iter().all(|of| of.lineage.is_own_only(scan.step))
            && !inspector.may_quarantine(&snapshot, keys);
        let mut curated = Self {
            snapshot,
            scan,
            fallback,
            candidates,
            reasons: Vec::new(),
            calendar,
            inspector,
            asked_end,
            adjuster: None,
            forward: None,
            masks_only,
            by_session,
            stretches,
        };
        curated.reasons = curated.reasons(reference)?;
        Ok(curated)
    }

    fn facts(&self) -> FactsAt<'_> {
        let CuratedScan { as_of, at_sequence, .. } = self.scan;
        FactsAt { snapshot: &self.snapshot, as_of, at_sequence }
    }

    fn reasons(&self, reference: &Reference) -> Result<Vec<Reasons>, Error> {
        let scan = &self.scan;
        let range = match (self.stretches.front(), self.stretches.back()) {
            (Some(first), Some(last)) => {
                // A bucket may end after the slot of the clock that its rows lie in.
                let (from, to) = bounds(scan.step, first, last);
                let from = from.min(first.first_start);
                let to = to.max(last.end_of(last.count - 1));
                if scan.step.is_dated() { whole_slots(LONGEST_FINER, from, to) } else { (from, to) }
            }
            _ => (0, 0),
        };
        let of = Subjects {
            facts: self.facts(),
            reference,
            instrument: &scan.instrument,
            side: scan.side,
            range,
            due: scan.due,
        };
        let of_candidate = |Candidate { symbol, source, lineage, .. }: &Candidate| {
            Reasons::new(&of, (symbol, source), lineage, scan.step)
        };
        let all = self.candidates.iter().map(of_candidate);
        all.chain([Reasons::of_nobody(&of)]).collect()
    }

    /// The makers of the candidates' rows.
    fn makers(&self) -> impl Iterator<Item = Maker<'_>> {
        let CuratedScan { side, .. } = self.scan;
        self.candidates.iter().zip(&self.reasons).map(move |(candidate, reasons)| {
            let Candidate { symbol, source, lineage, bound } = candidate;
            Maker {
                at: self.facts(),
                symbol,
                source,
                side,
                lineage,
                bound,
                calendar: self.calendar.as_deref(),
                inspector: &self.inspector,
                reasons,
                remembers: true,
                memo: None,
            }
        })
    }

    /// Who may deliver, in order of preference.
    pub fn candidates(&self) -> &[Candidate] {
        &self.candidates
    }

    /// The calendar that says which slots are expected; `None`: all are.
    pub fn calendar(&self) -> Option<&Calendar> {
        self.calendar.as_deref()
    }

    /// The same, of the slots alone that start in a part of its range.
    #[must_use]
    pub fn narrowed(mut self, start: Timestamp, end: Timestamp) -> Self {
        self.scan.start = self.scan.start.max(start);
        self.scan.end = self.scan.end.min(end);
        let (start, end) = (self.scan.start.nanos(), self.scan.end.nanos());
        let lies_in = |of: &Stretch| of.start_of(0) < end && of.start_of(of.count - 1) >= start;
        let dates: Vec<i32> =
            self.stretches.iter().filter(|of| lies_in(of)).map(|of| of.date).collect();
        let is_whole = self.by_session && !self.scan.step.is_dated();
        let of_session = |of: &Stretch| is_whole && dates.binary_search(&of.date).is_ok();
        self.stretches.retain(|stretch| lies_in(stretch) || of_session(stretch));
        self
    }

    /// How long after their ends slots can be had, the shortest first: of whoever may deliver them.
    pub(crate) fn publish_delays(&self) -> Vec<i64> {
        let delay = |place: usize| self.explainer(Some(place), Origin::Own).publish_delay.get();
        let mut delays: Vec<i64> = (0..self.candidates.len()).map(delay).collect();
        let is_bound = |of: &Stretch| {
            let (first, last) = (of.start_of(0), of.start_of(of.count - 1).saturating_add(1));
            self.candidates.iter().any(|candidate| candidate.bound.cover(first, last))
        };
        if !self.stretches.iter().all(is_bound) {
            delays.push(self.explainer(None, Origin::Own).publish_delay.get());
        }
        delays.sort_unstable();
        delays.dedup();
        delays
    }

    /// Whose slots they are.
    pub(crate) fn instrument(&self) -> &str {
        &self.scan.instrument
    }

    /// Whether what comes in a session decides whose rows all its slots take.
    pub(crate) const fn is_by_session(&self) -> bool {
        self.by_session
    }

    /// When its first slot starts and its last; `None` if it has none.
    pub(crate) fn starts(&self) -> Option<(i64, i64)> {
        let (start, end) = (self.scan.start.nanos(), self.scan.end.nanos());
        let before = |of: &Stretch, end: i64| partition(of.count, |at| of.start_of(at) < end);
        let first = self.stretches.iter().find_map(|of| {
            let at = before(of, start);
            (at < of.count).then(|| of.start_of(at))
        })?;
        let last = self.stretches.iter().rev().find_map(|of| {
            let at = before(of, end);
            at.checked_sub(1).map(|at| of.start_of(at))
        })?;
        (first <= last).then_some((first, last))
    }

    /// When slots have ended that are due.
    pub(crate) const fn due(&self) -> Timestamp {
        self.scan.due
    }

    /// The end of its range: behind the last row if it was asked for without one.
    pub(crate) fn end(&self) -> Timestamp {
        self.scan.end
    }

    /// The same, to be kept.
    pub(crate) fn calendar_shared(&self) -> Option<Arc<Calendar>> {
        self.calendar.clone()
    }

    /// The slots that it answers.
    pub(crate) fn grid(&self) -> SlotGrid {
        grid(&self.scan)
    }

    /// Whether pieces tell how much of each row is there.
    pub const fn tells_coverage(&self) -> bool {
        self.scan.coverage
    }

    /// When the slots of a span could first be had: this long after they end.
    pub fn publish_delay(&self, span: &SlotSpan) -> barrow_types::Nanos {
        self.explainer(span.candidate, span.origin).publish_delay
    }

    /// Whether the row at `place` of a piece, in slot `at` of `span`, may still change.
    pub fn state(&self, piece: &Piece, span: &SlotSpan, at: u32, place: usize) -> State {
        let is_corrected = piece.rows.flags[place] & flags::CORRECTED != 0;
        let end = span.stretch.end_of(at);
        let steps = match span.origin {
            // What took the place of another is told first: its source has said it twice.
            Origin::Own if is_corrected => return State::Corrected,
            Origin::Own => Steps::of(self.scan.step),
            Origin::Made(of) => of.of(span.stretch.first_slot + i64::from(at)),
        };
        let of_candidate = &self.reasons[span.candidate.unwrap_or(self.candidates.len())];
        if end > self.scan.due.nanos() || of_candidate.are_open(steps, end) {
            State::Provisional
        } else if is_corrected {
            State::Corrected
        } else {
            State::Final
        }
    }

    /// The instant behind which slots of a span of rows end that are provisional, and whether those
    /// are not that took the place of others; `None` if that depends on the slot.
    pub(crate) fn provisional_after(&self, span: &SlotSpan) -> Option<(i64, bool)> {
        let (steps, is_own) = match span.origin {
            Origin::Own => (Steps::of(self.scan.step), true),
            Origin::Made(of) => (of.of_all()?, false),
        };
        let of_candidate = &self.reasons[span.candidate.unwrap_or(self.candidates.len())];
        Some((of_candidate.open_after(steps).min(self.scan.due.nanos()), is_own))
    }

    fn explainer(&self, candidate: Option<usize>, origin: Origin) -> &Explainer {
        let reasons = &self.reasons[candidate.unwrap_or(self.candidates.len())];
        reasons.of(self.scan.step, origin)
    }

    /// The next slots; `None` after the last.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is not an `Iterator`")]
    pub fn next(&mut self) -> Result<Option<Piece>, Error> {
        loop {
            let mut slots = 0;
            let mut stretches = Vec::new();
            while let Some(next) = self.stretches.front() {
                let same_session =
                    stretches.last().is_some_and(|last: &Stretch| last.date == next.date);
                if slots >= WINDOW_SLOTS && !same_session {
                    break;
                }
                slots += next.count;
                stretches.extend(self.stretches.pop_front());
            }
            if stretches.is_empty() {
                return Ok(None);
            }
            let contents = if self.masks_only {
                Contents::masks(&self.snapshot, &self.scan, &self.candidates, &stretches)?
            } else {
                let asked = Asked {
                    grid: grid(&self.scan),
                    columns: &self.scan.columns,
                    flags: self.scan.flags,
                    coverage: if self.scan.coverage { Coverage::Share } else { Coverage::No },
                };
                Contents::Rows(Window::read(asked, self.makers(), &stretches)?)
            };
            let parts = self.choose(&contents, &stretches);
            let mut piece = self.fill(contents, &parts);
            if let Some(adjuster) = &self.adjuster {
                adjuster.apply(&mut piece);
            }
            if let Some((forward, roles)) = &self.forward {
                forward.apply(&mut piece, roles);
            }
            if !piece.spans.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// Whose rows each slot takes.
    fn choose(&self, contents: &Contents, stretches: &[Stretch]) -> Vec<Part> {
        let mut parts = Vec::new();
        for session in stretches.chunk_by(|a, b| a.date == b.date) {
            let in_order = self.order(contents, session);
            for stretch in session {
                self.choose_in(contents, stretch, &in_order, &mut parts);
            }
        }
        parts.into_iter().filter_map(|part| self.clip(part)).collect()
    }

    /// The slots of a part that start in the range that was asked for.
    fn clip(&self, part: Part) -> Option<Part> {
        let Part { stretch, first, count, .. } = part;
        let starts_before =
            |end: Timestamp| partition(count, |at| stretch.start_of(first + at) < end.nanos());
        let (from, to) = (starts_before(self.scan.start), starts_before(self.scan.end));
        (from < to).then(|| Part { first: first + from, count: to - from, ..part })
    }

    /// The candidates in the order in which they are asked for the slots of a session.
    fn order(&self, contents: &Contents, session: &[Stretch]) -> Vec<usize> {
        let all = 0..self.candidates.len();
        if self.fallback != Fallback::Session || all.len() < 2 {
            return all.collect();
        }
        let has_rows = |&at: &usize| {
            let candidate = &self.candidates[at];
            session.iter().any(|stretch| contents.has_good_row(at, candidate, stretch))
        };
        let (mut first, others): (Vec<_>, Vec<_>) = all.partition(has_rows);
        first.extend(others);
        first
    }

    fn choose_in(
        &self,
        contents: &Contents,
        stretch: &Stretch,
        in_order: &[usize],
        parts: &mut Vec<Part>,
    ) {
        let part = |first, count, candidate| Part { stretch: *stretch, first, count, candidate };
        let by_slot = self.fallback == Fallback::Slot && in_order.len() > 1;
        let (start, end) = (stretch.start_of(0), stretch.start_of(stretch.count - 1));
        if let Some(&first) = in_order.first()
            && !by_slot
            && self.candidates[first].bound.cover(start, end.saturating_add(1))
        {
            parts.push(part(0, stretch.count, Some(first)));
            return;
        }
        let mut run: Option<Part> = None;
        for at in 0..stretch.count {
            let start = stretch.start_of(at);
            let slot = stretch.first_slot + i64::from(at);
            let mut bound =
                in_order.iter().copied().filter(|&at| self.candidates[at].is_bound_at(start));
            let chosen = if by_slot {
                let bound: Vec<usize> = bound.collect();
                let with_row = bound.iter().find(|&&at| contents.is_good(at, slot));
                with_row.or(bound.first()).copied()
            } else {
                bound.next()
            };
            match &mut run {
                Some(run) if run.candidate == chosen => run.count += 1,
                _ => parts.extend(run.replace(part(at, 1, chosen))),
            }
        }
        parts.extend(run);
    }

    /// The spans of some parts of a window, and their rows.
    fn fill(&self, contents: Contents, parts: &[Part]) -> Piece {
        let mut filler = Filler {
            step: self.scan.step,
            empty: self.scan.empty,
            origin: Origin::Own,
            spans: Vec::with_capacity(parts.len()),
            taken: Vec::new(),
            row_count: 0,
        };
        for part in parts {
            let origin = match (&contents, part.candidate) {
                (Contents::Rows(window), Some(at)) => window.origin(at, part.stretch.date),
                _ => Origin::Own,
            };
            filler.origin = origin;
            filler.part(part, &contents, self.explainer(part.candidate, origin));
        }
        let Filler { spans, taken, .. } = filler;
        let (mut rows, flagged) = match contents {
            Contents::Rows(window) => window.take(&taken),
            Contents::Masks(_) => (Rows::empty([]), Vec::new()),
        };
        let coverage = match rows.columns.pop_if(|_| self.scan.coverage) {
            Some(Column { values: Values::F64(shares), .. }) => shares,
            _ => Vec::new(),
        };
        Piece { spans, rows, flagged, coverage }
    }
}

/// Gathers the spans of a piece.
struct Filler {
    step: Step,
    empty: bool,
    /// Of the part at hand.
    origin: Origin,
    spans: Vec<SlotSpan>,
    /// Candidate and range of its rows, in order.
    taken: Vec<(usize, Range<usize>)>,
    row_count: usize,
}

impl Filler {
    fn part(&mut self, part: &Part, contents: &Contents, explainer: &Explainer) {
        let end = part.first + part.count;
        let Some(candidate) = part.candidate else {
            self.hole(part, part.first..end, None, explainer);
            return;
        };
        match contents {
            Contents::Rows(window) => self.part_of_rows(part, candidate, window, explainer),
            Contents::Masks(masks) => {
                self.part_of_mask(part, masks[candidate].as_ref(), explainer);
            }
        }
    }

    fn part_of_mask(&mut self, part: &Part, mask: Option<&Presence>, explainer: &Explainer) {
        let end = part.first + part.count;
        let first = part.stretch.first_slot;
        let slots = first + i64::from(part.first)..first + i64::from(end);
        let offset = |slot: i64| {
            u32::try_from(slot - first).expect("invariant: the slot lies in the stretch")
        };
        let mut at = part.first;
        if let Some(mask) = mask {
            mask.runs(slots, |run| {
                let (start, end) = (offset(run.start), offset(run.end));
                self.hole(part, at..start, None, explainer);
                self.span(part, start, end - start, Content::Rows(0));
                at = end;
            });
        }
        self.hole(part, at..end, None, explainer);
    }

    fn part_of_rows(
        &mut self,
        part: &Part,
        candidate: usize,
        window: &Window,
        explainer: &Explainer,
    ) {
        let end = part.first + part.count;
        let slot = |at: u32| part.stretch.first_slot + i64::from(at);
        let rows = window.places(candidate, slot(part.first)..slot(end));
        if window.is_dense(candidate, rows.clone(), slot(part.first), part.count) {
            self.rows(part, part.first, part.count, candidate, rows);
            return;
        }
        let mut at = part.first;
        for place in rows {
            let of_row = window.slot(candidate, place);
            let is_last_good = window.good_row(candidate, of_row) == Some(place);
            if !is_last_good {
                continue;
            }
            let offset = of_row - part.stretch.first_slot;
            let row_at = u32::try_from(offset).expect("invariant: the row lies in the part");
            self.hole(part, at..row_at, Some((candidate, window)), explainer);
            self.rows(part, row_at, 1, candidate, place..place + 1);
            at = row_at + 1;
        }
        self.hole(part, at..end, Some((candidate, window)), explainer);
    }

    /// Slots with one row each.
    fn rows(&mut self, part: &Part, first: u32, count: u32, candidate: usize, rows: Range<usize>) {
        match self.taken.last_mut() {
            Some((last, range)) if *last == candidate && range.end == rows.start => {
                range.end = rows.end;
            }
            _ => self.taken.push((candidate, rows)),
        }
        let place = self.row_count;
        self.row_count += count as usize;
        self.span(part, first, count, Content::Rows(place));
    }

    /// Slots without a row.
    fn hole(
        &mut self,
        part: &Part,
        slots: Range<u32>,
        of: Option<(usize, &Window)>,
        explainer: &Explainer,
    ) {
        if !self.empty {
            return;
        }
        for at in slots {
            let slot = part.stretch.first_slot + i64::from(at);
            let start = part.stretch.start_of(at);
            let quarantined =
                of.is_some_and(|(candidate, window)| window.has_row(candidate, slot, start));
            let reason = explainer.reason(&part.stretch, self.step, at, quarantined);
            self.span(part, at, 1, Content::Empty(reason));
        }
    }

    /// Adds slots to the last span if they go on with it.
    fn span(&mut self, part: &Part, first: u32, count: u32, content: Content) {
        if let Some(last) = self.spans.last_mut()
            && last.stretch.first_slot == part.stretch.first_slot
            && last.candidate == part.candidate
            && last.origin == self.origin
            && last.first + last.count == first
            && matches!(
                (last.content, content),
                (Content::Rows(_), Content::Rows(_)) | (Content::Empty(_), Content::Empty(_))
            )
            && (matches!(content, Content::Rows(_)) || last.content == content)
        {
            last.count += count;
            return;
        }
        let Part { stretch, candidate, .. } = *part;
        let origin = self.origin;
        self.spans.push(SlotSpan { stretch, first, count, candidate, content, origin });
    }
}

/// The first number below `count` for which `before` does not hold; it holds for those before it.
fn partition(count: u32, before: impl Fn(u32) -> bool) -> u32 {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    low
}

/// The slots of a question.
fn grid(scan: &CuratedScan) -> SlotGrid {
    let CuratedScan { step, session, align, .. } = *scan;
    SlotGrid { step, session, align: align.unwrap_or_default() }
}

/// Ends a range without an end where the candidates' rows end; returns the slots from the first to
/// the last of them, or all on a side that has an end.
fn clip_to_rows(
    snapshot: &Snapshot,
    calendar: Option<&Calendar>,
    candidates: &[Candidate],
    scan: &mut CuratedScan,
) -> Range<i64> {
    let mut slots = i64::MIN..i64::MAX;
    if scan.start > Timestamp::MIN && scan.end < Timestamp::MAX {
        return slots;
    }
    let grid = grid(scan);
    let series = candidates.iter().flat_map(|of| of.lineage.all().map(move |all| (of, all)));
    let spans = series.filter_map(|(of, (step, series))| {
        let (first, last) = snapshot.span(series)?;
        if step == scan.step {
            return Some((slot_of(step, first), slot_of(step, last)));
        }
        let (first, last) = if step.is_dated() {
            (open_of(calendar, first), open_of(calendar, last))
        } else if step != Step::Tick {
            // A bar is of the bucket that begins in its slot of the clock, anywhere in it.
            let (first, end) = whole_slots(step, first, last.saturating_add(1));
            (first, end - 1)
        } else if of.may_have_auctions(grid.session) {
            (in_hours(calendar, first), in_hours(calendar, last))
        } else {
            (first, last)
        };
        let first = if step < Step::M1 { minute_of(grid, calendar, first) } else { first };
        slots_around(grid, calendar, first, last)
    });
    let Some((first, last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        scan.end = scan.start;
        return slots;
    };
    if scan.start == Timestamp::MIN {
        slots.start = first;
        // A dated bar's slot starts when its session opens, up to a day before its date.
        let slack = if scan.step.is_dated() { DAY_NANOS } else { 0 };
        let begin = slot_begin(scan.step, slots.start).saturating_sub(slack);
        scan.start = Timestamp::from_nanos(begin);
    }
    if scan.end == Timestamp::MAX {
        slots.end = last + 1;
        scan.end = Timestamp::from_nanos(slot_begin(scan.step, slots.end));
    }
    slots
}

/// The instants of the slots of the clock that hold those from `from` to before `to`.
fn whole_slots(step: Step, from: i64, to: i64) -> (i64, i64) {
    let last = slot_of(step, to.saturating_sub(1));
    (slot_begin(step, slot_of(step, from)), slot_begin(step, last + 1))
}

/// When the session opens whose date a bar of a day is stored by.
fn open_of(calendar: Option<&Calendar>, ts: i64) -> i64 {
    let session = calendar.and_then(|calendar| calendar.session(day_of(ts)));
    session.map_or(ts, |session| session.open)
}

/// The instant of the regular hours that a trade belongs to, if it is of an auction: one before the
/// open to the first slot, one after the close to the last.
fn in_hours(calendar: Option<&Calendar>, ts: i64) -> i64 {
    let session = calendar.and_then(|calendar| calendar.session_at(ts));
    session.map_or(ts, |session| ts.clamp(session.open, session.close - 1))
}

/// The first and the last expected slot that hold some of the instants from `first` to `last`.
fn slots_around(
    grid: SlotGrid,
    calendar: Option<&Calendar>,
    first: i64,
    last: i64,
) -> Option<(i64, i64)> {
    let before = |at: i64| at.saturating_sub(SLOT_NANOS_MAX);
    let mut stretches = grid.stretches(calendar, before(first), last.saturating_add(1));
    let reaches = |stretch: &Stretch| stretch.end_of(stretch.count - 1) > first;
    let stretch = stretches.find(reaches)?;
    let ended = partition(stretch.count, |at| stretch.end_of(at) <= first);
    let last = grid.stretches(calendar, before(last), last.saturating_add(1)).last()?;
    Some((stretch.first_slot + i64::from(ended), last.slots().end - 1))
}

/// The expected slots of a range; with `whole` sessions, all slots of the sessions that it
/// touches.
fn stretches(scan: &CuratedScan, calendar: Option<&Calendar>, whole: bool) -> VecDeque<Stretch> {
    let grid = grid(scan);
    let (start, end) = (scan.start.nanos(), scan.end.nanos());
    let asked: VecDeque<Stretch> = grid.stretches(calendar, start, end).collect();
    let (Some(first), Some(last)) = (asked.front(), asked.back()) else { return asked };
    if !whole || scan.step.is_dated() {
        return asked;
    }
    let dates = first.date..=last.date;
    let from = start.saturating_sub(SESSION_NANOS_MAX);
    let to = end.saturating_add(SESSION_NANOS_MAX);
    grid.stretches(calendar, from, to).filter(|stretch| dates.contains(&stretch.date)).collect()
}

/// The calendar that an instrument has at the end of a range.
pub(crate) fn calendar_of(
    reference: &Reference,
    instrument: &str,
    end: Timestamp,
) -> Result<Option<Arc<Calendar>>, Error> {
    let Some(name) = reference.attribute_at(instrument, "calendar", end) else { return Ok(None) };
    match reference.calendar(name) {
        Some(calendar) => Ok(Some(calendar)),
        None => Err(Error::invalid(format!(
            "calendar: instrument {instrument} follows {name:?}, which is not known; add it, or \
             give the instrument another"
        ))),
    }
}
