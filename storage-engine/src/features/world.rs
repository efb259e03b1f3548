//! The facts that the slots of an instrument follow from, as a number to compare.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_types::{Adjust, DAY_NANOS, DatasetId};
use xxhash_rust::xxh3::Xxh3;

use crate::calendar::{Calendar, day_of};
use crate::curate::Curated;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

/// Sessions of so many dates behind an instant may have a say in the slots before it: bars of a
/// month have one at its end.
const AROUND_DATES: i32 = 40;

/// What settings and rules are of that bars follow from.
const SUBJECTS: [&str; 3] = ["bars", "trades", "quotes"];

/// See the module.
pub(super) struct World {
    /// Of what has no time of its own: settings, rules, attributes.
    fixed: u64,
    calendar: Option<Arc<Calendar>>,
    /// How long after a slot has started what begins to hold may still have a say in it.
    reach: i64,
    /// Since when the instrument's symbols are bound to what, and from which date on actions count;
    /// each as a number, in order of their instants.
    since: Vec<(i64, u64)>,
}

impl World {
    /// The facts about the instrument of `curated`, with its corporate actions if they change
    /// prices.
    pub(super) fn new(
        (snapshot, reference): (&Snapshot, &Reference),
        curated: &Curated,
        adjust: Adjust,
    ) -> Self {
        let instrument = curated.instrument();
        let mut fixed = Xxh3::new();
        for subject in SUBJECTS {
            for (key, value) in reference.settings(subject) {
                add(&mut fixed, &[subject, key, value]);
            }
            for (rule, fact) in reference.rules(subject) {
                add(&mut fixed, &[subject, rule, &format!("{fact:?}")]);
            }
        }
        for (attribute, values) in reference.attributes(instrument) {
            add(&mut fixed, &[attribute, &format!("{values:?}")]);
        }
        let ticks_and_bars = [DatasetId::BARS, DatasetId::TRADES, DatasetId::QUOTES];
        let own = ticks_and_bars.map(|dataset| snapshot.series(dataset, Some(instrument)));
        let own = own.iter().flatten().map(|(_, key)| (key.source.as_str(), instrument));
        let listings: BTreeSet<(&str, &str)> = reference.bound_to(instrument).chain(own).collect();
        let mut since = Vec::new();
        for (source, symbol) in listings {
            for (from, to) in reference.bindings(source, symbol) {
                let to = to.as_deref().unwrap_or_default();
                since.push((*from, hash(&[source, symbol, &from.to_string(), to])));
            }
        }
        if adjust != Adjust::None {
            for action in reference.actions(instrument) {
                let from = action.ex_date.saturating_mul(DAY_NANOS);
                since.push((from, hash(&[&format!("{action:?}")])));
            }
        }
        since.sort_unstable();
        let (calendar, reach) = (curated.calendar_shared(), curated.reach());
        Self { fixed: fixed.digest(), calendar, reach, since }
    }

    /// A number for what has a say in slots that start before an instant, which may begin to hold
    /// in the midst of the last of them, or of its session.
    pub(super) fn before(&self, instant: i64) -> u64 {
        let sessions = self.calendar.as_ref().map_or(0, |calendar| {
            calendar.digest_before(day_of(instant).saturating_add(AROUND_DATES))
        });
        let mut all = Xxh3::new();
        all.update(&self.fixed.to_le_bytes());
        all.update(&sessions.to_le_bytes());
        let end = instant.saturating_add(self.reach);
        for (_, fact) in self.since.iter().take_while(|(since, _)| *since < end) {
            all.update(&fact.to_le_bytes());
        }
        all.digest()
    }
}

/// Adds texts so that others never are the same bytes.
fn add(to: &mut Xxh3, texts: &[&str]) {
    for text in texts {
        to.update(&(text.len() as u64).to_le_bytes());
        to.update(text.as_bytes());
    }
}

fn hash(texts: &[&str]) -> u64 {
    let mut all = Xxh3::new();
    add(&mut all, texts);
    all.digest()
}
