//! As of which record the rows that are kept ready are, taken together.
//!
//! Each row names the record that it was made at, but an answer of several needs one for all. While
//! an update stores rows they are of two records, so it holds [`Cuts`] for itself; whoever reads
//! under a [`Cut`] has all rows as of its record.

use std::sync::Arc;
use std::time::Duration;

use barrow_engine::Reference;
use barrow_types::Timestamp;
use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::watch;
use tokio::time::timeout;

/// How long somebody waits for rows that are being made. A record is taken in in much less, unless
/// it changes the past of many instruments.
const WAIT: Duration = Duration::from_millis(25);

/// All rows are as of one record.
pub(crate) struct Cut {
    /// The record.
    pub(crate) sequence: u64,
    /// When the next slot is due that has not closed.
    pub(crate) due: Option<Timestamp>,
    /// The facts of that record.
    pub(crate) reference: Arc<Reference>,
}

/// What somebody needs of a cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Needed {
    /// A record that must have been taken in.
    pub(crate) sequence: u64,
    /// What is due then must have closed; `None`: whatever has.
    pub(crate) now: Option<Timestamp>,
}

impl Needed {
    fn is_met(self, sequence: u64, due: Option<Timestamp>) -> bool {
        let is_behind = self.now.zip(due).is_some_and(|(now, due)| due <= now);
        sequence >= self.sequence && !is_behind
    }
}

/// The cut that holds now.
#[derive(Default)]
pub(crate) struct Cuts {
    /// `None`: rows are not kept up to date.
    now: RwLock<Option<Cut>>,
    /// What there is to wait for: sequence and due of the cut.
    told: watch::Sender<Option<(u64, Option<Timestamp>)>>,
}

/// Rows are being stored.
pub(crate) type Changing<'a> = RwLockWriteGuard<'a, Option<Cut>>;

impl Cuts {
    /// Before the first row of an update is stored.
    pub(crate) fn change(&self) -> Changing<'_> {
        self.now.write()
    }

    /// After the last one; `None`: from now on rows are not kept up to date.
    pub(crate) fn end(&self, mut changing: Changing<'_>, cut: Option<Cut>) {
        let told = cut.as_ref().map(|cut| (cut.sequence, cut.due));
        *changing = cut;
        // Those who wait come before the next update.
        RwLockWriteGuard::unlock_fair(changing);
        self.told.send_replace(told);
    }

    /// Waits a little until the rows know what is needed; whether they do.
    pub(crate) async fn reach(&self, needed: Needed) -> bool {
        let is_met = |(sequence, due)| needed.is_met(sequence, due);
        let mut told = self.told.subscribe();
        let reached = told.wait_for(|told| told.is_none_or(is_met));
        let reached = timeout(WAIT, reached).await;
        reached.is_ok_and(|told| told.is_ok_and(|told| told.is_some_and(is_met)))
    }

    /// What `read` makes of the rows, if they know what is needed and none is being stored.
    pub(crate) fn try_read<T>(&self, needed: Needed, read: impl FnOnce(&Cut) -> T) -> Option<T> {
        read_under(self.now.try_read(), needed, read)
    }

    /// The same; waits a little for rows that are being stored. Blocks.
    pub(crate) fn read<T>(&self, needed: Needed, read: impl FnOnce(&Cut) -> T) -> Option<T> {
        read_under(self.now.try_read_for(WAIT), needed, read)
    }
}

fn read_under<T>(
    held: Option<RwLockReadGuard<'_, Option<Cut>>>,
    needed: Needed,
    read: impl FnOnce(&Cut) -> T,
) -> Option<T> {
    let held = held?;
    let cut = held.as_ref().filter(|cut| needed.is_met(cut.sequence, cut.due))?;
    Some(read(cut))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: u64, due: Option<i64>) -> Option<Cut> {
        let due = due.map(Timestamp::from_nanos);
        Some(Cut { sequence, due, reference: Arc::default() })
    }

    fn needed(sequence: u64, now: Option<i64>) -> Needed {
        Needed { sequence, now: now.map(Timestamp::from_nanos) }
    }

    #[tokio::test]
    async fn rows_are_read_as_of_one_record_or_not_at_all() {
        let cuts = Cuts::default();
        assert!(!cuts.reach(needed(0, None)).await, "nobody keeps rows");
        cuts.end(cuts.change(), at(7, Some(100)));
        let read = |needed| cuts.try_read(needed, |cut| cut.sequence);
        for (wanted, expected) in [
            (needed(7, None), Some(7)),
            (needed(7, Some(99)), Some(7)),
            (needed(7, Some(100)), None),
            (needed(8, None), None),
        ] {
            assert_eq!(read(wanted), expected, "{wanted:?}");
            assert_eq!(cuts.reach(wanted).await, expected.is_some(), "{wanted:?}");
        }
        let changing = cuts.change();
        assert_eq!(read(needed(7, None)), None, "rows of two records");
        cuts.end(changing, at(8, None));
        assert_eq!(read(needed(8, Some(i64::MAX))), Some(8));
        cuts.end(cuts.change(), None);
        assert_eq!(read(needed(0, None)), None);
    }

    #[tokio::test]
    async fn who_waits_is_woken_by_the_record() {
        let cuts = Arc::new(Cuts::default());
        cuts.end(cuts.change(), at(1, None));
        let waiting = Arc::clone(&cuts);
        let waiting = tokio::spawn(async move {
            // A wait that is over before the record comes is begun again.
            while !waiting.reach(needed(2, None)).await {}
            waiting.read(needed(2, None), |cut| cut.sequence)
        });
        tokio::task::yield_now().await;
        cuts.end(cuts.change(), at(2, None));
        assert_eq!(waiting.await.unwrap(), Some(2));
    }
}
