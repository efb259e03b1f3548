//! `xsource_diff`: closes of other sources beside those of the preferred one, in the slots in which
//! both have a row.

use std::sync::Arc;

use crate::calendar::slot_of;
use crate::error::Error;
use crate::quality::RuleId;
use crate::rows::Rows;
use crate::snapshot::Scanner;

use super::finding::Found;
use super::member::{Member, Own, number};

/// Pairs that are looked at together.
const PAIRS: usize = 8_192;

/// The rows of a series, one after the other.
struct Cursor {
    scanner: Scanner,
    rows: Rows,
    at: usize,
}

impl Cursor {
    fn open(member: &Member<'_>, own: &Own) -> Result<Option<Self>, Error> {
        let Some(series) = own.series else { return Ok(None) };
        let (start, end) = member.query.instants();
        let scanner = member.at.snapshot.scan(member.scan(series, &["close"], start, end))?;
        Ok(Some(Self { scanner, rows: Rows::empty([]), at: 0 }))
    }

    /// The time and the close of the next row.
    fn next(&mut self) -> Result<Option<(i64, f64)>, Error> {
        while self.at == self.rows.len() {
            let Some(rows) = self.scanner.next()? else { return Ok(None) };
            (self.rows, self.at) = (rows, 0);
        }
        self.at += 1;
        Ok(Some((self.rows.ts[self.at - 1], number(&self.rows, 0, self.at - 1))))
    }
}

/// What other sources say of the instrument's closes.
pub(super) fn find(member: &Member<'_>, found: &mut Found) -> Result<(), Error> {
    let has_rows = |own: &&Own| own.series.is_some();
    let Some(preferred) = member.series.iter().find(has_rows) else { return Ok(()) };
    if !member.rules.get(RuleId::XsourceDiff).enabled {
        return Ok(());
    }
    let source = &preferred.key.source;
    for one in member.series.iter().filter(|own| own.key.source == *source) {
        for (place, other) in member.series.iter().enumerate() {
            if other.key.source != *source {
                compare(member, one, (place, other), found)?;
            }
        }
    }
    Ok(())
}

fn compare(
    member: &Member<'_>,
    one: &Own,
    (place, other): (usize, &Own),
    found: &mut Found,
) -> Result<(), Error> {
    let cursors = (Cursor::open(member, one)?, Cursor::open(member, other)?);
    let (Some(mut left), Some(mut right)) = cursors else { return Ok(()) };
    let step = member.query.step;
    let beside: Arc<str> = one.key.source.as_str().into();
    let mut pairs: Vec<(i64, f64)> = Vec::new();
    let (mut a, mut b) = (left.next()?, right.next()?);
    while let (Some((at, close)), Some((other_at, other_close))) = (a, b) {
        match slot_of(step, at).cmp(&slot_of(step, other_at)) {
            std::cmp::Ordering::Less => a = left.next()?,
            std::cmp::Ordering::Greater => b = right.next()?,
            std::cmp::Ordering::Equal => {
                if member.is_bound(one, at) && member.is_bound(other, other_at) {
                    pairs.push((other_at, (other_close / close - 1.0).abs() * 10_000.0));
                }
                (a, b) = (left.next()?, right.next()?);
            }
        }
        if pairs.len() == PAIRS {
            count(member, place, &beside, &mut pairs, found);
        }
    }
    count(member, place, &beside, &mut pairs, found);
    Ok(())
}

/// Counts pairs, each with the difference in hundredths of a percent.
fn count(
    member: &Member<'_>,
    place: usize,
    beside: &Arc<str>,
    pairs: &mut Vec<(i64, f64)>,
    found: &mut Found,
) {
    let most = member.rules.get(RuleId::XsourceDiff).number("bp");
    let ts: Vec<i64> = pairs.iter().map(|pair| pair.0).collect();
    for ((ts, difference), date) in pairs.drain(..).zip(member.dates(&ts)) {
        if !member.has_date(date) || !difference.is_finite() {
            continue;
        }
        let count = found.beside(date, place, beside, RuleId::XsourceDiff);
        count.tested += 1;
        count.note(difference);
        if difference > most {
            count.fail(ts, 1, true, false);
        }
    }
}
