//! Floors of retention, raised at random moments, and those that must be refused.

use barrow_engine::dataset::retention;
use barrow_engine::{ErrorKind, prepare};
use barrow_tests::model::{Floor, Table};
use barrow_types::{DatasetId, Sequence, Step, Timestamp};

use super::Episode;
use crate::generate::{pick, span};

impl Episode {
    /// Raises a floor; now and then it tries one that falls or that lies in the future.
    pub(super) fn raise_a_floor(&mut self) {
        let (dataset, step) = self.what_has_a_floor();
        let held = self.last_sequence;
        let now = self.ingest_now();
        let before = self.model.floor((dataset, step), u64::MAX);
        let as_of = match self.random.below(4) {
            0 => now,
            1 if !self.instants.is_empty() => *pick(&mut self.random, &self.instants),
            _ => now - span(&mut self.random, 7_200_000_000_000),
        };
        let at_sequence = match self.random.below(3) {
            0 => held,
            _ => held - self.random.below(held.min(40) + 1),
        };
        let mut floor = Floor { as_of, at_sequence };
        let wrong = self.random.below(12);
        match wrong {
            0 => floor.as_of = now.saturating_add(1),
            1 => floor.at_sequence = held + 1,
            2 => {}
            _ => {
                floor.as_of = floor.as_of.min(now).max(before.as_of);
                floor.at_sequence = floor.at_sequence.max(before.at_sequence);
            }
        }
        let is_future = floor.as_of > now || floor.at_sequence > held;
        let falls = floor.as_of < before.as_of || floor.at_sequence < before.at_sequence;
        self.trail.did(format!("raises the floor of {dataset:?} {step:?} to {floor:?}"));
        let asked = retention::Floor {
            as_of_from: Timestamp::from_nanos(floor.as_of),
            at_sequence_from: Sequence::new(floor.at_sequence),
        };
        let id = format!("floor {held} {}", self.random.number());
        let batch = retention::batch(id, dataset, step, asked);
        let snapshot = self.engine().snapshot();
        let prepared = match prepare(batch, &snapshot, self.timestamp()) {
            Ok(prepared) => prepared,
            Err(error) => {
                let right = match error.kind() {
                    ErrorKind::Invalid => is_future,
                    ErrorKind::Conflict => falls,
                    _ => false,
                };
                assert!(right, "{floor:?} after {before:?} was refused: {error}");
                return;
            }
        };
        assert!(!is_future && !falls, "{floor:?} after {before:?} was taken");
        let now = self.timestamp();
        let results = self.engine_mut().commit(vec![prepared], now);
        // At its bound the memtable takes nothing, and nothing has happened.
        let Ok(results) = results else { return };
        let applied = results.into_iter().next().expect("one result a batch");
        let applied = applied.unwrap_or_else(|error| panic!("raising {floor:?}: {error}"));
        self.last_sequence = applied.sequence.get();
        self.held_now = applied.now.nanos();
        self.model.raise((dataset, step), floor, self.last_sequence);
        self.engine_mut().advance();
        self.totals.floors += 1;
        let set = self.engine().snapshot().floor(dataset, step).expect("it was just set");
        assert_eq!(set.floor, asked);
        if floor != before {
            assert_eq!((set.since, set.set_at), (applied.sequence, applied.now));
        }
    }

    /// A dataset and step, one that has rows if there is any.
    fn what_has_a_floor(&mut self) -> (DatasetId, Step) {
        let keys: Vec<_> = self.series.keys().map(|key| (key.dataset, key.step)).collect();
        match keys.is_empty() {
            true => (Table::Bars.dataset(), Step::M1),
            false => *pick(&mut self.random, &keys),
        }
    }
}
