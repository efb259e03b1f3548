//! Where ticks belong: ranges of instants and the bucket that each leads to.

use barrow_types::{SessionSet, Step};

use crate::calendar::{Calendar, Session, Stretch};

use super::bars::{Bucket, buckets};

/// Sessions whose dates lie this many days apart from a bucket's do not share it.
const APART_DAYS: i32 = 3;

/// Which ticks of a range of instants belong to its bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Trades of the opening auction.
    Opening,
    /// Trades of the closing auction.
    Closing,
}

/// Instants of which ticks belong to a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) start: i64,
    pub(super) end: i64,
    /// Place of the bucket.
    pub(super) bucket: usize,
    pub(super) which: Which,
    /// Open and close of the session that they are of; `None`: there is no calendar.
    pub(super) regular: Option<(i64, i64)>,
}

impl Target {
    /// Whether an instant of it is known to lie before the open or after the close.
    pub(super) fn is_outside(&self, ts: i64) -> bool {
        self.regular.is_some_and(|(open, close)| ts < open || ts >= close)
    }
}

/// The buckets of some stretches, and where ticks of each lie: in order, apart from each other.
pub(super) struct Targets {
    pub(super) buckets: Vec<Bucket>,
    pub(super) targets: Vec<Target>,
}

impl Targets {
    /// `with_auctions`: whether trades may be of an auction.
    pub(super) fn new(
        step: Step,
        hours: SessionSet,
        calendar: Option<&Calendar>,
        stretches: &[Stretch],
        with_auctions: bool,
    ) -> Self {
        let mut all = Self { buckets: buckets(step, stretches).collect(), targets: Vec::new() };
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return all };
        let Some(calendar) = calendar else {
            all.add(i64::MIN, i64::MAX, None);
            return all;
        };
        let dates = (first.date - APART_DAYS, last.date.saturating_add(APART_DAYS));
        for session in calendar.sessions(dates.0, dates.1) {
            let Session { open, close, pre_open, post_close, .. } = session;
            let (from, to) = match hours {
                SessionSet::Regular => (open, close),
                SessionSet::Extended | SessionSet::All => (pre_open, post_close),
            };
            let regular = Some((open, close));
            let with_auctions = with_auctions && hours == SessionSet::Regular;
            if with_auctions && let Some(bucket) = all.bucket_at(open) {
                all.push((pre_open, open), bucket, Which::Opening, regular);
            }
            let (pause, resume) = session.pause.unwrap_or((to, to));
            all.add(from, pause, regular);
            all.add(resume, to, regular);
            if with_auctions && let Some(bucket) = all.bucket_at(close - 1) {
                all.push((close, post_close), bucket, Which::Closing, regular);
            }
        }
        all
    }

    /// The bucket that holds an instant.
    fn bucket_at(&self, at: i64) -> Option<usize> {
        let next = self.buckets.partition_point(|bucket| bucket.start <= at);
        next.checked_sub(1).filter(|place| at < self.buckets[*place].end)
    }

    /// All ticks from `from` to `to` belong to the bucket that they lie in.
    fn add(&mut self, from: i64, to: i64, regular: Option<(i64, i64)>) {
        let first = self.buckets.partition_point(|bucket| bucket.end <= from);
        for place in first..self.buckets.len() {
            let Bucket { start, end, .. } = self.buckets[place];
            if start >= to {
                break;
            }
            self.push((start.max(from), end.min(to)), place, Which::All, regular);
        }
    }

    fn push(
        &mut self,
        (start, end): (i64, i64),
        bucket: usize,
        which: Which,
        regular: Option<(i64, i64)>,
    ) {
        if start < end {
            self.targets.push(Target { start, end, bucket, which, regular });
        }
    }
}
