//! Long work of the server: started, listed, watched, ended, begun again.

use std::fmt;
use std::time::Duration;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::batch_id::random_batch_id;
use crate::client::Client;
use crate::error::ClientError;

/// How long the server is asked to wait for news of a job before it answers.
const WAIT: Duration = Duration::from_secs(10);

/// How far a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobState {
    /// Not begun, or broken off by the end of the server and to go on.
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

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        })
    }
}

/// A job as the server shows it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct Job {
    /// Its number.
    pub job_id: String,
    /// How far it is.
    pub state: JobState,
    /// When it was asked for, nanoseconds UTC.
    pub created_ts: i64,
    /// When it was first at work.
    pub start_ts: Option<i64>,
    /// When it ended.
    pub end_ts: Option<i64>,
    /// Who asked for it.
    pub source: String,
    /// What it was asked to do: `kind`, and what jobs of that kind take.
    pub params: Value,
    /// Under which id it was asked for.
    pub request_id: Option<String>,
    /// The job that it does again.
    pub retry_of: Option<String>,
    /// From 0 to 1.
    pub progress: f64,
    /// While it is at work, what it did so far and what there is to do, if jobs of its kind count
    /// that: of an import `files`, `files_total`, `rows`, `bytes`, `bytes_total`.
    #[serde(default)]
    pub done: Option<Value>,
    /// What came of it, by its kind.
    pub summary: Option<Value>,
    /// Why it failed, or why it cannot go on.
    pub error: Option<String>,
}

impl Job {
    /// Whether nothing more will happen.
    pub const fn has_ended(&self) -> bool {
        !matches!(self.state, JobState::Pending | JobState::Running)
    }

    /// Whether nothing more will happen before a person does something: it has ended, or the
    /// server cannot store how it goes on.
    pub const fn is_at_rest(&self) -> bool {
        self.has_ended() || self.error.is_some()
    }

    /// The name of its kind.
    pub fn kind(&self) -> &str {
        self.params["kind"].as_str().unwrap_or_default()
    }
}

/// A job to be started.
///
/// ```
/// use barrow_client::JobRequest;
///
/// let request = JobRequest::new("verify").request_id("nightly-2024-05-03");
/// assert_eq!(request.kind, "verify");
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobRequest {
    /// What is to be done: `backup`, `compact`, `import`, `verify`, `verify_features`,
    /// `lint_features`.
    pub kind: String,
    /// What jobs of this kind take.
    pub params: Map<String, Value>,
    /// The same id is the same job, however often it is asked for; a random one unless said.
    pub request_id: Option<String>,
}

impl JobRequest {
    /// A job of that kind.
    pub fn new(kind: impl Into<String>) -> Self {
        Self { kind: kind.into(), ..Self::default() }
    }

    /// A parameter of the kind.
    #[must_use]
    pub fn param(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.params.insert(name.into(), value.into());
        self
    }

    /// The id under which it may be asked for again.
    #[must_use]
    pub fn request_id(mut self, id: impl Into<String>) -> Self {
        self.request_id = Some(id.into());
        self
    }

    fn body(&self) -> Result<Value, ClientError> {
        let mut body = self.params.clone();
        body.insert("kind".to_owned(), json!(self.kind));
        body.insert("request_id".to_owned(), json!(request_id(self.request_id.as_ref())?));
        Ok(Value::Object(body))
    }
}

/// Which jobs to list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct JobsQuery {
    /// Only in this state, such as `RUNNING`; several with commas.
    pub state: Option<String>,
    /// Only of this kind; several with commas.
    pub kind: Option<String>,
    /// At most so many; 100 unless said.
    pub limit: Option<u64>,
    /// The number of the last one seen: the list goes on behind it.
    pub cursor: Option<String>,
}

impl JobsQuery {
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let limit = self.limit.map(|limit| limit.to_string());
        let all = [
            ("state", &self.state),
            ("kind", &self.kind),
            ("limit", &limit),
            ("cursor", &self.cursor),
        ];
        all.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))).collect()
    }
}

fn request_id(chosen: Option<&String>) -> Result<String, ClientError> {
    chosen.map_or_else(random_batch_id, |id| Ok(id.clone()))
}

