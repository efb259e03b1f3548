//! `GET /v1/bars`, `/v1/trades` and `/v1/quotes`, and `/v1/tables/{dataset}` of users' tables: a
//! range of rows, raw or, of bars, curated.
//!
//! Symbols none of which any source has delivered are 404; a symbol that is unknown beside known
//! ones, or has no rows of that step, side and source, is a warning in the answer. Of a user's
//! table all symbols are answered if none is named.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::dataset::Schema;
use barrow_engine::{Error, Revisions, Snapshot};
use barrow_types::{DatasetId, PriceSide, Sequence};
use tokio::time::timeout;
use xxhash_rust::xxh3::xxh3_64;

use super::App;
use super::columns::{Layout, Out, Piece, select};
use super::curated::{self, Slotted};
use super::encode::{Format, Trailer};
use super::error::{Code, Problem};
use super::ingest::{check_sides, step};
use super::openapi::{
    Answer as Answers, FINDS, Operation, Param, READS, Rows as Asked, Tag, Type, WAITS,
};
use super::page::{Paged, Paging};
use super::parameters::{
    ADJUSTS, ALIGN, AS_OF, AT_SEQUENCE, COLUMNS, CONSISTENCY, CURSOR, END, FALLBACK, FORMAT,
    FREQUENCY, LAYER, LIMIT, MIN_SEQUENCE, PRICES, RAW, REVISIONS, SESSION, SOURCE, START, SYMBOLS,
    SYMBOLS_ASOF, TRADE, TZ,
};
use super::params::Params;
use super::reader::{Range, Reader};
use super::slots::Fill;
use super::stream::{self, Answer, Pieces};
use super::time::{Zone, parse_parameter, parse_range};
use super::vintage::VINTAGE;
use crate::clock;

/// Bars.
pub(crate) static BARS: Operation = Operation {
    id: "get_bars",
    summary: "A range of bars",
    about: "The curated layer has a row for each slot of the calendar that has one, or with gaps \
            one for every slot; the raw layer has the rows of each source as they came.",
    query: &[
        SYMBOLS.required(),
        START,
        END,
        FREQUENCY.required(),
        LAYER.or("\"curated\""),
        SOURCE,
        PRICES.meaning("Price sides, joined by commas; curated bars are of one"),
        SESSION.or("\"regular\""),
        ALIGN,
        FALLBACK,
        Param::new("adjust", ADJUSTS, "Which corporate actions prices are adjusted for")
            .or("\"none\""),
        Param::new(
            "adjust_anchor",
            Type::Either(&[Type::Words(|| vec!["end"]), Type::When]),
            "When adjusted prices are those that were paid",
        ),
        SYMBOLS_ASOF,
        Param::new("gaps", Type::Flag, "Show slots that have no row, and why").or("false"),
        Param::new(
            "fill",
            Type::Pattern(
                "^(none|forward(:[1-9][0-9]{0,8})?|constant:-?[0-9]{1,9}(\\.[0-9]{1,9})?)$",
            ),
            "What stands in slots without a row: forward:LIMIT has the last close in at most so \
             many in a row; filled rows say so",
        )
        .or("\"none\""),
        AS_OF,
        AT_SEQUENCE,
        VINTAGE,
        REVISIONS,
        CONSISTENCY,
        MIN_SEQUENCE,
        COLUMNS,
        LIMIT,
        CURSOR,
        TZ,
        FORMAT,
    ],
    not_built: &[],
    answer: Answers::Rows(Asked::Bars),
    example: ("/v1/bars?symbols=ALDR&start=2024-11-25&end=2024-11-26&frequency=30m", ""),
    ..RANGE
};

/// Trades.
pub(crate) static TRADES: Operation = Operation {
    id: "get_trades",
    summary: "A range of trades",
    query: &[
        SYMBOLS.required(),
        START,
        END,
        RAW,
        SOURCE,
        TRADE,
        AS_OF,
        AT_SEQUENCE,
        REVISIONS,
        CONSISTENCY,
        MIN_SEQUENCE,
        COLUMNS,
        LIMIT,
        CURSOR,
        TZ,
        FORMAT,
    ],
    answer: Answers::Rows(Asked::Trades),
    ..RANGE
};

