//! What became of the rows of a request: the parts' answers as one.

use axum::Json;
use axum::response::{IntoResponse, Response};
use barrow_engine::batch::{Applied, Counts, ERRORS_MAX, RowError};
use barrow_types::Sequence;
use serde::Serialize;
use serde_json::Value;

use super::error::{Code, Problem};
use super::openapi::{Answer, Field, Shape, Type};

#[derive(Serialize)]
struct Body<'a> {
    batch_id: &'a str,
    sequence: u64,
    accepted: u64,
    duplicates: u64,
    corrected: u64,
    superseded: u64,
    rejected: u64,
    errors: Vec<BodyError<'a>>,
    dead_letter: Option<String>,
    parts: usize,
    repeated: bool,
    claims: u64,
    retracted: u64,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    ignored: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    calendar: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    warning: Option<&'static str>,
}

/// The same, for the document.
pub(crate) static SUM: Shape = Shape {
    name: "Applied",
    about: "What became of the rows or facts of a request, which are durable and visible",
    fields: &[
        Field::new("batch_id", Type::Text, "The name of the batch"),
        Field::new("sequence", Type::Whole, "The last record of it: for min_sequence"),
        Field::new("accepted", Type::Whole, "New rows"),
        Field::new("duplicates", Type::Whole, "Rows that were there already"),
        Field::new("corrected", Type::Whole, "Rows that took the place of others"),
        Field::new("superseded", Type::Whole, "Rows that were known earlier than those there are"),
        Field::new("rejected", Type::Whole, "Rows that became dead letters"),
        Field::new("errors", Type::List(&Type::Object(&ERROR)), "The first 100 of these"),
        Field::or_null("dead_letter", Type::Text, "Where the rejected rows can be read"),
        Field::new("parts", Type::Whole, "In how many records it was stored"),
        Field::new("repeated", Type::Flag, "Whether all of it had been stored before"),
        Field::new("claims", Type::Whole, "Ranges that now count as delivered whole"),
        Field::new("retracted", Type::Whole, "Rows that were taken away"),
        Field::maybe("ignored", Type::List(&Type::Text), "Columns that were left out"),
        Field::maybe("calendar", Type::Words(|| vec!["none"]), "Dates were days in UTC"),
        Field::maybe("warning", Type::Text, "What a person should know"),
    ],
};

/// The good answer of everything that stores rows or facts.
pub(crate) const APPLIED: Answer = Answer::Json(&SUM);

static ERROR: Shape = Shape {
    name: "RowError",
    about: "Why a row was rejected",
    fields: &[
        Field::new("row", Type::Whole, "The row of the body, from 0"),
        Field::new("reason", Type::Text, "What kind of fault"),
        Field::new("detail", Type::Text, "The fault"),
    ],
};

/// Said where something was claimed and not taken.
const NOT_CLAIMED: &str = "the claim was not taken: a rejected row that does not tell its symbol \
                           and time may lie in any gap";

#[derive(Serialize)]
struct BodyError<'a> {
    row: u64,
    reason: &'a str,
    detail: &'a str,
}

/// The answers to the parts of one request, added up.
pub(crate) struct Sum {
    batch_id: String,
    sequence: u64,
    counts: Counts,
    errors: Vec<RowError>,
    parts: usize,
    repeated: bool,
    claims: u64,
    retracted: u64,
    claims_asked: bool,
    without_calendar: bool,
    ignored: Vec<String>,
}

impl Sum {
    /// Nothing yet.
    pub(crate) fn new(batch_id: String) -> Self {
        Self {
            batch_id,
            sequence: 0,
            counts: Counts::default(),
            errors: Vec::new(),
            parts: 0,
            repeated: true,
            claims: 0,
            retracted: 0,
            claims_asked: false,
            without_calendar: false,
            ignored: Vec::new(),
        }
    }

    /// The request claims something; bare dates of it may have been without a calendar.
    pub(crate) fn ask_claims(&mut self, without_calendar: bool) {
        self.claims_asked = true;
        self.without_calendar = without_calendar;
    }

    /// Columns of these names were left out.
    pub(crate) fn ignore(&mut self, names: Vec<String>) {
        self.ignored = names;
    }

    /// Everything up to `sequence` was there before.
    pub(crate) fn reach(&mut self, sequence: Sequence) {
        self.sequence = self.sequence.max(sequence.get());
    }

