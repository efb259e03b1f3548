//! `GET /v1/features/latest` and `GET /v1/features/at`: one slot of each symbol.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{Error, FeaturePiece, Reference, Snapshot};
use barrow_types::{DAY_NANOS, Timestamp};

use super::super::App;
use super::super::columns::{Layout, Out, Piece};
use super::super::encode::{Format, Trailer};
use super::super::error::Problem;
use super::super::params::{Known, Params};
use super::super::reader::place_of;
use super::super::stream::{self, Answer, Pieces};
use super::super::time::{Zone, parse_parameter};
use super::groups::reference;
use super::reader::{Asked, Lane, missing, piece};

const LATEST: Known = Known {
    built: &[
        "groups",
        "symbols",
        "max_age",
        "slot",
        "peek",
        "as_of",
        "at_sequence",
        "reasons",
        "tz",
        "format",
    ],
    not_built: &[],
};

const AT: Known = Known {
    built: &["groups", "symbols", "ts", "mode", "as_of", "at_sequence", "reasons", "tz", "format"],
    not_built: &["vintage"],
};

/// Which slot of each symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// The last with a row.
    Newest,
    /// The one that starts then.
    Starting(Timestamp),
    /// The last that could be had then.
    AvailableAt(Timestamp),
}

/// Answers the last slot, or one that is named.
pub(crate) async fn latest(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LATEST)?;
    let slot = params.read("slot", parse_parameter)?;
    let which = slot.map_or(Which::Newest, Which::Starting);
    let max_age = params.read("max_age", age)?;
    let peek = params.flag("peek")?;
    answer(app, params, headers, (which, max_age, peek)).await
}

/// Answers the slot of an instant.
pub(crate) async fn at(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &AT)?;
    let ts = params.read("ts", parse_parameter)?;
    let ts = ts.ok_or_else(|| Problem::parameter("ts", "is missing"))?;
    let which = match params.get("mode") {
        None | Some("latest") => Which::AvailableAt(ts),
        Some("exact") => Which::Starting(ts),
        Some(other) => {
            let fault = format!("'{other}' is neither exact nor latest");
            return Err(Problem::parameter("mode", fault));
        }
    };
    answer(app, params, headers, (which, None, false)).await
}

/// A span such as `90s`, `5m`, `2h`, `1d`, in nanoseconds.
fn age(text: &str) -> Result<i64, String> {
    let wrong = || format!("'{text}' is no span: write 90s, 5m, 2h or 1d");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (digits, unit) = text.split_at(unit);
    let unit = match unit {
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        "d" => DAY_NANOS,
        _ => return Err(wrong()),
    };
    digits.parse().ok().and_then(|count: i64| count.checked_mul(unit)).ok_or_else(wrong)
}

async fn answer(
    app: Arc<App>,
    params: Params,
    headers: HeaderMap,
    which: (Which, Option<i64>, bool),
) -> Result<Response, Problem> {
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    stream::send(&app, move || plan(&of, &params, &headers, which, &snapshot)).await
}

