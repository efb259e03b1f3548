//! `xfreq_consistency`: a bar is what the shorter bars of its source in it make, where each slot of
//! these has a row.

use std::sync::Arc;

use barrow_types::{Align, DAY_NANOS, SeriesId, SessionSet, Step};

use crate::calendar::{Session, SlotGrid, slot_begin, slot_of};
use crate::error::Error;
use crate::quality::{RuleId, day_of};
use crate::rows::Rows;

use super::finding::Found;
use super::member::{Member, Own, number};
use super::rows::piece;

const COLUMNS: [&str; 5] = ["open", "high", "low", "close", "volume"];

/// What a bar and the shorter bars in it share.
struct Within {
    start: i64,
    end: i64,
    /// How many shorter bars there are.
    count: u64,
}

/// Compares the bars of each series with shorter ones.
pub(super) fn find(member: &Member<'_>, found: &mut Found) -> Result<(), Error> {
    if !member.rules.get(RuleId::XfreqConsistency).enabled {
        return Ok(());
    }
    for (place, own) in member.series.iter().enumerate() {
        if let (Some(series), Some((shorter, step))) = (own.series, shorter(member, own)) {
            compare(member, (place, series), (shorter, step), found)?;
        }
    }
    Ok(())
}

/// The series of the longest shorter bars of the same symbol, source and side.
fn shorter(member: &Member<'_>, own: &Own) -> Option<(SeriesId, Step)> {
    let sequence = member.query.sequence(member.at.snapshot);
    let catalog = &member.at.snapshot.generation().catalog;
    let all = catalog.list(own.key.dataset, Some(own.key.symbol.as_str()), sequence);
    let same = all.into_iter().filter(|(_, key)| {
        (&key.source, key.side) == (&own.key.source, own.key.side)
            && key.step < own.key.step
            // Weeks make no months.
            && (own.key.step, key.step) != (Step::Mo1, Step::W1)
    });
    same.map(|(series, key)| (series, key.step)).max_by_key(|(_, step)| *step)
}

fn compare(
    member: &Member<'_>,
    (place, series): (usize, SeriesId),
    (shorter, step): (SeriesId, Step),
    found: &mut Found,
) -> Result<(), Error> {
    let Some((mut start, end)) = member.span(series) else { return Ok(()) };
    let own = &member.series[place];
    let beside: Arc<str> = step.name().into();
    let tolerance = member.rules.get(RuleId::XfreqConsistency).number("tolerance");
    let length = piece(step);
    while let Some(first) = member.first_from(series, start, end)? {
        let stop = (first.div_euclid(length) + 1).saturating_mul(length).min(end);
        let bars = member.read(series, &COLUMNS, first, stop)?;
        start = stop;
        let dates = member.dates(&bars.ts);
        let within: Vec<Option<Within>> =
            bars.ts.iter().map(|&ts| within(member, step, ts)).collect();
        let starts = within.iter().flatten().map(|within| within.start).min();
        let ends = within.iter().flatten().map(|within| within.end).max();
        let (Some(from), Some(to)) = (starts, ends) else { continue };
        let short = member.read(shorter, &COLUMNS, from, to)?;
        for (at, (within, date)) in within.iter().zip(dates).enumerate() {
            let Some(within) = within else { continue };
            if !member.has_date(date) || !member.is_bound(own, bars.ts[at]) {
                continue;
            }
            if let Some(is_equal) = is_sum((&bars, at), (&short, step), within, tolerance) {
                let count = found.beside(date, place, &beside, RuleId::XfreqConsistency);
                count.tested += 1;
                if !is_equal {
                    count.fail(bars.ts[at], 1, true, false);
                }
            }
        }
    }
    Ok(())
}

/// Which shorter bars the bar at `ts` is made of; `None` if nobody can tell.
fn within(member: &Member<'_>, short: Step, ts: i64) -> Option<Within> {
    let long = member.query.step;
    let calendar = member.calendar.as_deref();
    let align = member.query.align.unwrap_or_default();
    let slot = slot_of(long, ts);
    if short.is_dated() {
        let (start, end) = (slot_begin(long, slot), slot_begin(long, slot + 1));
        let count = calendar.map_or(end / DAY_NANOS - start / DAY_NANOS, |calendar| {
            let sessions = calendar.sessions(day_of(start), day_of(end));
            i64::try_from(sessions.count()).expect("invariant: dates are fewer than 2^63")
        });
        return Some(Within { start, end, count: count.cast_unsigned() });
    }
    let hours = |session: SessionSet| SlotGrid { step: short, session, align };
    let (start, end, grid) = if long.is_dated() {
        let grid = SlotGrid { step: long, session: SessionSet::Regular, align };
        let bucket = grid.bucket(calendar, slot)?;
        (bucket.start, bucket.end, hours(SessionSet::Regular))
    } else {
        let (start, end) = match align {
            Align::Clock => (slot_begin(long, slot), slot_begin(long, slot + 1)),
            Align::Session => (ts, ts.saturating_add(long.width()?.get())),
        };
        match calendar {
            None => (start, end, hours(SessionSet::Regular)),
            Some(calendar) => {
                let session = calendar.session_at(ts)?;
                let (from, to, set) = part_of(&session, ts);
                (start.max(from), end.min(to), hours(set))
            }
        }
    };
    // On the clock the first shorter bar may begin before the session does.
    let start = match align {
        Align::Clock => slot_begin(short, slot_of(short, start)),
        Align::Session => start,
    };
    Some(Within { start, end, count: grid.count(calendar, start, end) })
}

/// The part of a session that holds `ts`: regular hours, or those before or after them.
fn part_of(session: &Session, ts: i64) -> (i64, i64, SessionSet) {
    if ts < session.open {
        (session.pre_open, session.open, SessionSet::Extended)
    } else if ts < session.close {
        (session.open, session.close, SessionSet::Regular)
    } else {
        (session.close, session.post_close, SessionSet::Extended)
    }
}

/// Whether a bar is what shorter ones make; `None` if one of these is not there.
fn is_sum(
    (bars, at): (&Rows, usize),
    (short, step): (&Rows, Step),
    within: &Within,
    tolerance: f64,
) -> Option<bool> {
    let from = short.ts.partition_point(|&ts| ts < within.start);
    let to = short.ts.partition_point(|&ts| ts < within.end);
    let slots = short.ts[from..to].chunk_by(|a, b| slot_of(step, *a) == slot_of(step, *b)).count();
    let is_whole = from < to && slots as u64 == within.count && slots == to - from;
    if !is_whole {
        return None;
    }
    let all = |column: usize| (from..to).map(move |at| number(short, column, at));
    let made = [
        number(short, 0, from),
        all(1).fold(f64::NEG_INFINITY, f64::max),
        all(2).fold(f64::INFINITY, f64::min),
        number(short, 3, to - 1),
        all(4).sum(),
    ];
    let own = (0..COLUMNS.len()).map(|column| number(bars, column, at));
    let mut pairs = made.into_iter().zip(own);
    Some(pairs.all(|(made, own)| {
        // A volume that one side does not know says nothing.
        made.is_nan() || own.is_nan() || (made - own).abs() <= tolerance * made.abs().max(own.abs())
    }))
}
