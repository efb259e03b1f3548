//! What do features cost: all of Alpha158 and a small set of usual ones, for one closed bar of one
//! symbol and for history, in time of one core; and how large is the state of a symbol?
//!
//! Generated minutes of `--sessions N` sessions. Live bars come to one symbol again and again, its
//! state in the cache, and to `--symbols N` in turn, their states in memory. The hash of all cells
//! of history is the same whichever instructions a build may use.

use std::hash::{DefaultHasher, Hasher};
use std::hint::black_box;

use barrow_benches::data::{Bars, Walk};
use barrow_benches::sets::SEVEN;
use barrow_benches::{arguments, figure, machine};
use barrow_features::{
    Bars as Slots, Cell, Column, ContextId, Definition, FeatureRule, Field, History, Inputs, Live,
    Options, Plan, Row, Scratch,
};
use barrow_types::{Reason, Step};

const ROOT: ContextId = ContextId(0);
const ROUNDS: usize = 9;
/// Bars of each symbol in a round of many: what a thread has run is told in steps of milliseconds.
const TURNS: usize = 100;
fn main() {
    let Some(sessions) = arguments::optional("--sessions") else { return };
    let symbols = arguments::value("--symbols", 1_000);
    let rows = rows(sessions);
    let mut alpha = Definition::new("alpha", Slots::every(Step::M1));
    alpha.presets.push("qlib.alpha158".into());
    alpha.options = Options::Qlib;
    measure("Alpha158", &alpha, &rows, symbols);
    let mut set = Definition::new("set", Slots::every(Step::M1));
    set.features = SEVEN.iter().map(|(name, expr)| FeatureRule::new(*name, *expr)).collect();
    measure("seven features", &set, &rows, symbols);
}

fn measure(name: &str, group: &Definition, rows: &[Row], symbols: usize) {
    let compiled = group.compile().expect("it is written right");
    let plan = Plan::new(&compiled.graph).expect("compiled graphs can be planned");
    let mut scratch = Live::scratch(&plan, ROOT);
    let mut one = Live::new(&plan, ROOT);
    figure::one(&format!("{name}: state"), "bytes/symbol", one.bytes() as f64);
    figure::one(&format!("{name}: checkpoint"), "bytes", one.save(&plan).len() as f64);

    let nanos = |count: usize, seconds: f64| seconds / count as f64 * 1e9;
    let again = (0..ROUNDS).map(|_| {
        nanos(
            rows.len(),
            busy(|| rows.iter().for_each(|row| step(&mut one, &plan, &mut scratch, row))),
        )
    });
    figure::many(&format!("{name}: live, one symbol"), "ns/bar", again.collect());

    let mut all: Vec<Live> = (0..symbols).map(|_| Live::new(&plan, ROOT)).collect();
    let warm = rows.len() / 2;
    rows[..warm].iter().take(100).for_each(|row| {
        all.iter_mut().for_each(|live| step(live, &plan, &mut scratch, row));
    });
    let turns = rows[warm..].chunks_exact(TURNS).take(ROUNDS).map(|rows| {
        let mut turn =
            |row: &Row| all.iter_mut().for_each(|live| step(live, &plan, &mut scratch, row));
        nanos(symbols * TURNS, busy(|| rows.iter().for_each(&mut turn)))
    });
    figure::many(&format!("{name}: live, {symbols} symbols in turn"), "ns/bar", turns.collect());

    let mut inputs = Inputs::default();
    rows.iter().for_each(|row| inputs.push(row));
    let mut out = vec![Column::new(); plan.exports(ROOT)];
    let rates = (0..ROUNDS).map(|_| {
        out.iter_mut().for_each(Column::clear);
        let seconds = busy(|| History::new(&plan, ROOT).run(&plan, &inputs, &[], &mut out));
        rows.len() as f64 / seconds / 1e6
    });
    figure::many(&format!("{name}: history"), "million rows/s", rates.collect());
    figure::one(&format!("{name}: history: hash"), "53 bits", hash(&out) as f64);
}

/// The last 53 bits of a hash of all numbers and reasons: as many as a figure holds.
fn hash(columns: &[Column]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for column in columns {
        column.values().iter().for_each(|value| hasher.write_u64(value.to_bits()));
        hasher.write(column.reasons());
    }
    hasher.finish() & ((1 << 53) - 1)
}

fn step(live: &mut Live, plan: &Plan, scratch: &mut Scratch, row: &Row) {
    black_box(live.advance(plan, scratch, row, &[]).get(0));
}

/// Seconds that this thread runs for `work`: other work on the machine does not count.
fn busy(work: impl FnOnce()) -> f64 {
    let before = machine::thread_seconds();
    work();
    machine::thread_seconds() - before
}

fn rows(sessions: u32) -> Vec<Row> {
    let mut walk = Walk::new(0);
    let mut bars = Bars::default();
    (0..sessions).for_each(|_| walk.session(&mut bars));
    let row = |at: usize| {
        let mut row = Row::null(Reason::Missing);
        for (field, column) in [
            (Field::Open, &bars.open),
            (Field::High, &bars.high),
            (Field::Low, &bars.low),
            (Field::Close, &bars.close),
            (Field::Volume, &bars.volume),
            (Field::Vwap, &bars.vwap),
        ] {
            row.set(field, Cell::number(column[at]));
        }
        row
    };
    (0..bars.len()).map(row).collect()
}
