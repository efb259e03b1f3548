//! `GET,PUT /v1/watermarks`: up to when a source has delivered all there is.
//!
//! A watermark goes on from the one before it: it claims what lies between. The first of a symbol
//! says `from` when on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::batch::{Act, Claim, ClaimOrigin, KnownAt};
use barrow_engine::dataset::facts::EVERY_SYMBOL;
use barrow_types::{DatasetId, PriceSide, SeriesKey, Step, Timestamp};
use serde_json::Value;

use super::super::App;
use super::super::covers::checked;
use super::super::encode::Format;
use super::super::error::Problem;
use super::super::ingest::{check_sides, schema_of};
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, Operation, Param, READS, Shape, Tag, Type,
};
use super::super::parameters::{
    AS_OF, AT_SEQUENCE, FORMAT, MARKET, PRICE, SIDES, SOURCE, STEPS, SYMBOLS, TIMEFRAME,
};
use super::super::params::Params;
use super::super::parts::Common;
use super::super::table::{instant, table};
use super::claims::{batches, check_range, claimed, dataset, name_of, of_series};
use super::json::{Fields, fault, text};
use super::seen::Wanted;
use super::stated::{Read, state};
use super::{STATING, each, stating};

/// Moves them.
pub(crate) static PUT: Operation = Operation {
    id: "put_watermarks",
    tag: Tag::Ingestion,
    summary: "Says up to when sources have delivered all there is",
    about: "A watermark goes on from the one before it; the first of a symbol says from.",
    body: stating("Watermarks, or one", &[Media::json(WATERMARKS)]),
    example: (
        "/v1/watermarks",
        r#"{"source": "sample", "timeframe": "1m", "symbols": ["ALDR"],
"from": "2024-11-25T14:30:00Z", "up_to": "2024-11-25T21:00:00Z"}"#,
    ),
    ..STATING
};

/// Lists them.
pub(crate) static LIST: Operation = Operation {
    id: "list_watermarks",
    tag: Tag::Ingestion,
    summary: "Lists up to when sources have delivered all there is",
    query: &[
        FORMAT,
        Param::new("dataset", MARKET, "Only of this dataset"),
        SYMBOLS,
        SOURCE,
        TIMEFRAME,
        PRICE,
        AS_OF,
        AT_SEQUENCE,
    ],
    answer: Answer::Table(COLUMNS),
    problems: &[READS, FINDS],
    ..Operation::GET
};

const WATERMARKS: Type =
    Type::Either(&[Type::List(&Type::Object(&WATERMARK)), Type::Object(&WATERMARK)]);

static WATERMARK: Shape = Shape {
    name: "Watermark",
    about: "",
    fields: &[
        Field::new("source", Type::Text, ""),
        Field::maybe("dataset", MARKET, "Left out: bars"),
        Field::maybe("timeframe", STEPS, "Bars have one, others have none"),
        Field::maybe("price", SIDES, "Of bars. Left out: trade"),
        Field::maybe("symbols", Type::List(&Type::Text), "Left out: all of the source"),
        Field::maybe("from", Type::Time, "Since when, if there is no watermark yet"),
        Field::new("up_to", Type::Time, "Not in the future"),
    ],
};

