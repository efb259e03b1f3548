//! `/v1/feature-groups`: groups are put, promoted, listed and described. A version is a fact that
//! never changes; which one is promoted is a setting.

use std::sync::{Arc, OnceLock};

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, RawQuery, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::KnownAt;
use barrow_engine::dataset::facts::ALWAYS;
use barrow_engine::features::{Analysis, Class, Context as SlotsOf, Storage};
use barrow_engine::{DefinitionFact, FeatureGroup, Reference, Snapshot};
use barrow_types::{DatasetId, Step};
use serde_json::{Value, json};

use super::super::App;
use super::super::columns::REASON;
use super::super::error::{Code, Problem};
use super::super::facts::json::{Fields, fault};
use super::super::facts::stated::{Cell, Context, Fact, Group, Stated, state};
use super::super::openapi::{
    Answer, Body as Bodied, FINDS, Field, Format, Operation, Param, READS, Shape, Tag, Type, Verb,
    WRITES,
};
use super::super::parameters::{BATCH_ID, NAME};
use super::super::params::Params;
use super::super::table::instant;
use super::document;
use super::named::{FEATURES, fact, history, history_key, promoted, promoted_key, read};
use super::reader::{BETWEEN, is_taken};

/// Puts one.
pub(crate) static PUT: Operation = Operation {
    id: "put_feature_group",
    tag: Tag::Features,
    summary: "Defines a group of features, or its next version",
    about: "The first version is promoted; later ones only if they are asked to be. The same \
            definition again changes nothing.",
    path: &[GROUP],
    query: &[BATCH_ID],
    body: Some(Bodied {
        about: "The definition, see docs/FEATURES.md",
        is_required: true,
        formats: &[Format::json(Type::Object(&document::DOCUMENT))],
    }),
    answer: Answer::Json(&DESCRIBED),
    problems: &[READS, WRITES, &[Code::NotAvailable]],
    example: (
        "/v1/feature-groups/example",
        r#"{"bars": {"every": "5m"}, "features": [{"name": "mean", "expr": "Mean($close, 3)"}]}"#,
    ),
    ..Operation::PUT
};

/// Promotes one.
pub(crate) static PROMOTE: Operation = Operation {
    id: "promote_feature_group",
    verb: Verb::Post,
    tag: Tag::Features,
    summary: "Makes a version the one that the bare name means",
    path: &[GROUP],
    query: &[BATCH_ID],
    body: Some(Bodied {
        about: "Which version",
        is_required: true,
        formats: &[Format::json(Type::Object(&WHICH))],
    }),
    answer: Answer::Json(&PROMOTED),
    problems: &[READS, WRITES, FINDS],
    ..Operation::PUT
};

/// Which there are.
pub(crate) static LIST: Operation = Operation {
    id: "list_feature_groups",
    tag: Tag::Features,
    summary: "Lists groups of features and their versions",
    answer: Answer::Json(&LISTED),
    ..Operation::GET
};

/// The promoted version of one.
pub(crate) static SHOW: Operation = Operation {
    id: "describe_feature_group",
    tag: Tag::Features,
    summary: "Describes the promoted version of a group of features",
    path: &[GROUP],
    answer: Answer::Json(&DESCRIBED),
    problems: &[READS, FINDS],
    example: ("/v1/feature-groups/example", ""),
    ..Operation::GET
};

/// A version of one.
pub(crate) static SHOW_VERSION: Operation = Operation {
    id: "describe_feature_group_version",
    tag: Tag::Features,
    summary: "Describes a version of a group of features",
    path: &[GROUP, Param::new("version", Type::Text, "The version").required()],
    answer: Answer::Json(&DESCRIBED),
    problems: &[READS, FINDS],
    ..Operation::GET
};

const GROUP: Param = NAME.meaning("The name of the group: letters, digits and _, a letter first");

static WHICH: Shape = Shape {
    name: "Promotion",
    about: "",
    fields: &[Field::new("version", Type::Text, "A version of the group")],
};

static PROMOTED: Shape = Shape {
    name: "Promoted",
    about: "",
    fields: &[Field::new("name", Type::Text, ""), Field::new("promoted", Type::Text, "")],
};

