//! The close before a dividend: the last price at which a share still had it.

use barrow_types::{Adjust, ColumnId, DAY_NANOS, SessionSet, Step, Timestamp};

use crate::calendar::{slot_begin, slot_of};
use crate::error::Error;
use crate::gaps::Reason;
use crate::reference::Reference;
use crate::rows::Values;

use super::adjust::carried_by;
use super::{Content, Curated, CuratedScan};

/// Number of the column of closes.
const CLOSE: ColumnId = ColumnId::new(4);

/// How many days before an ex-date its close may lie: markets close for ten days at most.
const LOOK_BACK_DAYS: i32 = 14;

/// A close.
#[derive(Clone, Copy, Debug)]
pub(super) struct Close {
    pub(super) price: f64,
    /// What the prices of its source carry.
    pub(super) carried: Adjust,
    /// When its row was learned.
    pub(super) known_at: i64,
    /// The record that brought it.
    pub(super) sequence: u64,
}

/// What the curated layer says of a session.
enum Found {
    Close(Close),
    /// Nothing was traded: the close before holds.
    NothingTraded,
    Unknown,
}

impl Curated {
    /// The close of the last session before `ex_date`: of the daily bar, or, without one, of the
    /// session's last bar of the step that is asked for. `None` if nobody knows it.
    pub(super) fn close_before(
        &self,
        reference: &Reference,
        ex_date: i32,
    ) -> Result<Option<Close>, Error> {
        let own = self.scan.step;
        for step in [Some(Step::D1), (!own.is_dated()).then_some(own)].into_iter().flatten() {
            for (date, open, close) in self.sessions_before(ex_date) {
                match self.close_of(reference, step, date, (open, close))? {
                    Found::Close(close) => return Ok(Some(close)),
                    Found::NothingTraded => {}
                    Found::Unknown => break,
                }
            }
        }
        Ok(None)
    }

    /// Date, open and close of the sessions before a date, the last first; without a calendar
    /// those of UTC days.
    fn sessions_before(&self, ex_date: i32) -> Vec<(i32, i64, i64)> {
        let dates = ex_date.saturating_sub(LOOK_BACK_DAYS)..ex_date;
        match self.calendar.as_deref() {
            Some(calendar) => {
                let sessions = calendar.sessions(dates.start, dates.end).rev();
                sessions.map(|session| (session.date, session.open, session.close)).collect()
            }
            None => {
                let midnight = |date: i32| i64::from(date).saturating_mul(DAY_NANOS);
                dates.rev().map(|date| (date, midnight(date), midnight(date + 1))).collect()
            }
        }
    }

    fn close_of(
        &self,
        reference: &Reference,
        step: Step,
        date: i32,
        (open, close): (i64, i64),
    ) -> Result<Found, Error> {
        // On the clock the first bucket begins before the session does.
        let start = if step.is_dated() { open } else { slot_begin(step, slot_of(step, open)) };
        let scan = CuratedScan {
            step,
            session: SessionSet::Regular,
            start: Timestamp::from_nanos(start),
            end: Timestamp::from_nanos(close),
            columns: vec![CLOSE],
            empty: true,
            coverage: false,
            ..self.scan.clone()
        };
        let calendar = self.calendar.clone();
        let mut curated = Self::on(calendar, self.snapshot.clone(), reference, scan, false)?;
        if curated.candidates.is_empty() {
            return Ok(Found::Unknown);
        }
        // Without a calendar nobody knows whether there was a session.
        let mut found = Found::NothingTraded;
        while let Some(piece) = curated.next()? {
            for span in piece.spans.iter().filter(|span| span.stretch.date == date) {
                match (span.content, span.candidate) {
                    (Content::Rows(first), Some(candidate)) => {
                        let Values::F64(closes) = &piece.rows.columns[0].values else { continue };
                        let source = curated.candidates[candidate].source.as_str();
                        let carried = carried_by(reference, source)?;
                        if carried == Adjust::All {
                            // It has dividends taken off that nobody can put back.
                            return Ok(Found::Unknown);
                        }
                        let last = first + span.count as usize - 1;
                        found = Found::Close(Close {
                            price: closes[last],
                            carried,
                            known_at: piece.rows.known_at[last],
                            sequence: piece.rows.sequence[last],
                        });
                    }
                    (Content::Empty(Reason::NoTrade | Reason::Halted), _) => {}
                    _ if self.calendar.is_none() => {}
                    _ if matches!(found, Found::Close(_)) => {}
                    _ => found = Found::Unknown,
                }
            }
        }
        Ok(found)
    }
}
