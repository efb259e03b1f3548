//! `GET,PUT /v1/sources/{dataset}`: whose rows the curated layer of a dataset takes, and what is to
//! be known of each source.
//!
//! A PUT states what it names; null puts a setting back to its default.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::dataset::facts::ALWAYS;
use barrow_engine::{Conditions, Fallback, Reference};
use barrow_types::{Align, DatasetId, Sequence, Source};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::error::Problem;
use super::super::openapi::{
    Answer, FINDS, Field, Format as Media, JUDGES, Operation, READS, Shape, Tag, Type, WRITES,
};
use super::super::parameters::{ALIGNS, AS_OF, AT_SEQUENCE, MARKET_DATASET};
use super::super::params::Params;
use super::super::time::parse_parameter;
use super::json::{Fields, fault};
use super::stated::{Cell, Fact, Group, Stated, state};
use super::{KNOWN_AT, STATING, dataset_of, stating};

/// Settings in.
pub(crate) static PUT: Operation = Operation {
    id: "put_source_settings",
    summary: "States whose rows the curated layer of a dataset takes, and what sources are like",
    about: "What is not named stays as it is; null puts a setting back to its default.",
    path: &[MARKET_DATASET],
    body: stating("The settings", &[Media::json(Type::Object(&SETTINGS))]),
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: ("/v1/sources/bars", r#"{"sources": ["sample"], "publish_delay": {"sample": "2s"}}"#),
    ..STATING
};

/// Settings out.
pub(crate) static SHOW: Operation = Operation {
    id: "show_source_settings",
    tag: Tag::Reference,
    summary: "Shows whose rows the curated layer of a dataset takes, and what sources are like",
    path: &[MARKET_DATASET],
    query: &[AS_OF, AT_SEQUENCE],
    answer: Answer::Json(&SHOWN),
    problems: &[READS, FINDS],
    example: ("/v1/sources/bars", ""),
    ..Operation::GET
};

const ADJUSTED: Type = Type::Words(|| ADJUSTMENTS.to_vec());
const WAYS: Type = Type::Words(|| FALLBACKS.to_vec());

static SETTINGS: Shape = Shape {
    name: "SourceSettings",
    about: "Settings of the sources of a dataset",
    fields: &[
        Field::maybe("sources", Type::List(&Type::Text), "Their order: the first has its way"),
        Field::maybe("fallback", WAYS, "Where the first source has nothing"),
        Field::maybe(
            "publish_delay",
            Type::Map(&Type::OrNull(&Type::Either(&[Type::Whole, Type::Text]))),
            "By source how long after its end a row can be had: nanoseconds, or such as 15m",
        ),
        Field::maybe(
            "adjustment",
            Type::Map(&Type::OrNull(&ADJUSTED)),
            "By source which corporate actions are in its prices already",
        ),
        Field::maybe(
            "alignment",
            Type::Map(&Type::OrNull(&ALIGNS)),
            "Of bars: by source where they begin",
        ),
        Field::maybe(
            "conditions",
            Type::Map(&Type::OrNull(&Type::Text)),
            "Of trades: by source how conditions are read, see docs/AGGREGATES.md",
        ),
        KNOWN_AT,
    ],
};

static SHOWN: Shape = Shape {
    name: "SourceSettingsShown",
    about: "",
    fields: &[
        Field::new("dataset", Type::Text, ""),
        Field::new("sources", Type::List(&Type::Text), ""),
        Field::new("fallback", WAYS, ""),
        Field::new("publish_delay", Type::Map(&Type::Whole), "By source, in nanoseconds"),
        Field::new("adjustment", Type::Map(&ADJUSTED), "By source"),
        Field::maybe("alignment", Type::Map(&ALIGNS), "Of bars, by source"),
        Field::maybe("conditions", Type::Map(&Type::Text), "Of trades, by source"),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

const FALLBACKS: [&str; 3] = ["none", "session", "slot"];
const ADJUSTMENTS: [&str; 3] = ["none", "splits", "all"];

/// Longest publish delay: 400 days.
const DELAY_NANOS_MAX: i64 = 400 * barrow_types::DAY_NANOS;

/// How the keys of settings begin that are of one source.
const PUBLISH_DELAY: &str = "publish_delay:";
const ADJUSTMENT: &str = "adjustment:";
const ALIGNMENT: &str = "alignment:";
const CONDITIONS: &str = "conditions:";

/// States settings.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let schema = dataset_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &PUT)?;
    let sum = state(&app, &params, &headers, body, move |context, value| {
        let fields = Fields::of_shape(value, "", &SETTINGS)?;
        let known_at = fields.known_at(context.now)?;
        let mut stated = Stated::default();
        for (key, value) in read(&fields, schema.dataset)? {
            let values = vec![Cell::Text(key), value];
            let fact = Fact { subject: schema.name.to_owned(), ts: ALWAYS, known_at, values };
            stated.add(Group::of(DatasetId::SETTINGS), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// Keys and values of a dataset's settings.
fn read(fields: &Fields<'_>, dataset: DatasetId) -> Result<Vec<(String, Cell)>, Problem> {
    let mut settings = Vec::new();
    if fields.has("sources") {
        let mut names: Vec<&str> = Vec::new();
        for (place, value) in fields.list("sources")? {
            let name = super::json::text(value).map_err(|what| fault(&place, what))?;
            Source::new(name).map_err(|what| fault(&place, what))?;
            if name.contains(char::is_whitespace) {
                let what = "holds a space, and so cannot stand in the order of sources";
                return Err(fault(&place, what));
            }
            if names.contains(&name) {
                return Err(fault(&place, format!("'{name}' is there twice")));
            }
            names.push(name);
        }
        let names = (!names.is_empty()).then(|| names.join(" "));
        settings.push(("sources".to_owned(), Cell::from(names.as_deref())));
    }
    if fields.has("fallback") {
        let fallback = fields.word("fallback", &FALLBACKS)?;
        settings.push(("fallback".to_owned(), Cell::from(fallback)));
    }
    for (source, place, value) in fields.members("publish_delay")? {
        Source::new(source).map_err(|what| fault(&place, format!("the source {what}")))?;
        let delay = delay(value).map_err(|what| fault(&place, what))?;
        let delay = delay.map(|nanos| nanos.to_string());
        settings.push((format!("{PUBLISH_DELAY}{source}"), Cell::from(delay.as_deref())));
    }
    for (source, place, value) in fields.members("adjustment")? {
        Source::new(source).map_err(|what| fault(&place, format!("the source {what}")))?;
        let carried = match value {
            Value::Null => None,
            value => match value.as_str().filter(|word| ADJUSTMENTS.contains(word)) {
                Some(word) => Some(word),
                None => {
                    let what = format!("{value} is none of {}", ADJUSTMENTS.join(", "));
                    return Err(fault(&place, what));
                }
            },
        };
        settings.push((format!("{ADJUSTMENT}{source}"), Cell::from(carried)));
    }
    for (name, prefix, of) in
        [("alignment", ALIGNMENT, DatasetId::BARS), ("conditions", CONDITIONS, DatasetId::TRADES)]
    {
        let members = fields.members(name)?;
        if dataset != of && !members.is_empty() {
            let of = if of == DatasetId::BARS { "bars" } else { "trades" };
            return Err(fault(name, format!("is a setting of {of} only")));
        }
        for (source, place, value) in members {
            Source::new(source).map_err(|what| fault(&place, format!("the source {what}")))?;
            let stated = match value {
                Value::Null => None,
                value => {
                    let text = super::json::text(value).map_err(|what| fault(&place, what))?;
                    check_text(of, text).map_err(|what| fault(&place, what))?;
                    Some(text)
                }
            };
            settings.push((format!("{prefix}{source}"), Cell::from(stated)));
        }
    }
    Ok(settings)
}

/// Whether a text is an alignment (of bars), or says how conditions are read (of trades).
fn check_text(dataset: DatasetId, text: &str) -> Result<(), String> {
    if dataset == DatasetId::TRADES {
        return Conditions::parse(text).map(|_| ());
    }
    let all = Align::ALL.map(Align::name).join(", ");
    Align::parse(text).map(|_| ()).ok_or_else(|| format!("'{text}' is none of {all}"))
}

/// Nanoseconds, or a number with a unit: `15m`, `500ms`.
fn delay(value: &Value) -> Result<Option<i64>, String> {
    let wrong = || format!("{value} is no delay: write nanoseconds, or 500ms, 2s, 15m, 1h, 1d");
    let nanos = match value {
        Value::Null => return Ok(None),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let (digits, unit) = text.split_at(unit);
            let unit = match unit {
                "ns" => 1,
                "us" => 1_000,
                "ms" => 1_000_000,
                "s" => 1_000_000_000,
                "m" => 60_000_000_000,
                "h" => 3_600_000_000_000,
                "d" => barrow_types::DAY_NANOS,
                _ => return Err(wrong()),
            };
            digits.parse().ok().and_then(|count: i64| count.checked_mul(unit))
        }
        _ => None,
    };
    match nanos {
        Some(nanos) if (0..=DELAY_NANOS_MAX).contains(&nanos) => Ok(Some(nanos)),
        Some(_) => Err("is not between 0 and 400 days".to_owned()),
        None => Err(wrong()),
    }
}

/// Shows the settings of a dataset.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let schema = dataset_of(&dataset)?;
    let params = Params::parse(query.as_deref(), &SHOW)?;
    let as_of = params.read("as_of", parse_parameter)?;
    let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
    let snapshot = app.engine.snapshot();
    let body = app.query(move || {
        let reference = Reference::at(&snapshot, as_of, at_sequence);
        let reference = reference.map_err(|error| Problem::read(&error))?;
        let mut body = shown(&reference, schema.name);
        body["sequence"] = snapshot.sequence().get().into();
        Ok::<_, Problem>(body)
    });
    Ok(Json(body.await??).into_response())
}

/// The settings of a dataset as a PUT would state them, the defaults among them.
fn shown(reference: &Reference, dataset: &str) -> Value {
    let (mut delays, mut adjustments) = (Map::new(), Map::new());
    let (mut alignments, mut conditions) = (Map::new(), Map::new());
    for (key, value) in reference.settings(dataset) {
        if let Some(source) = key.strip_prefix(PUBLISH_DELAY) {
            delays.insert(source.to_owned(), value.parse::<i64>().unwrap_or_default().into());
        } else if let Some(source) = key.strip_prefix(ADJUSTMENT) {
            adjustments.insert(source.to_owned(), value.into());
        } else if let Some(source) = key.strip_prefix(ALIGNMENT) {
            alignments.insert(source.to_owned(), value.into());
        } else if let Some(source) = key.strip_prefix(CONDITIONS) {
            conditions.insert(source.to_owned(), value.into());
        }
    }
    let sources = reference.setting(dataset, "sources").unwrap_or_default();
    let mut shown = json!({
        "dataset": dataset,
        "sources": sources.split_whitespace().collect::<Vec<_>>(),
        "fallback": fallback_of(reference, dataset),
        "publish_delay": delays,
        "adjustment": adjustments,
    });
    match dataset {
        "bars" => shown["alignment"] = alignments.into(),
        "trades" => shown["conditions"] = conditions.into(),
        _ => {}
    }
    shown
}

fn fallback_of(reference: &Reference, dataset: &str) -> &'static str {
    let stated = reference.setting(dataset, "fallback").and_then(Fallback::parse);
    stated.unwrap_or_default().name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_are_read_with_their_units() {
        for (value, nanos) in [
            (json!(1_500), 1_500),
            (json!("500ms"), 500_000_000),
            (json!("2s"), 2_000_000_000),
            (json!("15m"), 900_000_000_000),
            (json!("1d"), 86_400_000_000_000),
            (json!("0s"), 0),
        ] {
            assert_eq!(delay(&value), Ok(Some(nanos)), "{value}");
        }
        assert_eq!(delay(&Value::Null), Ok(None));
        for value in [json!(-1), json!("15"), json!("x"), json!("401d"), json!(true), json!("1w")] {
            assert!(delay(&value).is_err(), "{value}");
        }
    }

    #[test]
    fn each_setting_has_its_key_and_its_faults_their_place() {
        let of = |dataset, value: Value| read(&Fields::of_shape(&value, "", &SETTINGS)?, dataset);
        let settings = |value: Value| of(DatasetId::BARS, value);
        let value = json!({
            "sources": ["ib", "lean"],
            "fallback": null,
            "publish_delay": {"lean": "1s"},
            "adjustment": {"ib": "splits", "lean": null},
            "alignment": {"ib": "clock"},
        });
        let expected = [
            ("sources", Cell::from("ib lean")),
            ("fallback", Cell::Null),
            ("publish_delay:lean", Cell::from("1000000000")),
            ("adjustment:ib", Cell::from("splits")),
            ("adjustment:lean", Cell::Null),
            ("alignment:ib", Cell::from("clock")),
        ];
        let expected = expected.map(|(key, value)| (key.to_owned(), value));
        assert_eq!(settings(value).unwrap(), expected);
        for (value, field) in [
            (json!({"sources": ["ib", "ib"]}), "sources[1]"),
            (json!({"sources": ["i b"]}), "sources[0]"),
            (json!({"sources": "ib"}), "sources"),
            (json!({"fallback": "day"}), "fallback"),
            (json!({"publish_delay": {"lean": "x"}}), "publish_delay.lean"),
            (json!({"publish_delay": {"a,b": 1}}), "publish_delay.a,b"),
            (json!({"adjustment": {"lean": "full"}}), "adjustment.lean"),
            (json!({"alignment": {"lean": "left"}}), "alignment.lean"),
            (json!({"conditions": {"lean": "lean"}}), "conditions"),
            (json!({"colour": 1}), "colour"),
        ] {
            let problem = settings(value.clone()).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{value}");
        }
        let conditions = json!({"conditions": {"tape": "us T=none"}});
        let expected = ("conditions:tape".to_owned(), Cell::from("us T=none"));
        assert_eq!(of(DatasetId::TRADES, conditions).unwrap(), [expected]);
        let wrong = of(DatasetId::TRADES, json!({"conditions": {"tape": "us T"}})).unwrap_err();
        assert_eq!(wrong.field.as_deref(), Some("conditions.tape"));
        let wrong = of(DatasetId::TRADES, json!({"alignment": {"tape": "clock"}})).unwrap_err();
        assert_eq!(wrong.field.as_deref(), Some("alignment"));
    }
}
