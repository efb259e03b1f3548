//! Adjusted bars: small ones by hand, and real ones against factors and prices that others made.
//!
//! The real files lie beside the source and not in it; without them there is nothing to compare,
//! and the test says so.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;
use std::sync::Arc;

use barrow_engine::batch::{Act, Batch, Claim, ClaimOrigin, KnownAt, Symbols};
use barrow_engine::dataset::facts::{ALWAYS, FACT_SOURCE};
use barrow_engine::disk::MemoryDisk;
use barrow_engine::rows::{Column, ColumnType, Values};
use barrow_engine::{Adjust, Adjustment, Anchor, Content, CuratedScan, Engine, Options, Reference};
use barrow_types::{
    ColumnId, DAY_NANOS, DatasetId, Nanos, PriceSide, Sequence, SessionSet, Step, Timestamp,
    days_from_civil,
};
use flate2::read::GzDecoder;

const HOUR: i64 = 3_600_000_000_000;
/// When everything is loaded: 2030-01-01.
const NOW: i64 = 21_915 * DAY_NANOS;

fn date(text: &str) -> i32 {
    let part = |from: usize, to: usize| text[from..to].parse().expect("digits");
    let days = days_from_civil(part(0, 4), part(5, 7), part(8, 10));
    i32::try_from(days).expect("a date of our time")
}

fn midnight(text: &str) -> i64 {
    i64::from(date(text)) * DAY_NANOS
}

fn shown(date: i32) -> String {
    let (year, month, day) = barrow_types::civil_from_days(date.into());
    format!("{year:04}-{month:02}-{day:02}")
}

/// A store of bars and facts of one instrument, X.
struct Store {
    engine: Engine,
    sent: u32,
}

/// What is asked, beside the defaults of [`ask`].
#[derive(Clone)]
struct Ask {
    step: Step,
    adjustment: Adjustment,
    start: i64,
    end: i64,
    as_of: Option<i64>,
    at_sequence: Option<u64>,
    source: Option<&'static str>,
}

/// All daily bars, adjusted for everything.
fn ask(adjust: Adjust) -> Ask {
    Ask {
        step: Step::D1,
        adjustment: Adjustment { adjust, anchor: Anchor::End },
        start: i64::MIN,
        end: i64::MAX,
        as_of: None,
        at_sequence: None,
        source: None,
    }
}

/// A bar on its way out.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bar {
    session: i32,
    /// Open, high, low, close, volume, vwap.
    values: [f64; 6],
    trades: i64,
}

impl Store {
    fn new() -> Self {
        let disk = Arc::new(MemoryDisk::new());
        let engine = Engine::open(disk, Options::default(), [7; 16]).unwrap().0;
        Self { engine, sent: 0 }
    }

    fn send(&mut self, mut batch: Batch) -> u64 {
        self.sent += 1;
        batch.id = self.sent.to_string();
        let now = Timestamp::from_nanos(NOW);
        let prepared = barrow_engine::prepare(batch, &self.engine.snapshot(), now).unwrap();
        let applied = self.engine.commit(vec![prepared], now).unwrap().remove(0).unwrap();
        assert_eq!(applied.counts.rejected, 0, "{:?}", applied.errors);
        self.engine.advance();
        applied.sequence.get()
    }

    /// `TS OPEN HIGH LOW CLOSE VOLUME` of each bar; vwap is the open, trades are 7.
    fn bars(&mut self, source: &str, step: Step, rows: &[(i64, [f64; 5])]) -> u64 {
        let column = |at: usize| Values::F64(rows.iter().map(|row| row.1[at]).collect());
        let mut columns: Vec<Column> = (0..5).map(|at| Column::new(column(at))).collect();
        columns.push(Column::new(column(0)));
        columns.push(Column::new(Values::I64(vec![7; rows.len()])));
        let ts = rows.iter().map(|row| row.0).collect();
        self.send(batch(DatasetId::BARS, source, step, "X", ts, columns))
    }

    /// `DATE CLOSE` a line: daily bars with a volume of 1000.
    fn closes(&mut self, source: &str, lines: &str) -> u64 {
        let line = |line: &str| {
            let (date, close) = line.trim().split_once(' ').unwrap();
            let close: f64 = close.parse().unwrap();
            (midnight(date), [close - 1.0, close + 1.0, close - 2.0, close, 1_000.0])
        };
        let rows: Vec<_> = lines.lines().filter(|it| !it.trim().is_empty()).map(line).collect();
        self.bars(source, Step::D1, &rows)
    }

