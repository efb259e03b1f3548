//! Every state that a crash may leave, opened.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_engine::disk::Disk;
use barrow_engine::{Engine, Error, Snapshot, verify};
use barrow_tests::volume::Volume;

use crate::small;

/// Opens a store with small files of the log.
pub(crate) fn open(disk: Arc<dyn Disk>) -> Result<Engine, Error> {
    Engine::open(disk, small(4_096), [7; 16]).map(|(engine, _)| engine)
}

/// Opens the store on every state that a crash may leave of `volume` and that is not among `seen`,
/// has `check` look at it, and verifies it; how many there were.
///
/// # Errors
/// What is wrong with the first that is not as it must be.
pub(crate) fn each(
    volume: &Volume,
    seen: &mut BTreeSet<u128>,
    check: impl Fn(&Snapshot) -> Result<(), String>,
) -> Result<u64, String> {
    let mut states = 0;
    let mut left = volume.crash_states();
    for image in left.by_ref().chain([volume.current()]) {
        if !seen.insert(image.digest()) {
            continue;
        }
        states += 1;
        let disk: Arc<dyn Disk> = Arc::new(image.disk());
        let engine = open(Arc::clone(&disk)).map_err(|error| error.to_string())?;
        check(&engine.snapshot())?;
        drop(engine);
        let report = verify(&disk).map_err(|error| error.to_string())?;
        if !report.problems.is_empty() {
            return Err(format!("verify finds {:?}", report.problems));
        }
    }
    Ok(states)
}
