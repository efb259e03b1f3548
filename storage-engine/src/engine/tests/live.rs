//! Live features that are stopped on the way: they begin anew, and nothing of it can be seen.

use super::*;
use crate::features::{
    Definition, FeatureBars, FeatureGroup, FeatureRule, LiveFeatures, LiveRow, LiveUpdate,
};

const SLOTS: i64 = 2_000;

fn group(name: &str, expr: &str) -> Arc<FeatureGroup> {
    let mut definition = Definition::new(name, FeatureBars::every(Step::M1));
    definition.features = vec![FeatureRule::new("x", expr)];
    Arc::new(FeatureGroup::new(definition).unwrap())
}

/// Two of which all slots are taken one by one, and one that is computed anew.
fn groups() -> [Arc<FeatureGroup>; 3] {
    [("w", "Mean($close, 3)"), ("r", "EMA($close, 3)"), ("o", "$close - Of('B', $close)")]
        .map(|(name, expr)| group(name, expr))
}

/// The newest and the previous row of each group.
type Last = [Option<(Arc<LiveRow>, Arc<LiveRow>)>; 3];

/// Brings them up to the store until it is asked more often than that whether to go on; what was
/// told and how often it was asked.
fn update(
    live: &mut LiveFeatures,
    snapshot: &Snapshot,
    asked_max: usize,
) -> (Result<Last, Error>, usize) {
    let series = snapshot.series(DatasetId::BARS, None).into_iter().map(|(id, _)| id);
    let mut asked = 0;
    let mut pace = || {
        asked += 1;
        if asked > asked_max { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut last = Last::default();
    let updated = live.update(snapshot, series, &mut pace, |update: LiveUpdate<'_>| {
        last[update.group] = update.newest.cloned().zip(update.previous.cloned());
    });
    (updated.map(|()| last), asked)
}

#[test]
fn an_update_that_is_stopped_anywhere_is_made_up_for_by_the_next() {
    let mut engine = open(&MemoryDisk::new());
    let rows: Vec<(i64, f64, Option<i64>)> =
        (0..SLOTS).map(|minute| (minute, (minute % 7) as f64, None)).collect();
    send(&mut engine, bars("a", &rows), SLOTS);
    let before = engine.snapshot();
    send(&mut engine, bars("b", &[(3, 9.5, None), (SLOTS, 1.0, None)]), SLOTS + 2);
    let after = engine.snapshot();
    let fresh = || {
        let mut live = LiveFeatures::default();
        live.set_groups(groups());
        live
    };
    let (whole, asked) = update(&mut fresh(), &after, usize::MAX);
    let whole = whole.unwrap();
    assert_eq!(whole[1].as_ref().unwrap().0.ts, at(SLOTS).nanos());
    // A recursion takes in every slot since the begin.
    assert!(asked > 2_000 / 256, "{asked}");
    for first in [None, Some(&before)] {
        for asked_max in 0..asked {
            let mut live = fresh();
            if let Some(first) = first {
                update(&mut live, first, usize::MAX).0.unwrap();
            }
            match update(&mut live, &after, asked_max).0 {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Stopped, "{error}"),
                // What was there before need not be taken in again.
                Ok(last) => {
                    assert!(first.is_some(), "it was asked {asked} times, not {asked_max}");
                    assert_eq!(last, whole);
                    continue;
                }
            }
            assert_eq!(update(&mut live, &after, usize::MAX).0.unwrap(), whole, "{asked_max}");
        }
    }
}