    /// `EX-DATE KIND VALUE [KNOWN-SINCE]` a line.
    fn actions(&mut self, lines: &str) {
        for line in lines.lines().filter(|line| !line.trim().is_empty()) {
            let cells: Vec<&str> = line.split_whitespace().collect();
            let value = Column::new(Values::F64(vec![cells[2].parse().unwrap()]));
            let columns = vec![text(cells[1]), value];
            let ts = vec![midnight(cells[0])];
            let mut batch = batch(DatasetId::ACTIONS, FACT_SOURCE, Step::Tick, "X", ts, columns);
            batch.known_at =
                cells.get(3).map(|known| Column::new(Values::I64(vec![midnight(known)])));
            self.send(batch);
        }
    }

    fn setting(&mut self, key: &str, value: &str) {
        let columns = vec![text(key), text(value)];
        let ts = vec![ALWAYS.nanos()];
        self.send(batch(DatasetId::SETTINGS, FACT_SOURCE, Step::Tick, "bars", ts, columns));
    }

    fn calendar(&mut self, name: &str) {
        let columns = vec![text("calendar"), text(name)];
        let ts = vec![ALWAYS.nanos()];
        self.send(batch(DatasetId::INSTRUMENTS, FACT_SOURCE, Step::Tick, "X", ts, columns));
    }

    fn read(&self, ask: &Ask) -> Result<Vec<Bar>, String> {
        let (as_of, at_sequence) =
            (ask.as_of.map(Timestamp::from_nanos), ask.at_sequence.map(Sequence::new));
        let snapshot = self.engine.snapshot();
        let reference = Reference::at(&snapshot, as_of, at_sequence).unwrap();
        let scan = CuratedScan {
            instrument: "X".into(),
            step: ask.step,
            side: PriceSide::Trade,
            start: Timestamp::from_nanos(ask.start),
            end: Timestamp::from_nanos(ask.end),
            session: SessionSet::Regular,
            align: None,
            columns: (1..=7).map(ColumnId::new).collect(),
            source: ask.source.map(str::to_owned),
            fallback: None,
            as_of,
            at_sequence,
            due: Timestamp::from_nanos(NOW),
            empty: false,
            flags: false,
            coverage: false,
        };
        let curated = snapshot.curated(scan).unwrap();
        let mut curated =
            curated.adjusted(&reference, ask.adjustment).map_err(|error| error.to_string())?;
        let mut bars = Vec::new();
        while let Some(piece) = curated.next().unwrap() {
            let value = |column: usize, at: usize| match &piece.rows.columns[column].values {
                Values::F64(values) => values[at],
                _ => panic!("a column of doubles"),
            };
            let Values::I64(trades) = &piece.rows.columns[6].values else { panic!("i64") };
            for span in &piece.spans {
                let Content::Rows(first) = span.content else { panic!("nothing empty was asked") };
                bars.extend((first..first + span.count as usize).map(|at| Bar {
                    session: span.stretch.date,
                    values: std::array::from_fn(|column| value(column, at)),
                    trades: trades[at],
                }));
            }
        }
        Ok(bars)
    }

    /// `DATE CLOSE VOLUME` of each bar, a line each.
    fn lines(&self, ask: &Ask) -> Result<String, String> {
        let line =
            |bar: &Bar| format!("{} {} {}", shown(bar.session), bar.values[3], bar.values[4]);
        Ok(self.read(ask)?.iter().map(line).collect::<Vec<_>>().join("\n"))
    }
}

fn batch(
    dataset: DatasetId,
    source: &str,
    step: Step,
    symbol: &str,
    ts: Vec<i64>,
    columns: Vec<Column>,
) -> Batch {
    Batch {
        id: String::new(),
        dataset,
        source: source.to_owned(),
        step,
        side: PriceSide::Trade,
        known_at_policy: KnownAt::TsEnd(Nanos::new(0)),
        facts: None,
        claims: Vec::new(),
        act: Act::Insert,
        is_import: true,
        symbols: Symbols::one(symbol, ts.len()),
        ts: Column::new(Values::I64(ts)),
        known_at: None,
        columns,
        numbers: None,
        raw: None,
        refused: Vec::new(),
    }
}