static LISTED: Shape = Shape {
    name: "FeatureGroups",
    about: "",
    fields: &[
        Field::new("groups", Type::List(&Type::Object(&OF_GROUP)), ""),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

static OF_GROUP: Shape = Shape {
    name: "FeatureGroupListed",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::or_null("promoted", Type::Text, "The version that the bare name means"),
        Field::new("versions", Type::List(&Type::Object(&VERSION)), "Every one"),
    ],
};

static VERSION: Shape = Shape {
    name: "FeatureGroupVersion",
    about: "",
    fields: &[
        Field::new("version", Type::Text, ""),
        Field::new("put_at", Type::Instant, ""),
        Field::new("sequence", Type::Whole, "The record that brought it"),
    ],
};

static DESCRIBED: Shape = Shape {
    name: "FeatureGroup",
    about: "A version of a group of features",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("version", Type::Text, ""),
        Field::or_null("promoted", Type::Text, "The version that the bare name means"),
        Field::new("is_promoted", Type::Flag, "Whether it is this one"),
        Field::new("versions", Type::List(&Type::Object(&VERSION)), "Every one"),
        Field::new("document", Type::Any, "As it was put"),
        Field::new("history", Type::Words(histories), "How its history is kept"),
        Field::new("stored", Type::Object(&STORED), "Its cells in files"),
        Field::new("canonical", Type::Text, "What the version is the hash of"),
        Field::new("features", Type::List(&Type::Object(&FEATURE)), ""),
        Field::new("nodes", Type::Whole, "Operations of a slot"),
        Field::new("state_bytes", Type::Whole, "Memory of a symbol"),
        Field::or_null("lookback", Type::Whole, "Slots that it looks back, if they are bounded"),
        Field::or_null("warm_up", Type::Whole, "Slots before all have a value"),
        Field::new("sequence", Type::Whole, "The newest record"),
    ],
};

fn histories() -> Vec<&'static str> {
    Storage::ALL.map(Storage::name).into()
}

static STORED: Shape = Shape {
    name: "StoredCells",
    about: "",
    fields: &[Field::new("files", Type::Whole, ""), Field::new("bytes", Type::Whole, "")],
};

static FEATURE: Shape = Shape {
    name: "Feature",
    about: "",
    fields: &[
        Field::new("name", Type::Text, ""),
        Field::new("expr", Type::Text, ""),
        Field::new("class", Type::Words(|| vec!["elementwise", "window", "recursive"]), ""),
        Field::or_null("lookback", Type::Whole, ""),
        Field::or_null("warm_up", Type::Whole, ""),
        Field::new("inputs", Type::List(&Type::Object(&INPUT)), "What it reads"),
    ],
};

static INPUT: Shape = Shape {
    name: "FeatureInput",
    about: "",
    fields: &[
        Field::or_null("instrument", Type::Text, "Another than its own"),
        Field::or_null("every", Type::Text, "Other bars than the group's"),
        Field::new("fields", Type::List(&Type::Text), ""),
        Field::or_null("lookback", Type::Whole, ""),
    ],
};

/// Most versions of one group.
const VERSIONS_MAX: usize = 1_000;

/// Most groups.
const GROUPS_MAX: usize = 10_000;

/// Puts a group.
pub(crate) async fn put(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PUT)?;
    let put = Arc::new(OnceLock::new());
    let seen = Arc::clone(&put);
    let of = name.clone();
    state(&app, &params, &headers, body, move |context, value| {
        let definition = document::read(value, &of)?;
        let group = FeatureGroup::new(definition).map_err(|error| document::problem(&error))?;
        check_columns(&group)?;
        let stated = stated(context, &of, &group, value)?;
        // Nobody else sets it.
        let _ = seen.set(group);
        Ok(stated.into())
    })
    .await?;
    let group = put.get().expect("invariant: what was stored was read");
    let snapshot = app.engine.snapshot();
    let reference = reference(&snapshot)?;
    let fact = fact(&reference, (&name, Some(&group.compiled.version)), "name")?;
    Ok(Json(described(&reference, &name, group, fact, &snapshot)).into_response())
}

