//! What single rows of a series tell: whether rules fire on them, which values they leave out, and
//! whether they came late or out of order.

use std::collections::BTreeMap;

use barrow_types::{DAY_NANOS, SeriesId, Step};

use crate::calendar::slot_of;
use crate::dataset;
use crate::error::Error;
use crate::quality::{Fired, RuleId, Scope, Seen, Verdicts};
use crate::rows::flags;

use super::finding::{Count, Found, Measure};
use super::member::{Member, Own};

/// The rows of one session date, and what they tell so far.
struct Day {
    date: i32,
    rows: u64,
    /// Rows without a value, by column of the dataset.
    nulls: Vec<u64>,
    rules: [Count; RuleId::ALL.len()],
    /// Rows that no later one has overtaken so far, by the record that brought them: how many, the
    /// first and the last.
    in_order: BTreeMap<u64, (u64, i64, i64)>,
}

impl Day {
    fn new(date: i32, columns: usize) -> Self {
        let rules = [Count::default(); RuleId::ALL.len()];
        Self { date, rows: 0, nulls: vec![0; columns], rules, in_order: BTreeMap::new() }
    }

    fn of(&mut self, rule: RuleId) -> &mut Count {
        &mut self.rules[rule as usize]
    }

    /// Counts a row as one that came in order, unless it took the place of another, and those that
    /// came after it though they lie before it as out of order.
    fn arrive(&mut self, ts: i64, sequence: u64, is_corrected: bool) {
        for (_, (count, first, last)) in self.in_order.split_off(&(sequence + 1)) {
            let out = self.of(RuleId::OutOfOrder);
            out.fail(first, count, true, false);
            out.fail(last, 0, true, false);
        }
        if !is_corrected {
            let own = self.in_order.entry(sequence).or_insert((0, ts, ts));
            *own = (own.0 + 1, own.1, ts);
        }
    }
}

/// Gathers the days of a series.
struct Gatherer<'a> {
    member: &'a Member<'a>,
    own: &'a Own,
    place: usize,
    enabled: Fired,
    /// Of `late`: how long after it could be had a row may be known.
    grace: i64,
    day: Option<Day>,
}

impl Gatherer<'_> {
    fn row(&mut self, seen: &Seen<'_>, verdicts: &Verdicts, found: &mut Found) {
        let (rows, at) = (seen.rows, seen.at);
        let (ts, sequence) = (rows.ts[at], rows.sequence[at]);
        let date = seen.place.date;
        if !self.member.has_date(date) || !self.member.is_bound(self.own, ts) {
            return;
        }
        if self.day.as_ref().is_none_or(|day| day.date != date) {
            let day = Day::new(date, rows.columns.len());
            let before = self.day.replace(day);
            self.close(before, found);
        }
        let is_late = self.is_late(rows.flags[at], ts, rows.known_at[at]);
        let day = self.day.as_mut().expect("invariant: it is the row's");
        day.rows += 1;
        for (nulls, column) in day.nulls.iter_mut().zip(&rows.columns) {
            *nulls += u64::from(!column.is_valid(at));
        }
        for rule in seen.tested.iter() {
            day.of(rule).tested += 1;
        }
        if !seen.fired.is_empty() {
            let settled = verdicts.settled(ts, sequence);
            for rule in seen.fired.iter() {
                day.of(rule).fail(ts, 1, !settled.has(rule), seen.mild.has(rule));
            }
        }
        if let Some(is_late) = is_late {
            day.of(RuleId::Late).tested += 1;
            if is_late {
                day.of(RuleId::Late).fail(ts, 1, true, false);
            }
        }
        day.arrive(ts, sequence, rows.flags[at] & flags::CORRECTED != 0);
    }

    /// Whether a row became known late; `None` if nobody can tell.
    fn is_late(&self, row_flags: u8, ts: i64, known_at: i64) -> Option<bool> {
        if row_flags & (flags::ASSUMED | flags::CORRECTED) != 0 {
            return None;
        }
        let (step, member) = (self.member.query.step, self.member);
        let end = match step.width() {
            Some(width) if !step.is_dated() => ts.saturating_add(width.get()),
            _ if step == Step::Tick => ts,
            _ => {
                let bucket = member.grid().bucket(member.calendar.as_deref(), slot_of(step, ts));
                bucket.map_or(ts, |bucket| bucket.end)
            }
        };
        Some(known_at > end.saturating_add(self.grace))
    }

    /// Adds a day to what was found.
    fn close(&self, day: Option<Day>, found: &mut Found) {
        let Some(day) = day else { return };
        let mut add = |measure, count: &Count| {
            found.of_series(day.date, self.place, measure).add(count);
        };
        let tested = day.rows;
        add(Measure::Rows, &Count { tested, ..Count::default() });
        let schema = dataset::schema(self.own.key.dataset).expect("invariant: it has a dataset");
        for (column, failed) in schema.columns.iter().zip(day.nulls) {
            if column.nullable {
                let count = Count { tested, failed, open: failed, ..Count::default() };
                add(Measure::Nulls(column.name), &count);
            }
        }
        for rule in self.enabled.iter() {
            let mut count = day.rules[rule as usize];
            if rule.rule().scope == Scope::Arrival && rule != RuleId::Late {
                count.tested = tested;
            }
            add(Measure::Rule(rule), &count);
        }
    }
}

