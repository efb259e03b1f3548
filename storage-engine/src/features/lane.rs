//! The slots of one context of a group, and how cells of other contexts come to them.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use barrow_features::{Cell, Column, Context, ContextId, Field, Gap, Import, Operator};
use barrow_types::{Adjust, Reason, Timestamp};

use crate::calendar::Calendar;
use crate::curate::{Curated, CuratedScan, calendar_of};
use crate::dataset::BARS;
use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::begin::{self, Begin, Lead};
use super::checkpoints::Recorder;
use super::clocks::Clocks;
use super::inputs::{SlotReader, Slots, columns_of};
use super::machine::Machine;
use super::{FeatureGroup, FeaturePiece, FeatureScan, Way, double};

/// A cell's number and reason.
pub(super) const CELL_BYTES: usize = 9;
/// Cells of a piece, about: they stay in the cache until somebody has looked at them.
const PIECE_BYTES: usize = 1 << 20;
const PIECE_SLOTS_MIN: usize = 256;
const PIECE_SLOTS_MAX: usize = 4_096;

/// A question, and what it is answered from.
pub(super) struct Asked<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) reference: &'a Reference,
    pub(super) scan: &'a FeatureScan,
    /// The end of the range that calendars and names are of, whatever part of it is read.
    pub(super) until: Timestamp,
    /// Whether a slot that is due lies behind the range.
    pub(super) is_followed: bool,
}

/// See the module.
pub(super) struct Lane {
    /// Whether any source has delivered something of its instrument.
    pub(super) is_delivered: bool,
    calendar: Option<Arc<str>>,
    /// `None` if there is no row.
    reader: Option<SlotReader>,
    group: Arc<FeatureGroup>,
    /// Slots that were read, and which of them comes next.
    read: Option<(Slots, Imported, usize)>,
    machine: Machine,
    imports: Vec<Import>,
    /// How many columns of cells it gives.
    exports: usize,
    /// How many of these, the first, are features that are asked for.
    outputs: usize,
    clocks: Clocks,
    /// What keeps its states on the way.
    recorder: Option<Recorder>,
    /// Cells that others may still ask for.
    kept: VecDeque<FeaturePiece>,
    /// Of each context that reads this one, the end of the last slot that it has read for, and its
    /// start.
    readers: Vec<(ContextId, i64, i64)>,
    is_over: bool,
}

impl<'a> Asked<'a> {
    /// A question about the whole range of `scan`.
    pub(super) fn new(
        (snapshot, reference): (&'a Snapshot, &'a Reference),
        scan: &'a FeatureScan,
    ) -> Self {
        Self { snapshot, reference, scan, until: scan.end, is_followed: false }
    }
}

