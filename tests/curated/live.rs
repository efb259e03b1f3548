//! Live features of the same stores: at any time what history says of their last slots.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use barrow_engine::features::{
    Definition, FeatureBars, FeatureOptions, FeatureRule, Gap, LiveFeatures, LiveRow, LiveUpdate,
};
use barrow_engine::{Error, ErrorKind, FeatureGroup, FeatureScan, Snapshot, Vintage, Way};
use barrow_tests::curated_schedule::setting::INSTRUMENTS;
use barrow_tests::random::Random;
use barrow_types::{Adjust, Align, SeriesId, SessionSet, Step, Timestamp};

use crate::features::{BESIDE, MIXED, PLAIN};

/// The groups of one store.
const GROUPS: usize = 2;

/// What was told last of a group and an instrument.
#[derive(Clone, Debug, Default)]
struct Told {
    newest: Option<Arc<LiveRow>>,
    previous: Option<Arc<LiveRow>>,
    forming: Option<Arc<LiveRow>>,
    has_failed: bool,
    /// Each slot that has closed, as it was told last.
    closed: BTreeMap<i64, Arc<LiveRow>>,
    /// Whether slots may have closed that were not told.
    skipped: bool,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Followed {
    groups: Vec<Arc<FeatureGroup>>,
    live: LiveFeatures,
    touched: BTreeSet<SeriesId>,
    told: BTreeMap<(usize, Arc<str>), Told>,
}

impl Followed {
    /// Of groups at random.
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut followed = Self::default();
        for _ in 0..GROUPS {
            followed.groups.push(Arc::new(group(random)));
        }
        followed.live.set_groups(followed.groups.iter().cloned());
        followed
    }

    /// Commits brought something to these series.
    pub(crate) fn touch(&mut self, touched: Vec<SeriesId>) {
        self.touched.extend(touched);
    }

    /// Brings them up to what the store holds; at times it is stopped on the way, and begins anew.
    pub(crate) fn update(&mut self, snapshot: &Snapshot, random: &mut Random) -> Result<(), Error> {
        let stop_after = random.chance(12).then(|| random.place(6));
        match self.update_until(snapshot, stop_after) {
            Err(error) if error.kind() == ErrorKind::Stopped => {
                self.told.clear();
                self.update_until(snapshot, None)
            }
            updated => updated,
        }
    }

