//! From a batch to a record: everything that may fail or must read happens here, on any thread.
//!
//! [`prepare`] is pure. It checks the batch, turns away the rows that cannot be stored truthfully
//! (the *door*), sorts the rest by series, looks up the keys that are there already, decides what
//! each row is (`outcome`), and encodes and checksums the body of the record.

mod claims;
mod door;
pub(crate) mod hash;
mod incoming;
mod outcome;
mod quotes;
mod repeats;
mod replace;
mod retention;
mod retract;
mod stored;
mod tables;

use barrow_types::{DatasetId, SeriesId, SeriesKey, Source, Step, Symbol, Timestamp};

use crate::batch::{Act, Applied, BATCH_ID_LEN_MAX, Batch, ERRORS_MAX, RowError};
use crate::bytes::u32_len;
use crate::dataset::{self, Identity, Schema, facts};
use crate::error::Error;
use crate::quality::{RuleSet, is_judged};
use crate::rows::{Column, ColumnType, Rows};
use crate::snapshot::{BatchEntry, Snapshot};
use crate::wal::body::{Block, CELLS_MAX, RowsBody, Section, SeriesRef};
use crate::wal::record::Body;

pub use retract::retraction_of;

use incoming::{Incoming, give_back};
use outcome::{Decided, Question, Validity};
use replace::Replaced;

/// The tables of market data.
const MARKET: [DatasetId; 3] = [DatasetId::BARS, DatasetId::TRADES, DatasetId::QUOTES];

/// A batch that is ready to be logged, or was there before.
pub struct Prepared {
    /// What was prepared, but for columns that the outcome holds: see [`Self::into_batch`].
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
    /// A dataset that the outcome depends on as a whole, with how many series it had.
    pub(crate) whole: Option<(DatasetId, usize)>,
}

impl Prepared {
    /// What was prepared.
    pub(crate) fn into_batch(mut self) -> Batch {
        if let Outcome::Ready(ready) = self.outcome {
            let own = ready.content.sections.into_iter().next();
            let own = own.expect("invariant: a body has a section");
            let Rows { ts, columns, .. } = own.rows;
            give_back(ts, columns, &mut self.batch);
        }
        self.batch
    }

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
        claims: entry.claims,
        retracted: entry.retracted,
        repeated: true,
    }
}

/// Makes a batch ready for [`crate::Engine::commit`]. Pure; runs on any thread.
///
/// # Errors
/// `Invalid` if the batch as a whole cannot be served (its id, source, columns or lengths),
/// `Conflict` if a batch with this id and another content is there, or what it says contradicts
/// how its table is by now, `Corrupt` or `Disk` if a key
/// that it overlaps cannot be read.
pub fn prepare(mut batch: Batch, snapshot: &Snapshot, now: Timestamp) -> Result<Prepared, Error> {
    let schema = schema_of(&batch, snapshot)?;
    tables::fill_up(&mut batch, schema);
    let source = check(&batch, schema)?;
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
    claims::check(&batch.claims, now)?;
    let defines = batch.dataset == DatasetId::TABLES;
    let rewritten = if defines { tables::check(&batch, snapshot)? } else { None };
    if batch.dataset == DatasetId::RETENTION {
        retention::check(&batch, snapshot, now)?;
    }
    let mut validity = Validity::always(now);
    let others = match batch.dataset {
        DatasetId::QUOTES => quotes::with_sides_absent(&batch.columns),
        _ => None,
    };
    let columns = others.as_ref().unwrap_or(&batch.columns);
    let judged = batch.act == Act::Insert && !batch.is_import && is_judged(batch.dataset);
    let rules = judged.then(|| RuleSet::newest(snapshot, batch.dataset)).transpose()?;
    let door = door::Door::new(&batch, schema, columns, rules.as_ref(), now);
    let (admitted, mut rejected) = door.admit(&mut validity);
    let incoming = Incoming::new(&mut batch, schema, others, &admitted, snapshot);
    let marks = rejected.marks(&batch, &source);
    let replaces = marks.all && batch.act == Act::Insert;
    let replaced = if replaces { Replaced::by(&batch) } else { Replaced::default() };
    let question = Question { schema, snapshot, now, replaced: Some(&replaced) };
    let decided = outcome::decide(&batch, &question, &incoming, &mut validity)?;
    for &at in &decided.nothing_to_retract {
        rejected.retraction(incoming.places[at] as usize);
    }
    let mut counts = decided.counts;
    let mut series = Touched::default();
    if judged {
        series.depend_on(snapshot, RuleSet::key(batch.dataset));
    }
    let repeats = repeats::batch(&batch, &source, &incoming, &decided);
    let turned_away = marks.batch.as_ref().map(replace::keys_of).unwrap_or_default();
    let at = (snapshot, &source);
    let gone = replaced.batch(&batch, schema, &incoming, &turned_away, at)?;
    for key in replaced.series(&batch, &source) {
        series.depend_on(snapshot, key);
    }
    if batch.dataset.is_table() {
        series.depend_on(snapshot, dataset::tables::key());
    }
    if incoming.stated.is_some() {
        series.depend_on(snapshot, dataset::retention::key());
    }
    let whole = rewritten.map(|rewritten| {
        let count = rewritten.series.len();
        series.touched.extend(rewritten.series);
        (rewritten.dataset, count)
    });
    let own = series.section(schema, incoming, decided, &mut batch, &source);
    let mut sections = vec![own];
    let mut retracted = 0;
    let claims = if marks.all { claims::batch(&batch, &source, now) } else { None };
    let claims_count = claims.as_ref().map_or(0, |claims| claims.symbols.of_row.len() as u64);
    for mut more in gone.into_iter().chain(marks.batch).chain(repeats).chain(claims) {
        let schema = snapshot.schema(more.dataset).expect("invariant: these are datasets of ours");
        let all: Vec<u32> = (0..u32_len(more.symbols.of_row.len())).collect();
        let incoming = Incoming::new(&mut more, schema, None, &all, snapshot);
        let question = Question { schema, snapshot, now, replaced: None };
        let decided = outcome::decide(&more, &question, &incoming, &mut validity)?;
        if more.dataset == batch.dataset {
            retracted += decided.counts.accepted;
        }
        let section = series.section(schema, incoming, decided, &mut more, &source);
        sections.extend(Some(section).filter(|section| !section.blocks.is_empty()));
    }
    let dead = rejected.into_dead_letters(&batch);
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
        body_hash,
        policy: batch.known_at_policy,
        counts,
        claims: claims_count,
        retracted,
        facts: batch.facts.clone(),
        sections,
        dead,
    };
    let body = Body::new(content.encode());
    let Touched { touched, new_keys } = series;
    let ready = Ready { content, body, errors, touched, new_keys, whole };
    let outcome = Outcome::Ready(Box::new(ready));
    Ok(Prepared { batch, at: snapshot.clone(), outcome, validity })
}

