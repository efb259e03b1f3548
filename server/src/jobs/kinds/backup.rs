//! `backup`: copies the store to the folder `path` below `[server] backup_dir` while it takes rows.
//! Broken off, it is begun anew, and what was there of it is removed. What came of it is kept
//! before the copy gets its name, so that a job whose server ended after that knows its own work.
//! In a store that was made of a copy a job that had begun does not go on: it was about another.

use std::path::Path;
use std::sync::Arc;

use barrow_engine::disk::{Disk, OsDisk};
use barrow_engine::{CopyJob, Error, ErrorKind, Moved, StoreAtRest};
use serde_json::{Map, Value, json};

use super::{BadParam, Kind, Outcome, REQUEST_ID, blocking, check_names};
use crate::below::Below;
use crate::config::Config;
use crate::http::error::Problem;
use crate::http::openapi::{Field, Shape, Type};
use crate::jobs::work::{BUSY_PAUSE, Broken, Work};
use crate::pace::Pacer;
use crate::store_folder::{StoreFolder, ends_as_unfinished};
use crate::writer::IntakeError;

/// Why it does not go on in a store that was made of a copy.
const RESTORED: &str = "it was at work when the store was copied that this one was made of; ask \
                        for another backup if this store is to be copied, too";

/// What is said where there is no place for backups.
const UNSET: &str = "this server makes no backups: set [server] backup_dir to the folder that they \
                     are to be made in, and restart it";

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

/// Where backups may be made.
fn below(config: &Config) -> Below {
    Below::new("[server] backup_dir", &config.server.backup_dir)
}

/// The folder that is asked for, as it stands below `backup_dir`.
fn path<'a>(params: &'a Map<String, Value>, config: &Config) -> Result<&'a str, BadParam> {
    check_names(params, &ASKED)?;
    let path = below(config).path(params, UNSET)?;
    if ends_as_unfinished(Path::new(path)) {
        let fault = format!("{path:?} ends with .unfinished, as only unfinished backups do");
        return Err(BadParam { field: "path".to_owned(), fault });
    }
    Ok(path)
}

async fn back_up(work: &Work) -> Result<Value, Broken> {
    let params = work.params();
    let bad = |bad: BadParam| Broken::Failed(format!("{}: {}", bad.field, bad.fault));
    let path = path(&params, work.config()).map_err(bad)?;
    let below = below(work.config());
    let place = below.place(path);
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
        below.check(&place)?;
        StoreFolder::begin(&place)
    });
    let folder = folder.await?.map_err(Broken::Failed)?;
    let job = plan(work).await?;
    let wishes = work.wishes();
    let mut pacer = Pacer::new(bytes_per_second(work.config()));
    let filled = blocking(move || {
        let copied = folder.fill(job, &mut |moved, share| {
            wishes.progress(share);
            pacer.hold(written(moved), || !wishes.go_on())
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

/// How fast a copy is written; `None`: as fast as the disks are.
fn bytes_per_second(config: &Config) -> Option<u64> {
    Some(config.server.backup_bytes_per_second).filter(|rate| *rate > 0)
}

/// Bytes that the disks were busy with: links take none.
const fn written(moved: Moved) -> u64 {
    match moved {
        Moved::Linked(_) => 0,
        Moved::Written(bytes) => bytes,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_written_is_held_back_and_a_rate_of_0_holds_nothing_back() {
        assert_eq!([Moved::Linked(7), Moved::Written(5)].map(written), [0, 5]);
        let mut config = Config::default();
        assert_eq!(bytes_per_second(&config), Some(200 << 20));
        config.server.backup_bytes_per_second = 0;
        assert_eq!(bytes_per_second(&config), None);
    }
}
