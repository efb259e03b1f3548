//! Re-reads everything a store holds and checks that it says what it must. Writes nothing.

mod verifier;

use std::collections::BTreeMap;
use std::sync::Arc;

use barrow_types::{Sequence, SeriesId, Timestamp};

use crate::bytes::usize_from;
use crate::curate;
use crate::dataset::Identity;
use crate::disk::Disk;
use crate::engine::apply;
use crate::engine::open::{self, Found};
use crate::error::Error;
use crate::features;
use crate::gaps::{self, Verified};
use crate::generation::Generation;
use crate::memtable::{Span, Zone};
use crate::rows::Rows;
use crate::segment::layout::{self, ExtentKind};
use crate::segment::{self, Extent, Segment};
use crate::snapshot::Snapshot;
use crate::wal;

pub use self::verifier::{Stepped, Verifier, VerifyPlace, verify_live};

/// What was read and what was wrong with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Files read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records of the log.
    pub records: u64,
    /// Extents of segments.
    pub extents: u64,
    /// Rows in segments, of ledgers too, and rows of batches in the log.
    pub rows: u64,
    /// Gap masks.
    pub masks: u64,
    /// Tiles: bars that are made of others.
    pub tiles: u64,
    /// What was wrong, a sentence each; empty if all is well.
    pub problems: Vec<String>,
}

impl VerifyReport {
    fn problem(&mut self, error: &Error) {
        self.problems.push(error.to_string());
    }

    fn add(&mut self, verified: Verified) {
        self.files += verified.files;
        self.bytes += verified.bytes;
        self.masks += verified.masks;
        self.tiles += verified.tiles;
        self.problems.extend(verified.problems);
    }
}

/// Checks a store that nobody has open: format, roots, manifest, segments, log, masks, tiles, and
/// the checksums of cells of features, which are computed again by a check of their own.
///
/// # Errors
/// `NotFound` if there is no store. Damage is not an error but a problem of the report.
pub fn verify(disk: &Arc<dyn Disk>) -> Result<VerifyReport, Error> {
    let mut report = VerifyReport::default();
    let found = match open::find(disk) {
        Ok(Some(found)) => found,
        Ok(None) => return Err(Error::not_found("there is no store here")),
        Err(error) => {
            report.problem(&error);
            return Ok(report);
        }
    };
    check_segments(&found.generation, &mut report);
    for entry in &found.manifest.segments {
        let rows = |segment: &&Arc<Segment>| segment.number == entry.number;
        let segment = found.generation.segments.iter().find(rows);
        let rows: u64 =
            segment.map_or(0, |segment| segment.extents.iter().map(|e| u64::from(e.rows)).sum());
        if rows != entry.rows {
            let path = segment::path(entry.number);
            report.problems.push(format!("{path} has {rows} rows, the manifest {}", entry.rows));
        }
    }
    let last = check_log(&**disk, &found, &mut report);
    let Found { format, manifest, generation, now, .. } = found;
    let low = Sequence::new(manifest.root.low - 1);
    let snapshot = Snapshot::new(Arc::new(generation), low, now);
    match gaps::verify_files(&**disk, format.instance, &snapshot, last) {
        Ok(verified) => report.add(verified),
        Err(error) => report.problem(&error),
    }
    match curate::verify_tile_files(&**disk, format.instance, &snapshot, last) {
        Ok(verified) => report.add(verified),
        Err(error) => report.problem(&error),
    }
    match features::verify_cell_files(&**disk, format.instance) {
        Ok(verified) => report.add(verified),
        Err(error) => report.problem(&error),
    }
    Ok(report)
}

/// Returns the last record, if the log can be read.
fn check_log(disk: &dyn Disk, found: &Found, report: &mut VerifyReport) -> Option<u64> {
    for file in &found.wal_files {
        report.files += 1;
        report.bytes += disk.len(&file.path()).unwrap_or(0);
    }
    let (mut records, mut rows) = (0, 0);
    let low = found.manifest.root.low;
    let replayed = wal::scan::replay(disk, &found.wal_files, found.expected(), |header, body| {
        records += 1;
        if header.sequence < low {
            return Ok(());
        }
        let Some(content) = open::decode(&found.generation, header, body)? else { return Ok(()) };
        let since = Sequence::new(header.sequence);
        let now = Timestamp::from_nanos(header.now);
        apply::define(&found.generation.catalog, &content, since, now);
        for section in &content.sections {
            rows += section.rows.ts.len() as u64;
            for symbol in &section.new_symbols {
                let key = section.key(symbol.clone(), &content.source);
                found.generation.catalog.add(key, since);
            }
        }
        Ok(())
    });
    report.records += records;
    report.rows += rows;
    match replayed {
        Ok(end) => Some(end.last),
        Err(error) => {
            report.problem(&error);
            None
        }
    }
}

