//! What does it cost to compute features from the rows of a store?
//!
//! `--data DIR --question NAME`:
//!
//! - `seven`, `alpha`: seven usual features, or Alpha158, of the first `--symbols` symbols and
//!   `--sessions` sessions of a store that `ingest` left, on one thread and on two; then, of some
//!   symbols, from files (`history: materialized`), with what it takes to write them
//! - `late`: one symbol, `--years N` of minutes in a fresh store, of which some come late. How long
//!   until the live features are right again, and until the cells that changed are read: of a
//!   60-slot window, and of recursions, whose cells all change from there on
//! - `range`: the last session of these years, of recursions: the first time, again, and after a
//!   row came
//! - `symbols`: Alpha158 live of `--symbols` symbols: memory of the process
//!
//! `check` is the sum of all cells of the mean over 20 slots.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::ops::{ControlFlow, Range};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use barrow_benches::data::{Bars, MINUTES, Walk, symbol};
use barrow_benches::load::{self, Store};
use barrow_benches::sets::SEVEN;
use barrow_benches::{arguments, facts, figure, machine};
use barrow_engine::features::{
    Definition, FeatureBars, FeatureGroup, FeatureOptions, FeatureRule, FeatureScan, LiveFeatures,
    Way,
};
use barrow_engine::{Options, Snapshot, Vintage};
use barrow_types::{DatasetId, Step, Timestamp};

const CALENDAR: &str = "EXACT";
const YEAR: u32 = 252;
const QUARTER: usize = 63 * MINUTES;
const ROUNDS: usize = 3;
/// Rows that come late.
const LATE: usize = 100;
const WINDOW: usize = 60;
/// Slots of a file of cells: ten sessions.
const FILE_SLOTS: u32 = 3_900;
/// Symbols times features whose cells are put into files.
const FILE_CELLS: u32 = 3_500;

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let question: String = arguments::value("--question", "seven".to_owned());
    let symbols = arguments::value("--symbols", 500);
    let years = arguments::value("--years", 10);
    let range = load::sessions(0, arguments::value("--sessions", 50));
    match question.as_str() {
        "seven" => of_all(&dir, "seven", &seven(), (symbols, range)),
        "alpha" => of_all(&dir, "alpha", &alpha(), (symbols, range)),
        "late" => late(&dir, years),
        "range" => late_range(&dir, years),
        "symbols" => many(&dir, symbols),
        other => panic!("--question: there is no {other:?}"),
    }
}

fn group(features: &[(&str, &str)]) -> Arc<FeatureGroup> {
    let mut definition = Definition::new("bench", FeatureBars::every(Step::M1));
    definition.features =
        features.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    Arc::new(FeatureGroup::new(definition).expect("it is written right"))
}

fn seven() -> Arc<FeatureGroup> {
    group(&SEVEN)
}

fn alpha() -> Arc<FeatureGroup> {
    let mut definition = Definition::new("alpha", FeatureBars::every(Step::M1));
    definition.presets.push("qlib.alpha158".into());
    definition.options = FeatureOptions::Qlib;
    Arc::new(FeatureGroup::new(definition).expect("it is written right"))
}

fn scan(group: &Arc<FeatureGroup>, name: u32, (start, end): (i64, i64)) -> FeatureScan {
    FeatureScan {
        instrument: symbol(name).into(),
        group: Arc::clone(group),
        start: Timestamp::from_nanos(start),
        end: Timestamp::from_nanos(end),
        as_of: None,
        at_sequence: None,
        due: load::NOW,
        since: Timestamp::MIN,
        vintage: Vintage::Final,
        way: Way::Columns,
    }
}

/// How many slots there are, and the sum of the cells of one feature.
fn read(snapshot: &Snapshot, scan: &FeatureScan, feature: usize) -> (usize, f64) {
    let (mut slots, mut sum) = (0, 0.0);
    let mut features = snapshot.features(scan).expect("the instrument is there");
    while let Some(piece) = features.next().expect("the disk works") {
        let piece = black_box(piece);
        slots += piece.len();
        // Nulls are 0.
        sum += piece.cells[feature].values().iter().sum::<f64>();
    }
    (slots, sum)
}

