//! `GET /v1/health/{dataset}`: is it good? One colour, a colour for each dimension, and the
//! reasons: what fails, where, by how much, and what a person can do.
//!
//! It looks at the session dates of a week up to `as_of_date` (today, if it is left out), as they
//! were known by the end of that date; `start_date` makes it more or less, `as_of` and
//! `at_sequence` ask about another state of knowledge.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::Snapshot;
use barrow_engine::quality::RuleId;
use barrow_engine::report::Measure;
use barrow_types::{DAY_NANOS, Step, Timestamp};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::encode::Format;
use super::super::error::Problem;
use super::super::facts::dataset_of;
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Operation, Param, READS, Shape, Tag, Type,
};
use super::super::parameters::{
    ALIGN, AS_OF, AT_SEQUENCE, FORMAT, FREQUENCY, MARKET_DATASET, PRICE, SESSION, SOURCE, SYMBOLS,
};
use super::super::params::Params;
use super::super::table::{date, instant, table_with_warnings};
use super::advice;
use super::asked::{self, Asked};
use super::fold::{Fold, Splits};
use super::metric::{Metric, STATUSES, Status};
use crate::clock;

/// Health.
pub(crate) static GET: Operation = Operation {
    id: "get_health",
    tag: Tag::Quality,
    summary: "Whether the data of a dataset are good: one colour, and the reasons",
    path: &[MARKET_DATASET],
    query: &[
        SYMBOLS.meaning("Only these. Left out: all"),
        Param::new(
            "as_of_date",
            Type::Date,
            "The last date that is looked at, as it was known by its end. Left out: today",
        ),
        Param::new("start_date", Type::Date, "The first date. Left out: a week"),
        FREQUENCY.meaning("Only bars of this length"),
        PRICE.meaning("Only bars of this side"),
        SOURCE,
        SESSION.or("\"regular\""),
        ALIGN,
        AS_OF,
        AT_SEQUENCE,
        FORMAT,
    ],
    answer: Answer::Report(&HEALTH),
    problems: &[READS, FINDS],
    example: ("/v1/health/bars?as_of_date=2024-11-29", ""),
    ..Operation::GET
};

const COLOURS: Type = Type::Words(|| vec!["GREEN", "YELLOW", "RED"]);

static HEALTH: Shape = Shape {
    name: "Health",
    about: "",
    fields: &[
        Field::new("dataset", Type::Text, ""),
        Field::new("status", COLOURS, ""),
        Field::new("as_of_date", Type::Date, "The last date"),
        Field::new("start_date", Type::Date, "The first date"),
        Field::or_null("as_of", Type::Instant, "As it was known then"),
        Field::new("due", Type::Instant, "What ends later is not due"),
        Field::new("sequence", Type::Whole, "The last record that counts"),
        Field::new("dimensions", Type::Map(&Type::Object(&DIMENSION)), "By dimension"),
        Field::new("reasons", Type::List(&Type::Object(&REASON)), "The worst first"),
        Field::new("reasons_left_out", Type::Whole, "How many more there are"),
        Field::new("warnings", Type::List(&Type::Text), "What a person should know"),
    ],
};

static DIMENSION: Shape = Shape {
    name: "HealthDimension",
    about: "",
    fields: &[Field::new("status", COLOURS, ""), Field::new("reasons", Type::Whole, "How many")],
};

static REASON: Shape = Shape {
    name: "HealthReason",
    about: "What fails, where, by how much, and what a person can do",
    fields: &[
        Field::new("dimension", Type::Words(|| Dimension::ALL.map(Dimension::name).to_vec()), ""),
        Field::new("metric_name", Type::Text, ""),
        Field::new("status", STATUSES, ""),
        Field::maybe("symbol", Type::Text, ""),
        Field::maybe("source", Type::Text, ""),
        Field::maybe("frequency", Type::Text, ""),
        Field::maybe("price", Type::Text, ""),
        Field::maybe("beside", Type::Text, "What it was compared with"),
        Field::maybe("sessions", Type::List(&Type::Date), "The first of them"),
        Field::maybe("session_count", Type::Whole, ""),
        Field::or_null("value", Type::Number, ""),
        Field::maybe("worst", Type::Number, ""),
        Field::maybe("n_tested", Type::Whole, ""),
        Field::maybe("n_failed", Type::Whole, ""),
        Field::maybe("n_settled", Type::Whole, ""),
        Field::maybe("first_failed", Type::Instant, ""),
        Field::maybe("last_failed", Type::Instant, ""),
        Field::new("thresholds", Type::Map(&Type::Number), ""),
        Field::new("message", Type::Text, ""),
        Field::new("do", Type::Text, "What a person can do"),
    ],
};

