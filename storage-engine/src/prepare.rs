//! From a batch to a record: everything that may fail or must read happens here, on any thread.
//!
//! [`prepare`] is pure. It checks the batch, turns away the rows that cannot be stored truthfully
//! (the *door*), sorts the rest by series, looks up the keys that are there already, decides what
//! each row is (`outcome`), and encodes and checksums the body of the record.

mod door;
pub(crate) mod hash;
mod outcome;
mod quotes;

use std::borrow::Cow;
use std::collections::BTreeMap;

use barrow_types::{DatasetId, SeriesId, SeriesKey, Source, Step, Symbol, Timestamp};

use crate::batch::{Act, Applied, BATCH_ID_LEN_MAX, Batch, Counts, ERRORS_MAX, RowError};
use crate::dataset::{self, Identity, Schema};
use crate::error::Error;
use crate::rows::{Column, ColumnType, Rows, Values};
use crate::snapshot::{BatchEntry, Snapshot};
use crate::wal::body::{Block, RowsBody, SeriesRef};
use crate::wal::record::Body;

use outcome::Validity;

/// The tables that take rows from outside; the others are ledgers.
const USER_DATASETS: [DatasetId; 3] = [DatasetId::BARS, DatasetId::TRADES, DatasetId::QUOTES];

/// A batch that is ready to be logged, or was there before.
pub struct Prepared {
    pub(crate) batch: Batch,
    pub(crate) at: Snapshot,
    pub(crate) outcome: Outcome,
    /// The instants of commit for which the outcome holds.
    pub(crate) validity: Validity,
}

pub(crate) enum Outcome {
    Ready(Box<Ready>),
    Repeated(Box<BatchEntry>),
}

pub(crate) struct Ready {
    pub(crate) content: RowsBody,
    pub(crate) body: Body,
    pub(crate) errors: Vec<RowError>,
    /// Series that the outcome depends on, with the keys of those that did not exist.
    pub(crate) touched: Vec<SeriesId>,
    pub(crate) new_keys: Vec<SeriesKey>,
}

impl Prepared {
    /// Bytes it will take in the log.
    pub fn byte_len(&self) -> usize {
        match &self.outcome {
            Outcome::Ready(ready) => ready.body.bytes.len(),
            Outcome::Repeated(_) => 0,
        }
    }
}

/// The answer to a batch that was there before.
pub(crate) fn repeated(entry: &BatchEntry) -> Applied {
    Applied {
        batch_id: entry.batch_id.clone(),
        sequence: entry.sequence,
        now: entry.now,
        counts: entry.counts,
        errors: Vec::new(),
        repeated: true,
    }
}