fn of_all(dir: &Path, name: &str, group: &Arc<FeatureGroup>, (symbols, range): (u32, (i64, i64))) {
    let options = Options { checkpoint_bytes_max: 0, cell_slots: FILE_SLOTS, ..Options::default() };
    let store = Store::open(dir, options);
    let snapshot = store.engine.snapshot();
    let names: Vec<String> = group.compiled.features.iter().map(|of| of.name.clone()).collect();
    let mean = names.iter().position(|name| name == "mean20" || name == "MA20");
    let mean = mean.expect("both have it");
    let of = |names: Range<u32>| {
        let all = names.map(|name| read(&snapshot, &scan(group, name, range), mean));
        all.fold((0, 0.0), |(slots, sum), (more, other)| (slots + more, sum + other))
    };
    let own = std::process::id();
    for threads in [1, 2] {
        let (mut walls, before) = (Vec::new(), machine::cpu_seconds(own));
        let (mut slots, mut sum) = (0, 0.0);
        for _ in 0..ROUNDS {
            let (wall, found) = figure::seconds(|| match threads {
                1 => of(0..symbols),
                _ => thread::scope(|scope| {
                    let other = scope.spawn(|| of(0..symbols / 2));
                    let (slots, sum) = of(symbols / 2..symbols);
                    let (more, first) = other.join().expect("it does not panic");
                    (slots + more, first + sum)
                }),
            });
            (slots, sum) = found;
            walls.push(wall * 1e3);
        }
        let cpu = (machine::cpu_seconds(own) - before) / ROUNDS as f64;
        let name = format!("{name}, {threads} threads");
        figure::many(&name, "ms", walls);
        figure::one(&format!("{name}: CPU"), "ms", cpu * 1e3);
        figure::one(&format!("{name}: CPU a row"), "ns", cpu / slots as f64 * 1e9);
        figure::one(&format!("{name}: rows"), "rows", slots as f64);
        figure::one(&format!("{name}: check"), "sum", sum);
    }
    // As many cells in files, whichever group.
    let stored = symbols.min(FILE_CELLS / u32::try_from(names.len()).expect("groups are small"));
    let (wall, ()) = figure::seconds(|| {
        for symbol_of in 0..stored {
            let mut go_on = || ControlFlow::Continue(());
            let made = snapshot.store_cells(group, &symbol(symbol_of).into(), &mut go_on);
            assert!(!made.expect("the disk works").is_full, "there is room");
        }
    });
    let files = store.engine.reader().cells();
    let name = format!("{name}, in files");
    let before = machine::cpu_seconds(own);
    let mut walls = Vec::new();
    let (mut slots, mut sum) = (0, 0.0);
    for _ in 0..ROUNDS {
        let (wall, found) = figure::seconds(|| of(0..stored));
        (slots, sum) = found;
        walls.push(wall * 1e3);
    }
    let cpu = (machine::cpu_seconds(own) - before) / ROUNDS as f64;
    let read = store.engine.reader().cells().used;
    assert_eq!(read, files.made * ROUNDS as u64, "all of it comes from files");
    figure::one(&format!("{name}: written: a row"), "ns", wall / slots as f64 * 1e9);
    figure::one(&format!("{name}: a cell"), "bytes", bytes(files.bytes, slots * names.len()));
    figure::many(&name, "ms", walls);
    figure::one(&format!("{name}: CPU a row"), "ns", cpu / slots as f64 * 1e9);
    figure::one(&format!("{name}: rows"), "rows", slots as f64);
    figure::one(&format!("{name}: check"), "sum", sum);
    snapshot.retain_cells(&BTreeSet::new());
}

fn bytes(all: u64, cells: usize) -> f64 {
    all as f64 / cells as f64
}

/// One symbol and its live features.
struct Series {
    store: Store,
    rows: Bars,
    batches: u32,
    live: LiveFeatures,
}

impl Series {
    /// Years of minutes without those at some places, in segments.
    fn fill(dir: &Path, years: u32, missing: &BTreeSet<usize>) -> Self {
        fresh(dir);
        let mut store = Store::open(dir, Options::default());
        facts::calendar(&mut store, CALENDAR, years * YEAR, 0);
        facts::follow(&mut store, CALENDAR, 1);
        let mut walk = Walk::new(0);
        let mut rows = Bars::default();
        (0..years * YEAR).for_each(|_| walk.session(&mut rows));
        let mut series = Self { store, rows, batches: 0, live: LiveFeatures::default() };
        let all: Vec<usize> = (0..series.rows.len()).filter(|at| !missing.contains(at)).collect();
        all.chunks(QUARTER).for_each(|places| series.send(places));
        series.store.flush();
        series
    }

    fn send(&mut self, places: &[usize]) {
        let mut bars = Bars::default();
        places.iter().for_each(|place| bars.push(&self.rows, *place));
        self.batches += 1;
        let batch = load::batch(self.batches.to_string(), &bars);
        let prepared = load::prepared(&self.store.engine.reader(), batch);
        self.store.commit(vec![prepared]);
    }

    /// Brings live features up to date.
    fn update(&mut self) {
        update(&mut self.live, &self.store.engine.snapshot());
    }

    /// The slots from one place on, so many.
    fn range(&self, place: usize, slots: usize) -> (i64, i64) {
        let last = (place + slots - 1).min(self.rows.len() - 1);
        (self.rows.ts[place], self.rows.ts[last] + 1)
    }
}

fn update(live: &mut LiveFeatures, snapshot: &Snapshot) {
    let touched = snapshot.series(DatasetId::BARS, None).into_iter().map(|(series, _)| series);
    let touched: Vec<_> = touched.collect();
    live.update(snapshot, touched, &mut || ControlFlow::Continue(()), |update| {
        assert!(update.failed.is_none(), "they can be computed");
    })
    .expect("the disk works");
}