/// Quotes.
pub(crate) static QUOTES: Operation = Operation {
    id: "get_quotes",
    summary: "A range of quotes",
    query: OF_QUOTES,
    answer: Answers::Rows(Asked::Quotes),
    ..RANGE
};

const RANGE: Operation = Operation {
    tag: Tag::Data,
    not_built: &["vintage"],
    problems: &[READS, FINDS, WAITS],
    ..Operation::GET
};

const OF_QUOTES: &[Param] = &[
    SYMBOLS.required(),
    START,
    END,
    RAW,
    SOURCE,
    AS_OF,
    AT_SEQUENCE,
    REVISIONS,
    CONSISTENCY,
    MIN_SEQUENCE,
    COLUMNS,
    LIMIT,
    CURSOR,
    TZ,
    FORMAT,
];

/// What is asked of tables.
pub(super) const OF_TABLES: &[Param] = &[
    SYMBOLS.meaning("Symbols, joined by commas; none twice. Left out: all"),
    START,
    END,
    RAW,
    SOURCE,
    AS_OF,
    AT_SEQUENCE,
    REVISIONS,
    CONSISTENCY,
    MIN_SEQUENCE,
    COLUMNS,
    LIMIT,
    CURSOR,
    TZ,
    FORMAT,
];

/// Parameters that only one layer has.
const OF_CURATED: [&str; 9] = [
    "session",
    "align",
    "fallback",
    "adjust",
    "adjust_anchor",
    "symbols_asof",
    "gaps",
    "fill",
    "vintage",
];

/// What is asked for.
enum Layer {
    /// Rows as received.
    Raw(Range),
    /// A row for each slot.
    Curated(Box<Slotted>, Vec<Out>, (bool, Fill)),
}

struct Query {
    layer: Layer,
    paging: Paging,
    min_sequence: Option<u64>,
    format: Format,
    zone: Zone,
}

/// Answers a range of `schema`'s dataset.
pub(crate) async fn get(
    (schema, operation): (&'static Schema, &'static Operation),
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), operation)?;
    answer(&app, &params, &headers, |_| Ok(schema)).await
}

/// Answers a range of the dataset whose rows look as `schema` says of a snapshot.
pub(super) async fn answer(
    app: &Arc<App>,
    params: &Params,
    headers: &HeaderMap,
    schema: impl Fn(&Snapshot) -> Result<&'static Schema, Problem>,
) -> Result<Response, Problem> {
    let read = |snapshot: &Snapshot| {
        Query::read(schema(snapshot)?, params, headers, app.config.http.page_rows_max)
    };
    let mut snapshot = app.engine.snapshot();
    let mut query = read(&snapshot)?;
    if let Some(sequence) = query.min_sequence {
        reach(app, sequence).await?;
        snapshot = app.engine.snapshot();
        query = read(&snapshot)?;
    }
    stream::send(app, move || plan(query, snapshot)).await
}

/// Waits until `sequence` is visible.
///
/// # Errors
/// It is not, for as long as `[http] min_sequence_wait_ms`.
pub(super) async fn reach(app: &App, sequence: u64) -> Result<(), Problem> {
    let mut newest = app.progress.sequence.clone();
    let wait = Duration::from_millis(app.config.http.min_sequence_wait_ms);
    // Within the time it fails only if the writer is gone, and then nothing more will come.
    let reached = matches!(timeout(wait, newest.wait_for(|at| *at >= sequence)).await, Ok(Ok(_)));
    if reached {
        return Ok(());
    }
    let detail = format!(
        "min_sequence: {sequence} is not there yet, the newest is {}",
        *app.progress.sequence.borrow()
    );
    Err(Problem::new(Code::SequenceNotReached, detail).about("min_sequence"))
}

