//! `GET,PUT /v1/instruments[/{id}]`: what is known of instruments, and since when.
//!
//! A PUT states what it names and leaves the rest as it is. An attribute is a value, or an object
//! `{value, since, known_at}`, or an array of these; null says that it has none. `since` is ALWAYS
//! if nothing says otherwise; a bare date is the start of that session by the instrument's
//! calendar.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::calendar::Calendar;
use barrow_engine::dataset::facts::{ALWAYS, EVERY_SYMBOL};
use barrow_engine::{Reference, Snapshot};
use barrow_types::{DatasetId, Sequence, Symbol, Timestamp};
use serde_json::{Map, Value, json};

use super::super::App;
use super::super::calendars::names;
use super::super::encode::Format;
use super::super::error::{Code, Problem};
use super::super::openapi::{
    Answer, Columns, FINDS, Field, Format as Media, Operation, READS, Shape, Tag, Type,
};
use super::super::parameters::{AS_OF, AT_SEQUENCE, FORMAT, ID, SYMBOLS};
use super::super::params::Params;
use super::super::table::{instant, table};
use super::super::time::parse_parameter;
use super::super::when::since as since_of;
use super::actions::{self, Actions};
use super::bindings::{self, Bindings};
use super::json::{self as body, Fields};
use super::stated::{Cell, Context, Fact, Group, Stated, state};
use super::{KNOWN_AT, STATING, each, stating};
use crate::clock;

/// The attributes there are.
pub(crate) const ATTRIBUTES: [&str; 8] =
    ["name", "calendar", "listed", "sector", "industry", "tick_size", "currency", "security"];

/// Facts about several in.
pub(crate) static PUT_ALL: Operation = Operation {
    id: "put_instruments",
    summary: "States facts about several instruments",
    about: STATES,
    body: stating(
        "Instruments with an id each",
        &[Media::json(Type::List(&Type::Object(&INSTRUMENT)))],
    ),
    example: ("/v1/instruments", r#"[{"id": "ALDR", "sector": "Wood", "currency": "USD"}]"#),
    ..STATING
};

/// Facts about one in.
pub(crate) static PUT: Operation = Operation {
    id: "put_instrument",
    summary: "States facts about an instrument",
    about: STATES,
    path: &[ID.meaning("The id of the instrument")],
    body: stating("The instrument", &[Media::json(Type::Object(&INSTRUMENT))]),
    example: (
        "/v1/instruments/ALDR",
        r#"{"calendar": "XNYS", "tick_size": [{"value": 0.01, "since": "2001-04-09"}]}"#,
    ),
    ..STATING
};

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_instruments",
    tag: Tag::Reference,
    summary: "Lists the instruments that facts say anything of, with what is in force",
    query: &[FORMAT, SYMBOLS.meaning("Only these ids"), AS_OF, AT_SEQUENCE],
    answer: Answer::Table(COLUMNS),
    ..Operation::GET
};

/// One of them.
pub(crate) static SHOW: Operation = Operation {
    id: "describe_instrument",
    tag: Tag::Reference,
    summary: "Shows all that is known of an instrument",
    path: &[ID.meaning("The id, or the name by now; id:NAME means the id alone")],
    query: &[AS_OF, AT_SEQUENCE],
    answer: Answer::Json(&SHOWN),
    problems: &[READS, FINDS],
    example: ("/v1/instruments/ALDR", ""),
    ..Operation::GET
};

const STATES: &str = "What is not named stays as it is. An attribute is a value, or an object of \
                      value, since and known_at, or an array of these; null says that it has none.";

/// [`ATTRIBUTES`] as columns.
const COLUMNS: Columns = &[
    ("id", "text"),
    ("name", "text"),
    ("calendar", "text"),
    ("listed", "text"),
    ("sector", "text"),
    ("industry", "text"),
    ("tick_size", "text"),
    ("currency", "text"),
    ("security", "text"),
];

/// An attribute that is a text.
const TEXT: Type =
    Type::Either(&[Type::Text, Type::Object(&SINCE_TEXT), Type::List(&Type::Object(&SINCE_TEXT))]);