/// Makes a batch ready for [`crate::Engine::commit`]. Pure; runs on any thread.
///
/// # Errors
/// `Invalid` if the batch as a whole cannot be served (its id, source, columns or lengths),
/// `Conflict` if a batch with this id and another content is there, `Corrupt` or `Disk` if a key
/// that it overlaps cannot be read.
pub fn prepare(batch: Batch, snapshot: &Snapshot, now: Timestamp) -> Result<Prepared, Error> {
    let (schema, source) = check(&batch)?;
    let body_hash = hash::content(&batch);
    if let Some(entry) = snapshot.batch(&batch.id)? {
        if entry.body_hash != hash::text_of(body_hash) {
            return Err(Error::conflict(format!(
                "batch_id {:?} was used at sequence {} for other content; choose another id, or \
                 send the same rows again",
                batch.id, entry.sequence
            )));
        }
        let outcome = Outcome::Repeated(Box::new(entry));
        return Ok(Prepared {
            batch,
            at: snapshot.clone(),
            outcome,
            validity: Validity::always(now),
        });
    }
    let now = now.max(snapshot.now());
    let mut validity = Validity::always(now);
    let columns = match batch.dataset {
        DatasetId::QUOTES => quotes::with_sides_absent(&batch.columns),
        _ => Cow::Borrowed(&batch.columns[..]),
    };
    let mut door = door::Door::new(&batch, schema, &columns, now);
    let admitted = door.admit(&mut validity);
    let mut counts = Counts::default();
    let mut blocks = Vec::new();
    let mut touched = Vec::new();
    let mut new_symbols = Vec::new();
    let mut new_keys = Vec::new();
    for (symbol, mut places) in by_symbol(&batch, &admitted) {
        let ts = door.ts();
        if !places.is_sorted_by_key(|&at| ts[at as usize]) {
            places.sort_by_key(|&at| ts[at as usize]);
        }
        let key = SeriesKey {
            dataset: batch.dataset,
            symbol: symbol.clone(),
            step: batch.step,
            side: batch.side,
            source: source.clone(),
        };
        let known = snapshot.generation().catalog.find(&key);
        let incoming = incoming(&batch, schema, &columns, &places);
        let decided =
            outcome::decide(&batch, schema, snapshot, known, &incoming, now, &mut validity)?;
        counts.accepted += decided.counts.accepted;
        counts.duplicates += decided.counts.duplicates;
        counts.corrected += decided.counts.corrected;
        counts.superseded += decided.counts.superseded;
        for at in decided.nothing_to_retract {
            door.reject_retraction(places[at] as usize);
        }
        touched.extend(known.filter(|_| decided.depends_on_stored));
        if decided.rows.is_empty() {
            if known.is_none() {
                new_keys.push(key);
            }
            continue;
        }
        let series = match known {
            Some(id) => SeriesRef::Known(id.get()),
            None => {
                let place = crate::bytes::u32_len(new_symbols.len());
                new_symbols.push(symbol);
                new_keys.push(key);
                SeriesRef::New(place)
            }
        };
        blocks.push(Block { series, rows: decided.rows });
    }
    let dead = door.into_dead_letters();
    counts.rejected = dead.len() as u64;
    let errors = dead
        .iter()
        .take(ERRORS_MAX)
        .map(|dead| RowError {
            row: dead.row,
            reason: dead.reason.clone(),
            detail: dead.detail.clone(),
        })
        .collect();
    let content = RowsBody {
        batch_id: batch.id.clone(),
        source,
        dataset: batch.dataset,
        step: batch.step,
        side: batch.side,
        body_hash,
        policy: batch.known_at_policy,
        counts,
        facts: batch.facts.clone(),
        new_symbols,
        blocks,
        dead,
    };
    let body = Body::new(content.encode());
    let ready = Ready { content, body, errors, touched, new_keys };
    let outcome = Outcome::Ready(Box::new(ready));
    Ok(Prepared { batch, at: snapshot.clone(), outcome, validity })
}

