//! What Barrow's answers must be: bars in plain maps, bitemporal, written from the design alone.
//!
//! | word | meaning here |
//! |---|---|
//! | key | one series and one `ts` |
//! | rank | (`known_at`, `sequence`, place in batch); the greatest of a key is its winner |
//! | visible at (T, N) | the winner among the key's rows with `known_at` <= T, `sequence` <= N |
//!
//! It shares the nouns of `barrow-types` with the engine and nothing else: no prices are encoded,
//! nothing is merged, and no work is saved. Whether engine or model is right where they differ is
//! decided by the design's text, never by changing the model to agree.

use std::collections::BTreeMap;

use barrow_types::{DatasetId, PriceSide, SeriesKey, Source, Step, Symbol};

/// How many user columns a bar has: open, high, low, close, volume, vwap, trades.
pub const COLUMN_COUNT: usize = 7;

/// The first so many columns of a bar may not be null.
pub const REQUIRED_COUNT: usize = 4;

/// Largest `ts` in size: a bar of a month still ends within 64 bits.
pub const TS_SIZE_MAX: i128 = i64::MAX as i128 - 40 * DAY;

/// The reason of a row that could not be read.
pub const UNREADABLE: &str = "unreadable";

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// One value of a row. Doubles are kept as bits, so that -0.0 is not 0.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not there.
    Null,
    /// The bits of a double.
    F64(u64),
    /// An integer.
    I64(i64),
}

/// A row as a sender offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// The instrument, as written.
    pub symbol: Option<String>,
    /// The bar's open, as stored.
    pub ts: Option<i64>,
    /// Since when the sender says it was known.
    pub known_at: Option<i64>,
    /// [`COLUMN_COUNT`] values; none for a retraction.
    pub values: Vec<Value>,
}

/// A batch as a sender offers it. Equal loads are the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its id.
    pub id: String,
    /// Who delivers.
    pub source: String,
    /// The length of its bars.
    pub step: Step,
    /// Which price.
    pub side: PriceSide,
    /// A load of history: known so many nanoseconds after the bar's end.
    pub policy: Option<i64>,
    /// Whether it takes its keys away.
    pub retract: bool,
    /// The rows.
    pub rows: Vec<Offered>,
    /// How many more rows could not even be read; they stand after the others.
    pub refused: usize,
}

/// A row that is stored, for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// The bar's open.
    pub ts: i64,
    /// When it was learned.
    pub known_at: i64,
    /// Which record brought it.
    pub sequence: u64,
    /// Where it stood in its batch.
    pub place: usize,
    /// It takes its key away.
    pub retract: bool,
    /// It stated its `known_at`.
    pub stated: bool,
    /// Its `known_at` comes from a policy.
    pub assumed: bool,
    /// [`COLUMN_COUNT`] values, all null in a retraction.
    pub values: Vec<Value>,
}

impl Stored {
    const fn rank(&self) -> (i64, u64, usize) {
        (self.known_at, self.sequence, self.place)
    }

    fn is_known(&self, as_of: i64, at_sequence: u64) -> bool {
        self.known_at <= as_of && self.sequence <= at_sequence
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// First of their key, or first after a retraction; retractions that took one away.
    pub accepted: u64,
    /// Equal to what was visible.
    pub duplicates: u64,
    /// Another value for a key that had one.
    pub corrected: u64,
    /// Stored below something known later.
    pub superseded: u64,
    /// Place and reason of each row that was not stored.
    pub rejected: Vec<(usize, &'static str)>,
}

/// A batch that is stored.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What was offered.
    pub load: Load,
    /// Its record.
    pub sequence: u64,
    /// When it came in.
    pub now: i64,
    /// What became of it.
    pub outcome: Outcome,
}

/// What must happen to a batch that is offered.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// It is new: it is stored.
    New,
    /// It is there already: the first answer is given again.
    Repeated(&'a Entry),
    /// Its id belongs to other content: refused.
    Conflict,
}

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub struct Model {
    series: BTreeMap<SeriesKey, BTreeMap<i64, Vec<Stored>>>,
    batches: BTreeMap<String, Entry>,
}

/// The raw series of bars that these words name; `None` if one of them cannot be a name.
pub fn series_key(load: &Load, symbol: &str) -> Option<SeriesKey> {
    Some(SeriesKey {
        dataset: DatasetId::BARS,
        symbol: Symbol::new(symbol).ok()?,
        step: load.step,
        side: load.side,
        source: Source::new(&load.source).ok()?,
    })
}

impl Model {
    /// What must happen to `load`.
    pub fn verdict(&self, load: &Load) -> Verdict<'_> {
        match self.batches.get(&load.id) {
            None => Verdict::New,
            Some(entry) if entry.load == *load => Verdict::Repeated(entry),
            Some(_) => Verdict::Conflict,
        }
    }

