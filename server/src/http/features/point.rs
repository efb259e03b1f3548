//! `GET /v1/features/latest` and `GET /v1/features/at`: one slot of each symbol.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::{Error, FeaturePiece, Reference, Snapshot};
use barrow_types::{DAY_NANOS, Symbol, Timestamp};

use super::super::App;
use super::super::columns::{Layout, Piece};
use super::super::encode::{Format, Trailer};
use super::super::error::Problem;
use super::super::openapi::{
    Answer as Answers, FINDS, Operation, Param, READS, Rows, Tag, Type, WAITS,
};
use super::super::parameters::{
    AS_OF, AT_SEQUENCE, CONSISTENCY, FORMAT, GROUPS, MIN_SEQUENCE, REASONS, SYMBOLS, TZ,
};
use super::super::params::Params;
use super::super::range::{check_consistency, reach};
use super::super::reader::place_of;
use super::super::stream::{self, Answer, Pieces};
use super::super::time::{Zone, parse_parameter};
use super::super::vintage::VINTAGE;
use super::groups::reference;
use super::newest;
use super::reader::{Asked, Lane, missing, piece_aged, seconds, with_age};

/// The newest.
pub(crate) static LATEST: Operation = Operation {
    id: "get_latest_features",
    tag: Tag::Features,
    summary: "The newest features of each symbol",
    query: &[
        GROUPS,
        SYMBOLS.required(),
        Param::new(
            "max_age",
            Type::Pattern("^[0-9]{1,6}(ms|s|m|h|d)$"),
            "Leave out rows that could be had longer ago, such as 90s, 5m, 2h, 1d",
        ),
        Param::new("slot", Type::When, "The slot that starts then. Left out: the last"),
        Param::new("peek", Type::Flag, "Show a slot that is not over, too").or("false"),
        AS_OF,
        AT_SEQUENCE,
        CONSISTENCY.or("\"strict\""),
        MIN_SEQUENCE,
        REASONS,
        TZ,
        FORMAT,
    ],
    answer: Answers::Rows(Rows::Features),
    problems: &[READS, FINDS, WAITS],
    example: ("/v1/features/latest?groups=example&symbols=ALDR,MAPL", ""),
    ..Operation::GET
};

/// Those of an instant.
pub(crate) static AT: Operation = Operation {
    id: "get_features_at",
    tag: Tag::Features,
    summary: "The features of each symbol that could be had at an instant",
    query: &[
        GROUPS,
        SYMBOLS.required(),
        Param::new("ts", Type::When, "The instant").required(),
        Param::new(
            "mode",
            Type::Words(|| vec!["latest", "exact"]),
            "The last slot that could be had then, or the one that starts then",
        )
        .or("\"latest\""),
        AS_OF,
        AT_SEQUENCE,
        VINTAGE,
        REASONS,
        TZ,
        FORMAT,
    ],
    answer: Answers::Rows(Rows::Features),
    problems: &[READS, FINDS],
    example: ("/v1/features/at?groups=example&symbols=ALDR&ts=2024-11-26T15:00:00Z", ""),
    ..Operation::GET
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
    check_consistency(&params)?;
    let slot = params.read("slot", parse_parameter)?;
    let which = slot.map_or(Which::Newest, Which::Starting);
    let max_age = params.read("max_age", age)?;
    let peek = params.flag("peek")?;
    if let Some(sequence) = params.integer("min_sequence")? {
        reach(&app, sequence).await?;
    }
    let snapshot = app.engine.snapshot();
    let wanted = Wanted { params, headers, which, max_age, peek };
    let needed = newest::needed(&wanted, &snapshot)?;
    let needed = match needed {
        Some(needed) if app.live.cuts().reach(needed).await => Some(needed),
        _ => None,
    };
    if let Some(needed) = needed
        && newest::is_short(&app, &wanted.params)
    {
        let ready =
            app.live.cuts().try_read(needed, |cut| newest::read(&app, &wanted, &snapshot, cut));
        if let Some(ready) = ready.flatten() {
            app.metrics.latest_answer("live");
            return stream::send_now(&app, ready.answer(&wanted)?);
        }
    }
    let of = Arc::clone(&app);
    stream::send(&app, move || {
        let ready = needed.and_then(|needed| {
            of.live.cuts().read(needed, |cut| newest::read(&of, &wanted, &snapshot, cut)).flatten()
        });
        of.metrics.latest_answer(if ready.is_some() { "live" } else { "computed" });
        match ready {
            Some(ready) => ready.answer(&wanted),
            None => plan(&of, &wanted, &snapshot),
        }
    })
    .await
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
    let wanted = Wanted { params, headers, which, max_age: None, peek: false };
    let snapshot = app.engine.snapshot();
    let of = Arc::clone(&app);
    stream::send(&app, move || plan(&of, &wanted, &snapshot)).await
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

/// What a request wants.
pub(super) struct Wanted {
    pub(super) params: Params,
    pub(super) headers: HeaderMap,
    pub(super) which: Which,
    /// Rows that could be had longer ago are left out, in nanoseconds.
    pub(super) max_age: Option<i64>,
    /// Whether slots that are not due count, too.
    pub(super) peek: bool,
}

/// The slot of one symbol, and what there is to say of it.
pub(super) struct Found {
    /// Whether anybody has delivered anything of the symbol.
    pub(super) is_delivered: bool,
    pub(super) calendar: Option<String>,
    pub(super) slot: Option<FeaturePiece>,
    /// Rows that came late, if that matters.
    pub(super) late: Option<String>,
}

/// Computes the slots.
fn plan(app: &App, wanted: &Wanted, snapshot: &Snapshot) -> Result<Answer<Points>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    let Wanted { params, which, peek, .. } = wanted;
    let groups = app.groups.of(&*reference(snapshot)?, params)?;
    let mut asked = Asked::read(params, snapshot, groups, params.symbols()?)?;
    let (as_of, at_sequence, now) = (asked.as_of, asked.at_sequence, asked.due);
    if *peek {
        asked.due = Timestamp::MAX;
    }
    let reference = Reference::at(snapshot, as_of, at_sequence).map_err(failed)?;
    let instruments = asked.instruments(&reference);
    let find = |(instrument, symbol): (&Arc<str>, &Symbol)| {
        let found = Seek { snapshot, asked: &asked, instrument }.find(*which);
        let (lane, slot) = found.map_err(failed)?;
        let calendar = lane.calendar().map(ToOwned::to_owned);
        let late = lane.warning(symbol)?;
        Ok(Found { is_delivered: lane.is_delivered(), calendar, slot, late })
    };
    let found = instruments.iter().zip(&asked.symbols).map(find);
    let found = found.collect::<Result<_, Problem>>()?;
    let newest = snapshot.sequence();
    let sequence = at_sequence.map_or(newest, |asked| asked.min(newest)).get();
    Slots { asked, instruments, found, now, sequence }.answer(wanted)
}