fn fresh(dir: &Path) {
    if dir.exists() {
        std::fs::remove_dir_all(dir).expect("the folder is ours");
    }
}

/// Places of rows that come late: `count` of the last `of` of `len`, evenly apart.
fn spread(len: usize, of: usize, count: usize) -> Vec<usize> {
    let apart = of / count;
    // The last few slots are others' to tell.
    (0..count).map(|turn| len - of + turn * apart).collect()
}

fn late(dir: &Path, years: u32) {
    let len = years as usize * YEAR as usize * MINUTES;
    let (near, far) = (spread(len, MINUTES, LATE), spread(len, len, LATE));
    let missing: BTreeSet<usize> = near.iter().chain(&far).copied().collect();
    let window = group(&[("mean60", "Mean($close, 60)"), ("z60", "ZScore($close, 60)")]);
    let recursions = group(&[("rsi14", "RSI($close, 14)"), ("ema26", "EMA($close, 26)")]);
    let mut series = Series::fill(dir, years, &missing);
    series.live.set_groups([Arc::clone(&window), Arc::clone(&recursions)]);
    let (took, ()) = figure::seconds(|| series.update());
    figure::one("late: live features from nothing", "ms", took * 1e3);
    let all = series.range(0, len);
    read(&series.store.engine.snapshot(), &scan(&recursions, 0, all), 0);
    for (how, places) in [("in the last session", &near), ("in all years", &far)] {
        let (mut lives, mut windows, mut sessions) = (Vec::new(), Vec::new(), Vec::new());
        for &place in places.iter().filter(|place| **place + WINDOW < len) {
            series.send(&[place]);
            lives.push(figure::seconds(|| series.update()).0 * 1e6);
            let snapshot = series.store.engine.snapshot();
            let dirty = scan(&window, 0, series.range(place, WINDOW));
            windows.push(figure::seconds(|| read(&snapshot, &dirty, 0)).0 * 1e6);
            let behind = scan(&recursions, 0, series.range(place, MINUTES));
            sessions.push(figure::seconds(|| read(&snapshot, &behind, 0)).0 * 1e6);
        }
        figure::many(&format!("late, {how}: live features right again"), "us", lives);
        figure::many(&format!("late, {how}: 60 cells of a window read"), "us", windows);
        figure::many(&format!("late, {how}: a session of recursions read"), "us", sessions);
    }
    figure::one("late: slots in all", "slots", len as f64);
}

fn late_range(dir: &Path, years: u32) {
    let len = years as usize * YEAR as usize * MINUTES;
    let missing = BTreeSet::from([len - 1]);
    let recursions = group(&[("rsi14", "RSI($close, 14)"), ("ema26", "EMA($close, 26)")]);
    let mut series = Series::fill(dir, years, &missing);
    let last = scan(&recursions, 0, series.range(len - MINUTES, MINUTES));
    let ask = |series: &Series| {
        let snapshot = series.store.engine.snapshot();
        figure::seconds(|| read(&snapshot, &last, 0)).0 * 1e6
    };
    figure::one("range: the last session, first", "us", ask(&series));
    figure::many("range: the last session, again", "us", (0..LATE).map(|_| ask(&series)).collect());
    series.send(&[len - 1]);
    figure::one("range: the last session, after a row came", "us", ask(&series));
    let checkpoints = series.store.engine.reader().checkpoints();
    figure::one("range: checkpoints", "checkpoints", checkpoints.kept as f64);
    figure::one("range: checkpoints: memory", "bytes", checkpoints.kept_bytes as f64);
    figure::one("range: slots in all", "slots", len as f64);
}

fn many(dir: &Path, symbols: u32) {
    fresh(dir);
    let mut store = Store::open(dir, Options::default());
    facts::calendar(&mut store, CALENDAR, 1, 0);
    facts::follow(&mut store, CALENDAR, symbols);
    let own = std::process::id();
    let before = machine::memory_mib(own, "VmRSS");
    for first in (0..symbols).step_by(100) {
        let mut bars = Bars::default();
        let names = first..symbols.min(first + 100);
        names.for_each(|name| Walk::new(name).session(&mut bars));
        let batch = load::batch(first.to_string(), &bars);
        let prepared = load::prepared(&store.engine.reader(), batch);
        store.commit(vec![prepared]);
        store.flush_if_due();
    }
    store.flush();
    let filled = machine::memory_mib(own, "VmRSS");
    let mut live = LiveFeatures::default();
    live.set_groups([alpha()]);
    let (took, ()) = figure::seconds(|| update(&mut live, &store.engine.snapshot()));
    figure::one("symbols: live from nothing", "s", took);
    let resident = machine::memory_mib(own, "VmRSS");
    figure::one("symbols: resident before rows came", "MiB", before);
    figure::one("symbols: resident with rows in segments", "MiB", filled);
    figure::one("symbols: resident with Alpha158 live", "MiB", resident);
    figure::one("symbols", "symbols", f64::from(symbols));
}
