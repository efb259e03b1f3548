//! `GET,POST /v1/quality/verdicts`: a person quarantines a row, or releases it from a rule.
//!
//! A verdict is about the row that is visible when it comes in: a correction of that row is judged
//! anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::KnownAt;
use barrow_engine::quality::{MANUAL, RULES, RuleId};
use barrow_engine::{Revisions, Scan, Snapshot};
use barrow_types::{DatasetId, PriceSide, Sequence, Source, Step, Symbol, Timestamp};

use super::super::App;
use super::super::encode::Format;
use super::super::error::{Code, Problem};
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, JUDGES, Operation, READS, Shape, Tag, Type,
    Verb, WRITES,
};
use super::super::parameters::{
    AS_OF, AT_SEQUENCE, END, FORMAT, PRICE, SIDES, SOURCE, START, STEPS, SYMBOLS, TIMEFRAME,
};
use super::super::params::Params;
use super::super::table::{instant, table};
use super::super::time::{When, parse_parameter};
use super::super::when::since;
use super::claims::of_series;
use super::json::Fields;
use super::seen::Wanted;
use super::stated::{Cell, Fact, Group, Stated, state};
use super::{STATING, each, stating};

/// Verdicts in.
pub(crate) static POST: Operation = Operation {
    id: "post_verdicts",
    verb: Verb::Post,
    tag: Tag::Quality,
    summary: "Quarantines bars, or releases them from a rule",
    about: "A verdict is about the row that is visible when it comes in.",
    body: stating("Verdicts, or one", &[Media::json(VERDICTS)]),
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: (
        "/v1/quality/verdicts",
        r#"{"symbol": "ALDR", "source": "sample", "timeframe": "1m", "ts": "2024-11-25T14:30:00Z",
"act": "quarantine", "note": "a bad print"}"#,
    ),
    ..STATING
};

