//! Answers of which each row is what was known when it could first be had.
//!
//! *Live vintage* of a question: each slot as the same question answers it with `as_of` at the
//! slot's own `available_at`. Asking that slot by slot is right and slow. Between two instants at
//! which something became known about slots that could be had before, all slots that become
//! available are the same whichever of these instants they are asked at: so they are asked
//! together, in one [`View`], at the last of them.
//!
//! Such instants are the `known_at` of facts that hold for all slots ([`facts`]) and of rows,
//! claims and the like that come later than the first slot can be had in which they have a say
//! ([`late`]). Too many of them cost time, one too few would cost truth: so whatever is in doubt is
//! one. Where slots of several publish delays stand side by side, each is asked by itself.

mod facts;
mod late;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use barrow_types::{Source, Step, Symbol, Timestamp};

use crate::calendar::Bucket;
use crate::curate::{Curated, CuratedScan, Ending, SlotSpan};
use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use late::Late;

/// Of when the rows of an answer are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vintage {
    /// The newest that the question admits.
    #[default]
    Final,
    /// Each as it was known when it could first be had.
    Live,
}

impl Vintage {
    /// Every vintage.
    pub const ALL: [Self; 2] = [Self::Final, Self::Live];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Final => "final",
            Self::Live => "live",
        }
    }

    /// The vintage of that name, if there is one.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|vintage| vintage.name() == name)
    }
}

/// Slots that are asked together: those that start in [`start`, `end`), as of `as_of`, which is
/// also when they are due. What could be had only after that is not answered by this view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// The first instant at which a slot may start.
    pub start: Timestamp,
    /// The end of these instants, not one of them.
    pub end: Timestamp,
    /// T, and D.
    pub as_of: Timestamp,
}

/// Rows of a question that came after their slots could be had, and so are not in its live vintage;
/// corrections are none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LateRows {
    /// How many, but for loads.
    pub count: u64,
    /// The longest time after, in nanoseconds.
    pub longest: i64,
    /// Those that look as if somebody had loaded history.
    pub loads: Vec<Load>,
}

/// Rows of a series that came more than a day after they could be had and do not say when they were
/// known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// The symbol, as received.
    pub symbol: Symbol,
    /// Who delivered them.
    pub source: Source,
    /// The length of the bars; of trades and quotes [`Step::Tick`].
    pub step: Step,
    /// How many.
    pub count: u64,
    /// The `ts` of the first.
    pub first: Timestamp,
    /// The `ts` of the last.
    pub last: Timestamp,
    /// The shortest time after, in nanoseconds.
    pub shortest: i64,
}

/// The views of a question, in order of their slots.
pub struct Views {
    snapshot: Snapshot,
    /// What is read of the slots that are asked for.
    own: CuratedScan,
    eras: VecDeque<Era>,
    /// The publish delays of all eras, and when these begin,
    delays: BTreeSet<i64>,
    begins: BTreeSet<i64>,
    /// and when something became known late in those in which slots are asked one by one.
    instants: BTreeSet<i64>,
    /// The last instant that counts.
    up_to: i64,
    /// No slot that starts before this is still to come.
    next: i64,
    /// Those before it that are still to come were not due in this era.
    tried: i64,
    sources: BTreeSet<Source>,
    late: LateRows,
}

/// A time in which nothing became known that holds for all slots.
#[derive(Debug)]
struct Era {
    /// Its begin,
    from: i64,
    /// and its end, not in it.
    to: i64,
    ending: Ending,
    /// The starts of the first slot of the question,
    first: i64,
    /// and of the last.
    last: i64,
    /// How long after their ends slots can be had, the shortest first.
    delays: Vec<i64>,
    /// Whether each slot is asked by itself.
    is_each: bool,
    /// When something became known late, in order.
    instants: VecDeque<i64>,
}

/// What views are sought of.
pub(crate) struct Question<'a> {
    pub(crate) snapshot: &'a Snapshot,
    /// The slots that are asked for; as of its `as_of`, or what is due by now.
    pub(crate) own: CuratedScan,
    /// The instruments whose facts matter; `None`: those of any.
    pub(crate) instruments: Option<BTreeSet<Arc<str>>>,
    /// Whether corporate actions change rows.
    pub(crate) is_adjusted: bool,
}

