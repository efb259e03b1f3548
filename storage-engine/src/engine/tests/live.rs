//! Live features that are stopped on the way: they begin anew, and nothing of it can be seen.

use super::*;
use crate::curate::Adjust;
use crate::dataset::facts::FACT_SOURCE;
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

#[test]
fn a_corrected_close_reaches_the_bar_of_the_clock_that_begins_before_trading() {
    // 2024-03-01: XNYS opens at 14:30, in the midst of the four hours from 12:00 on.
    let ex_date = 19_783;
    let noon = |day: i64| (day * 24 + 12) * 60;
    let group = || {
        let mut of = FeatureBars::every(Step::H4);
        (of.align, of.adjust) = (Align::Clock, Adjust::All);
        let mut definition = Definition::new("c", of);
        definition.features = vec![FeatureRule::new("c", "$close")];
        let mut live = LiveFeatures::default();
        live.set_groups([Arc::new(FeatureGroup::new(definition).unwrap())]);
        live
    };
    let mut engine = open(&MemoryDisk::new());
    let now = noon(ex_date + 1);
    let calendar = vec![text("calendar"), text("XNYS")];
    let always = i64::from(i32::MIN) / 64;
    let of = |dataset| (dataset, FACT_SOURCE);
    send(&mut engine, fact("calendar", of(DatasetId::INSTRUMENTS), always, calendar), now);
    let dividend = vec![text("dividend"), Column::new(Values::F64(vec![2.0]))];
    send(&mut engine, fact("dividend", of(DatasetId::ACTIONS), ex_date * 1_440, dividend), now);
    let rows = [(noon(ex_date - 1), 8.0, None), (noon(ex_date), 6.0, None)];
    send(&mut engine, Batch { step: Step::H4, ..bars("hours", &rows) }, now);
    send(&mut engine, day("day", ex_date - 1, 8.0), now);
    let mut live = group();
    let before = update(&mut live, &engine.snapshot(), usize::MAX).0.unwrap();
    send(&mut engine, day("corrected", ex_date - 1, 4.0), now);
    let after = update(&mut live, &engine.snapshot(), usize::MAX).0.unwrap();
    let close = |last: &Last| last[0].as_ref().unwrap().0.cells[0].value();
    assert_eq!((close(&before), close(&after)), (Some(8.0), Some(12.0)));
    assert_eq!(update(&mut group(), &engine.snapshot(), usize::MAX).0.unwrap(), after);
}
