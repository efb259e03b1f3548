//! What [`Snapshot::quality`](crate::Snapshot::quality) counts against the formulas, row by row and
//! slot by slot.

use std::collections::BTreeMap;

use barrow_types::SessionSet;

use super::*;
use crate::calendar::{SlotGrid, slot_of};
use crate::dataset::facts::{ALWAYS, FACT_SOURCE};
use crate::gaps::Reason;
use crate::report::{Count, Finding, Measure, QualityQuery};
use crate::rows::Texts;

/// A store of bars of A, in batches that come a minute apart from 2030 on.
fn stored(step: Step, calendar: Option<&str>, batches: &[Vec<Bar>]) -> Engine {
    let disk = Arc::new(MemoryDisk::new());
    let mut engine = Engine::open(disk, Options::default(), [7; 16]).unwrap().0;
    let now = days_from_civil(2030, 1, 1) * DAY_NANOS;
    let texts = |text: &str| Column::new(Values::Text([text].into_iter().collect::<Texts>()));
    let fact = calendar.map(|name| Batch {
        dataset: DatasetId::INSTRUMENTS,
        source: FACT_SOURCE.to_owned(),
        step: Step::Tick,
        symbols: Symbols::one("A", 1),
        ts: Column::new(Values::I64(vec![ALWAYS.nanos()])),
        columns: vec![texts("calendar"), texts(name)],
        ..batch(0, step, &[])
    });
    let bars = (1..).zip(batches).map(|(id, bars)| batch(id, step, bars));
    for (at, batch) in (0..).zip(fact.into_iter().chain(bars)) {
        let now = Timestamp::from_nanos(now + at * MINUTE);
        let prepared = prepare(batch, &engine.snapshot(), now).unwrap();
        engine.commit(vec![prepared], now).unwrap().remove(0).unwrap();
    }
    engine
}

fn query(step: Step, dates: std::ops::Range<i32>) -> QualityQuery {
    QualityQuery {
        dataset: DatasetId::BARS,
        instruments: vec!["A".into()],
        named: false,
        step,
        side: PriceSide::Trade,
        source: None,
        dates,
        session: SessionSet::Regular,
        align: None,
        as_of: None,
        at_sequence: None,
        due: Timestamp::from_nanos(days_from_civil(2031, 1, 1) * DAY_NANOS),
    }
}

fn found(engine: &Engine, query: QualityQuery) -> Vec<Finding> {
    let mut quality = engine.snapshot().quality(query).unwrap();
    let mut all = Vec::new();
    while let Some(found) = quality.next().unwrap() {
        all.extend(found.findings);
    }
    all
}

/// By date and rule: first and last failure, and how many.
type Failures = BTreeMap<(i32, RuleId), (u64, (i64, i64))>;

fn failures(found: &[Finding], wanted: &[RuleId]) -> Failures {
    let failures = found.iter().filter_map(|finding| match finding.measure {
        Measure::Rule(rule) if wanted.contains(&rule) && finding.count.failed > 0 => {
            let Count { failed, span, .. } = finding.count;
            Some(((finding.date, rule), (failed, span.unwrap())))
        }
        _ => None,
    });
    failures.collect()
}

