//! Ground state: what a record does to the memtable. Total and deterministic: commit and replay
//! come to the same rows by the same path.

use barrow_types::{DatasetId, Sequence, SeriesId, Source, Timestamp};

use crate::batch::{KnownAt, Refused};
use crate::catalog::{Catalog, ledger_series};
use crate::dataset::retention::{self, SetFloor};
use crate::dataset::tables::Definition;
use crate::dataset::{self, facts::REFERENCE};
use crate::generation::Generation;
use crate::prepare::hash;
use crate::rows::{Bitmap, Column, Rows, Texts, Values};
use crate::wal::body::{Block, RowsBody, Section, SeriesRef, has_known_at};

/// Adds the rows of a record, and what the ledgers say of it. Returns the series it touched.
///
/// The record was made by `prepare` on this state, or passed its checksum and `check` on replay.
pub(super) fn apply(
    generation: &Generation,
    content: RowsBody,
    sequence: Sequence,
    now: Timestamp,
) -> Vec<SeriesId> {
    let memtable = &generation.memtable;
    define(&generation.catalog, &content, sequence, now);
    set_floors(&generation.catalog, &content, sequence, now);
    let blocks: usize = content.sections.iter().map(|section| section.blocks.len()).sum();
    let mut touched = Vec::with_capacity(blocks + 4);
    let mut new_series = Vec::with_capacity(content.sections.len());
    for section in &content.sections {
        let mut of_section = Vec::with_capacity(section.new_symbols.len());
        for symbol in &section.new_symbols {
            let key = section.key(symbol.clone(), &content.source);
            of_section.push(generation.catalog.add(key, sequence));
            memtable.add_slot();
        }
        new_series.push(of_section);
    }
    let mut push = |series: SeriesId, rows: Rows| {
        let all = 0..rows.len();
        memtable.push(rows, &[(series, all)]);
        touched.push(series);
    };
    let mut ledger = Ledger { sequence, now, push: &mut push };
    for (section, new_series) in content.sections.iter().zip(&new_series) {
        ledger.series(section, &content.source, new_series);
    }
    ledger.batch(&content);
    ledger.facts(&content);
    ledger.dead_letters(&content.batch_id, &content.dead);
    for (section, new_series) in content.sections.into_iter().zip(new_series) {
        let of_block = |block: &Block| {
            let series = match block.series {
                SeriesRef::Known(id) => SeriesId::new(id),
                SeriesRef::New(place) => new_series[place as usize],
            };
            (series, block.rows.clone())
        };
        let of_series: Vec<_> = section.blocks.iter().map(of_block).collect();
        let mut rows = section.rows;
        rows.sequence = vec![sequence.get(); rows.len()];
        for (known_at, row_flags) in rows.known_at.iter_mut().zip(&rows.flags) {
            if !has_known_at(*row_flags) {
                *known_at = now.nanos();
            }
        }
        if REFERENCE.contains(&section.dataset)
            && let Some(known_at) = rows.known_at.iter().max()
        {
            generation.facts.note(sequence.get(), *known_at);
        }
        if !of_series.is_empty() {
            memtable.push(rows, &of_series);
            touched.extend(of_series.iter().map(|(series, _)| *series));
        }
    }
    memtable.add_batch(content.batch_id, sequence);
    touched
}

/// Makes a table known that a record defines.
pub(crate) fn define(catalog: &Catalog, content: &RowsBody, sequence: Sequence, now: Timestamp) {
    let rows = &content.own().rows;
    if content.own().dataset == DatasetId::TABLES && !rows.is_empty() {
        let definition = Definition::read(&rows.columns, rows.len());
        let definition = definition.expect("invariant: prepare or `check` has read it");
        catalog.define(&definition, sequence, now);
    }
}

/// Makes the floors of retention known that a record sets.
fn set_floors(catalog: &Catalog, content: &RowsBody, sequence: Sequence, set_at: Timestamp) {
    let section = content.own();
    if section.dataset != DatasetId::RETENTION {
        return;
    }
    for at in 0..section.rows.len() {
        let read = retention::read(&section.rows.columns, at);
        let (dataset, step, floor) = read.expect("invariant: prepare or `check` has read it");
        catalog.set_floor(SetFloor { dataset, step, floor, since: sequence, set_at });
    }
}

/// Whether the blocks of a replayed record belong to series of its dataset that exist, and its rows
/// to versions of tables that do.
pub(super) fn check(generation: &Generation, content: &RowsBody) -> Result<(), &'static str> {
    for section in &content.sections {
        for block in &section.blocks {
            if let SeriesRef::Known(id) = block.series {
                let key = generation.catalog.key(SeriesId::new(id));
                if key.is_none_or(|key| key.dataset != section.dataset) {
                    return Err("it has rows of a series that there is not");
                }
            }
        }
        if section.dataset.is_table() {
            let schema = generation.catalog.schema_of(section.dataset, section.schema_version);
            let kinds = section.rows.columns.iter().map(Column::kind);
            if schema.is_none_or(|schema| !schema.kinds().eq(kinds)) {
                return Err("it has rows of a version of a table that there is not");
            }
        }
    }
    check_floors(content.own())?;
    check_definition(&generation.catalog, content.own())
}

