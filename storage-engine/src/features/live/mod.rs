//! Features as they are now, kept up to date from commit to commit.
//!
//! Of each group and instrument the *head* is kept: the states of kernels after the last slot that
//! has closed. A commit that brings later slots costs one call of the kernels a slot. What comes
//! late takes the head back to the begin of a session before it, or to as many slots back as cells
//! look ([`lane`]); so do facts ([`changes`]). What a slot's cells are is what
//! [`Snapshot::features`] says of it, to the bit, if what has ended by [`Snapshot::now`] is due.
//!
//! Time comes with records: a slot closes with the first record after it has ended.

mod head;
mod lane;
mod row;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_types::{DatasetId, Sequence, SeriesId, Timestamp};

use crate::aggregates::ticks_of;
use crate::error::{Error, ErrorKind};
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::FeatureGroup;
use super::changes::{Change, Changes};
use head::Room;
use lane::{Done, LiveLane, Sources};
pub use row::LiveRow;

/// See the module.
#[derive(Default)]
pub struct LiveFeatures {
    groups: Vec<Group>,
    sequence: Sequence,
}

/// What became of the features of one group for one instrument.
#[derive(Debug)]
pub struct LiveUpdate<'a> {
    /// The place of the group among those that were given.
    pub group: usize,
    /// The instrument's id.
    pub instrument: &'a Arc<str>,
    /// The slots that have closed since the last update, in order.
    pub closed: &'a [Arc<LiveRow>],
    /// From the last but one slot of the last update on to its last, those whose cells are others
    /// now, or that have come between them.
    pub corrected: &'a [Arc<LiveRow>],
    /// Whether there are more slots that have closed, or some that are no longer there.
    pub skipped: bool,
    /// The last slot that has closed.
    pub newest: Option<&'a Arc<LiveRow>>,
    /// The slot before it.
    pub previous: Option<&'a Arc<LiveRow>>,
    /// The last slot that has a row and is not due.
    pub forming: Option<&'a Arc<LiveRow>>,
    /// Why they cannot be computed.
    pub failed: Option<&'a Error>,
}

/// What an update of all groups is about.
struct All<'a> {
    snapshot: &'a Snapshot,
    reference: &'a Reference,
    changes: &'a Changes,
    pace: &'a mut dyn FnMut() -> ControlFlow<()>,
}

struct Group {
    group: Arc<FeatureGroup>,
    lanes: BTreeMap<Arc<str>, LiveLane>,
    /// When slots will be due that are not, and of which instruments.
    due: BTreeSet<(i64, Arc<str>)>,
    /// Other instruments that its features read.
    others: BTreeSet<Arc<str>>,
    room: Room,
    /// Whether all instruments are to be looked at, because it is new.
    is_new: bool,
}

impl LiveFeatures {
    /// Which groups are kept up to date from the next update on. Those that were before go on.
    pub fn set_groups(&mut self, groups: impl IntoIterator<Item = Arc<FeatureGroup>>) {
        let mut old: Vec<Group> = std::mem::take(&mut self.groups);
        for group in groups {
            let place = old.iter().position(|other| Arc::ptr_eq(&other.group, &group));
            self.groups.push(match place {
                Some(place) => old.swap_remove(place),
                None => Group::new(group),
            });
        }
    }

    /// Brings all features up to a snapshot and tells what has changed. `touched` are at least the
    /// series to which the records between the last call's snapshot and this one brought anything.
    /// `pace` is asked again and again whether to go on.
    ///
    /// # Errors
    /// `Corrupt` if the facts cannot be read; what fails for one instrument is told of it.
    /// `Stopped` if `pace` broke it off: what was told holds, and the next update begins all groups
    /// anew.
    pub fn update(
        &mut self,
        snapshot: &Snapshot,
        touched: impl IntoIterator<Item = SeriesId>,
        pace: &mut dyn FnMut() -> ControlFlow<()>,
        mut tell: impl FnMut(LiveUpdate<'_>),
    ) -> Result<(), Error> {
        let reference = Reference::at(snapshot, None, None)?;
        let changes = Changes::between(self.sequence, snapshot, &reference, touched);
        self.sequence = snapshot.sequence();
        let mut all = All { snapshot, reference: &reference, changes: &changes, pace };
        let mut updated = Ok(());
        for (place, group) in self.groups.iter_mut().enumerate() {
            updated = group.update(&mut all, |instrument, lane, done, failed| {
                let Done { closed, corrected, skipped } = done;
                tell(LiveUpdate {
                    group: place,
                    instrument,
                    closed: &closed,
                    corrected: &corrected,
                    skipped,
                    newest: lane.newest.as_ref(),
                    previous: lane.previous.as_ref(),
                    forming: lane.forming.as_ref(),
                    failed: failed.as_ref(),
                });
            });
            if updated.is_err() {
                break;
            }
        }
        if updated.is_err() {
            // Some instruments know the record and some do not.
            let groups = std::mem::take(&mut self.groups).into_iter();
            self.groups = groups.map(|group| Group::new(group.group)).collect();
        }
        updated
    }

    /// When the next slot will be due that is not yet; `None` if there is none.
    pub fn next_due(&self) -> Option<Timestamp> {
        let first = self.groups.iter().filter_map(|group| group.due.first());
        first.map(|(due, _)| *due).min().map(Timestamp::from_nanos)
    }
}

impl Group {
    fn new(group: Arc<FeatureGroup>) -> Self {
        let room = Room::new(&group.plan);
        Self {
            group,
            lanes: BTreeMap::new(),
            due: BTreeSet::new(),
            others: BTreeSet::new(),
            room,
            is_new: true,
        }
    }

