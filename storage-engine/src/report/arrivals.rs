//! What is known of rows that are not there: turned away, or equal to another of their batch.

use barrow_types::{DatasetId, SeriesKey};

use crate::error::Error;
use crate::gaps::is_of;
use crate::quality::RuleId;
use crate::reference::long;
use crate::snapshot::text;

use super::finding::{Found, Measure};
use super::member::Member;

/// A mark: when, what it counts, how many.
type Mark = (i64, Measure, u64);

/// What marks tell of a series.
pub(super) fn find(member: &Member<'_>, place: usize, found: &mut Found) -> Result<(), Error> {
    let own = &member.series[place];
    let mut marks: Vec<Mark> = Vec::new();
    let key = |dataset| SeriesKey { dataset, ..own.key.clone() };
    let (range, of) = (member.query.instants(), member.query.dataset);
    member.at.each(&key(DatasetId::REJECTS), range, |rows, at| {
        if is_of(of, &rows.columns[2], at) {
            marks.push((rows.ts[at], Measure::DeadLetters, 1));
        }
    })?;
    member.at.each(&key(DatasetId::REPEATS), range, |rows, at| {
        let rule = RuleId::parse(text(&rows.columns[0], at));
        let count = long(&rows.columns[1], at).and_then(|count| u64::try_from(count).ok());
        if let Some((rule, count)) = rule.zip(count).filter(|_| is_of(of, &rows.columns[2], at)) {
            marks.push((rows.ts[at], Measure::Rule(rule), count));
        }
    })?;
    marks.sort_by_key(|mark| mark.0);
    let ts: Vec<i64> = marks.iter().map(|mark| mark.0).collect();
    for ((ts, measure, count), date) in marks.into_iter().zip(member.dates(&ts)) {
        let enabled = match measure {
            Measure::Rule(rule) => member.rules.get(rule).enabled,
            _ => true,
        };
        if enabled && member.has_date(date) && member.is_bound(own, ts) {
            found.of_series(date, place, measure).fail(ts, count, true, false);
        }
    }
    Ok(())
}
