//! `POST /v1/datasets/{dataset}/rows`: rows in. Answers once they are durable and visible.
//!
//! `source` is `http` if the request names none. With `import=true` quality rules flag what they
//! would turn away: the rows are what a file holds. A body above `[engine] batch_bytes_max` is cut
//! into parts `id#1`, `id#2` ..., applied in order, each as a whole or not at all; sending the same
//! request again skips the parts that are there. `atomic=true` forbids it, and `replace=true` too.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::{
    Act, Applied, BATCH_ID_LEN_MAX, Batch, ERRORS_MAX, KnownAt, RowError, SourceFacts,
};
use barrow_engine::dataset::{BARS, QUOTES, Schema, TRADES};
use barrow_engine::{DeadLetter, Reference, Snapshot};
use barrow_types::{DatasetId, Nanos, PriceSide, Source, Step, Symbol};

use super::App;
use super::answer::APPLIED;
use super::answer::Sum;
use super::body::{self, Sent};
use super::covers::{Claims, Covers, tells_all};
use super::dead_letters::REPLAY;
use super::decode::{self, Incoming, Kind, Plan};
use super::error::{Code, Problem};
use super::facts::follow;
use super::openapi::{
    Body as Bodied, FINDS, Format, JUDGES, Operation, Param, READS, Tag, Type, Verb, WRITES,
};
use super::parameters::{ALIGN, BATCH_ID, DATASET, PRICE, SESSION, SOURCE as OF_SOURCE, TIMEFRAME};
use super::params::Params;
use super::parts::{self, Common, PART_LEN};
use super::tables::{self, Target};
use crate::writer::Pending;
use crate::{clock, random};

/// The built-in datasets that take rows.
pub(crate) static DATASETS: [&Schema; 3] = [&BARS, &TRADES, &QUOTES];

/// Source of rows whose sender does not say who it is.
pub(crate) const SOURCE: &str = "http";

/// Longest batch id of a request: the ids of its parts must not be longer than the engine's.
const ID_LEN_MAX: usize = BATCH_ID_LEN_MAX - PART_LEN;

/// Rows in.
pub(crate) static POST: Operation = Operation {
    id: "post_rows",
    verb: Verb::Post,
    tag: Tag::Ingestion,
    summary: "Takes rows in, and answers when they are durable and visible",
    about: "Rows that cannot be stored become dead letters; the answer names the first 100. A \
            body above [engine] batch_bytes_max is cut into parts, each stored as a whole or not \
            at all; the same request again, under the same batch_id, goes on from there.",
    path: &[DATASET],
    query: &[
        TIMEFRAME.meaning("The length of the bars, which only they have and must have"),
        SYMBOL,
        OF_SOURCE.meaning("Who delivers the rows").or("\"http\""),
        PRICE.meaning("The price side of all rows").or("\"trade\""),
        STAMP,
        BATCH_ID,
        POLICY,
        SESSION.meaning("Of which hours of a session the source delivers bars"),
        ALIGN.meaning("Where the source's bars begin"),
        Param::new("atomic", Type::Flag, "Refuse a body that would be cut into parts").or("false"),
        Param::new("import", Type::Flag, "Rules flag what they would turn away").or("false"),
        Param::new(
            "covers",
            Type::Pattern("^[^.]+(\\.[0-9]+[^.]*)?\\.\\.[^.]+(\\.[0-9]+[^.]*)?$"),
            "START..END: the body is all there is in this range",
        ),
        Param::new(
            "covers_symbols",
            Type::List(&Type::Text),
            "Of which symbols. Left out: of those in the body; *: of all of the source",
        ),
        Param::new(
            "replace",
            Type::Flag,
            "With covers: what is stored there and not in the body is taken away",
        )
        .or("false"),
        Param::new("calendar", Type::Text, "The calendar that the instruments of the rows follow"),
    ],
    body: Some(Bodied {
        about: "Rows: symbol (unless the query names it), ts, and the columns of the dataset. \
                Without bytes it may still claim.",
        is_required: false,
        formats: ROWS,
    }),
    answer: APPLIED,
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: (
        "/v1/datasets/bars/rows?timeframe=1m&source=mine",
        r#"[{"symbol": "ALDR", "ts": "2024-11-25T14:30:00Z", "open": 17.1, "high": 17.4, "low": 17,
"close": 17.2, "volume": 900}]"#,
    ),
    ..Operation::PUT
};

