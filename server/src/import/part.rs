//! Rows gathered into parts: what one request carries, as Arrow.
//!
//! | column | type | |
//! |---|---|---|
//! | `symbol` | dictionary of text | null where it, or `ts`, could not be read |
//! | `ts` | timestamp[ns, UTC] | the open of the bar, the instant of the tick; likewise |
//! | prices, sizes, `volume`, `vwap`: those the file has | f64 | |
//! | `trades` | i64 | if the file has it |
//! | `venue`, `conditions` | dictionary of text | if the file has them |
//! | `trade_id` | text | if the file has it |
//! | `known_at` | timestamp[ns, UTC] | if the file has it |
//! | `_line` | i64 | the line in the file, from 1 |
//! | `_reject`, `_raw` | text | why a line could not be read, and the line; only in parts with such a line |
//!
//! A file's parts are cut in its order and only between rows of different (symbol, ts), by counts
//! that depend on nothing but the file and the plan: the same file gives the same parts.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Float64Array, Int32Array, Int64Array, RecordBatch,
    StringArray, StringBuilder, StringDictionaryBuilder, TimestampNanosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};

use super::columns::Role;
use super::plan::Plan;
use super::rows::{NUMBERS, Refused, Row, TEXTS, number_place, text_place};

/// Most bytes of a part, decoded: below the 32 MiB that the server takes as one record.
pub(crate) const BYTES_MAX: usize = 26 * 1024 * 1024;

/// What the server reckons for a row: seven columns, and what it knows about each row.
pub(crate) const ROW_BYTES: usize = 104;

/// What it reckons for a text of a row, beside its bytes.
const TEXT_BYTES: usize = 16;

/// What it reckons for a dead letter beside its texts.
const UNREAD_BYTES: usize = 896;

/// What is kept of one unreadable line: as much as a dead letter holds.
pub(crate) const RAW_LEN_MAX: usize = 4_096;

const UTC: &str = "UTC";

/// A line that was not read, by its place in the part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unread {
    pub(crate) line: u64,
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
    /// Whether it tells its symbol and time.
    pub(crate) is_told: bool,
}

/// What one request carries.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) batch: RecordBatch,
    /// The lines that were not read, in order.
    pub(crate) unread: Vec<Unread>,
}

/// Gathers the rows of a part.
pub(crate) struct PartBuilder {
    roles: Vec<Role>,
    symbols: Vec<Option<i32>>,
    names: Vec<String>,
    places: HashMap<u32, i32>,
    ts: Vec<Option<i64>>,
    known_at: Vec<Option<i64>>,
    numbers: [Vec<Option<f64>>; NUMBERS],
    trades: Vec<Option<i64>>,
    texts: [TextBuilder; TEXTS],
    lines: Vec<i64>,
    unread: Vec<Unread>,
    /// The place of each unread line and its text.
    raw: Vec<(usize, String)>,
    bytes: usize,
    last_key: Option<(u32, i64)>,
    bytes_max: usize,
}