impl Question<'_> {
    /// The last instant that counts.
    fn up_to(&self) -> Timestamp {
        self.own.as_of.unwrap_or(self.own.due)
    }

    /// Its views. `open` reads all slots that have a say, from an instant to the end of the range,
    /// as of another: first those that are asked for, then those of others that they are made with.
    ///
    /// # Errors
    /// `BelowRetention` if the first slot is asked below a floor, and what `open` says.
    pub(crate) fn views(
        &self,
        open: impl Fn(Timestamp, &Reference, Timestamp) -> Result<Vec<Curated>, Error>,
    ) -> Result<Views, Error> {
        let CuratedScan { start, at_sequence, .. } = self.own;
        let up_to = self.up_to().nanos();
        let mut views = Views {
            snapshot: self.snapshot.clone(),
            own: CuratedScan {
                empty: true,
                columns: Vec::new(),
                flags: false,
                coverage: false,
                ..self.own.clone()
            },
            eras: VecDeque::new(),
            delays: BTreeSet::new(),
            begins: BTreeSet::new(),
            instants: BTreeSet::new(),
            up_to,
            next: start.nanos(),
            tried: start.nanos(),
            sources: BTreeSet::new(),
            late: LateRows::default(),
        };
        let mut from = start.nanos();
        let mut ends = facts::instants(self, from)?;
        ends.insert(up_to.saturating_add(1));
        for to in ends {
            let as_of = Timestamp::from_nanos(to.saturating_sub(1));
            let reference = Reference::at(self.snapshot, Some(as_of), at_sequence)?;
            let asked = open(start, &reference, as_of)?;
            let slots = asked[0].starts().filter(|(first, _)| {
                let had = had_by(&asked[0].ending(), &asked[0].publish_delays(), as_of.nanos());
                had.is_some_and(|slot| slot.start >= *first)
            });
            if let Some(slots) = slots {
                // What lies before has a say, too.
                let before =
                    (start > Timestamp::MIN).then(|| open(Timestamp::MIN, &reference, as_of));
                let before = before.transpose()?;
                let mut late = Late::new(self, (from, to));
                let era = late.era((&asked[0], slots), before.as_ref().unwrap_or(&asked))?;
                views.delays.extend(&era.delays);
                views.begins.insert(from);
                if era.is_each {
                    views.instants.extend(&era.instants);
                }
                views.eras.push_back(era);
                views.late.add(late.rows);
                let candidates = asked[0].candidates().iter();
                views.sources.extend(candidates.map(|candidate| candidate.source.clone()));
            }
            from = to;
        }
        if let Some(available_at) = views.first_available() {
            let as_of = Timestamp::from_nanos(available_at.min(up_to));
            open(start, &*Reference::at(self.snapshot, Some(as_of), at_sequence)?, as_of)?;
        }
        Ok(views)
    }
}

impl LateRows {
    fn add(&mut self, more: Self) {
        self.count += more.count;
        self.longest = self.longest.max(more.longest);
        self.loads.extend(more.loads);
    }
}

impl Views {
    /// Whoever may deliver slots in any view.
    pub fn sources(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(Source::as_str)
    }

    /// Rows of the range that came after their slots could be had.
    pub const fn late(&self) -> &LateRows {
        &self.late
    }

    /// When the first slot can be had at the earliest, if there is one.
    fn first_available(&self) -> Option<i64> {
        let first = |era: &Era| {
            let slot = era.ending.next_starting(self.next.max(era.first))?;
            Some(slot.end.saturating_add(era.delays[0]))
        };
        self.eras.iter().filter_map(first).min()
    }

    /// The next view; `None` after the last.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is not an `Iterator`")]
    pub fn next(&mut self) -> Result<Option<View>, Error> {
        loop {
            let Some(era) = self.eras.front_mut() else { return Ok(None) };
            let stop = era.had_by(era.to - 1);
            let next = if era.is_each { self.tried } else { self.next };
            if next >= stop {
                self.eras.pop_front();
                self.tried = self.next;
            } else if era.is_each {
                let slot = era.ending.next_starting(next.max(era.first));
                let slot = slot.filter(|slot| slot.start < stop);
                self.tried = slot.map_or(stop, |slot| slot.start + 1);
                if let Some(slot) = slot
                    && let Some(as_of) = self.first_due(&slot)?
                {
                    let (slot, as_of) = self.before(&slot, as_of)?.unwrap_or((slot, as_of));
                    self.next = slot.start + 1;
                    self.tried = self.next;
                    return Ok(Some(view((slot.start, self.next), as_of)));
                }
            } else {
                let until = era.instants.pop_front().unwrap_or(era.to);
                let end = era.had_by(until - 1);
                if end > next {
                    self.next = end;
                    return Ok(Some(view((next, end), until - 1)));
                }
            }
        }
    }