/// In which formats rows come.
pub(crate) const ROWS: &[Format] = &[
    Format::json(Type::List(&Type::Map(&Type::Any))),
    Format { media_type: "application/x-ndjson", of: Some(Type::Text) },
    Format { media_type: "text/csv", of: Some(Type::Text) },
    Format { media_type: "application/vnd.apache.arrow.stream", of: None },
    Format { media_type: "application/vnd.apache.parquet", of: None },
];

/// The symbol of all rows.
pub(crate) const SYMBOL: Param =
    Param::new("symbol", Type::Text, "The symbol of all rows, if they name none");
/// Where bars are stamped.
pub(crate) const STAMP: Param =
    Param::new("stamp", Type::Words(|| vec!["start", "end"]), "What ts of bars is").or("\"start\"");
/// Since when rows are known.
pub(crate) const POLICY: Param = Param::new(
    "known_at_policy",
    Type::Pattern("^(ingest|ts_end([ +][0-9]{1,6}[smhd])?)$"),
    "Since when rows are known that do not say it: since they came, or since their end, or since \
     some time after it, such as ts_end+15m",
)
.or("\"ingest\"");

/// What is said of market data alone.
const OF_MARKET: [&str; 5] = ["session", "covers", "covers_symbols", "replace", "calendar"];

struct Request {
    common: Common,
    plan: Plan,
    /// A body without bytes needs none.
    kind: Result<Kind, Problem>,
    atomic: bool,
    covers: Option<Covers>,
    /// The calendar that the instruments of the rows follow.
    calendar: Option<String>,
}

/// The parts of a request, and what they claim.
struct Parts {
    /// What is to be known before the rows are.
    facts: Vec<Batch>,
    batches: Batches,
    claims: Option<Claims>,
    /// Names of columns that were left out.
    ignored: Vec<String>,
}

enum Batches {
    /// The only one there is: it was handed in by the thread that decoded it, so that a row waits
    /// for as few threads to wake up as can be.
    Pending(Pending),
    /// They come one after the other.
    InOrder(Vec<Batch>),
}

/// Takes the rows of a body.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let target = tables::target(&dataset, &app.engine.snapshot())?;
    let params = Params::parse(query.as_deref(), &POST)?;
    let request = Request::read(target, &params, &headers, app.config.http.body_decoded_bytes_max)?;
    app.check_intake()?;
    let http = &app.config.http;
    let time_max = Duration::from_secs(http.body_seconds_max);
    let sent = body::take(&headers, body, http.body_bytes_max, time_max, &app.bodies).await?;
    let batch_id = request.common.id.clone();
    let Parts { facts, batches, claims, ignored } = decode_batches(&app, request, sent).await?;
    for batch in facts {
        apply_one(&app, batch).await?;
    }
    let mut sum = match batches {
        Batches::InOrder(batches) => apply(&app, batch_id, batches).await?,
        Batches::Pending(pending) => {
            let mut sum = Sum::new(batch_id);
            sum.add(answer(&app, pending).await?);
            sum
        }
    };
    sum.ignore(ignored);
    if let Some(claims) = claims {
        sum.ask_claims(claims.without_calendar);
    }
    Ok(sum.into_response())
}

/// What rows of the built-in dataset of that name look like.
///
/// # Errors
/// There is none that takes rows.
pub(crate) fn schema_of(name: &str) -> Result<&'static Schema, Problem> {
    let schema = DATASETS.into_iter().find(|schema| schema.name == name);
    schema.ok_or_else(|| {
        let detail = format!("dataset: there is no {name:?}");
        Problem::new(Code::NotFound, detail).about("dataset")
    })
}

impl Request {
    fn read(
        Target { schema, extra }: Target,
        params: &Params,
        headers: &HeaderMap,
        decoded_bytes_max: u64,
    ) -> Result<Self, Problem> {
        let common = common(schema, params, Act::Insert)?;
        let symbol = params.read("symbol", Symbol::new)?;
        let stamped_at_end = stamped_at_end(params)?;
        let plan = Plan {
            schema,
            step: common.step,
            symbol: symbol.map(|symbol| symbol.as_str().to_owned()),
            stamped_at_end,
            extra,
            decoded_bytes_max,
        };
        let covers = Covers::read(params)?;
        let kind = Kind::of(headers);
        if covers.is_none() {
            kind.clone()?;
        }
        let calendar = params.get("calendar").map(str::to_owned);
        Ok(Self { common, plan, kind, atomic: params.flag("atomic")?, covers, calendar })
    }
}

