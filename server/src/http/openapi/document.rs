//! The declarations of all routes as one OpenAPI 3.1 document.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::super::ALWAYS;
use super::super::encode::Format;
use super::super::error::Code;
use super::super::status::METRICS_TYPE;
use super::operation::{Answer, Body, Columns, Operation, Param, Rows, Tag};
use super::shape::{Shape, Type, describe};

/// A route as it is declared: its path, and what it does.
pub(crate) type Declared = (String, &'static Operation);

const ABOUT: &str = "\
Barrow keeps time series of market data and serves features of them. Ranges are `[start, end)`. \
Times in are RFC 3339 with an offset, whole nanoseconds since 1970, or a date, which means a \
session by each symbol's calendar. An empty parameter counts as left out; one that a route does \
not know is refused. Answers are JSON, CSV, Arrow or Parquet, as `Accept` or `format=` says. A \
failure after the first byte breaks the body off, so that a part of an answer never looks whole. \
A body may be compressed with gzip or zstd, as `Content-Encoding` says.";

/// The document of these routes.
pub(crate) fn document(routes: &[Declared]) -> Value {
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    let mut shapes: BTreeMap<&str, &'static Shape> = BTreeMap::new();
    for (path, operation) in routes {
        let told = told(path, operation);
        paths.entry(path).or_default().insert(operation.verb.name().to_owned(), told);
        visit(operation, &mut |shape| {
            let other = shapes.insert(shape.name, shape);
            // The name is all that tells them apart.
            debug_assert!(other.is_none_or(|other| std::ptr::eq(other, shape)), "{}", shape.name);
        });
    }
    let mut schemas: Map<String, Value> =
        shapes.into_values().map(|shape| (shape.name.to_owned(), shape.schema())).collect();
    schemas.insert("Problem".to_owned(), problem_schema());
    let tags = Tag::ALL.map(Tag::told);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Barrow",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": tags.map(|(name, about)| json!({"name": name, "description": about})),
        // Without keys the server asks for none: either is right.
        "security": [{"key": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"key": {
                "type": "http",
                "scheme": "bearer",
                "description": "A key of `[auth] keys_file`, where there is one: of role read to \
                                ask, write to change",
            }},
        },
    })
}

/// Hands every shape of an operation to `see`.
fn visit(operation: &'static Operation, see: &mut impl FnMut(&'static Shape)) {
    let formats = operation.body.iter().flat_map(|body| body.formats);
    formats.filter_map(|format| format.of).for_each(|of| of.visit(see));
    match operation.answer {
        Answer::Json(shape) | Answer::Report(shape) => shape.visit(see),
        _ => {}
    }
}

fn told(path: &str, operation: &Operation) -> Value {
    let in_path = operation.path.iter().map(|param| parameter(param, "path"));
    let in_query = operation.query.iter().map(|param| parameter(param, "query"));
    let in_header = operation.headers.iter().map(|param| parameter(param, "header"));
    let mut about = operation.about.to_owned();
    if !operation.not_built.is_empty() {
        let names = operation.not_built.join(", ");
        about.push_str(&format!(" Not available in this version: {names}."));
    }
    let mut told = json!({
        "operationId": operation.id,
        "tags": [operation.tag.told().0],
        "summary": operation.summary,
        "parameters": in_path.chain(in_query).chain(in_header).collect::<Vec<_>>(),
        "responses": responses(path, operation),
    });
    describe(&mut told, about.trim());
    if ALWAYS.contains(&path) {
        told["security"] = json!([]);
    }
    if let Some(body) = &operation.body {
        told["requestBody"] = request_body(body, operation.example.1);
    }
    if !operation.example.0.is_empty() {
        told["x-example"] = operation.example.0.into();
    }
    told
}

fn parameter(param: &Param, place: &str) -> Value {
    let mut schema = param.of.schema();
    if let Some(default) = param.default {
        let default: Value = serde_json::from_str(default).expect("invariant: defaults are JSON");
        schema["default"] = default;
    }
    let mut told = json!({
        "name": param.name,
        "in": place,
        "required": param.is_required,
        "schema": schema,
    });
    describe(&mut told, param.about);
    if place == "query" {
        // It counts as left out.
        told["allowEmptyValue"] = true.into();
    }
    if matches!(param.of, Type::List(_)) {
        told["style"] = "form".into();
        told["explode"] = false.into();
    }
    told
}

fn request_body(body: &Body, example: &str) -> Value {
    let mut content = Map::new();
    for format in body.formats {
        let mut told = match format.of {
            Some(of) => json!({"schema": of.schema()}),
            None => json!({}),
        };
        // Examples are of the first format.
        if content.is_empty() && !example.is_empty() {
            let text = || Value::String(example.to_owned());
            told["example"] = serde_json::from_str(example).unwrap_or_else(|_| text());
        }
        content.insert(format.media_type.to_owned(), told);
    }
    json!({"description": body.about, "required": body.is_required, "content": content})
}

fn responses(path: &str, operation: &Operation) -> Map<String, Value> {
    let mut responses = Map::new();
    if let Some(content) = content(operation.answer) {
        let good = json!({"description": operation.summary, "content": content});
        responses.insert("200".to_owned(), good);
    }
    let mut of_status: BTreeMap<u16, Vec<&'static str>> = BTreeMap::new();
    for code in problems(path, operation) {
        let (status, name, _) = code.row();
        let codes = of_status.entry(status).or_default();
        if !codes.contains(&name) {
            codes.push(name);
        }
    }
    for (status, codes) in of_status {
        let schema = json!({
            "allOf": [{"$ref": "#/components/schemas/Problem"}],
            "properties": {"code": {"enum": codes}},
        });
        let mut told = json!({
            "description": codes.join(", "),
            "content": {"application/problem+json": {"schema": schema}},
        });
        if status == 503 {
            let seconds = json!({"type": "integer"});
            told["headers"] = json!({"Retry-After": {"schema": seconds}});
        }
        responses.insert(status.to_string(), told);
    }
    responses
}

