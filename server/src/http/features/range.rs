//! `GET /v1/features`: the cells of groups over a range of slots.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::Snapshot;
use xxhash_rust::xxh3::xxh3_64;

use super::super::App;
use super::super::encode::{Format, Trailer};
use super::super::error::Problem;
use super::super::openapi::{Answer as Answers, FINDS, Operation, READS, Rows, Tag, WAITS};
use super::super::page::{Paged, Paging};
use super::super::parameters::{
    AS_OF, AT_SEQUENCE, COLUMNS, CONSISTENCY, CURSOR, END, FORMAT, GROUPS, LIMIT, MIN_SEQUENCE,
    REASONS, START, SYMBOLS, TZ,
};
use super::super::params::Params;
use super::super::range::{check_consistency, reach};
use super::super::stream::{self, Answer};
use super::super::time::{Zone, parse_range};
use super::super::vintage::VINTAGE;
use super::groups::reference;
use super::reader::{Asked, Reader};

/// A range.
pub(crate) static GET: Operation = Operation {
    id: "get_features",
    tag: Tag::Features,
    summary: "The history of groups of features",
    about: "Of several groups columns are group__feature.",
    query: &[
        GROUPS,
        SYMBOLS.required(),
        START,
        END,
        AS_OF,
        AT_SEQUENCE,
        VINTAGE,
        REASONS,
        COLUMNS,
        CONSISTENCY,
        MIN_SEQUENCE,
        LIMIT,
        CURSOR,
        TZ,
        FORMAT,
    ],
    answer: Answers::Rows(Rows::Features),
    problems: &[READS, FINDS, WAITS],
    example: (
        "/v1/features?groups=example&symbols=ALDR&start=2024-11-25&end=2024-11-26&limit=100",
        "",
    ),
    ..Operation::GET
};

struct Query {
    asked: Asked,
    paging: Paging,
    format: Format,
    zone: Zone,
}

/// Answers a range.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &GET)?;
    if let Some(sequence) = params.integer("min_sequence")? {
        reach(&app, sequence).await?;
    }
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    stream::send(&app, move || {
        let query = Query::read(&of, &params, &headers, &snapshot)?;
        plan(query, &snapshot)
    })
    .await
}

impl Query {
    fn read(
        app: &App,
        params: &Params,
        headers: &HeaderMap,
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        check_consistency(params)?;
        let asked = asked(app, params, snapshot)?;
        let hash = xxh3_64(asked.identity().as_bytes());
        Ok(Self {
            asked,
            paging: Paging::read(params, hash, app.config.http.page_rows_max)?,
            format: Format::negotiate(params, headers)?,
            zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        })
    }
}

/// The parameters that say which cells.
fn asked(app: &App, params: &Params, snapshot: &Snapshot) -> Result<Asked, Problem> {
    let groups = app.groups.of(&*reference(snapshot)?, params)?;
    let (start, end) = parse_range(params)?;
    let columns = params.get("columns");
    let columns = columns.map(|list| list.split(',').map(ToOwned::to_owned).collect());
    let asked = Asked::read(params, snapshot, groups, params.symbols()?)?;
    Ok(Asked { start, end, columns, ..asked })
}

fn plan(query: Query, snapshot: &Snapshot) -> Result<Answer<Paged<Reader>>, Problem> {
    let Query { mut asked, paging, format, zone } = query;
    let sequence = paging.fix(snapshot, &mut asked.at_sequence)?;
    let if_empty = asked.as_of.map(|_| "nothing of this was known at as_of".to_owned());
    let mut reader = Reader::new(snapshot, &asked, paging.resume())?;
    let (calendar, warnings) = (reader.calendar.take(), std::mem::take(&mut reader.warnings));
    let mut trailer = Trailer { sequence, cursor: None, calendar, warnings };
    let pieces = paging.cut(reader, &mut trailer)?;
    Ok(Answer { pieces, trailer, if_empty, format, zone })
}
