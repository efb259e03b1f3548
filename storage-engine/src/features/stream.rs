//! A range of cells in parts: from files, and computed.

use std::collections::VecDeque;
use std::sync::Arc;

use barrow_features::ContextId;
use barrow_types::Timestamp;

use crate::error::Error;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

use super::lane::{self, Asked, Lane};
use super::stored::{Block, Reading};
use super::{FeaturePiece, FeatureScan};

/// A part of a range.
pub(super) enum Part {
    /// Slots that start from one instant to another.
    Computed {
        start: i64,
        end: i64,
        /// Whether a slot that is due lies behind them.
        is_followed: bool,
    },
    /// Those of a block.
    Stored(Arc<Block>),
}

impl Part {
    /// What a block held: none of its slots waits for one that is due.
    const fn computed(start: i64, end: i64) -> Self {
        Self::Computed { start, end, is_followed: false }
    }
}

/// Where slots come from.
enum Source {
    Lanes(Vec<Option<Lane>>, i64),
    Block(Reading),
}

/// See the module.
pub(super) struct Stream {
    snapshot: Snapshot,
    reference: Arc<Reference>,
    scan: FeatureScan,
    until: Timestamp,
    /// The parts to come.
    parts: VecDeque<Part>,
    source: Option<Source>,
}

impl Stream {
    /// The slots of some parts, which follow upon each other, of the range of `scan`.
    pub(super) fn new(
        (snapshot, reference, scan): (Snapshot, Arc<Reference>, FeatureScan),
        until: Timestamp,
        parts: Vec<Part>,
    ) -> Result<Self, Error> {
        let parts = parts.into();
        let mut stream = Self { snapshot, reference, scan, until, parts, source: None };
        stream.begin()?;
        Ok(stream)
    }

    /// The slots that are asked for, as they are computed; `None` where they come from a file.
    pub(super) fn own_lane(&self) -> Option<&Lane> {
        match &self.source {
            Some(Source::Lanes(lanes, _)) => lanes[0].as_ref(),
            Some(Source::Block(_)) | None => None,
        }
    }

    /// The next slots, never none; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<FeaturePiece>, Error> {
        let (start, end) = (self.scan.start.nanos(), self.scan.end.nanos());
        loop {
            let (piece, start) = match &mut self.source {
                None => return Ok(None),
                Some(Source::Lanes(lanes, from)) => {
                    (lane::step(lanes, ContextId(0))?, start.max(*from))
                }
                Some(Source::Block(reading)) => {
                    let generation = self.snapshot.generation();
                    match reading.next(&generation.cells, &*generation.disk) {
                        Ok(piece) => (piece, start),
                        Err((start, end)) => {
                            self.parts.push_front(Part::computed(start, end));
                            (None, start)
                        }
                    }
                }
            };
            let Some(mut piece) = piece else {
                self.begin()?;
                continue;
            };
            let after = piece.ts.partition_point(|ts| *ts < end);
            if after < piece.len() {
                piece = piece.split_at(after).0;
            }
            let before = piece.ts.partition_point(|ts| *ts < start);
            let piece = if before == 0 { piece } else { piece.split_at(before).1 };
            if !piece.is_empty() {
                return Ok(Some(piece));
            }
        }
    }

    /// Begins the next part.
    fn begin(&mut self) -> Result<(), Error> {
        let generation = self.snapshot.generation();
        self.source = match self.parts.pop_front() {
            None => None,
            Some(Part::Stored(block)) => {
                let reading = Reading::new(&generation.cells, &*generation.disk, &block);
                match reading {
                    Some(reading) => Some(Source::Block(reading)),
                    None => {
                        let (start, end) = block.span();
                        self.parts.push_front(Part::computed(start, end));
                        return self.begin();
                    }
                }
            }
            Some(Part::Computed { start, end, is_followed }) => {
                let start = start.max(self.scan.start.nanos());
                let end = end.min(self.scan.end.nanos());
                let [from, to] = [start, end].map(Timestamp::from_nanos);
                let scan = FeatureScan { start: from, end: to, ..self.scan.clone() };
                let asked = Asked {
                    snapshot: &self.snapshot,
                    reference: &self.reference,
                    scan: &scan,
                    until: self.until,
                    is_followed,
                };
                Some(Source::Lanes(asked.lanes()?, start))
            }
        };
        Ok(())
    }
}

/// The parts of a range, at least one, of which some blocks hold slots; they are in order.
pub(super) fn parts(range: (i64, i64), blocks: Vec<Arc<Block>>) -> Vec<Part> {
    let (mut start, end) = range;
    let mut parts = Vec::with_capacity(2 * blocks.len() + 1);
    for block in blocks {
        let (from, next) = block.span();
        if from > start {
            parts.push(Part::Computed { start, end: from, is_followed: true });
        }
        start = next;
        parts.push(Part::Stored(block));
    }
    if start < end || parts.is_empty() {
        parts.push(Part::Computed { start, end, is_followed: false });
    }
    parts
}
