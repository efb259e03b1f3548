//! Features of an instrument over a range: the curated layer's slots, handed to kernels.
//!
//! What a cell is, is told in `docs/FEATURES.md`; the kernels are a package of their own. Here it
//! is decided which slots they see: those that are asked for, and before them as many as cells look
//! back ([`begin`]), with what bars and the calendar say of each ([`inputs`]).

mod basis;
mod begin;
pub mod cell_file;
mod changes;
mod check;
mod checkpoints;
mod clocks;
mod group;
mod inputs;
mod lane;
mod live;
mod machine;
mod moments;
mod stored;
mod stream;
mod vintage;
mod world;

use std::sync::Arc;

pub use barrow_features::{
    Analysis, Bars as FeatureBars, Cell, Class, Column, Compiled, Context, Definition,
    DefinitionError, FeatureRule, Gap, Options as FeatureOptions, Storage,
};
use barrow_types::{Reason, Sequence, Timestamp};

use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;
use crate::vintage::{LateRows, Vintage};

pub use check::{Changed, GoOn, Linted, Verified};
pub use checkpoints::CheckpointStats;
pub(crate) use checkpoints::Checkpoints;
pub use group::FeatureGroup;
use lane::Asked;
pub use live::{LiveFeatures, LiveRow, LiveUpdate};
pub use stored::{CellsKey, CellsMade, StoredCellsStats};
pub(crate) use stored::{StoredCells, verify_cell_files};
use stream::Stream;
use vintage::Viewed;

/// Which features of which instrument.
#[derive(Clone, Debug)]
pub struct FeatureScan {
    /// The instrument's id.
    pub instrument: Arc<str>,
    /// What is computed.
    pub group: Arc<FeatureGroup>,
    /// The first instant at which a slot may start; [`Timestamp::MIN`]: with the first row.
    pub start: Timestamp,
    /// The end of these instants, not one of them; [`Timestamp::MAX`]: behind the last row.
    pub end: Timestamp,
    /// T: only what was known then.
    pub as_of: Option<Timestamp>,
    /// N: only what Barrow held then.
    pub at_sequence: Option<Sequence>,
    /// D: what ends later is not due.
    pub due: Timestamp,
    /// What starts before this is as if it were not there; [`Timestamp::MIN`]: all counts.
    pub since: Timestamp,
    /// When each slot is asked about: as of `as_of`, or as of when it could first be had.
    pub vintage: Vintage,
    /// How cells are computed. The bits are the same.
    pub way: Way,
}

/// How cells are computed: the same kernels, called for many slots or for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Way {
    /// Many slots at once, beginning as late as cells look back.
    #[default]
    Columns,
    /// Each slot by itself as if it had just closed, all of them from the begin on.
    Slots,
}

/// Consecutive slots with a cell of each feature.
#[derive(Clone, Debug, Default)]
pub struct FeaturePiece {
    /// When each slot starts.
    pub ts: Vec<i64>,
    /// When it ends.
    pub ts_end: Vec<i64>,
    /// When its bar, and so its features, could first be had.
    pub available_at: Vec<i64>,
    /// The date of its session, in days since 1970.
    pub session: Vec<i32>,
    /// When the last of the rows was learned that its cells come from.
    pub known_at: Vec<i64>,
    /// The last record that brought one of them.
    pub sequence: Vec<u64>,
    /// Whether one of them may still change.
    pub provisional: Vec<bool>,
    /// The share of the features that have a number.
    pub coverage: Vec<f64>,
    /// The cells of each feature, in the group's order.
    pub cells: Vec<Column>,
}

