//! An immutable view of everything Barrow held at one sequence.

mod letters;
mod scan;

use std::sync::Arc;

use barrow_types::{ColumnId, DatasetId, Sequence, SeriesId, SeriesKey, Step, Timestamp};

use crate::batch::{Counts, SourceFacts};
use crate::catalog::ledger_series;
use crate::dataset::retention::SetFloor;
use crate::dataset::tables::Table;
use crate::dataset::{self, Schema};
use crate::error::Error;
use crate::generation::Generation;
use crate::rows::{Column, Rows, Values};

pub use scan::Scanner;

/// Which rows of a key a scan returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revisions {
    /// The visible one, if it is not a retraction.
    Visible,
    /// Every stored row that was known by then, losers and retractions too.
    All,
}

/// What to read: one series, a range of event times as stored.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Which series.
    pub series: SeriesId,
    /// First `ts`.
    pub start: Timestamp,
    /// End of the range, not in it.
    pub end: Timestamp,
    /// User columns wanted, in this order; what the system knows always comes.
    pub columns: Vec<ColumnId>,
    /// T: only what was known then.
    pub as_of: Option<Timestamp>,
    /// N: only what Barrow held then.
    pub at_sequence: Option<Sequence>,
    /// Which rows of a key.
    pub revisions: Revisions,
}

/// What the ledger says of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    /// The record that holds it.
    pub sequence: Sequence,
    /// When it came in.
    pub now: Timestamp,
    /// The sender's id.
    pub batch_id: String,
    /// Who delivered it.
    pub source: String,
    /// The table it went to.
    pub dataset: DatasetId,
    /// XXH3-128 of its content, 32 hexadecimal digits.
    pub body_hash: String,
    /// What became of its rows.
    pub counts: Counts,
    /// How many of its claims were taken.
    pub claims: u64,
    /// How many stored rows it took away.
    pub retracted: u64,
}

/// What a source delivers, as last stated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFactRow {
    /// Who delivers.
    pub source: String,
    /// Which table.
    pub dataset: DatasetId,
    /// Code of the step.
    pub step: u8,
    /// What it delivers.
    pub facts: SourceFacts,
    /// Since when it is known.
    pub known_at: Timestamp,
    /// The record that brought it.
    pub sequence: Sequence,
}

/// What a rejected row is called, for ever: the record that holds it, and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetterId {
    /// The record.
    pub sequence: Sequence,
    /// Which of its rejected rows, from 0.
    pub place: u64,
}

/// A rejected row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// What it is called.
    pub id: LetterId,
    /// When it came in.
    pub now: Timestamp,
    /// Its batch.
    pub batch_id: String,
    /// Its number in the batch, or its line in the file.
    pub row: u64,
    /// Why, in a word.
    pub reason: String,
    /// What was wrong.
    pub detail: String,
    /// The row as it came.
    pub raw: String,
}

/// See the module. Cheap to clone; holds its files and rows until it is dropped.
#[derive(Clone)]
pub struct Snapshot {
    generation: Arc<Generation>,
    sequence: Sequence,
    now: Timestamp,
}

impl Snapshot {
    pub(crate) const fn new(
        generation: Arc<Generation>,
        sequence: Sequence,
        now: Timestamp,
    ) -> Self {
        Self { generation, sequence, now }
    }

    pub(crate) fn generation(&self) -> &Generation {
        &self.generation
    }

