//! `--complete`: when a file is stored, each of its symbols is claimed from the slot of its first
//! row to that of its last one.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, TimestampNanosecondType};
use barrow_client::{ClientError, IngestAnswer};
use barrow_engine::calendar::{slot_begin, slot_of};
use barrow_types::{DAY_NANOS, Step};
use serde_json::{Value, json};

use super::part::{Part, Unread};
use super::plan::Plan;
use super::{ImportError, Sending};

/// Reasons for which a row may be turned away that leave nobody knowing where it belongs.
const UNTOLD: [&str; 2] = ["bad_symbol", "missing_ts"];

/// What a file holds of each symbol, and whether all of its rows tell where they belong.
#[derive(Debug, Default)]
pub(crate) struct Extents {
    /// Opens of the first and the last bar.
    of_symbol: BTreeMap<String, (i64, i64)>,
    untold: u64,
}

impl Extents {
    /// Adds the rows of a part.
    pub(crate) fn add(&mut self, part: &Part) {
        let symbols = part.batch.column_by_name("symbol").expect("invariant: parts have symbols");
        let symbols = symbols.as_dictionary::<Int32Type>();
        let names = symbols.values().as_string::<i32>();
        let ts = part.batch.column_by_name("ts").expect("invariant: parts have times");
        let ts = ts.as_primitive::<TimestampNanosecondType>();
        let mut spans: Vec<Option<(i64, i64)>> = vec![None; names.len()];
        for (key, ts) in symbols.keys().iter().zip(ts) {
            if let (Some(key), Some(ts)) = (key, ts) {
                let key = usize::try_from(key).expect("invariant: keys are places");
                let (first, last) = spans[key].unwrap_or((ts, ts));
                spans[key] = Some((first.min(ts), last.max(ts)));
            }
        }
        for (name, span) in names.iter().zip(spans) {
            if let (Some(name), Some((first, last))) = (name, span) {
                let own = self.of_symbol.entry(name.to_owned()).or_insert((first, last));
                *own = (own.0.min(first), own.1.max(last));
            }
        }
        self.untold += part.unread.iter().filter(|line| !line.is_told).count() as u64;
    }

    /// Adds what became of a part of which the lines `unread` were not read.
    pub(crate) fn note(&mut self, answer: &IngestAnswer, unread: &[Unread]) {
        let is_unread = |row: u64| unread.binary_search_by_key(&row, |line| line.line).is_ok();
        let others = || answer.errors.iter().filter(|error| !is_unread(error.row));
        let untold = others().filter(|error| UNTOLD.contains(&error.reason.as_str()));
        // Of those that the answer does not list nobody knows more.
        let listed = (unread.len() + others().count()) as u64;
        self.untold += untold.count() as u64 + answer.rejected.saturating_sub(listed);
    }

    /// The claims, as far as they do not reach beyond `now`.
    fn claims(&self, step: Step, now: i64) -> Vec<Value> {
        let claim = |(symbol, &(first, last)): (&String, &(i64, i64))| {
            let slot = slot_of(step, last);
            let end = [slot + 1, slot].map(|slot| slot_begin(step, slot));
            let end = end.into_iter().find(|end| *end <= now)?;
            let start = slot_begin(step, slot_of(step, first));
            (start < end).then(
                || json!({"symbol": symbol, "start": shown(step, start), "end": shown(step, end)}),
            )
        };
        self.of_symbol.iter().filter_map(claim).collect()
    }

