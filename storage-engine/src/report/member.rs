//! An instrument that is looked at: its calendar, and the series of all symbols and sources that
//! are bound to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_types::{DAY_NANOS, DatasetId, SeriesId, SeriesKey, Timestamp};

use crate::calendar::{Calendar, SlotGrid, slot_of};
use crate::curate::{bound, calendar_of, sources};
use crate::error::Error;
use crate::gaps::{FactsAt, Intervals};
use crate::quality::{Judge, RuleSet, Subject, places};
use crate::reference::Reference;
use crate::rows::{Rows, Values};
use crate::snapshot::{Revisions, Scan};

use super::{QualityQuery, of_rows};

/// A series of the instrument.
pub(super) struct Own {
    pub(super) key: SeriesKey,
    /// Its rows; `None` if only rows that were turned away speak of it.
    pub(super) series: Option<SeriesId>,
    /// When its symbol is bound to the instrument.
    bound: Intervals,
}

/// See the module.
pub(super) struct Member<'a> {
    pub(super) at: FactsAt<'a>,
    pub(super) reference: &'a Reference,
    pub(super) query: &'a QualityQuery,
    pub(super) rules: &'a RuleSet,
    pub(super) instrument: &'a Arc<str>,
    pub(super) calendar: Option<Arc<Calendar>>,
    subject: Subject,
    /// In order of preference of their sources.
    pub(super) series: Vec<Own>,
}

impl<'a> Member<'a> {
    pub(super) fn new(
        at: FactsAt<'a>,
        reference: &'a Reference,
        query: &'a QualityQuery,
        rules: &'a RuleSet,
        instrument: &'a Arc<str>,
    ) -> Result<Self, Error> {
        let end = match query.dates.end {
            i32::MAX => Timestamp::MAX,
            date => Timestamp::from_nanos(i64::from(date).saturating_mul(DAY_NANOS)),
        };
        let calendar = calendar_of(reference, instrument, end)?;
        let align = query.align.unwrap_or_default();
        let subject = Subject::of(reference, instrument, calendar.clone(), align);
        let series = Vec::new();
        let mut member =
            Self { at, reference, query, rules, instrument, calendar, subject, series };
        member.series = member.find_series();
        Ok(member)
    }

    fn find_series(&self) -> Vec<Own> {
        let Self { query, reference, instrument, .. } = self;
        let mut symbols: BTreeSet<&str> =
            reference.bound_to(instrument).map(|(_, symbol)| symbol).collect();
        symbols.insert(instrument);
        let range = query.instants();
        let sequence = query.sequence(self.at.snapshot);
        let catalog = &self.at.snapshot.generation().catalog;
        let mut found: Vec<Own> = Vec::new();
        for symbol in symbols {
            for dataset in [query.dataset, DatasetId::REJECTS] {
                for (series, key) in catalog.list(dataset, Some(symbol), sequence) {
                    let is_wanted = (key.step, key.side) == (query.step, query.side)
                        && query.source.as_ref().is_none_or(|name| name == key.source.as_str());
                    let same = |own: &Own| {
                        (&own.key.symbol, &own.key.source) == (&key.symbol, &key.source)
                    };
                    let bound = bound(reference, instrument, key.source.as_str(), symbol);
                    if is_wanted && !found.iter().any(same) && bound.touch(range.0, range.1) {
                        let series = (dataset == query.dataset).then_some(series);
                        found.push(Own { key, series, bound });
                    }
                }
            }
        }
        let preferred =
            sources(reference, crate::dataset::schema(query.dataset).map_or("", |s| s.name));
        found.sort_by_key(|own| {
            let place = preferred.iter().position(|name| **name == *own.key.source.as_str());
            let names = (own.key.source.clone(), own.key.symbol.clone());
            (place.unwrap_or(preferred.len()), names)
        });
        found
    }