const LISTED: Type = Type::Either(&[
    Type::Flag,
    Type::Words(|| vec!["true", "false"]),
    Type::Object(&SINCE_LISTED),
    Type::List(&Type::Object(&SINCE_LISTED)),
]);
const TICK_SIZE: Type = Type::Either(&[
    Type::Decimal,
    Type::Object(&SINCE_TICK_SIZE),
    Type::List(&Type::Object(&SINCE_TICK_SIZE)),
]);

const SINCE: Field =
    Field::maybe("since", Type::When, "Since when it holds; a date means its session");

static SINCE_TEXT: Shape = Shape {
    name: "AttributeSince",
    about: "A value of an attribute, and since when",
    fields: &[Field::or_null("value", Type::Text, "Null: it has none"), SINCE, KNOWN_AT],
};
static SINCE_LISTED: Shape = Shape {
    name: "ListedSince",
    about: "Whether it is listed, and since when",
    fields: &[
        Field::or_null(
            "value",
            Type::Either(&[Type::Flag, Type::Words(|| vec!["true", "false"])]),
            "",
        ),
        SINCE,
        KNOWN_AT,
    ],
};
static SINCE_TICK_SIZE: Shape = Shape {
    name: "TickSizeSince",
    about: "Its tick size, and since when",
    fields: &[Field::or_null("value", Type::Decimal, "Above 0"), SINCE, KNOWN_AT],
};

static INSTRUMENT: Shape = Shape {
    name: "Instrument",
    about: "What is known of an instrument",
    fields: &[
        Field::maybe("id", Type::Text, "Its id, which the path may say instead"),
        SINCE,
        KNOWN_AT,
        Field::maybe(
            "bindings",
            Type::List(&Type::Object(&bindings::BINDING)),
            "Which symbols of which sources it is",
        ),
        Field::maybe("actions", Type::List(&Type::Object(&actions::ACTION)), "Splits, dividends"),
        Field::maybe("name", TEXT, ""),
        Field::maybe("calendar", TEXT, "The calendar that it follows"),
        Field::maybe("listed", LISTED, "Whether it can be traded"),
        Field::maybe("sector", TEXT, ""),
        Field::maybe("industry", TEXT, ""),
        Field::maybe("tick_size", TICK_SIZE, "Above 0"),
        Field::maybe("currency", TEXT, "A code, such as USD"),
        Field::maybe("security", TEXT, "What kind of security it is"),
    ],
};

static SHOWN: Shape = Shape {
    name: "InstrumentShown",
    about: "",
    fields: &[
        Field::new("instrument", Type::Object(&INSTRUMENT), "As a PUT would state it"),
        Field::new("in_force", Type::Map(&Type::OrNull(&Type::Text)), "By attribute"),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

/// How a query says that it means an id and no name.
const EXACT: &str = "id:";

/// States facts about several instruments.
pub(crate) async fn put_all(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT_ALL)?;
    let sum = state(&app, &params, &headers, body, |context, value| {
        if !value.is_array() {
            return Err(body::fault("body", "is not an array of instruments with an id each"));
        }
        let mut reading = Reading::new(context)?;
        for (place, value) in each(value) {
            let fields = Fields::of_shape(value, place, &INSTRUMENT)?;
            let id = fields.required("id", |fields, name| id(fields, name))?;
            reading.instrument(&fields, &id)?;
        }
        Ok(reading.stated.into())
    });
    Ok(sum.await?.into_response())
}

/// States facts about one instrument.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT)?;
    let wanted = checked(&name).map_err(|fault| Problem::parameter("id", fault))?;
    let sum = state(&app, &params, &headers, body, move |context, value| {
        let fields = Fields::of_shape(value, "", &INSTRUMENT)?;
        if fields.text("id")?.is_some_and(|id| id != wanted.as_str()) {
            return Err(fields.fault("id", format!("is not {wanted}, as the path says")));
        }
        let mut reading = Reading::new(context)?;
        reading.instrument(&fields, &wanted)?;
        Ok(reading.stated.into())
    });
    Ok(sum.await?.into_response())
}

fn id(fields: &Fields<'_>, name: &str) -> Result<Option<Symbol>, Problem> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    checked(text).map(Some).map_err(|what| fields.fault(name, what))
}