    /// Makes the claims of a file that was stored as batch `id`.
    pub(crate) async fn claim<W>(
        self,
        plan: &Plan,
        (shown, id): (&str, &str),
        Sending { way, now, tally, .. }: &mut Sending<'_, W>,
    ) -> Result<(), ImportError> {
        if self.untold > 0 {
            tally.note(format!(
                "{shown}: not claimed to be complete: {} of its rows may lie in any gap",
                self.untold
            ));
            return Ok(());
        }
        let claims = self.claims(plan.step, now.nanos());
        if claims.is_empty() {
            return Ok(());
        }
        let pairs = [
            ("timeframe", plan.step.name().to_owned()),
            ("source", plan.source.clone()),
            ("price", plan.price.name().to_owned()),
            ("origin", "complete".to_owned()),
            ("batch_id", format!("{id}:complete")),
        ];
        match way.claim(plan.dataset.name(), &pairs, &Value::Array(claims)).await {
            Ok(answer) => tally.claims += answer.claims,
            // It was imported when its last bar had not ended.
            Err(ClientError::Conflict(_)) => {
                tally.note(format!("{shown}: it was claimed to be complete before"));
            }
            Err(error) => {
                let doing = format!("import {shown}: its rows are stored, but not claimed");
                return Err(ImportError::request(doing, error));
            }
        }
        Ok(())
    }
}

/// An end of a claim: a date for bars that have one, which the server takes for a session.
fn shown(step: Step, at: i64) -> Value {
    if step.is_dated() {
        let (year, month, day) = barrow_types::civil_from_days(at.div_euclid(DAY_NANOS));
        return format!("{year:04}-{month:02}-{day:02}").into();
    }
    let at = jiff::Timestamp::from_nanosecond(at.into());
    at.expect("invariant: 64 bits of nanoseconds are years 1677 to 2262").to_string().into()
}

#[cfg(test)]
mod tests {
    use barrow_client::RowError;

    use super::*;

    fn extents(first: i64, last: i64) -> Extents {
        Extents { of_symbol: [("A".to_owned(), (first, last))].into(), untold: 0 }
    }

    const MINUTE: i64 = 60_000_000_000;

    #[test]
    fn a_symbol_is_claimed_from_its_first_slot_to_its_last() {
        // 2013-10-07T13:30:10Z, in seconds by `date -u -d ... +%s`.
        let first = 1_381_152_610_000_000_000;
        let (last, now) = (first + 20 * MINUTE, first + 30 * MINUTE);
        let claim =
            |start: &str, end: &str| vec![json!({"symbol": "A", "start": start, "end": end})];
        let minutes = claim("2013-10-07T13:30:00Z", "2013-10-07T13:51:00Z");
        assert_eq!(extents(first, last).claims(Step::M1, now), minutes);
        // A bar that has not ended is not claimed.
        let forming = claim("2013-10-07T13:30:00Z", "2013-10-07T13:50:00Z");
        assert_eq!(extents(first, last).claims(Step::M1, last), forming);
        assert!(extents(first, first).claims(Step::M1, first).is_empty());
        let day = first.div_euclid(DAY_NANOS) * DAY_NANOS;
        let days = claim("2013-10-07", "2013-10-10");
        assert_eq!(extents(day, day + 2 * DAY_NANOS).claims(Step::D1, i64::MAX), days);
        let months = claim("2013-10-01", "2013-11-01");
        assert_eq!(extents(day, day).claims(Step::Mo1, i64::MAX), months);
    }

    #[test]
    fn rows_that_may_lie_anywhere_are_counted() {
        let error = |reason: &str| RowError { row: 1, reason: reason.into(), detail: "d".into() };
        let untold = |rejected: u64, errors: Vec<RowError>, unread: &[Unread]| {
            let mut extents = extents(0, 0);
            extents.note(&IngestAnswer { rejected, errors, ..IngestAnswer::default() }, unread);
            extents.untold
        };
        assert_eq!(untold(1, vec![error("non_finite")], &[]), 0);
        assert_eq!(untold(1, vec![error("bad_symbol")], &[]), 1);
        assert_eq!(untold(3, vec![error("non_finite")], &[]), 2, "two are not listed");
        // What the file's own reader turned away was counted when the part was added.
        let line = |line| Unread { line, reason: "r", detail: String::new(), is_told: false };
        assert_eq!(untold(1, vec![error("bad_symbol")], &[line(1)]), 0);
        assert_eq!(untold(3, vec![error("non_finite")], &[line(1), line(7)]), 1);
    }
}
