//! What does it cost to put bars right that are made of others, when rows come late? One symbol,
//! `--years N` (10) of 1-minute bars.
//!
//! `--data DIR --question NAME`, of a store that is made anew:
//!
//! - `late`: 200 rows that were missing come one at a time, at random places. How long after each
//!   commit until the 5m, 1h, 1d and 1w bars around it are read again, right; then those of all
//!   years; the same once more after a flush
//! - `spread`: 10,000 rows that were missing come over one year, in batches of 100 at random
//!   places: how many sessions are made anew for the bars of that year, if they are read once, and
//!   if they are read after each batch
//! - `backfill`: all years come, the newest quarter first, while bars of all steps are read: the
//!   peak of memory
//!
//! Every answer is compared with a plain fold of the rows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use barrow_benches::bars::{self, Asked, STEPS};
use barrow_benches::data::{Bars, MINUTES, Walk};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, facts, figure, machine};
use barrow_engine::rows::Values;
use barrow_engine::{Options, Snapshot};
use barrow_types::Step;

/// Sessions of a year.
const YEAR: u32 = 252;
/// Sessions of a batch of the backfill: a quarter.
const QUARTER: u32 = 63;
const CALENDAR: &str = "EXACT";
/// Rows that come one at a time.
const LATE: usize = 200;
/// Rows that come over a year, and in a batch.
const SPREAD: usize = 10_000;
const BATCH: usize = 100;
/// What is read after a late row.
const READ: [Step; 4] = [Step::M5, Step::H1, Step::D1, Step::W1];

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let question: String = arguments::value("--question", "late".to_owned());
    let years = arguments::value("--years", 10);
    if dir.exists() {
        std::fs::remove_dir_all(&dir).expect("the folder is ours");
    }
    let mut store = Store::open(&dir, Options::default());
    facts::calendar(&mut store, CALENDAR, years * YEAR, 0);
    facts::follow(&mut store, CALENDAR, 1);
    let mut series = Series::new(store, years * YEAR);
    match question.as_str() {
        "late" => late(&mut series),
        "backfill" => backfill(&mut series),
        "spread" => spread(&mut series, years),
        other => panic!("--question: there is no {other:?}"),
    }
}

/// The rows of the symbol, and the store that some of them came to.
struct Series {
    store: Store,
    rows: Bars,
    /// Which of them are there.
    is_there: Vec<bool>,
    sessions: u32,
    batches: u32,
    random: u64,
}

impl Series {
    fn new(store: Store, sessions: u32) -> Self {
        let mut walk = Walk::new(0);
        let mut rows = Bars::default();
        (0..sessions).for_each(|_| walk.session(&mut rows));
        let is_there = vec![false; rows.len()];
        Self { store, rows, is_there, sessions, batches: 0, random: 7 }
    }

    /// A number below `end`, by xorshift.
    fn draw(&mut self, end: usize) -> usize {
        for shift in [13, -7, 17_i32] {
            let by = shift.unsigned_abs();
            self.random ^= if shift > 0 { self.random << by } else { self.random >> by };
        }
        usize::try_from(self.random % end as u64).expect("invariant: below a usize")
    }

    /// So many different places from `first` on, up to `end`.
    fn places(&mut self, count: usize, first: usize, end: usize) -> Vec<usize> {
        let mut places = Vec::new();
        let mut known = BTreeSet::new();
        while places.len() < count {
            let place = first + self.draw(end - first);
            if known.insert(place) {
                places.push(place);
            }
        }
        places
    }

    /// Rows at some places come, in a batch.
    fn send(&mut self, places: impl IntoIterator<Item = usize>) {
        let mut bars = Bars::default();
        for place in places {
            bars.push(&self.rows, place);
            self.is_there[place] = true;
        }
        self.batches += 1;
        let batch = load::batch(self.batches.to_string(), &bars);
        let prepared = load::prepared(&self.store.engine.reader(), batch);
        self.store.commit(vec![prepared]);
    }

    /// All rows come but some, and are in segments.
    fn fill_without(&mut self, missing: &[usize]) {
        let missing: BTreeSet<usize> = missing.iter().copied().collect();
        let all: Vec<usize> =
            (0..self.rows.len()).filter(|place| !missing.contains(place)).collect();
        for places in all.chunks(QUARTER as usize * MINUTES) {
            self.send(places.iter().copied());
        }
        self.store.flush();
    }

