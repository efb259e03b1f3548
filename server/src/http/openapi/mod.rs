//! `GET /openapi.json` and `GET /docs`: the HTTP interface as it tells of itself.
//!
//! | file | holds |
//! |---|---|
//! | `shape.rs` | what values look like, declared once |
//! | `operation.rs` | what a route does, declared once beside its handler |
//! | `document.rs` | the declarations as an OpenAPI document |
//! | `page.html` | the document for persons |
//!
//! Nothing is said of a route here: its declaration names its parameters, which its handler checks
//! by it, and the router takes no route without one (`routes.rs`).

mod document;
mod operation;
mod shape;

use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

pub(crate) use document::{Declared, document};
pub(crate) use operation::{
    Answer, Body, Columns, FINDS, Format, JUDGES, Operation, Param, READS, Rows, Tag, Verb, WAITS,
    WRITES,
};
pub(crate) use shape::{Field, Shape, Type};

/// The document.
pub(crate) static DOCUMENT: Operation =
    Operation { id: "openapi", summary: "This document", problems: &[], ..Operation::GET };

/// The page.
pub(crate) static PAGE: Operation = Operation {
    id: "docs",
    summary: "This document for persons, as a page",
    answer: Answer::Page,
    problems: &[],
    ..Operation::GET
};

const PAGE_HTML: &str = include_str!("page.html");

/// What the page may load: nothing but itself and the document.
const PAGE_POLICY: &str = concat!(
    "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; ",
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Answers the document, which was made when the router was.
pub(crate) fn json(document: Bytes) -> Response {
    let kind = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, kind)], document).into_response()
}

/// Answers the page.
pub(crate) async fn page() -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY)),
    ];
    (headers, PAGE_HTML).into_response()
}
