//! The door: turns away what cannot be stored truthfully, and what rules of action `reject` fire
//! on. Everything else is stored, and a rule's matter.

use barrow_types::{DAY_NANOS, DatasetId, NameError, Source, Symbol, Timestamp};

use crate::batch::{Act, Batch, RAW_LEN_MAX, Reason, Refused, Symbols};
use crate::dataset::{ColumnDef, Identity, Schema, facts};
use crate::quality::{RuleId, RuleSet, turned_away};
use crate::rows::{Column, Texts, Values};

use super::outcome::Validity;
use super::{claims, quotes};

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
    /// The rules, where rows may be turned away by them.
    rules: Option<&'a RuleSet>,
    now: Timestamp,
    ts: &'a [i64],
    rejected: Rejected,
}

/// The rows that were turned away: place in the batch, reason, detail.
pub(super) struct Rejected {
    schema: &'static Schema,
    rows: Vec<(usize, Reason, String)>,
}

/// Marks of rejected rows.
pub(super) struct Marks {
    /// Whether every rejected row has one.
    pub(super) all: bool,
    /// The marks as rows.
    pub(super) batch: Option<Batch>,
}

impl<'a> Door<'a> {
    pub(super) fn new(
        batch: &'a Batch,
        schema: &'static Schema,
        columns: &'a [Column],
        rules: Option<&'a RuleSet>,
        now: Timestamp,
    ) -> Self {
        let rejected = Rejected { schema, rows: Vec::new() };
        Self { batch, schema, columns, rules, now, ts: ts_of(batch), rejected }
    }

    /// The places of the rows that may enter, in order, and the others.
    pub(super) fn admit(mut self, validity: &mut Validity) -> (Vec<u32>, Rejected) {
        let names: Vec<Option<NameError>> =
            self.batch.symbols.names.iter().map(|name| Symbol::new(name).err()).collect();
        let rows = self.batch.symbols.of_row.len();
        let clean = self.clean_columns();
        let by_rules = self.by_rules(rows);
        if by_rules.is_empty() && self.admits_all(&names, &clean) {
            return ((0..crate::bytes::u32_len(rows)).collect(), self.rejected);
        }
        let mut admitted = Vec::with_capacity(rows);
        for at in 0..rows {
            let judged = self.judge(at, &names, &clean, validity);
            match judged.and_then(|()| admitted_by(&by_rules, at)) {
                Ok(()) => admitted.push(crate::bytes::u32_len(at)),
                Err((reason, detail)) => self.rejected.rows.push((at, reason, detail)),
            }
        }
        (admitted, self.rejected)
    }

    /// The rows that rules turn away, in order, with one rule each.
    fn by_rules(&self, rows: usize) -> Vec<(usize, RuleId)> {
        let Some(rules) = self.rules else { return Vec::new() };
        let ids: Vec<_> = self.schema.columns.iter().map(|column| column.id).collect();
        turned_away(rules, &ids, self.columns, rows)
    }

    /// Whether it is plain, without a look at single rows, that all may enter, and that they still
    /// may at any later time.
    fn admits_all(&self, names: &[Option<NameError>], clean: &[bool]) -> bool {
        let in_time = |ts: i64| {
            ts.saturating_abs() <= TS_SIZE_MAX && ts.saturating_sub(self.ahead()) < self.now.nanos()
        };
        let (min, max) = (self.ts.iter().min(), self.ts.iter().max());
        let states_none = self.batch.known_at.as_ref().is_none_or(|column| !column.has_values());
        let has_sides = || self.columns[..2].iter().any(|price| price.validity.is_none());
        (self.batch.dataset != DatasetId::QUOTES || has_sides())
            && clean.iter().all(|&clean| clean)
            && names.iter().all(Option::is_none)
            && self.batch.symbols.of_row.iter().all(|&at| (at as usize) < names.len())
            && self.batch.ts.validity.is_none()
            && min.copied().is_none_or(in_time)
            && max.copied().is_none_or(in_time)
            && states_none
    }

    /// How far ahead of the ingest a row may lie. Facts may be about the future.
    fn ahead(&self) -> i64 {
        if facts::STATED.contains(&self.batch.dataset) {
            i64::MAX
        } else if self.batch.step.is_dated() {
            FUTURE_DATED_NANOS_MAX
        } else {
            FUTURE_NANOS_MAX
        }
    }

    /// Which columns need no look at single rows: no value is missing that must be there, and all
    /// are finite.
    fn clean_columns(&self) -> Vec<bool> {
        let columns = self.batch.columns.iter().zip(self.schema.columns);
        let is_clean = |(column, definition): (&Column, &ColumnDef)| {
            let finite = match &column.values {
                Values::F64(values) => values.iter().all(|value| value.is_finite()),
                _ => true,
            };
            (self.may_lack(definition) || column.validity.is_none()) && finite
        };
        columns.map(is_clean).collect()
    }

