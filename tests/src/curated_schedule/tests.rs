use std::collections::BTreeMap;

use super::*;
use crate::curated_model::facts::{Facts, Ledger};
use crate::curated_model::view::{Ask, Gap, Reason, State};
use crate::curated_model::world::Fallback;

/// Schedules, acts of each and questions after each that the tests look at.
const SEEDS: u64 = 400;
const ACTS: usize = 30;
const QUESTIONS: usize = 12;

#[test]
fn the_same_seed_gives_the_same_schedule_and_questions() {
    for seed in 0..20 {
        let ((mut one, model, acts), (mut other, _, again)) = (play(seed, ACTS), play(seed, ACTS));
        assert_eq!(acts, again, "seed {seed}");
        for _ in 0..QUESTIONS {
            assert_eq!(one.question(&model), other.question(&model), "seed {seed}");
        }
    }
}

#[test]
fn time_never_falls_and_a_batch_is_of_one_kind() {
    for seed in 0..SEEDS {
        let (_, _, acts) = play(seed, ACTS);
        assert!(acts.is_sorted_by_key(|timed| timed.now), "seed {seed}");
        let offers = acts.iter().flat_map(|timed| match &timed.act {
            Act::Commit(offers) => offers.clone(),
            _ => Vec::new(),
        });
        for offer in offers {
            if let Offer::Facts(load) = offer {
                let kind = |fact: &crate::curated_model::facts::OfferedFact| {
                    let key = fact.fact.key();
                    (key.ledger, key.source, key.step, key.side)
                };
                let first = kind(&load.facts[0]);
                assert!(load.facts.iter().all(|fact| kind(fact) == first), "seed {seed}");
            } else if let Offer::Bars(load) = offer {
                let is_empty = load.load.rows.is_empty() && load.claims.is_empty();
                assert!(!is_empty, "seed {seed}: nothing in batch {}", load.load.id);
                assert!(load.claims.iter().all(|claim| claim.start < claim.end), "seed {seed}");
            }
        }
    }
}

/// Counts how often something was met.
#[derive(Default)]
struct Met(BTreeMap<String, usize>);

impl Met {
    fn count(&mut self, what: impl Into<String>) {
        *self.0.entry(what.into()).or_default() += 1;
    }

    fn expect(&self, what: &[&str]) {
        for what in what {
            let times = self.0.get(*what).copied().unwrap_or_default();
            assert!(times >= 20, "{what} was met {times} times: {:?}", self.0);
        }
    }
}

#[test]
fn schedules_meet_everything_the_page_tells_apart() {
    let mut met = Met::default();
    for seed in 0..SEEDS {
        let (mut generator, model, acts) = play(seed, ACTS);
        count_acts(&mut met, &acts);
        count_facts(&mut met, model.facts());
        for _ in 0..QUESTIONS {
            let question = generator.question(&model);
            let ask = question.ask(&model);
            let cells = model.curated(&ask);
            met.count("question");
            if cells.iter().any(|cell| cell.row.is_some()) {
                met.count("question with rows");
            }
            for cell in &cells {
                met.count(format!("{:?}", cell.reason));
                let Some(row) = &cell.row else { continue };
                met.count(format!("{:?}", row.state));
                if f64::from_bits(row.coverage) < 1.0 {
                    met.count("partly there");
                }
                met.count(if row.is_flagged { "flagged" } else { "clean" });
            }
            // What a change of one part of the question does to the answer.
            for fallback in [Fallback::None, Fallback::Session, Fallback::Slot] {
                let other = Ask { fallback: Some(fallback), ..ask.clone() };
                if model.curated(&other) != cells {
                    met.count(format!("another answer with fallback {fallback:?}"));
                }
            }
            if model.curated(&Ask { as_of: i64::MAX, ..ask.clone() }) != cells {
                met.count("another answer as of then");
            }
            if model.curated(&Ask { at_sequence: u64::MAX, ..ask.clone() }) != cells {
                met.count("another answer at that sequence");
            }
        }
    }
    let reasons = [
        Reason::Ok,
        Reason::NotListed,
        Reason::NotDue,
        Reason::NoTrade,
        Reason::Halted,
        Reason::Outage,
        Reason::Quarantined,
        Reason::Missing,
    ];
    met.expect(&reasons.map(|reason| format!("{reason:?}")).each_ref().map(String::as_str));
    let states = [State::Provisional, State::Final, State::Corrected];
    met.expect(&states.map(|state| format!("{state:?}")).each_ref().map(String::as_str));
    let (questions, seen) = (met.0["question"], met.0["question with rows"]);
    assert!(3 * seen >= questions, "{seen} of {questions} questions see a row");
    met.expect(&["partly there", "trades", "quotes", "retracted ticks"]);
    met.expect(&["flagged", "clean", "Flush", "Compact", "Reopen", "Crash", "group"]);
    met.expect(&["rejected bar", "stated bar", "retracted bars", "claims alone", "policy"]);
    met.expect(&["stated fact", "retracted fact", "Rejects", "Verdicts", "Bindings", "Rules"]);
    met.expect(&["another answer as of then", "another answer at that sequence"]);
    for fallback in ["None", "Session", "Slot"] {
        met.expect(&[&format!("another answer with fallback {fallback}")]);
    }
}

