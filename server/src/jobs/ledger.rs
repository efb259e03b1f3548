//! Jobs as rows of the dataset `jobs`.

use std::collections::BTreeMap;

use barrow_engine::batch::{Act, Batch, KnownAt, Symbols};
use barrow_engine::dataset::facts::FACT_SOURCE;
use barrow_engine::dataset::jobs::{JOBS, JOBS_SYMBOL};
use barrow_engine::rows::{Column, ColumnType, Rows, Texts, Values};
use barrow_engine::{Error, Revisions, Scan, Snapshot};
use barrow_types::{DatasetId, PriceSide, Step, Timestamp};
use serde_json::Value;

use super::job::{Asked, Job, State};
use super::store::forget;

/// The jobs that are to be remembered, by number.
///
/// # Errors
/// What reading the ledger returns.
pub(crate) fn read(snapshot: &Snapshot) -> Result<BTreeMap<u64, Job>, Error> {
    let mut jobs = BTreeMap::new();
    for (series, _) in snapshot.series(DatasetId::JOBS, Some(JOBS_SYMBOL)) {
        let mut scanner = snapshot.scan(Scan {
            series,
            start: Timestamp::MIN,
            end: Timestamp::MAX,
            columns: JOBS.columns.iter().map(|column| column.id).collect(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        })?;
        while let Some(rows) = scanner.next()? {
            for at in 0..rows.len() {
                if let Some(job) = job(&Row { rows: &rows, at }) {
                    jobs.insert(job.id, job);
                }
                forget(&mut jobs);
            }
        }
    }
    Ok(jobs)
}

/// A row of the ledger.
struct Row<'a> {
    rows: &'a Rows,
    at: usize,
}

impl Row<'_> {
    fn column(&self, name: &str) -> Option<&Column> {
        let place = JOBS.columns.iter().position(|column| column.name == name);
        let place = place.expect("invariant: it is a column of jobs");
        Some(&self.rows.columns[place]).filter(|column| column.is_valid(self.at))
    }

    fn text(&self, name: &str) -> Option<&str> {
        match &self.column(name)?.values {
            Values::Text(texts) => Some(texts.get(self.at)),
            Values::F64(_) | Values::I64(_) => None,
        }
    }

    fn long(&self, name: &str) -> Option<i64> {
        match &self.column(name)?.values {
            Values::I64(values) => Some(values[self.at]),
            Values::F64(_) | Values::Text(_) => None,
        }
    }

    fn double(&self, name: &str) -> Option<f64> {
        match &self.column(name)?.values {
            Values::F64(values) => Some(values[self.at]),
            Values::I64(_) | Values::Text(_) => None,
        }
    }

    fn json(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.text(name)?).ok()
    }
}

/// The job of a row. What another version wrote and this one cannot read is not guessed: a state
/// counts as failed, and params as none, so that the job fails when it is to go on.
fn job(row: &Row<'_>) -> Option<Job> {
    let state = row.text("state").unwrap_or_default();
    let known = State::parse(state);
    let unknown = || format!("this version knows no state {state:?}");
    Some(Job {
        id: row.text("job_id")?.parse().ok()?,
        asked: Asked {
            kind: row.text("kind").unwrap_or_default().to_owned(),
            params: row.json("params").unwrap_or_default(),
            request_id: row.text("request_id").map(str::to_owned),
            retry_of: row.text("retry_of").and_then(|id| id.parse().ok()),
        },
        source: row.text("source").unwrap_or_default().to_owned(),
        created: Timestamp::from_nanos(row.rows.ts[row.at]),
        started: row.long("started").map(Timestamp::from_nanos),
        ended: row.long("ended").map(Timestamp::from_nanos),
        // Nothing is at work when a server starts.
        state: match known.unwrap_or(State::Failed) {
            State::Running => State::Pending,
            other => other,
        },
        progress: row.double("progress").unwrap_or_default(),
        done: None,
        attempts: row.long("attempts").unwrap_or_default(),
        checkpoint: row.json("checkpoint"),
        summary: row.json("summary"),
        error: row.text("error").map(str::to_owned).or_else(|| known.is_none().then(unknown)),
    })
}

/// The batch `id` that says how `job` is.
pub(super) fn batch(job: &Job, id: String) -> Batch {
    let json = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    let columns = vec![
        text(Some(job.id.to_string())),
        text(Some(job.asked.kind.clone())),
        text(Some(job.state.name().to_owned())),
        text(Some(job.asked.params.to_string())),
        text(Some(job.source.clone())),
        text(job.asked.request_id.clone()),
        text(job.asked.retry_of.map(|id| id.to_string())),
        long(job.started.map(Timestamp::nanos)),
        long(job.ended.map(Timestamp::nanos)),
        Column::new(Values::F64(vec![job.progress])),
        long(Some(job.attempts)),
        text(json(&job.checkpoint)),
        text(json(&job.summary)),
        text(job.error.clone()),
    ];
    Batch {
        id,
        dataset: DatasetId::JOBS,
        source: FACT_SOURCE.to_owned(),
        step: Step::Tick,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: false,
        symbols: Symbols::one(JOBS_SYMBOL, 1),
        ts: Column::new(Values::I64(vec![job.created.nanos()])),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn text(value: Option<String>) -> Column {
    value.map_or_else(
        || Column::nulls(ColumnType::Text, 1),
        |value| Column::new(Values::Text([value.as_str()].into_iter().collect::<Texts>())),
    )
}

fn long(value: Option<i64>) -> Column {
    value.map_or_else(
        || Column::nulls(ColumnType::I64, 1),
        |value| Column::new(Values::I64(vec![value])),
    )
}
