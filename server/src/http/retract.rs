//! `DELETE /v1/datasets/{dataset}/rows`: takes rows away, by key or by the batch that brought
//! them. Nothing is erased: `as_of` and `revisions=all` still show them.
//!
//! Keys come as `symbol` and `ts` in the query, or as `{"keys":[{"symbol","ts"}...]}` in the body;
//! `timeframe`, `source` and `price` say which series. `batch=ID` needs none of these, and is the
//! only way to take away trades, quotes and facts.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::{Act, Batch, Symbols};
use barrow_engine::dataset::{Identity, Schema};
use barrow_engine::rows::{Column, Values};
use barrow_engine::{Error, Snapshot};
use barrow_types::{Step, Symbol, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::App;
use super::body;
use super::decode::Incoming;
use super::error::{Code, Problem};
use super::facts;
use super::ingest::{apply, batch_id, common, schema_of};
use super::params::{Known, Params};
use super::parts;
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
        None => schema_of(&dataset)?,
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
    if schema.identity != Identity::Ts {
        let detail = format!(
            "taking {dataset} away by key is not available in this version: name the batch that \
             brought them, batch=ID"
        );
        return Err(Problem::not_available("symbol", detail));
    }
    let common = common(schema, &params, Act::Retract)?;
    let step = common.step;
    let keys = match (params.read("symbol", Symbol::new)?, params.get("ts")) {
        (Some(symbol), Some(ts)) => {
            let ts = time::parse_parameter(ts).and_then(|ts| stored(ts, step));
            let ts = ts.map_err(|fault| Problem::parameter("ts", fault))?;
            vec![(symbol.as_str().to_owned(), ts)]
        }
        (None, None) => {
            let http = &app.config.http;
            let time_max = Duration::from_secs(http.body_seconds_max);
            let sent =
                body::take(&headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
            let bytes_max = http.body_decoded_bytes_max;
            app.prepare(move || keys(&sent.decode(bytes_max)?.bytes, step)).await??
        }
        (Some(_), None) => return Err(Problem::parameter("ts", "is missing")),
        (None, Some(_)) => return Err(Problem::parameter("symbol", "is missing")),
    };
    let bytes_max = app.config.engine.batch_bytes_max;
    let id = common.id.clone();
    let batches = parts::batches(incoming(keys), &common, bytes_max)
        .map_err(|detail| Problem::new(Code::TooLarge, detail).about("body"))?;
    Ok(apply(&app, id, batches).await?.into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    keys: Vec<Key>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Key {
    symbol: String,
    ts: Value,
}

/// The keys in a body. A key that cannot be read refuses all of them.
fn keys(body: &[u8], step: Step) -> Result<Vec<(String, Timestamp)>, Problem> {
    let keys: Keys = serde_json::from_slice(body).map_err(|error| {
        let detail = format!(
            "the body is not {{\"keys\":[{{\"symbol\",\"ts\"}}...]}}: {error}; or name symbol and \
             ts, or batch, in the query"
        );
        Problem::new(Code::InvalidBody, detail).about("keys")
    })?;
    let read = |(at, key): (usize, Key)| {
        let ts = match &key.ts {
            Value::String(text) => time::parse(text, true),
            Value::Number(number) => time::parse(&number.to_string(), true),
            other => Err(format!("{other} is no time")),
        };
        let ts = ts.and_then(|ts| stored(ts, step)).map_err(|fault| {
            let field = format!("keys[{at}].ts");
            Problem::new(Code::InvalidBody, format!("{field}: {fault}")).about(field)
        });
        Ok((key.symbol, ts?))
    };
    keys.keys.into_iter().enumerate().map(read).collect()
}

/// A key's `ts` as bars are stored.
fn stored(ts: Timestamp, step: Step) -> Result<Timestamp, String> {
    if step.is_dated() && ts.nanos().rem_euclid(barrow_types::DAY_NANOS) != 0 {
        return Err(format!("bars of {} are stored by date: write YYYY-MM-DD", step.name()));
    }
    Ok(ts)
}

fn incoming(keys: Vec<(String, Timestamp)>) -> Incoming {
    let mut places = std::collections::HashMap::new();
    let mut symbols = Symbols::default();
    let mut ts = Vec::with_capacity(keys.len());
    for (symbol, at) in keys {
        let place = *places.entry(symbol).or_insert_with_key(|symbol| {
            symbols.names.push(symbol.clone());
            u32::try_from(symbols.names.len() - 1).expect("invariant: memory is bounded")
        });
        symbols.of_row.push(place);
        ts.push(at.nanos());
    }
    Incoming {
        numbers: (0..).take(ts.len()).collect(),
        symbols,
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns: Vec::new(),
        raw: None,
        refused: Vec::new(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_from_a_body() {
        let body = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T13:30:00Z"},
                                {"symbol":"B","ts":1381152600000000000}]}"#;
        let read = keys(body, Step::M1).unwrap();
        assert_eq!(read[0], ("A".to_owned(), read[1].1));
        let incoming = incoming(read);
        assert_eq!(incoming.symbols.names, ["A", "B"]);
        assert_eq!(incoming.symbols.of_row, [0, 1]);
    }

    #[test]
    fn a_body_that_is_no_list_of_keys_says_where() {
        for (body, field) in [
            (&b"[]"[..], "keys"),
            (b"", "keys"),
            (br#"{"keys":[{"symbol":"A"}]}"#, "keys"),
            (br#"{"keys":[{"symbol":"A","ts":"2013-10-07","x":1}]}"#, "keys"),
            (br#"{"keys":[{"symbol":"A","ts":1381152600}]}"#, "keys[0].ts"),
            (br#"{"keys":[{"symbol":"A","ts":null}]}"#, "keys[0].ts"),
        ] {
            let problem = keys(body, Step::M1).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{problem:?}");
        }
        let noon = br#"{"keys":[{"symbol":"A","ts":"2013-10-07T12:00:00Z"}]}"#;
        assert!(keys(noon, Step::D1).is_err());
    }
}
