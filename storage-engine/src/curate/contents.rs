//! What an instrument's candidates have in some thousand slots: rows, or only masks.

use crate::calendar::Stretch;
use crate::error::Error;
use crate::gaps::{Asked, Presence};
use crate::snapshot::Snapshot;

use super::window::Window;
use super::{Candidate, CuratedScan};

/// See the module.
pub(super) enum Contents {
    /// Rows.
    Rows(Window),
    /// The mask of each candidate that has a series.
    Masks(Vec<Option<Presence>>),
}

impl Contents {
    /// The masks of `stretches`, at least one.
    pub(super) fn masks(
        snapshot: &Snapshot,
        scan: &CuratedScan,
        candidates: &[Candidate],
        stretches: &[Stretch],
    ) -> Result<Self, Error> {
        let last = stretches.len() - 1;
        let slots = stretches[0].first_slot..stretches[last].slots().end;
        let masks = candidates.iter().map(|candidate| {
            let Some(series) = candidate.lineage.series(scan.step) else { return Ok(None) };
            let asked = Asked {
                snapshot,
                series,
                step: scan.step,
                as_of: scan.as_of,
                at_sequence: scan.at_sequence,
            };
            snapshot.generation().masks.presence(asked, &slots).map(Some)
        });
        Ok(Self::Masks(masks.collect::<Result<_, _>>()?))
    }

    /// Whether a candidate has a good row in a slot.
    pub(super) fn is_good(&self, at: usize, slot: i64) -> bool {
        match self {
            Self::Rows(window) => window.good_row(at, slot).is_some(),
            Self::Masks(masks) => masks[at].as_ref().is_some_and(|mask| mask.contains(slot)),
        }
    }

    /// Whether a candidate has a good row in a slot of `stretch` at which it is bound.
    pub(super) fn has_good_row(&self, at: usize, candidate: &Candidate, stretch: &Stretch) -> bool {
        match self {
            Self::Rows(window) => window.has_good_row(at, candidate, stretch),
            Self::Masks(masks) => masks[at].as_ref().is_some_and(|mask| {
                let mut any = false;
                mask.runs(stretch.slots(), |run| {
                    let mut places = run.map(|slot| slot - stretch.first_slot);
                    any |= places.any(|place| {
                        let place =
                            u32::try_from(place).expect("invariant: it lies in the stretch");
                        candidate.is_bound_at(stretch.start_of(place))
                    });
                });
                any
            }),
        }
    }
}
