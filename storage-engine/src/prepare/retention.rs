//! Batches that raise floors of retention.

use barrow_types::{DatasetId, Step, Timestamp};

use crate::batch::{Act, Batch};
use crate::dataset::retention::{self, Floor};
use crate::error::Error;
use crate::snapshot::Snapshot;

/// Checks a batch that sets floors: each is of something that has rows, lies in the past, and does
/// not fall.
pub(super) fn check(batch: &Batch, snapshot: &Snapshot, now: Timestamp) -> Result<(), Error> {
    if batch.act == Act::Retract {
        return Err(Error::conflict("floors of retention are not taken back: they only rise"));
    }
    if batch.known_at.is_some() {
        return Err(Error::invalid("known_at: a floor of retention is known since it comes in"));
    }
    for at in 0..batch.ts.len() {
        let read = retention::read(&batch.columns, at);
        let (dataset, step, floor) =
            read.ok_or_else(|| Error::invalid("a floor of retention names its dataset and step"))?;
        check_floor(dataset, step, &floor, (snapshot, now))?;
    }
    Ok(())
}

fn check_floor(
    dataset: DatasetId,
    step: Step,
    floor: &Floor,
    (snapshot, now): (&Snapshot, Timestamp),
) -> Result<(), Error> {
    let takes_rows = super::MARKET.contains(&dataset) || dataset.is_table();
    if !takes_rows || snapshot.schema(dataset).is_none() {
        let number = dataset.get();
        return Err(Error::invalid(format!("dataset: {number} has no floor of retention")));
    }
    if (dataset == DatasetId::BARS) == (step == Step::Tick) {
        return Err(Error::invalid("timeframe: bars have one, and nothing else has"));
    }
    let Floor { as_of_from, at_sequence_from } = *floor;
    if as_of_from > now {
        return Err(Error::invalid(format!(
            "as_of_from: {as_of_from} lies in the future; give a time that has come"
        )));
    }
    if at_sequence_from > snapshot.sequence() {
        return Err(Error::invalid(format!(
            "at_sequence_from: {at_sequence_from} is not there yet; the newest is {}",
            snapshot.sequence()
        )));
    }
    let Some(set) = snapshot.floor(dataset, step) else { return Ok(()) };
    let fallen = if as_of_from < set.floor.as_of_from {
        format!("as_of_from: it is {}, and {as_of_from} is lower", set.floor.as_of_from)
    } else if at_sequence_from < set.floor.at_sequence_from {
        let before = set.floor.at_sequence_from;
        format!("at_sequence_from: it is {before}, and {at_sequence_from} is lower")
    } else {
        return Ok(());
    };
    Err(Error::conflict(format!("{fallen}: a floor of retention never falls")))
}
