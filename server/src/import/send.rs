//! Parts on their way: read on one thread, sent from another, at most two waiting between them.

use std::path::Path;
use std::sync::Arc;

use barrow_client::{IngestAnswer, IngestOptions};
use barrow_types::PriceSide;
use xxhash_rust::xxh3::Xxh3;

use super::columns::Dataset;
use super::complete::Extents;
use super::part::Part;
use super::plan::Plan;
use super::{Beside, ImportError, Planned, Sending, Watcher, files, read};

/// Parts that wait to be sent: one is read while one travels.
const PARTS_WAITING_MAX: usize = 1;

/// The id under which a file is stored: of its text and of what the plan makes of it.
fn batch_id(content: u128, plan: &Plan) -> String {
    let mut hasher = Xxh3::new();
    hasher.update(&content.to_le_bytes());
    hasher.update(plan.identity().as_bytes());
    format!("import-{:032x}", hasher.digest128())
}

/// Sends one file; adds what became of its rows to the tally, also when it fails midway.
pub(super) async fn file<W: Watcher>(
    planned: &Planned,
    sending: &mut Sending<'_, W>,
) -> Result<(), ImportError> {
    let Planned { path, plan, beside, content } = planned;
    let shown = shown(path, plan);
    let content = match content {
        Some(content) => *content,
        None => {
            let (path, reading) = (path.clone(), sending.reading.clone());
            let hash = tokio::task::spawn_blocking(move || files::content(&path, &reading)).await;
            hash.expect("invariant: hashing does not panic")?
        }
    };
    let id = batch_id(content, plan);
    let mut extents = Extents::default();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(PARTS_WAITING_MAX);
    let handle = {
        let (path, plan) = (path.clone(), Arc::clone(plan));
        let reading = sending.reading.clone();
        tokio::task::spawn_blocking(move || {
            read::parts(&path, &plan, &reading, |part, is_last| {
                sender.blocking_send((part, is_last)).is_ok()
            })
        })
    };
    let mut number = 0_u32;
    while let Some((part, is_last)) = receiver.recv().await {
        sending.check()?;
        number += 1;
        let whole = number == 1 && is_last;
        let id = if whole { id.clone() } else { format!("{id}#{number}") };
        sending.watcher.part(path, sending.tally).await;
        if beside.complete {
            extents.add(&part);
        }
        let answer = send(&shown, (plan, beside), id, &part, sending).await?;
        extents.note(&answer, &part.unread);
    }
    let read = handle.await.expect("invariant: reading does not panic");
    let read = read.map_err(|error| ImportError::failed(format!("read {shown}: {error}")))?;
    if read != content {
        return Err(ImportError::failed(format!(
            "import {shown}: the file changed while it was read; import it again when it is whole"
        )));
    }
    if beside.complete {
        extents.claim(plan, (&shown, &id), sending).await?;
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

async fn send<W>(
    shown: &str,
    (plan, beside): (&Plan, &Beside),
    id: String,
    part: &Part,
    sending: &mut Sending<'_, W>,
) -> Result<IngestAnswer, ImportError> {
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
    let answer = sending.way.arrow(&options, &part.batch).await.map_err(|error| {
        let doing = format!(
            "import {shown}: batch {id} was not stored ({} rows before it were; importing the \
             file again skips them)",
            sending.tally.answered()
        );
        ImportError::request(doing, error)
    })?;
    sending.tally.add(shown, plan.form.unit(), rows, &part.unread, &answer);
    Ok(answer)
}