/// Columns of a table of reasons.
const COLUMNS: Columns = &[
    ("dimension", "text"),
    ("metric_name", "text"),
    ("status", "text"),
    ("symbol", "text"),
    ("source", "text"),
    ("frequency", "text"),
    ("price", "text"),
    ("beside", "text"),
    ("value", "f64"),
    ("session_count", "i64"),
    ("first_failed", "timestamp"),
    ("last_failed", "timestamp"),
    ("thresholds", "text"),
    ("message", "text"),
    ("do", "text"),
];

/// Dates that are looked at, the last one included.
const DATES: i32 = 7;
/// Reasons in an answer: the worst ones.
const REASONS_MAX: usize = 100;

/// What data are good or bad in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dimension {
    Completeness,
    Freshness,
    Validity,
    Uniqueness,
    Consistency,
}

impl Dimension {
    const ALL: [Self; 5] =
        [Self::Completeness, Self::Freshness, Self::Validity, Self::Uniqueness, Self::Consistency];

    const fn name(self) -> &'static str {
        match self {
            Self::Completeness => "completeness",
            Self::Freshness => "freshness",
            Self::Validity => "validity",
            Self::Uniqueness => "uniqueness",
            Self::Consistency => "consistency",
        }
    }

    /// What a count is about; `None`: it is neither good nor bad.
    const fn of(measure: Measure) -> Option<Self> {
        Some(match measure {
            Measure::Nulls(_) => Self::Completeness,
            Measure::DeadLetters => Self::Validity,
            Measure::Rule(rule) => match rule {
                RuleId::GapVsCalendar | RuleId::UniverseCoverage | RuleId::NullRate => {
                    Self::Completeness
                }
                RuleId::Freshness | RuleId::Late => Self::Freshness,
                RuleId::DuplicateKey | RuleId::ConflictingDuplicate => Self::Uniqueness,
                RuleId::AdjContinuity
                | RuleId::OutOfOrder
                | RuleId::XsourceDiff
                | RuleId::XfreqConsistency => Self::Consistency,
                _ => Self::Validity,
            },
            Measure::Rows | Measure::Expected | Measure::Slots(_) | Measure::LongestGap => {
                return None;
            }
        })
    }
}

const fn colour(status: Status) -> &'static str {
    match status {
        Status::Ok => "GREEN",
        Status::Warn => "YELLOW",
        Status::Error => "RED",
    }
}

/// Why something is not good.
struct Reason {
    status: Status,
    dimension: Dimension,
    told: Value,
}

/// Answers the health of a dataset.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let schema = dataset_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &GET)?;
    let format = Format::negotiate(&params, &headers)?;
    let now = clock::now();
    let mut asked = Asked::read(schema, &params, now)?;
    let last = asked::date(&params, "as_of_date")?;
    let start = asked::date(&params, "start_date")?;
    if let (Some(last), None, None) = (last, asked.as_of, asked.at_sequence) {
        let end = (i64::from(last) + 1).saturating_mul(DAY_NANOS);
        asked.as_of = Some(Timestamp::from_nanos(end));
        asked.due = now.min(Timestamp::from_nanos(end));
    }
    let snapshot = app.engine.snapshot();
    app.query(move || answer(asked, (start, last), format, &snapshot)).await?
}