impl FeaturePiece {
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.ts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ts.is_empty()
    }

    /// The first slots, and the rest.
    #[must_use]
    pub fn split_at(mut self, place: usize) -> (Self, Self) {
        let cells = self.cells.iter_mut().map(|column| column.split_off(place)).collect();
        let rest = Self {
            ts: self.ts.split_off(place),
            ts_end: self.ts_end.split_off(place),
            available_at: self.available_at.split_off(place),
            session: self.session.split_off(place),
            known_at: self.known_at.split_off(place),
            sequence: self.sequence.split_off(place),
            provisional: self.provisional.split_off(place),
            coverage: self.coverage.split_off(place),
            cells,
        };
        (self, rest)
    }

    /// Adds the slot at a place of another piece; of an empty piece it sets how many features there
    /// are.
    pub fn push_from(&mut self, other: &Self, at: usize) {
        self.ts.push(other.ts[at]);
        self.ts_end.push(other.ts_end[at]);
        self.available_at.push(other.available_at[at]);
        self.session.push(other.session[at]);
        self.known_at.push(other.known_at[at]);
        self.sequence.push(other.sequence[at]);
        self.provisional.push(other.provisional[at]);
        self.coverage.push(other.coverage[at]);
        self.cells.resize(other.cells.len(), Column::new());
        for (column, from) in self.cells.iter_mut().zip(&other.cells) {
            column.push(from.cell(at));
        }
    }

    /// Adds a slot that there is not: all features null for a reason.
    pub fn push_absent(&mut self, features: usize, reason: Reason) {
        self.ts.push(0);
        self.ts_end.push(0);
        self.available_at.push(0);
        self.session.push(0);
        self.known_at.push(0);
        self.sequence.push(0);
        self.provisional.push(false);
        self.coverage.push(0.0);
        self.cells.resize(features, Column::new());
        for column in &mut self.cells {
            column.push(Cell::null(reason));
        }
    }

    /// The same slots with the cells of both; `other` is of the same slots.
    #[must_use]
    pub fn beside(mut self, other: Self) -> Self {
        let (own, more) = (self.cells.len(), other.cells.len());
        for at in 0..self.len() {
            self.known_at[at] = self.known_at[at].max(other.known_at[at]);
            self.sequence[at] = self.sequence[at].max(other.sequence[at]);
            self.provisional[at] |= other.provisional[at];
            let share = |of: f64, count: usize| of * double(count);
            let valid = share(self.coverage[at], own) + share(other.coverage[at], more);
            self.coverage[at] = valid / double(own + more);
        }
        self.cells.extend(other.cells);
        self
    }
}

/// A count as a number.
#[expect(clippy::cast_precision_loss, reason = "groups have a few thousand features at most")]
fn double(count: usize) -> f64 {
    count as f64
}

/// The features of one instrument, a piece at a time.
pub struct Features {
    is_delivered: bool,
    calendar: Option<Arc<str>>,
    source: Source,
}

/// Where slots come from.
enum Source {
    /// One question about all of them.
    Stream(Box<Stream>),
    /// Several, each about some.
    Views(Box<Viewed>),
}

impl Snapshot {
    /// Streams the features of one instrument, in order of slots.
    ///
    /// # Errors
    /// `Invalid` if a calendar is not known; `Corrupt` if a block that is needed is damaged.
    pub fn features(&self, scan: &FeatureScan) -> Result<Features, Error> {
        let reference = Reference::at(self, scan.as_of, scan.at_sequence)?;
        let asked = Asked::new((self, &reference), scan);
        if scan.vintage == Vintage::Live {
            let curated = asked.open(asked.own())?;
            let calendar = curated.calendar().map(|calendar| calendar.name().into());
            let is_delivered = !curated.candidates().is_empty();
            let source = Source::Views(Box::new(Viewed::new(self, scan)?));
            return Ok(Features { is_delivered, calendar, source });
        }
        let parts = stream::parts((scan.start.nanos(), scan.end.nanos()), asked.stored()?);
        let whole = (self.clone(), Arc::clone(&reference), scan.clone());
        let stream = Stream::new(whole, scan.end, parts)?;
        let (is_delivered, calendar) = match stream.own_lane() {
            Some(lane) => (lane.is_delivered, lane.calendar()),
            // What is in a file was delivered.
            None => {
                let calendar = asked.calendar(&scan.instrument)?;
                (true, calendar.map(|calendar| calendar.name().into()))
            }
        };
        Ok(Features { is_delivered, calendar, source: Source::Stream(Box::new(stream)) })
    }

    /// When the last slot with a row starts that a group can have cells for, due or not; `None` if
    /// there is none.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn newest_slot(&self, scan: &FeatureScan) -> Result<Option<Timestamp>, Error> {
        let reference = Reference::at(self, scan.as_of, scan.at_sequence)?;
        let newest = self.newest_curated(Asked::new((self, &reference), scan).own())?;
        Ok(newest.found.map(|(_, piece)| Timestamp::from_nanos(begin::first_start(&piece))))
    }
}

impl Features {
    /// Whether any source has delivered something of the instrument at that step and side.
    pub const fn is_delivered(&self) -> bool {
        self.is_delivered
    }

    /// The name of the calendar that says which slots are expected; `None`: all are.
    pub fn calendar(&self) -> Option<&str> {
        self.calendar.as_deref()
    }

    /// Of [`Vintage::Live`] the rows that came after their slots could be had.
    pub const fn late(&self) -> Option<&LateRows> {
        match &self.source {
            Source::Stream(_) => None,
            Source::Views(viewed) => Some(viewed.late()),
        }
    }

    /// The next slots, never none; `None` after the last.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    #[expect(clippy::should_implement_trait, reason = "a fallible iterator is not an `Iterator`")]
    pub fn next(&mut self) -> Result<Option<FeaturePiece>, Error> {
        match &mut self.source {
            Source::Stream(stream) => stream.next(),
            Source::Views(viewed) => viewed.next(),
        }
    }
}