    /// Stores a new batch that came in at `now` as record `sequence`, row by row.
    pub fn apply(&mut self, load: Load, sequence: u64, now: i64) -> &Entry {
        let mut outcome = Outcome::default();
        for (place, row) in load.rows.iter().enumerate() {
            match door(&load, row, now) {
                Err(reason) => outcome.rejected.push((place, reason)),
                Ok((key, ts)) if load.retract => {
                    self.retract(key, ts, sequence, place, now, &mut outcome);
                }
                Ok((key, ts)) => {
                    let rows = self.series.entry(key).or_default().entry(ts).or_default();
                    let row = dated(&load, row, ts, rows.is_empty(), sequence, place, now);
                    insert(rows, row, &mut outcome);
                }
            }
        }
        for place in load.rows.len()..load.rows.len() + load.refused {
            outcome.rejected.push((place, UNREADABLE));
        }
        let entry = Entry { load, sequence, now, outcome };
        self.batches.entry(entry.load.id.clone()).or_insert(entry)
    }

    fn retract(
        &mut self,
        key: SeriesKey,
        ts: i64,
        sequence: u64,
        place: usize,
        now: i64,
        outcome: &mut Outcome,
    ) {
        let rows = self.series.get_mut(&key).and_then(|series| series.get_mut(&ts));
        match rows {
            Some(rows) if winner(rows, i64::MAX, u64::MAX).is_some_and(|row| !row.retract) => {
                rows.push(Stored {
                    ts,
                    known_at: now,
                    sequence,
                    place,
                    retract: true,
                    stated: false,
                    assumed: false,
                    values: vec![Value::Null; COLUMN_COUNT],
                });
                outcome.accepted += 1;
            }
            _ => outcome.rejected.push((place, "nothing_to_retract")),
        }
    }

    /// Every series that has a row by `at_sequence`, in order.
    pub fn series(&self, at_sequence: u64) -> impl Iterator<Item = &SeriesKey> {
        self.series
            .iter()
            .filter(move |(_, keys)| keys.values().flatten().any(|row| row.sequence <= at_sequence))
            .map(|(key, _)| key)
    }

    /// The visible rows of a range, in order of `ts`.
    pub fn visible(
        &self,
        key: &SeriesKey,
        start: i64,
        end: i64,
        as_of: i64,
        at_sequence: u64,
    ) -> Vec<&Stored> {
        self.keys(key, start, end)
            .filter_map(|rows| winner(rows, as_of, at_sequence).filter(|row| !row.retract))
            .collect()
    }

    /// Every row of a range that was known, losers and retractions too, in order of `ts`, rank.
    pub fn all(
        &self,
        key: &SeriesKey,
        start: i64,
        end: i64,
        as_of: i64,
        at_sequence: u64,
    ) -> Vec<&Stored> {
        let mut found: Vec<_> = self
            .keys(key, start, end)
            .flatten()
            .filter(|row| row.is_known(as_of, at_sequence))
            .collect();
        found.sort_by_key(|row| (row.ts, row.rank()));
        found
    }

    /// The visible row with the greatest `ts`.
    pub fn newest(&self, key: &SeriesKey, at_sequence: u64) -> Option<&Stored> {
        let series = self.series.get(key)?;
        series
            .values()
            .rev()
            .find_map(|rows| winner(rows, i64::MAX, at_sequence).filter(|row| !row.retract))
    }

    /// The keys whose winner by `at_sequence` record `sequence` brought, and did not take away.
    pub fn brought_by(&self, sequence: u64, at_sequence: u64) -> Vec<(&SeriesKey, i64)> {
        let mut found = Vec::new();
        for (key, series) in &self.series {
            for (ts, rows) in series {
                let row = winner(rows, i64::MAX, at_sequence);
                if row.is_some_and(|row| row.sequence == sequence && !row.retract) {
                    found.push((key, *ts));
                }
            }
        }
        found
    }

    /// The stored batch of that id.
    pub fn batch(&self, id: &str) -> Option<&Entry> {
        self.batches.get(id)
    }

    /// Every stored batch, in order of id.
    pub fn batches(&self) -> impl Iterator<Item = &Entry> {
        self.batches.values()
    }

