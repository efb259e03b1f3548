//! `GET /v1/calendars`, `/v1/calendars/{name}` and `/v1/calendars/{name}/sessions`: which trading
//! calendars there are, and their sessions.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Reference;
use barrow_engine::calendar::{Calendar, Session};
use barrow_types::{DAY_NANOS, Sequence, Timestamp};
use serde_json::{Value, json};

use super::App;
use super::encode::Format;
use super::error::{Code, Problem};
use super::openapi::{Answer, Columns, FINDS, Field, Operation, READS, Shape, Tag, Type};
use super::parameters::{AS_OF, AT_SEQUENCE, END, FORMAT, NAME, START, TZ};
use super::params::Params;
use super::table::{date, table, table_with_warnings};
use super::time::{self, Zone};

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_calendars",
    tag: Tag::Reference,
    summary: "Lists the trading calendars",
    query: &[FORMAT, AS_OF, AT_SEQUENCE],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

/// One of them.
pub(crate) static SHOW: Operation = Operation {
    id: "describe_calendar",
    tag: Tag::Reference,
    summary: "Describes a calendar",
    path: &[NAME.meaning("The name of the calendar")],
    query: &[AS_OF, AT_SEQUENCE],
    answer: Answer::Json(&CALENDAR),
    problems: &[READS, FINDS],
    example: ("/v1/calendars/XNYS", ""),
    ..Operation::GET
};

/// Its sessions.
pub(crate) static SESSIONS: Operation = Operation {
    id: "list_sessions",
    tag: Tag::Reference,
    summary: "Lists the sessions of a calendar",
    path: &[NAME.meaning("The name of the calendar")],
    query: &[
        START.meaning("The first date, or sessions that open from this time on. Left out: all"),
        END.meaning("The date after the last, or sessions that open before this time"),
        TZ,
        FORMAT,
        AS_OF,
        AT_SEQUENCE,
    ],
    not_built: &["limit", "cursor"],
    answer: Answer::Table(OF_SESSIONS),
    problems: &[READS, FINDS],
    example: ("/v1/calendars/XNYS/sessions?start=2024-11-25&end=2024-12-01", ""),
    ..Operation::GET
};

const COLUMNS: Columns = &[
    ("name", "text"),
    ("zone", "text"),
    ("version", "text"),
    ("start", "date"),
    ("end", "date"),
    ("sessions", "i64"),
    ("oracle", "text"),
];

const OF_SESSIONS: Columns = &[
    ("session", "date"),
    ("open", "timestamp"),
    ("close", "timestamp"),
    ("break_start", "timestamp"),
    ("break_end", "timestamp"),
    ("kind", "text"),
    ("pre_open", "timestamp"),
    ("post_close", "timestamp"),
];

static CALENDAR: Shape = Shape {
    name: "Calendar",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("zone", Type::Text, "The venue's time zone"),
        Field::new("version", Type::Text, "The version of its table"),
        Field::new("start", Type::Date, "The first date that it covers"),
        Field::new("end", Type::Date, "The date after the last that it covers"),
        Field::new("sessions", Type::Whole, "How many"),
        Field::or_null("oracle", Type::Text, "What its table was made from, if it is embedded"),
    ],
};

/// The calendar of that name.
///
/// # Errors
/// There is none; the problem lists those there are.
pub(crate) fn calendar_of(reference: &Reference, name: &str) -> Result<Arc<Calendar>, Problem> {
    reference.calendar(name).ok_or_else(|| {
        let names: Vec<_> = names(reference).into_iter().collect();
        let detail = format!("there is no calendar '{name}'; there are {}", names.join(", "));
        Problem::new(Code::NotFound, detail).about("name")
    })
}

/// The names of all calendars, embedded or made by facts.
pub(crate) fn names(reference: &Reference) -> BTreeSet<String> {
    let stated = reference.calendars().map(str::to_owned);
    Calendar::names().map(str::to_owned).chain(stated).collect()
}

/// The facts as they are visible when the question says.
fn facts(app: &App, params: &Params) -> Result<Arc<Reference>, Problem> {
    let as_of = params.read("as_of", time::parse_parameter)?;
    let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
    Reference::at(&app.engine.snapshot(), as_of, at_sequence).map_err(|e| Problem::read(&e))
}

/// Lists the calendars.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let of = Arc::clone(&app);
    let rows = move || -> Result<Vec<Value>, Problem> {
        let reference = facts(&of, &params)?;
        let names = names(&reference);
        let all = names.iter().filter_map(|name| reference.calendar(name));
        Ok(all.map(|calendar| description(&calendar)).collect())
    };
    let rows = app.query(rows).await??;
    table(format, COLUMNS, &rows)
}

/// Describes one calendar.
pub(crate) async fn describe(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &SHOW)?;
    let of = Arc::clone(&app);
    let body = move || calendar_of(&*facts(&of, &params)?, &name).map(|c| description(&c));
    let body = app.query(body).await??;
    Ok(Json(body).into_response())
}