fn plan(
    app: &App,
    params: &Params,
    headers: &HeaderMap,
    (which, max_age, peek): (Which, Option<i64>, bool),
    snapshot: &Snapshot,
) -> Result<Answer<Points>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    let groups = app.groups.of(&*reference(snapshot)?, params)?;
    let mut asked = Asked::read(params, snapshot, groups, params.symbols()?)?;
    let (as_of, at_sequence, now) = (asked.as_of, asked.at_sequence, asked.due);
    if peek {
        asked.due = Timestamp::MAX;
    }
    let reference = Reference::at(snapshot, as_of, at_sequence).map_err(failed)?;
    let instruments = asked.instruments(&reference);
    let mut layout = asked.layout(&instruments)?;
    let before_coverage = layout.columns.iter().position(|column| *column == Out::Coverage);
    layout.columns.insert(before_coverage.unwrap_or(0), Out::Age);
    let mut pieces = Vec::new();
    let mut delivered = Vec::new();
    let mut calendars: Vec<String> = Vec::new();
    let mut warnings = Vec::new();
    for (place, (symbol, instrument)) in (0..).zip(asked.symbols.iter().zip(&instruments)) {
        let seek = Seek { snapshot, asked: &asked, instrument };
        let (lane, found) = seek.find(which).map_err(failed)?;
        delivered.push(lane.is_delivered());
        if !lane.is_delivered() {
            continue;
        }
        place_of(&mut calendars, lane.calendar().unwrap_or("none"));
        let Some(found) = found else {
            warnings.push(format!("{symbol}: has no such slot"));
            continue;
        };
        let age = now.nanos().saturating_sub(found.available_at[0]);
        if let Some(max_age) = max_age.filter(|max_age| age > *max_age) {
            let (age, max_age) = (seconds(age), seconds(max_age));
            warnings.push(format!("{symbol}: its newest is {age} s old, more than {max_age} s"));
            continue;
        }
        let mut row = piece(place, asked.bars(), found);
        if let Some(features) = &mut row.features {
            features.age = vec![seconds(age)];
        }
        pieces.push(row);
    }
    warnings.splice(0..0, missing(&asked, &delivered)?);
    let newest = snapshot.sequence();
    let sequence = at_sequence.map_or(newest, |asked| asked.min(newest)).get();
    let calendar = (!calendars.is_empty()).then(|| calendars.join(","));
    // A symbol without a row has said why.
    let if_empty = as_of.filter(|_| warnings.is_empty());
    let if_empty = if_empty.map(|_| "nothing of this was known at as_of".to_owned());
    let trailer = Trailer { sequence, cursor: None, calendar, warnings };
    Ok(Answer {
        pieces: Points { layout, pieces: pieces.into_iter() },
        trailer,
        if_empty,
        format: Format::negotiate(params, headers)?,
        zone: params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
    })
}

#[expect(clippy::cast_precision_loss, reason = "an age is told to the microsecond")]
fn seconds(nanos: i64) -> f64 {
    nanos as f64 / 1e9
}

/// Finds one slot of an instrument.
pub(super) struct Seek<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) asked: &'a Asked,
    pub(super) instrument: &'a Arc<str>,
}

impl Seek<'_> {
    /// The slot, alone, and the lane that it came from.
    pub(super) fn find(&self, which: Which) -> Result<(Lane, Option<FeaturePiece>), Error> {
        match which {
            Which::Newest => self.last_before(Timestamp::MAX, |_| true),
            Which::Starting(ts) => {
                let after = Timestamp::from_nanos(ts.nanos().saturating_add(1));
                let mut lane = self.asked.open_at(self.snapshot, self.instrument, (ts, after))?;
                let found = lane.next()?;
                Ok((lane, found))
            }
            Which::AvailableAt(at) => {
                let after = Timestamp::from_nanos(at.nanos().saturating_add(1));
                self.last_before(after, move |available_at| available_at <= at.nanos())
            }
        }
    }

    /// The last slot that starts before `end` and is available as `fits` says; further and further
    /// back, so that little is computed where it is near.
    fn last_before(
        &self,
        end: Timestamp,
        fits: impl Fn(i64) -> bool,
    ) -> Result<(Lane, Option<FeaturePiece>), Error> {
        let step = self.asked.bars().0;
        let whole = self.asked.scans(self.instrument, (Timestamp::MIN, end));
        let newest = self.snapshot.newest_slot(&whole[0])?;
        let end = match newest {
            Some(newest) => end.min(Timestamp::from_nanos(newest.nanos().saturating_add(1))),
            None => end,
        };
        let mut back = if step.is_dated() { 40 * DAY_NANOS } else { DAY_NANOS };
        loop {
            let start = Timestamp::from_nanos(end.nanos().saturating_sub(back));
            let mut lane = self.asked.open_at(self.snapshot, self.instrument, (start, end))?;
            let mut found = None;
            while let Some(piece) = lane.next()? {
                let count = piece.available_at.iter().take_while(|at| fits(**at)).count();
                if count > 0 {
                    found = Some(piece.split_at(count).0.split_at(count - 1).1);
                }
            }
            let is_all = back == i64::MAX;
            if found.is_some() || is_all || !lane.is_delivered() {
                return Ok((lane, found));
            }
            back = back.saturating_mul(8);
        }
    }
}

struct Points {
    layout: Layout,
    pieces: std::vec::IntoIter<Piece>,
}

impl Pieces for Points {
    fn layout(&self) -> &Layout {
        &self.layout
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        Ok(self.pieces.next())
    }
}
