//! `GET /v1/features`: the cells of groups over a range of slots.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{Error, Snapshot};
use barrow_types::Sequence;
use xxhash_rust::xxh3::xxh3_64;

use super::super::App;
use super::super::columns::{Layout, Piece};
use super::super::cursor::Cursor;
use super::super::encode::{Format, Trailer};
use super::super::error::Problem;
use super::super::page::page;
use super::super::params::{Known, Params};
use super::super::range::{check_consistency, check_limit, reach};
use super::super::stream::{self, Answer, Pieces};
use super::super::time::{Zone, parse_parameter, parse_range};
use super::groups::reference;
use super::reader::{Asked, Reader};
use crate::clock;

const KNOWN: Known = Known {
    built: &[
        "groups",
        "symbols",
        "start",
        "end",
        "as_of",
        "at_sequence",
        "reasons",
        "columns",
        "consistency",
        "min_sequence",
        "limit",
        "cursor",
        "tz",
        "format",
    ],
    not_built: &["vintage"],
};

struct Query {
    asked: Asked,
    hash: u64,
    limit: Option<usize>,
    cursor: Option<Cursor>,
    format: Format,
    zone: Zone,
}

/// Answers a range.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &KNOWN)?;
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
            hash,
            limit: check_limit(params, app.config.http.page_rows_max)?,
            cursor: params.read("cursor", |text| Cursor::decode(text, hash))?,
            format: Format::negotiate(params, headers)?,
            zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        })
    }
}

/// The parameters that say which cells.
pub(super) fn asked(app: &App, params: &Params, snapshot: &Snapshot) -> Result<Asked, Problem> {
    let groups = app.groups.of(&*reference(snapshot)?, params)?;
    let (start, end) = parse_range(params)?;
    let as_of = params.read("as_of", parse_parameter)?;
    let mut asked = Asked {
        symbols: params.symbols()?,
        groups,
        start,
        end,
        as_of,
        at_sequence: params.integer("at_sequence")?.map(Sequence::new),
        due: as_of.unwrap_or_else(clock::now),
        reasons: params.flag("reasons")?,
        columns: params.get("columns").map(|list| list.split(',').map(ToOwned::to_owned).collect()),
    };
    if let (None, Some(sequence)) = (asked.as_of, asked.at_sequence) {
        asked.due = snapshot.now_at(sequence).map_err(|error| Problem::read(&error))?;
    }
    Ok(asked)
}

fn plan(query: Query, snapshot: &Snapshot) -> Result<Answer<Features>, Problem> {
    let Query { mut asked, hash, limit, cursor, format, zone } = query;
    let newest = snapshot.sequence().get();
    let sequence = match cursor {
        Some(cursor) if cursor.sequence > newest => {
            let fault = "is of a store with newer rows than this one";
            return Err(Problem::parameter("cursor", fault));
        }
        Some(cursor) => cursor.sequence,
        None => asked.at_sequence.map_or(newest, |asked| asked.get().min(newest)),
    };
    // Every page is of the snapshot that the first one was of.
    if cursor.is_some() {
        asked.at_sequence = Some(Sequence::new(sequence));
    }
    let if_empty = asked.as_of.map(|_| "nothing of this was known at as_of".to_owned());
    let resume = cursor.map(|cursor| cursor.position);
    let mut reader = Reader::new(snapshot, &asked, resume)?;
    let (calendar, warnings) = (reader.calendar.take(), std::mem::take(&mut reader.warnings));
    let mut trailer = Trailer { sequence, cursor: None, calendar, warnings };
    let page = match limit {
        None => None,
        Some(limit) => {
            let (pieces, more) =
                page(&mut reader, limit, resume).map_err(|error| Problem::read(&error))?;
            trailer.cursor =
                more.map(|position| Cursor { query: hash, sequence, position }.encode());
            Some(pieces.into_iter())
        }
    };
    Ok(Answer { pieces: Features { reader, page }, trailer, if_empty, format, zone })
}

struct Features {
    reader: Reader,
    page: Option<std::vec::IntoIter<Piece>>,
}

impl Pieces for Features {
    fn layout(&self) -> &Layout {
        self.reader.layout()
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        match &mut self.page {
            Some(page) => Ok(page.next()),
            None => self.reader.next(),
        }
    }
}
