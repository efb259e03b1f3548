//! Facts on their way in: rows of datasets of facts, as batches like any others.
//!
//! A request may state facts of several datasets and sources. Each of these is a batch; the batches
//! of a request are made ready before any is stored, share one sync and become visible at one
//! instant. The same request under the same `batch_id` is answered again.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::dataset::facts::FACT_SOURCE;
use barrow_engine::dataset::{ColumnDef, Schema, schema};
use barrow_engine::rows::{Column, ColumnType, Texts, Values};
use barrow_engine::{Prepared, Snapshot};
use barrow_types::{DatasetId, Nanos, PriceSide, Step, Timestamp};
use serde_json::Value;

use super::super::answer::Sum;
use super::super::decode::Kind;
use super::super::error::{Code, Problem};
use super::super::params::Params;
use super::super::{App, body, ingest};
use super::json;
use crate::clock;

/// A value of a fact.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Cell {
    /// None.
    Null,
    /// A whole number.
    Long(i64),
    /// A number.
    Double(f64),
    /// A text.
    Text(String),
}

impl From<Option<&str>> for Cell {
    fn from(text: Option<&str>) -> Self {
        text.map_or(Self::Null, |text| Self::Text(text.to_owned()))
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Option<i64>> for Cell {
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Null, Self::Long)
    }
}

/// A fact: a row of a dataset of facts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fact {
    /// What it is about.
    pub(crate) subject: String,
    /// Since when it holds.
    pub(crate) ts: Timestamp,
    /// Since when it is known, if that is stated.
    pub(crate) known_at: Option<Timestamp>,
    /// The dataset's columns.
    pub(crate) values: Vec<Cell>,
}

/// Which facts may share a batch.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Group {
    /// The dataset.
    pub(crate) dataset: DatasetId,
    /// Whom they are about, or [`FACT_SOURCE`].
    pub(crate) source: String,
    /// The step of the rows they are about.
    pub(crate) step: Step,
    /// Their price side.
    pub(crate) side: PriceSide,
    /// Since when a fact that does not say so counts as known.
    pub(crate) policy: KnownAt,
}

impl Group {
    /// Facts that are not about a source, known since they hold, if they are the first.
    pub(crate) fn of(dataset: DatasetId) -> Self {
        Self::from_source(dataset, FACT_SOURCE)
    }

    /// Facts about a source.
    pub(crate) fn from_source(dataset: DatasetId, source: &str) -> Self {
        Self {
            dataset,
            source: source.to_owned(),
            step: Step::Tick,
            side: PriceSide::Trade,
            policy: KnownAt::TsEnd(Nanos::new(0)),
        }
    }
}

/// The facts of a request, in the order in which they were said.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stated(Vec<(Group, Vec<Fact>)>);

impl Stated {
    /// Adds a fact.
    pub(crate) fn add(&mut self, group: Group, fact: Fact) {
        match self.0.iter_mut().find(|(other, _)| *other == group) {
            Some((_, facts)) => facts.push(fact),
            None => self.0.push((group, vec![fact])),
        }
    }

    /// The facts of a dataset.
    pub(crate) fn of(&self, dataset: DatasetId) -> impl Iterator<Item = (&Group, &Fact)> {
        let groups = self.0.iter().filter(move |(group, _)| group.dataset == dataset);
        groups.flat_map(|(group, facts)| facts.iter().map(move |fact| (group, fact)))
    }

    /// The batches that state them: `id`, or `id#1` and so on if there are several.
    pub(crate) fn into_batches(self, id: &str) -> Vec<Batch> {
        let is_one = self.0.len() == 1;
        let id = |number: usize| if is_one { id.to_owned() } else { format!("{id}#{number}") };
        let numbered = self.0.into_iter().zip(1..);
        numbered.map(|((group, facts), number)| batch(&group, &facts, id(number))).collect()
    }
}