/// A text that can be the id of an instrument.
fn checked(text: &str) -> Result<Symbol, String> {
    if text == EVERY_SYMBOL || text.starts_with(EXACT) {
        return Err(format!("'{text}' means something else in queries: choose another"));
    }
    Symbol::new(text).map_err(|fault| format!("{text:?} {fault}"))
}

/// Reads instruments of one body.
struct Reading<'a> {
    context: &'a Context,
    reference: Arc<Reference>,
    stated: Stated,
    seen: BTreeSet<Symbol>,
    bindings: Bindings,
}

impl<'a> Reading<'a> {
    fn new(context: &'a Context) -> Result<Self, Problem> {
        Ok(Self {
            context,
            reference: super::super::ingest::reference(&context.snapshot)?,
            stated: Stated::default(),
            seen: BTreeSet::new(),
            bindings: Bindings::default(),
        })
    }

    fn instrument(&mut self, fields: &Fields<'_>, id: &Symbol) -> Result<(), Problem> {
        if !self.seen.insert(id.clone()) {
            return Err(
                fields.fault("id", format!("{id} is there twice: say all of it in one object"))
            );
        }
        let calendar = self.calendar(fields, id)?;
        let calendar = calendar.as_deref();
        let now = self.context.now;
        let since = fields.when("since")?.map_or(ALWAYS, |when| since_of(when, calendar));
        let known_at = fields.known_at(now)?;
        for attribute in ATTRIBUTES {
            for (place, value, since, known_at) in
                values(fields, attribute, (since, known_at), calendar, now)?
            {
                let value = value_of(attribute, value, &self.reference)
                    .map_err(|what| body::fault(&place, what))?;
                let values = vec![Cell::from(attribute), value];
                let fact = Fact { subject: id.to_string(), ts: since, known_at, values };
                let group = Group::of(DatasetId::INSTRUMENTS);
                let is_twice = self.stated.of(DatasetId::INSTRUMENTS).any(|(_, other)| {
                    other.subject == fact.subject
                        && other.ts == fact.ts
                        && other.values[0] == fact.values[0]
                });
                if is_twice {
                    return Err(body::fault(
                        &place,
                        "is said twice since the same time: say one value",
                    ));
                }
                self.stated.add(group, fact);
            }
        }
        for (place, value) in fields.list("bindings")? {
            let fields = Fields::of_shape(value, place, &bindings::BINDING)?;
            let binding = bindings::read(&fields, id, calendar, now)?;
            self.bindings.add(&self.reference, &fields, binding, &mut self.stated)?;
        }
        let mut seen = Actions::default();
        for (place, value) in fields.list("actions")? {
            let fields = Fields::of_shape(value, place, &actions::ACTION)?;
            let (group, fact) = actions::read(&fields, id, calendar, now, &mut seen)?;
            self.stated.add(group, fact);
        }
        Ok(())
    }

    /// The calendar by which dates of an instrument are meant: the last one stated here, or the
    /// one in force.
    fn calendar(&self, fields: &Fields<'_>, id: &Symbol) -> Result<Option<Arc<Calendar>>, Problem> {
        let last = match fields.get("calendar") {
            Some(Value::Array(values)) => values.last(),
            value => value,
        };
        let stated = match last {
            Some(Value::Object(map)) => map.get("value"),
            value => value,
        };
        let name = match stated.and_then(Value::as_str) {
            Some(name) => Some(name),
            None if fields.has("calendar") => None,
            None => self.reference.attribute_at(id.as_str(), "calendar", self.context.now),
        };
        Ok(name.and_then(|name| self.reference.calendar(name)))
    }
}

/// A value of an attribute as it was written: its place, itself, since when, known since when.
type Written<'a> = (String, &'a Value, Timestamp, Option<Timestamp>);

