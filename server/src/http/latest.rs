//! `GET /v1/bars/latest`, `/v1/trades/latest` and `/v1/quotes/latest`: the newest visible raw row
//! of each (symbol, step, price side, source), or, with `layer=curated`, the newest curated bar of
//! each instrument.

mod curated;

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::dataset::Schema;
use barrow_engine::{Error, Snapshot};
use barrow_types::{DatasetId, PriceSide, SeriesId, Source, Step, Symbol};

use super::App;
use super::columns::{Hollow, Layout, Out, PerRow, Piece, select};
use super::encode::{Format, Trailer};
use super::error::{Code, Problem};
use super::ingest::{check_sides, step};
use super::openapi::{Answer as Answers, FINDS, Operation, Param, READS, Rows, Tag, Type};
use super::parameters::{
    ALIGN, AS_OF, AT_SEQUENCE, COLUMNS, CONSISTENCY, FALLBACK, FORMAT, FREQUENCY, LAYER, RAW,
    SESSION, SIDES, SOURCE, SYMBOLS, SYMBOLS_ASOF, TRADE, TZ,
};
use super::params::Params;
use super::range::check_consistency;
use super::reader::place_of;
use super::stream::{self, Answer, Pieces};
use super::time::Zone;

/// The latest bars.
pub(crate) static BARS: Operation = Operation {
    id: "get_latest_bars",
    summary: "The newest bar of each symbol, step, price side and source; or the newest curated",
    query: &[
        SYMBOLS.required(),
        FREQUENCY.meaning("The length of the bars. Left out: every length that there is"),
        LAYER.or("\"raw\""),
        SOURCE,
        SIDES_OF_BARS,
        SESSION.meaning("Of curated bars: which hours of a session"),
        ALIGN,
        FALLBACK,
        SYMBOLS_ASOF,
        AS_OF.meaning("Of curated bars: answer from what was known then"),
        AT_SEQUENCE.meaning("Of curated bars: answer from what was held then"),
        CONSISTENCY,
        COLUMNS,
        TZ,
        FORMAT,
    ],
    answer: Answers::Rows(Rows::LatestBars),
    example: ("/v1/bars/latest?symbols=ALDR,MAPL", ""),
    ..LATEST
};

/// The latest trades.
pub(crate) static TRADES: Operation = Operation {
    id: "get_latest_trades",
    summary: "The newest trade of each symbol and source",
    query: &[SYMBOLS.required(), RAW, SOURCE, TRADE, CONSISTENCY, COLUMNS, TZ, FORMAT],
    answer: Answers::Rows(Rows::Trades),
    ..LATEST
};

/// The latest quotes.
pub(crate) static QUOTES: Operation = Operation {
    id: "get_latest_quotes",
    summary: "The newest quote of each symbol and source",
    query: &[SYMBOLS.required(), RAW, SOURCE, CONSISTENCY, COLUMNS, TZ, FORMAT],
    answer: Answers::Rows(Rows::Quotes),
    ..LATEST
};

const LATEST: Operation = Operation {
    tag: Tag::Data,
    not_built: &["adjust"],
    problems: &[READS, FINDS],
    ..Operation::GET
};

const SIDES_OF_BARS: Param =
    Param::new("price", Type::List(&SIDES), "Price sides. Left out: every one that there is");

/// Parameters that only the curated layer has.
const OF_CURATED: [&str; 6] =
    ["session", "align", "fallback", "symbols_asof", "as_of", "at_sequence"];

struct Query {
    schema: &'static Schema,
    symbols: Vec<Symbol>,
    step: Option<Step>,
    /// Of all sides if there are none.
    sides: Vec<PriceSide>,
    source: Option<Source>,
    columns: Vec<Out>,
    format: Format,
    zone: Zone,
}