fn batch(group: &Group, facts: &[Fact], id: String) -> Batch {
    let schema = schema(group.dataset).expect("invariant: facts have schemas");
    let mut symbols = Symbols::default();
    for fact in facts {
        // Facts about one thing mostly stand together; the engine joins the others.
        if symbols.names.last() != Some(&fact.subject) {
            symbols.names.push(fact.subject.clone());
        }
        let place = u32::try_from(symbols.names.len() - 1);
        symbols.of_row.push(place.expect("invariant: bodies are bounded"));
    }
    let known_at = facts.iter().any(|fact| fact.known_at.is_some()).then(|| {
        let mut column = Column::empty(ColumnType::I64, facts.len());
        for fact in facts {
            match fact.known_at {
                Some(at) => column.extend_from(&Column::new(Values::I64(vec![at.nanos()]))),
                None => column.push_null(),
            }
        }
        column
    });
    let columns = schema.columns.iter().enumerate();
    let columns = columns.map(|(place, definition)| column(definition, facts, place));
    Batch {
        id,
        dataset: group.dataset,
        source: group.source.clone(),
        step: group.step,
        side: group.side,
        known_at_policy: group.policy,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: false,
        symbols,
        ts: Column::new(Values::I64(facts.iter().map(|fact| fact.ts.nanos()).collect())),
        known_at,
        columns: columns.collect(),
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

/// Column `place` of some facts.
fn column(definition: &ColumnDef, facts: &[Fact], place: usize) -> Column {
    let mut column = Column::empty(definition.kind(), facts.len());
    for fact in facts {
        let value = match (&fact.values[place], definition.kind()) {
            (Cell::Null, _) => {
                column.push_null();
                continue;
            }
            (Cell::Long(value), ColumnType::I64) => Values::I64(vec![*value]),
            (Cell::Double(value), ColumnType::F64) => Values::F64(vec![*value]),
            (Cell::Text(value), ColumnType::Text) => {
                Values::Text([value.as_str()].into_iter().collect::<Texts>())
            }
            (cell, _) => unreachable!("invariant: {} is not {cell:?}", definition.name),
        };
        column.extend_from(&Column::new(value));
    }
    column
}

/// A request's facts, when all that it says was read and checked.
#[derive(Default)]
pub(crate) struct Read {
    /// What it states.
    pub(crate) stated: Stated,
    /// Batches on the way with them: claims, in batches without rows, or the definition of a table.
    pub(crate) others: Vec<Batch>,
}

impl From<Stated> for Read {
    fn from(stated: Stated) -> Self {
        Self { stated, others: Vec::new() }
    }
}

/// What a request is read against.
pub(crate) struct Context {
    /// The newest state.
    pub(crate) snapshot: Snapshot,
    /// The clock, not before the last record.
    pub(crate) now: Timestamp,
    /// Under which id the facts come in.
    pub(crate) batch_id: String,
}

/// Takes a body of JSON in, reads it by `read`, which stores nothing, and stores what it states.
pub(crate) async fn state(
    app: &Arc<App>,
    params: &Params,
    headers: &HeaderMap,
    body: Body,
    read: impl FnOnce(&Context, &Value) -> Result<Read, Problem> + Send + 'static,
) -> Result<Sum, Problem> {
    if headers.contains_key(header::CONTENT_TYPE) && Kind::of(headers).ok() != Some(Kind::Json) {
        let detail = "Content-Type: facts are application/json";
        return Err(Problem::new(Code::UnsupportedMediaType, detail).about("Content-Type"));
    }
    state_bytes(app, params, headers, body, move |context, bytes| {
        read(context, &json::parse(bytes)?)
    })
    .await
}

/// As [`state`], of a body of any kind.
pub(crate) async fn state_bytes(
    app: &Arc<App>,
    params: &Params,
    headers: &HeaderMap,
    body: Body,
    read: impl FnOnce(&Context, &[u8]) -> Result<Read, Problem> + Send + 'static,
) -> Result<Sum, Problem> {
    app.check_intake()?;
    let batch_id = ingest::batch_id(params)?;
    let http = &app.config.http;
    let time_max = std::time::Duration::from_secs(http.body_seconds_max);
    let sent = body::take(headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
    let bytes_max = http.body_decoded_bytes_max;
    let batch_bytes_max = app.config.engine.batch_bytes_max;
    let snapshot = app.engine.snapshot();
    let id = batch_id.clone();
    let prepared = app
        .prepare(move || {
            let body = sent.decode(bytes_max)?;
            let now = clock::now().max(snapshot.now());
            let context = Context { snapshot, now, batch_id: id };
            let Read { stated, others } = read(&context, &body.bytes)?;
            let mut batches = stated.into_batches(&context.batch_id);
            batches.extend(others);
            check_id(&context, batches.len())?;
            let prepared = batches
                .into_iter()
                .map(|batch| barrow_engine::prepare(batch, &context.snapshot, now))
                .collect::<Result<Vec<Prepared>, _>>()
                .map_err(|error| Problem::write(&error))?;
            // Later it would be noticed of one batch when others are stored already.
            let is_too_large = |prepared: &Prepared| prepared.byte_len() as u64 > batch_bytes_max;
            if prepared.iter().any(is_too_large) {
                let detail = format!(
                    "the facts take more than one batch of {batch_bytes_max} bytes ([engine] \
                     batch_bytes_max); state them in several requests"
                );
                return Err(Problem::new(Code::TooLarge, detail).about("body"));
            }
            Ok(prepared)
        })
        .await??;
    let mut sum = Sum::new(batch_id);
    // Where nothing was to be stored, what is asked for is there.
    sum.reach(app.engine.snapshot().sequence());
    for applied in app.intake.commit_together(prepared).await? {
        match applied {
            Ok(applied) => sum.add(applied),
            Err(error) => return Err(sum.interrupted(error.into())),
        }
    }
    Ok(sum)
}

/// Refuses an id under which other facts came, in another number of batches: the engine sees that
/// only of batches of one name.
fn check_id(context: &Context, count: usize) -> Result<(), Problem> {
    let id = &context.batch_id;
    let others: Vec<String> = match count {
        0 => Vec::new(),
        1 => vec![format!("{id}#1")],
        _ => vec![id.clone(), format!("{id}#{}", count + 1)],
    };
    for other in others {
        let found = context.snapshot.batch(&other).map_err(|error| Problem::read(&error))?;
        if let Some(entry) = found {
            let detail = format!(
                "batch_id {id:?} was used at sequence {} for other content; choose another id, or \
                 send the same facts again",
                entry.sequence
            );
            return Err(Problem::new(Code::Conflict, detail));
        }
    }
    Ok(())
}

/// The schema of a dataset of facts.
pub(crate) fn schema_of(dataset: DatasetId) -> &'static Schema {
    schema(dataset).expect("invariant: facts have schemas")
}