    fn keys(&self, key: &SeriesKey, start: i64, end: i64) -> impl Iterator<Item = &Vec<Stored>> {
        let range = if start < end { Some(start..end) } else { None };
        self.series
            .get(key)
            .zip(range)
            .into_iter()
            .flat_map(|(series, range)| series.range(range).map(|(_, rows)| rows))
    }
}

/// How far after the ingest a bar may open: clocks differ, and a session's date begins at a
/// midnight that may lie ahead of the session's open.
pub fn ahead_max(step: Step) -> i128 {
    if step.is_dated() { DAY } else { 60 * SECOND }
}

/// Rejects what cannot be stored truthfully; else says where the row belongs.
fn door(load: &Load, row: &Offered, now: i64) -> Result<(SeriesKey, i64), &'static str> {
    let symbol = row.symbol.as_deref().ok_or("bad_symbol")?;
    let key = series_key(load, symbol).ok_or("bad_symbol")?;
    let ts = row.ts.ok_or("missing_ts")?;
    if i128::from(ts).abs() > TS_SIZE_MAX {
        return Err("ts_out_of_range");
    }
    if i128::from(ts) > i128::from(now) + ahead_max(load.step) {
        return Err("future_ts");
    }
    if row.known_at.is_some_and(|known_at| known_at > now) {
        return Err("future_known_at");
    }
    if row.values.iter().take(REQUIRED_COUNT).any(|value| *value == Value::Null) {
        return Err("missing_value");
    }
    let finite = |value: &Value| match value {
        Value::F64(bits) => f64::from_bits(*bits).is_finite(),
        Value::Null | Value::I64(_) => true,
    };
    if row.values.iter().all(finite) { Ok((key, ts)) } else { Err("non_finite") }
}

/// The row with the time from which it counts as known.
fn dated(
    load: &Load,
    row: &Offered,
    ts: i64,
    is_first: bool,
    sequence: u64,
    place: usize,
    now: i64,
) -> Stored {
    let assumed = load
        .policy
        .filter(|_| is_first && row.known_at.is_none())
        .map(|delay| ts_end(load.step, ts) + i128::from(delay))
        .and_then(|at| i64::try_from(at).ok())
        .filter(|at| *at <= now);
    Stored {
        ts,
        known_at: row.known_at.or(assumed).unwrap_or(now),
        sequence,
        place,
        retract: false,
        stated: row.known_at.is_some(),
        assumed: assumed.is_some(),
        values: row.values.clone(),
    }
}

fn insert(rows: &mut Vec<Stored>, row: Stored, outcome: &mut Outcome) {
    let visible = winner(rows, row.known_at, u64::MAX).filter(|other| !other.retract);
    if visible.is_some_and(|other| other.values == row.values) {
        outcome.duplicates += 1;
        return;
    }
    let before = winner(rows, i64::MAX, u64::MAX);
    if before.is_some_and(|other| other.rank() > row.rank()) {
        outcome.superseded += 1;
    } else if before.is_some_and(|other| !other.retract) {
        outcome.corrected += 1;
    } else {
        outcome.accepted += 1;
    }
    rows.push(row);
}

fn winner(rows: &[Stored], as_of: i64, at_sequence: u64) -> Option<&Stored> {
    rows.iter().filter(|row| row.is_known(as_of, at_sequence)).max_by_key(|row| row.rank())
}

/// The next boundary after a bar's open, without a calendar.
fn ts_end(step: Step, ts: i64) -> i128 {
    let seconds = match step {
        Step::Tick => 0,
        Step::S1 => 1,
        Step::M1 => 60,
        Step::M5 => 300,
        Step::M15 => 900,
        Step::M30 => 1_800,
        Step::H1 => 3_600,
        Step::H4 => 14_400,
        Step::D1 => 86_400,
        Step::W1 => 7 * 86_400,
        Step::Mo1 => return month_end(i128::from(ts)),
    };
    i128::from(ts) + seconds * SECOND
}

