//! What the slots of an instrument tell: how many are expected and why those are empty that are,
//! gaps, how old the newest row is, and whether the instrument has any row of a session.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use barrow_types::{DAY_NANOS, SessionSet, Timestamp};

use crate::calendar::{SlotGrid, Stretch};
use crate::curate::{Content, CuratedScan};
use crate::error::Error;
use crate::gaps::Reason;
use crate::quality::{RuleId, day_of};

use super::finding::{Found, Measure};
use super::member::Member;
use super::ratio;

/// The slots of one session date.
#[derive(Default)]
struct Day {
    /// Slots that are due and listed.
    due: u64,
    present: u64,
    missing: u64,
    /// When the first and the last missing slot begins.
    span: Option<(i64, i64)>,
}

/// What the slots of the instrument tell. `universe`: by date how many instruments should have
/// rows, and how many have none.
pub(super) fn find(
    member: &Member<'_>,
    found: &mut Found,
    universe: &mut BTreeMap<i32, (u64, u64)>,
) -> Result<(), Error> {
    let (start, end) = member.query.instants();
    let mut days: BTreeMap<i32, Day> = BTreeMap::new();
    let mut run = 0_u64;
    each(member, (start, end), |stretch, slots, reason| {
        let count = u64::from(slots.end - slots.start);
        if !member.has_date(stretch.date) {
            return;
        }
        found.of_instrument(stretch.date, Measure::Expected).tested += count;
        let of_reason = found.of_instrument(stretch.date, Measure::Slots(reason));
        let (first, last) = (stretch.start_of(slots.start), stretch.start_of(slots.end - 1));
        of_reason.fail(first, count, true, false);
        of_reason.fail(last, 0, true, false);
        run = if reason == Reason::Missing { run + count } else { 0 };
        found.of_instrument(stretch.date, Measure::LongestGap).note(as_number(run));
        if matches!(reason, Reason::NotListed | Reason::NotDue) {
            return;
        }
        let day = days.entry(stretch.date).or_default();
        day.due += count;
        match reason {
            Reason::Ok => day.present += count,
            Reason::Missing => {
                day.missing += count;
                day.span = Some((day.span.map_or(first, |span| span.0), last));
            }
            _ => {}
        }
    })?;
    for (date, day) in days {
        gap_of(member, found, date, &day);
        let of_date = universe.entry(date).or_default();
        of_date.0 += 1;
        of_date.1 += u64::from(day.present == 0 && day.missing > 0);
    }
    freshness(member, found)
}

/// Calls `on_slots` with runs of expected slots of one reason that may be of the dates asked for.
fn each(
    member: &Member<'_>,
    range: (i64, i64),
    mut on_slots: impl FnMut(&Stretch, Range<u32>, Reason),
) -> Result<(), Error> {
    let query = member.query;
    let mut curated = member.at.snapshot.gaps(CuratedScan {
        instrument: Arc::clone(member.instrument),
        step: query.step,
        side: query.side,
        start: Timestamp::from_nanos(range.0),
        end: Timestamp::from_nanos(range.1),
        session: query.session,
        align: query.align,
        columns: Vec::new(),
        source: query.source.clone(),
        fallback: None,
        as_of: query.as_of,
        at_sequence: query.at_sequence,
        due: query.due,
        empty: true,
        coverage: false,
        flags: false,
    })?;
    while let Some(piece) = curated.next()? {
        for span in &piece.spans {
            let reason = match span.content {
                Content::Rows(_) => Reason::Ok,
                Content::Empty(reason) => reason,
            };
            on_slots(&span.stretch, span.first..span.first + span.count, reason);
        }
    }
    Ok(())
}

/// `gap_vs_calendar`: too much of a session is missing.
fn gap_of(member: &Member<'_>, found: &mut Found, date: i32, day: &Day) {
    let setting = member.rules.get(RuleId::GapVsCalendar);
    if !setting.enabled {
        return;
    }
    let count = found.of_instrument(date, Measure::Rule(RuleId::GapVsCalendar));
    count.tested += 1;
    let share = ratio(day.missing, day.due);
    count.note(share);
    if let Some((first, last)) = day.span.filter(|_| share > setting.number("warn")) {
        count.fail(first, 1, true, share <= setting.number("error"));
        count.fail(last, 0, true, false);
    }
}

/// `freshness`: while a session is open at the due time, how many slots in a row are missing up to
/// then.
fn freshness(member: &Member<'_>, found: &mut Found) -> Result<(), Error> {
    let setting = member.rules.get(RuleId::Freshness);
    let due = member.query.due.nanos();
    let Some((date, begin)) = open_session(member, due) else { return Ok(()) };
    if !setting.enabled || !member.has_date(date) {
        return Ok(());
    }
    let (mut missing, mut since) = (0_u64, None);
    each(member, (begin, due), |stretch, slots, reason| match reason {
        Reason::Missing => {
            since = since.or(Some(stretch.start_of(slots.start)));
            missing += u64::from(slots.end - slots.start);
        }
        Reason::NotDue | Reason::NotListed => {}
        _ => (missing, since) = (0, None),
    })?;
    let count = found.of_instrument(date, Measure::Rule(RuleId::Freshness));
    count.tested += 1;
    count.note(as_number(missing));
    if let Some(since) = since.filter(|_| as_number(missing) > setting.number("slots")) {
        count.fail(since, 1, true, false);
    }
    Ok(())
}

/// The date of the session that is open at `at`, and since when slots count for freshness.
fn open_session(member: &Member<'_>, at: i64) -> Option<(i32, i64)> {
    // Enough for any threshold that a person waits for, of days and longer too.
    let slots = SlotGrid { step: member.query.step, ..member.grid() };
    let width = slots.step.width().map_or(31 * DAY_NANOS, barrow_types::Nanos::get);
    let begin = at.saturating_sub((width * 20).max(7 * DAY_NANOS));
    let Some(calendar) = member.calendar.as_deref() else { return Some((day_of(at), begin)) };
    let session = calendar.session_at(at)?;
    let paused = session.pause.is_some_and(|(from, to)| from <= at && at < to);
    let is_regular = session.open <= at && at < session.close;
    let is_open = is_regular || member.query.session != SessionSet::Regular;
    (is_open && !paused).then_some((session.date, begin))
}

#[expect(clippy::cast_precision_loss, reason = "counts of slots are below 2^53")]
fn as_number(count: u64) -> f64 {
    count as f64
}
