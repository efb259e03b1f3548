//! Long work of the server: started, looked at, waited for.

use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::Client;
use crate::error::ClientError;

/// First pause between two looks at a job; doubles up to [`LOOK_PAUSE_MAX`].
const LOOK_PAUSE_MIN: Duration = Duration::from_millis(20);
/// Longest pause between two looks at a job.
const LOOK_PAUSE_MAX: Duration = Duration::from_secs(1);

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Not begun.
    Pending,
    /// At work.
    Running,
    /// Done.
    Succeeded,
    /// Not done; [`Job::error`] says why.
    Failed,
    /// Ended because somebody wanted it to.
    Cancelled,
}

/// A job as the server shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its number.
    pub job_id: String,
    /// How far it is.
    pub state: JobState,
    /// When it began, nanoseconds UTC.
    pub start_ts: i64,
    /// When it ended.
    pub end_ts: Option<i64>,
    /// What it was asked to do.
    pub params: Value,
    /// From 0 to 1.
    pub progress: f64,
    /// What came of it, by its kind.
    pub summary: Option<Value>,
    /// Why it failed.
    pub error: Option<String>,
}

impl Job {
    /// Whether nothing more will happen.
    pub const fn has_ended(&self) -> bool {
        !matches!(self.state, JobState::Pending | JobState::Running)
    }
}

impl Client {
    /// Starts a job of `kind` (`compact`, `verify`) and returns at once. An answer that is lost may
    /// leave a second job of the kind, which finds less to do.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a kind that there is not.
    pub async fn start_job(&self, kind: &str) -> Result<Job, ClientError> {
        let request = self.request(Method::POST, "/v1/jobs", &[]).json(&json!({ "kind": kind }));
        self.read_json(request, "start a job").await
    }

    /// Looks at a job.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 if the server does not know it (any more).
    pub async fn job(&self, id: &str) -> Result<Job, ClientError> {
        let request = self.request(Method::GET, &format!("/v1/jobs/{id}"), &[]);
        self.read_json(request, "look at a job").await
    }

    /// Returns once a job has ended, however.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn wait_for_job(&self, id: &str) -> Result<Job, ClientError> {
        let mut pause = LOOK_PAUSE_MIN;
        loop {
            let job = self.job(id).await?;
            if job.has_ended() {
                return Ok(job);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LOOK_PAUSE_MAX);
        }
    }

    /// The jobs that the server remembers, the newest first.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn list_jobs(&self) -> Result<Vec<Job>, ClientError> {
        #[derive(Deserialize)]
        struct Jobs {
            jobs: Vec<Job>,
        }
        let request = self.request(Method::GET, "/v1/jobs", &[]);
        Ok(self.read_json::<Jobs>(request, "list jobs").await?.jobs)
    }
}