/// Series that the outcome of a batch depends on.
#[derive(Default)]
struct Touched {
    touched: Vec<SeriesId>,
    new_keys: Vec<SeriesKey>,
}

impl Touched {
    /// The outcome may be another after rows of the series `key` came.
    fn depend_on(&mut self, snapshot: &Snapshot, key: SeriesKey) {
        match snapshot.generation().catalog.find(&key) {
            Some(series) => self.touched.push(series),
            None => self.new_keys.push(key),
        }
    }

    /// The rows of `batch` that are stored, as a section of the record.
    fn section(
        &mut self,
        schema: &Schema,
        incoming: Incoming,
        decided: Decided,
        batch: &mut Batch,
        source: &Source,
    ) -> Section {
        let (dataset, step, side) = (batch.dataset, batch.step, batch.side);
        let mut blocks = Vec::with_capacity(incoming.series.len());
        let mut new_symbols = Vec::new();
        for (series, decided) in incoming.series.iter().zip(&decided.of_series) {
            let stored = match series.known {
                Some(id) => {
                    self.touched.extend(decided.depends_on_stored.then_some(id));
                    SeriesRef::Known(id.get())
                }
                None => {
                    let name = &batch.symbols.names[series.name];
                    let symbol = Symbol::new(name).expect("invariant: the door checked it");
                    self.new_keys.push(SeriesKey {
                        dataset,
                        symbol: symbol.clone(),
                        step,
                        side,
                        source: source.clone(),
                    });
                    let place = u32_len(new_symbols.len());
                    if !decided.rows.is_empty() {
                        new_symbols.push(symbol);
                    }
                    SeriesRef::New(place)
                }
            };
            if !decided.rows.is_empty() {
                blocks.push(Block { series: stored, rows: decided.rows.clone() });
            }
        }
        let Decided { kept, known_at, flags, .. } = decided;
        let rows = incoming.into_rows(&kept, known_at, flags, batch);
        let schema_version = schema.version;
        Section { dataset, schema_version, step, side, new_symbols, rows, blocks }
    }
}

/// What rows of the batch's dataset look like by now.
fn schema_of(batch: &Batch, snapshot: &Snapshot) -> Result<&'static Schema, Error> {
    let takes_rows = |dataset: DatasetId| {
        MARKET.contains(&dataset)
            || dataset.is_table()
            || facts::STATED.contains(&dataset)
            || dataset::OF_SERVER.contains(&dataset)
    };
    let schema = snapshot.schema(batch.dataset).filter(|schema| takes_rows(schema.dataset));
    schema.ok_or_else(|| Error::invalid(format!("dataset {} takes no rows", batch.dataset.get())))
}

/// What can be said of a batch without looking at its rows' values.
fn check(batch: &Batch, schema: &Schema) -> Result<Source, Error> {
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
    if batch.dataset == DatasetId::BARS && batch.step == Step::Tick {
        return Err(Error::invalid("timeframe: bars need a step such as 1m or 1d"));
    }
    if batch.dataset != DatasetId::BARS
        && batch.dataset != DatasetId::VERDICTS
        && batch.step != Step::Tick
    {
        return Err(Error::invalid(format!("timeframe: {} have none", schema.name)));
    }
    if !MARKET.contains(&batch.dataset) && !batch.claims.is_empty() {
        return Err(Error::invalid(format!("covers: {} are not claimed", schema.name)));
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
        |(column, definition): (&Column, &dataset::ColumnDef)| column.kind() != definition.kind();
    if batch.columns.len() != wanted || batch.columns.iter().zip(schema.columns).any(kinds_differ) {
        if batch.dataset.is_table() {
            return Err(Error::conflict(format!(
                "the columns of {} have changed meanwhile: send the rows again",
                schema.name
            )));
        }
        return Err(Error::invalid(format!("the columns are not those of {}", schema.name)));
    }
    if batch.dataset.is_table() && rows.saturating_mul(schema.columns.len()) > CELLS_MAX {
        return Err(Error::invalid(format!(
            "the batch has more than {CELLS_MAX} cells, rows times columns; send it in parts"
        )));
    }
    Ok(source)
}