    /// Sessions made anew so far, of all steps.
    fn made(&self) -> u64 {
        self.store.engine.reader().tiles().made
    }

    /// The bars of a step in some sessions are what a plain fold says.
    fn assert_right(&self, step: Step, first: u32, count: u32) {
        let found = read(&self.store.engine.snapshot(), step, Asked::sessions(first, count));
        assert_eq!(found, self.expected(step, first, count), "{step:?} from session {first} on");
    }

    fn expected(&self, step: Step, first: u32, count: u32) -> Vec<Bar> {
        let mut bars: BTreeMap<(u32, usize), Bar> = BTreeMap::new();
        for session in first..first + count {
            for minute in 0..MINUTES {
                let place = session as usize * MINUTES + minute;
                if !self.is_there[place] {
                    continue;
                }
                let slot = match step {
                    // The first session is a Tuesday.
                    Step::W1 => ((session + 1) / 5, 0),
                    step => (session, minute / minutes_of(step)),
                };
                let bar = Bar::of(&self.rows, place);
                bars.entry(slot).and_modify(|all| all.add(bar)).or_insert(bar);
            }
        }
        bars.into_values().collect()
    }
}

fn minutes_of(step: Step) -> usize {
    let width = step.width().expect("invariant: a step of a session").get();
    usize::try_from(width / barrow_benches::data::MINUTE).expect("invariant: a width")
}

/// Open, high, low, close, volume; and trades.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    prices: [f64; 4],
    volume: f64,
    trades: i64,
}

impl Bar {
    fn of(rows: &Bars, at: usize) -> Self {
        let prices = [rows.open[at], rows.high[at], rows.low[at], rows.close[at]];
        Self { prices, volume: rows.volume[at], trades: rows.trades[at] }
    }

    fn add(&mut self, next: Self) {
        let [_, high, low, close] = next.prices;
        self.prices[1] = self.prices[1].max(high);
        self.prices[2] = self.prices[2].min(low);
        self.prices[3] = close;
        // Whole numbers: whichever the order, the sum is the same.
        self.volume += next.volume;
        self.trades += next.trades;
    }
}

fn read(snapshot: &Snapshot, step: Step, asked: Asked) -> Vec<Bar> {
    let mut all = Vec::new();
    bars::each(snapshot, 0, step, asked, |rows| {
        let double = |column: usize, at: usize| match &rows.columns[column].values {
            Values::F64(values) => values[at],
            _ => panic!("prices and volume are doubles"),
        };
        let Values::I64(trades) = &rows.columns[6].values else { panic!("trades are whole") };
        all.extend((0..rows.len()).map(|at| Bar {
            prices: [0, 1, 2, 3].map(|column| double(column, at)),
            volume: double(4, at),
            trades: trades[at],
        }));
    });
    all
}

/// Reads bars of some steps without looking at them.
fn ask(snapshot: &Snapshot, steps: &[Step], asked: Asked) {
    for step in steps {
        std::hint::black_box(bars::count(snapshot, 0, *step, asked));
    }
}

fn late(series: &mut Series) {
    let sessions = series.sessions;
    let places = series.places(2 * LATE, 0, sessions as usize * MINUTES);
    series.fill_without(&places);
    let all = Asked::sessions(0, sessions);
    ask(&series.store.engine.snapshot(), &READ, all);
    for (state, places) in [("", &places[..LATE]), (", after a flush", &places[LATE..])] {
        let (mut commits, mut repairs, mut years) = (Vec::new(), Vec::new(), Vec::new());
        let before = series.made();
        for &place in places {
            commits.push(figure::seconds(|| series.send([place])).0 * 1e6);
            let session = u32::try_from(place / MINUTES).expect("few sessions");
            let monday = ((session + 1) / 5 * 5).saturating_sub(1);
            let week = ((session + 1) / 5 * 5 + 4).min(sessions) - monday;
            let (took, ()) = figure::seconds(|| {
                let snapshot = series.store.engine.snapshot();
                ask(&snapshot, &READ[..3], Asked::sessions(session, 1));
                ask(&snapshot, &READ[3..], Asked::sessions(monday, week));
            });
            repairs.push(took * 1e6);
            for step in READ {
                let (first, count) = if step == Step::W1 { (monday, week) } else { (session, 1) };
                series.assert_right(step, first, count);
            }
            let (took, ()) = figure::seconds(|| ask(&series.store.engine.snapshot(), &READ, all));
            years.push(took * 1e6);
        }
        let made = (series.made() - before) as f64 / places.len() as f64;
        figure::many(&format!("commit of a late row{state}"), "us", commits);
        figure::many(&format!("then its 5m, 1h, 1d and 1w bars{state}"), "us", repairs);
        figure::many(&format!("then those of all years{state}"), "us", years);
        figure::one(&format!("sessions made anew a late row{state}"), "sessions", made);
        if state.is_empty() {
            series.store.flush();
            let (took, ()) = figure::seconds(|| ask(&series.store.engine.snapshot(), &READ, all));
            figure::one("those of all years, the first time after a flush", "us", took * 1e6);
        }
    }
    READ.iter().for_each(|step| series.assert_right(*step, 0, sessions));
}