impl Asked<'_> {
    /// The lanes of all contexts, in their order.
    pub(super) fn lanes(&self) -> Result<Vec<Option<Lane>>, Error> {
        let plan = &self.scan.group.plan;
        let contexts = &self.scan.group.graph().contexts;
        let mut starts = vec![Timestamp::MAX; contexts.len()];
        starts[0] = self.scan.start;
        let mut lanes: Vec<Option<Lane>> = contexts.iter().map(|_| None).collect();
        let mut end = self.scan.end;
        // Those that read others come before these.
        for &context in plan.order().iter().rev() {
            let place = usize::from(context.0);
            let mut scan = self.curated(&contexts[place], context);
            scan.start = starts[place];
            scan.end = end;
            let curated = self.open(scan.clone())?;
            if context == ContextId(0) {
                // What other contexts have behind the last slot of this one does not count.
                scan.end = curated.end();
                end = Timestamp::from_nanos(curated.last_end());
            }
            let (lane, first) = self.lane(context, scan, &curated)?;
            for import in plan.imports(context) {
                let read = usize::from(import.context.0);
                let from = match import.operator {
                    Operator::At => self.last_ended(&contexts[read], first, end)?,
                    _ => first,
                };
                starts[read] = starts[read].min(from);
            }
            lanes[place] = Some(lane);
        }
        Ok(lanes)
    }

    /// What to read of the slots that are asked for.
    pub(super) fn own(&self) -> CuratedScan {
        let contexts = &self.scan.group.graph().contexts;
        self.curated(&contexts[0], ContextId(0))
    }

    pub(super) fn open(&self, scan: CuratedScan) -> Result<Curated, Error> {
        let calendar = self.calendar(&scan.instrument)?;
        Curated::on(calendar, self.snapshot.clone(), self.reference, scan, false)
    }

    /// The calendar of an instrument, whatever part of the range is read.
    pub(super) fn calendar(&self, instrument: &str) -> Result<Option<Arc<Calendar>>, Error> {
        calendar_of(self.reference, instrument, self.until)
    }

    /// What to read for a context.
    pub(super) fn curated(&self, of: &Context, context: ContextId) -> CuratedScan {
        let FeatureScan { instrument, group, as_of, at_sequence, due, end, .. } = self.scan;
        let bars = &group.definition.bars;
        let instrument = match &of.instrument {
            None => Arc::clone(instrument),
            Some(name) => self.reference.instrument(BARS.name, name, self.until),
        };
        let fields: Vec<Field> = group.plan.fields(context).collect();
        CuratedScan {
            instrument,
            step: of.step.unwrap_or(bars.every),
            side: bars.price,
            start: self.scan.start,
            end: *end,
            session: bars.session,
            align: Some(bars.align),
            columns: columns_of(&fields),
            source: bars.source.clone(),
            fallback: None,
            as_of: *as_of,
            at_sequence: *at_sequence,
            due: *due,
            empty: true,
            flags: false,
            coverage: false,
        }
    }

    /// The lane of a context, and from when on it has slots.
    fn lane(
        &self,
        context: ContextId,
        mut scan: CuratedScan,
        curated: &Curated,
    ) -> Result<(Lane, Timestamp), Error> {
        let FeatureScan { group, due, .. } = self.scan;
        let (plan, gap) = (&group.plan, group.gap());
        let adjust = group.definition.bars.adjust;
        let calendar = self.calendar(&scan.instrument)?;
        let of = self.checkpoints_of(context, &scan, curated);
        let checkpoint = match &of {
            Some(of) => self.checkpoint(of, &scan, curated)?,
            None => None,
        };
        let begin = match &checkpoint {
            // There is a row before it.
            Some(checkpoint) if adjust == Adjust::None => Some(Begin::after(checkpoint, None)),
            _ => {
                let what = (self.lead(context), gap, self.scan.since, adjust);
                let begin = begin::find(self.snapshot, self.reference, &calendar, &scan, what)?;
                match (&checkpoint, begin) {
                    (Some(checkpoint), Some(begin)) => {
                        Some(Begin::after(checkpoint, begin.forward))
                    }
                    (_, begin) => begin,
                }
            }
        };
        let machine = match &checkpoint {
            Some(checkpoint) => Machine::after(plan, context, &checkpoint.state),
            None => {
                let slots = begin.as_ref().map_or(0, |begin| begin.rank - 1);
                Machine::new(self.scan.way, plan, context, slots)
            }
        };
        let mut lane = Lane {
            is_delivered: !curated.candidates().is_empty(),
            calendar: curated.calendar().map(|calendar| calendar.name().into()),
            reader: None,
            group: Arc::clone(group),
            machine,
            imports: plan.imports(context).collect(),
            exports: plan.exports(context),
            outputs: if context == ContextId(0) { group.graph().outputs.len() } else { 0 },
            clocks: match &checkpoint {
                Some(checkpoint) => checkpoint.clocks.clone(),
                None => Clocks::new(plan.lookback(context)),
            },
            recorder: None,
            read: None,
            kept: VecDeque::new(),
            readers: Vec::new(),
            is_over: begin.is_none(),
        };
        let Some(begin) = begin else { return Ok((lane, scan.start)) };
        scan.start = begin.start;
        let fields: Vec<Field> = plan.fields(context).collect();
        let curated = self.open(scan.clone())?;
        if let Some(of) = of {
            lane.recorder = self.recorder(of, (&scan, &curated), checkpoint.as_deref())?;
        }
        let curated = curated.brought_back(begin.forward);
        let of_own = context == ContextId(0);
        let due = (*due, self.is_followed && of_own);
        let reader = SlotReader::new(curated, (&fields, gap), due, begin.close);
        lane.reader = Some(reader);
        Ok((lane, begin.start))
    }

    /// How much must be read before what is asked for.
    pub(super) fn lead(&self, context: ContextId) -> Lead {
        let group = &self.scan.group;
        let of_context = group.graph().nodes.iter().filter(|node| node.context == context);
        // Without gaps slots are rows, and their rank is not known but from the begin on.
        let waits = group.gap() == Gap::Rows && of_context.clone().any(|node| node.warm_up > 0);
        if self.scan.way == Way::Slots {
            return Lead::All;
        }
        match group.plan.lookback(context).and_then(|slots| u32::try_from(slots).ok()) {
            Some(slots) if !waits => Lead::Slots(slots),
            _ => Lead::All,
        }
    }

    /// When the last slot of a context begins that has ended by `at` and is surely due: one that is
    /// not, and has none behind it that is, is none that anybody reads.
    fn last_ended(&self, of: &Context, at: Timestamp, end: Timestamp) -> Result<Timestamp, Error> {
        let mut scan = self.curated(of, ContextId(0));
        (scan.start, scan.end, scan.columns) = (at, end, Vec::new());
        let curated = self.open(scan)?;
        let calendar = curated.calendar_shared();
        let delay = self.reference.publish_delay_max(BARS.name).get();
        let ended = at.nanos().min(self.scan.due.nanos().saturating_sub(delay));
        let last = curated.grid().last_ending(calendar.as_deref(), ended);
        Ok(last.map_or(Timestamp::MIN, |bucket| Timestamp::from_nanos(bucket.start)))
    }
}