/// Whether `ts` of bars is their end.
pub(crate) fn stamped_at_end(params: &Params) -> Result<bool, Problem> {
    match params.get("stamp") {
        None | Some("start") => Ok(false),
        Some("end") => Ok(true),
        Some(other) => {
            let fault = format!("'{other}' is neither start nor end");
            Err(Problem::parameter("stamp", fault))
        }
    }
}

/// The parameters that rows coming in and rows being retracted have in common.
pub(crate) fn common(
    schema: &'static Schema,
    params: &Params,
    act: Act,
) -> Result<Common, Problem> {
    if schema.dataset.is_table()
        && let Some(name) = OF_MARKET.iter().find(|name| params.get(name).is_some())
    {
        let fault = format!("is said of market data, and {} is a table: leave it out", schema.name);
        return Err(Problem::parameter(name, fault));
    }
    let step = step(schema, params, "timeframe")?;
    for name in ["stamp", "align"] {
        if step == Step::Tick && params.get(name).is_some() {
            let fault = format!("says how bars lie in time; {} have no length", schema.name);
            return Err(Problem::parameter(name, fault));
        }
    }
    let source = match params.source()? {
        Some(source) => source,
        None => Source::new(SOURCE).expect("invariant: the name is a name"),
    };
    Ok(Common {
        id: batch_id(params)?,
        schema,
        source,
        step,
        side: side(schema, params)?,
        known_at_policy: params.read("known_at_policy", known_at_policy)?.unwrap_or_default(),
        facts: facts(params)?,
        claims: Vec::new(),
        act,
        is_import: params.flag("import")?,
    })
}

/// The length of bars, which only they have and must have.
pub(crate) fn step(schema: &Schema, params: &Params, name: &str) -> Result<Step, Problem> {
    match (schema.dataset == DatasetId::BARS, params.step(name)?) {
        (true, Some(step)) => Ok(step),
        (true, None) => Err(Problem::parameter(name, "is missing: say 1m, 1d ...")),
        (false, None) => Ok(Step::Tick),
        (false, Some(_)) => {
            let fault = format!("is the length of bars; {} have none: leave it out", schema.name);
            Err(Problem::parameter(name, fault))
        }
    }
}

/// The price side of all rows. Trades are of one side, quotes of both.
fn side(schema: &Schema, params: &Params) -> Result<PriceSide, Problem> {
    let side = params.side()?;
    check_sides(schema, side.as_slice())?;
    Ok(side.unwrap_or(PriceSide::Trade))
}

/// Refuses price sides that rows of the dataset cannot be of.
pub(crate) fn check_sides(schema: &Schema, sides: &[PriceSide]) -> Result<(), Problem> {
    let fits = match schema.dataset {
        DatasetId::BARS => true,
        DatasetId::TRADES => sides.iter().all(|side| *side == PriceSide::Trade),
        _ => sides.is_empty(),
    };
    if fits {
        return Ok(());
    }
    let fault = format!("is a side of bars; {} have none: leave it out", schema.name);
    Err(Problem::parameter("price", fault))
}

/// The batch id that the request states, or a new one.
pub(crate) fn batch_id(params: &Params) -> Result<String, Problem> {
    match params.get("batch_id") {
        None => random::batch_id()
            .map_err(|error| Problem::new(Code::Internal, format!("make a batch id: {error}"))),
        Some(id) if id.len() > ID_LEN_MAX => {
            let fault = format!("is longer than {} bytes", ID_LEN_MAX);
            Err(Problem::parameter("batch_id", fault))
        }
        Some(id) if id.starts_with(REPLAY) => {
            let fault = format!("begins with {REPLAY}, as only replays of dead letters do");
            Err(Problem::parameter("batch_id", fault))
        }
        Some(id) if id.chars().any(char::is_control) => {
            Err(Problem::parameter("batch_id", "holds a control character"))
        }
        Some(id) => Ok(id.to_owned()),
    }
}

/// `ingest`, `ts_end` or `ts_end+15m`.
fn known_at_policy(text: &str) -> Result<KnownAt, String> {
    let wrong = || format!("'{text}' is none of ingest, ts_end, ts_end+15m");
    if text == "ingest" {
        return Ok(KnownAt::Ingest);
    }
    let delay = text.strip_prefix("ts_end").ok_or_else(wrong)?;
    if delay.is_empty() {
        return Ok(KnownAt::TsEnd(Nanos::default()));
    }
    // A plus sign that was not escaped arrives as a space.
    let delay = delay.strip_prefix(['+', ' ']).ok_or_else(wrong)?;
    let (digits, unit) = delay.split_at(delay.find(char::is_alphabetic).ok_or_else(wrong)?);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let count: i64 = digits.parse().map_err(|_| wrong())?;
    let nanos = count.checked_mul(seconds).and_then(|seconds| seconds.checked_mul(1_000_000_000));
    match nanos {
        Some(nanos) if count >= 0 => Ok(KnownAt::TsEnd(Nanos::new(nanos))),
        _ => Err(wrong()),
    }
}

