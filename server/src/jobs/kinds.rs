//! The kinds of jobs. A new one is a file beside these and a line in [`KINDS`].

mod backup;
mod check_features;
mod compact;
mod import;
mod verify;

use std::panic::resume_unwind;
use std::pin::Pin;

use serde_json::{Map, Value};

use super::work::{Broken, Work};
use crate::config::Config;
use crate::http::features::{LintSum, VerifySum};
use crate::http::openapi::{Field, Shape, Type};
use check_features::CheckFeatures;

/// What comes of a job: its summary, or why there is none.
pub(crate) type Outcome<'a> = Pin<Box<dyn Future<Output = Result<Value, Broken>> + Send + 'a>>;

/// A parameter of a job that says what it must not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadParam {
    /// Its name.
    pub(crate) field: String,
    /// What is wrong with it.
    pub(crate) fault: String,
}

/// A kind of jobs.
pub(crate) trait Kind: Sync {
    /// Its name in requests.
    fn name(&self) -> &'static str;

    /// Whether a job of this kind can be done with these parameters, `kind` not among them, and
    /// these settings. Asked when a job comes in, and again before each time it is begun: another
    /// version, or one with other settings, may have taken it.
    ///
    /// # Errors
    /// The first parameter that is unknown, missing or wrong.
    fn check(&self, params: &Map<String, Value>, config: &Config) -> Result<(), BadParam>;

    /// Does the work, or goes on with it from its checkpoint. It looks up more often than every
    /// 100 ms whether it is to stop, or between two batches that it hands in, and leaves nothing
    /// behind if it does that cannot be there when it is begun anew.
    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a>;
}

/// Every kind there is.
pub(crate) static KINDS: [&dyn Kind; 6] = [
    &backup::Backup,
    &compact::Compact,
    &import::Import,
    &verify::Verify,
    &CheckFeatures::<VerifySum>::new("verify_features"),
    &CheckFeatures::<LintSum>::new("lint_features"),
];

/// The kind of that name.
pub(crate) fn kind(name: &str) -> Option<&'static dyn Kind> {
    KINDS.into_iter().find(|kind| kind.name() == name)
}

/// Does what takes a processor or a disk for a while.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Broken> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done),
        Err(error) if error.is_panic() => resume_unwind(error.into_panic()),
        Err(_) => Err(Broken::Stopped),
    }
}

/// What the body of a request for a job of any kind is.
pub(crate) const ASKED: Type = Type::Either(&[
    Type::Object(&backup::ASKED),
    Type::Object(&compact::ASKED),
    Type::Object(&import::ASKED),
    Type::Object(&verify::ASKED),
    Type::Object(&check_features::VERIFY),
    Type::Object(&check_features::LINT),
]);

/// What all kinds take.
pub(crate) const REQUEST_ID: Field =
    Field::maybe("request_id", Type::Text, "The same id is the same job");

/// Refuses parameters that are none of what a request of this kind may say.
fn check_names(params: &Map<String, Value>, asked: &Shape) -> Result<(), BadParam> {
    let names = asked.names();
    match params.keys().find(|name| !names.contains(&name.as_str())) {
        None => Ok(()),
        Some(field) => {
            let fault = "there is no such field in jobs of this kind".to_owned();
            Err(BadParam { field: field.clone(), fault })
        }
    }
}