fn text(value: &str) -> Column {
    Column::new(Values::Text([value].into_iter().collect()))
}

/// A split of 4 for 1 on Monday the 31st and a dividend of 2 on Friday the 28th.
fn split_and_dividend() -> Store {
    let mut store = Store::new();
    store.calendar("XNYS");
    store.closes(
        "test",
        "2020-08-26 396
         2020-08-27 400
         2020-08-28 404
         2020-08-31 100
         2020-09-01 104",
    );
    store.actions("2020-08-28 dividend 2\n2020-08-31 split 4");
    store
}

#[test]
fn bars_before_an_ex_date_are_brought_to_the_shares_after_it() {
    let store = split_and_dividend();
    assert_eq!(
        store.lines(&ask(Adjust::Splits)).unwrap(),
        "2020-08-26 99 4000\n2020-08-27 100 4000\n2020-08-28 101 4000\n\
         2020-08-31 100 1000\n2020-09-01 104 1000"
    );
    // The dividend leaves 1 - 2/400 of what was before it, and no volume changes by it.
    assert_eq!(
        store.lines(&ask(Adjust::All)).unwrap(),
        "2020-08-26 98.505 4000\n2020-08-27 99.5 4000\n2020-08-28 101 4000\n\
         2020-08-31 100 1000\n2020-09-01 104 1000"
    );
    let first = store.read(&ask(Adjust::All)).unwrap()[1];
    // Open 399, high 401, low 398, close 400, vwap as the open; trades are no price.
    let expected = [399.0, 401.0, 398.0, 400.0].map(|price| price / 4.0 * 0.995);
    assert_eq!(first.values[..4], expected);
    assert_eq!((first.values[5], first.trades), (expected[0], 7));
    let none = store.lines(&ask(Adjust::None)).unwrap();
    assert!(none.starts_with("2020-08-26 396 1000\n2020-08-27 400 1000"), "{none}");
}

#[test]
fn actions_after_the_anchor_do_not_count() {
    let store = split_and_dividend();
    let closes = |ask: &Ask| -> Vec<f64> {
        store.read(ask).unwrap().iter().map(|bar| bar.values[3]).collect()
    };
    let anchored =
        |anchor| Ask { adjustment: Adjustment { adjust: Adjust::All, anchor }, ..ask(Adjust::All) };
    let as_traded = [396.0, 400.0, 404.0, 100.0, 104.0];
    let with_dividend = [396.0 * 0.995, 398.0, 404.0, 100.0, 104.0];
    let with_both = [98.505, 99.5, 101.0, 100.0, 104.0];
    let hours = |text: &str, hours: i64| {
        Anchor::Instant(Timestamp::from_nanos(midnight(text) + hours * HOUR))
    };
    for (anchor, expected) in [
        (Anchor::Date(date("2020-08-27")), &as_traded),
        (Anchor::Date(date("2020-08-28")), &with_dividend),
        (Anchor::Date(date("2020-08-30")), &with_dividend),
        (Anchor::Date(date("2020-08-31")), &with_both),
        // New York begins to trade at 04:00 there.
        (hours("2020-08-31", 7), &with_dividend),
        (hours("2020-08-31", 8), &with_both),
        (Anchor::Date(date("2050-01-01")), &with_both),
        (Anchor::End, &with_both),
    ] {
        assert_eq!(closes(&anchored(anchor)), expected, "{anchor:?}");
    }
    // The end of the range anchors too, unless something else is said.
    let until = |end: &str, anchor| Ask { end: midnight(end), ..anchored(anchor) };
    assert_eq!(closes(&until("2020-08-31", Anchor::End)), with_dividend[..3]);
    assert_eq!(closes(&until("2020-08-28", Anchor::End)), as_traded[..2]);
    let later = Anchor::Date(date("2020-08-31"));
    assert_eq!(closes(&until("2020-08-28", later)), with_both[..2]);
    // Bars that are read alone are what they are among others.
    for start in ["2020-08-27", "2020-08-28", "2020-09-01"] {
        let ask = Ask { start: midnight(start), ..ask(Adjust::All) };
        let found = closes(&ask);
        assert_eq!(found, with_both[5 - found.len()..], "{start}");
    }
}