impl Lane {
    /// The name of its calendar.
    pub(super) fn calendar(&self) -> Option<Arc<str>> {
        self.calendar.clone()
    }

    /// What it makes of the slots that were read, some at a time; `None` if there are none.
    fn piece(&mut self) -> Option<FeaturePiece> {
        let (slots, imported, from) = self.read.take()?;
        let all = from..slots.len().min(from + piece_slots(self.exports));
        let (to, len) = (all.end, all.len());
        let mut piece = FeaturePiece {
            ts: slots.ts[all.clone()].to_vec(),
            ts_end: slots.ts_end[all.clone()].to_vec(),
            available_at: slots.available_at[all.clone()].to_vec(),
            session: slots.session[all].to_vec(),
            known_at: Vec::with_capacity(len),
            sequence: Vec::with_capacity(len),
            provisional: Vec::with_capacity(len),
            coverage: Vec::new(),
            cells: (0..self.exports).map(|_| Column::with_capacity(len)).collect(),
        };
        let mut next = from;
        while next < to {
            let rest = to - next;
            let part = next..next + self.recorder.as_ref().map_or(rest, |all| all.next(rest));
            next = part.end;
            self.add_part(&slots, &imported, part.clone(), &mut piece);
            if let (Some(recorder), Machine::Columns(history)) = (&mut self.recorder, &self.machine)
            {
                recorder.take(&self.group.plan, (&slots, part), (history, &self.clocks));
            }
        }
        piece.coverage = coverage(&piece.cells[..self.outputs], len);
        if to < slots.len() {
            self.read = Some((slots, imported, to));
        }
        Some(piece)
    }

    fn add_part(
        &mut self,
        slots: &Slots,
        imported: &Imported,
        part: Range<usize>,
        piece: &mut FeaturePiece,
    ) {
        let inputs = (&slots.inputs, imported.columns.as_slice(), part.clone());
        self.machine.run(&self.group.plan, inputs, &mut piece.cells);
        for at in part {
            let (known_at, sequence, provisional) = self.clocks.push((
                slots.known_at[at].max(imported.known_at[at]),
                slots.sequence[at].max(imported.sequence[at]),
                slots.provisional[at] || imported.provisional[at],
            ));
            piece.known_at.push(known_at);
            piece.sequence.push(sequence);
            piece.provisional.push(provisional);
        }
    }

    /// Drops what no context will ask for any more.
    fn drop_read(&mut self) {
        let ends = self.readers.iter().map(|(_, end, _)| *end).min();
        let starts = self.readers.iter().map(|(_, _, start)| *start).min();
        let (Some(end), Some(start)) = (ends, starts) else { return };
        while let (Some(first), Some(second)) = (self.kept.front(), self.kept.get(1))
            && second.ts_end.first().is_some_and(|next| *next <= end)
            && first.ts.last().is_some_and(|last| *last <= start)
        {
            self.kept.pop_front();
        }
    }

