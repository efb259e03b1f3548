//! Which jobs are at work: the oldest that wait, so many at a time.

use std::time::Duration;

use serde_json::Value;
use tokio::task::{JoinHandle, JoinSet};

use super::kinds::Kind;
use super::store::{End, Jobs, passes};
use super::work::{Broken, Wish, Work};
use crate::http::error::Problem;
use crate::http::inside::Inside;
use crate::writer::IntakeError;

/// First pause after a change could not be stored for want of room; doubles each time.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Begins what waits, and whatever comes, until the server stops; returns when no job is at work.
/// `inside` takes the requests that work makes.
pub(crate) fn start(jobs: Jobs, inside: Inside, at_once: u32) -> JoinHandle<()> {
    let at_once = usize::try_from(at_once).unwrap_or(usize::MAX);
    tokio::spawn(run(jobs, inside, at_once))
}

async fn run(jobs: Jobs, inside: Inside, at_once: usize) {
    let mut stopping = jobs.stopping();
    let mut changes = jobs.changes();
    let mut working = JoinSet::new();
    let mut pause = PAUSE_MIN;
    while !*stopping.borrow_and_update() {
        changes.borrow_and_update();
        let mut again = None;
        while working.len() < at_once
            && let Some(id) = jobs.next()
        {
            match jobs.begin(id, &inside).await {
                Ok(begun) => {
                    pause = PAUSE_MIN;
                    if let Some((kind, work)) = begun {
                        working.spawn(execute(jobs.clone(), kind, work));
                    }
                }
                Err(IntakeError::Stopping) => break,
                Err(error) if passes(&error) => {
                    again = Some(pause);
                    pause = (pause * 2).min(PAUSE_MAX);
                    break;
                }
                Err(error) => jobs.stick(id, &told(error)),
            }
        }
        let retry = async {
            match again {
                Some(pause) => tokio::time::sleep(pause).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = stopping.changed() => {}
            _ = changes.changed(), if again.is_none() => {}
            _ = working.join_next(), if !working.is_empty() => {}
            () = retry => {}
        }
    }
    while working.join_next().await.is_some() {}
}

fn told(error: IntakeError) -> String {
    Problem::from(error).detail
}

/// Does the work of a job that was begun, and stores how it ended.
async fn execute(jobs: Jobs, kind: &'static dyn Kind, work: Work) {
    let id = work.id();
    tracing::info!(job = id, kind = kind.name(), "a job is at work");
    let work = std::sync::Arc::new(work);
    let at_work = std::sync::Arc::clone(&work);
    // A task of its own: a panic ends the job, not the others.
    let done = tokio::spawn(async move { kind.run(&at_work).await }).await;
    let end = match done {
        Ok(done) => end_of(done, work.wish()),
        Err(error) => {
            tracing::error!(job = id, %error, "a job panicked");
            End::Failed("a fault of the server; its log says more".to_owned())
        }
    };
    match &end {
        End::Succeeded(_) => tracing::info!(job = id, "a job has ended"),
        End::Failed(why) => tracing::warn!(job = id, why, "a job has failed"),
        End::Cancelled => tracing::info!(job = id, "a job was cancelled"),
        End::Later => tracing::info!(job = id, "a job goes on when the server starts again"),
    }
    store(&jobs, id, end).await;
}

fn end_of(done: Result<Value, Broken>, wish: Wish) -> End {
    match done {
        Ok(summary) => End::Succeeded(summary),
        Err(Broken::Failed(why)) => End::Failed(why),
        Err(Broken::Stopped) if wish == Wish::Cancel => End::Cancelled,
        Err(Broken::Stopped) => End::Later,
    }
}

/// Stores how a job ended, when there is room for that; what is not stored when the server stops is
/// done again.
async fn store(jobs: &Jobs, id: u64, mut end: End) {
    let mut stopping = jobs.stopping();
    let mut pause = PAUSE_MIN;
    loop {
        let error = match jobs.end(id, &end).await {
            Ok(()) | Err(IntakeError::Stopping) => return,
            Err(error) => error,
        };
        if passes(&error) {
            if *stopping.borrow_and_update() {
                return;
            }
            tracing::warn!(job = id, ?error, "how a job ended could not be stored yet");
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = stopping.changed() => {}
            }
            pause = (pause * 2).min(PAUSE_MAX);
        } else if let End::Succeeded(_) = end
            && !is_of_disk(&error)
        {
            end = End::Failed(format!("its summary could not be stored: {}", told(error)));
        } else {
            let why = format!("how it ended could not be stored: {}", told(error));
            tracing::error!(
                job = id,
                why,
                "how a job ended could not be stored: it goes on after a restart"
            );
            jobs.stick(id, &why);
            return;
        }
    }
}

fn is_of_disk(error: &IntakeError) -> bool {
    let kind = match error {
        IntakeError::Engine(error) => Some(error.kind()),
        IntakeError::Busy | IntakeError::Stopping => None,
    };
    kind == Some(barrow_engine::ErrorKind::Disk)
}