/// Names of features are columns of answers, beside those that all have.
fn check_columns(group: &FeatureGroup) -> Result<(), Problem> {
    let definition = &group.definition;
    if definition.name.contains(BETWEEN) {
        let what = format!("'{}': '{BETWEEN}' stands between group and feature", definition.name);
        return Err(fault("name", format!("{what} in the names of columns")));
    }
    for feature in &group.compiled.features {
        let name = &feature.name;
        let what = if is_taken(name) {
            format!("'{name}' is a column that all answers have")
        } else if name.ends_with(REASON) {
            format!("'{name}': what ends with '{REASON}' is the reason of a feature")
        } else {
            continue;
        };
        let place = definition.features.iter().position(|rule| rule.name == *name);
        let field = place.map_or("features".to_owned(), |at| format!("features[{at}].name"));
        return Err(fault(&field, format!("{what}; give it another name")));
    }
    Ok(())
}

fn stated(
    context: &Context,
    name: &str,
    group: &FeatureGroup,
    document: &Value,
) -> Result<Stated, Problem> {
    let mut stated = Stated::default();
    let reference = reference(&context.snapshot)?;
    let versions = reference.definitions(name);
    let version = &group.compiled.version;
    if !versions.iter().any(|fact| *fact.version == **version) {
        if versions.len() >= VERSIONS_MAX {
            let detail = format!("{name} has {VERSIONS_MAX} versions, and cannot have more");
            return Err(Problem::new(Code::Conflict, detail).about("name"));
        }
        if versions.is_empty() && reference.defined().count() >= GROUPS_MAX {
            let detail = format!("there are {GROUPS_MAX} groups, and cannot be more");
            return Err(Problem::new(Code::Conflict, detail).about("name"));
        }
        let values = vec![
            Cell::from(version.as_str()),
            Cell::from(document::KIND),
            Cell::Text(document.to_string()),
        ];
        let policy = KnownAt::Ingest;
        let group = Group { policy, ..Group::of(DatasetId::DEFINITIONS) };
        let fact = Fact { subject: name.to_owned(), ts: ALWAYS, known_at: None, values };
        stated.add(group, fact);
    }
    if promoted(&reference, name).is_none() {
        promote_in(&mut stated, name, version);
    }
    let wanted = group.definition.history;
    if history(&reference, name) != wanted {
        set(&mut stated, history_key(name), wanted.name());
    }
    Ok(stated)
}

fn promote_in(stated: &mut Stated, name: &str, version: &str) {
    set(stated, promoted_key(name), version);
}

/// States a setting of groups.
fn set(stated: &mut Stated, key: String, value: &str) {
    let values = vec![Cell::Text(key), Cell::from(value)];
    let group = Group { policy: KnownAt::Ingest, ..Group::of(DatasetId::SETTINGS) };
    stated.add(group, Fact { subject: FEATURES.to_owned(), ts: ALWAYS, known_at: None, values });
}

/// Makes a version the one that the bare name means.
pub(crate) async fn promote(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let params = Params::parse(query.as_deref(), &PROMOTE)?;
    let of = name.clone();
    let answer = Arc::new(OnceLock::new());
    let seen = Arc::clone(&answer);
    state(&app, &params, &headers, body, move |context, value| {
        let fields = Fields::of_shape(value, "", &WHICH)?;
        let version = fields.required("version", Fields::text)?;
        let reference = reference(&context.snapshot)?;
        fact(&reference, (&of, Some(version)), "version")?;
        let mut stated = Stated::default();
        if promoted(&reference, &of) != Some(version) {
            promote_in(&mut stated, &of, version);
        }
        let _ = seen.set(version.to_owned());
        Ok(stated.into())
    })
    .await?;
    let version = answer.get().expect("invariant: what was stored was read");
    Ok(Json(json!({"name": name, "promoted": version})).into_response())
}

