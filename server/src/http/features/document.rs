//! The document of a group as JSON: read field by field into what the engine takes.

use barrow_engine::features::{
    Definition, DefinitionError, FeatureBars, FeatureOptions, FeatureRule, Gap, Storage,
};
use barrow_types::{Adjust, Align, PriceSide, SessionSet, Step};
use serde_json::Value;

use super::super::error::Problem;
use super::super::facts::json::{Fields, fault, text};
use super::super::openapi::{Field, Shape, Type};
use super::super::parameters::{ADJUSTS, ALIGNS, SESSIONS, SIDES, STEPS};

/// The document.
pub(super) static DOCUMENT: Shape = Shape {
    name: "FeatureSet",
    about: "A group of features as it is to be",
    fields: &[
        Field::maybe("kind", Type::Words(|| vec![KIND]), ""),
        Field::maybe("name", Type::Text, "As in the path"),
        Field::new("bars", Type::Object(&BARS), "The bars that they are computed of"),
        Field::maybe("options", Type::Object(&OPTIONS), ""),
        Field::maybe(
            "params",
            Type::Map(&Type::List(&Type::Either(&[Type::Number, Type::Text]))),
            "Lists of values, each put in where a feature names it",
        ),
        Field::maybe("features", Type::List(&Type::Object(&FEATURE)), ""),
        Field::maybe("presets", Type::List(&Type::Text), "Sets that are built in"),
        Field::maybe("history", Type::Words(|| Storage::ALL.map(Storage::name).into()), ""),
    ],
};

static BARS: Shape = Shape {
    name: "FeatureBars",
    about: "",
    fields: &[
        Field::new("every", STEPS, "Their length"),
        Field::maybe("session", SESSIONS, "Left out: regular"),
        Field::maybe("align", ALIGNS, "Left out: session"),
        Field::maybe("price", SIDES, "Left out: trade"),
        Field::maybe("adjust", ADJUSTS, "Left out: none"),
        Field::maybe("source", Type::Text, "Left out: as the settings of bars say"),
    ],
};

static OPTIONS: Shape = Shape {
    name: "FeatureOptions",
    about: "Either compat alone, or the others",
    fields: &[
        Field::maybe("compat", Type::Words(|| vec!["qlib"]), "As Qlib computes"),
        Field::maybe("gap", Type::Words(|| Gap::ALL.map(Gap::name).to_vec()), "Of empty slots"),
        Field::maybe("warmup", COUNT, "Slots before the first value. Left out: the window"),
        Field::maybe("min_valid", COUNT, "Valid slots of a window. Left out: half of it"),
    ],
};

const COUNT: Type = Type::Within(0, u32::MAX as u64);

static FEATURE: Shape = Shape {
    name: "FeatureRule",
    about: "A feature, or one for each value of a list",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::maybe("for", Type::Map(&Type::Text), "Placeholders, and the list of each"),
        Field::new("expr", Type::Text, "The expression, see docs/FEATURES.md"),
    ],
};

/// The only kind of document that is built.
pub(crate) const KIND: &str = "FeatureSet";

/// The definition that `value` says; it may leave out its name, which is then `name`.
pub(crate) fn read(value: &Value, name: &str) -> Result<Definition, Problem> {
    let fields = Fields::of_shape(value, "", &DOCUMENT)?;
    fields.word("kind", &[KIND])?;
    if let Some(own) = fields.text("name")?.filter(|own| *own != name) {
        return Err(fields.fault("name", format!("is '{own}', but it is put as '{name}'")));
    }
    let history = parsed(&fields, "history", Storage::parse, &Storage::ALL.map(Storage::name))?;
    Ok(Definition {
        name: name.to_owned(),
        bars: bars(&fields)?,
        options: options(&fields)?,
        params: params(&fields)?,
        presets: presets(&fields)?,
        features: features(&fields)?,
        history: history.unwrap_or_default(),
    })
}

/// What is wrong with a definition, as an answer.
pub(crate) fn problem(error: &DefinitionError) -> Problem {
    let mut detail = match &error.feature {
        Some(feature) => format!("feature {feature}: {}", error.message),
        None => error.message.clone(),
    };
    if let Some(expr) = &error.expr {
        detail.push_str(&format!(" (character {})", expr.at() + 1));
    }
    let mut problem = fault(&error.field, detail);
    if let Some(expr) = &error.expr {
        problem.more.insert("character".to_owned(), (expr.at() + 1).into());
        problem.more.insert("excerpt".to_owned(), expr.excerpt().into());
        problem.more.insert("caret".to_owned(), expr.caret().into());
    }
    if let Some(feature) = &error.feature {
        problem.more.insert("feature".to_owned(), feature.as_str().into());
    }
    problem
}

/// A word that `parse` knows.
fn parsed<T>(
    fields: &Fields<'_>,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
    all: &[&str],
) -> Result<Option<T>, Problem> {
    Ok(fields.word(name, all)?.and_then(parse))
}