    /// The last record that is visible.
    pub const fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// The ingest time of that record; [`Timestamp::MIN`] if there is none.
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    /// What rows of a dataset look like: of a user's table, by its newest version.
    pub fn schema(&self, dataset: DatasetId) -> Option<&'static Schema> {
        self.schema_at(dataset, None)
    }

    /// The same by what Barrow held at `at_sequence`; of a table that was not there then, by its
    /// first version.
    pub fn schema_at(
        &self,
        dataset: DatasetId,
        at_sequence: Option<Sequence>,
    ) -> Option<&'static Schema> {
        let sequence = at_sequence.unwrap_or(Sequence::MAX).min(self.sequence);
        self.generation.catalog.schema(dataset, sequence)
    }

    /// The tables that users have defined, in the order in which they came.
    pub fn tables(&self) -> Vec<Table> {
        self.generation.catalog.tables(self.sequence)
    }

    /// The table of that name, as it was at `at_sequence`.
    pub fn table(&self, name: &str, at_sequence: Option<Sequence>) -> Option<Table> {
        let sequence = at_sequence.unwrap_or(Sequence::MAX).min(self.sequence);
        self.generation.catalog.table(name, sequence)
    }

    /// The floor of retention of a dataset's bars of `step`, or of its rows, if it has one.
    pub fn floor(&self, dataset: DatasetId, step: Step) -> Option<SetFloor> {
        self.generation.catalog.floor(dataset, step, self.sequence)
    }

    /// The floors of retention, in order of datasets and steps.
    pub fn floors(&self) -> Vec<SetFloor> {
        self.generation.catalog.floors(self.sequence)
    }

    /// Refuses a question about rows of a dataset and step as they were at (T, N) if that lies
    /// below their floor. Whoever opens a range of rows asks this, and so does whoever answers from
    /// what was made of rows before.
    ///
    /// # Errors
    /// `BelowRetention`, with the floor.
    pub fn check_retention(
        &self,
        dataset: DatasetId,
        step: Step,
        as_of: Option<Timestamp>,
        at_sequence: Option<Sequence>,
    ) -> Result<(), Error> {
        if as_of.is_none() && at_sequence.is_none() {
            return Ok(());
        }
        let Some(set) = self.floor(dataset, step) else { return Ok(()) };
        if set.floor.admits(as_of, at_sequence) {
            return Ok(());
        }
        let name = self.schema(dataset).map_or("", |schema| schema.name);
        let timeframe = if step == Step::Tick { "" } else { step.name() };
        let space = if timeframe.is_empty() { "" } else { " " };
        let asked = match (as_of, at_sequence) {
            (Some(as_of), _) if as_of < set.floor.as_of_from => format!("as_of {as_of}"),
            (_, Some(sequence)) => format!("at_sequence {sequence}"),
            (as_of, None) => format!("as_of {}", as_of.unwrap_or(Timestamp::MAX)),
        };
        Err(Error::below_retention(format!(
            "{asked} lies below the retention floor of {name}{space}{timeframe}, which is answered \
             as of {} and at sequence {} or later; rows that only earlier questions saw may be \
             gone",
            set.floor.as_of_from, set.floor.at_sequence_from
        )))
    }

    /// The series of a dataset in order of (symbol, step, side, source); of one symbol, if given.
    pub fn series(&self, dataset: DatasetId, symbol: Option<&str>) -> Vec<(SeriesId, SeriesKey)> {
        self.generation.catalog.list(dataset, symbol, self.sequence)
    }

    /// The series of a dataset that record `at_sequence` or one before it brought, in that order.
    pub fn series_at(
        &self,
        dataset: DatasetId,
        at_sequence: Sequence,
    ) -> Vec<(SeriesId, SeriesKey)> {
        self.generation.catalog.list(dataset, None, at_sequence.min(self.sequence))
    }

    /// Streams the rows of one series in the order (`ts`, `known_at`, `sequence`, place in batch),
    /// some tens of thousands a piece.
    ///
    /// # Errors
    /// `NotFound` for an unknown series, `Invalid` for a column that its dataset does not have,
    /// `BelowRetention` if the rows that (T, N) asks for may be gone.
    pub fn scan(&self, scan: Scan) -> Result<Scanner, Error> {
        Scanner::new(self.clone(), scan)
    }

    /// The visible row with the greatest `ts`, with all columns of its dataset, hidden ones too;
    /// `None` if nothing is visible.
    ///
    /// # Errors
    /// `NotFound` for an unknown series, `Corrupt` if a block that is needed is damaged.
    pub fn newest(&self, series: SeriesId) -> Result<Option<Arc<Rows>>, Error> {
        scan::newest(self, series)
    }

    /// The ingest time of the last batch that is not after record `sequence`;
    /// [`Timestamp::MIN`] if there is none.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn now_at(&self, sequence: Sequence) -> Result<Timestamp, Error> {
        if sequence >= self.sequence {
            return Ok(self.now);
        }
        let mut scanner = self.scan(Scan {
            series: ledger_series(DatasetId::BATCHES),
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: Vec::new(),
            as_of: None,
            at_sequence: Some(sequence),
            revisions: Revisions::All,
        })?;
        let mut now = Timestamp::MIN;
        while let Some(rows) = scanner.next()? {
            now = now.max(Timestamp::from_nanos(rows.ts.last().copied().unwrap_or(i64::MIN)));
        }
        Ok(now)
    }

    /// The last record that holds a batch that came in at `at` or before; [`Sequence::ZERO`] if
    /// there is none.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn sequence_at(&self, at: Timestamp) -> Result<Sequence, Error> {
        let mut scanner = self.scan(Scan {
            series: ledger_series(DatasetId::BATCHES),
            start: Timestamp::MIN,
            end: Timestamp::from_nanos(at.nanos().saturating_add(1)),
            columns: Vec::new(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        })?;
        let mut held = Sequence::ZERO;
        while let Some(rows) = scanner.next()? {
            let last = rows.sequence.iter().max().copied().unwrap_or_default();
            held = held.max(Sequence::new(last));
        }
        Ok(held)
    }

    /// How many rows of a series are stored, whatever became of them; in memory perhaps some that
    /// are newer than the snapshot.
    pub fn row_count(&self, series: SeriesId) -> u64 {
        let runs = self.generation.runs(series);
        let extents = self.generation.extents(series).iter();
        let on_disk: u64 = extents.map(|extent| u64::from(extent.meta().rows)).sum();
        on_disk + runs.iter().map(|run| run.len() as u64).sum::<u64>()
    }

    /// The first and the last `ts` of the rows of a series, visible or not; `None` if it has none.
    pub(crate) fn span(&self, series: SeriesId) -> Option<(i64, i64)> {
        let runs = self.generation.runs(series);
        let extents = self.generation.extents(series).iter().map(|extent| extent.meta().zone.ts);
        let spans = extents.chain(runs.iter().map(|run| run.zone.ts));
        spans.map(|ts| (ts.min, ts.max)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
    }

    /// What the ledger says of batch `id`.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn batch(&self, id: &str) -> Result<Option<BatchEntry>, Error> {
        let series = ledger_series(DatasetId::BATCHES);
        let disk = &*self.generation.disk;
        let id_column = dataset::BATCHES.columns[0].id;
        if let Some(sequence) = self.generation.memtable.batch(id, self.sequence) {
            let runs = self.generation.runs(series);
            let run = runs
                .iter()
                .find(|run| (run.zone.sequence.min..=run.zone.sequence.max).contains(&sequence));
            let run = run.expect("invariant: the batch index tells what is in the memtable");
            let at = run.range().find(|&at| run.rows().sequence[at] == sequence);
            let at = at.expect("invariant: every record adds a row to the ledger of batches");
            return Ok(Some(batch_entry(run.rows(), at)));
        }
        let places: Vec<usize> = (0..dataset::BATCHES.columns.len()).collect();
        for extent in self.generation.extents(series).iter().rev() {
            if extent.meta().zone.sequence.min > self.sequence.get()
                || !extent.may_hold(disk, id_column, id)?
            {
                continue;
            }
            let whole = (i64::MIN, i64::MAX);
            let ids = extent.read(disk, Step::Tick, &dataset::BATCHES, &[0], whole.0, whole.1)?;
            let found = (0..ids.len())
                .find(|&at| text(&ids.columns[0], at) == id)
                .filter(|&at| ids.sequence[at] <= self.sequence.get());
            if let Some(at) = found {
                let rows =
                    extent.read(disk, Step::Tick, &dataset::BATCHES, &places, whole.0, whole.1)?;
                return Ok(Some(batch_entry(&rows, at)));
            }
        }
        Ok(None)
    }

    /// What each source delivers, as last stated up to (T, N), in order of (source, dataset, step).
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn source_facts(
        &self,
        as_of: Option<Timestamp>,
        at_sequence: Option<Sequence>,
    ) -> Result<Vec<SourceFactRow>, Error> {
        let mut newest: Vec<SourceFactRow> = Vec::new();
        self.each_of_ledger(&dataset::SOURCE_FACTS, |rows, at| {
            let is_later = as_of.is_some_and(|as_of| rows.known_at[at] > as_of.nanos())
                || at_sequence.is_some_and(|sequence| rows.sequence[at] > sequence.get());
            if is_later {
                return;
            }
            let fact = SourceFactRow {
                source: text(&rows.columns[0], at).to_owned(),
                dataset: DatasetId::new(narrow(&rows.columns[1], at)),
                step: narrow(&rows.columns[2], at),
                facts: SourceFacts {
                    session: text(&rows.columns[3], at).to_owned(),
                    align: text(&rows.columns[4], at).to_owned(),
                },
                known_at: Timestamp::from_nanos(rows.known_at[at]),
                sequence: Sequence::new(rows.sequence[at]),
            };
            newest.retain(|other| {
                (&other.source, other.dataset, other.step)
                    != (&fact.source, fact.dataset, fact.step)
            });
            newest.push(fact);
        })?;
        newest.sort_by(|a, b| (&a.source, a.dataset, a.step).cmp(&(&b.source, b.dataset, b.step)));
        Ok(newest)
    }

    /// Rejected rows, newest record first and in order within it: of the batches that are `wanted`,
    /// from behind letter `after` on, at most `limit`. Reads the whole ledger, keeps `limit`.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn dead_letters(
        &self,
        wanted: impl FnMut(&str) -> bool,
        after: Option<LetterId>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        letters::list(self, wanted, after, limit)
    }

    /// The first rejected rows of record `sequence`, which came in at `now`, in order: at most
    /// `limit`. Reads no more of the ledger than came in at that time.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn first_letters_of(
        &self,
        sequence: Sequence,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, Error> {
        letters::first_of(self, (sequence, now), limit)
    }

    /// One rejected row.
    ///
    /// # Errors
    /// `Corrupt` if a block that is needed is damaged.
    pub fn dead_letter(&self, id: LetterId) -> Result<Option<DeadLetter>, Error> {
        letters::find(self, id)
    }

    /// Calls `on_row` with every row of a ledger, oldest first.
    pub(crate) fn each_of_ledger(
        &self,
        schema: &dataset::Schema,
        on_row: impl FnMut(&Rows, usize),
    ) -> Result<(), Error> {
        self.each_of_ledger_between(schema, Timestamp::MIN, Timestamp::MAX, on_row)
    }

    /// The same of the rows that came in from `start` on and before `end`.
    fn each_of_ledger_between(
        &self,
        schema: &dataset::Schema,
        start: Timestamp,
        end: Timestamp,
        mut on_row: impl FnMut(&Rows, usize),
    ) -> Result<(), Error> {
        let mut scanner = self.scan(Scan {
            series: ledger_series(schema.dataset),
            start,
            end,
            columns: schema.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::All,
        })?;
        while let Some(rows) = scanner.next()? {
            (0..rows.len()).for_each(|at| on_row(&rows, at));
        }
        Ok(())
    }
}