fn note(failures: &mut Failures, date: i32, rule: RuleId, ts: i64) {
    let failure = failures.entry((date, rule)).or_insert((0, (ts, ts)));
    failure.0 += 1;
    failure.1 = (failure.1.0.min(ts), failure.1.1.max(ts));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn counts_are_those_of_the_formulas(
        (step, bars) in prop_oneof![
            3 => bars(MINUTE).prop_map(|bars| (Step::M1, bars)),
            1 => bars(60 * MINUTE).prop_map(|bars| (Step::H1, bars)),
            2 => bars(DAY_NANOS).prop_map(|bars| (Step::D1, bars)),
        ],
        calendar in prop::sample::select(vec![None, Some("XNYS"), Some("XHKG"), Some("FX")]),
        shuffled in prop::collection::vec(0_usize..3, 220),
        ends in prop::option::of((0_i32..60, 1_i32..60)),
    ) {
        let mut batches = vec![Vec::new(); 3];
        for (bar, batch) in bars.iter().zip(&shuffled) {
            batches[*batch].push(*bar);
        }
        batches.retain(|batch| !batch.is_empty());
        let engine = stored(step, calendar, &batches);
        let known = calendar.map(|name| Calendar::embedded(name).unwrap());
        let ts: Vec<i64> = bars.iter().map(|bar| bar.ts).collect();
        let placed = places(known.as_deref(), step, Align::Session, &ts);
        let first = placed[0].date;
        let dates = ends.map_or(i32::MIN..i32::MAX, |(from, len)| first + from..first + from + len);
        let found = found(&engine, query(step, dates.clone()));

        let thresholds = plain::Thresholds { spike: (12.0, 3), volume: 50.0, stale: 30, zero: 20 };
        let mut expected = Failures::new();
        let mut rows: BTreeMap<i32, u64> = BTreeMap::new();
        for at in (0..bars.len()).filter(|&at| dates.contains(&placed[at].date)) {
            let date = placed[at].date;
            *rows.entry(date).or_default() += 1;
            let fired = plain::fired(&bars, &placed, at, step.is_dated(), &thresholds);
            fired.iter().for_each(|rule| note(&mut expected, date, rule, ts[at]));
            let place = |at: usize| batches.iter().position(|batch| {
                batch.iter().any(|bar| bar.ts == ts[at])
            });
            let overtaken = (at + 1..bars.len())
                .any(|later| placed[later].date == date && place(later) < place(at));
            if overtaken {
                note(&mut expected, date, RuleId::OutOfOrder, ts[at]);
            }
        }
        let wanted: Vec<RuleId> = JUDGED.into_iter().chain([RuleId::OutOfOrder]).collect();
        prop_assert_eq!(failures(&found, &wanted), expected);
        let counted = found.iter().filter(|finding| finding.measure == Measure::Rows);
        let counted: BTreeMap<i32, u64> = counted.map(|of| (of.date, of.count.tested)).collect();
        prop_assert_eq!(counted, rows);

        // Slots from that of the first row to that of the last, where no dates are asked for.
        if let (None, Some(calendar)) = (&ends, &known) {
            let grid = SlotGrid { step, session: SessionSet::Regular, align: Align::Session };
            let held: Vec<i64> = ts.iter().map(|ts| slot_of(step, *ts)).collect();
            let mut expected: BTreeMap<i32, [u64; 3]> = BTreeMap::new();
            for slot in held[0]..=held[held.len() - 1] {
                if let Some(bucket) = grid.bucket(Some(calendar), slot) {
                    let is_held = u64::from(held.binary_search(&slot).is_ok());
                    let of_date = expected.entry(bucket.date).or_default();
                    let add = [1, is_held, 1 - is_held];
                    of_date.iter_mut().zip(add).for_each(|(own, add)| *own += add);
                }
            }
            let mut counted: BTreeMap<i32, [u64; 3]> = BTreeMap::new();
            for Finding { date, measure, count, .. } in &found {
                let of_date = match measure {
                    Measure::Expected | Measure::Slots(_) => counted.entry(*date).or_default(),
                    _ => continue,
                };
                match measure {
                    Measure::Expected => of_date[0] = count.tested,
                    Measure::Slots(Reason::Ok) => of_date[1] = count.failed,
                    Measure::Slots(Reason::Missing) => of_date[2] = count.failed,
                    other => prop_assert!(false, "{:?}", other),
                }
            }
            prop_assert_eq!(&counted, &expected);
            let with_gaps = expected.values().filter(|of_date| of_date[2] > 0).count();
            let rule = Measure::Rule(RuleId::GapVsCalendar);
            let of_rule = found.iter().filter(|finding| finding.measure == rule);
            let failed: u64 = of_rule.map(|finding| finding.count.failed).sum();
            prop_assert_eq!(failed, with_gaps as u64);
        }
    }
}
