//! Retention: from when on questions about a dataset are answered. `docs/decisions/0026-*` says why
//! it is so, and what may be dropped below a floor.
//!
//! A floor is a fact, a row of the dataset [`RETENTION`], and each time it rises it has another
//! version. It is of one dataset and one step, for all its series.

use std::collections::BTreeMap;

use barrow_types::{
    ColumnId, DatasetId, PriceSide, Sequence, SeriesKey, Source, Step, Symbol, Timestamp,
};

use super::facts::{ALWAYS, FACT_SOURCE};
use super::{Identity, Schema, ValueType, column};
use crate::batch::{Act, Batch, KnownAt, Symbols};
use crate::rows::{Column, Values};

/// The symbol of the one series of floors. It is one series so that whoever raises one notices all
/// others who do.
pub const RETENTION_SYMBOL: &str = "retention";

/// How many versions of a floor are kept in memory: snapshots that are older than all of them are
/// answered by the oldest one.
const VERSIONS_KEPT: usize = 64;

/// Floors: of `dataset`, by its number, and `step`, by its code, no question is answered that has
/// an earlier `as_of` or `at_sequence`.
pub static RETENTION: Schema = Schema {
    dataset: DatasetId::RETENTION,
    name: "retention",
    version: 1,
    identity: Identity::Event { id: &[ColumnId::new(1), ColumnId::new(2)] },
    columns: &[
        column(1, "dataset", ValueType::I64, false),
        column(2, "step", ValueType::I64, false),
        column(3, "as_of_from", ValueType::Timestamp, false),
        column(4, "at_sequence_from", ValueType::I64, false),
    ],
};

/// The first times that questions may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// The first T.
    pub as_of_from: Timestamp,
    /// The first N.
    pub at_sequence_from: Sequence,
}

impl Floor {
    /// Whether a question about what was known at `as_of` and held at `at_sequence` is answered;
    /// `None` stands for now.
    pub fn admits(&self, as_of: Option<Timestamp>, at_sequence: Option<Sequence>) -> bool {
        as_of.is_none_or(|as_of| as_of >= self.as_of_from)
            && at_sequence.is_none_or(|sequence| sequence >= self.at_sequence_from)
    }
}

/// A floor, whose it is, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetFloor {
    /// The dataset.
    pub dataset: DatasetId,
    /// The length of its bars; [`Step::Tick`] of datasets that have none.
    pub step: Step,
    /// The floor.
    pub floor: Floor,
    /// The record that brought it.
    pub since: Sequence,
    /// When it came in.
    pub set_at: Timestamp,
}

/// The series of floors.
pub(crate) fn key() -> SeriesKey {
    SeriesKey {
        dataset: DatasetId::RETENTION,
        symbol: Symbol::new(RETENTION_SYMBOL).expect("invariant: it is a name"),
        step: Step::Tick,
        side: PriceSide::Trade,
        source: Source::new(FACT_SOURCE).expect("invariant: a dash is a name"),
    }
}

