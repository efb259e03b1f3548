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
use super::answer::APPLIED;
use super::body;
use super::error::{Code, Problem};
use super::facts;
use super::ingest::{apply, batch_id, common};
use super::openapi::{
    Body as Bodied, FINDS, Field, Format, Operation, Param, READS, Shape, Tag, Type, Verb, WRITES,
};
use super::parameters::{BATCH_ID, DATASET, PRICE, SOURCE, TIMEFRAME};
use super::params::Params;
use super::parts;
use super::tables::target;
use super::time;

/// Takes rows away.
pub(crate) static DELETE: Operation = Operation {
    id: "delete_rows",
    verb: Verb::Delete,
    tag: Tag::Ingestion,
    summary: "Takes rows away, by key or by the batch that brought them",
    about: "Nothing is erased: as_of and revisions=all still show them. By batch is the only way \
            for trades, quotes, facts and rows without a key.",
    path: &[DATASET.meaning("bars, trades, quotes, a table, or a dataset of facts")],
    query: &[
        TIMEFRAME.meaning("The length of the bars, which only they have and must have"),
        Param::new("symbol", Type::Text, "With ts: the key of one row"),
        Param::new("ts", Type::When, "With symbol: the key of one row"),
        SOURCE.meaning("Whose rows they are").or("\"http\""),
        PRICE.or("\"trade\""),
        Param::new("batch", Type::Text, "All rows of this batch; none of the others then"),
        BATCH_ID,
    ],
    not_built: &["start", "end", "covers"],
    body: Some(Bodied {
        about: "Keys, if neither batch nor symbol and ts are named",
        is_required: false,
        formats: &[Format::json(Type::Object(&KEYS))],
    }),
    answer: APPLIED,
    problems: &[READS, WRITES, FINDS, &[Code::NotAvailable, Code::EveryRowRejected]],
    example: (
        "/v1/datasets/bars/rows?timeframe=1m&source=sample&symbol=ALDR&ts=2024-11-25T14:30:00Z",
        "",
    ),
    ..Operation::PUT
};

/// Keys in a body.
pub(super) static KEYS: Shape = Shape {
    name: "Keys",
    about: "",
    fields: &[Field::new(
        "keys",
        Type::List(&Type::Map(&Type::Any)),
        "Each with symbol, ts, and what else is in the key of a table",
    )],
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
    let params = Params::parse(query.as_deref(), &DELETE)?;
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
