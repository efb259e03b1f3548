//! The engine against a plain model: random operations, then the same questions to both.
//!
//! An *episode* is one store from its creation to its end, made from one seed. Most are short,
//! with few keys, so that a failure is small; some are long, some have batches of thousands of
//! rows. The default is what CI can afford; the whole proof is one command:
//!
//! ```text
//! BARROW_MODEL_OPERATIONS=1000000 cargo test --release -p barrow-tests --test model
//! ```
//!
//! Backups at random moments, brought back to random records, are asked the same questions:
//!
//! ```text
//! BARROW_MODEL_RESTORES=1000 cargo test --release -p barrow-tests --test model restored
//! ```
//!
//! `BARROW_MODEL_SEED` replaces the first seed. A failing episode prints its own seed and its
//! last operations, and how to run it again alone. One operation is one batch offered (inserts,
//! revisions, a retraction, a repeated or altered one), a floor of retention raised, a step of a
//! flush, a seal, a reopening or a snapshot taken; questions are not counted.

mod compare;
mod episode;
mod generate;
mod trail;

use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::episode::{Episode, Totals};
use crate::generate::Shape;

const OPERATIONS_DEFAULT: u64 = 20_000;
/// Stores that are made of backups, at least.
const RESTORES_DEFAULT: u64 = 30;
const SEED_DEFAULT: u64 = 20_131_007;

const SMALL: Shape = Shape {
    operations: 60,
    minutes: 3,
    symbols: 1,
    rows_max: 4,
    questions: 60,
    flushes: 13,
    wal_file_bytes: 16 << 10,
    memtable_bytes_max: 16 << 10,
    floors: 0,
    backups: 0,
};
const MIDDLE: Shape = Shape {
    operations: 600,
    minutes: 20,
    symbols: 3,
    rows_max: 20,
    questions: 30,
    flushes: 10,
    wal_file_bytes: 64 << 10,
    memtable_bytes_max: 64 << 10,
    floors: 0,
    backups: 0,
};
const LONG: Shape = Shape {
    operations: 2_000,
    minutes: 200,
    symbols: 5,
    rows_max: 50,
    questions: 10,
    flushes: 3,
    wal_file_bytes: 1 << 20,
    memtable_bytes_max: 512 << 10,
    floors: 0,
    backups: 0,
};
const WIDE: Shape = Shape {
    operations: 80,
    minutes: 10_000,
    symbols: 2,
    rows_max: 4_000,
    questions: 30,
    flushes: 13,
    wal_file_bytes: 4 << 20,
    memtable_bytes_max: 2 << 20,
    floors: 0,
    backups: 0,
};

/// Chance in a hundred of a step of a backup, where backups are made.
const BACKUPS: u64 = 12;

/// The same with floors of retention, which leave less to ask about.
const SMALL_WITH_FLOORS: Shape = Shape { floors: 6, ..SMALL };
const MIDDLE_WITH_FLOORS: Shape = Shape { floors: 3, ..MIDDLE };
const WIDE_WITH_FLOORS: Shape = Shape { floors: 6, ..WIDE };
const LONG_WITH_FLOORS: Shape = Shape { floors: 1, ..LONG };

/// The shapes of the episodes, over and over.
const SHAPES: [Shape; 14] = [
    SMALL,
    SMALL_WITH_FLOORS,
    MIDDLE,
    MIDDLE_WITH_FLOORS,
    WIDE,
    MIDDLE,
    SMALL_WITH_FLOORS,
    WIDE_WITH_FLOORS,
    MIDDLE_WITH_FLOORS,
    SMALL,
    LONG,
    MIDDLE_WITH_FLOORS,
    MIDDLE,
    LONG_WITH_FLOORS,
];

fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    let number = text.replace('_', "").parse();
    Some(number.unwrap_or_else(|_| panic!("{name} is {text:?}: give a whole number")))
}

/// Shape and seed of every episode until there are `operations`.
fn plan(operations: u64, seed: u64) -> Vec<(Shape, u64)> {
    let mut planned = 0;
    let mut plan = Vec::new();
    for (shape, seed) in SHAPES.into_iter().cycle().zip(seed..) {
        if planned >= operations {
            break;
        }
        let shape = Shape { operations: shape.operations.min(operations - planned), ..shape };
        planned += shape.operations;
        plan.push((shape, seed));
    }
    plan
}

fn run_all(plan: &[(Shape, u64)]) -> Totals {
    let next = AtomicUsize::new(0);
    let totals = Mutex::new(Totals::default());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..workers.min(plan.len()) {
            scope.spawn(|| {
                while let Some((shape, seed)) = plan.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let done = Episode::new(*shape, *seed).run();
                    totals.lock().expect("another episode failed, see above").add(&done);
                }
            });
        }
    });
    totals.into_inner().expect("an episode failed, see above")
}

fn first_seed() -> u64 {
    setting("BARROW_MODEL_SEED").unwrap_or(SEED_DEFAULT)
}

/// The one episode that is asked for.
fn only() -> Option<(Shape, u64)> {
    let seed = setting("BARROW_MODEL_EPISODE")?;
    // An episode's seed is its place counted from the first seed, so the shape follows.
    let place = seed.checked_sub(first_seed());
    let place = place.expect("an episode's seed is the first one or above");
    let place = usize::try_from(place).expect("a seed far above the first one");
    Some((SHAPES[place % SHAPES.len()], seed))
}

#[test]
fn engine_and_model_give_the_same_answers() {
    let plan = only().map(|one| vec![one]).unwrap_or_else(|| {
        let operations = setting("BARROW_MODEL_OPERATIONS").unwrap_or(OPERATIONS_DEFAULT);
        plan(operations, first_seed())
    });
    let totals = run_all(&plan);
    let _ = writeln!(std::io::stdout(), "{} episodes: {totals}", plan.len());
}

#[test]
fn restored_stores_answer_as_the_model_did_then() {
    let with_backups = |(shape, seed)| (Shape { backups: BACKUPS, ..shape }, seed);
    let wanted = setting("BARROW_MODEL_RESTORES").unwrap_or(RESTORES_DEFAULT);
    let mut totals = Totals::default();
    if let Some(one) = only() {
        totals.add(&run_all(&[with_backups(one)]));
    } else {
        let mut episodes = SHAPES.into_iter().cycle().zip(first_seed()..).map(with_backups);
        while totals.restores() < wanted {
            let some: Vec<_> = episodes.by_ref().take(SHAPES.len() / 2).collect();
            totals.add(&run_all(&some));
        }
    }
    let _ = writeln!(std::io::stdout(), "{} restores: {totals}", totals.restores());
}