fn backfill(series: &mut Series) {
    let own = std::process::id();
    machine::reset_peak();
    let before = machine::memory_mib(own, "VmRSS");
    let cpu = machine::cpu_seconds(own);
    let sessions = series.sessions;
    let (took, ()) = figure::seconds(|| {
        let mut end = sessions;
        while end > 0 {
            let first = end.saturating_sub(QUARTER);
            series.send(first as usize * MINUTES..end as usize * MINUTES);
            series.store.flush_if_due();
            let snapshot = series.store.engine.snapshot();
            ask(&snapshot, &STEPS, Asked::sessions(first, sessions - first));
            end = first;
        }
    });
    figure::one("backfill", "rows", series.rows.len() as f64);
    figure::one("backfill, all bars read after each quarter", "s", took);
    figure::one("backfill: CPU", "s", machine::cpu_seconds(own) - cpu);
    figure::one("backfill: resident before", "MiB", before);
    figure::one("backfill: peak above it", "MiB", machine::memory_mib(own, "VmHWM") - before);
    let tiles = series.store.engine.reader().tiles();
    figure::one("backfill: tiles in memory", "MiB", tiles.kept_bytes as f64 / 1_048_576.0);
    let memtable = series.store.engine.stats().memtable_bytes;
    figure::one("backfill: rows in memory at the end", "MiB", memtable as f64 / 1_048_576.0);
    figure::one("backfill: sessions made", "sessions", tiles.made as f64);
    STEPS.iter().for_each(|step| series.assert_right(*step, 0, sessions));
}

fn spread(series: &mut Series, years: u32) {
    let rows_of_a_year = YEAR as usize * MINUTES;
    let count = SPREAD.min(rows_of_a_year / 2);
    let years_asked = [0, years - 1];
    let places = years_asked.map(|year| {
        let first = year as usize * rows_of_a_year;
        series.places(count, first, first + rows_of_a_year)
    });
    assert!(years > 1, "--years: at least 2");
    series.fill_without(&places.concat());
    ask(&series.store.engine.snapshot(), &STEPS, Asked::sessions(0, series.sessions));
    for (how, year, places, each_time) in [
        ("read once", years_asked[0], &places[0], false),
        ("read after each batch", years_asked[1], &places[1], true),
    ] {
        let asked = Asked::sessions(year * YEAR, YEAR);
        let own = std::process::id();
        let (before, cpu) = (series.made(), machine::cpu_seconds(own));
        let (mut commits, mut reads) = (0.0, Vec::new());
        for batch in places.chunks(BATCH) {
            commits += figure::seconds(|| series.send(batch.iter().copied())).0;
            if each_time {
                let read = || ask(&series.store.engine.snapshot(), &STEPS, asked);
                reads.push(figure::seconds(read).0 * 1e3);
            }
        }
        if !each_time {
            let read = || ask(&series.store.engine.snapshot(), &STEPS, asked);
            reads.push(figure::seconds(read).0 * 1e3);
        }
        let cpu = machine::cpu_seconds(own) - cpu;
        let name = format!("{count} late rows, {how}");
        figure::one(&format!("{name}: sessions made"), "sessions", (series.made() - before) as f64);
        figure::one(&format!("{name}: commits"), "ms", commits * 1e3);
        figure::many(&format!("{name}: a reading of the year"), "ms", reads);
        figure::one(&format!("{name}: CPU of all"), "ms", cpu * 1e3);
        STEPS.iter().for_each(|step| series.assert_right(*step, year * YEAR, YEAR));
    }
}
