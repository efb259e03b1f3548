//! `backup`: copies the store to the folder `path` below `[server] backup_dir` while it takes rows.
//! Broken off, it is begun anew, and what was there of it is removed. What came of it is kept
//! before the copy gets its name, so that a job whose server ended after that knows its own work.
//! In a store that was made of a copy a job that had begun does not go on: it was about another.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use barrow_engine::disk::{Disk, OsDisk, check_path};
use barrow_engine::{CopyJob, Error, ErrorKind, StoreAtRest};
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, blocking, check_names};
use crate::config::Config;
use crate::http::error::Problem;
use crate::http::openapi::{Field, Shape, Type};
use crate::jobs::work::{BUSY_PAUSE, Broken, Work};
use crate::store_folder::{StoreFolder, ends_as_unfinished};
use crate::writer::IntakeError;

/// Why it does not go on in a store that was made of a copy.
const RESTORED: &str = "it was at work when the store was copied that this one was made of; ask \
                        for another backup if this store is to be copied, too";

/// What a request for such a job says.
pub(super) static ASKED: Shape = Shape {
    name: "BackupJob",
    about: "Copies the store while it takes rows",
    fields: &[
        Field::new("kind", Type::Words(|| vec!["backup"]), ""),
        REQUEST_ID,
        Field::new("path", Type::Text, "A folder below [server] backup_dir that is not there"),
    ],
};

/// See the module.
pub(super) struct Backup;

impl Kind for Backup {
    fn name(&self) -> &'static str {
        "backup"
    }

    fn check(&self, params: &Map<String, Value>, config: &Config) -> Result<(), BadParam> {
        path(params, config).map(|_| ())
    }

    fn run<'a>(&'a self, work: &'a Work) -> Outcome<'a> {
        Box::pin(back_up(work))
    }
}

/// The folder that is asked for, as it stands below `backup_dir`.
fn path<'a>(params: &'a Map<String, Value>, config: &Config) -> Result<&'a str, BadParam> {
    check_names(params, &ASKED)?;
    let bad = |fault: String| BadParam { field: "path".to_owned(), fault };
    if config.server.backup_dir.as_os_str().is_empty() {
        let fault = "this server makes no backups: set [server] backup_dir to the folder that they \
                     are to be made in, and restart it";
        return Err(bad(fault.to_owned()));
    }
    let path = match params.get("path") {
        Some(Value::String(path)) => path,
        Some(other) => return Err(bad(format!("{other} is not a text"))),
        None => return Err(bad("is missing: name a folder below [server] backup_dir".to_owned())),
    };
    if check_path("back up to", path).is_err() || ends_as_unfinished(Path::new(path)) {
        return Err(bad(format!(
            "{path:?} is not a folder below [server] backup_dir: write it without a / in front, \
             without . and .., and not with .unfinished at the end"
        )));
    }
    Ok(path)
}

async fn back_up(work: &Work) -> Result<Value, Broken> {
    let params = work.params();
    let bad = |bad: BadParam| Broken::Failed(format!("{}: {}", bad.field, bad.fault));
    let path = path(&params, work.config()).map_err(bad)?;
    let below = work.config().server.backup_dir.clone();
    let place = below.join(path);
    let own = instance(work.instance());
    match work.checkpoint().cloned() {
        // Before it is planned, so that the copy holds it.
        None => work.keep_for_sure(&json!({ "instance": own })).await?,
        Some(kept) if kept["instance"] != own => return Err(Broken::Failed(RESTORED.to_owned())),
        Some(kept) => {
            let place = place.clone();
            let found = blocking(move || is_there(&place, &kept).then_some(kept));
            if let Some(summary) = found.await? {
                return Ok(summary);
            }
        }
    }
    let folder = blocking(move || {
        check_below(&below, &place)?;
        StoreFolder::begin(&place)
    });
    let folder = folder.await?.map_err(Broken::Failed)?;
    let job = plan(work).await?;
    let wishes = work.wishes();
    let filled = blocking(move || {
        let copied = folder.fill(job, &mut |share| {
            wishes.progress(share);
            if wishes.go_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        copied.map(|copied| (folder, copied))
    });
    let (folder, copied) = filled.await?.map_err(broken)?;
    let summary = json!({
        "path": path,
        "instance": instance(copied.instance),
        "first_sequence": copied.first.to_string(),
        "last_sequence": copied.last.to_string(),
        "files": copied.files,
        "bytes": copied.bytes,
        "linked_files": copied.linked_files,
    });
    work.keep_for_sure(&summary).await?;
    work.check()?;
    blocking(move || folder.publish()).await?.map_err(Broken::Failed)?;
    Ok(summary)
}

/// The name of a store as the file `FORMAT` has it.
fn instance(instance: [u8; 16]) -> String {
    instance.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether the backup that was kept before it had its name has it.
fn is_there(place: &Path, kept: &Value) -> bool {
    let Ok(disk) = OsDisk::open_at_rest(place) else { return false };
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let Ok(store) = StoreAtRest::open(&disk) else { return false };
    let sequences = store.sequences();
    kept["instance"] == instance(store.instance())
        && kept["first_sequence"] == sequences.start().to_string()
        && kept["last_sequence"] == sequences.end().to_string()
}

fn broken(error: Error) -> Broken {
    if error.kind() == ErrorKind::Stopped {
        Broken::Stopped
    } else {
        Broken::Failed(format!("{error}; the unfinished backup was removed"))
    }
}

/// Asks the writer for what is to be copied.
async fn plan(work: &Work) -> Result<CopyJob, Broken> {
    loop {
        match work.intake().plan_backup().await {
            Ok(job) => return Ok(job),
            Err(IntakeError::Busy) => tokio::time::sleep(BUSY_PAUSE).await,
            Err(IntakeError::Stopping) => return Err(Broken::Stopped),
            Err(error) => return Err(Broken::Failed(Problem::from(error).detail)),
        }
        work.check()?;
    }
}

/// The backup must lie below the folder, whatever symbolic links there are.
fn check_below(below: &Path, place: &Path) -> Result<(), String> {
    let root = below.canonicalize().map_err(|error| {
        format!(
            "[server] backup_dir: {}: {error}; make the folder, or mount what is to be there",
            below.display()
        )
    })?;
    let nearest = place.ancestors().skip(1).find_map(|above| above.canonicalize().ok());
    if nearest.is_some_and(|nearest| nearest.starts_with(&root)) {
        Ok(())
    } else {
        Err(format!("path: {} leads out of [server] backup_dir", place.display()))
    }
}