/// The values that a body states of an attribute.
fn values<'a>(
    fields: &Fields<'a>,
    attribute: &str,
    (since, known_at): (Timestamp, Option<Timestamp>),
    calendar: Option<&Calendar>,
    now: Timestamp,
) -> Result<Vec<Written<'a>>, Problem> {
    const NONE: &Value = &Value::Null;
    if !fields.has(attribute) {
        return Ok(Vec::new());
    }
    let of_object = |place: String, value: &'a Value| {
        let own = Fields::of_shape(value, place, &SINCE_TEXT)?;
        let since = own.when("since")?.map_or(since, |when| since_of(when, calendar));
        let known_at = own.known_at(now)?.or(known_at);
        if !own.has("value") {
            return Err(own.fault("value", "is missing: null says that there is none"));
        }
        Ok((own.named("value"), own.get("value").unwrap_or(NONE), since, known_at))
    };
    match fields.get(attribute) {
        Some(Value::Array(_)) => {
            let all = fields.list(attribute)?;
            all.into_iter().map(|(place, value)| of_object(place, value)).collect()
        }
        Some(value @ Value::Object(_)) => Ok(vec![of_object(fields.named(attribute), value)?]),
        value => Ok(vec![(fields.named(attribute), value.unwrap_or(NONE), since, known_at)]),
    }
}

/// The value of an attribute as it is stored.
fn value_of(attribute: &str, value: &Value, reference: &Reference) -> Result<Cell, String> {
    if value.is_null() {
        return Ok(Cell::Null);
    }
    let value = match (attribute, value) {
        ("listed", Value::Bool(listed)) => listed.to_string(),
        ("listed", Value::String(word)) if word == "true" || word == "false" => word.clone(),
        ("listed", other) => {
            return Err(format!("{other} is neither true nor false: write one of them"));
        }
        ("tick_size", value) => {
            let tick = match value {
                Value::Number(number) => number.as_f64(),
                Value::String(text) => text.parse().ok(),
                _ => None,
            };
            let tick = tick.filter(|tick: &f64| tick.is_finite() && *tick > 0.0);
            tick.ok_or_else(|| format!("{value} is not a number above 0: write 0.01"))?.to_string()
        }
        (_, value) => body::text(value)?.to_owned(),
    };
    match attribute {
        "calendar" if reference.calendar(&value).is_none() => {
            let known: Vec<String> = names(reference).into_iter().collect();
            Err(format!(
                "there is no {value:?}; PUT /v1/calendars/{value} makes it (there are: {})",
                known.join(", ")
            ))
        }
        "currency" if !value.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Err(format!("{value:?} is no code: write USD"))
        }
        _ => Ok(Cell::Text(value)),
    }
}

/// Which state is asked about.
struct At {
    as_of: Option<Timestamp>,
    at_sequence: Option<Sequence>,
}

impl At {
    fn read(params: &Params) -> Result<Self, Problem> {
        Ok(Self {
            as_of: params.read("as_of", parse_parameter)?,
            at_sequence: params.integer("at_sequence")?.map(Sequence::new),
        })
    }

    fn reference(&self, snapshot: &Snapshot) -> Result<Arc<Reference>, Problem> {
        let reference = Reference::at(snapshot, self.as_of, self.at_sequence);
        reference.map_err(|error| Problem::read(&error))
    }

    /// At which instant something is in force.
    fn instant(&self) -> Timestamp {
        self.as_of.unwrap_or_else(clock::now)
    }
}

/// Lists instruments of which facts say anything, with the attributes in force.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &LIST)?;
    let format = Format::negotiate(&params, &headers)?;
    let at = At::read(&params)?;
    let wanted = match params.get("symbols") {
        Some(_) => Some(params.symbols()?),
        None => None,
    };
    let snapshot = app.engine.snapshot();
    let rows = app.query(move || {
        let reference = at.reference(&snapshot)?;
        let is_wanted = |id: &&str| {
            wanted.as_ref().is_none_or(|all| all.iter().any(|symbol| symbol.as_str() == *id))
        };
        let row = |id: &str| {
            let mut row = in_force(&reference, id, at.instant());
            row.insert("id".to_owned(), id.into());
            Value::Object(row)
        };
        let ids = reference.instruments();
        Ok::<_, Problem>(ids.iter().copied().filter(is_wanted).map(row).collect::<Vec<_>>())
    });
    let rows = rows.await??;
    table(format, COLUMNS, &rows)
}