impl Query {
    fn read(
        schema: &'static Schema,
        params: &Params,
        headers: &HeaderMap,
        page_rows_max: u32,
    ) -> Result<Self, Problem> {
        let has_curated = schema.dataset == DatasetId::BARS;
        let is_curated = match params.get("layer") {
            Some("raw") => false,
            None => has_curated,
            Some("curated") if has_curated => true,
            Some("curated") => {
                let fault = format!("{} are raw; leave it out", schema.name);
                return Err(Problem::parameter("layer", fault));
            }
            Some(other) => {
                let fault = format!("'{other}' is neither raw nor curated");
                return Err(Problem::parameter("layer", fault));
            }
        };
        let foreign: &[&str] = if is_curated { &["revisions"] } else { &OF_CURATED };
        if let Some(name) = foreign.iter().find(|name| params.get(name).is_some()) {
            let layer = if is_curated { "raw" } else { "curated" };
            return Err(Problem::parameter(name, format!("is for layer={layer} only")));
        }
        let (layer, hash) =
            if is_curated { curated_layer(params)? } else { raw_layer(schema, params)? };
        check_consistency(params)?;
        Ok(Self {
            layer,
            paging: Paging::read(params, hash, page_rows_max)?,
            min_sequence: params.integer("min_sequence")?,
            format: Format::negotiate(params, headers)?,
            zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        })
    }
}

/// `consistency`, which makes no difference: whatever is derived is computed from the rows that the
/// answer is about, so no answer is ever out of date.
pub(super) fn check_consistency(params: &Params) -> Result<(), Problem> {
    let all = ["eventual", "strict"];
    let known = |name: &str| match all.contains(&name) {
        true => Ok(()),
        false => Err(format!("'{name}' is not one of {}", all.join(", "))),
    };
    params.read("consistency", known).map(|_| ())
}

/// The curated layer of a request, and what a cursor of it is bound to.
fn curated_layer(params: &Params) -> Result<(Layer, u64), Problem> {
    let slotted = Slotted::read(params, clock::now())?;
    let columns = curated::columns(params)?;
    let fill = params.read("fill", Fill::parse)?.unwrap_or(Fill::None);
    let gaps = params.flag("gaps")? || fill != Fill::None;
    let hash = xxh3_64(format!("{}{gaps}{fill:?}", slotted.identity()).as_bytes());
    Ok((Layer::Curated(Box::new(slotted), columns, (gaps, fill)), hash))
}

/// The raw layer of a request, and what a cursor of it is bound to.
fn raw_layer(schema: &'static Schema, params: &Params) -> Result<(Layer, u64), Problem> {
    let revisions = match params.get("revisions") {
        None => Revisions::Visible,
        Some("all") => Revisions::All,
        Some(other) => {
            let fault = format!("'{other}' is not all; leave it out for the rows that hold");
            return Err(Problem::parameter("revisions", fault));
        }
    };
    let all_symbols = schema.dataset.is_table() && params.get("symbols").is_none();
    let symbols = if all_symbols { Vec::new() } else { params.symbols()? };
    let step = step(schema, params, "frequency")?;
    let sides = params.sides()?.unwrap_or_default();
    check_sides(schema, &sides)?;
    let sides = if sides.is_empty() { vec![PriceSide::Trade] } else { sides };
    let (start, end) = parse_range(params)?;
    let retractions = revisions == Revisions::All;
    let all = match sides.len() {
        1 => Out::of_range(schema, retractions),
        _ => Out::of_sides(schema, retractions),
    };
    let columns = params.read("columns", |list| select(&all, list))?.unwrap_or(all);
    let range = Range {
        schema,
        symbols,
        all_symbols,
        step,
        sides,
        source: params.source()?,
        start,
        end,
        as_of: params.read("as_of", parse_parameter)?,
        at_sequence: params.integer("at_sequence")?.map(Sequence::new),
        revisions,
        columns,
    };
    let hash = hash(&range);
    Ok((Layer::Raw(range), hash))
}

