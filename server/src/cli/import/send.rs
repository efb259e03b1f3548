//! Parts on their way: read on one thread, sent from another, at most two waiting between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use barrow_client::{Client, ClientError, IngestAnswer, IngestOptions};
use barrow_types::PriceSide;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use xxhash_rust::xxh3::Xxh3;

use super::columns::Dataset;
use super::complete::Extents;
use super::part::Part;
use super::plan::Plan;
use super::tally::Tally;
use super::{Beside, files, read};
use crate::cli::CliError;

/// Parts that wait to be sent: one is read while one travels.
const PARTS_WAITING_MAX: usize = 1;

/// The id under which a file is stored: of its text and of what the plan makes of it.
fn batch_id(content: u128, plan: &Plan) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(&content.to_le_bytes());
    hasher.update(plan.identity().as_bytes());
    format!("import-{:032x}", hasher.digest128())
}

/// How far the files are read, shown on a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    packed: Arc<AtomicU64>,
}

impl Progress {
    /// A bar over `bytes` bytes of files; draws only if standard error is a terminal.
    pub(crate) fn new(bytes: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {eta} {msg}");
        bar.set_style(style.expect("invariant: the template is well formed"));
        Self { bar, packed: Arc::default() }
    }

    fn show(&self, file: &Path) {
        self.bar.set_message(file.file_name().unwrap_or_default().to_string_lossy().into_owned());
        self.bar.set_position(self.packed.load(Ordering::Relaxed));
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Sends one file; adds what became of its rows to `tally`, also when it fails midway.
pub(crate) async fn file(
    client: &Client,
    path: &Path,
    (plan, beside): (&Arc<Plan>, &Beside),
    progress: &Progress,
    tally: &mut Tally,
) -> Result<(), CliError> {
    let shown = shown(path, plan);
    let failed = |error: std::io::Error| CliError::failed(format!("read {shown}: {error}"));
    let content = {
        let path = path.to_owned();
        let hash = tokio::task::spawn_blocking(move || files::content_hash(&path)).await;
        hash.expect("invariant: hashing does not panic").map_err(failed)?
    };
    let id = batch_id(content, plan);
    let mut extents = Extents::default();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(PARTS_WAITING_MAX);
    let reading = {
        let (path, plan): (PathBuf, _) = (path.to_owned(), Arc::clone(plan));
        let packed = Arc::clone(&progress.packed);
        tokio::task::spawn_blocking(move || {
            read::parts(&path, &plan, packed, |part, is_last| {
                sender.blocking_send((part, is_last)).is_ok()
            })
        })
    };
    let mut number = 0_u32;
    while let Some((part, is_last)) = receiver.recv().await {
        number += 1;
        let whole = number == 1 && is_last;
        let id = if whole { id.clone() } else { format!("{id}#{number}") };
        progress.show(path);
        if beside.complete {
            extents.add(&part);
        }
        let answer = send(client, &shown, (plan, beside), id, &part, tally).await?;
        extents.note(&answer, &part.unread);
    }
    let read = reading.await.expect("invariant: reading does not panic").map_err(failed)?;
    if read != content {
        return Err(CliError::failed(format!(
            "import {shown}: the file changed while it was read; import it again when it is whole"
        )));
    }
    if beside.complete {
        extents.claim(client, plan, (&shown, &id), tally).await?;
    }
    Ok(())
}

/// A file and the price side that is taken from it, for a person.
pub(crate) fn shown(path: &Path, plan: &Plan) -> String {
    match plan.price {
        PriceSide::Trade => path.display().to_string(),
        side => format!("{} ({})", path.display(), side.name()),
    }
}

async fn send(
    client: &Client,
    shown: &str,
    (plan, beside): (&Plan, &Beside),
    id: String,
    part: &Part,
    tally: &mut Tally,
) -> Result<IngestAnswer, CliError> {
    let source = plan.source.clone();
    let base = match plan.dataset {
        Dataset::Bars => IngestOptions::bars(plan.step, source),
        Dataset::Trades => IngestOptions::trades(source),
        Dataset::Quotes => IngestOptions::quotes(source),
    };
    let options = IngestOptions {
        price: plan.price,
        batch_id: Some(id.clone()),
        known_at_policy: plan.known_at_policy.clone(),
        session: plan.session.clone(),
        align: plan.align.clone(),
        import: true,
        calendar: beside.calendar.clone(),
        ..base
    };
    let rows = part.batch.num_rows() as u64;
    let answer = client.ingest_arrow(&options, std::slice::from_ref(&part.batch)).await;
    // A part of which every row is a dead letter is counted like any other.
    let answer = answer.or_else(ClientError::into_answer).map_err(|error| {
        CliError::from(error).within(&format!(
            "import {shown}: batch {id} was not stored ({} rows before it were; importing the \
                 file again skips them)",
            tally.answered()
        ))
    })?;
    tally.add(shown, plan.form.unit(), rows, &part.unread, &answer);
    Ok(answer)
}

/// Bytes of all files together, for the progress bar; a file that cannot be asked counts nothing.
pub(crate) fn total_bytes(paths: &[PathBuf]) -> u64 {
    paths.iter().filter_map(|path| Some(std::fs::metadata(path).ok()?.len())).sum()
}
