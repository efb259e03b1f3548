//! `POST /v1/features/join`: for each row of symbol and time the last slot that could be had then.
//!
//! The answer has the rows of the request in their order. A row before the first slot of its symbol
//! has no slot: its features are null, and so is all that is said of a slot.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::dataset::tables::Extra;
use barrow_engine::dataset::{Identity, Schema};
use barrow_engine::gaps::Reason;
use barrow_engine::rows::Values;
use barrow_engine::{Error, FeaturePiece, Reference, Snapshot};
use barrow_types::{DatasetId, Step, Symbol, Timestamp};

use super::super::columns::{Hollow, Layout, Out, Piece};
use super::super::decode::{self, Incoming, Kind};
use super::super::encode::{Format, Trailer};
use super::super::error::{Code, Problem};
use super::super::ingest::ROWS as FORMATS;
use super::super::openapi::{
    Answer as Answers, Body as Bodied, FINDS, Operation, READS, Rows, Tag, Verb,
};
use super::super::parameters::{AS_OF, AT_SEQUENCE, FORMAT, GROUPS, REASONS, TZ};
use super::super::params::Params;
use super::super::reader::place_of;
use super::super::stream::{self, Answer, Pieces};
use super::super::time::Zone;
use super::super::vintage::VINTAGE;
use super::super::{App, body};
use super::groups::reference;
use super::point::{Seek, Which};
use super::reader::{Asked, Lane, missing, piece};

/// Rows with their slots.
pub(crate) static POST: Operation = Operation {
    id: "join_features",
    verb: Verb::Post,
    tag: Tag::Features,
    summary: "For each row of symbol and time the features that could be had then",
    query: &[GROUPS, AS_OF, AT_SEQUENCE, VINTAGE, REASONS, TZ, FORMAT],
    not_built: &["consistency"],
    body: Some(Bodied {
        about: "Rows of symbol and t; the answer has them in their order",
        is_required: true,
        formats: FORMATS,
    }),
    answer: Answers::Rows(Rows::Features),
    problems: &[READS, FINDS],
    example: (
        "/v1/features/join?groups=example",
        r#"[{"symbol": "ALDR", "t": "2024-11-26T15:00:00Z"}]"#,
    ),
    ..Operation::GET
};

/// What rows of a request look like: a symbol and a time, nothing else.
static ROWS: Schema = Schema {
    dataset: DatasetId::new(0),
    name: decode::JOIN,
    version: 1,
    identity: Identity::Append,
    columns: &[],
};

/// Most cells of an answer: they are put together in memory.
const CELLS_MAX: usize = 32 << 20;

/// Most symbols of a request.
const SYMBOLS_MAX: usize = 10_000;

/// Answers the rows of a body.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &POST)?;
    let kind = Kind::of(&headers)?;
    let http = &app.config.http;
    let time_max = std::time::Duration::from_secs(http.body_seconds_max);
    let sent = body::take(&headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
    let decoded_bytes_max = http.body_decoded_bytes_max;
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    stream::send(&app, move || {
        let body = sent.decode(decoded_bytes_max)?;
        let plan = decode::Plan {
            schema: &ROWS,
            step: Step::Tick,
            symbol: None,
            stamped_at_end: false,
            extra: Extra::Reject,
            decoded_bytes_max,
        };
        let incoming = decode::decode(kind, &body.bytes, &plan)?;
        answer(&of, &params, &headers, &incoming, &snapshot)
    })
    .await
}

fn answer(
    app: &App,
    params: &Params,
    headers: &HeaderMap,
    incoming: &Incoming,
    snapshot: &Snapshot,
) -> Result<Answer<Joined>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    if let Some(refused) = incoming.refused.first() {
        let detail = format!("row {}: {}", refused.row, refused.detail);
        return Err(Problem::new(Code::InvalidBody, detail).about("body"));
    }
    let symbols = symbols(incoming)?;
    let groups = app.groups.of(&*reference(snapshot)?, params)?;
    let asked = Asked::read(params, snapshot, groups, symbols)?;
    let (as_of, at_sequence) = (asked.as_of, asked.at_sequence);
    let reference = Reference::at(snapshot, as_of, at_sequence).map_err(failed)?;
    let instruments = asked.instruments(&reference);
    let mut layout = asked.layout(&instruments)?;
    layout.columns.insert(1, Out::Asked);
    layout.hollow = Hollow::Joined;
    let rows = incoming.symbols.of_row.len();
    if rows.saturating_mul(layout.features.len()) > CELLS_MAX {
        let detail = format!(
            "{rows} rows of {} features are more than {CELLS_MAX} cells; send them in parts",
            layout.features.len()
        );
        return Err(Problem::new(Code::TooLarge, detail).about("body"));
    }
    let times = times(incoming);
    let mut of_symbol: Vec<Vec<usize>> = vec![Vec::new(); asked.symbols.len()];
    for (row, place) in incoming.symbols.of_row.iter().enumerate() {
        of_symbol[*place as usize].push(row);
    }
    let mut slots = Vec::with_capacity(asked.symbols.len());
    // Of each row its place among the slots of its symbol.
    let mut places = vec![0; rows];
    let (mut delivered, mut late) = (Vec::new(), Vec::new());
    let mut calendars: Vec<String> = Vec::new();
    for ((instrument, symbol), mut rows) in instruments.iter().zip(&asked.symbols).zip(of_symbol) {
        rows.sort_by_key(|row| times[*row]);
        let wanted: Vec<i64> = rows.iter().map(|row| times[*row]).collect();
        let seek = Seek { snapshot, asked: &asked, instrument };
        let found = find(&seek, &wanted, layout.features.len()).map_err(failed)?;
        for (row, place) in rows.into_iter().zip(found.of_time) {
            places[row] = place;
        }
        let lane = found.lane.as_ref();
        let is_delivered = lane.is_none_or(Lane::is_delivered);
        delivered.push(is_delivered);
        if is_delivered {
            place_of(&mut calendars, lane.and_then(Lane::calendar).unwrap_or("none"));
        }
        if let Some(lane) = lane {
            late.extend(lane.warning(symbol)?);
        }
        slots.push(found.slots);
    }
    let mut warnings = if rows == 0 { Vec::new() } else { missing(&asked, &delivered)? };
    warnings.extend(late);
    let newest = snapshot.sequence();
    let sequence = at_sequence.map_or(newest, |asked| asked.min(newest)).get();
    let calendar = (!calendars.is_empty()).then(|| calendars.join(","));
    let of_row = incoming.symbols.of_row.clone();
    let bars = asked.bars();
    Ok(Answer {
        pieces: Joined { layout, bars, slots, of_row, places, times, next: 0 },
        trailer: Trailer { sequence, cursor: None, calendar, warnings },
        if_empty: None,
        format: Format::negotiate(params, headers)?,
        zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
    })
}

