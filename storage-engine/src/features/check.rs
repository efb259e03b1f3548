//! Whether cells are what they must be.
//!
//! *Verify* computes each slot by itself from the begin on, as if it had just closed, and compares
//! bits, validity and reasons with what a range is answered with. *Lint* leaves out the past, and
//! then the future: cells of windows must not change once they are warm, and no cell may change
//! with what comes after it.

use std::collections::BTreeMap;

use barrow_types::Timestamp;
use xxhash_rust::xxh3::Xxh3;

use crate::error::Error;
use crate::snapshot::Snapshot;

use super::{Class, Column, FeaturePiece, FeatureScan, Features, Way};

/// Whether to go on: asked for every piece, some thousand slots at most.
pub type GoOn<'a> = &'a mut dyn FnMut() -> bool;

/// Cells that were computed twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// How many.
    pub cells: u64,
    /// How many differ.
    pub mismatches: u64,
    /// Hash of what a range is answered with: bits of the value and the reason of each cell, slot
    /// by slot.
    pub hash_stored: u64,
    /// The same of what was computed slot by slot.
    pub hash_recomputed: u64,
    /// The date of each session with cells that differ, in days since 1970, and how many.
    pub sessions: BTreeMap<i32, u64>,
}

/// What became of the cells of a feature without a part of its history.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Changed {
    /// How many were compared.
    pub cells: u64,
    /// How many are others.
    pub differ: u64,
    /// By how much of its value one changed at most.
    pub max_relative: f64,
}

/// What became of the cells of a feature.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Linted {
    /// Without the first half of the slots, once it is warm.
    pub without_past: Changed,
    /// Without the second half.
    pub without_future: Changed,
}

impl Snapshot {
    /// Computes the cells of an instrument twice and compares; `None` if it was not to go on.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn verify_features(
        &self,
        scan: &FeatureScan,
        go_on: GoOn<'_>,
    ) -> Result<Option<Verified>, Error> {
        let recomputed = FeatureScan { way: Way::Slots, ..scan.clone() };
        let mut streams = Both::new(self.features(scan)?, self.features(&recomputed)?);
        let mut verifying = Verifying::default();
        while let Some((stored, recomputed)) = streams.next()? {
            verifying.add(&stored, &recomputed);
            if !go_on() {
                return Ok(None);
            }
        }
        Ok(Some(verifying.end()))
    }

    /// Computes the cells of an instrument without the first half of its slots, and without the
    /// second; of each feature what became of it. `None` if it was not to go on.
    ///
    /// # Errors
    /// As [`Self::features`].
    pub fn lint_features(
        &self,
        scan: &FeatureScan,
        go_on: GoOn<'_>,
    ) -> Result<Option<Vec<Linted>>, Error> {
        let features = &scan.group.compiled.features;
        let mut linted = vec![Linted::default(); features.len()];
        let (mut starts, mut available_at) = (Vec::new(), Vec::new());
        let mut all = self.features(scan)?;
        while let Some(piece) = all.next()? {
            starts.extend(piece.ts);
            available_at.extend(piece.available_at);
            if !go_on() {
                return Ok(None);
            }
        }
        let half = starts.len() / 2;
        let Some(&cut) = starts.get(half) else { return Ok(Some(linted)) };
        let cut = Timestamp::from_nanos(cut);
        let without_past = FeatureScan { since: cut, start: cut, ..scan.clone() };
        if let Some(first) = self.features(&without_past)?.next()? {
            let start = Timestamp::from_nanos(first.ts[0]);
            let from_cut = FeatureScan { start, ..scan.clone() };
            let mut streams = Both::new(self.features(&from_cut)?, self.features(&without_past)?);
            let mut rank = 0_u64;
            while let Some((full, cut)) = streams.next()? {
                for at in 0..full.len() {
                    rank += 1;
                    for (place, linted) in linted.iter_mut().enumerate() {
                        let analysis = &features[place];
                        let lookback = analysis.lookback.unwrap_or(0).max(analysis.warm_up);
                        if rank > u64::from(lookback) {
                            linted.without_past.add(&full, &cut, place, at);
                        }
                    }
                }
                if !go_on() {
                    return Ok(None);
                }
            }
        }
        let before_cut = FeatureScan { end: cut, ..scan.clone() };
        // Where a source publishes later than bars end, the last of the first half can be had only
        // after the cut.
        let due = available_at[..half].iter().max().map_or(cut, |at| Timestamp::from_nanos(*at));
        let without_future = FeatureScan { end: cut, due: scan.due.min(due), ..scan.clone() };
        let mut streams = Both::new(self.features(&before_cut)?, self.features(&without_future)?);
        while let Some((full, cut)) = streams.next()? {
            for at in 0..full.len() {
                for (place, linted) in linted.iter_mut().enumerate() {
                    linted.without_future.add(&full, &cut, place, at);
                }
            }
            if !go_on() {
                return Ok(None);
            }
        }
        Ok(Some(linted))
    }
}