    /// The first instant of the era at hand or later at which a slot is there and due.
    fn first_due(&self, slot: &Bucket) -> Result<Option<i64>, Error> {
        let mut next = self.eras.front().map(|era| era.from.max(slot.end));
        while let Some(instant) = next.filter(|instant| *instant <= self.up_to) {
            next = self.may_change(slot, instant);
            let as_of = Timestamp::from_nanos(instant);
            let scan = CuratedScan { as_of: Some(as_of), due: as_of, ..self.own.clone() };
            let [start, end] = [slot.start, slot.start + 1].map(Timestamp::from_nanos);
            let mut curated = self.snapshot.curated(scan)?.narrowed(start, end);
            let Some(piece) = curated.next()? else { continue };
            let is_due = |span: &SlotSpan| {
                let end = span.stretch.end_of(span.first);
                end.saturating_add(curated.publish_delay(span).get()) <= instant
            };
            if piece.spans.first().is_some_and(is_due) {
                return Ok(Some(instant));
            }
        }
        Ok(None)
    }

    /// A slot before another, which is due in a later era: one that comes to be there until then,
    /// and is due by then.
    fn before(&self, slot: &Bucket, due: i64) -> Result<Option<(Bucket, i64)>, Error> {
        for era in self.eras.iter().skip(1).take_while(|era| era.from <= due) {
            let found = era.ending.next_starting(self.next.max(era.first));
            if let Some(found) = found.filter(|found| found.start < slot.start)
                && let Some(at) = self.first_due(&found)?
                && at <= due
            {
                return Ok(Some((found, at)));
            }
        }
        Ok(None)
    }

    /// The first instant behind another at which a slot may become due, or another's.
    fn may_change(&self, slot: &Bucket, after: i64) -> Option<i64> {
        let ends = self.delays.iter().map(|delay| slot.end.saturating_add(*delay));
        let from = after.saturating_add(1);
        let others = [&self.begins, &self.instants].map(|all| all.range(from..).next().copied());
        ends.filter(|end| *end > after).chain(others.into_iter().flatten()).min()
    }
}

fn view((start, end): (i64, i64), as_of: i64) -> View {
    let [start, end, as_of] = [start, end, as_of].map(Timestamp::from_nanos);
    View { start, end, as_of }
}

impl Era {
    /// The instant behind the start of the last slot that can be had by another.
    fn had_by(&self, instant: i64) -> i64 {
        let last = had_by(&self.ending, &self.delays, instant);
        last.map_or(i64::MIN, |slot| slot.start.min(self.last).saturating_add(1))
    }
}

/// The last slot that can be had by an instant, if it can after the shortest delay.
fn had_by(ending: &Ending, delays: &[i64], instant: i64) -> Option<Bucket> {
    let shortest = delays.first().copied().unwrap_or_default();
    ending.last_ending(instant.saturating_sub(shortest))
}

impl Snapshot {
    /// The views of the live vintage of a curated range; its `as_of`, or what is due by now, is the
    /// last instant that counts. `is_adjusted` says whether corporate actions change its rows.
    ///
    /// A view is answered by the same scan with `as_of` and `due` as the view says, [narrowed] to
    /// it.
    ///
    /// # Errors
    /// As [`Self::curated`].
    ///
    /// [narrowed]: Curated::narrowed
    pub fn views(&self, scan: &CuratedScan, is_adjusted: bool) -> Result<Views, Error> {
        let question = Question {
            snapshot: self,
            own: scan.clone(),
            instruments: Some([Arc::clone(&scan.instrument)].into()),
            is_adjusted,
        };
        question.views(|start, _, as_of| {
            let scan = CuratedScan { start, as_of: Some(as_of), due: as_of, ..scan.clone() };
            Ok(vec![self.curated(scan)?])
        })
    }
}
