//! `PUT /v1/calendars/{name}`: a calendar of one's own from a file, and
//! `PUT /v1/calendars/{name}/days`: single days of any calendar that are not as its table says.
//!
//! Each day of a file becomes a fact, so a calendar can be corrected day by day and asked as of any
//! time. A file says how a venue trades as a matter of course: its days count as known since ever,
//! where they are the first of their date. A single day counts as known since its midnight in UTC
//! unless it says when it became known.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::KnownAt;
use barrow_engine::calendar::{Calendar, Hours};
use barrow_engine::dataset::facts::ALWAYS;
use barrow_types::{DAY_NANOS, DatasetId, Nanos, Symbol, Timestamp};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::super::App;
use super::super::calendars::calendar_of;
use super::super::error::{Code, Problem};
use super::super::ingest::reference;
use super::super::openapi::{
    FINDS, Field, Format as Media, JUDGES, Operation, READS, Shape, Type, WRITES,
};
use super::super::parameters::NAME;
use super::super::params::Params;
use super::super::time;
use super::super::when::midnight;
use super::json::{Fields, fault};
use super::stated::{Cell, Fact, Group, Stated, state, state_bytes};
use super::{KNOWN_AT, STATING, stating};

/// A calendar in.
pub(crate) static PUT_FILE: Operation = Operation {
    id: "put_calendar",
    summary: "Takes in a calendar of one's own",
    about: "The body is a file as docs/FACTS.md describes it.",
    path: &[NAME.meaning("The name of the calendar, as in the file")],
    body: stating("The file", &[Media { media_type: "text/plain", of: Some(Type::Text) }]),
    example: ("/v1/calendars/MOON", FILE),
    ..STATING
};