/// Every group, with its versions.
pub(crate) async fn list(
    State(app): State<Arc<App>>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    Params::parse(query.as_deref(), &LIST)?;
    let snapshot = app.engine.snapshot();
    let body = app.query(move || {
        let reference = reference(&snapshot)?;
        let groups = reference.defined().map(|name| {
            let versions = reference.definitions(name).iter().map(version);
            json!({
                "name": name,
                "promoted": promoted(&reference, name),
                "versions": versions.collect::<Vec<_>>(),
            })
        });
        let groups: Vec<Value> = groups.collect();
        Ok::<_, Problem>(json!({"groups": groups, "sequence": snapshot.sequence().get()}))
    });
    Ok(Json(body.await??).into_response())
}

/// The promoted version of a group.
pub(crate) async fn show(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    show_of(app, name, None, query).await
}

/// A version of a group.
pub(crate) async fn show_version(
    State(app): State<Arc<App>>,
    Path((name, version)): Path<(String, String)>,
    RawQuery(query): RawQuery,
) -> Result<Response, Problem> {
    show_of(app, name, Some(version), query).await
}

async fn show_of(
    app: Arc<App>,
    name: String,
    version: Option<String>,
    query: Option<String>,
) -> Result<Response, Problem> {
    let operation = if version.is_some() { &SHOW_VERSION } else { &SHOW };
    Params::parse(query.as_deref(), operation)?;
    let snapshot = app.engine.snapshot();
    let body = app.query(move || {
        let reference = reference(&snapshot)?;
        let field = if version.is_some() { "version" } else { "name" };
        let fact = fact(&reference, (&name, version.as_deref()), field)?;
        let group = read(&name, fact)?;
        Ok::<_, Problem>(described(&reference, &name, &group, fact, &snapshot))
    });
    Ok(Json(body.await??).into_response())
}

/// The newest facts: which definitions there are does not depend on when data was known.
pub(crate) fn reference(snapshot: &Snapshot) -> Result<Arc<Reference>, Problem> {
    Reference::at(snapshot, None, None).map_err(|error| Problem::read(&error))
}

fn version(fact: &DefinitionFact) -> Value {
    json!({
        "version": &*fact.version,
        "put_at": instant(fact.known_at),
        "sequence": fact.sequence.get(),
    })
}

fn described(
    reference: &Reference,
    name: &str,
    group: &FeatureGroup,
    fact: &DefinitionFact,
    snapshot: &Snapshot,
) -> Value {
    let compiled = &group.compiled;
    let promoted = promoted(reference, name);
    let versions = reference.definitions(name).iter().map(version).collect::<Vec<_>>();
    let document: Value = serde_json::from_str(&fact.document).unwrap_or_default();
    let stored = snapshot.stored_cells(group);
    let stored = json!({"files": stored.blocks, "bytes": stored.bytes});
    json!({
        "name": name,
        "version": compiled.version,
        "promoted": promoted,
        "is_promoted": promoted == Some(compiled.version.as_str()),
        "versions": versions,
        "document": document,
        "history": history(reference, name).name(),
        "stored": stored,
        "canonical": compiled.canonical,
        "features": compiled.features.iter().map(|of| feature(group, of)).collect::<Vec<_>>(),
        "nodes": compiled.totals.nodes,
        "state_bytes": compiled.totals.state_bytes,
        "lookback": compiled.totals.lookback,
        "warm_up": compiled.totals.warm_up,
        "sequence": snapshot.sequence().get(),
    })
}

fn feature(group: &FeatureGroup, of: &Analysis) -> Value {
    let class = match of.class {
        Class::Elementwise => "elementwise",
        Class::Window => "window",
        Class::Recursive => "recursive",
    };
    let inputs = of.inputs.iter().map(|reads| {
        let SlotsOf { instrument, step } = &group.graph().contexts[usize::from(reads.context.0)];
        json!({
            "instrument": instrument,
            "every": step.map(Step::name),
            "fields": reads.fields.iter().map(|field| field.name()).collect::<Vec<_>>(),
            "lookback": reads.lookback,
        })
    });
    json!({
        "name": of.name,
        "expr": of.expr,
        "class": class,
        "lookback": of.lookback,
        "warm_up": of.warm_up,
        "inputs": inputs.collect::<Vec<_>>(),
    })
}