/// What can be said of a batch without looking at its rows' values.
fn check(batch: &Batch) -> Result<(&'static Schema, Source), Error> {
    if batch.id.is_empty() || batch.id.len() > BATCH_ID_LEN_MAX {
        return Err(Error::invalid(format!(
            "batch_id must have 1 to {BATCH_ID_LEN_MAX} bytes, not {}",
            batch.id.len()
        )));
    }
    if batch.id.chars().any(char::is_control) {
        return Err(Error::invalid("batch_id holds a control character"));
    }
    let source =
        Source::new(&batch.source).map_err(|error| Error::invalid(format!("source {error}")))?;
    let schema = dataset::schema(batch.dataset)
        .filter(|schema| USER_DATASETS.contains(&schema.dataset))
        .ok_or_else(|| Error::invalid(format!("dataset {} takes no rows", batch.dataset.get())))?;
    if batch.dataset == DatasetId::BARS && batch.step == Step::Tick {
        return Err(Error::invalid("timeframe: bars need a step such as 1m or 1d"));
    }
    if batch.dataset != DatasetId::BARS && batch.step != Step::Tick {
        return Err(Error::invalid(format!("timeframe: {} have none", schema.name)));
    }
    for (name, value, allowed) in batch.facts.iter().flat_map(|facts| {
        [
            ("session", &facts.session, &["regular", "extended", "all"][..]),
            ("align", &facts.align, &["session", "clock"][..]),
        ]
    }) {
        if !allowed.contains(&value.as_str()) {
            let allowed = allowed.join(", ");
            return Err(Error::invalid(format!("{name} is {value:?}, not one of {allowed}")));
        }
    }
    if batch.act == Act::Retract && batch.known_at.as_ref().is_some_and(Column::has_values) {
        return Err(Error::invalid("known_at: a retraction is known since it comes in"));
    }
    let rows = batch.symbols.of_row.len();
    let mut lengths = vec![("ts", batch.ts.len())];
    lengths.extend(batch.known_at.as_ref().map(|column| ("known_at", column.len())));
    lengths.extend(batch.raw.as_ref().map(|column| ("raw", column.len())));
    lengths.extend(batch.numbers.as_ref().map(|numbers| ("numbers", numbers.len())));
    let named = schema.columns.iter().map(|column| column.name);
    lengths.extend(named.zip(&batch.columns).map(|(name, column)| (name, column.len())));
    if let Some((name, len)) = lengths.into_iter().find(|&(_, len)| len != rows) {
        return Err(Error::invalid(format!("{name} has {len} values for {rows} rows")));
    }
    let columns = batch.columns.iter().chain(&batch.known_at).chain(&batch.raw).chain([&batch.ts]);
    let bits_fit =
        |column: &Column| column.validity.as_ref().is_none_or(|bits| bits.len() == column.len());
    let kind_of = |column: &Option<Column>| column.as_ref().map(Column::kind);
    if !columns.into_iter().all(bits_fit)
        || batch.ts.kind() != ColumnType::I64
        || kind_of(&batch.known_at).is_some_and(|kind| kind != ColumnType::I64)
        || kind_of(&batch.raw).is_some_and(|kind| kind != ColumnType::Text)
    {
        return Err(Error::invalid("ts, known_at or raw have another type than they must"));
    }
    let by_key = batch.act == Act::Retract && schema.identity == Identity::Ts;
    let wanted = if by_key { 0 } else { schema.columns.len() };
    let kinds_differ =
        |(column, definition): (&Column, &dataset::ColumnDef)| column.kind() != definition.kind;
    if batch.columns.len() != wanted || batch.columns.iter().zip(schema.columns).any(kinds_differ) {
        return Err(Error::invalid(format!("the columns are not those of {}", schema.name)));
    }
    Ok((schema, source))
}

/// The places of the admitted rows of each symbol, in order of the symbols' names.
fn by_symbol(batch: &Batch, admitted: &[u32]) -> BTreeMap<Symbol, Vec<u32>> {
    let mut of_name: Vec<Vec<u32>> = vec![Vec::new(); batch.symbols.names.len()];
    for &at in admitted {
        of_name[batch.symbols.of_row[at as usize] as usize].push(at);
    }
    let mut of_symbol: BTreeMap<Symbol, Vec<u32>> = BTreeMap::new();
    for (name, places) in batch.symbols.names.iter().zip(of_name) {
        if !places.is_empty() {
            let symbol = Symbol::new(name).expect("invariant: the door checked it");
            of_symbol.entry(symbol).or_default().extend(places);
        }
    }
    // A name that stands twice in the dictionary: back to the order of the batch.
    of_symbol.values_mut().for_each(|places| places.sort_unstable());
    of_symbol
}

/// The rows of one series as they came, sorted by `ts`, with stated times where there are some.
pub(crate) struct Incoming {
    pub(crate) ts: Vec<i64>,
    pub(crate) stated: Option<Column>,
    pub(crate) columns: Vec<Column>,
}

fn incoming(batch: &Batch, schema: &Schema, columns: &[Column], places: &[u32]) -> Incoming {
    let Values::I64(ts) = &batch.ts.values else {
        unreachable!("invariant: the door checked the type of ts")
    };
    let columns = if columns.is_empty() {
        schema.kinds().map(|kind| Column::nulls(kind, places.len())).collect()
    } else {
        columns.iter().map(|column| column.take(places)).collect()
    };
    Incoming {
        ts: places.iter().map(|&at| ts[at as usize]).collect(),
        stated: batch.known_at.as_ref().map(|column| column.take(places)),
        columns,
    }
}

