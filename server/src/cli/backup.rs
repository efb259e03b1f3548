//! `barrow backup`: a copy of a store, by a running server or of one that no server has open.
//!
//! With `--data` nothing of the store is changed, so that one on a full disk can be copied, too.

use std::io::Write;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use barrow_client::{Client, JobRequest};
use barrow_engine::disk::{Disk, OsDisk};
use barrow_engine::{Copied, CopyJob, Error, StoreAtRest};
use clap::Args;

use crate::cli::CliError;
use crate::cli::jobs::run_and_wait;
use crate::cli::target::DEFAULT_SERVER;
use crate::import::grouped;
use crate::store_folder::StoreFolder;

const EXAMPLES: &str = "\
Examples:
  barrow backup 2024-05-03                          of the running server
  barrow backup /backups/2024-05-03 --data ./barrow-data

A server copies to a folder below its [server] backup_dir, as a job, while it takes rows: see
`barrow jobs --help`. With --data the store must not be in use, and DIR is any folder. DIR must not
be there, or be empty. Files that never change are linked where DIR lies on the same file system:
to outlive the disk, copy the backup to another one. A backup is a store: `barrow verify --data DIR`
checks it, `barrow restore` makes another store of it.";

/// Copy a store.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct BackupArgs {
    /// Where the copy is made; with a server, below its [server] backup_dir
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// The directory of the store, which no server has open
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// A running server
    #[arg(long, value_name = "URL", conflicts_with = "data", default_value = DEFAULT_SERVER)]
    pub(crate) server: String,
}

/// Has a server copy its store.
pub(crate) async fn run_on_server(args: &BackupArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let path = args.dir.to_str();
    let path = path.ok_or_else(|| CliError::usage("DIR: is not UTF-8; choose another name"))?;
    let client = Client::new(&args.server)?;
    client.health().await?;
    let request = JobRequest::new("backup").param("path", path);
    let summary = run_and_wait(&client, &request).await?;
    let figures = ["files", "linked_files", "bytes"];
    let figures = figures.map(|name| summary[name].as_u64().unwrap_or_default());
    let ends = ["first_sequence", "last_sequence"];
    tell(out, path, figures, ends.map(|name| summary[name].as_str().unwrap_or_default()))
}

fn tell(
    out: &mut dyn Write,
    dir: impl std::fmt::Display,
    figures: [u64; 3],
    [first, last]: [&str; 2],
) -> Result<(), CliError> {
    let [files, linked, bytes] = figures.map(grouped);
    writeln!(
        out,
        "backup {dir}: {files} files, {linked} of them linked, {bytes} bytes; can be restored to \
         any sequence from {first} to {last}"
    )?;
    Ok(())
}

/// Copies the store in `data`.
pub(crate) fn run(data: &Path, dir: &Path, out: &mut dyn Write) -> Result<(), CliError> {
    let copied = make(data, dir, |store| Ok(store.plan_backup()));
    let copied = copied.map_err(|error| error.within(&format!("back up {}", data.display())))?;
    let figures = [copied.files, copied.linked_files, copied.bytes];
    let ends = [copied.first, copied.last].map(|sequence| sequence.to_string());
    tell(out, dir.display(), figures, [&ends[0], &ends[1]])
}

/// Makes a copy in `dir` of the store in `source`, which stays as it is.
pub(super) fn make(
    source: &Path,
    dir: &Path,
    plan: impl FnOnce(&StoreAtRest) -> Result<CopyJob, Error>,
) -> Result<Copied, CliError> {
    let failed = |error: &dyn std::fmt::Display| CliError::failed(error.to_string());
    // Nobody may change the store meanwhile.
    let disk = OsDisk::open_at_rest(source).map_err(|error| failed(&error))?;
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let store = StoreAtRest::open(&disk).map_err(|error| failed(&error))?;
    let job = plan(&store).map_err(|error| failed(&error))?;
    let folder = StoreFolder::begin(dir).map_err(CliError::failed)?;
    let copied = folder.fill(job, &mut |_, _| ControlFlow::Continue(()));
    let copied = copied.map_err(|error| failed(&error))?;
    folder.publish().map_err(CliError::failed)?;
    Ok(copied)
}
