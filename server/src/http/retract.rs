//! `DELETE /v1/datasets/{dataset}/rows`: takes rows away, by key or by the batch that brought
//! them. Nothing is erased: `as_of` and `revisions=all` still show them.
//!
//! Keys come as `symbol` and `ts` in the query, or as `{"keys":[{"symbol","ts"}...]}` in the body,
//! where those of a user's table have the columns of its key beside them; `timeframe`, `source` and
//! `price` say which series. `batch=ID` needs none of these, and is the only way to take away
//! trades, quotes, facts and rows of tables without a key.

mod keys;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::{Act, Batch};
use barrow_engine::dataset::{Identity, Schema};
use barrow_engine::{Error, Snapshot};
use barrow_types::{Step, Symbol, Timestamp};

use super::App;
use super::body;
use super::error::{Code, Problem};
use super::facts;
use super::ingest::{apply, batch_id, common};
use super::params::{Known, Params};
use super::parts;
use super::tables::target;
use super::time;

const KNOWN: Known = Known {
    built: &["timeframe", "symbol", "ts", "source", "price", "batch", "batch_id"],
    not_built: &["start", "end", "covers"],
};

/// Takes rows away.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let schema = match facts::schema_of(&dataset) {
        Some(schema) => schema,
        None => target(&dataset, &app.engine.snapshot())?.schema,
    };
    let params = Params::parse(query.as_deref(), &KNOWN)?;
    app.check_intake()?;
    if let Some(target) = params.get("batch") {
        let keyed = ["timeframe", "symbol", "ts", "source", "price"];
        if let Some(name) = keyed.into_iter().find(|name| params.get(name).is_some()) {
            return Err(Problem::parameter(name, "cannot be used together with batch"));
        }
        return by_batch(&app, schema, target.to_owned(), batch_id(&params)?).await;
    }
    if facts::is_fact(schema.dataset) {
        let fault = "is missing: facts are taken back by the batch that stated them";
        return Err(Problem::parameter("batch", fault));
    }
    let has_key = schema.identity != Identity::Event { id: &[] };
    if schema.dataset.is_table() && !has_key {
        let fault = format!("is missing: rows of {dataset} have no key to be named by");
        return Err(Problem::parameter("batch", fault));
    }
    if !schema.dataset.is_table() && schema.identity != Identity::Ts {
        let detail = format!(
            "taking {dataset} away by key is not available in this version: name the batch that \
             brought them, batch=ID"
        );
        return Err(Problem::not_available("symbol", detail));
    }
    let common = common(schema, &params, Act::Retract)?;
    let step = common.step;
    let keys = match (params.read("symbol", Symbol::new)?, params.get("ts")) {
        (Some(_), Some(_)) if !keys::are_plain(schema) => {
            let fault = format!("and ts are not the whole key of {dataset}: name it in the body");
            return Err(Problem::parameter("symbol", fault));
        }
        (Some(symbol), Some(ts)) => {
            let ts = time::parse_parameter(ts).and_then(|ts| stored(ts, step));
            let ts = ts.map_err(|fault| Problem::parameter("ts", fault))?;
            vec![(symbol.as_str().to_owned(), ts, Vec::new())]
        }
        (None, None) => {
            let http = &app.config.http;
            let time_max = Duration::from_secs(http.body_seconds_max);
            let sent =
                body::take(&headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
            let bytes_max = http.body_decoded_bytes_max;
            let read = move || keys::read(&sent.decode(bytes_max)?.bytes, schema, step);
            app.prepare(read).await??
        }
        (Some(_), None) => return Err(Problem::parameter("ts", "is missing")),
        (None, Some(_)) => return Err(Problem::parameter("symbol", "is missing")),
    };
    let bytes_max = app.config.engine.batch_bytes_max;
    let id = common.id.clone();
    let incoming = keys::incoming(keys, schema)?;
    let batches = parts::batches(incoming, &common, bytes_max)
        .map_err(|detail| Problem::new(Code::TooLarge, detail).about("body"))?;
    Ok(apply(&app, id, batches).await?.into_response())
}

/// A key's `ts` as bars are stored.
fn stored(ts: Timestamp, step: Step) -> Result<Timestamp, String> {
    if step.is_dated() && ts.nanos().rem_euclid(barrow_types::DAY_NANOS) != 0 {
        return Err(format!("bars of {} are stored by date: write YYYY-MM-DD", step.name()));
    }
    Ok(ts)
}

async fn by_batch(
    app: &Arc<App>,
    schema: &'static Schema,
    target: String,
    id: String,
) -> Result<Response, Problem> {
    let snapshot = app.engine.snapshot();
    let (newest, batch_id) = (snapshot.sequence(), id.clone());
    let batches = app.prepare(move || retractions(&snapshot, schema, &target, &id)).await??;
    let mut sum = apply(app, batch_id, batches).await?;
    // Where nothing of the batch was visible any more, nothing was stored either.
    sum.reach(newest);
    Ok(sum.into_response())
}

/// What takes away everything that batch `target` brought, or all parts of it if it was cut, and
/// what was claimed for it afterwards.
fn retractions(
    snapshot: &Snapshot,
    schema: &Schema,
    target: &str,
    id: &str,
) -> Result<Vec<Batch>, Problem> {
    let mut batches = Vec::new();
    if !add_retractions(snapshot, schema, target, id, PARTS_DEEP_MAX, &mut batches)
        .map_err(|error| Problem::read(&error))?
    {
        let detail = format!("batch: there is no batch {target:?} of {}", schema.name);
        return Err(Problem::new(Code::NotFound, detail).about("batch"));
    }
    let (claims, id) = (format!("{target}{COMPLETE}"), format!("{id}{COMPLETE}"));
    add_retractions(snapshot, schema, &claims, &id, PARTS_DEEP_MAX, &mut batches)
        .map_err(|error| Problem::read(&error))?;
    Ok(batches)
}

/// What stands behind the id of an import's rows in that of its claims.
const COMPLETE: &str = ":complete";

/// How often a batch may have been cut: by the one who sent it, and here.
const PARTS_DEEP_MAX: u32 = 2;

/// Returns whether there is such a batch, or parts of it.
fn add_retractions(
    snapshot: &Snapshot,
    schema: &Schema,
    target: &str,
    id: &str,
    deep: u32,
    batches: &mut Vec<Batch>,
) -> Result<bool, Error> {
    if let Some(entry) = snapshot.batch(target)? {
        // A request may state facts of several datasets: they go together.
        let is_of_request = facts::is_fact(entry.dataset) && facts::is_fact(schema.dataset);
        if entry.dataset != schema.dataset && !is_of_request {
            return Ok(false);
        }
        batches.extend(barrow_engine::retraction_of(target, id, snapshot)?);
        return Ok(true);
    }
    let Some(deeper) = deep.checked_sub(1) else { return Ok(false) };
    let mut number = 1;
    loop {
        let (part, id) = (format!("{target}#{number}"), format!("{id}#{number}"));
        if !add_retractions(snapshot, schema, &part, &id, deeper, batches)? {
            return Ok(number > 1);
        }
        number += 1;
    }
}