/// Days in.
pub(crate) static PUT_DAYS: Operation = Operation {
    id: "put_calendar_days",
    summary: "States single days of a calendar",
    path: &[NAME.meaning("The name of the calendar")],
    body: stating("Days", &[Media::json(Type::List(&Type::Object(&DAY)))]),
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: ("/v1/calendars/XNYS/days", r#"[{"date": "2025-01-09", "kind": "closed"}]"#),
    ..STATING
};

/// A month of a venue that trades six hours a day.
const FILE: &str = "calendar MOON\nzone Asia/Tokyo\nversion 1\ncovers 2013-10-01 2013-10-31\n\
                    shape a 0 360 break 150 210\n2013-10 .aaa..aaaaa..aaaaa..aaaaa..aaaa\n";

static DAY: Shape = Shape {
    name: "CalendarDay",
    about: "A day that is not as the table of its calendar says",
    fields: &[
        Field::new("date", Type::Date, ""),
        Field::new("kind", Type::Words(|| KINDS.to_vec()), "A closed day has no times"),
        Field::maybe("open", HOUR, "Of a regular day it must be there"),
        Field::maybe("close", HOUR, "Of a regular day it must be there"),
        Field::maybe("break_start", HOUR, "With break_end"),
        Field::maybe("break_end", HOUR, "With break_start"),
        Field::maybe("pre_open", HOUR, "Left out: the open"),
        Field::maybe("post_close", HOUR, "Left out: the close"),
        KNOWN_AT.meaning("Since when it is known. Left out: since its midnight in UTC"),
    ],
};

/// `HH:MM` in the venue's zone, minutes from midnight in UTC, or an instant.
const HOUR: Type = Type::Either(&[Type::Text, Type::Whole]);

const KINDS: [&str; 2] = ["regular", "closed"];

const TIMES: [&str; 6] = ["open", "close", "break_start", "break_end", "pre_open", "post_close"];

/// How long before its date a day of a file is known: longer than anybody asks back.
const SINCE_EVER: Nanos = Nanos::new(-200 * 365 * DAY_NANOS);

const MINUTE_NANOS: i64 = 60_000_000_000;

/// Takes a calendar in as a file.
pub(crate) async fn put_file(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT_FILE)?;
    let sum = state_bytes(&app, &params, &headers, body, move |_, bytes| {
        let text = std::str::from_utf8(bytes).map_err(|_| fault("body", "is not UTF-8"))?;
        let calendar = Calendar::parse(text).map_err(|error| fault("body", error.detail()))?;
        if calendar.name() != name {
            let what = format!("is called {} in the file, {name} in the path", calendar.name());
            return Err(fault("calendar", what));
        }
        TimeZone::get(calendar.zone()).map_err(|_| {
            let what = format!("'{}' is no time zone: write Asia/Tokyo", calendar.zone());
            fault("zone", what)
        })?;
        let mut stated = Stated::default();
        if Calendar::embedded(&name).is_none() {
            for (key, value) in [("zone", calendar.zone()), ("version", calendar.version())] {
                let values = vec![Cell::Text(format!("{key}:{name}")), Cell::from(value)];
                let subject = "calendars".to_owned();
                let fact = Fact { subject, ts: ALWAYS, known_at: None, values };
                stated.add(Group::of(DatasetId::SETTINGS), fact);
            }
        }
        let policy = KnownAt::TsEnd(SINCE_EVER);
        let group = Group { policy, ..Group::of(DatasetId::CALENDAR_DAYS) };
        let (first, last) = calendar.covered();
        for date in first..=last {
            let values = match calendar.session(date) {
                None => closed(),
                Some(session) => {
                    let at = |ts: i64| Cell::Long(ts - midnight(date).nanos());
                    let pause = |pick: fn((i64, i64)) -> i64| {
                        session.pause.map_or(Cell::Null, |pause| at(pick(pause)))
                    };
                    vec![
                        Cell::from("regular"),
                        at(session.open),
                        at(session.close),
                        pause(|pause| pause.0),
                        pause(|pause| pause.1),
                        at(session.pre_open),
                        at(session.post_close),
                    ]
                }
            };
            let fact = Fact { subject: name.clone(), ts: midnight(date), known_at: None, values };
            stated.add(group.clone(), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

fn closed() -> Vec<Cell> {
    let mut values = vec![Cell::Null; 7];
    values[0] = Cell::from("closed");
    values
}

/// Takes single days in.
pub(crate) async fn put_days(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT_DAYS)?;
    Symbol::new(&name).map_err(|what| Problem::parameter("name", what))?;
    let sum = state(&app, &params, &headers, body, move |context, value| {
        let calendar = calendar_of(&*reference(&context.snapshot)?, &name)?;
        let zone = TimeZone::get(calendar.zone()).map_err(|_| {
            let detail = format!("this machine does not know the zone {}", calendar.zone());
            Problem::new(Code::Internal, detail)
        })?;
        let Value::Array(days) = value else {
            return Err(fault("body", "is not an array of days, each with date and kind"));
        };
        let mut stated = Stated::default();
        let mut seen = BTreeSet::new();
        for (at, value) in days.iter().enumerate() {
            let fields = Fields::of_shape(value, format!("[{at}]"), &DAY)?;
            let date = fields.required("date", Fields::date)?;
            if !seen.insert(date) {
                return Err(fields.fault("date", "is there twice: say each date once"));
            }
            let values = day(&fields, date, &zone)?;
            let known_at = fields.known_at(context.now)?;
            let fact = Fact { subject: name.clone(), ts: midnight(date), known_at, values };
            stated.add(Group::of(DatasetId::CALENDAR_DAYS), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// The columns of a day's fact.
fn day(fields: &Fields<'_>, date: i32, zone: &TimeZone) -> Result<Vec<Cell>, Problem> {
    let kind = fields.required("kind", |fields, name| fields.word(name, &KINDS))?;
    if kind == "closed" {
        return match TIMES.into_iter().find(|name| fields.get(name).is_some()) {
            Some(name) => Err(fields.fault(name, "is said of a day that is closed: leave it out")),
            None => Ok(closed()),
        };
    }
    let time = |fields: &Fields<'_>, name: &str| match fields.get(name) {
        None => Ok(None),
        Some(value) => {
            time_of(value, date, zone).map(Some).map_err(|what| fields.fault(name, what))
        }
    };
    let open = fields.required("open", time)?;
    let close = fields.required("close", time)?;
    let pause = match (time(fields, "break_start")?, time(fields, "break_end")?) {
        (Some(start), Some(end)) => Some((start, end)),
        (None, None) => None,
        (Some(_), None) => {
            return Err(fields.fault("break_end", "is missing: a break has both ends"));
        }
        (None, Some(_)) => {
            return Err(fields.fault("break_start", "is missing: a break has both ends"));
        }
    };
    let pre_open = time(fields, "pre_open")?;
    let post_close = time(fields, "post_close")?;
    let outer = (pre_open.unwrap_or(open), post_close.unwrap_or(close));
    Hours::new(open, close, pause, outer.0, outer.1).map_err(|error| {
        let (name, what) = error.detail().split_once(": ").unwrap_or(("open", error.detail()));
        fields.fault(name, what)
    })?;
    Ok(vec![
        Cell::from(kind),
        Cell::Long(open),
        Cell::Long(close),
        Cell::from(pause.map(|pause| pause.0)),
        Cell::from(pause.map(|pause| pause.1)),
        Cell::from(pre_open),
        Cell::from(post_close),
    ])
}

/// A time of a day in nanoseconds from its midnight in UTC: `HH:MM` on that date in the venue's
/// zone, whole minutes from that midnight, or an instant with an offset.
fn time_of(value: &Value, date: i32, zone: &TimeZone) -> Result<i64, String> {
    let wrong = || {
        format!(
            "{value} is no time of a day: write HH:MM in the venue's zone, whole minutes from \
             00:00 UTC, or a time with an offset"
        )
    };
    let midnight = midnight(date);
    let text = match value {
        Value::Number(number) => {
            let minutes = number.as_i64().filter(|minutes| minutes.abs() <= 1 << 20);
            return minutes.map(|minutes| minutes * MINUTE_NANOS).ok_or_else(wrong);
        }
        Value::String(text) => text,
        _ => return Err(wrong()),
    };
    if let Some((hour, minute)) = text.split_once(':')
        && text.len() == 5
    {
        let number = |text: &str| text.parse::<i8>().map_err(|_| wrong());
        let (hour, minute) = (number(hour)?, number(minute)?);
        let day = jiff::Timestamp::from_nanosecond(midnight.nanos().into());
        let day = day.map_err(|_| wrong())?.to_zoned(TimeZone::UTC).date();
        let time = jiff::civil::Time::new(hour, minute, 0, 0).map_err(|_| wrong())?;
        let local = day.to_datetime(time).to_zoned(zone.clone()).map_err(|_| wrong())?;
        let at = i64::try_from(local.timestamp().as_nanosecond()).map_err(|_| wrong())?;
        return Ok(at - midnight.nanos());
    }
    let at: Timestamp = time::parse(text, false).map_err(|_| wrong())?;
    Ok(at.nanos().saturating_sub(midnight.nanos()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_a_day_are_of_the_venue_of_utc_or_of_an_offset() {
        // 2013-10-07, when New York was four hours behind, and 2013-12-24, when it was five.
        let (summer, winter) = (15_985, 16_063);
        let zone = TimeZone::get("America/New_York").unwrap();
        let hours = |value: Value, date: i32| {
            time_of(&value, date, &zone).map(|nanos| nanos as f64 / 3_600e9)
        };
        assert_eq!(hours("09:30".into(), summer), Ok(13.5));
        assert_eq!(hours("09:30".into(), winter), Ok(14.5));
        assert_eq!(hours((-90).into(), summer), Ok(-1.5));
        assert_eq!(hours("2013-10-06T22:00:00Z".into(), summer), Ok(-2.0));
        for value in ["9:30", "24:00", "0930", "noon", "2013-10-06"] {
            assert!(hours(value.into(), summer).is_err(), "{value}");
        }
        assert!(hours(Value::Bool(true), summer).is_err());
        assert!(hours(Value::from(1.5), summer).is_err());
    }
}