    /// Adds the answer to one part.
    pub(crate) fn add(&mut self, applied: Applied) {
        let Applied { sequence, counts, mut errors, repeated, claims, retracted, .. } = applied;
        self.claims += claims;
        self.retracted += retracted;
        self.sequence = self.sequence.max(sequence.get());
        self.counts.accepted += counts.accepted;
        self.counts.duplicates += counts.duplicates;
        self.counts.corrected += counts.corrected;
        self.counts.superseded += counts.superseded;
        self.counts.rejected += counts.rejected;
        errors.truncate(ERRORS_MAX - self.errors.len().min(ERRORS_MAX));
        self.errors.append(&mut errors);
        self.parts += 1;
        self.repeated &= repeated;
    }

    /// `problem` with what was stored before it, if anything was.
    pub(crate) fn interrupted(&self, mut problem: Problem) -> Problem {
        if self.parts > 0 {
            problem.detail = format!(
                "{} (the first {} parts of batch {} are stored; the same request again goes on \
                 from there)",
                problem.detail, self.parts, self.batch_id
            );
            problem.more.insert("parts".to_owned(), self.parts.into());
            problem.more.insert("batch_id".to_owned(), self.batch_id.clone().into());
        }
        problem
    }
}

impl IntoResponse for Sum {
    fn into_response(self) -> Response {
        let counts = &self.counts;
        let errors = self.errors.iter();
        let body = Body {
            batch_id: &self.batch_id,
            sequence: self.sequence,
            accepted: counts.accepted,
            duplicates: counts.duplicates,
            corrected: counts.corrected,
            superseded: counts.superseded,
            rejected: counts.rejected,
            errors: errors
                .map(|error| BodyError {
                    row: error.row,
                    reason: &error.reason,
                    detail: &error.detail,
                })
                .collect(),
            dead_letter: (counts.rejected > 0).then(|| dead_letter(&self.batch_id)),
            parts: self.parts,
            repeated: self.repeated && self.parts > 0,
            claims: self.claims,
            retracted: self.retracted,
            ignored: &self.ignored,
            calendar: self.without_calendar.then_some("none"),
            warning: (self.claims_asked && self.claims == 0).then_some(NOT_CLAIMED),
        };
        if counts.rejected == 0 || counts.rejected < counts.total() {
            return Json(body).into_response();
        }
        let first = match self.errors.first() {
            Some(error) => format!(", the first because of {}: {}", error.reason, error.detail),
            None => String::new(),
        };
        let detail = format!("all {} rows were rejected{first}", counts.rejected);
        let mut problem = Problem::new(Code::EveryRowRejected, detail);
        let body = serde_json::to_value(body).expect("invariant: the body is plain data");
        if let Value::Object(members) = body {
            problem.more = members;
        }
        problem.into_response()
    }
}

/// Where the rejected rows of a batch can be read.
fn dead_letter(batch_id: &str) -> String {
    let query: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("batch", batch_id).finish();
    format!("/v1/dead-letters?{query}")
}

#[cfg(test)]
mod tests {
    use barrow_types::Timestamp;

    use super::*;

    fn applied(accepted: u64, rejected: u64, repeated: bool) -> Applied {
        let error =
            |row| RowError { row, reason: "non_finite".into(), detail: "open: is NaN".into() };
        Applied {
            batch_id: "a b#1".into(),
            sequence: Sequence::new(7),
            now: Timestamp::from_nanos(0),
            counts: Counts { accepted, rejected, ..Counts::default() },
            errors: (0..rejected.min(ERRORS_MAX as u64)).map(error).collect(),
            claims: 0,
            retracted: 0,
            repeated,
        }
    }

    async fn shown(parts: &[Applied]) -> (u16, Value) {
        let mut sum = Sum::new("a b".into());
        for part in parts {
            sum.add(part.clone());
        }
        let response = sum.into_response();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn parts_are_added_up() {
        let (status, body) = shown(&[applied(3, 80, true), applied(4, 90, false)]).await;
        assert_eq!(status, 200);
        assert_eq!(body["accepted"], 7);
        assert_eq!(body["rejected"], 170);
        assert_eq!(body["errors"].as_array().unwrap().len(), ERRORS_MAX);
        assert_eq!(body["dead_letter"], "/v1/dead-letters?batch=a+b");
        assert_eq!(body["parts"], 2);
        assert_eq!(body["repeated"], false);
        assert_eq!(body["batch_id"], "a b");
    }

    #[tokio::test]
    async fn rows_that_were_all_rejected_are_a_problem_that_says_the_same() {
        let (status, body) = shown(&[applied(0, 2, false)]).await;
        assert_eq!(status, 422);
        assert_eq!(body["code"], "every_row_rejected");
        assert_eq!(body["rejected"], 2);
        assert_eq!(body["errors"][1]["row"], 1);
        let (status, body) = shown(&[applied(0, 0, true)]).await;
        assert_eq!((status, &body["repeated"]), (200, &Value::Bool(true)));
        assert_eq!(body["dead_letter"], Value::Null);
    }
}