/// One slot of each symbol.
pub(super) struct Slots {
    pub(super) asked: Asked,
    pub(super) instruments: Vec<Arc<str>>,
    /// Of each symbol.
    pub(super) found: Vec<Found>,
    pub(super) now: Timestamp,
    /// The record that they are as of.
    pub(super) sequence: u64,
}

impl Slots {
    /// The answer that says them.
    pub(super) fn answer(self, wanted: &Wanted) -> Result<Answer<Points>, Problem> {
        let Self { asked, instruments, found, now, sequence } = self;
        let mut layout = asked.layout(&instruments)?;
        layout.columns = with_age(layout.columns);
        let delivered: Vec<bool> = found.iter().map(|found| found.is_delivered).collect();
        let mut warnings = missing(&asked, &delivered)?;
        let mut pieces = Vec::new();
        let mut calendars: Vec<String> = Vec::new();
        for (place, (symbol, found)) in (0..).zip(asked.symbols.iter().zip(found)) {
            if !found.is_delivered {
                continue;
            }
            place_of(&mut calendars, found.calendar.as_deref().unwrap_or("none"));
            warnings.extend(found.late);
            let Some(slot) = found.slot else {
                warnings.push(format!("{symbol}: has no such slot"));
                continue;
            };
            let age = now.nanos().saturating_sub(slot.available_at[0]);
            if let Some(max_age) = wanted.max_age.filter(|max_age| age > *max_age) {
                let (age, max_age) = (seconds(age), seconds(max_age));
                warnings
                    .push(format!("{symbol}: its newest is {age} s old, more than {max_age} s"));
                continue;
            }
            pieces.push(piece_aged(place, asked.bars(), slot, now));
        }
        let calendar = (!calendars.is_empty()).then(|| calendars.join(","));
        // A symbol without a row has said why.
        let if_empty = asked.as_of.filter(|_| warnings.is_empty());
        let if_empty = if_empty.map(|_| "nothing of this was known at as_of".to_owned());
        Ok(Answer {
            pieces: Points { layout, pieces: pieces.into_iter() },
            trailer: Trailer { sequence, cursor: None, calendar, warnings },
            if_empty,
            format: Format::negotiate(&wanted.params, &wanted.headers)?,
            zone: wanted.params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc),
        })
    }
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

/// The rows on their way out, one a piece.
pub(super) struct Points {
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