fn answer(
    mut asked: Asked,
    (start, last): (Option<i32>, Option<i32>),
    format: Format,
    snapshot: &Snapshot,
) -> Result<Response, Problem> {
    asked.fix_due(snapshot)?;
    let today = asked.due.nanos().div_euclid(DAY_NANOS);
    let last = last.unwrap_or_else(|| i32::try_from(today).unwrap_or(i32::MAX - 1));
    let start = start.unwrap_or(last - DATES + 1);
    if start > last {
        let fault = "lies after as_of_date, which is today if it is left out";
        return Err(Problem::parameter("start_date", fault));
    }
    asked.dates = start..last + 1;
    let groups = asked.groups(snapshot)?;
    let splits =
        Splits { session: false, symbol: true, source: true, frequency: true, price: true };
    let mut fold = Fold::new(&asked, &groups, splits);
    fold.run(snapshot)?;
    let (metrics, warnings) = (fold.metrics(), fold.warnings());
    let mut reasons: Vec<Reason> =
        metrics.iter().filter_map(|metric| reason(&fold, metric)).collect();
    if !fold.is_any_there {
        reasons.push(nothing(&asked, last, snapshot.now()));
    }
    reasons.sort_by_key(|reason| (std::cmp::Reverse(reason.status), reason.dimension));
    let status = |of: Option<Dimension>| {
        let own = reasons.iter().filter(|reason| of.is_none_or(|of| of == reason.dimension));
        own.map(|reason| reason.status).max().unwrap_or(Status::Ok)
    };
    let dimensions: Map<String, Value> = Dimension::ALL
        .into_iter()
        .map(|dimension| {
            let count = reasons.iter().filter(|reason| reason.dimension == dimension).count();
            let told = json!({"status": colour(status(Some(dimension))), "reasons": count});
            (dimension.name().to_owned(), told)
        })
        .collect();
    let overall = colour(status(None));
    let count = reasons.len();
    reasons.truncate(REASONS_MAX);
    let told: Vec<Value> = reasons.into_iter().map(|reason| reason.told).collect();
    if format != Format::Json {
        let rows: Vec<Value> = told.into_iter().map(as_row).collect();
        return table_with_warnings(format, COLUMNS, &rows, &warnings);
    }
    let body = json!({
        "dataset": asked.schema.name,
        "status": overall,
        "as_of_date": date(last),
        "start_date": date(start),
        "as_of": asked.as_of.map(instant),
        "due": instant(asked.due),
        "sequence": asked.sequence(snapshot),
        "dimensions": dimensions,
        "reasons": told,
        "reasons_left_out": count - told.len(),
        "warnings": warnings,
    });
    Ok(Json(body).into_response())
}

/// A reason whose thresholds are one text.
fn as_row(mut reason: Value) -> Value {
    if let Some(thresholds) = reason["thresholds"].as_object() {
        let all = thresholds.iter().map(|(name, value)| format!("{name}={value}"));
        let text = all.collect::<Vec<_>>().join(" ");
        reason["thresholds"] = text.into();
    }
    reason
}

/// Why a metric is not good, if it is not.
fn reason(fold: &Fold<'_>, metric: &Metric<'_>) -> Option<Reason> {
    let dimension = Dimension::of(metric.measure?)?;
    if metric.status == Status::Ok {
        return None;
    }
    let (part, cell) = (metric.part, &metric.cell);
    let sessions: Vec<Value> = cell.sessions.iter().map(|session| date(*session)).collect();
    let (first, last) = cell.count.span.unzip();
    let at = |ts: Option<i64>| ts.map(|ts| instant(Timestamp::from_nanos(ts)));
    let told = advice::told(fold, metric);
    let told = json!({
        "dimension": dimension.name(),
        "metric_name": metric.name,
        "status": metric.status.name(),
        "symbol": part.symbol.map(|place| fold.groups.names[place].as_str()),
        "source": part.source.as_ref().map(barrow_types::Source::as_str),
        "frequency": part.step.filter(|step| *step != Step::Tick).map(Step::name),
        "price": part.side.map(barrow_types::PriceSide::name),
        "beside": metric.beside.as_deref(),
        "sessions": sessions,
        "session_count": cell.session_count,
        "value": metric.value,
        "worst": metric.worst(),
        "n_tested": cell.count.tested,
        "n_failed": cell.count.failed,
        "n_settled": cell.count.failed - cell.count.open,
        "first_failed": at(first),
        "last_failed": at(last),
        "thresholds": metric.thresholds(),
        "message": told.message,
        "do": told.action,
    });
    Some(Reason { status: metric.status, dimension, told })
}

/// There is nothing to look at; `now` is when the last record came.
fn nothing(asked: &Asked, last: i32, now: Timestamp) -> Reason {
    let dataset = asked.schema.name;
    let text = |value: Value| value.as_str().unwrap_or_default().to_owned();
    let message = match (asked.as_of, asked.at_sequence) {
        (Some(as_of), _) => {
            format!("nothing of {dataset} was known at {}", text(instant(as_of)))
        }
        (None, Some(sequence)) => {
            format!("nothing of {dataset} was held at sequence {}", sequence.get())
        }
        (None, None) => format!("there are no {dataset} of that kind"),
    };
    let mut action = format!("load some: barrow import FILES --dataset {dataset} --source NAME");
    if asked.as_of.is_some() || asked.at_sequence.is_some() {
        let (last, now) = (text(date(last)), text(instant(now)));
        action = format!(
            "barrow health {dataset} --as-of-date {last} --as-of {now}: what is known by now; \
             {action}"
        );
    }
    let told = json!({
        "dimension": Dimension::Completeness.name(),
        "metric_name": "row_count",
        "status": Status::Error.name(),
        "value": 0,
        "thresholds": {},
        "message": message,
        "do": action,
    });
    Reason { status: Status::Error, dimension: Dimension::Completeness, told }
}