    /// The newest cell that its kept slots have for `at`, of those that `fits`.
    fn find(&self, fits: impl Fn(i64, i64) -> bool) -> Option<(&FeaturePiece, usize)> {
        self.kept.iter().rev().find_map(|piece| {
            let (mut low, mut high) = (0, piece.len());
            while low < high {
                let middle = low + (high - low) / 2;
                if fits(piece.ts[middle], piece.ts_end[middle]) {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low.checked_sub(1).map(|last| (piece, last))
        })
    }
}

/// How many slots a piece of so many columns has, at most.
pub(super) fn piece_slots(columns: usize) -> usize {
    (PIECE_BYTES / (CELL_BYTES * columns.max(1))).clamp(PIECE_SLOTS_MIN, PIECE_SLOTS_MAX)
}

/// Of each slot the share of some columns that have a number.
fn coverage(columns: &[Column], slots: usize) -> Vec<f64> {
    let mut valid = vec![0_u16; slots];
    for column in columns {
        for (valid, reason) in valid.iter_mut().zip(column.reasons()) {
            *valid += u16::from(*reason == Reason::Ok.code());
        }
    }
    let all = double(columns.len().max(1));
    valid.into_iter().map(|valid| f64::from(valid) / all).collect()
}

/// The next slots of a context, with all cells that it gives; `None` at the end.
pub(super) fn step(
    lanes: &mut [Option<Lane>],
    context: ContextId,
) -> Result<Option<FeaturePiece>, Error> {
    let place = usize::from(context.0);
    let mut lane = lanes[place].take().expect("invariant: contexts never read themselves");
    let stepped = step_of(&mut lane, lanes, context);
    lanes[place] = Some(lane);
    stepped
}

fn step_of(
    lane: &mut Lane,
    others: &mut [Option<Lane>],
    context: ContextId,
) -> Result<Option<FeaturePiece>, Error> {
    if let Some(piece) = lane.piece() {
        return Ok(Some(piece));
    }
    let slots = match &mut lane.reader {
        Some(reader) if !lane.is_over => reader.next()?,
        _ => None,
    };
    let Some(slots) = slots else {
        lane.is_over = true;
        return Ok(None);
    };
    let imported = import(&lane.imports, &slots, others, context)?;
    lane.read = Some((slots, imported, 0));
    Ok(lane.piece())
}

/// Cells of other contexts, for some slots.
struct Imported {
    columns: Vec<Column>,
    known_at: Vec<i64>,
    sequence: Vec<u64>,
    provisional: Vec<bool>,
}

fn import(
    imports: &[Import],
    slots: &Slots,
    lanes: &mut [Option<Lane>],
    context: ContextId,
) -> Result<Imported, Error> {
    let len = slots.len();
    let mut imported = Imported {
        columns: Vec::with_capacity(imports.len()),
        known_at: vec![i64::MIN; len],
        sequence: vec![0; len],
        provisional: vec![false; len],
    };
    let (Some(&ts), Some(&ts_end)) = (slots.ts.last(), slots.ts_end.last()) else {
        return Ok(imported);
    };
    for import in imports {
        read_up_to(lanes, import.context, (ts, ts_end))?;
        let lane = lanes[usize::from(import.context.0)].as_ref();
        let lane = lane.expect("invariant: contexts never read each other in a circle");
        let mut column = Column::new();
        for at in 0..len {
            let (start, end) = (slots.ts[at], slots.ts_end[at]);
            let (found, absent) = match import.operator {
                Operator::At => (lane.find(|_, ts_end| ts_end <= end), Reason::WarmUp),
                _ => {
                    let found = lane.find(|ts, _| ts <= start);
                    let same = found.filter(|(piece, place)| piece.ts[*place] == start);
                    (same, Reason::DependencyNull)
                }
            };
            match found {
                None => column.push(Cell::null(absent)),
                Some((piece, place)) => {
                    column.push(piece.cells[import.export].cell(place));
                    imported.known_at[at] = imported.known_at[at].max(piece.known_at[place]);
                    imported.sequence[at] = imported.sequence[at].max(piece.sequence[place]);
                    imported.provisional[at] |= piece.provisional[place];
                }
            }
        }
        imported.columns.push(column);
    }
    for import in imports {
        let lane = lanes[usize::from(import.context.0)].as_mut();
        let lane = lane.expect("invariant: contexts never read each other in a circle");
        lane.readers.retain(|(reader, ..)| *reader != context);
        lane.readers.push((context, ts_end, ts));
        lane.drop_read();
    }
    Ok(imported)
}

/// Reads a context until it has all that slots up to this one may ask for.
fn read_up_to(
    lanes: &mut [Option<Lane>],
    context: ContextId,
    (ts, ts_end): (i64, i64),
) -> Result<(), Error> {
    let place = usize::from(context.0);
    loop {
        let lane = lanes[place].as_ref();
        let lane = lane.expect("invariant: contexts never read each other in a circle");
        let last = lane.kept.back();
        let reaches = last.is_some_and(|piece| {
            piece.ts_end.last().is_some_and(|last| *last > ts_end)
                && piece.ts.last().is_some_and(|last| *last >= ts)
        });
        if lane.is_over || reaches {
            return Ok(());
        }
        let piece = step(lanes, context)?;
        if let (Some(piece), Some(lane)) = (piece, lanes[place].as_mut()) {
            lane.kept.push_back(piece);
        }
    }
}