/// Two streams of the same slots.
struct Both {
    streams: [Features; 2],
    pending: [Option<FeaturePiece>; 2],
}

impl Both {
    fn new(first: Features, second: Features) -> Self {
        Self { streams: [first, second], pending: [None, None] }
    }

    /// The next slots of both, as many of the one as of the other.
    fn next(&mut self) -> Result<Option<(FeaturePiece, FeaturePiece)>, Error> {
        for (stream, pending) in self.streams.iter_mut().zip(&mut self.pending) {
            if pending.is_none() {
                *pending = stream.next()?;
            }
        }
        let [Some(first), Some(second)] = &self.pending else {
            return match &self.pending {
                [None, None] => Ok(None),
                _ => Err(Error::corrupt("two computations of a range have different slots")),
            };
        };
        let len = first.len().min(second.len());
        let mut split = self.pending.iter_mut().map(|pending| {
            let piece = pending.take().expect("invariant: both are there");
            let (first, rest) = piece.split_at(len);
            *pending = (!rest.is_empty()).then_some(rest);
            first
        });
        let (first, second) = (split.next(), split.next());
        Ok(first.zip(second))
    }
}

/// A [`Verified`] in the making.
#[derive(Default)]
struct Verifying {
    verified: Verified,
    stored: Xxh3,
    recomputed: Xxh3,
}

impl Verifying {
    fn add(&mut self, stored: &FeaturePiece, recomputed: &FeaturePiece) {
        for at in 0..stored.len() {
            for (one, other) in stored.cells.iter().zip(&recomputed.cells) {
                let bits = |column: &Column| (column.values()[at].to_bits(), column.reasons()[at]);
                let (one, other) = (bits(one), bits(other));
                self.verified.cells += 1;
                if one != other {
                    self.verified.mismatches += 1;
                    *self.verified.sessions.entry(stored.session[at]).or_default() += 1;
                }
                for (hash, (value, reason)) in
                    [(&mut self.stored, one), (&mut self.recomputed, other)]
                {
                    hash.update(&value.to_le_bytes());
                    hash.update(&[reason]);
                }
            }
        }
    }

    fn end(self) -> Verified {
        let (hash_stored, hash_recomputed) = (self.stored.digest(), self.recomputed.digest());
        Verified { hash_stored, hash_recomputed, ..self.verified }
    }
}

impl Changed {
    fn add(&mut self, full: &FeaturePiece, cut: &FeaturePiece, place: usize, at: usize) {
        let (one, other) = (full.cells[place].cell(at), cut.cells[place].cell(at));
        self.cells += 1;
        if one == other {
            return;
        }
        self.differ += 1;
        if let (Some(one), Some(other)) = (one.value(), other.value()) {
            let scale = one.abs().max(other.abs()).max(f64::MIN_POSITIVE);
            self.max_relative = self.max_relative.max((one - other).abs() / scale);
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            cells: self.cells + other.cells,
            differ: self.differ + other.differ,
            max_relative: self.max_relative.max(other.max_relative),
        }
    }
}

impl Linted {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            without_past: self.without_past.and(other.without_past),
            without_future: self.without_future.and(other.without_future),
        }
    }

    /// Whether a feature of that class may have changed so: recursions never forget their past.
    pub fn is_ok(&self, class: Class) -> bool {
        let forgets = class != Class::Recursive;
        (!forgets || self.without_past.differ == 0) && self.without_future.differ == 0
    }
}