impl PartBuilder {
    pub(crate) fn new(plan: &Plan, bytes_max: usize) -> Self {
        Self {
            roles: plan.columns.of_role.iter().map(|(role, _)| *role).collect(),
            symbols: Vec::new(),
            names: Vec::new(),
            places: HashMap::new(),
            ts: Vec::new(),
            known_at: Vec::new(),
            numbers: std::array::from_fn(|_| Vec::new()),
            trades: Vec::new(),
            texts: [
                TextBuilder::few(),
                TextBuilder::few(),
                TextBuilder::Many(StringBuilder::new()),
            ],
            lines: Vec::new(),
            unread: Vec::new(),
            raw: Vec::new(),
            bytes: 0,
            last_key: None,
            bytes_max,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Whether the part is full and may be cut before `next` (`None`: a line that was not read).
    pub(crate) fn is_cut_before(&self, next: Option<&Row<'_>>) -> bool {
        let same_key = match (self.last_key, next) {
            (Some(last), Some(row)) => last == (row.symbol, row.ts),
            _ => false,
        };
        self.bytes >= self.bytes_max && !same_key
    }

    /// Adds a row that was read from line `line`; `names` are the reader's symbols.
    pub(crate) fn push(&mut self, line: u64, row: &Row<'_>, names: &[String]) {
        self.last_key = Some((row.symbol, row.ts));
        let texts = row.texts.iter().flatten();
        self.bytes += ROW_BYTES + texts.map(|text| TEXT_BYTES + text.len()).sum::<usize>();
        self.push_values(line, Some((row.symbol, row.ts)), Some(row), names);
    }

    /// Adds a line that was not read.
    pub(crate) fn push_unread(
        &mut self,
        line: u64,
        text: String,
        refused: Refused,
        names: &[String],
    ) {
        let Refused { error, key } = refused;
        self.bytes += UNREAD_BYTES + text.len() + error.detail.len();
        self.raw.push((self.len(), text));
        let is_told = key.is_some();
        self.unread.push(Unread { line, reason: error.reason, detail: error.detail, is_told });
        self.push_values(line, key, None, names);
    }

    fn push_values(
        &mut self,
        line: u64,
        key: Option<(u32, i64)>,
        row: Option<&Row<'_>>,
        names: &[String],
    ) {
        let place = key.map(|(symbol, _)| self.place(symbol, names));
        self.symbols.push(place);
        self.ts.push(key.map(|(_, ts)| ts));
        self.known_at.push(row.and_then(|row| row.known_at));
        for (at, numbers) in self.numbers.iter_mut().enumerate() {
            numbers.push(row.and_then(|row| row.numbers[at]));
        }
        self.trades.push(row.and_then(|row| row.trades));
        for (at, texts) in self.texts.iter_mut().enumerate() {
            texts.push(row.and_then(|row| row.texts[at].as_deref()));
        }
        self.lines.push(i64::try_from(line).expect("invariant: fewer than 2^63 lines"));
    }

    /// The place of a symbol in the part.
    fn place(&mut self, symbol: u32, names: &[String]) -> i32 {
        *self.places.entry(symbol).or_insert_with(|| {
            self.names.push(names[symbol as usize].clone());
            i32::try_from(self.names.len() - 1).expect("invariant: fewer symbols than rows")
        })
    }

    /// The part, and the builder empty again.
    pub(crate) fn take(&mut self) -> Part {
        let len = self.len();
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut add = |name: &str, array: ArrayRef| {
            fields.push(Field::new(name, array.data_type().clone(), true));
            arrays.push(array);
        };
        let names = Arc::new(StringArray::from(std::mem::take(&mut self.names)));
        let keys = Int32Array::from(std::mem::take(&mut self.symbols));
        let symbols = DictionaryArray::<Int32Type>::try_new(keys, names);
        add("symbol", Arc::new(symbols.expect("invariant: every key has its name")));
        add("ts", times(std::mem::take(&mut self.ts)));
        for role in &self.roles {
            if let Some(at) = number_place(*role) {
                let values = std::mem::take(&mut self.numbers[at]);
                add(role.name(), Arc::new(Float64Array::from(values)));
            }
        }
        if self.roles.contains(&Role::Trades) {
            add("trades", Arc::new(Int64Array::from(std::mem::take(&mut self.trades))));
        }
        for role in &self.roles {
            if let Some(at) = text_place(*role) {
                add(role.name(), self.texts[at].take());
            }
        }
        if self.roles.contains(&Role::KnownAt) {
            add("known_at", times(std::mem::take(&mut self.known_at)));
        }
        add("_line", Arc::new(Int64Array::from(std::mem::take(&mut self.lines))));
        let unread = std::mem::take(&mut self.unread);
        if !unread.is_empty() {
            let mut reject = vec![None; len];
            let mut raw = vec![None; len];
            for ((at, text), error) in std::mem::take(&mut self.raw).into_iter().zip(&unread) {
                reject[at] = Some(format!("{}: {}", error.reason, error.detail));
                raw[at] = Some(text);
            }
            add("_reject", Arc::new(StringArray::from(reject)));
            add("_raw", Arc::new(StringArray::from(raw)));
        }
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays)
            .expect("invariant: all columns are as long as the part");
        self.clear();
        Part { batch, unread }
    }

    /// Forgets what columns without use have gathered, and the symbols of the part.
    fn clear(&mut self) {
        self.places.clear();
        self.known_at.clear();
        self.trades.clear();
        self.numbers.iter_mut().for_each(Vec::clear);
        self.texts.iter_mut().for_each(|texts| drop(texts.take()));
        self.bytes = 0;
        self.last_key = None;
    }
}

/// Gathers texts.
enum TextBuilder {
    /// Which repeat: venues, conditions.
    Few(StringDictionaryBuilder<Int32Type>),
    /// Which do not: ids.
    Many(StringBuilder),
}

impl TextBuilder {
    fn few() -> Self {
        Self::Few(StringDictionaryBuilder::new())
    }

    fn push(&mut self, text: Option<&str>) {
        match self {
            Self::Few(builder) => builder.append_option(text),
            Self::Many(builder) => builder.append_option(text),
        }
    }

    fn take(&mut self) -> ArrayRef {
        match self {
            Self::Few(builder) => Arc::new(builder.finish()),
            Self::Many(builder) => Arc::new(builder.finish()),
        }
    }
}

fn times(values: Vec<Option<i64>>) -> ArrayRef {
    Arc::new(TimestampNanosecondArray::from(values).with_timezone(UTC))
}