/// `end` is the day after the last one that the table covers, as everywhere.
fn description(calendar: &Calendar) -> Value {
    let (first, last) = calendar.covered();
    json!({
        "name": calendar.name(),
        "zone": calendar.zone(),
        "version": calendar.version(),
        "start": date(first),
        "end": date(last + 1),
        "sessions": calendar.count(),
        "oracle": calendar.oracle(),
    })
}

/// Lists sessions: those of the dates from `start` on and before `end`, where these are dates;
/// where they are instants, those that open from then on and before then. An end that is left out
/// leaves none out, be it of the table or stated by a fact.
pub(crate) async fn sessions(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &SESSIONS)?;
    let format = Format::negotiate(&params, &headers)?;
    let zone = params.read("tz", Zone::parse)?.unwrap_or(Zone::Utc);
    let start = params.read("start", Bound::parse)?;
    let end = params.read("end", Bound::parse)?;
    if let (Some(start), Some(end)) = (start, end)
        && start.nanos() > end.nanos()
    {
        return Err(Problem::parameter("start", "lies after end"));
    }
    let of = Arc::clone(&app);
    let work = move || -> Result<_, Problem> {
        let calendar = calendar_of(&*facts(&of, &params)?, &name)?;
        let warnings = outside(&calendar, start, end);
        let reach = |bound: Option<Bound>, days: i32, unasked: i32| {
            bound.map_or(unasked, |bound| bound.date().saturating_add(days))
        };
        // Sessions open at most a day before their date, and not two days after it.
        let dates = (reach(start, -2, i32::MIN), reach(end, 2, i32::MAX));
        let rows: Vec<Value> = calendar
            .sessions(dates.0, dates.1)
            .filter(|session| start.is_none_or(|start| !start.is_after(session)))
            .filter(|session| end.is_none_or(|end| end.is_after(session)))
            .map(|session| row(&session, &zone))
            .collect();
        Ok((rows, warnings))
    };
    let (rows, warnings) = app.query(work).await??;
    table_with_warnings(format, OF_SESSIONS, &rows, &warnings)
}

/// One end of a range of sessions.
#[derive(Clone, Copy)]
enum Bound {
    Date(i32),
    Instant(i64),
}

impl Bound {
    fn parse(text: &str) -> Result<Self, String> {
        let instant = time::parse_parameter(text)?;
        // Only a date is so short.
        if text.len() == "2013-10-07".len() && text.contains('-') {
            let days = i32::try_from(instant.day());
            return days.map(Self::Date).map_err(|_| format!("{text} is too far from 1970"));
        }
        Ok(Self::Instant(instant.nanos()))
    }

    /// As an instant: 00:00 UTC of a date.
    fn nanos(self) -> i64 {
        match self {
            Self::Date(date) => i64::from(date) * DAY_NANOS,
            Self::Instant(ts) => ts,
        }
    }

    /// Its date by UTC.
    fn date(self) -> i32 {
        match self {
            Self::Date(date) => date,
            Self::Instant(ts) => i32::try_from(ts.div_euclid(DAY_NANOS))
                .expect("invariant: 2^63 nanoseconds are 106751 days"),
        }
    }

    /// Whether `session` lies before it.
    fn is_after(self, session: &Session) -> bool {
        match self {
            Self::Date(date) => session.date < date,
            Self::Instant(ts) => session.open < ts,
        }
    }
}

/// What a person should know if the question reaches beyond the table.
fn outside(calendar: &Calendar, start: Option<Bound>, end: Option<Bound>) -> Vec<String> {
    let (first, last) = calendar.covered();
    let before = start.is_some_and(|start| start.date() < first);
    let after = end.is_some_and(|end| end.date() > last + 1);
    let shown = |day| date(day).as_str().unwrap_or_default().to_owned();
    let warning = || {
        let (name, first, last) = (calendar.name(), shown(first), shown(last));
        let stated = match calendar.stated().len() {
            0 => String::new(),
            count => format!(" and on {count} stated outside"),
        };
        format!("{name} is known from {first} to {last}{stated}; nothing is said of other dates")
    };
    (before || after).then(warning).into_iter().collect()
}

fn row(session: &Session, zone: &Zone) -> Value {
    let time = |at: i64| {
        let mut text = Vec::new();
        zone.write(Timestamp::from_nanos(at), &mut text);
        Value::String(String::from_utf8(text).expect("invariant: times are ASCII"))
    };
    json!({
        "session": date(session.date),
        "open": time(session.open),
        "close": time(session.close),
        "break_start": session.pause.map(|(from, _)| time(from)),
        "break_end": session.pause.map(|(_, to)| time(to)),
        "kind": session.kind.name(),
        "pre_open": time(session.pre_open),
        "post_close": time(session.post_close),
    })
}