/// What the rows of a series tell.
pub(super) fn find(member: &Member<'_>, place: usize, found: &mut Found) -> Result<(), Error> {
    let own = &member.series[place];
    let Some(series) = own.series else { return Ok(()) };
    let Some((mut start, end)) = member.span(series) else { return Ok(()) };
    let judge = member.judge(own, series);
    let of_rows = |rule: &RuleId| rule.rule().scope != Scope::Slots && rule.is_of(own.key.step);
    let enabled = member.rules.enabled().iter().filter(of_rows).collect();
    let mut gatherer =
        Gatherer { member, own, place, enabled, grace: grace(member, own), day: None };
    let length = piece(member.query.step);
    while start < end {
        // Pieces end at midnight, so that one begins where the other ends whatever was skipped.
        let stop = (start.div_euclid(length) + 1).saturating_mul(length).min(end);
        let verdicts = Verdicts::read(member.at, &own.key, start, stop)?;
        let any = judge.each(start, stop, |seen| gatherer.row(seen, &verdicts, found))?;
        start = if any { stop } else { skip(member, series, stop, end)? };
    }
    let last = gatherer.day.take();
    gatherer.close(last, found);
    Ok(())
}

/// Where the next row is, or the end.
fn skip(member: &Member<'_>, series: SeriesId, start: i64, end: i64) -> Result<i64, Error> {
    if start >= end {
        return Ok(end);
    }
    Ok(member.first_from(series, start, end)?.unwrap_or(end))
}

/// How much time is judged at once: usually some ten thousand rows.
pub(super) const fn piece(step: Step) -> i64 {
    let days = match step {
        Step::Tick | Step::S1 => 1,
        Step::M1 => 20,
        Step::M5 => 100,
        Step::M15 | Step::M30 | Step::H1 | Step::H4 => 300,
        Step::D1 | Step::W1 | Step::Mo1 => 20_000,
    };
    days * DAY_NANOS
}

/// How long after the end of its bar a row may be known without being late.
fn grace(member: &Member<'_>, own: &Own) -> i64 {
    let name = dataset::schema(own.key.dataset).map_or("", |schema| schema.name);
    let delay = member.reference.publish_delay(name, own.key.source.as_str());
    let seconds = member.rules.get(RuleId::Late).number("seconds");
    #[expect(clippy::cast_possible_truncation, reason = "it is at most 1e18")]
    let grace = (seconds * 1e9) as i64;
    delay.get().saturating_add(grace)
}