pub(crate) fn text(column: &Column, at: usize) -> &str {
    let Values::Text(texts) = &column.values else {
        unreachable!("invariant: the schema says that it is text")
    };
    texts.get(at)
}

pub(crate) fn integer(column: &Column, at: usize) -> i64 {
    let Values::I64(values) = &column.values else {
        unreachable!("invariant: the schema says that it is an integer")
    };
    values[at]
}

/// A small code; one that does not fit is no code of ours and becomes 0, which is none either.
pub(crate) fn narrow<T: TryFrom<i64> + Default>(column: &Column, at: usize) -> T {
    T::try_from(integer(column, at)).unwrap_or_default()
}

fn batch_entry(rows: &Rows, at: usize) -> BatchEntry {
    let count = |place: usize| integer(&rows.columns[place], at).cast_unsigned();
    BatchEntry {
        sequence: Sequence::new(rows.sequence[at]),
        now: Timestamp::from_nanos(rows.ts[at]),
        batch_id: text(&rows.columns[0], at).to_owned(),
        source: text(&rows.columns[1], at).to_owned(),
        dataset: DatasetId::new(narrow(&rows.columns[2], at)),
        body_hash: text(&rows.columns[3], at).to_owned(),
        counts: Counts {
            accepted: count(4),
            duplicates: count(5),
            corrected: count(6),
            superseded: count(7),
            rejected: count(8),
        },
        claims: count(10),
        retracted: count(11),
    }
}