#[test]
fn an_action_counts_since_it_is_known_and_not_before_it_happens_unless_the_anchor_says_so() {
    let mut store = Store::new();
    let sequence = store.closes("test", "2020-08-28 404\n2020-08-31 100");
    store.actions("2020-08-31 split 4 2020-07-30\n2031-01-01 split 10 2020-07-30");
    let closes = |as_of: Option<&str>, anchor, at_sequence| {
        let as_of = as_of.map(midnight);
        let adjustment = Adjustment { adjust: Adjust::Splits, anchor };
        let ask = Ask { as_of, at_sequence, adjustment, ..ask(Adjust::Splits) };
        store.read(&ask).unwrap().iter().map(|bar| bar.values[3]).collect::<Vec<_>>()
    };
    let after = Anchor::Date(date("2020-12-31"));
    // The split of 2031 was announced, but the store is of 2030.
    assert_eq!(closes(None, Anchor::End, None), [101.0, 100.0]);
    assert_eq!(closes(None, Anchor::Date(date("2031-01-01")), None), [10.1, 10.0]);
    // On the 30th the split was known, and the shares were still the old ones.
    assert_eq!(closes(Some("2020-08-30"), Anchor::End, None), [404.0]);
    assert_eq!(closes(Some("2020-08-30"), after, None), [101.0]);
    assert_eq!(closes(None, Anchor::End, Some(sequence)), [404.0, 100.0]);
    let mut unannounced = Store::new();
    unannounced.closes("test", "2020-08-28 404\n2020-08-31 100");
    unannounced.actions("2020-08-31 split 4");
    let ask = Ask {
        as_of: Some(midnight("2020-08-30")),
        adjustment: Adjustment { adjust: Adjust::Splits, anchor: after },
        ..ask(Adjust::Splits)
    };
    assert_eq!(unannounced.lines(&ask).unwrap(), "2020-08-28 404 1000");
}

#[test]
fn what_prices_carry_already_is_not_applied_again() {
    let carrying = |carried: &str| {
        let mut store = split_and_dividend();
        store.setting("adjustment:test", carried);
        store
    };
    for (carried, adjust, refused) in [
        ("none", Adjust::All, false),
        ("splits", Adjust::None, false),
        ("splits", Adjust::Splits, true),
        ("splits", Adjust::All, false),
        ("all", Adjust::None, false),
        ("all", Adjust::Splits, true),
        ("all", Adjust::All, true),
    ] {
        let found = carrying(carried).lines(&ask(adjust));
        assert_eq!(found.is_err(), refused, "{carried} {adjust:?}");
        if let Err(error) = found {
            assert!(error.contains("source test"), "{error}");
            assert!(error.contains(&format!("adjustment:test of bars is {carried}")), "{error}");
        }
    }
    let error = carrying("some").lines(&ask(Adjust::All)).unwrap_err();
    assert!(error.contains("adjustment:test of bars is 'some'"), "{error}");
    // Its prices are those of today's shares: of them the dividend was 0.5.
    let mut store = Store::new();
    store.setting("adjustment:test", "splits");
    store.closes("test", "2020-08-27 100\n2020-08-28 101\n2020-08-31 100");
    store.actions("2020-08-28 dividend 2\n2020-08-31 split 4");
    assert_eq!(
        store.lines(&ask(Adjust::All)).unwrap(),
        "2020-08-27 99.5 1000\n2020-08-28 101 1000\n2020-08-31 100 1000"
    );
}

#[test]
fn a_source_without_rows_in_the_question_is_in_nobodys_way() {
    let mut store = split_and_dividend();
    store.closes("other", "2020-08-26 99");
    store.setting("adjustment:other", "splits");
    assert!(store.lines(&ask(Adjust::Splits)).unwrap_err().contains("source other"));
    let ask = Ask { source: Some("test"), ..ask(Adjust::Splits) };
    assert!(store.lines(&ask).unwrap().starts_with("2020-08-26 99 4000"));
}

