//! Questions about bars that are made of others.

use std::hint::black_box;
use std::thread;

use barrow_engine::rows::{Rows, Values};
use barrow_engine::{CuratedScan, Snapshot};
use barrow_types::{ColumnId, PriceSide, SessionSet, Step, Timestamp};

use crate::data::{DAY, OPEN, symbol};
use crate::load;

/// The steps of which bars are made of minutes, in sessions.
pub const STEPS: [Step; 6] = [Step::M5, Step::M15, Step::M30, Step::H1, Step::H4, Step::D1];

/// The range of some questions.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// The first instant.
    pub start: i64,
    /// The end.
    pub end: i64,
    /// What ends later is not due.
    pub due: Timestamp,
}

impl Asked {
    /// Of so many sessions from one on, all of which are over: from the first's midnight.
    pub fn sessions(first: u32, count: u32) -> Self {
        let (start, end) = load::sessions(first, count);
        Self { start: start - OPEN.rem_euclid(DAY), end, due: load::NOW }
    }
}

/// The bars of a symbol, with all columns, in pieces.
///
/// # Panics
/// The disk fails.
pub fn each(
    snapshot: &Snapshot,
    name: u32,
    step: Step,
    asked: Asked,
    mut piece_of: impl FnMut(&Rows),
) {
    let scan = CuratedScan {
        instrument: symbol(name).into(),
        step,
        side: PriceSide::Trade,
        start: Timestamp::from_nanos(asked.start),
        end: Timestamp::from_nanos(asked.end),
        session: SessionSet::Regular,
        align: None,
        columns: (1..=7).map(ColumnId::new).collect(),
        source: None,
        fallback: None,
        as_of: None,
        at_sequence: None,
        due: asked.due,
        empty: false,
        flags: false,
        coverage: false,
    };
    let mut curated = snapshot.curated(scan).expect("the instrument is there");
    while let Some(piece) = curated.next().expect("the disk works") {
        piece_of(black_box(&piece.rows));
    }
}

/// How many bars there are, and the sum of their closes.
pub fn count(snapshot: &Snapshot, name: u32, step: Step, asked: Asked) -> (usize, f64) {
    let (mut count, mut sum) = (0, 0.0);
    each(snapshot, name, step, asked, |rows| {
        count += rows.len();
        if let Values::F64(closes) = &rows.columns[3].values {
            sum += closes.iter().sum::<f64>();
        }
    });
    (count, sum)
}

/// The same of the first `symbols` symbols and of some steps, on some threads; one is this.
///
/// # Panics
/// The disk fails.
pub fn count_all(
    snapshot: &Snapshot,
    symbols: u32,
    steps: &[Step],
    asked: Asked,
    threads: usize,
) -> (usize, f64) {
    let names: Vec<u32> = (0..symbols).collect();
    let of = |names: &[u32]| {
        let all = names.iter().flat_map(|name| steps.iter().map(move |step| (*name, *step)));
        all.fold((0, 0.0), |sum, (name, step)| add(sum, count(snapshot, name, step, asked)))
    };
    if threads == 1 {
        return of(&names);
    }
    thread::scope(|scope| {
        let share = names.len().div_ceil(threads).max(1);
        let parts: Vec<_> =
            names.chunks(share).map(|names| scope.spawn(move || of(names))).collect();
        let parts = parts.into_iter().map(|part| part.join().expect("it does not panic"));
        parts.fold((0, 0.0), add)
    })
}

fn add(a: (usize, f64), b: (usize, f64)) -> (usize, f64) {
    (a.0 + b.0, a.1 + b.1)
}