fn check_segments(generation: &Generation, report: &mut VerifyReport) {
    for segment in &generation.segments {
        check_file(generation, segment, report);
        for place in 0..segment.extents.len() {
            let extent = Extent { segment: Arc::clone(segment), place };
            check_extent(generation, &extent, report);
        }
    }
    check_order(generation, report);
}

/// What is said of a segment as a whole.
fn check_file(generation: &Generation, segment: &Segment, report: &mut VerifyReport) {
    report.files += 1;
    report.bytes += segment.len;
    if let Err(error) = check_holes(generation, segment) {
        report.problem(&error);
    }
}

fn check_extent(generation: &Generation, extent: &Extent, report: &mut VerifyReport) {
    report.extents += 1;
    report.rows += u64::from(extent.meta().rows);
    if let Err(error) = check_rows(generation, extent) {
        report.problem(&error);
    }
}

/// Base extents of a series whose rows have one key each do not overlap.
fn check_order(generation: &Generation, report: &mut VerifyReport) {
    let mut base: BTreeMap<SeriesId, Vec<Span<i64>>> = BTreeMap::new();
    for meta in generation.segments.iter().flat_map(|segment| &segment.extents) {
        let schema = generation.catalog.schema(meta.dataset, Sequence::MAX);
        let identity = schema.map(|schema| schema.identity);
        if meta.kind == ExtentKind::Base && identity == Some(Identity::Ts) {
            base.entry(meta.series).or_default().push(meta.zone.ts);
        }
    }
    for (series, mut spans) in base {
        spans.sort_unstable_by_key(|span| span.min);
        if !spans.is_sorted_by(|a, b| a.max < b.min) {
            report.problems.push(format!("two base extents of series {} overlap", series.get()));
        }
    }
}

/// Bytes that belong to no block are zero.
fn check_holes(generation: &Generation, segment: &Segment) -> Result<(), Error> {
    let path = segment::path(segment.number);
    let disk = &*generation.disk;
    let trailer_at = segment.len - layout::TRAILER_LEN as u64;
    let trailer = disk.read(&path, trailer_at, layout::TRAILER_LEN)?;
    let damage = |why: &str| Error::corrupt(format!("{path}: {why}"));
    let (footer_len, _) = layout::decode_trailer(&trailer).map_err(|e| damage(e.0))?;
    let mut spans: Vec<(u64, u64)> = segment
        .extents
        .iter()
        .flat_map(|extent| &extent.blocks)
        .map(|block| (block.at, block.at + u64::from(block.len)))
        .collect();
    spans.push((trailer_at - footer_len, segment.len));
    spans.sort_unstable();
    let mut end = layout::HEADER_LEN as u64;
    for (start, next) in spans {
        let hole = usize_from(start.checked_sub(end).ok_or_else(|| damage("blocks overlap"))?)
            .map_err(|e| damage(e.0))?;
        if disk.read(&path, end, hole)?.iter().any(|&byte| byte != 0) {
            return Err(damage(&format!("the bytes between blocks at {end} are not zero")));
        }
        end = next;
    }
    Ok(())
}

/// Every block passes its checksum, every column decodes, and the rows are what the directory says.
fn check_rows(generation: &Generation, extent: &Extent) -> Result<(), Error> {
    let disk = &*generation.disk;
    let meta = extent.meta();
    let path = segment::path(extent.segment.number);
    let damage = |why: &str| {
        Error::corrupt(format!("{path}, an extent of series {}: {why}", meta.series.get()))
    };
    for block in &meta.blocks {
        extent.block_bytes(disk, block)?;
    }
    let key = generation.catalog.key(meta.series).ok_or_else(|| damage("unknown series"))?;
    let schema = generation.catalog.schema_of(meta.dataset, meta.schema_version);
    let schema = schema.ok_or_else(|| damage("unknown dataset, or version of a table"))?;
    let places: Vec<usize> = (0..schema.columns.len()).collect();
    let rows = extent.read(disk, key.step, schema, &places, i64::MIN, i64::MAX)?;
    if rows.len() != meta.rows as usize {
        return Err(damage("it has another number of rows than the directory says"));
    }
    if Zone::of(&rows) != meta.zone {
        return Err(damage("its rows span something else than the directory says"));
    }
    if rows.flags.iter().fold(0, |all, row| all | row) != meta.flags {
        return Err(damage("its rows have other flags than the directory says"));
    }
    let order = |rows: &Rows, at: usize| (rows.ts[at], rows.rank(at));
    if !(1..rows.len()).all(|at| order(&rows, at - 1) <= order(&rows, at)) {
        return Err(damage("its rows are not in order"));
    }
    let unique = rows.ts.is_sorted_by(|a, b| a < b);
    if schema.identity == Identity::Ts && meta.kind == ExtentKind::Base && !unique {
        return Err(damage("a base extent holds a key twice"));
    }
    Ok(())
}
