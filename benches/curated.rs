//! What does the curated layer cost: a month of one symbol beside the raw read of the same rows,
//! and the gaps of all symbols?
//!
//! `--data DIR` is a store as `ingest` leaves it, `--sessions N` as many as it has. Facts are added
//! to it: two made-up calendars, one with the sessions that the rows have, and a wider one that
//! opens five minutes earlier and closes five minutes later, so that each session has two gaps.
//!
//! The first question about gaps makes masks from rows. Then the masks are written to a file, the
//! store is opened again, and the first question takes them from there.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use barrow_benches::data::{DAY, MINUTE, MINUTES, symbol};
use barrow_benches::load::{self, Store};
use barrow_benches::{arguments, facts, figure};
use barrow_engine::{Content, CuratedScan, Options, Revisions, Scan, Snapshot};
use barrow_types::{ColumnId, DatasetId, PriceSide, SeriesId, SessionSet, Step, Timestamp};

/// Sessions of a month.
const MONTH: u32 = 20;
/// How long a question is asked again and again.
const TIME: Duration = Duration::from_secs(2);
const EXACT: &str = "EXACT";
const WIDE: &str = "WIDE";

fn main() {
    let Some(dir) = arguments::optional::<PathBuf>("--data") else { return };
    let sessions = arguments::value("--sessions", 252);
    // What an earlier run left there would be used.
    let _ = std::fs::remove_dir_all(dir.join("derived"));
    let mut questions = Questions::open(&dir, sessions);
    questions.follow(EXACT);
    let mut turn = 0;
    let mut alternate = Vec::new();
    let end = Instant::now() + TIME;
    while Instant::now() < end {
        turn += 1;
        let raw = figure::seconds(|| questions.raw(turn)).0 * 1e6;
        let curated = figure::seconds(|| questions.curated(turn, false)).0 * 1e6;
        alternate.push((raw, curated));
    }
    figure::many("raw month", "us", alternate.iter().map(|pair| pair.0).collect());
    figure::many("curated month", "us", alternate.iter().map(|pair| pair.1).collect());
    let flagged = figure::repeat(TIME, || {
        turn += 1;
        questions.curated(turn, true);
    });
    figure::many("curated month with dq_status", "us", flagged);
    for calendar in [EXACT, WIDE] {
        questions.follow(calendar);
        let name = format!("gaps of all symbols, {calendar}");
        let (first, found) = figure::seconds(|| questions.gaps());
        figure::one(&format!("{name}, first time"), "ms", first * 1e3);
        figure::one(&format!("{name}: ranges"), "ranges", found as f64);
        let times = figure::repeat(TIME, || {
            black_box(questions.gaps());
        });
        figure::many(&name, "ms", times.into_iter().map(|us| us / 1e3).collect());
    }
    drop(questions);
    for (when, is_written) in [("made from rows", false), ("taken from the file", true)] {
        let (opened, mut questions) = figure::seconds(|| Questions::open(&dir, sessions));
        figure::one(&format!("open, masks {when}"), "ms", opened * 1e3);
        // Reads the facts, which either case does.
        questions.curated(0, false);
        let (first, _) = figure::seconds(|| questions.gaps());
        figure::one(
            &format!("gaps of all symbols after an opening, masks {when}"),
            "ms",
            first * 1e3,
        );
        let stats = questions.store.engine.reader().masks();
        let taken = if is_written { stats.loaded > 0 } else { stats.loaded == 0 };
        assert!(taken, "masks were {when}: {stats:?}");
        let (took, ()) = figure::seconds(|| questions.store.write_masks_if_due());
        if !is_written {
            figure::one("writing masks that are in memory", "ms", took * 1e3);
            let stats = questions.store.engine.reader().masks();
            figure::one("file of masks", "bytes", stats.stored_bytes as f64);
        }
    }
}

struct Questions {
    store: Store,
    snapshot: Snapshot,
    series: Vec<SeriesId>,
    sessions: u32,
}

impl Questions {
    fn open(dir: &Path, sessions: u32) -> Self {
        let mut store = Store::open(dir, Options::default());
        for (calendar, wider) in [(EXACT, 0), (WIDE, 5 * MINUTE)] {
            facts::calendar(&mut store, calendar, sessions, wider);
        }
        let snapshot = store.engine.snapshot();
        let series = snapshot.series(DatasetId::BARS, None).into_iter().map(|(id, _)| id).collect();
        Self { store, snapshot, series, sessions }
    }

    /// All instruments follow `calendar` from now on.
    fn follow(&mut self, calendar: &str) {
        let count = u32::try_from(self.series.len()).expect("few symbols");
        facts::follow(&mut self.store, calendar, count);
        self.snapshot = self.store.engine.snapshot();
    }

    fn range(&self, turn: usize) -> (SeriesId, u32, (Timestamp, Timestamp)) {
        let at = turn * 37 % self.series.len();
        let range = load::sessions(0, MONTH.min(self.sessions));
        let name = u32::try_from(at).expect("few symbols");
        (self.series[at], name, (Timestamp::from_nanos(range.0), Timestamp::from_nanos(range.1)))
    }

    fn raw(&self, turn: usize) {
        let (series, _, (start, end)) = self.range(turn);
        let mut scanner = self
            .snapshot
            .scan(Scan {
                series,
                start,
                end,
                columns: columns(),
                as_of: None,
                at_sequence: None,
                revisions: Revisions::Visible,
            })
            .expect("the series is there");
        let mut rows = 0;
        while let Some(piece) = scanner.next().expect("the disk works") {
            rows += black_box(piece).len();
        }
        assert_eq!(rows, MONTH.min(self.sessions) as usize * MINUTES);
    }

    fn curated(&self, turn: usize, flags: bool) {
        let (_, name, (start, end)) = self.range(turn);
        let scan = CuratedScan { flags, ..scan(name, start, end, columns(), false) };
        let mut curated = self.snapshot.curated(scan).expect("the instrument is there");
        let mut rows = 0;
        while let Some(piece) = curated.next().expect("the disk works") {
            rows += black_box(piece).rows.len();
        }
        assert_eq!(rows, MONTH.min(self.sessions) as usize * MINUTES);
    }

    /// How many ranges of empty slots there are.
    fn gaps(&self) -> usize {
        let mut found = 0;
        let range = load::sessions(0, self.sessions);
        let (start, end) =
            (Timestamp::from_nanos(range.0 - DAY / 4), Timestamp::from_nanos(range.1));
        for name in (0..).take(self.series.len()) {
            let scan = scan(name, start, end, Vec::new(), true);
            let mut gaps = self.snapshot.gaps(scan).expect("the instrument is there");
            while let Some(piece) = gaps.next().expect("the disk works") {
                let is_empty = |content: &Content| matches!(content, Content::Empty(_));
                found += piece.spans.iter().filter(|span| is_empty(&span.content)).count();
            }
        }
        found
    }
}

fn columns() -> Vec<ColumnId> {
    (1..=7).map(ColumnId::new).collect()
}

fn scan(
    name: u32,
    start: Timestamp,
    end: Timestamp,
    columns: Vec<ColumnId>,
    empty: bool,
) -> CuratedScan {
    CuratedScan {
        instrument: symbol(name).into(),
        step: Step::M1,
        side: PriceSide::Trade,
        start,
        end,
        session: SessionSet::Regular,
        align: None,
        columns,
        source: None,
        fallback: None,
        as_of: None,
        at_sequence: None,
        due: load::NOW,
        empty,
        flags: false,
        coverage: false,
    }
}
