//! Asks the engine and the model the same question and panics where the answers differ.

use barrow_engine::dataset::{self, Schema};
use barrow_engine::rows::{Column, Rows, Values, flags};
use barrow_engine::{ErrorKind, Revisions, Scan, Snapshot};
use barrow_tests::model::{Entry, Floor, Model, Stored, Table, Value};
use barrow_types::{ColumnId, Sequence, SeriesId, SeriesKey, Timestamp};

/// A question about one series.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    pub(crate) key: SeriesKey,
    pub(crate) series: SeriesId,
    pub(crate) start: i64,
    pub(crate) end: i64,
    /// Places of columns in the schema, in the order wanted.
    pub(crate) columns: Vec<usize>,
    pub(crate) as_of: Option<Timestamp>,
    pub(crate) at_sequence: Option<Sequence>,
    pub(crate) revisions: Revisions,
}

/// The bounds (T, N) that a question means when it is put to a snapshot at `held`.
fn bounds(question: &Question, held: Sequence) -> (i64, u64) {
    let as_of = question.as_of.map_or(i64::MAX, Timestamp::nanos);
    let at_sequence = question.at_sequence.map_or(held, |asked| asked.min(held));
    (as_of, at_sequence.get())
}

fn schema(key: &SeriesKey) -> &'static Schema {
    dataset::schema(key.dataset).expect("invariant: a series has a dataset")
}

/// Scans both; returns how many rows were compared.
pub(crate) fn scan(snapshot: &Snapshot, model: &Model, question: &Question) -> u64 {
    let (as_of, at_sequence) = bounds(question, snapshot.sequence());
    let (key, start, end) = (&question.key, question.start, question.end);
    let floor = model.floor((key.dataset, key.step), snapshot.sequence().get());
    if !floor.admits(as_of, at_sequence) {
        let answer = snapshot.scan(scan_of(question)).err();
        let answer = answer.unwrap_or_else(|| panic!("{question:#?}\nis below {floor:?}"));
        assert_eq!(answer.kind(), ErrorKind::BelowRetention, "{question:#?}\n{answer}");
        return 0;
    }
    let found = read(snapshot, question);
    let needed = match question.revisions {
        Revisions::All if floor != Floor::NONE => {
            model.needed(key, start, end, as_of, at_sequence, floor)
        }
        _ => Vec::new(),
    };
    let expected = match question.revisions {
        Revisions::Visible => model.visible(key, start, end, as_of, at_sequence),
        Revisions::All => model.all(key, start, end, as_of, at_sequence),
    };
    let found = shown(&found);
    let expected: Vec<_> = expected.iter().map(|row| Shown::of(row, &question.columns)).collect();
    let rows = count(found.len());
    let needed: Vec<_> = needed.iter().map(|row| Shown::of(row, &question.columns)).collect();
    let expected = if floor == Floor::NONE || question.revisions == Revisions::Visible {
        expected
    } else {
        with_some_dropped(expected, &needed, &found)
    };
    if let Some(why) = difference(&found, &expected) {
        panic!("{question:#?}\nat a snapshot of sequence {}: {why}", snapshot.sequence());
    }
    rows
}

/// What must be found of all revisions where some may have been dropped: all that are needed, and
/// those of the others that are still there.
fn with_some_dropped(all: Vec<Shown>, needed: &[Shown], found: &[Shown]) -> Vec<Shown> {
    let (mut needed, mut found) = (needed.iter().peekable(), found.iter().peekable());
    let stays = |row: &Shown| {
        let is_there = found.next_if(|there| *there == row).is_some();
        let is_needed = needed.next_if(|other| *other == row).is_some();
        is_there || is_needed
    };
    all.into_iter().filter(stays).collect()
}

fn count(len: usize) -> u64 {
    u64::try_from(len).expect("invariant: lengths fit 64 bits")
}

/// The question as the engine takes it.
fn scan_of(question: &Question) -> Scan {
    let wanted = |place: &usize| schema(&question.key).columns[*place].id;
    let columns: Vec<ColumnId> = question.columns.iter().map(wanted).collect();
    Scan {
        series: question.series,
        start: Timestamp::from_nanos(question.start),
        end: Timestamp::from_nanos(question.end),
        columns,
        as_of: question.as_of,
        at_sequence: question.at_sequence,
        revisions: question.revisions,
    }
}

