//! `compact`: merges all segments that can be merged. Broken off, it is begun anew: a merge that
//! was not installed has changed nothing.

use std::sync::Arc;
use std::time::Duration;

use barrow_engine::ErrorKind;
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, check_names};
use crate::config::Config;
use crate::http::error::Problem;
use crate::http::openapi::{Field, Shape, Type};
use crate::jobs::work::{BUSY_PAUSE, Broken, Work};
use crate::writer::{IntakeError, Wanted};

/// How often its progress is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What a request for such a job says.
pub(super) static ASKED: Shape = Shape {
    name: "CompactJob",
    about: "Merges all segments that can be merged",
    fields: &[Field::new("kind", Type::Words(|| vec!["compact"]), ""), REQUEST_ID],
};

/// See the module.
pub(super) struct Compact;

impl Kind for Compact {
    fn name(&self) -> &'static str {
        "compact"
    }

    fn check(&self, params: &Map<String, Value>, _: &Config) -> Result<(), BadParam> {
        check_names(params, &ASKED)
    }

    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a> {
        Box::pin(async move {
            let wanted = Arc::new(Wanted::default());
            let merged = tokio::select! {
                merged = merge(work, &wanted) => merged,
                () = work.stopped() => Err(Broken::Stopped),
            };
            if merged.is_err() {
                wanted.end();
            }
            merged
        })
    }
}

async fn merge(work: &Work, wanted: &Arc<Wanted>) -> Result<Value, Broken> {
    loop {
        let compacted = work.intake().compact(Arc::clone(wanted));
        tokio::pin!(compacted);
        let compacted = loop {
            match tokio::time::timeout(LOOK_EVERY, &mut compacted).await {
                Ok(compacted) => break compacted,
                Err(_) => work.progress(wanted.progress()),
            }
        };
        match compacted {
            Ok(report) => {
                return Ok(json!({
                    "segments_before": report.segments_before,
                    "segments_after": report.segments_after,
                    "bytes_before": report.bytes_before,
                    "bytes_after": report.bytes_after,
                    "rows_dropped": report.rows_dropped,
                }));
            }
            Err(IntakeError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            Err(IntakeError::Stopping) => return Err(Broken::Stopped),
            Err(IntakeError::Engine(error)) if error.kind() == ErrorKind::Stopped => {
                return Err(Broken::Stopped);
            }
            Err(error) => return Err(Broken::Failed(Problem::from(error).detail)),
        }
    }
}
