//! What a job is.

use barrow_types::Timestamp;
use serde_json::{Map, Value, json};

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Not begun, or broken off by the end of the server and to go on.
    Pending,
    /// At work.
    Running,
    /// Done.
    Succeeded,
    /// Not done; its error says why.
    Failed,
    /// Ended because somebody wanted it to.
    Cancelled,
}

impl State {
    /// Every state.
    pub(crate) const ALL: [Self; 5] =
        [Self::Pending, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// Its name in answers and in the ledger.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// The state of that name, in letters of either case.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name().eq_ignore_ascii_case(name))
    }

    /// Whether nothing more will happen.
    pub(crate) const fn has_ended(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// What somebody asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    /// The name of its kind.
    pub(crate) kind: String,
    /// What the request said: the kind and the kind's own parameters.
    pub(crate) params: Value,
    /// What makes it safe to ask again: the same id is the same job.
    pub(crate) request_id: Option<String>,
    /// The job that it does again.
    pub(crate) retry_of: Option<u64>,
}

impl Asked {
    /// The kind's own parameters; `None` if another version stored something else.
    pub(super) fn own_params(&self) -> Option<Map<String, Value>> {
        let mut params = self.params.as_object()?.clone();
        params.remove("kind");
        Some(params)
    }
}

/// A job, as its newest row says.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Job {
    /// Its number, from 1.
    pub(crate) id: u64,
    /// What is to be done.
    pub(crate) asked: Asked,
    /// Who asked.
    pub(crate) source: String,
    /// When it was asked for.
    pub(crate) created: Timestamp,
    /// When it was first at work.
    pub(crate) started: Option<Timestamp>,
    /// When it ended.
    pub(crate) ended: Option<Timestamp>,
    /// How far it is.
    pub(crate) state: State,
    /// The same, from 0 to 1.
    pub(crate) progress: f64,
    /// While it is at work, what it did and what there is to do, by its kind; not stored.
    pub(crate) done: Option<Value>,
    /// How often it was begun since it last got on: a job that ends the server is not begun for
    /// ever.
    pub(crate) attempts: i64,
    /// Where it can go on, by its kind.
    pub(crate) checkpoint: Option<Value>,
    /// What came of it, by its kind.
    pub(crate) summary: Option<Value>,
    /// Why it failed, or why it cannot go on.
    pub(crate) error: Option<String>,
}

impl Job {
    /// A job that was just asked for.
    pub(crate) const fn new(id: u64, asked: Asked, source: String, created: Timestamp) -> Self {
        Self {
            id,
            asked,
            source,
            created,
            started: None,
            ended: None,
            state: State::Pending,
            progress: 0.0,
            done: None,
            attempts: 0,
            checkpoint: None,
            summary: None,
            error: None,
        }
    }

    /// As the contract shows a job.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "job_id": self.id.to_string(),
            "state": self.state.name(),
            "created_ts": self.created.nanos(),
            "start_ts": self.started.map(Timestamp::nanos),
            "end_ts": self.ended.map(Timestamp::nanos),
            "source": self.source,
            "params": self.asked.params,
            "request_id": self.asked.request_id,
            "retry_of": self.asked.retry_of.map(|id| id.to_string()),
            "progress": self.progress,
            "done": self.done,
            "summary": self.summary,
            "error": self.error,
        })
    }
}
