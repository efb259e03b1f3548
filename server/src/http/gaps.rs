//! `GET /v1/gaps`: ranges of expected slots that are empty, each with one reason.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::Response;
use barrow_engine::gaps::Reason;
use barrow_engine::{Content, Error, SlotSpan, Snapshot};
use barrow_types::Timestamp;
use serde_json::{Value, json};

use super::App;
use super::curated::Slotted;
use super::encode::Format;
use super::error::{Code, Problem};
use super::openapi::{Answer, Columns, FINDS, Operation, Param, READS, Tag, Type};
use super::parameters::{
    ALIGN, AS_OF, AT_SEQUENCE, END, FALLBACK, FORMAT, FREQUENCY, PRICE, SESSION, SOURCE, START,
    SYMBOLS, SYMBOLS_ASOF,
};
use super::params::Params;
use super::table;
use crate::clock;

/// Which there are.
pub(crate) static GET: Operation = Operation {
    id: "get_gaps",
    tag: Tag::Quality,
    summary: "Ranges of expected slots that are empty, each with one reason",
    query: &[
        SYMBOLS.required(),
        START,
        END,
        FREQUENCY.required(),
        PRICE.or("\"trade\""),
        SOURCE,
        SESSION.or("\"regular\""),
        ALIGN,
        FALLBACK,
        SYMBOLS_ASOF,
        AS_OF,
        AT_SEQUENCE,
        Param::new("reason", Type::List(&REASONS), "Only gaps of these reasons"),
        FORMAT,
    ],
    answer: Answer::Table(COLUMNS),
    problems: &[READS, FINDS],
    example: ("/v1/gaps?symbols=ALDR&start=2024-11-25&end=2024-11-30&frequency=1m", ""),
    ..Operation::GET
};

const REASONS: Type = Type::Words(|| Reason::ALL.map(Reason::name).to_vec());

const COLUMNS: Columns = &[
    ("symbol", "text"),
    ("start", "timestamp"),
    ("end", "timestamp"),
    ("reason", "text"),
    ("slots", "i64"),
    ("source", "text"),
    ("first_session", "text"),
    ("last_session", "text"),
];

/// Ranges in an answer; of more the question is too wide.
const RANGES_MAX: usize = 200_000;

/// A range of empty slots with one reason and one source.
struct Gap {
    start: i64,
    end: i64,
    reason: Reason,
    slots: u64,
    candidate: Option<usize>,
    sessions: (i32, i32),
}

impl Gap {
    /// Takes in the slots of a span if they go on with it.
    fn extend(&mut self, span: &SlotSpan, reason: Reason) -> bool {
        if self.reason != reason || self.candidate != span.candidate {
            return false;
        }
        self.end = span.stretch.end_of(span.first + span.count - 1);
        self.slots += u64::from(span.count);
        self.sessions.1 = span.stretch.date;
        true
    }
}

/// Answers the gaps.
pub(crate) async fn get(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &GET)?;
    let asked = Slotted::read(&params, clock::now())?;
    let reasons = params.read("reason", parse_reasons)?;
    let format = Format::negotiate(&params, &headers)?;
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || rows(asked, &reasons, &snapshot)).await??;
    table::table(format, COLUMNS, &rows)
}

fn parse_reasons(list: &str) -> Result<Vec<Reason>, String> {
    let parse = |name: &str| {
        let known = Reason::ALL.into_iter().find(|reason| reason.name() == name);
        known.ok_or_else(|| {
            let names = Reason::ALL.map(Reason::name);
            format!("'{name}' is not one of {}", names.join(", "))
        })
    };
    list.split(',').map(parse).collect()
}

fn rows(
    mut asked: Slotted,
    reasons: &Option<Vec<Reason>>,
    snapshot: &Snapshot,
) -> Result<Vec<Value>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    asked.fix_due(snapshot).map_err(failed)?;
    let resolved = asked.resolve(snapshot).map_err(failed)?;
    let (mut rows, mut opened) = (Vec::new(), Vec::new());
    for (place, symbol) in asked.symbols.iter().enumerate() {
        let scan = asked.scan(&resolved, place, Vec::new(), true);
        let mut curated = snapshot.gaps(scan).map_err(failed)?;
        let sources: Vec<String> =
            curated.candidates().iter().map(|candidate| candidate.source.to_string()).collect();
        opened.push(!sources.is_empty());
        let mut gaps: Vec<Gap> = Vec::new();
        // Whether the last slot so far is that of the last gap.
        let mut is_open = false;
        while let Some(piece) = curated.next().map_err(failed)? {
            for span in &piece.spans {
                is_open = match span.content {
                    Content::Rows(_) => false,
                    Content::Empty(reason) => {
                        let last = gaps.last_mut().filter(|_| is_open);
                        if !last.is_some_and(|last| last.extend(span, reason)) {
                            gaps.push(gap(span, reason));
                        }
                        true
                    }
                };
            }
            if rows.len() + gaps.len() > RANGES_MAX {
                let detail = format!(
                    "there are more than {RANGES_MAX} gaps; ask for fewer symbols or a shorter \
                     range"
                );
                return Err(Problem::new(Code::InvalidParameter, detail).about("symbols"));
            }
        }
        let wanted = |gap: &&Gap| reasons.as_ref().is_none_or(|all| all.contains(&gap.reason));
        rows.extend(gaps.iter().filter(wanted).map(|gap| show(symbol.as_str(), gap, &sources)));
    }
    resolved.missing(&asked, &opened)?;
    Ok(rows)
}

fn gap(span: &SlotSpan, reason: Reason) -> Gap {
    Gap {
        start: span.stretch.start_of(span.first),
        end: span.stretch.end_of(span.first + span.count - 1),
        reason,
        slots: u64::from(span.count),
        candidate: span.candidate,
        sessions: (span.stretch.date, span.stretch.date),
    }
}

fn show(symbol: &str, gap: &Gap, sources: &[String]) -> Value {
    json!({
        "symbol": symbol,
        "start": table::instant(Timestamp::from_nanos(gap.start)),
        "end": table::instant(Timestamp::from_nanos(gap.end)),
        "reason": gap.reason.name(),
        "slots": gap.slots,
        "source": gap.candidate.map(|candidate| sources[candidate].as_str()),
        "first_session": table::date(gap.sessions.0),
        "last_session": table::date(gap.sessions.1),
    })
}