/// The symbols of the rows, each once.
fn symbols(incoming: &Incoming) -> Result<Vec<Symbol>, Problem> {
    let names = &incoming.symbols.names;
    if names.len() > SYMBOLS_MAX {
        let detail = format!("body: more than {SYMBOLS_MAX} symbols; send them in parts");
        return Err(Problem::new(Code::TooLarge, detail).about("body"));
    }
    let read = |name: &String| {
        Symbol::new(name).map_err(|fault| {
            Problem::new(Code::InvalidBody, format!("symbol: {name:?} {fault}")).about("symbol")
        })
    };
    names.iter().map(read).collect()
}

fn times(incoming: &Incoming) -> Vec<i64> {
    match &incoming.ts.values {
        Values::I64(times) => times.clone(),
        _ => unreachable!("invariant: times are whole numbers"),
    }
}

/// The slots of one symbol that rows ask for.
struct Found {
    /// What they were read from; `None`: nothing was asked for.
    lane: Option<Lane>,
    /// The first is none: rows without a slot are there.
    slots: FeaturePiece,
    /// Of each time its place in `slots`.
    of_time: Vec<usize>,
}

/// The last slot that could be had at each of some times, which are in order.
fn find(seek: &Seek<'_>, times: &[i64], features: usize) -> Result<Found, Error> {
    let mut slots = FeaturePiece::default();
    slots.push_absent(features, Reason::WarmUp);
    let mut of_time = vec![0; times.len()];
    let (Some(&first), Some(&last)) = (times.first(), times.last()) else {
        return Ok(Found { lane: None, slots, of_time });
    };
    let (_, before) = seek.find(Which::AvailableAt(Timestamp::from_nanos(first)))?;
    let start = before.map_or(Timestamp::MIN, |found| Timestamp::from_nanos(found.ts[0]));
    let end = Timestamp::from_nanos(last.saturating_add(1));
    let mut lane = seek.asked.open_at(seek.snapshot, seek.instrument, (start, end))?;
    let mut next = 0;
    let mut pending: Option<FeaturePiece> = None;
    let mut kept: BTreeMap<i64, usize> = BTreeMap::new();
    loop {
        let piece = lane.next()?;
        // The last slot of the piece before may be the one, up to the first of this piece.
        let until = piece.as_ref().map_or(i64::MAX, |piece| piece.available_at[0]);
        while next < times.len() && times[next] < until {
            if let Some(before) = &pending {
                let at = before.available_at.partition_point(|at| *at <= times[next]);
                if let Some(at) = at.checked_sub(1) {
                    let place = *kept.entry(before.ts[at]).or_insert_with(|| {
                        slots.push_from(before, at);
                        slots.len() - 1
                    });
                    of_time[next] = place;
                }
            }
            next += 1;
        }
        kept.clear();
        match piece {
            None => break,
            Some(piece) => {
                // Times inside the piece are answered when the next one is known to begin later.
                pending = Some(piece);
            }
        }
    }
    Ok(Found { lane: Some(lane), slots, of_time })
}

/// The rows of the request with their slots, on their way out.
struct Joined {
    layout: Layout,
    bars: (Step, barrow_types::PriceSide),
    /// Of each symbol.
    slots: Vec<FeaturePiece>,
    /// Of each row its symbol.
    of_row: Vec<u32>,
    /// Of each row its place among the slots of its symbol.
    places: Vec<usize>,
    times: Vec<i64>,
    next: usize,
}

impl Pieces for Joined {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        let Some(&symbol) = self.of_row.get(self.next) else { return Ok(None) };
        let same = self.of_row[self.next..].iter().take_while(|other| **other == symbol);
        let rows = self.next..self.next + same.count();
        self.next = rows.end;
        let of_symbol = &self.slots[symbol as usize];
        let mut found = FeaturePiece::default();
        for &place in &self.places[rows.clone()] {
            found.push_from(of_symbol, place);
        }
        let mut row = piece(symbol, self.bars, found);
        if let Some(slots) = &mut row.slots {
            for (reason, place) in slots.reason.iter_mut().zip(&self.places[rows.clone()]) {
                *reason = if *place == 0 { Reason::WarmUp.code() } else { Reason::Ok.code() };
            }
        }
        if let Some(features) = &mut row.features {
            features.asked = self.times[rows].to_vec();
        }
        Ok(Some(row))
    }
}