#[test]
fn a_dividend_on_the_day_of_a_split_is_for_one_of_the_new_shares() {
    let mut store = Store::new();
    store.closes("test", "2020-08-28 400\n2020-08-31 100");
    store.actions("2020-08-31 split 4\n2020-08-31 dividend 1");
    assert_eq!(store.lines(&ask(Adjust::All)).unwrap(), "2020-08-28 99 4000\n2020-08-31 100 1000");
}

#[test]
fn a_dividend_without_a_close_before_it_is_refused_where_a_bar_needs_it() {
    let mut store = Store::new();
    store.calendar("XNYS");
    // The close of Thursday the 27th is missing.
    store.closes("test", "2020-08-26 396\n2020-08-28 404\n2020-08-31 101");
    store.actions("2020-08-28 dividend 2");
    let error = store.lines(&ask(Adjust::All)).unwrap_err();
    for part in ["2020-08-28", "session before it, 2020-08-27", "adjust=splits"] {
        assert!(error.contains(part), "{error}");
    }
    assert!(store.lines(&ask(Adjust::Splits)).is_ok());
    let after = Ask { start: midnight("2020-08-28"), ..ask(Adjust::All) };
    assert_eq!(store.lines(&after).unwrap(), "2020-08-28 404 1000\n2020-08-31 101 1000");
    store.closes("test", "2020-08-27 400");
    assert!(store.lines(&ask(Adjust::All)).unwrap().starts_with("2020-08-26 394.02 1000"));
}

#[test]
fn a_session_without_trading_passes_on_the_close_before_it() {
    let mut store = Store::new();
    store.calendar("XNYS");
    store.closes("test", "2020-08-26 396\n2020-08-28 404");
    store.actions("2020-08-28 dividend 1.98");
    assert!(store.lines(&ask(Adjust::All)).is_err());
    let nothing = (0..7).map(|at| {
        let kind = if at == 6 { ColumnType::I64 } else { ColumnType::F64 };
        Column::empty(kind, 0)
    });
    let mut claim = batch(DatasetId::BARS, "test", Step::D1, "X", Vec::new(), nothing.collect());
    let at = |text: &str| Timestamp::from_nanos(midnight(text));
    claim.claims = vec![Claim {
        symbol: "X".to_owned(),
        start: at("2020-08-26"),
        end: at("2020-08-29"),
        origin: ClaimOrigin::Covers,
    }];
    store.send(claim);
    assert_eq!(
        store.lines(&ask(Adjust::All)).unwrap(),
        "2020-08-26 394.02 1000\n2020-08-28 404 1000"
    );
}

#[test]
fn without_a_calendar_the_last_close_of_two_weeks_counts() {
    let mut store = Store::new();
    store.closes("test", "2020-01-03 90\n2020-01-10 100\n2020-01-24 120");
    store.actions("2020-01-24 dividend 1");
    let found = store.lines(&ask(Adjust::All)).unwrap();
    assert!(found.starts_with("2020-01-03 89.1 1000\n2020-01-10 99 1000"), "{found}");
    let mut store = Store::new();
    store.closes("test", "2020-01-09 100\n2020-01-24 120");
    store.actions("2020-01-24 dividend 1");
    assert!(store.lines(&ask(Adjust::All)).unwrap_err().contains("2020-01-24"));
}

#[test]
fn minutes_take_the_daily_close_or_else_their_own_last_one() {
    let mut store = Store::new();
    store.calendar("XNYS");
    let open = midnight("2020-08-27") + 13 * HOUR + HOUR / 2;
    let minute = |at: i64, close: f64| (open + at * HOUR / 60, [close, close, close, close, 10.0]);
    // Two minutes of Thursday, the last one, and the first of Friday.
    let rows = [minute(0, 398.0), minute(389, 402.0), minute(24 * 60, 404.0)];
    store.bars("test", Step::M1, &rows);
    store.actions("2020-08-28 dividend 2.01");
    let minutes = Ask { step: Step::M1, ..ask(Adjust::All) };
    let closes = |store: &Store| -> Vec<f64> {
        store.read(&minutes).unwrap().iter().map(|bar| bar.values[3]).collect()
    };
    let left = 1.0 - 2.01 / 402.0;
    assert_eq!(closes(&store), [398.0 * left, 402.0 * left, 404.0]);
    store.closes("test", "2020-08-27 201");
    let left = 1.0 - 2.01 / 201.0;
    assert_eq!(closes(&store), [398.0 * left, 402.0 * left, 404.0]);
}