    /// Brings them up to what the store holds, if it is not asked more often whether to go on.
    fn update_until(
        &mut self,
        snapshot: &Snapshot,
        stop_after: Option<usize>,
    ) -> Result<(), Error> {
        let told = &mut self.told;
        let touched = std::mem::take(&mut self.touched);
        let mut asked = 0;
        let mut pace = || {
            asked += 1;
            match stop_after {
                Some(most) if asked > most => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        };
        self.live.update(snapshot, touched, &mut pace, |update| {
            let LiveUpdate { group, instrument, closed, corrected, skipped, .. } = update;
            let of_it = told.entry((group, Arc::clone(instrument))).or_default();
            of_it.newest = update.newest.cloned();
            of_it.previous = update.previous.cloned();
            of_it.forming = update.forming.cloned();
            of_it.has_failed = update.failed.is_some();
            of_it.skipped |= skipped;
            for row in corrected {
                let last = of_it.closed.last_key_value().map(|(ts, _)| *ts);
                assert!(last.is_some_and(|last| row.ts <= last), "it was there before");
                of_it.closed.insert(row.ts, Arc::clone(row));
            }
            for row in closed {
                let last = of_it.closed.last_key_value().map(|(ts, _)| *ts);
                assert!(of_it.skipped || last.is_none_or(|last| last < row.ts), "slots in order");
                of_it.closed.insert(row.ts, Arc::clone(row));
            }
        })
    }

    /// Compares a group at random with history; how many cells it looked at.
    pub(crate) fn check(&self, snapshot: &Snapshot, random: &mut Random) -> Result<u64, String> {
        let place = random.place(GROUPS);
        let mut cells = 0;
        for instrument in INSTRUMENTS {
            let told = self.told.get(&(place, instrument.into()));
            let group = &self.groups[place];
            let wrong = |what: String| {
                let definition = &group.definition;
                let (bars, options) = (&definition.bars, &definition.options);
                let first = &definition.features[0].expr;
                format!("live {first} of {instrument}, {bars:?} {options:?}: {what}")
            };
            let expected = match expected(snapshot, group, instrument) {
                Ok(expected) => expected,
                Err(error) if error.kind() == ErrorKind::Invalid => {
                    // Who has no row is asked for nothing else.
                    let has_row = |told: &Told| told.newest.is_some() || told.forming.is_some();
                    if told.is_some_and(has_row) {
                        return Err(wrong(format!("history says: {error}")));
                    }
                    continue;
                }
                Err(error) => return Err(wrong(error.to_string())),
            };
            let told = told.cloned().unwrap_or_default();
            for (which, right, found) in [
                ("newest", &expected.newest, &told.newest),
                ("previous", &expected.previous, &told.previous),
                ("forming", &expected.forming, &told.forming),
            ] {
                if right.as_ref() != found.as_deref() {
                    return Err(wrong(format!("{which} is {found:#?}\nnot {right:#?}")));
                }
                cells += right.as_ref().map_or(0, |row| row.cells.len() as u64);
            }
            if told.has_failed {
                return Err(wrong("failed".to_owned()));
            }
            if let (Some(newest), false) = (&told.newest, told.skipped)
                && told.closed.last_key_value().map(|(_, row)| row) != Some(newest)
            {
                return Err(wrong(format!("the last slot told is not the newest, {newest:?}")));
            }
        }
        Ok(cells)
    }
}

/// The last slots of history.
#[derive(Debug, Default)]
struct Expected {
    newest: Option<LiveRow>,
    previous: Option<LiveRow>,
    forming: Option<LiveRow>,
}

fn expected(
    snapshot: &Snapshot,
    group: &Arc<FeatureGroup>,
    instrument: &str,
) -> Result<Expected, Error> {
    let mut scan = FeatureScan {
        instrument: instrument.into(),
        group: Arc::clone(group),
        start: Timestamp::MIN,
        end: Timestamp::MAX,
        as_of: None,
        at_sequence: None,
        due: snapshot.now(),
        since: Timestamp::MIN,
        vintage: Vintage::Final,
        way: Way::Columns,
    };
    let mut expected = Expected::default();
    let last = snapshot.newest_slot(&scan)?;
    let Some(last) = last else {
        // The same errors as if there were rows.
        snapshot.features(&scan)?;
        return Ok(expected);
    };
    scan.end = Timestamp::from_nanos(last.nanos() + 1);
    let mut features = snapshot.features(&scan)?;
    while let Some(piece) = features.next()? {
        for at in 0..piece.len() {
            expected.previous = expected.newest.replace(LiveRow::of_piece(&piece, at));
        }
    }
    scan.due = Timestamp::MAX;
    // Slots before the last one that is due may be due later than it.
    let newest = expected.newest.as_ref().map_or(i64::MIN, |row| row.ts);
    let mut features = snapshot.features(&scan)?;
    while let Some(piece) = features.next()? {
        if piece.ts.last().is_some_and(|last| *last > newest) {
            let row = LiveRow::of_piece(&piece, piece.len() - 1);
            expected.forming = Some(LiveRow { provisional: true, ..row });
        }
    }
    Ok(expected)
}

fn group(random: &mut Random) -> FeatureGroup {
    let steps = [Step::M1, Step::M1, Step::M5, Step::M15, Step::M30, Step::H1, Step::H4, Step::D1];
    let every = steps[random.place(steps.len())];
    let bars = FeatureBars {
        session: SessionSet::ALL[random.place(SessionSet::ALL.len())],
        align: [Align::Session, Align::Clock][random.place(2)],
        adjust: Adjust::ALL[random.place(Adjust::ALL.len())],
        ..FeatureBars::every(every)
    };
    let texts: &[(&str, &str)] = match random.place(5) {
        0 | 1 => &PLAIN,
        2 | 3 => &MIXED,
        // Days have no longer step that they could be read on.
        _ if every.is_dated() => &BESIDE[..1],
        _ => &BESIDE,
    };
    let gap = Gap::ALL[random.place(Gap::ALL.len())];
    let mut definition = Definition::new("of_schedule", bars);
    definition.options = FeatureOptions::Own { gap, warmup: Some(1), min_valid: Some(1) };
    definition.features = texts.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    FeatureGroup::new(definition).expect("the texts are expressions")
}