/// All that an operation may answer if not all is well.
fn problems(path: &str, operation: &Operation) -> Vec<Code> {
    let mut codes = vec![Code::Internal];
    if !ALWAYS.contains(&path) {
        codes.extend([Code::Unauthorized, Code::Forbidden, Code::Busy]);
    }
    if path.starts_with("/v1/") && !matches!(operation.answer, Answer::Never) {
        codes.extend([Code::UnknownParameter, Code::InvalidParameter]);
    }
    if !operation.not_built.is_empty() {
        codes.push(Code::NotAvailable);
    }
    if operation.body.is_some() {
        codes.extend([Code::InvalidBody, Code::Timeout, Code::TooLarge]);
        codes.push(Code::UnsupportedMediaType);
    }
    if matches!(operation.answer, Answer::Table(_) | Answer::Report(_) | Answer::Rows(_)) {
        codes.push(Code::NotAcceptable);
    }
    codes.extend(operation.problems.iter().copied().flatten());
    codes
}

/// The formats of a good answer, if there is one.
fn content(answer: Answer) -> Option<Value> {
    let text = json!({"schema": {"type": "string"}});
    Some(match answer {
        Answer::Never => return None,
        Answer::Text => json!({"text/plain; charset=utf-8": text}),
        Answer::Page => json!({"text/html; charset=utf-8": text}),
        Answer::Metrics => json!({METRICS_TYPE: text}),
        Answer::Events => json!({"text/event-stream": text}),
        Answer::Document => json!({"application/json": {"schema": {"type": "object"}}}),
        Answer::Json(shape) => {
            json!({"application/json": {"schema": Type::Object(shape).schema()}})
        }
        Answer::Report(shape) => formats(Type::Object(shape).schema()),
        Answer::Table(columns) => formats(table(columns)),
        Answer::Rows(rows) => formats(pages(rows)),
    })
}

/// Every format of an answer whose JSON looks as `schema` says.
fn formats(schema: Value) -> Value {
    let told = |format: Format| match format {
        Format::Json => json!({"schema": schema}),
        Format::Csv => json!({"schema": {"type": "string"}}),
        Format::Arrow | Format::Parquet => json!({}),
    };
    let all = Format::ALL.map(|format| (format.media_type().to_owned(), told(format)));
    Value::Object(all.into_iter().collect())
}

/// A cell of a column of that type: of any there may be no value.
fn cell(kind: &str) -> Value {
    match kind {
        "i64" => json!({"type": ["integer", "null"]}),
        "f64" => json!({"type": ["number", "null"]}),
        "bool" => json!({"type": ["boolean", "null"]}),
        "timestamp" => json!({"type": ["string", "null"], "format": "date-time"}),
        "date" => json!({"type": ["string", "null"], "format": "date"}),
        _ => json!({"type": ["string", "null"]}),
    }
}

/// The members that all tables have.
fn of_table(row: Value) -> Map<String, Value> {
    let column = json!({
        "type": "object",
        "properties": {
            "name": {"type": "string"},
            "type": {"enum": ["text", "i64", "f64", "bool", "timestamp", "date"]},
        },
        "required": ["name", "type"],
        "additionalProperties": false,
    });
    let members = json!({
        "columns": {"type": "array", "items": column},
        "rows": {"type": "array", "items": row},
        "complete": {"const": true},
        "warnings": {"type": "array", "items": {"type": "string"}},
    });
    match members {
        Value::Object(members) => members,
        _ => unreachable!("invariant: it is an object"),
    }
}

fn row(columns: impl Iterator<Item = (&'static str, &'static str)>, is_open: bool) -> Value {
    let cells: Map<String, Value> =
        columns.map(|(name, kind)| (name.to_owned(), cell(kind))).collect();
    json!({"type": "object", "properties": cells, "additionalProperties": is_open})
}

/// A table that is made at once.
fn table(columns: Columns) -> Value {
    json!({
        "type": "object",
        "properties": of_table(row(columns.iter().copied(), false)),
        "required": ["columns", "rows", "complete"],
        "additionalProperties": false,
    })
}

/// Rows that are sent while they are read.
fn pages(rows: Rows) -> Value {
    let columns = rows.columns().into_iter().map(|column| (column.name(), column.kind().name()));
    let mut members = of_table(row(columns, rows.is_open()));
    members.insert("calendar".to_owned(), json!({"type": "string"}));
    members.insert("sequence".to_owned(), json!({"type": "integer"}));
    members.insert("cursor".to_owned(), json!({"type": "string"}));
    json!({
        "type": "object",
        "properties": members,
        "required": ["columns", "rows", "complete", "calendar", "sequence"],
        "additionalProperties": false,
    })
}

/// RFC 9457. Some problems have members of their own.
fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "What is wrong, and what to do",
        "properties": {
            "type": {"type": "string", "pattern": "^urn:barrow:problem:"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string", "description": "For persons"},
            "code": {"type": "string", "description": "For programs"},
            "field": {"type": "string", "description": "The parameter, header or field"},
        },
        "required": ["type", "title", "status", "detail", "code"],
    })
}
