//! `GET,PUT /v1/rules[/{dataset}]`: how quality rules are applied, as data.
//!
//! A PUT holds an object by rule; what such an object leaves out is the rule's default, and null in
//! its place puts the whole rule back to it. Rules that are not named stay as they are. A GET lists
//! every rule as it is applied.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::dataset::Schema;
use barrow_engine::dataset::facts::ALWAYS;
use barrow_engine::quality::{Action, RuleSet, Setting, Severity, validate};
use barrow_engine::{Error, Reference};
use barrow_types::{DatasetId, Sequence};
use serde_json::{Value, json};

use super::super::App;
use super::super::encode::Format;
use super::super::error::Problem;
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, JUDGES, Operation, READS, Shape, Tag, Type,
    WRITES,
};
use super::super::parameters::{AS_OF, AT_SEQUENCE, FORMAT, MARKET_DATASET};
use super::super::params::Params;
use super::super::table::table;
use super::super::time::parse_parameter;
use super::json::{Fields, fault};
use super::stated::{Cell, Fact, Group, Stated, state};
use super::{DATASETS, KNOWN_AT, STATING, dataset_of, stating};

/// Rules in.
pub(crate) static PUT: Operation = Operation {
    id: "put_rules",
    tag: Tag::Quality,
    summary: "States how quality rules of a dataset are applied",
    about: "Rules that are not named stay as they are; null puts a rule back to its default.",
    path: &[MARKET_DATASET],
    body: stating("Rules by name", &[Media::json(Type::Map(&Type::OrNull(&Type::Object(&RULE))))]),
    problems: &[READS, WRITES, FINDS, JUDGES],
    example: ("/v1/rules/bars", r#"{"spike": {"enabled": true, "action": "flag"}}"#),
    ..STATING
};

/// Rules of all.
pub(crate) static LIST_ALL: Operation = LIST;

const LIST: Operation = Operation {
    id: "list_rules",
    tag: Tag::Quality,
    summary: "Lists the quality rules of all datasets as they are applied",
    query: &[FORMAT, AS_OF, AT_SEQUENCE],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

/// Rules of one.
pub(crate) static LIST_OF: Operation = Operation {
    id: "list_rules_of_dataset",
    summary: "Lists the quality rules of a dataset as they are applied",
    path: &[MARKET_DATASET],
    problems: &[READS, FINDS],
    example: ("/v1/rules/bars", ""),
    ..LIST
};

const COLUMNS: Columns = &[
    ("dataset", "text"),
    ("rule", "text"),
    ("enabled", "bool"),
    ("severity", "text"),
    ("action", "text"),
    ("thresholds", "text"),
    ("stated", "bool"),
    ("meaning", "text"),
];

static RULE: Shape = Shape {
    name: "RuleSetting",
    about: "How a rule is applied: what is left out is its default",
    fields: &[
        Field::maybe("enabled", Type::Flag, "Whether it is asked at all"),
        Field::maybe("severity", SEVERITIES, "How bad it is"),
        Field::maybe("action", ACTIONS, "What becomes of rows that it fires on"),
        Field::maybe("thresholds", Type::Map(&Type::OrNull(&Type::Decimal)), "By name"),
        KNOWN_AT,
    ],
};

const SEVERITIES: Type = Type::Words(|| Severity::ALL.map(Severity::name).to_vec());
const ACTIONS: Type = Type::Words(|| Action::ALL.map(Action::name).to_vec());

/// States rules of a dataset.
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
        let Value::Object(rules) = value else {
            return Err(fault(
                "body",
                "is not an object of rules, such as {\"spike\": {\"enabled\": false}}",
            ));
        };
        let mut stated = Stated::default();
        for (rule, value) in rules {
            let (values, fields) = read(schema.name, rule, value)?;
            let known_at = match fields {
                Some(fields) => fields.known_at(context.now)?,
                None => None,
            };
            let fact = Fact { subject: schema.name.to_owned(), ts: ALWAYS, known_at, values };
            stated.add(Group::of(DatasetId::RULES), fact);
        }
        Ok(stated.into())
    });
    Ok(sum.await?.into_response())
}