/// Answers the latest rows of `schema`'s dataset.
pub(crate) async fn get(
    (schema, operation): (&'static Schema, &'static Operation),
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), operation)?;
    check_consistency(&params)?;
    match params.get("layer") {
        None | Some("raw") => {}
        Some("curated") if schema.dataset == DatasetId::BARS => {
            let query = curated::Query::read(&params, &headers)?;
            let snapshot = app.engine.snapshot();
            return stream::send(&app, move || curated::plan(query, &snapshot)).await;
        }
        Some("curated") => {
            let fault = format!("{} are raw; leave it out", schema.name);
            return Err(Problem::parameter("layer", fault));
        }
        Some(other) => {
            let fault = format!("'{other}' is neither raw nor curated");
            return Err(Problem::parameter("layer", fault));
        }
    }
    if let Some(name) = OF_CURATED.iter().find(|name| params.get(name).is_some()) {
        return Err(Problem::parameter(name, "is for layer=curated only"));
    }
    let asked = params.step("frequency")?;
    if schema.dataset != DatasetId::BARS {
        step(schema, &params, "frequency")?;
    }
    let sides = params.sides()?.unwrap_or_default();
    check_sides(schema, &sides)?;
    let all = Out::of_latest(schema);
    let query = Query {
        schema,
        symbols: params.symbols()?,
        step: asked,
        sides,
        source: params.source()?,
        columns: params.read("columns", |list| select(&all, list))?.unwrap_or(all),
        format: Format::negotiate(&params, &headers)?,
        zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
    };
    let snapshot = app.engine.snapshot();
    stream::send(&app, move || plan(query, snapshot)).await
}

fn plan(query: Query, snapshot: Snapshot) -> Result<Answer<Latest>, Problem> {
    let mut series = Vec::new();
    let mut sources: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    let mut any_known = false;
    for (symbol, place) in query.symbols.iter().zip(0..) {
        let all = snapshot.series(query.schema.dataset, Some(symbol.as_str()));
        any_known |= !all.is_empty();
        if all.is_empty() {
            let dataset = query.schema.name;
            warnings.push(format!("{symbol}: no source has delivered {dataset} of it"));
        }
        for (id, key) in all {
            let asked = query.step.is_none_or(|step| step == key.step)
                && (query.sides.is_empty() || query.sides.contains(&key.side))
                && query.source.as_ref().is_none_or(|source| *source == key.source);
            if !asked {
                continue;
            }
            series.push(Wanted {
                id,
                symbol: place,
                source: place_of(&mut sources, key.source.as_str()),
                step: key.step,
                side: key.side,
            });
        }
    }
    if !any_known {
        let detail = format!("symbols: {}", warnings.join("; "));
        return Err(Problem::new(Code::NotFound, detail).about("symbols"));
    }
    let layout = Layout {
        columns: query.columns,
        symbols: query.symbols.iter().map(|symbol| symbol.as_str().to_owned()).collect(),
        sources,
        instruments: Vec::new(),
        hollow: Hollow::None,
        ..Layout::default()
    };
    let trailer =
        Trailer { sequence: snapshot.sequence().get(), cursor: None, calendar: None, warnings };
    let pieces = Latest { snapshot, layout, series: series.into_iter() };
    Ok(Answer { pieces, trailer, if_empty: None, format: query.format, zone: query.zone })
}

struct Wanted {
    id: SeriesId,
    symbol: u32,
    source: u32,
    step: Step,
    side: PriceSide,
}

struct Latest {
    snapshot: Snapshot,
    layout: Layout,
    series: std::vec::IntoIter<Wanted>,
}

impl Pieces for Latest {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        for wanted in self.series.by_ref() {
            let Some(newest) = self.snapshot.newest(wanted.id)? else { continue };
            let columns = self.layout.user().map(|place| newest.columns[place].clone()).collect();
            let mut rows = newest.slice_columns(0..newest.len(), &[]);
            rows.columns = columns;
            return Ok(Some(Piece {
                symbol: wanted.symbol,
                source: PerRow::One(wanted.source),
                side: PerRow::One(wanted.side.code().into()),
                step: wanted.step,
                rows,
                slots: None,
                features: None,
            }));
        }
        Ok(None)
    }
}