/// The batch, called `id`, that retracts every visible row that batch `target` brought; `None` if
/// nothing of it is visible any more.
///
/// Of equal events without an id it takes away as many as batch `target` brought of those that are
/// visible; which of them is not told apart.
///
/// # Errors
/// `NotFound` if there is no batch `target`; what reading its rows returns.
pub fn retraction_of(target: &str, id: &str, snapshot: &Snapshot) -> Result<Option<Batch>, Error> {
    let entry = snapshot
        .batch(target)?
        .ok_or_else(|| Error::not_found(format!("there is no batch {target:?}")))?;
    let schema = dataset::schema(entry.dataset)
        .ok_or_else(|| Error::corrupt(format!("batch {target:?} is of no dataset")))?;
    // Events are taken away by what they say, other rows by their key.
    let columns: &[dataset::ColumnDef] = match schema.identity {
        Identity::Event { .. } => schema.columns,
        Identity::Ts | Identity::Append => &[],
    };
    let mut retraction: Option<Batch> = None;
    for (series, key) in snapshot.series(entry.dataset, None) {
        if key.source.as_str() != entry.source {
            continue;
        }
        let rows = visible_of_record(snapshot, series, entry.sequence.get(), columns)?;
        if rows.is_empty() {
            continue;
        }
        // A batch is of one source, step and side: those of its first series.
        let batch = retraction.get_or_insert_with(|| Batch {
            id: id.to_owned(),
            dataset: entry.dataset,
            source: entry.source.clone(),
            step: key.step,
            side: key.side,
            known_at_policy: crate::batch::KnownAt::Ingest,
            facts: None,
            act: Act::Retract,
            symbols: crate::batch::Symbols::default(),
            ts: Column::empty(ColumnType::I64, 0),
            known_at: None,
            columns: columns.iter().map(|column| Column::empty(column.kind, 0)).collect(),
            numbers: None,
            raw: None,
            refused: Vec::new(),
        });
        let symbol = crate::bytes::u32_len(batch.symbols.names.len());
        batch.symbols.names.push(key.symbol.to_string());
        batch.symbols.of_row.extend(std::iter::repeat_n(symbol, rows.len()));
        batch.ts.extend_from(&Column::new(Values::I64(rows.ts)));
        for (all, column) in batch.columns.iter_mut().zip(&rows.columns) {
            all.extend_from(column);
        }
    }
    Ok(retraction)
}

/// The visible rows of a series that record `sequence` brought.
fn visible_of_record(
    snapshot: &Snapshot,
    series: SeriesId,
    sequence: u64,
    columns: &[dataset::ColumnDef],
) -> Result<Rows, Error> {
    let mut found = Rows::empty(columns.iter().map(|column| column.kind));
    let Some((first, last)) = span_of_record(snapshot, series, sequence) else {
        return Ok(found);
    };
    let mut scanner = snapshot.scan(crate::snapshot::Scan {
        series,
        start: Timestamp::from_nanos(first),
        end: Timestamp::from_nanos(last.saturating_add(1)),
        columns: columns.iter().map(|column| column.id).collect(),
        as_of: None,
        at_sequence: None,
        revisions: crate::snapshot::Revisions::Visible,
    })?;
    while let Some(rows) = scanner.next()? {
        let all = 0..crate::bytes::u32_len(rows.len());
        let of_record: Vec<u32> =
            all.filter(|&at| rows.sequence[at as usize] == sequence).collect();
        found.extend_from(&rows.take(&of_record));
    }
    Ok(found)
}

/// First and last `ts` of the extents and runs of a series that may hold rows of a record.
fn span_of_record(snapshot: &Snapshot, series: SeriesId, sequence: u64) -> Option<(i64, i64)> {
    let generation = snapshot.generation();
    let runs = generation.runs(series);
    let extents = generation.extents(series).iter().map(|extent| extent.meta().zone);
    let zones = extents.chain(runs.iter().map(|run| run.zone));
    zones
        .filter(|zone| (zone.sequence.min..=zone.sequence.max).contains(&sequence))
        .map(|zone| (zone.ts.min, zone.ts.max))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}