#[test]
fn a_bar_that_holds_an_ex_date_is_not_adjusted_silently() {
    let mut store = Store::new();
    store.calendar("XNYS");
    let week = |date: &str, close: f64| (midnight(date), [close, close, close, close, 10.0]);
    store.bars("test", Step::W1, &[week("2020-08-24", 400.0), week("2020-08-31", 100.0)]);
    store.actions("2020-08-31 split 4");
    let weeks = Ask { step: Step::W1, ..ask(Adjust::Splits) };
    assert_eq!(store.lines(&weeks).unwrap(), "2020-08-24 100 40\n2020-08-31 100 10");
    store.actions("2020-09-02 split 2");
    let error = store.lines(&weeks).unwrap_err();
    assert!(error.contains("2020-09-02") && error.contains("1w"), "{error}");
    let before = Ask { end: midnight("2020-08-31"), ..weeks };
    assert_eq!(store.lines(&before).unwrap(), "2020-08-24 400 10");
}

#[test]
fn actions_that_make_no_sense_are_named() {
    for (actions, part) in [
        ("2020-08-31 split 0", "split' of 0"),
        ("2020-08-31 split -2", "split' of -2"),
        ("2020-08-31 dividend -1", "dividend' of -1"),
        ("2020-08-31 merger 2", "'merger'"),
        ("2020-08-31 dividend 404", "not below the close before it, 404"),
        ("2020-08-28 split 1e-300\n2020-08-31 split 1e-300", "no number"),
    ] {
        let mut store = Store::new();
        store.closes("test", "2020-08-27 400\n2020-08-28 404\n2020-08-31 100");
        store.actions(actions);
        let error = store.lines(&ask(Adjust::All)).unwrap_err();
        assert!(error.starts_with("adjust: ") && error.contains(part), "{actions}: {error}");
    }
}

#[test]
fn a_range_without_an_end_has_no_slot_before_the_first_bar_or_after_the_last() {
    let store = {
        let mut store = Store::new();
        store.calendar("XNYS");
        store.closes("test", "2020-08-26 396\n2020-08-28 404");
        // The 25th has no bar, and none needs its close.
        store.actions("2020-08-26 dividend 2");
        store
    };
    let found = store.read(&ask(Adjust::All)).unwrap();
    assert_eq!(found.len(), 2);
}

/// The lines of a file below `../shared/data` without its head, unpacked.
fn lines_of(path: &str) -> Option<Vec<String>> {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(path);
    let Ok(mut file) = File::open(&place) else {
        let _ = writeln!(std::io::stderr(), "SKIPPED: there is no {path}");
        return None;
    };
    let mut text = String::new();
    if path.ends_with(".gz") {
        GzDecoder::new(file).read_to_string(&mut text).expect("gzip of UTF-8");
    } else {
        file.read_to_string(&mut text).expect("UTF-8");
    }
    Some(text.lines().map(str::to_owned).collect())
}

fn number(text: &str) -> f64 {
    text.parse().expect("a number")
}

/// Apple's splits and dividends from 1998 to March 2021, as Apple declared them.
const AAPL: &str = "
    2000-06-21 split 2
    2005-02-28 split 2
    2012-08-09 dividend 2.65
    2012-11-07 dividend 2.65
    2013-02-07 dividend 2.65
    2013-05-09 dividend 3.05
    2013-08-08 dividend 3.05
    2013-11-06 dividend 3.05
    2014-02-06 dividend 3.05
    2014-05-08 dividend 3.29
    2014-06-09 split 7
    2014-08-07 dividend 0.47
    2014-11-06 dividend 0.47
    2015-02-05 dividend 0.47
    2015-05-07 dividend 0.52
    2015-08-06 dividend 0.52
    2015-11-05 dividend 0.52
    2016-02-04 dividend 0.52
    2016-05-05 dividend 0.57
    2016-08-04 dividend 0.57
    2016-11-03 dividend 0.57
    2017-02-09 dividend 0.57
    2017-05-11 dividend 0.63
    2017-08-10 dividend 0.63
    2017-11-10 dividend 0.63
    2018-02-09 dividend 0.63
    2018-05-11 dividend 0.73
    2018-08-10 dividend 0.73
    2018-11-08 dividend 0.73
    2019-02-08 dividend 0.73
    2019-05-10 dividend 0.77
    2019-08-09 dividend 0.77
    2019-11-07 dividend 0.77
    2020-02-07 dividend 0.77
    2020-05-08 dividend 0.82
    2020-08-07 dividend 0.82
    2020-08-31 split 4
    2020-11-06 dividend 0.205
    2021-02-05 dividend 0.205";

