//! The door: turns away only what cannot be stored truthfully. Everything else is a rule's matter.

use barrow_types::{DAY_NANOS, DatasetId, NameError, Symbol, Timestamp};

use crate::batch::{Act, Batch, RAW_LEN_MAX, Reason, Refused, Symbols};
use crate::dataset::{Identity, Schema};
use crate::rows::{Column, Values};

use super::outcome::Validity;
use super::quotes;

/// How far ahead of the ingest a bar may open: clocks of vendors and hosts differ.
const FUTURE_NANOS_MAX: i64 = 60_000_000_000;
/// The same for bars that are stored by their session's date, whose midnight may lie ahead of the
/// session's open (Sydney, the Sunday evening of foreign exchange).
const FUTURE_DATED_NANOS_MAX: i64 = DAY_NANOS;
/// Event times stay this far inside the range of instants, so that ends can be computed.
const TS_SIZE_MAX: i64 = i64::MAX - 40 * DAY_NANOS;

pub(super) struct Door<'a> {
    batch: &'a Batch,
    schema: &'static Schema,
    /// The user columns as they are to be stored.
    columns: &'a [Column],
    now: Timestamp,
    ts: &'a [i64],
    rejected: Vec<(usize, Reason, String)>,
}

impl<'a> Door<'a> {
    pub(super) fn new(
        batch: &'a Batch,
        schema: &'static Schema,
        columns: &'a [Column],
        now: Timestamp,
    ) -> Self {
        let ts: &[i64] = match &batch.ts.values {
            Values::I64(ts) => ts,
            _ => &[],
        };
        Self { batch, schema, columns, now, ts, rejected: Vec::new() }
    }