/// Verdicts out.
pub(crate) static LIST: Operation = Operation {
    id: "list_verdicts",
    tag: Tag::Quality,
    summary: "Lists verdicts",
    query: &[
        FORMAT,
        SYMBOLS,
        SOURCE,
        TIMEFRAME,
        PRICE,
        START.meaning("Only about rows from then on"),
        END.meaning("Only about rows before then"),
        AS_OF,
        AT_SEQUENCE,
    ],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

const VERDICTS: Type = Type::Either(&[Type::List(&Type::Object(&VERDICT)), Type::Object(&VERDICT)]);

static VERDICT: Shape = Shape {
    name: "Verdict",
    about: "",
    fields: &[
        Field::new("symbol", Type::Text, "As the source calls it"),
        Field::new("source", Type::Text, ""),
        Field::new("timeframe", STEPS, ""),
        Field::maybe("price", SIDES, "Left out: trade"),
        Field::new("ts", Type::When, "When the bar begins; a date for bars of a day and longer"),
        Field::maybe("rule", Type::Text, "The rule that it is released from. Left out: manual"),
        Field::new("act", Type::Words(|| ACTS.to_vec()), "Rules quarantine by themselves"),
        Field::maybe("note", Type::Text, "For persons"),
    ],
};

const COLUMNS: Columns = &[
    ("symbol", "text"),
    ("source", "text"),
    ("timeframe", "text"),
    ("price", "text"),
    ("ts", "timestamp"),
    ("rule", "text"),
    ("act", "text"),
    ("of_sequence", "i64"),
    ("note", "text"),
    ("known_at", "timestamp"),
    ("sequence", "i64"),
];

const ACTS: [&str; 2] = ["quarantine", "release"];

/// Takes verdicts.
pub(crate) async fn post(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &POST)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        let (mut stated, mut seen) = (Stated::default(), BTreeSet::new());
        for (place, value) in each(value) {
            let fields = Fields::of_shape(value, place, &VERDICT)?;
            let row = Row::read(&fields)?;
            let act = fields.required("act", |fields, name| fields.word(name, &ACTS))?;
            let rule = fields.text("rule")?.unwrap_or(MANUAL);
            if rule != MANUAL && RuleId::parse(rule).is_none() {
                let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
                let what = format!("'{rule}' is neither manual nor one of {}", names.join(", "));
                return Err(fields.fault("rule", what));
            }
            if rule != MANUAL && act == "quarantine" {
                let what = "a rule quarantines by itself: leave rule out to quarantine by hand";
                return Err(fields.fault("act", what));
            }
            if !seen.insert((row.clone(), rule)) {
                let what = "is there twice for the same row and rule: say one verdict";
                return Err(fields.fault("ts", what));
            }
            let sequence = row.sequence(&context.snapshot)?.ok_or_else(|| {
                let detail = format!(
                    "{}: {} of {} has no visible {} bar then",
                    fields.named("ts"),
                    row.symbol,
                    row.source,
                    row.step.name()
                );
                Problem::new(Code::NotFound, detail).about(fields.named("ts"))
            })?;
            let values = vec![
                Cell::from(rule),
                Cell::from(act),
                Cell::Long(sequence.get().cast_signed()),
                Cell::from(fields.text("note")?),
            ];
            let group = Group {
                step: row.step,
                side: row.side,
                // It is about a row as it is today: known since today.
                policy: KnownAt::Ingest,
                ..Group::from_source(DatasetId::VERDICTS, row.source.as_str())
            };
            let subject = row.symbol.to_string();
            let fact = Fact { subject, ts: row.ts, known_at: None, values };
            stated.add(group, fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// Which row a verdict is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    symbol: Symbol,
    source: Source,
    step: Step,
    side: PriceSide,
    ts: Timestamp,
}

impl Row {
    fn read(fields: &Fields<'_>) -> Result<Self, Problem> {
        let step = fields.required("timeframe", Fields::text)?;
        let step = Step::parse(step).filter(|step| *step != Step::Tick).ok_or_else(|| {
            fields.fault("timeframe", "is not the length of bars: say 1m, 1d ...")
        })?;
        let side = fields.text("price")?.map(|name| {
            let side = PriceSide::parse(name);
            side.ok_or_else(|| fields.fault("price", "is not one of trade, bid, ask, mid"))
        });
        let ts = match fields.required("ts", Fields::when)? {
            When::Instant(ts) => ts,
            date @ When::Date(_) if step.is_dated() => since(date, None),
            When::Date(_) => {
                return Err(fields.fault("ts", "is a date: write a time with an offset"));
            }
        };
        Ok(Self {
            symbol: fields.required("symbol", Fields::symbol)?,
            source: fields.required("source", Fields::source)?,
            step,
            side: side.transpose()?.unwrap_or(PriceSide::Trade),
            ts,
        })
    }

    /// The record that brought the visible row.
    fn sequence(&self, snapshot: &Snapshot) -> Result<Option<Sequence>, Problem> {
        let failed = |error| Problem::read(&error);
        let of_symbol = snapshot.series(DatasetId::BARS, Some(self.symbol.as_str()));
        let found = of_symbol.into_iter().find(|(_, key)| {
            key.source == self.source && (key.step, key.side) == (self.step, self.side)
        });
        let Some((series, _)) = found else { return Ok(None) };
        let scan = Scan {
            series,
            start: self.ts,
            end: Timestamp::from_nanos(self.ts.nanos().saturating_add(1)),
            columns: Vec::new(),
            as_of: None,
            at_sequence: None,
            revisions: Revisions::Visible,
        };
        let mut scanner = snapshot.scan(scan).map_err(failed)?;
        let rows = scanner.next().map_err(failed)?;
        Ok(rows.and_then(|rows| rows.sequence.first().copied().map(Sequence::new)))
    }
}

/// Lists verdicts.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let wanted = Wanted::read(&params)?;
    let (step, side) = (params.step("timeframe")?, params.side()?);
    let start = params.read("start", parse_parameter)?.unwrap_or(Timestamp::MIN);
    let end = params.read("end", parse_parameter)?.unwrap_or(Timestamp::MAX);
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        wanted.facts(&snapshot, DatasetId::VERDICTS, |seen| {
            let is_wanted = step.is_none_or(|step| step == seen.key.step)
                && side.is_none_or(|side| side == seen.key.side)
                && (start..end).contains(&seen.ts());
            is_wanted.then(|| {
                let mut row = of_series(seen);
                row["ts"] = instant(seen.ts());
                row["rule"] = seen.text(0).into();
                row["act"] = seen.text(1).into();
                row["of_sequence"] = seen.long(2).into();
                row["note"] = seen.text(3).into();
                row
            })
        })
    });
    let rows = rows.await??;
    table(format, COLUMNS, &rows)
}