/// Factors that Lean made from the same prices. Its file has 7 and 8 digits, each made from the
/// rounded one of the line after it.
#[test]
fn the_factors_of_apple_are_those_that_others_computed() {
    let Some(prices) = lines_of("daily/lean_us_daily_unadjusted.csv.gz") else { return };
    let Some(factors) = lines_of("reference/lean_factor_files/aapl.csv") else { return };
    let mut store = Store::new();
    store.calendar("XNAS");
    let of_apple = prices.iter().filter_map(|line| line.strip_prefix("AAPL,"));
    let rows: Vec<_> = of_apple
        .map(|line| {
            let cells: Vec<&str> = line.split(',').collect();
            (midnight(cells[0]), std::array::from_fn(|at| number(cells[at + 1])))
        })
        .collect();
    store.bars("lean", Step::D1, &rows);
    store.actions(AAPL);
    let traded = store.read(&ask(Adjust::None)).unwrap();
    let adjusted = store.read(&ask(Adjust::All)).unwrap();
    assert_eq!((traded.len(), adjusted.len()), (5_849, 5_849));
    let mut compared = 0;
    for line in &factors {
        let cells: Vec<&str> = line.split(',').collect();
        let (digits, price, split) = (cells[0], number(cells[1]), number(cells[2]));
        let day = format!("{}-{}-{}", &digits[..4], &digits[4..6], &digits[6..]);
        let Some(at) = traded.iter().position(|bar| shown(bar.session) == day) else {
            assert_eq!(day, "2050-12-31", "the last line is of no session");
            continue;
        };
        let (before, after) = (traded[at], adjusted[at]);
        let by_volume = before.values[4] / after.values[4];
        assert!((by_volume - split).abs() < 1e-7, "{day}: {by_volume} {split}");
        for column in [0, 1, 2, 3, 5] {
            let factor = after.values[column] / before.values[column] / by_volume;
            assert!((factor - price).abs() < 2e-7, "{day}: {factor} {price}");
        }
        compared += 1;
    }
    assert_eq!(compared, factors.len() - 1);
}

/// Yahoo's prices are adjusted for splits, and `Adj Close` for dividends too. It computes with
/// floats of 32 bits, of which 6 digits are right.
#[test]
fn the_adjusted_closes_of_yahoo_are_ours() {
    for name in ["CALM", "EWG", "IBE-MC"] {
        let path = format!("daily/yahoo_with_actions/{name}-1d-no-bad-divs.csv.gz");
        let Some(lines) = lines_of(&path) else { continue };
        let mut store = Store::new();
        store.setting("adjustment:yahoo", "splits");
        let mut expected = Vec::new();
        let mut rows = Vec::new();
        for line in &lines[1..] {
            let cells: Vec<&str> = line.split(',').collect();
            let ohlc: [f64; 4] = std::array::from_fn(|at| number(cells[at + 1]));
            let [open, high, low, close] = ohlc;
            rows.push((midnight(&cells[0][..10]), [open, high, low, close, number(cells[6])]));
            expected.push((date(&cells[0][..10]), number(cells[5])));
            if number(cells[7]) > 0.0 {
                store.actions(&format!("{} dividend {}", &cells[0][..10], cells[7]));
            }
            assert_eq!(number(cells[8]), 0.0, "{name} was not split in these years");
        }
        store.bars("yahoo", Step::D1, &rows);
        let found = store.read(&ask(Adjust::All)).unwrap();
        assert_eq!(found.len(), expected.len(), "{name}");
        for (ours, (session, close)) in found.iter().zip(&expected) {
            assert_eq!(ours.session, *session, "{name}");
            let apart = ours.values[3] / close - 1.0;
            assert!(apart.abs() < 1e-6, "{name} {}: {} {close}", shown(*session), ours.values[3]);
        }
    }
}