    pub(super) fn ts(&self) -> &'a [i64] {
        self.ts
    }

    /// The places of the rows that may enter, in order.
    pub(super) fn admit(&mut self, validity: &mut Validity) -> Vec<u32> {
        let names: Vec<Option<NameError>> =
            self.batch.symbols.names.iter().map(|name| Symbol::new(name).err()).collect();
        let rows = self.batch.symbols.of_row.len();
        let mut admitted = Vec::with_capacity(rows);
        let clean = self.clean_columns();
        for at in 0..rows {
            match self.judge(at, &names, &clean, validity) {
                Ok(()) => admitted.push(crate::bytes::u32_len(at)),
                Err((reason, detail)) => self.rejected.push((at, reason, detail)),
            }
        }
        admitted
    }

    /// Which columns need no look at single rows: all values are there and finite.
    fn clean_columns(&self) -> Vec<bool> {
        self.batch
            .columns
            .iter()
            .map(|column| {
                let finite = match &column.values {
                    Values::F64(values) => values.iter().all(|value| value.is_finite()),
                    _ => true,
                };
                column.validity.is_none() && finite
            })
            .collect()
    }

    fn judge(
        &self,
        at: usize,
        names: &[Option<NameError>],
        clean: &[bool],
        validity: &mut Validity,
    ) -> Result<(), (Reason, String)> {
        let symbol = self.batch.symbols.of_row[at];
        match names.get(symbol as usize) {
            Some(None) => {}
            Some(Some(error)) => return Err((Reason::BadSymbol, format!("symbol {error}"))),
            None => return Err((Reason::BadSymbol, "symbol is missing".to_owned())),
        }
        if self.ts.is_empty() || !self.batch.ts.is_valid(at) {
            return Err((Reason::MissingTs, "ts is missing".to_owned()));
        }
        let ts = self.ts[at];
        if ts.saturating_abs() > TS_SIZE_MAX {
            return Err((Reason::TsOutOfRange, format!("ts {ts} ns is out of range")));
        }
        let ahead =
            if self.batch.step.is_dated() { FUTURE_DATED_NANOS_MAX } else { FUTURE_NANOS_MAX };
        if !validity.has_come(ts.saturating_sub(ahead), self.now) {
            let seconds = ts.saturating_sub(self.now.nanos()) / 1_000_000_000;
            return Err((Reason::FutureTs, format!("ts lies {seconds} s in the future")));
        }
        for (place, column) in self.batch.columns.iter().enumerate() {
            if !clean[place] {
                self.judge_value(at, place, column)?;
            }
        }
        if self.batch.dataset == DatasetId::QUOTES && !quotes::has_side(self.columns, at) {
            return Err((Reason::NoSide, "neither bid nor ask has a price".to_owned()));
        }
        if let Some(known_at) = &self.batch.known_at
            && known_at.is_valid(at)
            && let Values::I64(values) = &known_at.values
            && !validity.has_come(values[at], self.now)
        {
            let seconds = values[at].saturating_sub(self.now.nanos()) / 1_000_000_000;
            let detail = format!("known_at lies {seconds} s in the future");
            return Err((Reason::FutureKnownAt, detail));
        }
        Ok(())
    }

    fn judge_value(
        &self,
        at: usize,
        place: usize,
        column: &Column,
    ) -> Result<(), (Reason, String)> {
        let definition = &self.schema.columns[place];
        if !column.is_valid(at) {
            return if definition.nullable {
                Ok(())
            } else {
                Err((Reason::MissingValue, format!("{} has no value", definition.name)))
            };
        }
        match &column.values {
            Values::F64(values) if !values[at].is_finite() => {
                Err((Reason::NonFinite, format!("{} is {}", definition.name, values[at])))
            }
            _ => Ok(()),
        }
    }

    /// A retraction found nothing under its key.
    pub(super) fn reject_retraction(&mut self, at: usize) {
        let detail = match self.schema.identity {
            Identity::Event { .. } => "no such row is visible under this symbol and ts",
            Identity::Ts | Identity::Append => "nothing is visible under this symbol and ts",
        };
        let detail = detail.to_owned();
        self.rejected.push((at, Reason::NothingToRetract, detail));
    }

    /// Everything that was turned away, in the order of the batch, then what could not be read.
    pub(super) fn into_dead_letters(mut self) -> Vec<Refused> {
        let rejected = std::mem::take(&mut self.rejected);
        let mut dead: Vec<Refused> = rejected
            .into_iter()
            .map(|(at, reason, detail)| Refused {
                row: self.batch.numbers.as_ref().map_or(at as u64, |numbers| numbers[at]),
                reason: reason.name().to_owned(),
                detail,
                raw: cut(self.raw(at)),
            })
            .collect();
        dead.extend(self.batch.refused.iter().map(|refused| Refused {
            raw: cut(refused.raw.clone()),
            detail: cut(refused.detail.clone()),
            reason: cut(refused.reason.clone()),
            row: refused.row,
        }));
        dead.sort_by_key(|dead| dead.row);
        dead
    }

    /// The row as it came, or as its columns show it.
    fn raw(&self, at: usize) -> String {
        if let Some(raw) = &self.batch.raw
            && raw.is_valid(at)
            && let Values::Text(texts) = &raw.values
        {
            return texts.get(at).to_owned();
        }
        let mut fields = Vec::new();
        let symbol = self.batch.symbols.of_row[at];
        if symbol != Symbols::NONE
            && let Some(name) = self.batch.symbols.names.get(symbol as usize)
        {
            let end = name.floor_char_boundary(RAW_LEN_MAX);
            fields.push(format!("symbol={:?}", &name[..end]));
        }
        if self.batch.ts.is_valid(at) && !self.ts.is_empty() {
            fields.push(format!("ts={}", self.ts[at]));
        }
        if self.batch.act == Act::Insert {
            for (definition, column) in self.schema.columns.iter().zip(&self.batch.columns) {
                if column.is_valid(at) {
                    let value = match &column.values {
                        Values::F64(values) => values[at].to_string(),
                        Values::I64(values) => values[at].to_string(),
                        Values::Text(texts) => format!("{:?}", texts.get(at)),
                    };
                    fields.push(format!("{}={value}", definition.name));
                }
            }
        }
        fields.join(" ")
    }
}

/// At most [`RAW_LEN_MAX`] bytes of a text.
fn cut(mut text: String) -> String {
    if text.len() > RAW_LEN_MAX {
        text.truncate(text.floor_char_boundary(RAW_LEN_MAX));
    }
    text
}
