//! Small answers as JSON tables of the contract's shape.

use axum::Json;
use axum::response::{IntoResponse, Response};
use barrow_types::Timestamp;
use serde_json::{Value, json};

use super::time::Zone;

/// A JSON table: columns as (name, type), rows as objects.
pub(crate) fn table(columns: &[(&str, &str)], rows: &[Value]) -> Response {
    let columns: Vec<Value> =
        columns.iter().map(|(name, kind)| json!({"name": name, "type": kind})).collect();
    Json(json!({"columns": columns, "rows": rows, "complete": true})).into_response()
}

/// An instant as text.
pub(crate) fn instant(at: Timestamp) -> Value {
    let mut text = Vec::new();
    Zone::Utc.write(at, &mut text);
    Value::String(String::from_utf8(text).expect("invariant: times are ASCII"))
}