/// The rows that the engine gives, pieces put together.
fn read(snapshot: &Snapshot, question: &Question) -> Rows {
    let wanted = |place: &usize| &schema(&question.key).columns[*place];
    let mut rows = Rows::empty(question.columns.iter().map(|at| wanted(at).kind()));
    let scan = scan_of(question);
    let ask = |error| -> ! { panic!("{question:#?}\nwas answered: {error}") };
    let mut scanner = snapshot.scan(scan.clone()).unwrap_or_else(|error| ask(error));
    while let Some(piece) = scanner.next().unwrap_or_else(|error| ask(error)) {
        assert!(!piece.is_empty(), "{question:#?}\ngave a piece without rows");
        assert_eq!(piece.columns.len(), question.columns.len(), "columns of a piece");
        rows.extend_from(&piece);
    }
    let mut columns: Vec<Column> =
        rows.columns.iter().map(|c| Column::empty(c.kind(), 0)).collect();
    let mut scanner = snapshot.scan(scan).unwrap_or_else(|error| ask(error));
    while let Some(piece) = scanner.next_columns().unwrap_or_else(|error| ask(error)) {
        columns.iter_mut().zip(&piece).for_each(|(all, more)| all.extend_from(more));
    }
    for (found, expected) in columns.iter().zip(&rows.columns) {
        let same = |at: usize| found.same(at, expected, at);
        let equal = found.len() == expected.len() && (0..found.len()).all(same);
        assert!(equal, "{question:#?}\ncolumns alone are not the columns of the rows");
    }
    rows
}

fn shown(rows: &Rows) -> Vec<Shown> {
    (0..rows.len()).map(|at| stored(rows, at)).collect()
}

fn difference(found: &[Shown], expected: &[Shown]) -> Option<String> {
    let at = (0..found.len().max(expected.len())).find(|&at| found.get(at) != expected.get(at))?;
    let show = |row: Option<&Shown>| row.map_or("nothing".into(), |row| format!("{row:?}"));
    Some(format!(
        "row {at} of {} in the model, {} in the engine\n model  {}\n engine {}",
        expected.len(),
        found.len(),
        show(expected.get(at)),
        show(found.get(at))
    ))
}

/// A row as an answer shows it: without its place in the batch.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    ts: i64,
    known_at: i64,
    sequence: u64,
    flags: u8,
    values: Vec<Value>,
}

impl Shown {
    fn of(row: &Stored, columns: &[usize]) -> Self {
        let set = |on: bool, flag: u8| if on { flag } else { 0 };
        Self {
            ts: row.ts,
            known_at: row.known_at,
            sequence: row.sequence,
            flags: set(row.retract, flags::RETRACT)
                | set(row.stated, flags::STATED)
                | set(row.assumed, flags::ASSUMED)
                | set(row.corrected, flags::CORRECTED),
            values: columns.iter().map(|place| row.values[*place].clone()).collect(),
        }
    }
}

fn stored(rows: &Rows, at: usize) -> Shown {
    Shown {
        ts: rows.ts[at],
        known_at: rows.known_at[at],
        sequence: rows.sequence[at],
        flags: rows.flags[at],
        values: rows.columns.iter().map(|column| value(column, at)).collect(),
    }
}

/// The value of row `at`.
pub(crate) fn value(column: &Column, at: usize) -> Value {
    match &column.values {
        _ if !column.is_valid(at) => Value::Null,
        Values::F64(values) => Value::F64(values[at].to_bits()),
        Values::I64(values) => Value::I64(values[at]),
        Values::Text(texts) => Value::Text(texts.get(at).to_owned()),
    }
}

/// The newest visible row of a series, with all columns.
pub(crate) fn newest(snapshot: &Snapshot, model: &Model, key: &SeriesKey, series: SeriesId) {
    let found = snapshot.newest(series).unwrap_or_else(|error| panic!("newest {key:?}: {error}"));
    let expected = model.newest(key, snapshot.sequence().get());
    let all: Vec<usize> = (0..schema(key).columns.len()).collect();
    let found = found.map(|rows| shown(&rows)).unwrap_or_default();
    let expected: Vec<_> = expected.last().map(|row| Shown::of(row, &all)).into_iter().collect();
    if let Some(why) = difference(&found, &expected) {
        panic!("newest of {key:?} at a snapshot of sequence {}: {why}", snapshot.sequence());
    }
}