    /// # Errors
    /// `Stopped`: some instruments were not looked at.
    fn update(
        &mut self,
        all: &mut All<'_>,
        mut tell: impl FnMut(&Arc<str>, &LiveLane, Done, Option<Error>),
    ) -> Result<(), Error> {
        let All { snapshot, reference, changes, ref mut pace } = *all;
        let is_all = self.is_new || !changes.of_all.is_empty();
        if is_all {
            self.others = self.named(reference);
            for instrument in self.group.instruments(snapshot, reference) {
                self.add(instrument);
            }
        }
        let now = snapshot.now().nanos();
        let of_others = self.others.iter().any(|other| changes.of_each.contains_key(other));
        for instrument in changes.of_each.keys() {
            if self.may_have(snapshot, reference, instrument) {
                self.add(Arc::clone(instrument));
            }
        }
        let touched: BTreeSet<Arc<str>> = if is_all || of_others {
            self.lanes.keys().cloned().collect()
        } else {
            let is_due = |(due, _): &&(i64, Arc<str>)| *due <= now;
            let due = self.due.iter().take_while(is_due).map(|(_, instrument)| instrument);
            due.chain(changes.of_each.keys()).cloned().collect()
        };
        for instrument in &touched {
            let Some(lane) = self.lanes.get_mut(instrument) else { continue };
            let own = changes.of_each.get(instrument).into_iter().flatten();
            let all: Vec<Change> = changes.of_all.iter().chain(own).copied().collect();
            if let Some(due) = lane.due {
                self.due.remove(&(due, Arc::clone(instrument)));
            }
            let room = &mut self.room;
            let mut sources = Sources { snapshot, reference, room, pace: &mut **pace };
            match lane.update(&mut sources, &all) {
                Ok(done) => tell(instrument, lane, done, None),
                Err(error) if error.kind() == ErrorKind::Stopped => return Err(error),
                Err(error) => {
                    let done = lane.clear();
                    tell(instrument, lane, done, Some(error));
                }
            }
            self.due.extend(lane.due.map(|due| (due, Arc::clone(instrument))));
        }
        self.is_new = false;
        Ok(())
    }

    fn add(&mut self, instrument: Arc<str>) {
        let group = &self.group;
        let lane = || LiveLane::new(Arc::clone(&instrument), Arc::clone(group));
        self.lanes.entry(Arc::clone(&instrument)).or_insert_with(lane);
    }

    /// The instruments that its features may name.
    fn named(&self, reference: &Reference) -> BTreeSet<Arc<str>> {
        let names = self.group.graph().contexts.iter().filter_map(|of| of.instrument.as_deref());
        names.flat_map(|name| reference.ever_named(name)).collect()
    }

    /// Whether there may be slots for an instrument.
    fn may_have(&self, snapshot: &Snapshot, reference: &Reference, instrument: &str) -> bool {
        if self.lanes.contains_key(instrument) {
            return true;
        }
        let bound = reference.bound_to(instrument).map(|(_, symbol)| symbol);
        let symbols: BTreeSet<&str> = bound.chain([instrument]).collect();
        let datasets = [DatasetId::BARS, ticks_of(self.group.definition.bars.price)];
        datasets.into_iter().any(|dataset| {
            symbols.iter().any(|symbol| {
                let series = snapshot.series(dataset, Some(symbol));
                series.iter().any(|(_, key)| self.group.is_source(key))
            })
        })
    }
}