/// The batch, called `id`, that raises the floor of a dataset's bars of `step`, or of its rows.
pub fn batch(id: String, dataset: DatasetId, step: Step, floor: Floor) -> Batch {
    let one = |value: i64| Column::new(Values::I64(vec![value]));
    Batch {
        id,
        dataset: DatasetId::RETENTION,
        source: FACT_SOURCE.to_owned(),
        step: Step::Tick,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: false,
        symbols: Symbols::one(RETENTION_SYMBOL, 1),
        ts: one(ALWAYS.nanos()),
        known_at: None,
        columns: vec![
            one(dataset.get().into()),
            one(step.code().into()),
            one(floor.as_of_from.nanos()),
            one(floor.at_sequence_from.get().cast_signed()),
        ],
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// Row `at` of columns of floors: whose it is, and the floor; `None` if it is none.
pub(crate) fn read(columns: &[Column], at: usize) -> Option<(DatasetId, Step, Floor)> {
    let long = |place: usize| match &columns.get(place)?.values {
        Values::I64(values) if columns[place].is_valid(at) => values.get(at).copied(),
        _ => None,
    };
    let dataset = DatasetId::new(u16::try_from(long(0)?).ok()?);
    let step = Step::from_code(u8::try_from(long(1)?).ok()?)?;
    let as_of_from = Timestamp::from_nanos(long(2)?);
    let at_sequence_from = Sequence::new(u64::try_from(long(3)?).ok()?);
    Some((dataset, step, Floor { as_of_from, at_sequence_from }))
}

/// The floors of a store, each with its latest versions.
#[derive(Default)]
pub(crate) struct Floors(BTreeMap<(DatasetId, Step), Vec<SetFloor>>);

impl Floors {
    /// Adds a version, of a later record than those before it.
    pub(crate) fn add(&mut self, set: SetFloor) {
        let versions = self.0.entry((set.dataset, set.step)).or_default();
        if versions.len() == VERSIONS_KEPT {
            versions.remove(0);
        }
        versions.push(set);
    }

    /// The floor of a dataset and step at `sequence`.
    pub(crate) fn at(
        &self,
        dataset: DatasetId,
        step: Step,
        sequence: Sequence,
    ) -> Option<&SetFloor> {
        version_at(self.0.get(&(dataset, step))?, sequence)
    }

    /// All that there are at `sequence`, in order of datasets and steps.
    pub(crate) fn all(&self, sequence: Sequence) -> Vec<SetFloor> {
        self.0.values().filter_map(|versions| version_at(versions, sequence)).copied().collect()
    }
}

fn version_at(versions: &[SetFloor], sequence: Sequence) -> Option<&SetFloor> {
    let known = versions.partition_point(|version| version.since <= sequence);
    match known.checked_sub(1) {
        Some(last) => versions.get(last),
        None => versions.first().filter(|_| versions.len() == VERSIONS_KEPT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(since: u64) -> SetFloor {
        let floor = Floor {
            as_of_from: Timestamp::from_nanos(since.cast_signed()),
            at_sequence_from: Sequence::new(since - 1),
        };
        let since = Sequence::new(since);
        SetFloor { dataset: DatasetId::BARS, step: Step::M1, floor, since, set_at: Timestamp::MIN }
    }

    #[test]
    fn a_snapshot_has_the_floor_that_was_set_last_before_it() {
        let mut floors = Floors::default();
        floors.add(set(5));
        floors.add(set(9));
        let at = |floors: &Floors, sequence| {
            let found = floors.at(DatasetId::BARS, Step::M1, Sequence::new(sequence));
            found.map(|set| set.since.get())
        };
        assert_eq!(
            [4, 5, 8, 9, 10].map(|n| at(&floors, n)),
            [None, Some(5), Some(5), Some(9), Some(9)]
        );
        assert_eq!(floors.at(DatasetId::BARS, Step::M5, Sequence::MAX), None);
        assert_eq!(floors.all(Sequence::new(4)), []);
        assert_eq!(floors.all(Sequence::MAX), [set(9)]);
        (10..10 + VERSIONS_KEPT as u64).for_each(|since| floors.add(set(since)));
        assert_eq!(at(&floors, 4), Some(10), "it errs towards a floor");
    }

    #[test]
    fn a_question_is_below_if_either_of_its_times_is() {
        let floor = set(5).floor;
        let admits = |as_of: Option<i64>, at_sequence: Option<u64>| {
            floor.admits(as_of.map(Timestamp::from_nanos), at_sequence.map(Sequence::new))
        };
        assert!(admits(None, None) && admits(Some(5), None) && admits(Some(9), Some(4)));
        assert!(!admits(Some(4), None) && !admits(None, Some(3)) && !admits(Some(4), Some(9)));
    }

    #[test]
    fn what_a_batch_says_is_read_back() {
        let floor = set(5).floor;
        let batch = batch("a".to_owned(), DatasetId::TRADES, Step::Tick, floor);
        assert_eq!(read(&batch.columns, 0), Some((DatasetId::TRADES, Step::Tick, floor)));
        assert_eq!(read(&batch.columns, 1), None);
        assert_eq!(read(&batch.columns[..3], 0), None);
    }
}
