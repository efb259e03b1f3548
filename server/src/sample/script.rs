//! What happens in the sample market, in order: the batches that are sent.

use super::market::{Bar, MINUTE, SESSIONS, SYMBOLS, walk};

/// The source of all rows.
pub(crate) const SOURCE: &str = "sample";

/// A symbol whose Monday was corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Correction {
    pub(crate) symbol: &'static str,
    /// The first corrected minute, and the end of the last.
    pub(crate) start: &'static str,
    pub(crate) end: &'static str,
    /// A moment before the correction was published.
    pub(crate) before: &'static str,
}

/// Something to look at with `as_of`.
pub(crate) const CORRECTED: Correction = Correction {
    symbol: "BECH",
    start: "2024-11-25T15:30:00Z",
    end: "2024-11-25T15:32:00Z",
    before: "2024-11-26T12:00:00Z",
};

/// Symbols and minutes of Monday whose high was printed wrong; the first is [`CORRECTED`].
const MISPRINTS: [(usize, i64); 4] = [(4, 60), (4, 61), (20, 60), (20, 61)];
/// Tuesday 13:00 UTC: the correction is published.
const CORRECTED_AT: i64 = SESSIONS[1].open - 90 * MINUTE;

/// Halted on Tuesday for 45 minutes.
const HALTED: usize = 7;
/// Its ten minutes from 200 on, of Tuesday, come in the evening.
const LATE: usize = 12;
/// Tuesday 22:15 UTC.
const LATE_AT: i64 = SESSIONS[1].open + 465 * MINUTE;

/// Printed five minutes after Wednesday's close, and taken back.
const STRAY: usize = 30;
const STRAY_TS: i64 = SESSIONS[2].open + 395 * MINUTE;

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch of rows comes in.
    Bars {
        /// The batch's id: the same at every run, so that a second demo stores nothing twice.
        id: String,
        /// What it is, for a person.
        what: &'static str,
        /// The rows.
        bars: Vec<Bar>,
    },
    /// A row is taken back.
    Retract {
        /// The batch's id.
        id: String,
        /// What it is, for a person.
        what: &'static str,
        /// The row's symbol.
        symbol: &'static str,
        /// The row's `ts` in nanoseconds.
        ts: i64,
    },
}

fn is_late(bar: &Bar) -> bool {
    let first = SESSIONS[1].open + 200 * MINUTE;
    bar.symbol == LATE && (first..first + 10 * MINUTE).contains(&bar.ts)
}

fn is_misprint(bar: &Bar) -> bool {
    MISPRINTS.iter().any(|(symbol, minute)| {
        bar.symbol == *symbol && bar.ts == SESSIONS[0].open + minute * MINUTE
    })
}

/// Everything that happens, in order.
pub(crate) fn script() -> Vec<Step> {
    let all: Vec<Bar> = (0..SYMBOLS.len())
        .flat_map(|symbol| {
            walk(symbol, |session, minute| {
                symbol == HALTED && session == 1 && (95..140).contains(&minute)
            })
        })
        .collect();
    let mut steps = Vec::new();
    for (at, session) in SESSIONS.iter().enumerate() {
        let hours = session.open..session.open + session.minutes * MINUTE;
        let mut bars: Vec<Bar> =
            all.iter().filter(|bar| hours.contains(&bar.ts) && !is_late(bar)).copied().collect();
        for bar in bars.iter_mut().filter(|bar| is_misprint(bar)) {
            bar.high = bar.high * 11 / 10;
        }
        if at == 2 {
            let last = all.iter().rfind(|bar| bar.symbol == STRAY && hours.contains(&bar.ts));
            let last = last.expect("invariant: every symbol trades on every day");
            bars.push(Bar { ts: STRAY_TS, known_at: STRAY_TS + MINUTE, ..*last });
        }
        bars.sort_by_key(|bar| (bar.symbol, bar.ts));
        let id = format!("sample-{}", session.date);
        let what = if session.minutes == 210 { "a half day" } else { "a session" };
        steps.push(Step::Bars { id, what, bars });
        match at {
            0 => steps.push(correction(&all)),
            1 => steps.push(late(&all)),
            2 => steps.push(Step::Retract {
                id: "sample-retraction".to_owned(),
                what: "a print after the close, taken back",
                symbol: SYMBOLS[STRAY],
                ts: STRAY_TS,
            }),
            _ => {}
        }
    }
    steps
}

