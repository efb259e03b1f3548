//! From the memtable to a segment: long work as a value (plan, run on any thread, install).

use std::sync::Arc;

use barrow_types::{Sequence, SeriesId, SeriesKey};

use crate::dataset::{Identity, Schema};
use crate::disk::Disk;
use crate::error::Error;
use crate::generation::Generation;
use crate::memtable::{Run, merge};
use crate::rows::Rows;
use crate::segment::layout::ExtentKind;
use crate::segment::{self, EXTENT_ROWS_MAX, Segment, Writer};
use crate::visible::losers;

/// What one series brings to a flush.
struct Share {
    series: SeriesId,
    key: Arc<SeriesKey>,
    /// Its newest version at the last record that is flushed.
    schema: &'static Schema,
    runs: Vec<Run>,
    /// The greatest `ts` that a segment already holds for the series.
    newest_on_disk: Option<i64>,
}

/// A flush that was decided on: which rows go into which segment.
pub struct FlushJob {
    number: u64,
    up_to: Sequence,
    shares: Vec<Share>,
}

/// A flush that was written and waits to be installed.
pub struct FlushDone {
    pub(crate) segment: Segment,
    pub(crate) up_to: Sequence,
}

impl FlushJob {
    /// Everything in the memtable of `generation` up to `up_to`.
    pub(crate) fn plan(generation: &Generation, number: u64, up_to: Sequence) -> Self {
        let mut shares = Vec::new();
        for (place, slot) in generation.memtable.slots().enumerate() {
            let series = SeriesId::new(crate::bytes::u32_len(place));
            let mut runs = slot.runs();
            runs.retain(|run| run.zone.sequence.max <= up_to.get());
            if runs.is_empty() {
                continue;
            }
            let key = generation.catalog.key(series).expect("invariant: every slot has a series");
            let schema = generation.catalog.schema(key.dataset, up_to);
            let schema = schema.expect("invariant: a series has a dataset");
            let on_disk = generation.extents(series).iter().map(|e| e.meta().zone.ts.max);
            shares.push(Share { series, key, schema, runs, newest_on_disk: on_disk.max() });
        }
        Self { number, up_to, shares }
    }

    /// Encodes, writes and syncs the segment. Long; on any thread.
    ///
    /// # Errors
    /// What the disk says; nothing that is published has changed, and no file is left.
    pub fn run(self, disk: &dyn Disk) -> Result<FlushDone, Error> {
        let number = self.number;
        self.write(disk).inspect_err(|_| segment::discard(disk, number))
    }

    fn write(self, disk: &dyn Disk) -> Result<FlushDone, Error> {
        let mut writer = Writer::new(disk, self.number, self.number)?;
        for share in &self.shares {
            let schema = share.schema;
            let rows = merge(&share.runs, schema.kinds());
            let step = share.key.step;
            for (kind, rows) in split(rows, schema, share.newest_on_disk) {
                if rows.len() <= EXTENT_ROWS_MAX {
                    writer.add(share.series, step, schema, kind, &rows)?;
                    continue;
                }
                for start in (0..rows.len()).step_by(EXTENT_ROWS_MAX) {
                    let end = (start + EXTENT_ROWS_MAX).min(rows.len());
                    let part = rows.slice(start..end);
                    writer.add(share.series, step, schema, kind, &part)?;
                }
            }
        }
        let segment = writer.seal()?;
        disk.sync_dir(segment::DIR)?;
        Ok(FlushDone { segment, up_to: self.up_to })
    }
}

/// Parts the rows into winners past everything on disk, other winners, and losers.
fn split(rows: Rows, schema: &Schema, newest_on_disk: Option<i64>) -> Vec<(ExtentKind, Rows)> {
    if schema.identity == Identity::Append {
        return vec![(ExtentKind::Base, rows)];
    }
    let late = newest_on_disk.map_or(0, |newest| rows.ts.partition_point(|&ts| ts <= newest));
    let mut base = Vec::new();
    let mut delta = Vec::new();
    let mut history = Vec::new();
    for (at, lost) in losers(schema, &rows, |_, _| true).into_iter().enumerate() {
        let place = crate::bytes::u32_len(at);
        if lost {
            history.push(place);
        } else if at < late {
            delta.push(place);
        } else {
            base.push(place);
        }
    }
    if delta.is_empty() && history.is_empty() {
        return vec![(ExtentKind::Base, rows)];
    }
    [(ExtentKind::Base, base), (ExtentKind::Delta, delta), (ExtentKind::History, history)]
        .into_iter()
        .filter(|(_, places)| !places.is_empty())
        .map(|(kind, places)| (kind, rows.take(&places)))
        .collect()
}