/// The first instant of the month after the one that begins at `ts`: counts days from 1600 on.
fn month_end(ts: i128) -> i128 {
    const DAYS_1600_TO_1970: i128 = 135_140;
    let mut first = -DAYS_1600_TO_1970;
    for year in 1600.. {
        let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if is_leap { 29 } else { 28 };
        for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
            first += days;
            if first * DAY > ts {
                return first * DAY;
            }
        }
    }
    unreachable!("invariant: the loop over the years has no end")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2013-10-07T13:30:00Z, from `date -u -d 2013-10-07T13:30 +%s`.
    const OPEN: i64 = 1_381_152_600_000_000_000;

    fn bar(close: f64, known_at: Option<i64>) -> Offered {
        let mut values = vec![Value::F64(close.to_bits()); REQUIRED_COUNT];
        values.resize(COLUMN_COUNT, Value::Null);
        Offered { symbol: Some("SPY".into()), ts: Some(OPEN), known_at, values }
    }

    fn load(id: &str, policy: Option<i64>, rows: Vec<Offered>) -> Load {
        let (id, source) = (id.into(), "lean".into());
        let (step, side) = (Step::M1, PriceSide::Trade);
        Load { id, source, step, side, policy, retract: false, rows, refused: 0 }
    }

    fn closes(model: &Model, as_of: i64, at_sequence: u64) -> Vec<f64> {
        let key = series_key(&load("", None, vec![]), "SPY").unwrap();
        let rows = model.visible(&key, i64::MIN, i64::MAX, as_of, at_sequence);
        let close = |row: &&Stored| match row.values[3] {
            Value::F64(bits) => f64::from_bits(bits),
            other => panic!("a close of {other:?}"),
        };
        rows.iter().map(close).collect()
    }

    #[test]
    fn there_and_back_again_is_two_corrections() {
        let mut model = Model::default();
        let now = OPEN + 1_000;
        for (sequence, close, corrected) in [(1, 7.0, 0), (2, 8.0, 1), (3, 7.0, 1)] {
            let id = sequence.to_string();
            let entry = model.apply(load(&id, None, vec![bar(close, None)]), sequence, now);
            assert_eq!(entry.outcome.corrected, corrected);
        }
        assert_eq!(closes(&model, now, 2), [8.0]);
        assert_eq!(closes(&model, now, 3), [7.0]);
        assert_eq!(closes(&model, now - 1, 3), []);
    }

    #[test]
    fn an_equal_value_that_was_known_earlier_is_stored_and_superseded() {
        let mut model = Model::default();
        let rows = vec![bar(7.0, Some(20)), bar(7.0, Some(10)), bar(7.0, Some(30))];
        let outcome = &model.apply(load("a", None, rows), 1, OPEN).outcome;
        assert_eq!((outcome.accepted, outcome.superseded, outcome.duplicates), (1, 1, 1));
        assert_eq!(closes(&model, 10, 1), [7.0]);
        assert_eq!(closes(&model, 9, 1), []);
    }

    #[test]
    fn a_policy_dates_only_the_first_row_of_a_key() {
        let mut model = Model::default();
        let end = OPEN + 60_000_000_000;
        let rows = vec![bar(7.0, None), bar(8.0, None)];
        model.apply(load("a", Some(5), rows), 1, end + 100);
        assert_eq!(closes(&model, end + 4, 1), []);
        assert_eq!(closes(&model, end + 5, 1), [7.0]);
        assert_eq!(closes(&model, end + 99, 1), [7.0]);
        assert_eq!(closes(&model, end + 100, 1), [8.0]);
    }

    #[test]
    fn a_retraction_hides_its_key_from_then_on_and_only_once() {
        let mut model = Model::default();
        model.apply(load("a", None, vec![bar(7.0, None)]), 1, OPEN);
        let gone = Offered { values: vec![], ..bar(0.0, None) };
        let rows = vec![gone.clone(), gone];
        let retraction = Load { retract: true, ..load("b", None, rows) };
        let outcome = &model.apply(retraction, 2, OPEN + 1).outcome;
        assert_eq!(outcome.accepted, 1);
        assert_eq!(outcome.rejected, [(1, "nothing_to_retract")]);
        assert_eq!(closes(&model, OPEN, 2), [7.0]);
        assert_eq!(closes(&model, OPEN + 1, 1), [7.0]);
        assert_eq!(closes(&model, OPEN + 1, 2), []);
    }

    #[test]
    fn months_end_where_the_next_begins() {
        // Seconds from `date -u -d DATE +%s`.
        for (first, next) in [
            (1_706_745_600, 1_709_251_200),   // 2024-02-01, 2024-03-01
            (-2_678_400, 0),                  // 1969-12-01, 1970-01-01
            (-2_208_988_800, -2_206_310_400), // 1900-01-01, 1900-02-01
        ] {
            assert_eq!(month_end(first * SECOND), next * SECOND);
        }
    }
}