fn bars(fields: &Fields<'_>) -> Result<FeatureBars, Problem> {
    let value = fields.get("bars").ok_or_else(|| {
        fields.fault("bars", "is missing: say {\"every\": \"1m\"} or another step")
    })?;
    let fields = Fields::of_shape(value, "bars", &BARS)?;
    let every = fields.required("every", |fields, name| fields.text(name))?;
    let every = Step::parse(every).filter(|step| *step != Step::Tick).ok_or_else(|| {
        let all = Step::ALL.iter().filter(|step| **step != Step::Tick).map(|step| step.name());
        let all: Vec<_> = all.collect();
        fields.fault("every", format!("'{every}' is none of {}", all.join(", ")))
    })?;
    let session =
        parsed(&fields, "session", SessionSet::parse, &SessionSet::ALL.map(SessionSet::name))?;
    let align = parsed(&fields, "align", Align::parse, &Align::ALL.map(Align::name))?;
    let price = parsed(&fields, "price", PriceSide::parse, &PriceSide::ALL.map(PriceSide::name))?;
    let adjust = parsed(&fields, "adjust", Adjust::parse, &Adjust::ALL.map(Adjust::name))?;
    Ok(FeatureBars {
        every,
        session: session.unwrap_or_default(),
        align: align.unwrap_or_default(),
        price: price.unwrap_or(PriceSide::Trade),
        adjust: adjust.unwrap_or_default(),
        source: fields.source("source")?.map(|source| source.to_string()),
    })
}

fn options(fields: &Fields<'_>) -> Result<FeatureOptions, Problem> {
    let Some(value) = fields.get("options") else { return Ok(FeatureOptions::default()) };
    let fields = Fields::of_shape(value, "options", &OPTIONS)?;
    let gap = parsed(&fields, "gap", Gap::parse, &Gap::ALL.map(Gap::name))?;
    let (warmup, min_valid) = (count(&fields, "warmup")?, count(&fields, "min_valid")?);
    if fields.word("compat", &["qlib"])?.is_none() {
        return Ok(FeatureOptions::Own { gap: gap.unwrap_or_default(), warmup, min_valid });
    }
    let others = [("gap", gap.is_some()), ("warmup", warmup.is_some())];
    let mut others = others.into_iter().chain([("min_valid", min_valid.is_some())]);
    match others.find(|(_, is_there)| *is_there) {
        Some((name, _)) => {
            Err(fields.fault(name, "goes with compat: qlib already; leave one of them out"))
        }
        None => Ok(FeatureOptions::Qlib),
    }
}

/// A count above 0.
fn count(fields: &Fields<'_>, name: &str) -> Result<Option<u32>, Problem> {
    let Some(value) = fields.get(name) else { return Ok(None) };
    match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
        Some(count) => Ok(Some(count)),
        None => Err(fields.fault(name, format!("{value} is not a whole number of slots"))),
    }
}

/// Lists of values, as they are put into texts.
fn params(fields: &Fields<'_>) -> Result<Vec<(String, Vec<String>)>, Problem> {
    let mut params = Vec::new();
    for (name, place, value) in fields.members("params")? {
        let Value::Array(values) = value else {
            return Err(fault(&place, "is not an array: write [5, 10, 20]"));
        };
        let mut texts = Vec::with_capacity(values.len());
        for (value, at) in values.iter().zip(0..) {
            texts.push(match value {
                Value::Number(number) => number.to_string(),
                Value::String(text) => text.clone(),
                other => {
                    let what = format!("{other} is neither a number nor a text");
                    return Err(fault(&format!("{place}[{at}]"), what));
                }
            });
        }
        params.push((name.to_owned(), texts));
    }
    Ok(params)
}

fn presets(fields: &Fields<'_>) -> Result<Vec<String>, Problem> {
    let names = fields.list("presets")?.into_iter();
    let name = |(place, value): (String, &Value)| {
        text(value).map(ToOwned::to_owned).map_err(|what| fault(&place, what))
    };
    names.map(name).collect()
}

fn features(fields: &Fields<'_>) -> Result<Vec<FeatureRule>, Problem> {
    let mut rules = Vec::new();
    for (place, value) in fields.list("features")? {
        let fields = Fields::of_shape(value, place, &FEATURE)?;
        let mut each = Vec::new();
        for (placeholder, place, value) in fields.members("for")? {
            let list = text(value).map_err(|what| fault(&place, what))?;
            each.push((placeholder.to_owned(), list.to_owned()));
        }
        // An expression may be longer than other texts, and go over lines.
        let expr = fields.required("expr", |fields, name| match fields.get(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(other) => Err(fields.fault(name, format!("{other} is not a text"))),
        })?;
        let name = fields.required("name", Fields::text)?.to_owned();
        rules.push(FeatureRule { name, each, expr });
    }
    Ok(rules)
}