/// The list of series: exactly those with rows, in order.
pub(crate) fn series(snapshot: &Snapshot, model: &Model) -> Vec<(SeriesId, SeriesKey)> {
    let tables = Table::ALL.into_iter();
    let found: Vec<_> = tables.flat_map(|table| snapshot.series(table.dataset(), None)).collect();
    let names: Vec<&SeriesKey> = found.iter().map(|(_, key)| key).collect();
    let expected: Vec<&SeriesKey> = model.series(snapshot.sequence().get()).collect();
    assert_eq!(names, expected, "series at a snapshot of sequence {}", snapshot.sequence());
    found
}

/// What the ledgers say of a batch; nothing, while the snapshot is older than it.
pub(crate) fn batch(snapshot: &Snapshot, model: &Model, id: &str) {
    let found = snapshot.batch(id).unwrap_or_else(|error| panic!("batch {id}: {error}"));
    let letters = snapshot
        .dead_letters(|batch| batch == id, None, usize::MAX)
        .unwrap_or_else(|error| panic!("dead letters of {id}: {error}"));
    let held = snapshot.sequence().get();
    let Some(entry) = model.batch(id).filter(|entry| entry.sequence <= held) else {
        assert!(found.is_none(), "batch {id} is not stored at {held}, yet: {found:?}");
        assert!(letters.is_empty(), "batch {id} is not stored at {held}, yet: {letters:?}");
        return;
    };
    let found = found.unwrap_or_else(|| panic!("batch {id} is stored at {held}, yet not found"));
    assert_eq!(found.batch_id, id);
    assert_eq!(found.sequence.get(), entry.sequence, "sequence of batch {id}");
    assert_eq!(found.now.nanos(), entry.now, "ingest time of batch {id}");
    assert_eq!(found.source, entry.load.source, "source of batch {id}");
    assert_eq!(found.dataset, entry.load.table.dataset(), "dataset of batch {id}");
    counts(&found.counts, entry);
    let mut reasons: Vec<(u64, &str)> =
        letters.iter().map(|letter| (letter.row, letter.reason.as_str())).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, rejected(entry), "dead letters of batch {id}");
    assert!(letters.iter().all(|letter| letter.batch_id == id), "dead letters of batch {id}");
}

/// What became of a batch's rows.
pub(crate) fn counts(found: &barrow_engine::batch::Counts, entry: &Entry) {
    let outcome = &entry.outcome;
    let rejected_count = found.rejected;
    let found = [found.accepted, found.duplicates, found.corrected, found.superseded];
    let expected = [outcome.accepted, outcome.duplicates, outcome.corrected, outcome.superseded];
    let id = &entry.load.id;
    assert_eq!(found, expected, "accepted, duplicates, corrected, superseded of batch {id}");
    assert_eq!(rejected_count, count(outcome.rejected.len()), "rejected rows of batch {id}");
}

/// Every rejected row of the store, the newest first.
pub(crate) fn dead_letters(snapshot: &Snapshot, model: &Model) {
    let found = snapshot
        .dead_letters(|_| true, None, usize::MAX)
        .unwrap_or_else(|error| panic!("all dead letters: {error}"));
    let held = snapshot.sequence().get();
    let stored = model.batches().filter(|entry| entry.sequence <= held);
    let expected: usize = stored.map(|entry| entry.outcome.rejected.len()).sum();
    assert_eq!(found.len(), expected, "all dead letters at a snapshot of sequence {held}");
    assert!(
        found.is_sorted_by(|one, next| one.id.sequence >= next.id.sequence),
        "dead letters come with the newest first"
    );
}

/// Row and reason of what was rejected, in order of rows.
pub(crate) fn rejected(entry: &Entry) -> Vec<(u64, &'static str)> {
    entry.outcome.rejected.iter().map(|(place, reason)| (count(*place), *reason)).collect()
}