/// What the request says about its source; one of the two stated makes the other its default.
fn facts(params: &Params) -> Result<Option<SourceFacts>, Problem> {
    let one_of = |name: &str, values: &[&str]| match params.get(name) {
        None => Ok(None),
        Some(value) if values.contains(&value) => Ok(Some(value.to_owned())),
        Some(value) => {
            let fault = format!("'{value}' is none of {}", values.join(", "));
            Err(Problem::parameter(name, fault))
        }
    };
    let session = one_of("session", &["regular", "extended", "all"])?;
    let align = one_of("align", &["session", "clock"])?;
    if session.is_none() && align.is_none() {
        return Ok(None);
    }
    Ok(Some(SourceFacts {
        session: session.unwrap_or_else(|| "regular".to_owned()),
        align: align.unwrap_or_else(|| "session".to_owned()),
    }))
}

async fn decode_batches(app: &Arc<App>, request: Request, sent: Sent) -> Result<Parts, Problem> {
    let Request { mut common, plan, kind, atomic, covers, calendar } = request;
    let bytes_max = app.config.engine.batch_bytes_max;
    let snapshot = app.engine.snapshot();
    let of_app = Arc::clone(app);
    app.prepare(move || {
        let body = sent.decode(plan.decoded_bytes_max)?;
        let incoming = match covers {
            Some(_) if body.bytes.is_empty() => Incoming::empty(plan.schema),
            _ => decode::decode(kind?, &body.bytes, &plan)?,
        };
        let ignored = incoming.ignored.clone();
        let claims = match &covers {
            Some(covers) => {
                let reference = reference(&snapshot)?;
                let now = clock::now().max(snapshot.now());
                Some(covers.claims(&incoming, (&common.source, common.step), &reference, now)?)
            }
            None => None,
        };
        if let Some(claims) = claims.as_ref().filter(|_| tells_all(&incoming)) {
            common.claims.clone_from(&claims.all);
        }
        let facts = match &calendar {
            Some(name) => follow::batches(name, &incoming, &common, &*reference(&snapshot)?)?,
            None => Vec::new(),
        };
        let too_large = |detail: String| Problem::new(Code::TooLarge, detail).about("body");
        let mut batches = parts::batches(incoming, &common, bytes_max).map_err(too_large)?;
        let whole = match covers {
            Some(Covers { replaces: true, .. }) => Some("replace"),
            _ => atomic.then_some("atomic"),
        };
        if let Some(name) = whole.filter(|_| batches.len() > 1) {
            let detail = format!(
                "the rows take more than one batch of {bytes_max} bytes ([engine] \
                 batch_bytes_max), and {name}=true forbids to cut them"
            );
            return Err(too_large(detail));
        }
        let is_alone = facts.is_empty() && batches.len() == 1;
        let batches = match batches.pop() {
            Some(only) if is_alone => Batches::Pending(hand_in(&of_app, only)?),
            last => {
                batches.extend(last);
                Batches::InOrder(batches)
            }
        };
        Ok(Parts { facts, batches, claims, ignored })
    })
    .await?
}

/// The facts that are visible now.
pub(crate) fn reference(snapshot: &Snapshot) -> Result<Arc<Reference>, Problem> {
    Reference::at(snapshot, None, None).map_err(|error| Problem::read(&error))
}

/// Applies the parts of a request in order.
///
/// # Errors
/// The first part that fails ends it; the problem says how many were stored.
pub(crate) async fn apply(
    app: &Arc<App>,
    batch_id: String,
    batches: Vec<Batch>,
) -> Result<Sum, Problem> {
    let mut sum = Sum::new(batch_id);
    for batch in batches {
        match apply_one(app, batch).await {
            Ok(applied) => sum.add(applied),
            Err(problem) => return Err(sum.interrupted(problem)),
        }
    }
    Ok(sum)
}

async fn apply_one(app: &Arc<App>, batch: Batch) -> Result<Applied, Problem> {
    let of_app = Arc::clone(app);
    let pending = app.prepare(move || hand_in(&of_app, batch)).await??;
    answer(app, pending).await
}