/// The attributes of an instrument in force at an instant.
fn in_force(reference: &Reference, id: &str, at: Timestamp) -> Map<String, Value> {
    let value = |name: &str| (name.to_owned(), reference.attribute_at(id, name, at).into());
    ATTRIBUTES.into_iter().map(value).collect()
}

/// Shows one instrument, by its id, or else by its name.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &SHOW)?;
    let at = At::read(&params)?;
    let snapshot = app.engine.snapshot();
    let shown = app.query(move || {
        let reference = at.reference(&snapshot)?;
        let id = find(&snapshot, &reference, &name, at.instant()).ok_or_else(|| {
            let detail = format!(
                "id: there is no instrument {name:?}: no fact speaks of it, and no source delivers \
                 a symbol of that name"
            );
            Problem::new(Code::NotFound, detail).about("id")
        })?;
        Ok::<_, Problem>(json!({
            "instrument": whole(&reference, &id),
            "in_force": in_force(&reference, &id, at.instant()),
            "sequence": snapshot.sequence().get(),
        }))
    });
    Ok(Json(shown.await??).into_response())
}

/// The id of what is called `name`.
fn find(snapshot: &Snapshot, reference: &Reference, name: &str, at: Timestamp) -> Option<String> {
    let (id, exact) = match name.strip_prefix(EXACT) {
        Some(id) => (id, true),
        None => (name, false),
    };
    let is_known = reference.instruments().contains(id);
    if is_known {
        return Some(id.to_owned());
    }
    let sources: BTreeSet<String> = super::DATASETS
        .into_iter()
        .flat_map(|schema| snapshot.series(schema.dataset, Some(id)))
        .map(|(_, key)| key.source.as_str().to_owned())
        .collect();
    let names: Vec<&str> = sources.iter().map(String::as_str).collect();
    let named = (!exact).then(|| reference.named(id, at, &names)).flatten();
    named.map(|id| id.to_string()).or_else(|| (!sources.is_empty()).then(|| id.to_owned()))
}

/// All that is known of an instrument, as a PUT would state it.
fn whole(reference: &Reference, id: &str) -> Value {
    let mut all = Map::new();
    all.insert("id".to_owned(), id.into());
    for (attribute, since) in reference.attributes(id) {
        let values = since.iter().map(|(since, value)| {
            json!({"value": value.as_deref(), "since": instant(Timestamp::from_nanos(*since))})
        });
        all.insert(attribute.to_owned(), values.collect());
    }
    all.insert("bindings".to_owned(), bindings::shown(reference, id));
    all.insert("actions".to_owned(), actions::shown(reference, id));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_attributes_are_checked() {
        let reference = Reference::default();
        let read = |attribute: &str, value: Value| value_of(attribute, &value, &reference);
        for (attribute, value, stored) in [
            ("listed", json!(true), "true"),
            ("listed", json!("false"), "false"),
            ("tick_size", json!(0.01), "0.01"),
            ("tick_size", json!("0.25"), "0.25"),
            ("calendar", json!("XNYS"), "XNYS"),
            ("currency", json!("USD"), "USD"),
            ("name", json!("META"), "META"),
        ] {
            assert_eq!(read(attribute, value), Ok(Cell::from(stored)), "{attribute}");
        }
        assert_eq!(read("sector", Value::Null), Ok(Cell::Null));
        for (attribute, value) in [
            ("listed", json!("yes")),
            ("tick_size", json!(0)),
            ("tick_size", json!("x")),
            ("calendar", json!("XMOON")),
            ("currency", json!("US $")),
            ("name", json!(7)),
            ("sector", json!("")),
        ] {
            assert!(read(attribute, value.clone()).is_err(), "{attribute} {value}");
        }
    }

    #[test]
    fn every_attribute_is_a_field() {
        let fields = INSTRUMENT.names();
        assert!(ATTRIBUTES.iter().all(|attribute| fields.contains(attribute)));
        let columns: Vec<_> = COLUMNS.iter().map(|column| column.0).collect();
        assert_eq!(columns, [&["id"][..], &ATTRIBUTES].concat());
        for id in ["*", "id:x", "", "a,b", "../x"] {
            assert!(checked(id).is_err(), "{id}");
        }
        assert_eq!(checked("TWX.1").unwrap().as_str(), "TWX.1");
    }
}