/// Whether floors of retention in a replayed record are some.
fn check_floors(section: &Section) -> Result<(), &'static str> {
    let is_floor = |at| retention::read(&section.rows.columns, at).is_some();
    if section.dataset == DatasetId::RETENTION && !(0..section.rows.len()).all(is_floor) {
        return Err("it sets a floor of retention that is none");
    }
    Ok(())
}

/// Whether a definition in a replayed record is one, and follows on those before it.
fn check_definition(catalog: &Catalog, section: &Section) -> Result<(), &'static str> {
    let rows = &section.rows;
    if section.dataset != DatasetId::TABLES || rows.is_empty() {
        return Ok(());
    }
    let definition = Definition::read(&rows.columns, rows.len());
    match definition.and_then(|definition| catalog.check_next(&definition)) {
        Ok(_) => Ok(()),
        Err(_) => Err("it defines a version of a table that does not follow on those before it"),
    }
}

/// Rows of the ledgers for one record.
struct Ledger<'a> {
    sequence: Sequence,
    now: Timestamp,
    push: &'a mut dyn FnMut(SeriesId, Rows),
}

impl Ledger<'_> {
    fn add(&mut self, dataset: DatasetId, columns: Vec<Column>) {
        let count = columns[0].len();
        if count == 0 {
            return;
        }
        let rows = Rows {
            ts: vec![self.now.nanos(); count],
            sequence: vec![self.sequence.get(); count],
            known_at: vec![self.now.nanos(); count],
            flags: vec![0; count],
            columns,
        };
        debug_assert!(
            rows.columns
                .iter()
                .map(Column::kind)
                .eq(dataset::schema(dataset).expect("invariant: ledgers have schemas").kinds())
        );
        (self.push)(ledger_series(dataset), rows);
    }

    fn series(&mut self, section: &Section, source: &Source, new_series: &[SeriesId]) {
        let all = |value: i64| integers(vec![value; new_series.len()]);
        self.add(
            DatasetId::SERIES,
            vec![
                integers(new_series.iter().map(|id| i64::from(id.get())).collect()),
                all(i64::from(section.dataset.get())),
                all(i64::from(section.step.code())),
                all(i64::from(section.side.code())),
                texts(section.new_symbols.iter().map(barrow_types::Symbol::as_str)),
                texts(new_series.iter().map(|_| source.as_str())),
            ],
        );
    }

    fn batch(&mut self, content: &RowsBody) {
        let counts = &content.counts;
        let one = |count: u64| integers(vec![count.cast_signed()]);
        let body_hash = hash::text_of(content.body_hash);
        let policy = match content.policy {
            KnownAt::Ingest => Column {
                values: Values::Text([""].into_iter().collect()),
                validity: Some(Bitmap::filled(1, false)),
            },
            KnownAt::TsEnd(delay) => texts([format!("ts_end{:+}ns", delay.get()).as_str()]),
        };
        self.add(
            DatasetId::BATCHES,
            vec![
                texts([content.batch_id.as_str()]),
                texts([content.source.as_str()]),
                integers(vec![i64::from(content.own().dataset.get())]),
                texts([body_hash.as_str()]),
                one(counts.accepted),
                one(counts.duplicates),
                one(counts.corrected),
                one(counts.superseded),
                one(counts.rejected),
                policy,
                one(content.claims),
                one(content.retracted),
            ],
        );
    }

    fn facts(&mut self, content: &RowsBody) {
        let Some(facts) = &content.facts else { return };
        self.add(
            DatasetId::SOURCE_FACTS,
            vec![
                texts([content.source.as_str()]),
                integers(vec![i64::from(content.own().dataset.get())]),
                integers(vec![i64::from(content.own().step.code())]),
                texts([facts.session.as_str()]),
                texts([facts.align.as_str()]),
            ],
        );
    }

    fn dead_letters(&mut self, batch_id: &str, dead: &[Refused]) {
        self.add(
            DatasetId::DEAD_LETTERS,
            vec![
                texts(dead.iter().map(|_| batch_id)),
                integers(dead.iter().map(|dead| dead.row.cast_signed()).collect()),
                texts(dead.iter().map(|dead| dead.reason.as_str())),
                texts(dead.iter().map(|dead| dead.detail.as_str())),
                texts(dead.iter().map(|dead| dead.raw.as_str())),
            ],
        );
    }
}

fn integers(values: Vec<i64>) -> Column {
    Column::new(Values::I64(values))
}

fn texts<'a>(values: impl IntoIterator<Item = &'a str>) -> Column {
    Column::new(Values::Text(values.into_iter().collect::<Texts>()))
}