/// The answer to a batch: that of the first time, if it was there before.
async fn answer(app: &Arc<App>, pending: Pending) -> Result<Applied, Problem> {
    let mut applied = pending.answer().await?;
    if applied.repeated && applied.counts.rejected > 0 {
        let snapshot = app.engine.snapshot();
        let (sequence, now) = (applied.sequence, applied.now);
        let read = move || snapshot.first_letters_of(sequence, now, ERRORS_MAX);
        let letters = app.query(read).await?.map_err(|error| Problem::read(&error))?;
        let error = |DeadLetter { row, reason, detail, .. }| RowError { row, reason, detail };
        applied.errors = letters.into_iter().map(error).collect();
    }
    Ok(applied)
}

/// Makes a batch ready and hands it in. Takes its time, but waits for nobody.
fn hand_in(app: &App, batch: Batch) -> Result<Pending, Problem> {
    let prepared = barrow_engine::prepare(batch, &app.engine.snapshot(), clock::now());
    let prepared = prepared.map_err(|error| Problem::write(&error))?;
    Ok(app.intake.hand_in(prepared)?)
}

#[cfg(test)]
mod tests {
    use barrow_engine::dataset::tables::Extra;

    use super::*;

    #[test]
    fn policies_of_knowledge_are_read() {
        let minutes = |count: i64| KnownAt::TsEnd(Nanos::from_seconds(count * 60));
        for (text, policy) in [
            ("ingest", KnownAt::Ingest),
            ("ts_end", minutes(0)),
            ("ts_end+15m", minutes(15)),
            ("ts_end 15m", minutes(15)),
            ("ts_end+1d", minutes(1_440)),
        ] {
            assert_eq!(known_at_policy(text), Ok(policy), "{text}");
        }
        for text in ["now", "ts_end-15m", "ts_end+", "ts_end+15", "ts_end+x", "ts_end+9999999999d"]
        {
            assert!(known_at_policy(text).is_err(), "{text}");
        }
    }

    fn field(schema: &'static Schema, query: &str) -> Option<String> {
        let read = || {
            let params = Params::parse(Some(query), &POST)?;
            let mut headers = HeaderMap::new();
            headers.insert("content-type", "text/csv".parse().unwrap());
            let target = Target { schema, extra: Extra::Reject };
            Request::read(target, &params, &headers, 1 << 20)
        };
        read().err().and_then(|problem| problem.field)
    }

    #[test]
    fn trades_and_quotes_have_no_length_and_quotes_no_side() {
        for (schema, query, name) in [
            (&TRADES, "", None),
            (&TRADES, "price=trade", None),
            (&TRADES, "price=bid", Some("price")),
            (&TRADES, "timeframe=1m", Some("timeframe")),
            (&TRADES, "stamp=end", Some("stamp")),
            (&QUOTES, "known_at_policy=ts_end", None),
            (&QUOTES, "price=trade", Some("price")),
            (&QUOTES, "timeframe=1m", Some("timeframe")),
            (&QUOTES, "align=clock", Some("align")),
        ] {
            assert_eq!(field(schema, query).as_deref(), name, "{} {query}", schema.name);
        }
    }

    #[test]
    fn faults_name_their_parameter() {
        for (query, name) in [
            ("symbol=A", "timeframe"),
            ("timeframe=1m&symbol=..%2Fx", "symbol"),
            ("timeframe=1m&symbol=A%00", "symbol"),
            ("timeframe=1m&source=a%0Ab", "source"),
            ("timeframe=1m&stamp=middle", "stamp"),
            ("timeframe=1m&price=last", "price"),
            ("timeframe=1m&session=night", "session"),
            ("timeframe=1m&align=left", "align"),
            ("timeframe=1m&atomic=1", "atomic"),
            ("timeframe=1m&known_at_policy=x", "known_at_policy"),
            ("timeframe=1m&batch_id=a%07", "batch_id"),
            ("timeframe=1m&batch_id=replay:1-0", "batch_id"),
            ("timeframe=1m&covers=a..b", "covers"),
            ("timeframe=1m&covers_symbols=A", "covers_symbols"),
            ("timeframe=1m&colour=red", "colour"),
        ] {
            assert_eq!(field(&BARS, query).as_deref(), Some(name), "{query}");
        }
        assert_eq!(field(&BARS, "timeframe=1m&session=all"), None);
        let long = format!("timeframe=1m&batch_id={}", "x".repeat(BATCH_ID_LEN_MAX));
        assert_eq!(field(&BARS, &long).as_deref(), Some("batch_id"));
    }
}