    /// Whether a row may be without a value there. A retraction by an id needs no more than that.
    fn may_lack(&self, definition: &ColumnDef) -> bool {
        let is_of_id = || match self.schema.identity {
            Identity::Event { id } => id.is_empty() || id.contains(&definition.id),
            Identity::Ts | Identity::Append => true,
        };
        definition.nullable || self.batch.act == Act::Retract && !is_of_id()
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
        if !validity.has_come(ts.saturating_sub(self.ahead()), self.now) {
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
            return if self.may_lack(definition) {
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
}

impl Rejected {
    /// A retraction found nothing to take away.
    pub(super) fn retraction(&mut self, at: usize) {
        let detail = match self.schema.identity {
            Identity::Event { .. } => "no such row is visible under this symbol and ts",
            Identity::Ts | Identity::Append => "nothing is visible under this symbol and ts",
        };
        self.rows.push((at, Reason::NothingToRetract, detail.to_owned()));
    }

    /// Marks of the rows that were turned away, where symbol and `ts` can be told.
    pub(super) fn marks(&self, batch: &Batch, source: &Source) -> Marks {
        // A retraction that finds nothing leaves no hole.
        let rows = if batch.act == Act::Insert { &self.rows[..] } else { &[] };
        let of_row = rows.iter().map(|(at, reason, _)| {
            let symbol = batch.symbols.names.get(batch.symbols.of_row[*at] as usize)?;
            let ts = match &batch.ts.values {
                Values::I64(ts) if batch.ts.is_valid(*at) => ts[*at],
                _ => return None,
            };
            Some((symbol.as_str(), ts, batch.number(*at).cast_signed(), reason.name()))
        });
        let of_refused = batch.refused.iter().map(|refused| {
            let (symbol, ts) = refused.key.as_ref()?;
            let reason = &refused.reason[..refused.reason.floor_char_boundary(RAW_LEN_MAX)];
            Some((symbol.as_str(), *ts, refused.row.cast_signed(), reason))
        });
        let is_told = |&(symbol, ts, ..): &(&str, i64, i64, &str)| {
            ts.saturating_abs() <= TS_SIZE_MAX && Symbol::new(symbol).is_ok()
        };
        let marks: Vec<_> = of_row.chain(of_refused).flatten().filter(is_told).collect();
        let all = marks.len() == rows.len() + batch.refused.len();
        let reasons: Texts = marks.iter().map(|mark| mark.3).collect();
        let columns = vec![
            Column::new(Values::I64(marks.iter().map(|mark| mark.2).collect())),
            Column::new(Values::Text(reasons)),
            claims::dataset(batch, marks.len()),
        ];
        let ts = marks.iter().map(|mark| mark.1).collect();
        let symbols = marks.iter().map(|mark| mark.0);
        Marks { all, batch: claims::rows(batch, source, DatasetId::REJECTS, symbols, ts, columns) }
    }

    /// Everything that was turned away, in the order of the batch, then what could not be read.
    pub(super) fn into_dead_letters(self, batch: &Batch) -> Vec<Refused> {
        let schema = self.schema;
        let refused = |(at, reason, detail): (usize, Reason, String)| Refused {
            row: batch.number(at),
            reason: reason.name().to_owned(),
            detail,
            raw: cut(raw(batch, schema, at)),
            key: None,
        };
        let mut dead: Vec<Refused> = self.rows.into_iter().map(refused).collect();
        dead.extend(batch.refused.iter().map(|refused| Refused {
            raw: cut(refused.raw.clone()),
            detail: cut(refused.detail.clone()),
            reason: cut(refused.reason.clone()),
            row: refused.row,
            key: None,
        }));
        dead.sort_by_key(|dead| dead.row);
        dead
    }
}

fn admitted_by(by_rules: &[(usize, RuleId)], at: usize) -> Result<(), (Reason, String)> {
    match by_rules.binary_search_by_key(&at, |(at, _)| *at) {
        Ok(place) => {
            let rule = by_rules[place].1;
            Err((Reason::Rule(rule), rule.rule().meaning.to_owned()))
        }
        Err(_) => Ok(()),
    }
}

fn ts_of(batch: &Batch) -> &[i64] {
    match &batch.ts.values {
        Values::I64(ts) => ts,
        _ => &[],
    }
}

/// The row as it came, or as its columns show it.
fn raw(batch: &Batch, schema: &Schema, at: usize) -> String {
    if let Some(raw) = &batch.raw
        && raw.is_valid(at)
        && let Values::Text(texts) = &raw.values
    {
        return texts.get(at).to_owned();
    }
    let mut fields = Vec::new();
    let symbol = batch.symbols.of_row[at];
    if symbol != Symbols::NONE
        && let Some(name) = batch.symbols.names.get(symbol as usize)
    {
        let end = name.floor_char_boundary(RAW_LEN_MAX);
        fields.push(format!("symbol={:?}", &name[..end]));
    }
    if let Some(ts) = ts_of(batch).get(at).filter(|_| batch.ts.is_valid(at)) {
        fields.push(format!("ts={ts}"));
    }
    for (definition, column) in schema.columns.iter().zip(&batch.columns) {
        if column.is_valid(at) {
            let value = match &column.values {
                Values::F64(values) => values[at].to_string(),
                Values::I64(values) => values[at].to_string(),
                Values::Text(texts) => format!("{:?}", texts.get(at)),
            };
            fields.push(format!("{}={value}", definition.name));
        }
    }
    fields.join(" ")
}

/// At most [`RAW_LEN_MAX`] bytes of a text.
fn cut(mut text: String) -> String {
    if text.len() > RAW_LEN_MAX {
        text.truncate(text.floor_char_boundary(RAW_LEN_MAX));
    }
    text
}