/// What a cursor is bound to: which rows there are and in which order, not how they look.
fn hash(range: &Range) -> u64 {
    let Range {
        schema,
        symbols,
        all_symbols: _,
        step,
        sides,
        source,
        start,
        end,
        as_of,
        at_sequence,
        revisions,
        columns: _,
    } = range;
    let text = format!(
        "{}{symbols:?}{step:?}{sides:?}{source:?}{start:?}{end:?}{as_of:?}{at_sequence:?}\
         {revisions:?}",
        schema.name
    );
    xxh3_64(text.as_bytes())
}

fn plan(query: Query, snapshot: Snapshot) -> Result<Answer<Paged<Rows>>, Problem> {
    let Query { mut layer, paging, format, zone, .. } = query;
    let (at_sequence, as_of) = match &mut layer {
        Layer::Raw(range) => (&mut range.at_sequence, range.as_of),
        Layer::Curated(slotted, ..) => {
            slotted.fix_due(&snapshot).map_err(|error| Problem::read(&error))?;
            (&mut slotted.at_sequence, slotted.as_of)
        }
    };
    let sequence = paging.fix(&snapshot, at_sequence)?;
    let if_empty = as_of.map(|_| "nothing of this was known at as_of".to_owned());
    let resume = paging.resume();
    let mut reader = match layer {
        Layer::Raw(range) => {
            let reader = Reader::new(snapshot, range, resume);
            Rows::Raw(Box::new(reader.map_err(|error| Problem::read(&error))?))
        }
        Layer::Curated(asked, columns, gaps) => {
            Rows::Curated(Box::new(curated::Reader::new(&snapshot, &asked, columns, gaps, resume)?))
        }
    };
    let (calendar, warnings) = reader.about()?;
    let mut trailer = Trailer { sequence, cursor: None, calendar, warnings };
    let pieces = paging.cut(reader, &mut trailer)?;
    Ok(Answer { pieces, trailer, if_empty, format, zone })
}

/// Rows of either layer on their way out.
enum Rows {
    Raw(Box<Reader>),
    Curated(Box<curated::Reader>),
}

impl Pieces for Rows {
    fn layout(&self) -> &Layout {
        match self {
            Self::Raw(reader) => reader.layout(),
            Self::Curated(reader) => reader.layout(),
        }
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        match self {
            Self::Raw(reader) => reader.next(),
            Self::Curated(reader) => reader.next(),
        }
    }
}