    /// Whether the instrument is listed at the due time, or has any visible row.
    pub(super) fn is_there(&self) -> Result<bool, Error> {
        let listed = self.reference.attribute_at(self.instrument, "listed", self.query.due);
        if listed == Some("true") {
            return Ok(true);
        }
        for own in &self.series {
            if self.has_row(own)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether a series has a visible row, whenever that is, that is one of the instrument.
    fn has_row(&self, own: &Own) -> Result<bool, Error> {
        let Some(series) = own.series else { return Ok(false) };
        for (start, end) in own.bound.iter() {
            // The slot of a dated row may begin a day before its `ts`, or some holidays after it.
            let days = if self.query.step.is_dated() { (7, 1) } else { (0, 0) };
            let mut from = start.saturating_sub(days.0 * DAY_NANOS);
            let to = end.saturating_add(days.1 * DAY_NANOS);
            while let Some(ts) = self.first_from(series, from, to)? {
                if self.is_bound(own, ts) {
                    return Ok(true);
                }
                from = ts + 1;
            }
        }
        Ok(false)
    }

    /// Judges rows of a series.
    pub(super) fn judge<'j>(&'j self, own: &'j Own, series: SeriesId) -> Judge<'j> {
        let wanted = of_rows(self.rules);
        let Self { at, rules, subject, .. } = self;
        Judge { at: *at, series, key: &own.key, rules, wanted, subject }
    }

    /// Whether rows of `date` are asked for.
    pub(super) fn has_date(&self, date: i32) -> bool {
        self.query.dates.contains(&date)
    }

    /// Whether the row of a series at `ts` is one of the instrument.
    pub(super) fn is_bound(&self, own: &Own, ts: i64) -> bool {
        if own.bound.cover(i64::MIN, i64::MAX) {
            return true;
        }
        let start = if self.query.step.is_dated() {
            let bucket = self.grid().bucket(self.calendar.as_deref(), slot_of(self.query.step, ts));
            bucket.map_or(ts, |bucket| bucket.start)
        } else {
            ts
        };
        own.bound.cover(start, start.saturating_add(1))
    }

    /// The slots that are expected.
    pub(super) fn grid(&self) -> SlotGrid {
        let QualityQuery { step, session, align, .. } = *self.query;
        SlotGrid { step, session, align: align.unwrap_or_default() }
    }

    /// The session dates of rows, sorted by `ts`.
    pub(super) fn dates(&self, ts: &[i64]) -> Vec<i32> {
        let align = self.query.align.unwrap_or_default();
        let placed = places(self.calendar.as_deref(), self.query.step, align, ts);
        placed.into_iter().map(|place| place.date).collect()
    }

    /// The visible rows of a series with `ts` in [`start`, `end`), with the columns of these names.
    pub(super) fn read(
        &self,
        series: SeriesId,
        names: &[&str],
        start: i64,
        end: i64,
    ) -> Result<Rows, Error> {
        let mut scanner = self.at.snapshot.scan(self.scan(series, names, start, end))?;
        let kinds = names.iter().map(|_| crate::rows::ColumnType::F64);
        let mut rows = Rows::empty(kinds);
        while let Some(piece) = scanner.next()? {
            rows.extend_from(&piece);
        }
        Ok(rows)
    }

    /// How to read columns of bars that are numbers.
    pub(super) fn scan(&self, series: SeriesId, names: &[&str], start: i64, end: i64) -> Scan {
        let schema = &crate::dataset::BARS;
        let column = |name: &&str| schema.column(name).expect("invariant: bars have it").id;
        Scan {
            series,
            start: Timestamp::from_nanos(start),
            end: Timestamp::from_nanos(end),
            columns: names.iter().map(column).collect(),
            as_of: self.at.as_of,
            at_sequence: self.at.at_sequence,
            revisions: Revisions::Visible,
        }
    }

    /// The first instant from `start` on at which a series has a visible row, before `end`.
    pub(super) fn first_from(
        &self,
        series: SeriesId,
        start: i64,
        end: i64,
    ) -> Result<Option<i64>, Error> {
        let mut scanner = self.at.snapshot.scan(self.scan(series, &[], start, end))?;
        Ok(scanner.next()?.and_then(|rows| rows.ts.first().copied()))
    }

    /// The instants at which rows of a series may lie that are asked for; `None` if it has none.
    pub(super) fn span(&self, series: SeriesId) -> Option<(i64, i64)> {
        let (from, to) = self.query.instants();
        let (first, last) = self.at.snapshot.span(series)?;
        let span = (from.max(first), to.min(last.saturating_add(1)));
        (span.0 < span.1).then_some(span)
    }
}

/// Value `at` of a column of numbers; NaN for none.
pub(super) fn number(rows: &Rows, column: usize, at: usize) -> f64 {
    let column = &rows.columns[column];
    match &column.values {
        Values::F64(values) if column.is_valid(at) => values[at],
        _ => f64::NAN,
    }
}