const COLUMNS: Columns = &[
    ("symbol", "text"),
    ("source", "text"),
    ("dataset", "text"),
    ("timeframe", "text"),
    ("price", "text"),
    ("up_to", "timestamp"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

/// Moves watermarks.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT)?;
    let bytes_max = app.config.engine.batch_bytes_max;
    let sum = state(&app, &params, &headers, body, move |context, value| {
        let watermarks = Watermarks::read(&context.snapshot)?;
        let all = each(value);
        let count = all.len();
        let (mut claims, mut seen) = (Vec::new(), BTreeSet::new());
        for (number, (place, value)) in (1..).zip(all) {
            let fields = Fields::of_shape(value, place, &WATERMARK)?;
            let id = match count {
                1 => context.batch_id.clone(),
                _ => format!("{}#{number}", context.batch_id),
            };
            let common = watermark(&fields, id, &watermarks, context.now)?;
            for claim in &common.claims {
                let Common { schema, step, side, source, .. } = &common;
                let of = (schema.dataset, *step, *side, source.clone(), claim.symbol.clone());
                if !seen.insert(of) {
                    let what = format!("{} is moved twice: say the last one", claim.symbol);
                    return Err(fields.fault("up_to", what));
                }
            }
            claims.extend(batches(&common, bytes_max)?);
        }
        Ok(Read { others: claims, ..Read::default() })
    });
    Ok(sum.await?.into_response())
}

/// The batch that moves the watermarks that an object names.
fn watermark(
    fields: &Fields<'_>,
    id: String,
    watermarks: &Watermarks,
    now: Timestamp,
) -> Result<Common, Problem> {
    let source = fields.required("source", Fields::source)?;
    let schema = schema_of(fields.text("dataset")?.unwrap_or("bars"))
        .map_err(|problem| fields.fault("dataset", problem.detail))?;
    let step = match fields.text("timeframe")? {
        Some(name) => Step::parse(name).filter(|step| *step != Step::Tick),
        None => None,
    };
    let step = match (schema.dataset == DatasetId::BARS, step, fields.has("timeframe")) {
        (true, Some(step), _) => step,
        (true, None, _) => {
            return Err(fields.fault("timeframe", "is not the length of bars: say 1m, 1d ..."));
        }
        (false, _, false) => Step::Tick,
        (false, _, true) => {
            return Err(fields.fault("timeframe", format!("{} have none", schema.name)));
        }
    };
    let side = fields.text("price")?.map(|name| {
        let side = PriceSide::parse(name);
        side.ok_or_else(|| fields.fault("price", "is not one of trade, bid, ask, mid"))
    });
    let side = side.transpose()?;
    check_sides(schema, side.as_slice())
        .map_err(|_| fields.fault("price", format!("{} are not of this side", schema.name)))?;
    let side = side.unwrap_or(PriceSide::Trade);
    let (from, up_to) = (fields.instant("from")?, fields.required("up_to", Fields::instant)?);
    let mut symbols = Vec::new();
    for (place, value) in fields.list("symbols")? {
        let symbol = text(value).map_err(|what| fault(&place, what))?;
        checked(symbol).map_err(|what| fault(&place, what))?;
        symbols.push(symbol);
    }
    if symbols.is_empty() {
        symbols.push(EVERY_SYMBOL);
    }
    let mut claims = Vec::new();
    for symbol in symbols {
        let before = watermarks.of((schema.dataset, step, side), source.as_str(), symbol);
        let start = match (from, before) {
            (Some(from), Some(before)) => from.min(before),
            (Some(start), None) | (None, Some(start)) => start,
            (None, None) => {
                let what = format!("is missing: {symbol} has no watermark to go on from");
                return Err(fields.fault("from", what));
            }
        };
        match before {
            Some(before) if before > up_to => {
                let before = instant(before);
                let what = format!("lies before the watermark of {symbol}, {before}");
                return Err(fields.fault("up_to", what));
            }
            // It is there already.
            Some(before) if before == up_to && start == up_to => continue,
            _ => {}
        }
        check_range(fields, "up_to", (start, up_to), now)?;
        let origin = ClaimOrigin::Watermark;
        claims.push(Claim { symbol: symbol.to_owned(), start, end: up_to, origin });
    }
    Ok(Common {
        id,
        schema,
        source,
        step,
        side,
        known_at_policy: KnownAt::Ingest,
        facts: None,
        claims,
        act: Act::Insert,
        is_import: false,
    })
}

/// The watermarks there are, of series and what they are of.
struct Watermarks(BTreeMap<(SeriesKey, DatasetId), (Timestamp, Value)>);

impl Watermarks {
    fn read(snapshot: &Snapshot) -> Result<Self, Problem> {
        let known = Params::parse(None, &LIST)?;
        Self::visible(snapshot, &Wanted::read(&known)?)
    }

    fn visible(snapshot: &Snapshot, wanted: &Wanted) -> Result<Self, Problem> {
        let mut newest: BTreeMap<(SeriesKey, DatasetId), (Timestamp, Value)> = BTreeMap::new();
        wanted.facts(snapshot, DatasetId::CLAIMS, |seen| -> Option<()> {
            let up_to = Timestamp::from_nanos(seen.long(0)?);
            let of = (seen.key.clone(), claimed(seen)?);
            let is_newest = newest.get(&of).is_none_or(|(other, _)| *other < up_to);
            if is_newest && seen.text(1) == Some(ClaimOrigin::Watermark.name()) {
                let mut row = of_series(seen);
                row["dataset"] = name_of(of.1).into();
                row["up_to"] = instant(up_to);
                newest.insert(of, (up_to, row));
            }
            None
        })?;
        Ok(Self(newest))
    }

    /// The watermark of a symbol, by itself or as one of all.
    fn of(
        &self,
        of: (DatasetId, Step, PriceSide),
        source: &str,
        symbol: &str,
    ) -> Option<Timestamp> {
        let is_asked = |(key, dataset): &(SeriesKey, DatasetId)| {
            key.source.as_str() == source
                && (*dataset, key.step, key.side) == of
                && [symbol, EVERY_SYMBOL].contains(&key.symbol.as_str())
        };
        self.0.iter().filter(|(key, _)| is_asked(key)).map(|(_, (up_to, _))| *up_to).max()
    }
}

/// Lists watermarks.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let wanted = Wanted::read(&params)?;
    let (step, side) = (params.step("timeframe")?, params.side()?);
    let dataset = dataset(&params)?;
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        let all = Watermarks::visible(&snapshot, &wanted)?.0;
        let is_wanted = |(key, of): &(SeriesKey, DatasetId)| {
            step.is_none_or(|step| step == key.step)
                && side.is_none_or(|side| side == key.side)
                && dataset.is_none_or(|dataset| dataset == *of)
        };
        let rows = all.into_iter().filter(|(key, _)| is_wanted(key)).map(|(_, (_, row))| row);
        Ok::<_, Problem>(rows.collect::<Vec<_>>())
    });
    let rows = rows.await??;
    table(format, COLUMNS, &rows)
}
