//! What Barrow's answers must be: bars, trades and quotes in plain maps, bitemporal, written from
//! the design alone.
//!
//! | word | meaning here |
//! |---|---|
//! | key | one series and one `ts`; for a trade with a number also its venue and that number |
//! | rank | (`known_at`, `sequence`, place in batch); the greatest of a key is its winner |
//! | visible at (T, N) | the winner among the key's rows with `known_at` <= T, `sequence` <= N |
//! | floor | the first T and the first N that questions about a dataset and step may have |
//!
//! Nothing is dropped here, below a floor or above it. Who compares asks below none.
//!
//! Quotes and trades without a number have no key: each is visible by itself, until a retraction
//! of a row with the same values takes away the last that came.
//!
//! It shares the nouns of `barrow-types` with the engine and nothing else: no prices are encoded,
//! nothing is merged, and no work is saved. Whether engine or model is right where they differ is
//! decided by the design's text, never by changing the model to agree.

use std::collections::{BTreeMap, BTreeSet};

use barrow_types::{DatasetId, PriceSide, SeriesKey, Source, Step, Symbol};

/// How many user columns a bar has: open, high, low, close, volume, vwap, trades.
pub const COLUMN_COUNT: usize = 7;

/// The first so many columns of a bar may not be null.
pub const REQUIRED_COUNT: usize = 4;

/// The tables that are modelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Open, high, low, close, volume, vwap, trades.
    Bars,
    /// Price, size, venue, conditions, number.
    Trades,
    /// Bid, ask, the size of each, venue, conditions.
    Quotes,
}

impl Table {
    /// Every table, in order of their numbers.
    pub const ALL: [Self; 3] = [Self::Bars, Self::Trades, Self::Quotes];

    /// Its number in the engine.
    pub const fn dataset(self) -> DatasetId {
        match self {
            Self::Bars => DatasetId::BARS,
            Self::Trades => DatasetId::TRADES,
            Self::Quotes => DatasetId::QUOTES,
        }
    }

    /// The table of that number.
    pub fn of(dataset: DatasetId) -> Self {
        let table = Self::ALL.into_iter().find(|table| table.dataset() == dataset);
        table.unwrap_or_else(|| panic!("dataset {} is not modelled", dataset.get()))
    }

    /// How many user columns it has.
    pub const fn column_count(self) -> usize {
        match self {
            Self::Bars => COLUMN_COUNT,
            Self::Trades => 5,
            Self::Quotes => 6,
        }
    }

    /// The first so many columns may not be null.
    pub const fn required_count(self) -> usize {
        match self {
            Self::Bars => REQUIRED_COUNT,
            Self::Trades => 2,
            Self::Quotes => 0,
        }
    }
}

/// Largest `ts` in size: a bar of a month still ends within 64 bits.
pub const TS_SIZE_MAX: i128 = i64::MAX as i128 - 40 * DAY;

/// The reason of a row that could not be read.
pub const UNREADABLE: &str = "unreadable";

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400 * SECOND;

/// One value of a row. Doubles are kept as bits, so that -0.0 is not 0.0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Not there.
    Null,
    /// The bits of a double.
    F64(u64),
    /// An integer.
    I64(i64),
    /// A text.
    Text(String),
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
    /// A value a column of its table; none for a retraction of a bar.
    pub values: Vec<Value>,
}

/// A batch as a sender offers it. Equal loads are the same content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Its id.
    pub id: String,
    /// Where to.
    pub table: Table,
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
    /// It took the place of another that was visible when it came.
    pub corrected: bool,
    /// A value a column of its table, all null in a retraction of a bar.
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
    /// Stored rows that it took away without holding them.
    pub retracted: u64,
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

/// The first T and the first N that questions may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// T, in nanoseconds.
    pub as_of: i64,
    /// N.
    pub at_sequence: u64,
}

impl Floor {
    /// Where nobody has set one.
    pub const NONE: Self = Self { as_of: i64::MIN, at_sequence: 0 };

    /// Whether questions at (T, N) are answered.
    pub const fn admits(&self, as_of: i64, at_sequence: u64) -> bool {
        as_of >= self.as_of && at_sequence >= self.at_sequence
    }
}

