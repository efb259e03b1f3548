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
use barrow_engine::features::{Analysis, Class, Context as SlotsOf};
use barrow_engine::{DefinitionFact, FeatureGroup, Reference, Snapshot};
use barrow_types::{DatasetId, Step};
use serde_json::{Value, json};

use super::super::App;
use super::super::columns::REASON;
use super::super::error::{Code, Problem};
use super::super::facts::json::{Fields, fault};
use super::super::facts::stated::{Cell, Context, Fact, Group, Stated, state};
use super::super::params::{Known, Params};
use super::super::table::instant;
use super::document;
use super::named::{FEATURES, fact, history, history_key, promoted, promoted_key, read};
use super::reader::{BETWEEN, is_taken};

const STATING: Known = Known { built: &["batch_id"], not_built: &[] };
const SHOWING: Known = Known { built: &[], not_built: &[] };

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
    let params = Params::parse(query.as_deref(), &STATING)?;
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
    let params = Params::parse(query.as_deref(), &STATING)?;
    let of = name.clone();
    let answer = Arc::new(OnceLock::new());
    let seen = Arc::clone(&answer);
    state(&app, &params, &headers, body, move |context, value| {
        let fields = Fields::of(value, "", &["version"])?;
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
    Params::parse(query.as_deref(), &SHOWING)?;
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
    Params::parse(query.as_deref(), &SHOWING)?;
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
