//! Long work that a request starts and does not wait for: compactions and verifications.
//!
//! Jobs live in memory: a restart forgets them, which harms nobody, because each may simply be
//! asked for again. The oldest that have ended are forgotten when there are [`JOBS_MAX`].

use std::collections::VecDeque;
use std::sync::Arc;

use barrow_types::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::clock;

/// Jobs that are remembered.
const JOBS_MAX: usize = 1_000;

/// What kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Merging all segments that can be merged.
    Compact,
    /// Reading every block of every live segment.
    Verify,
}

impl Kind {
    /// Every kind there is.
    pub(crate) const ALL: [Self; 2] = [Self::Compact, Self::Verify];

    /// Its name in requests.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::Verify => "verify",
        }
    }
}

/// How far a job is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum State {
    /// At work.
    Running,
    /// Done, and what came of it.
    Succeeded(Value),
    /// Not done, and why.
    Failed(String),
}

/// A job.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    id: u64,
    kind: Kind,
    started: Timestamp,
    ended: Option<Timestamp>,
    state: State,
}

impl Job {
    /// As the contract shows a job.
    pub(crate) fn to_json(&self) -> Value {
        let (state, progress, summary, error) = match &self.state {
            State::Running => ("RUNNING", 0.0, Value::Null, Value::Null),
            State::Succeeded(summary) => ("SUCCEEDED", 1.0, summary.clone(), Value::Null),
            State::Failed(error) => ("FAILED", 0.0, Value::Null, json!(error)),
        };
        json!({
            "job_id": self.id.to_string(),
            "state": state,
            "start_ts": self.started.nanos(),
            "end_ts": self.ended.map(Timestamp::nanos),
            "source": "request",
            "params": { "kind": self.kind.name() },
            "progress": progress,
            "summary": summary,
            "error": error,
        })
    }
}

/// Every job that is remembered. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Jobs(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    jobs: VecDeque<Job>,
    last: u64,
}

impl Jobs {
    /// Notes that a job has begun; `None` if as many as are remembered are at work.
    pub(crate) fn begin(&self, kind: Kind) -> Option<Job> {
        let mut inner = self.0.lock();
        if inner.jobs.len() >= JOBS_MAX {
            let ended = inner.jobs.iter().position(|job| job.ended.is_some())?;
            inner.jobs.remove(ended);
        }
        inner.last += 1;
        let job =
            Job { id: inner.last, kind, started: clock::now(), ended: None, state: State::Running };
        inner.jobs.push_back(job.clone());
        Some(job)
    }

    /// Notes how `job` ended.
    pub(crate) fn end(&self, job: &Job, state: State) {
        let mut inner = self.0.lock();
        if let Some(known) = inner.jobs.iter_mut().find(|known| known.id == job.id) {
            known.ended = Some(clock::now());
            known.state = state;
        }
    }

    /// The job of that id.
    pub(crate) fn get(&self, id: &str) -> Option<Job> {
        self.0.lock().jobs.iter().find(|job| job.id.to_string() == id).cloned()
    }

    /// All of them, the newest first.
    pub(crate) fn list(&self) -> Vec<Job> {
        self.0.lock().jobs.iter().rev().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_jobs_that_have_ended_are_forgotten() {
        let jobs = Jobs::default();
        let begun: Vec<Job> = std::iter::from_fn(|| jobs.begin(Kind::Verify)).collect();
        assert_eq!(begun.len(), JOBS_MAX);
        jobs.end(&begun[7], State::Succeeded(json!({})));
        assert!(jobs.begin(Kind::Compact).is_some());
        assert!(jobs.get("8").is_none() && jobs.get("1").is_some());
        assert!(jobs.begin(Kind::Compact).is_none());
        assert_eq!(jobs.list()[0].to_json()["params"]["kind"], "compact");
    }
}