fn count_acts(met: &mut Met, acts: &[Timed]) {
    for timed in acts {
        let offers = match &timed.act {
            Act::Commit(offers) => offers,
            Act::Compact { .. } => {
                met.count("Compact");
                continue;
            }
            Act::Crash(_) => {
                met.count("Crash");
                continue;
            }
            mark => {
                met.count(format!("{mark:?}"));
                continue;
            }
        };
        if offers.len() > 1 {
            met.count("group");
        }
        for offer in offers {
            match offer {
                Offer::Bars(bars) if bars.load.retract => {
                    let is_bars = bars.load.table == Table::Bars;
                    met.count(if is_bars { "retracted bars" } else { "retracted ticks" });
                }
                Offer::Bars(bars) if bars.load.rows.is_empty() => met.count("claims alone"),
                Offer::Bars(bars) if bars.load.table == Table::Trades => met.count("trades"),
                Offer::Bars(bars) if bars.load.table == Table::Quotes => met.count("quotes"),
                Offer::Bars(bars) => {
                    if bars.load.policy.is_some() {
                        met.count("policy");
                    }
                    for row in &bars.load.rows {
                        if row.known_at.is_some_and(|at| at <= timed.now) {
                            met.count("stated bar");
                        }
                        if row.values.contains(&Value::F64(f64::NAN.to_bits())) {
                            met.count("rejected bar");
                        }
                    }
                }
                Offer::Facts(load) if load.retract => met.count("retracted fact"),
                Offer::Facts(load) => {
                    if load.facts.iter().any(|fact| fact.known_at.is_some()) {
                        met.count("stated fact");
                    }
                }
            }
        }
    }
}

fn count_facts(met: &mut Met, facts: &Facts) {
    for ledger in [Ledger::Rejects, Ledger::Verdicts, Ledger::Bindings, Ledger::Rules] {
        if facts.stored().iter().any(|fact| fact.fact.key().ledger == ledger) {
            met.count(format!("{ledger:?}"));
        }
    }
}

#[test]
fn gaps_are_the_cells_without_a_row() {
    for seed in 0..SEEDS {
        let (mut generator, model, _) = play(seed, ACTS);
        for _ in 0..QUESTIONS {
            let ask = generator.question(&model).ask(&model);
            let (cells, gaps) = (model.curated(&ask), model.gaps(&ask));
            let empty = cells.iter().filter(|cell| cell.row.is_none()).count();
            assert_eq!(gaps.iter().map(|gap| gap.slots).sum::<usize>(), empty, "seed {seed}");
            let lies = |gap: &Gap, at: i64| gap.start <= at && at < gap.end;
            for cell in &cells {
                let reasons: Vec<Reason> = gaps
                    .iter()
                    .filter(|gap| lies(gap, cell.slot.start))
                    .map(|gap| gap.reason)
                    .collect();
                let expected = if cell.row.is_some() { vec![] } else { vec![cell.reason] };
                assert_eq!(reasons, expected, "seed {seed}: {cell:?}");
            }
        }
    }
}

/// A session is asked for in pieces: the answers are those to the whole.
#[test]
fn an_answer_about_a_range_is_that_about_its_parts() {
    for seed in 0..SEEDS {
        let (mut generator, model, _) = play(seed, ACTS);
        for _ in 0..QUESTIONS {
            let ask = generator.question(&model).ask(&model);
            let middle = ask.start + (ask.end - ask.start) / 3;
            let mut parts = model.curated(&Ask { end: middle, ..ask.clone() });
            parts.extend(model.curated(&Ask { start: middle, ..ask.clone() }));
            assert_eq!(parts, model.curated(&ask), "seed {seed}: {ask:?}");
        }
    }
}