/// The columns of a rule's fact, and the object that they were read from.
fn read<'a>(
    dataset: &str,
    rule: &str,
    value: &'a Value,
) -> Result<(Vec<Cell>, Option<Fields<'a>>), Problem> {
    let refused = |place: &str, error: Error| fault(place, error.detail());
    validate(dataset, rule, None, None, None).map_err(|error| refused(rule, error))?;
    if value.is_null() {
        let defaults = [Cell::Null, Cell::Null, Cell::Null, Cell::Null];
        return Ok(([Cell::from(rule)].into_iter().chain(defaults).collect(), None));
    }
    let fields = Fields::of_shape(value, rule, &RULE)?;
    let mut thresholds = Vec::new();
    let members = fields.members("thresholds")?;
    let names: Vec<&str> = members.iter().map(|member| member.0).collect();
    for (name, place, _) in members {
        let map = fields.get("thresholds").expect("invariant: it has members");
        let own = Fields::of(map, fields.named("thresholds"), &names)?;
        if let Some(number) = own.number(name)? {
            let text = format!("{name}={number}");
            validate(dataset, rule, None, None, Some(&text))
                .map_err(|error| refused(&place, error))?;
            thresholds.push(text);
        }
    }
    let thresholds = (!thresholds.is_empty()).then(|| thresholds.join(" "));
    let (severity, action) = (fields.text("severity")?, fields.text("action")?);
    validate(dataset, rule, severity, None, None)
        .map_err(|error| refused(&fields.named("severity"), error))?;
    validate(dataset, rule, None, action, None)
        .map_err(|error| refused(&fields.named("action"), error))?;
    let values = vec![
        Cell::from(rule),
        Cell::from(fields.flag("enabled")?.map(i64::from)),
        Cell::from(severity),
        Cell::from(action),
        Cell::from(thresholds.as_deref()),
    ];
    Ok((values, Some(fields)))
}

/// Lists the rules of all datasets.
pub(crate) async fn list_all(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST_ALL)?;
    list(&app, DATASETS.to_vec(), &params, &headers).await
}

/// Lists the rules of a dataset.
pub(crate) async fn list_of(
    State(app): State<Arc<App>>,
    Path(dataset): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST_OF)?;
    list(&app, vec![dataset_of(&dataset)?], &params, &headers).await
}

async fn list(
    app: &Arc<App>,
    datasets: Vec<&'static Schema>,
    params: &Params,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let format = Format::negotiate(params, headers)?;
    let as_of = params.read("as_of", parse_parameter)?;
    let at_sequence = params.integer("at_sequence")?.map(Sequence::new);
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        let reference = Reference::at(&snapshot, as_of, at_sequence);
        let reference = reference.map_err(|error| Problem::read(&error))?;
        let of_dataset = |schema: &&'static Schema| rows(&reference, schema);
        Ok::<_, Problem>(datasets.iter().flat_map(of_dataset).collect::<Vec<_>>())
    });
    table(format, COLUMNS, &rows.await??)
}

fn rows(reference: &Reference, schema: &'static Schema) -> Vec<Value> {
    let rules = RuleSet::of(reference, schema.dataset);
    let row = |setting: &Setting| {
        let thresholds = setting.thresholds().map(|(name, value)| format!("{name}={value}"));
        let is_stated = reference.rule(schema.name, setting.rule.name).is_some();
        json!({
            "dataset": schema.name,
            "rule": setting.rule.name,
            "enabled": setting.enabled,
            "severity": setting.severity.name(),
            "action": setting.action.name(),
            "thresholds": thresholds.collect::<Vec<_>>().join(" "),
            "stated": is_stated,
            "meaning": setting.rule.meaning,
        })
    };
    rules.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_read_with_its_thresholds() {
        let value = json!({
            "enabled": false, "action": "quarantine", "thresholds": {"k": 9, "m": "4"},
        });
        let (values, _) = read("bars", "spike", &value).unwrap();
        let expected = [
            Cell::from("spike"),
            Cell::Long(0),
            Cell::Null,
            Cell::from("quarantine"),
            Cell::from("k=9 m=4"),
        ];
        assert_eq!(values, expected);
        assert_eq!(read("bars", "spike", &Value::Null).unwrap().0[1..], vec![Cell::Null; 4]);
    }

    #[test]
    fn faults_of_a_rule_name_their_place() {
        for (rule, value, field) in [
            ("spikes", json!({}), "spikes"),
            ("crossed_locked", json!({}), "crossed_locked"),
            ("spike", json!(1), "spike"),
            ("spike", json!({"colour": 1}), "spike.colour"),
            ("spike", json!({"enabled": "yes"}), "spike.enabled"),
            ("spike", json!({"severity": "bad"}), "spike.severity"),
            ("spike", json!({"action": "drop"}), "spike.action"),
            ("spike", json!({"action": "reject"}), "spike.action"),
            ("spike", json!({"thresholds": {"x": 1}}), "spike.thresholds.x"),
            ("spike", json!({"thresholds": {"k": "x"}}), "spike.thresholds.k"),
            ("spike", json!({"thresholds": {"k": -1}}), "spike.thresholds.k"),
            ("spike", json!({"thresholds": 1}), "spike.thresholds"),
            ("ohlc_order", json!({"thresholds": {"k": 1}}), "ohlc_order.thresholds.k"),
        ] {
            let problem = read("bars", rule, &value).unwrap_err();
            assert_eq!(problem.field.as_deref(), Some(field), "{value}");
        }
    }
}