/// Where a job is; numbers only, so that no text becomes another path.
fn path(id: &str) -> Result<String, ClientError> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(ClientError::Invalid(format!("{id:?} is not the number of a job, such as 17")));
    }
    Ok(format!("/v1/jobs/{id}"))
}

impl Client {
    /// Starts a job of `kind` (`compact`, `verify`) without parameters and returns at once.
    ///
    /// # Errors
    /// As [`Client::start_job_with`].
    pub async fn start_job(&self, kind: &str) -> Result<Job, ClientError> {
        self.start_job_with(&JobRequest::new(kind)).await
    }

    /// Starts a job and returns when the server has stored it; it is done then, sooner or later,
    /// even if the server is restarted. Tried again as rows are, under the same request id.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 400 for a kind or parameter that there is not;
    /// [`ClientError::Conflict`] if another job was asked for under this request id.
    pub async fn start_job_with(&self, request: &JobRequest) -> Result<Job, ClientError> {
        let request = self.request(Method::POST, "/v1/jobs", &[]).json(&request.body()?);
        self.read_json(request, "start a job").await
    }

    /// Looks at a job.
    ///
    /// # Errors
    /// [`ClientError::Problem`] with status 404 if the server does not know it (any more).
    pub async fn job(&self, id: &str) -> Result<Job, ClientError> {
        self.job_after(id, Duration::ZERO).await
    }

    /// Looks at a job once its state has changed, or after `wait`, whole seconds up to 30.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn job_after(&self, id: &str, wait: Duration) -> Result<Job, ClientError> {
        let wait = [("wait", wait.as_secs().to_string())];
        let request = self.request(Method::GET, &path(id)?, &wait);
        self.read_json(request, "look at a job").await
    }

    /// Returns once a job is at rest: it has ended, however, or the server's disk has failed.
    ///
    /// # Errors
    /// As [`Client::job`].
    pub async fn wait_for_job(&self, id: &str) -> Result<Job, ClientError> {
        loop {
            let job = self.job_after(id, WAIT).await?;
            if job.is_at_rest() {
                return Ok(job);
            }
        }
    }

    /// Ends a job that has not ended; returns it when it has.
    ///
    /// # Errors
    /// [`ClientError::Conflict`] if it has succeeded or failed, [`ClientError::Problem`] with
    /// status 404 as [`Client::job`].
    pub async fn cancel_job(&self, id: &str) -> Result<Job, ClientError> {
        let request = self.request(Method::POST, &format!("{}/cancel", path(id)?), &[]);
        self.read_json(request, "cancel a job").await
    }

    /// Starts a job that does again what job `id` did not do.
    ///
    /// # Errors
    /// [`ClientError::Conflict`] if it has neither failed nor been cancelled,
    /// [`ClientError::Problem`] with status 404 as [`Client::job`].
    pub async fn retry_job(&self, id: &str) -> Result<Job, ClientError> {
        let request = self.request(Method::POST, &format!("{}/retry", path(id)?), &[]);
        let request = request.json(&json!({ "request_id": request_id(None)? }));
        self.read_json(request, "retry a job").await
    }

    /// The jobs that the server remembers, the newest first.
    ///
    /// # Errors
    /// [`ClientError::Problem`] as the server reports it.
    pub async fn list_jobs(&self, query: &JobsQuery) -> Result<Vec<Job>, ClientError> {
        #[derive(Deserialize)]
        struct Jobs {
            jobs: Vec<Job>,
        }
        let request = self.request(Method::GET, "/v1/jobs", &query.pairs());
        Ok(self.read_json::<Jobs>(request, "list jobs").await?.jobs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_leads_to_another_path() {
        assert_eq!(path("17").unwrap(), "/v1/jobs/17");
        for id in ["", "../datasets", "17/cancel", "17?wait=1", "x", "-1"] {
            assert!(path(id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_request_without_an_id_gets_one_that_nobody_else_has() {
        let request = JobRequest::new("verify").param("deep", true);
        let [one, other] = [request.body().unwrap(), request.body().unwrap()];
        assert_eq!((&one["kind"], &one["deep"]), (&json!("verify"), &json!(true)));
        assert_ne!(one["request_id"], other["request_id"]);
        assert_eq!(request.request_id("me").body().unwrap()["request_id"], "me");
    }
}