impl Rows {
    /// The calendars, and what a person should know.
    fn about(&mut self) -> Result<(Option<String>, Vec<String>), Problem> {
        match self {
            Self::Raw(reader) if !reader.any_known => {
                let detail = format!("symbols: {}", reader.warnings.join("; "));
                Err(Problem::new(Code::NotFound, detail).about("symbols"))
            }
            Self::Raw(reader) => Ok((reader.calendar.take(), std::mem::take(&mut reader.warnings))),
            Self::Curated(reader) => {
                Ok((reader.calendar.take(), std::mem::take(&mut reader.warnings)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::{BARS, QUOTES, TRADES};

    use super::*;

    fn read(query: &str) -> Result<Query, Problem> {
        read_of(&BARS, query)
    }

    fn read_of(schema: &'static Schema, query: &str) -> Result<Query, Problem> {
        let operation = match schema.dataset {
            DatasetId::BARS => &super::BARS,
            DatasetId::TRADES => &super::TRADES,
            _ => &super::QUOTES,
        };
        let params = Params::parse(Some(query), operation)?;
        Query::read(schema, &params, &HeaderMap::new(), 10)
    }

    #[test]
    fn trades_and_quotes_are_raw_and_have_neither_length_nor_side() {
        for (schema, query, field) in [
            (&TRADES, "symbols=A", None),
            (&TRADES, "symbols=A&layer=raw&price=trade", None),
            (&TRADES, "symbols=A&layer=curated", Some("layer")),
            (&TRADES, "symbols=A&frequency=1m", Some("frequency")),
            (&TRADES, "symbols=A&price=bid", Some("price")),
            (&TRADES, "symbols=A&columns=bid", Some("columns")),
            (&TRADES, "symbols=A&columns=ts_end", Some("columns")),
            (&QUOTES, "symbols=A&columns=bid,ask", None),
            (&QUOTES, "symbols=A&price=bid", Some("price")),
        ] {
            let found = read_of(schema, query).err().and_then(|problem| problem.field);
            assert_eq!(found.as_deref(), field, "{} {query}", schema.name);
        }
        assert_ne!(
            read_of(&TRADES, "symbols=A").unwrap().paging.hash,
            read_of(&QUOTES, "symbols=A").unwrap().paging.hash
        );
    }

    #[test]
    fn what_is_not_built_says_so_and_names_itself() {
        let problem = read_of(&TRADES, "symbols=A&vintage=live").err().unwrap();
        assert_eq!(problem.code, Code::NotAvailable);
        assert_eq!(problem.field.as_deref(), Some("vintage"));
    }

    #[test]
    fn faults_name_their_parameter() {
        for (query, field) in [
            ("symbols=A&layer=raw", "frequency"),
            ("symbols=A", "frequency"),
            ("symbols=A&frequency=1m&layer=raw&fill=forward", "fill"),
            ("symbols=A&frequency=1m&layer=raw&session=regular", "session"),
            ("symbols=A&frequency=1m&layer=raw&vintage=live", "vintage"),
            ("symbols=A&frequency=1m&vintage=old", "vintage"),
            ("symbols=A&frequency=1m&revisions=all", "revisions"),
            ("symbols=A&frequency=1m&session=night", "session"),
            ("symbols=A&frequency=1m&align=left", "align"),
            ("symbols=A&frequency=1m&consistency=late", "consistency"),
            ("symbols=A&frequency=1m&fallback=any", "fallback"),
            ("symbols=A&frequency=1m&fill=linear", "fill"),
            ("symbols=A&frequency=1m&fill=forward:0", "fill"),
            ("symbols=A&frequency=1m&fill=constant:x", "fill"),
            ("symbols=A&frequency=1m&gaps=maybe", "gaps"),
            ("symbols=A&frequency=1m&layer=bronze", "layer"),
            ("symbols=A&frequency=1m&layer=raw&start=1381152600", "start"),
            ("symbols=A&frequency=1m&layer=raw&start=2013-10-08&end=2013-10-07", "start"),
            ("symbols=A&frequency=1m&start=2013-10-08&end=2013-10-07", "start"),
            ("symbols=A&frequency=1m&layer=raw&limit=0", "limit"),
            ("symbols=A&frequency=1m&layer=raw&limit=11", "limit"),
            ("symbols=A&frequency=1m&layer=raw&columns=ts,colour", "columns"),
            ("symbols=A&frequency=1m&layer=raw&revisions=none", "revisions"),
            ("symbols=A&frequency=1m&layer=raw&tz=Mars", "tz"),
            ("symbols=A&frequency=1m&layer=raw&cursor=abc", "cursor"),
            ("symbols=A&frequency=1m&layer=raw&source=..", "source"),
            ("symbols=A&frequency=1m&layer=raw&format=xml", "format"),
        ] {
            let problem = read(query).err().unwrap();
            assert_eq!(problem.code, Code::InvalidParameter, "{query}");
            assert_eq!(problem.field.as_deref(), Some(field), "{query}");
        }
    }

    #[test]
    fn a_cursor_is_bound_to_the_rows_asked_for_and_not_to_how_they_look() {
        let base = "symbols=A,B&frequency=1m&layer=raw&start=2013-10-07";
        let hash = read(base).unwrap().paging.hash;
        assert_eq!(
            read(&format!("{base}&limit=5&format=csv&columns=ts")).unwrap().paging.hash,
            hash
        );
        for other in
            ["&end=2013-10-08", "&price=bid", "&price=trade,bid", "&source=x", "&as_of=2014-01-01"]
        {
            assert_ne!(read(&format!("{base}{other}")).unwrap().paging.hash, hash, "{other}");
        }
    }
}