/// Everything stored.
#[derive(Clone, Debug, Default)]
pub struct Model {
    series: BTreeMap<SeriesKey, BTreeMap<i64, Vec<Stored>>>,
    batches: BTreeMap<String, Entry>,
    /// Of each dataset and step: which record set which floor.
    floors: BTreeMap<(DatasetId, Step), Vec<(u64, Floor)>>,
}

/// The raw series that these words name; `None` if one of them cannot be a name.
pub fn series_key(load: &Load, symbol: &str) -> Option<SeriesKey> {
    Some(SeriesKey {
        dataset: load.table.dataset(),
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

    /// Raises the floor of a dataset and step by record `sequence`.
    pub fn raise(&mut self, of: (DatasetId, Step), floor: Floor, sequence: u64) {
        self.floors.entry(of).or_default().push((sequence, floor));
    }

    /// The floor of a dataset and step that records up to `at_sequence` set.
    pub fn floor(&self, of: (DatasetId, Step), at_sequence: u64) -> Floor {
        let set = self.floors.get(&of).into_iter().flatten();
        let mut set = set.filter(|(since, _)| *since <= at_sequence);
        set.next_back().map_or(Floor::NONE, |(_, floor)| *floor)
    }

    /// Stores a new batch that came in at `now` as record `sequence`, row by row.
    pub fn apply(&mut self, load: Load, sequence: u64, now: i64) -> &Entry {
        self.apply_judged(load, sequence, now, |_| None)
    }

    /// The same where rules turn rows away that could be stored: which one, if so.
    pub fn apply_judged(
        &mut self,
        load: Load,
        sequence: u64,
        now: i64,
        judge: impl Fn(&Offered) -> Option<&'static str>,
    ) -> &Entry {
        let mut outcome = Outcome::default();
        let floor = self.floor((load.table.dataset(), load.step), u64::MAX).as_of;
        for (place, row) in load.rows.iter().enumerate() {
            let row = Offered { values: as_stored(load.table, &row.values), ..row.clone() };
            let admitted = door(&load, &row, now);
            match admitted.and_then(|found| judge(&row).map_or(Ok(found), Err)) {
                Err(reason) => outcome.rejected.push((place, reason)),
                Ok((key, ts)) => {
                    let rows = self.series.get(&key).and_then(|series| series.get(&ts));
                    let rows = rows.map_or(&[][..], Vec::as_slice);
                    let versions = versions_of(load.table, rows, &row.values);
                    let is_first = versions.is_empty();
                    let mut row = dated(&load, &row, ts, is_first, sequence, place, now);
                    let kept = if load.retract {
                        let reason = retract(load.table, rows, &versions, &row);
                        reason.map(|reason| outcome.rejected.push((place, reason))).is_none()
                    } else {
                        insert(&versions, &mut row, floor, &mut outcome)
                    };
                    if kept {
                        outcome.accepted += u64::from(load.retract);
                        self.series.entry(key).or_default().entry(ts).or_default().push(row);
                    }
                }
            }
        }
        for place in load.rows.len()..load.rows.len() + load.refused {
            outcome.rejected.push((place, UNREADABLE));
        }
        let entry = Entry { load, sequence, now, outcome };
        self.batches.entry(entry.load.id.clone()).or_insert(entry)
    }

    /// Every series that has a row by `at_sequence`, in order.
    pub fn series(&self, at_sequence: u64) -> impl Iterator<Item = &SeriesKey> {
        self.series
            .iter()
            .filter(move |(_, keys)| keys.values().flatten().any(|row| row.sequence <= at_sequence))
            .map(|(key, _)| key)
    }

    /// The visible rows of a range, in order of `ts`, rank.
    pub fn visible(
        &self,
        key: &SeriesKey,
        start: i64,
        end: i64,
        as_of: i64,
        at_sequence: u64,
    ) -> Vec<&Stored> {
        self.keys(key, start, end)
            .flat_map(|rows| visible(Table::of(key.dataset), rows, as_of, at_sequence))
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

    /// Of [`Self::all`], those that a question of the same range, at a later T or N perhaps, sees
    /// which no floor forbids: no store may be without them.
    pub fn needed(
        &self,
        key: &SeriesKey,
        start: i64,
        end: i64,
        as_of: i64,
        at_sequence: u64,
        floor: Floor,
    ) -> Vec<&Stored> {
        let table = Table::of(key.dataset);
        let mut found = Vec::new();
        for rows in self.keys(key, start, end) {
            // Between the times of two rows nothing changes.
            let times = rows.iter().map(|row| row.known_at).chain([floor.as_of]);
            let times: BTreeSet<i64> = times.filter(|at| *at >= floor.as_of).collect();
            let records = rows.iter().map(|row| row.sequence).chain([floor.at_sequence]);
            let records: BTreeSet<u64> =
                records.filter(|sequence| *sequence >= floor.at_sequence).collect();
            let mut seen: Vec<&Stored> = Vec::new();
            for (time, record) in times.iter().flat_map(|t| records.iter().map(move |n| (*t, *n))) {
                for row in visible(table, rows, time, record) {
                    let is_new = !seen.iter().any(|other| std::ptr::eq(*other, row));
                    seen.extend(is_new.then_some(row));
                }
            }
            found.extend(seen.into_iter().filter(|row| row.is_known(as_of, at_sequence)));
        }
        found.sort_by_key(|row| (row.ts, row.rank()));
        found
    }

    /// The visible rows with the greatest `ts`, in order of rank.
    pub fn newest(&self, key: &SeriesKey, at_sequence: u64) -> Vec<&Stored> {
        let Some(series) = self.series.get(key) else { return Vec::new() };
        let table = Table::of(key.dataset);
        let mut keys =
            series.values().rev().map(|rows| visible(table, rows, i64::MAX, at_sequence));
        keys.find(|rows| !rows.is_empty()).unwrap_or_default()
    }

    /// The rows visible by `at_sequence` that record `sequence` brought.
    pub fn brought_by(&self, sequence: u64, at_sequence: u64) -> Vec<(&SeriesKey, &Stored)> {
        let mut found = Vec::new();
        for (key, series) in &self.series {
            for rows in series.values() {
                let rows = visible(Table::of(key.dataset), rows, i64::MAX, at_sequence);
                let brought = rows.into_iter().filter(|row| row.sequence == sequence);
                found.extend(brought.map(|row| (key, row)));
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

/// The values as they are stored: a side of a quote without a price, or at 0, is not there.
fn as_stored(table: Table, values: &[Value]) -> Vec<Value> {
    let mut values = values.to_vec();
    if table == Table::Quotes {
        for (price, size) in [(0, 2), (1, 3)] {
            let zero = |bits: u64| f64::from_bits(bits) == 0.0;
            if matches!(values[price], Value::F64(bits) if zero(bits)) {
                values[price] = Value::Null;
            }
            if values[price] == Value::Null {
                values[size] = Value::Null;
            }
        }
    }
    values
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
    let required = load.table.required_count();
    if row.values.iter().take(required).any(|value| *value == Value::Null) {
        return Err("missing_value");
    }
    let finite = |value: &Value| match value {
        Value::F64(bits) => f64::from_bits(*bits).is_finite(),
        Value::Null | Value::I64(_) | Value::Text(_) => true,
    };
    if !row.values.iter().all(finite) {
        return Err("non_finite");
    }
    if load.table == Table::Quotes && row.values[..2] == [Value::Null, Value::Null] {
        return Err("no_side");
    }
    if row.known_at.is_some_and(|known_at| known_at > now) {
        return Err("future_known_at");
    }
    Ok((key, ts))
}

/// Whether two rows of one `ts` are versions of one row; `None` if they cannot be, having no key.
fn same_key(table: Table, one: &[Value], other: &[Value]) -> Option<bool> {
    match table {
        Table::Bars => Some(true),
        Table::Trades if one[4] != Value::Null => {
            Some((&one[2], &one[4]) == (&other[2], &other[4]))
        }
        Table::Trades | Table::Quotes => None,
    }
}

/// Those of a `ts` that are versions of a row with these values.
fn versions_of<'a>(table: Table, rows: &'a [Stored], values: &[Value]) -> Vec<&'a Stored> {
    let same = |row: &&Stored| same_key(table, values, &row.values) == Some(true);
    rows.iter().filter(same).collect()
}

/// The visible rows of one `ts`, in order of rank.
fn visible(table: Table, rows: &[Stored], as_of: i64, at_sequence: u64) -> Vec<&Stored> {
    let mut known: Vec<_> = rows.iter().filter(|row| row.is_known(as_of, at_sequence)).collect();
    known.sort_by_key(|row| row.rank());
    let mut winners: BTreeMap<Option<[&Value; 2]>, &Stored> = BTreeMap::new();
    let mut alike: BTreeMap<&[Value], Vec<&Stored>> = BTreeMap::new();
    for row in &known {
        match table {
            Table::Bars => _ = winners.insert(None, row),
            Table::Trades if row.values[4] != Value::Null => {
                winners.insert(Some([&row.values[2], &row.values[4]]), row);
            }
            Table::Trades | Table::Quotes => alike.entry(&row.values).or_default().push(row),
        }
    }
    let mut visible: Vec<_> = winners.into_values().filter(|row| !row.retract).collect();
    for mut rows in alike.into_values() {
        rows.sort_by_key(|row| (row.sequence, row.known_at, row.place));
        let mut left = Vec::new();
        for row in rows {
            if row.retract {
                left.pop();
            } else {
                left.push(row);
            }
        }
        visible.extend(left);
    }
    visible.sort_by_key(|row| row.rank());
    visible
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
        .filter(|_| is_first && row.known_at.is_none() && !load.retract)
        .map(|delay| ts_end(load.step, ts) + i128::from(delay))
        .and_then(|at| i64::try_from(at).ok())
        .filter(|at| *at <= now);
    let mut values = row.values.clone();
    values.resize(load.table.column_count(), Value::Null);
    Stored {
        ts,
        known_at: row.known_at.or(assumed).unwrap_or(now),
        sequence,
        place,
        retract: load.retract,
        stated: row.known_at.is_some(),
        assumed: assumed.is_some(),
        corrected: false,
        values,
    }
}

/// Counts a row beside the other versions of it; whether it is stored. Nobody who asks about times
/// from `floor` on sees it where another stands above it by then: it is compared with none.
fn insert(versions: &[&Stored], row: &mut Stored, floor: i64, outcome: &mut Outcome) -> bool {
    let known_at = row.known_at;
    let is_seen =
        !versions.iter().any(|other| other.known_at > known_at && other.known_at <= floor);
    let visible = winner(versions, row.known_at).filter(|other| !other.retract);
    if is_seen && visible.is_some_and(|other| other.values == row.values) {
        outcome.duplicates += 1;
        return false;
    }
    let before = winner(versions, i64::MAX);
    if before.is_some_and(|other| other.rank() > row.rank()) {
        outcome.superseded += 1;
    } else if before.is_some_and(|other| !other.retract) {
        outcome.corrected += 1;
        row.corrected = true;
    } else {
        outcome.accepted += 1;
    }
    true
}

/// Why a retraction finds nothing to take away, if so.
fn retract(
    table: Table,
    rows: &[Stored],
    versions: &[&Stored],
    row: &Stored,
) -> Option<&'static str> {
    let found = match same_key(table, &row.values, &row.values) {
        Some(_) => winner(versions, i64::MAX).is_some_and(|row| !row.retract),
        None => {
            let visible = visible(table, rows, i64::MAX, u64::MAX);
            visible.iter().any(|other| other.values == row.values)
        }
    };
    if found { None } else { Some("nothing_to_retract") }
}

fn winner<'a>(versions: &[&'a Stored], as_of: i64) -> Option<&'a Stored> {
    versions.iter().filter(|row| row.known_at <= as_of).max_by_key(|row| row.rank()).copied()
}

/// The next boundary after a bar's open, without a calendar.
pub(crate) fn ts_end(step: Step, ts: i64) -> i128 {
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
        let (table, step, side) = (Table::Bars, Step::M1, PriceSide::Trade);
        Load { id, table, source, step, side, policy, retract: false, rows, refused: 0 }
    }

    fn closes(model: &Model, as_of: i64, at_sequence: u64) -> Vec<f64> {
        let key = series_key(&load("", None, vec![]), "SPY").unwrap();
        let rows = model.visible(&key, i64::MIN, i64::MAX, as_of, at_sequence);
        let close = |row: &&Stored| match row.values[3] {
            Value::F64(bits) => f64::from_bits(bits),
            ref other => panic!("a close of {other:?}"),
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
    fn below_a_floor_a_row_is_equal_only_to_one_that_is_still_seen() {
        let mut model = Model::default();
        model.apply(load("a", None, vec![bar(7.0, Some(10)), bar(8.0, Some(20))]), 1, OPEN);
        model.raise((DatasetId::BARS, Step::M1), Floor { as_of: 30, at_sequence: 1 }, 2);
        let again = load("b", None, vec![bar(7.0, Some(10)), bar(8.0, Some(25))]);
        let outcome = &model.apply(again, 3, OPEN).outcome;
        assert_eq!((outcome.superseded, outcome.duplicates), (1, 1));
        let key = series_key(&load("", None, vec![]), "SPY").unwrap();
        let needed = |floor| {
            let rows = model.needed(&key, i64::MIN, i64::MAX, i64::MAX, u64::MAX, floor);
            rows.iter().map(|row| (row.known_at, row.sequence)).collect::<Vec<_>>()
        };
        assert_eq!(needed(Floor { as_of: 30, at_sequence: 1 }), [(20, 1)]);
        assert_eq!(needed(Floor { as_of: 15, at_sequence: 1 }), [(10, 1), (10, 3), (20, 1)]);
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

    fn trade(price: f64, venue: &str, number: Option<&str>) -> Offered {
        let text = |text: &str| Value::Text(text.to_owned());
        let values = vec![
            Value::F64(price.to_bits()),
            Value::F64(1),
            text(venue),
            Value::Null,
            number.map_or(Value::Null, text),
        ];
        Offered { symbol: Some("SPY".into()), ts: Some(OPEN), known_at: None, values }
    }

    fn trades(id: &str, retract: bool, rows: Vec<Offered>) -> Load {
        let (table, step) = (Table::Trades, Step::Tick);
        Load { table, step, retract, ..load(id, None, rows) }
    }

    fn prices(model: &Model, at_sequence: u64) -> Vec<f64> {
        let key = series_key(&trades("", false, vec![]), "SPY").unwrap();
        let rows = model.visible(&key, i64::MIN, i64::MAX, i64::MAX, at_sequence);
        let price = |row: &&Stored| match row.values[0] {
            Value::F64(bits) => f64::from_bits(bits),
            ref other => panic!("a price of {other:?}"),
        };
        rows.iter().map(price).collect()
    }

    #[test]
    fn trades_with_a_number_are_versions_of_one_and_others_stand_alone() {
        let mut model = Model::default();
        let rows = vec![trade(1.0, "N", Some("7")), trade(2.0, "Q", Some("7"))];
        model.apply(trades("a", false, rows), 1, OPEN);
        let rows = vec![
            trade(1.0, "N", Some("7")),
            trade(3.0, "Q", Some("7")),
            trade(4.0, "N", None),
            trade(4.0, "N", None),
        ];
        let outcome = &model.apply(trades("b", false, rows), 2, OPEN).outcome;
        assert_eq!((outcome.duplicates, outcome.corrected, outcome.accepted), (1, 1, 2));
        assert_eq!(prices(&model, 1), [1.0, 2.0]);
        assert_eq!(prices(&model, 2), [1.0, 3.0, 4.0, 4.0]);
        let rows = vec![trade(4.0, "N", None), trade(3.0, "Q", Some("7")), trade(5.0, "N", None)];
        let outcome = &model.apply(trades("c", true, rows), 3, OPEN).outcome;
        assert_eq!(outcome.accepted, 2);
        assert_eq!(outcome.rejected, [(2, "nothing_to_retract")]);
        assert_eq!(prices(&model, 3), [1.0, 4.0]);
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