fn correction(all: &[Bar]) -> Step {
    let right = all.iter().filter(|bar| is_misprint(bar));
    Step::Bars {
        id: "sample-corrections".to_owned(),
        what: "Monday's bad prints, corrected on Tuesday morning",
        bars: right.map(|bar| Bar { known_at: CORRECTED_AT, ..*bar }).collect(),
    }
}

fn late(all: &[Bar]) -> Step {
    let late = all.iter().filter(|bar| is_late(bar));
    Step::Bars {
        id: "sample-late".to_owned(),
        what: "ten minutes of Tuesday that came in the evening",
        bars: late.map(|bar| Bar { known_at: LATE_AT, ..*bar }).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn bars() -> Vec<Bar> {
        let mut all = Vec::new();
        for step in script() {
            if let Step::Bars { bars, .. } = step {
                all.extend(bars);
            }
        }
        all
    }

    #[test]
    fn every_run_gives_the_same_market() {
        assert_eq!(script(), script());
    }

    #[test]
    fn every_bar_is_a_bar_and_was_published_after_its_end() {
        for bar in bars() {
            let inner = [bar.open, bar.close];
            assert!(inner.iter().all(|price| (bar.low..=bar.high).contains(price)), "{bar:?}");
            assert!(bar.low > 0 && bar.volume > 0 && bar.trades > 0, "{bar:?}");
            assert!((bar.low * 100..=bar.high * 100).contains(&bar.vwap), "{bar:?}");
            assert!(bar.known_at >= bar.ts + MINUTE, "{bar:?}");
        }
    }

    #[test]
    fn only_corrections_name_a_minute_again() {
        let mut seen = BTreeSet::new();
        let again = bars().iter().filter(|bar| !seen.insert((bar.symbol, bar.ts))).count();
        assert_eq!(again, MISPRINTS.len());
        assert_eq!(SYMBOLS.iter().collect::<BTreeSet<_>>().len(), SYMBOLS.len());
    }

    #[test]
    fn the_market_has_gaps_a_halt_late_rows_and_a_half_day() {
        let count = |symbol: usize, session: usize| {
            let hours = SESSIONS[session].open..SESSIONS[session].open + 390 * MINUTE;
            bars().iter().filter(|bar| bar.symbol == symbol && hours.contains(&bar.ts)).count()
        };
        assert_eq!(count(0, 0), 390, "a liquid symbol trades every minute");
        assert_eq!(count(0, 3), 210, "Friday is a half day");
        assert!((200..330).contains(&count(11, 0)), "a thin one does not");
        assert!(count(HALTED, 1) <= 390 - 45);
        let late = script().into_iter().find_map(|step| match step {
            Step::Bars { id, bars, .. } if id == "sample-late" => Some(bars.len()),
            _ => None,
        });
        assert_eq!(late, Some(10));
    }

    #[test]
    fn the_correction_that_is_shown_is_one() {
        assert_eq!(SYMBOLS[MISPRINTS[0].0], CORRECTED.symbol);
        let instant = |text: &str| -> i64 {
            i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap()
        };
        let first = SESSIONS[0].open + MISPRINTS[0].1 * MINUTE;
        assert_eq!(instant(CORRECTED.start), first);
        assert_eq!(instant(CORRECTED.end), first + 2 * MINUTE);
        assert!(instant(CORRECTED.before) < CORRECTED_AT);
        for session in SESSIONS {
            assert_eq!(instant(&format!("{}T14:30:00Z", session.date)), session.open);
        }
    }
}
