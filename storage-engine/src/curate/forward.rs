//! Corporate actions as features see them: factors are accumulated forward from the first row, so
//! that no later action changes an earlier slot.
//!
//! Bars of the first row's session are as they were traded; from each ex-date on prices and volumes
//! are brought back to the shares of that session. What an action does to a price is what it does
//! in [`super::adjust`], the other way round.

use std::ops::Range;
use std::sync::Arc;

use barrow_types::{Adjust, DAY_NANOS, Timestamp};

use crate::calendar::{slot_begin, slot_of};
use crate::error::{Error, ErrorKind};
use crate::reference::Reference;

use super::adjust::{Role, are_numbers, by_ex_date, carried_by, change, date_text, start_of};
use super::{Content, Curated, Piece};

/// What the actions up to an ex-date, its own among them, do to bars from it on.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Effect {
    /// In days since 1970.
    ex_date: i32,
    /// New shares for one old.
    ratio: f64,
    /// What dividends have left of a price: 1 of all of it.
    left: f64,
    /// When the last of them was learned, and the last close that one is measured by.
    known_at: i64,
    /// The last record that brought such a close.
    sequence: u64,
}

/// See the module.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Forward {
    effects: Vec<Effect>,
    /// Whether an action behind them is left out of which nobody can say what it does: then there
    /// is no row from its ex-date on.
    is_cut: bool,
}

/// From when on nobody can say what actions do to bars, and why.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// When bars begin that cannot be told.
    pub(crate) start: Timestamp,
    /// Which action it is, and what to do.
    pub(crate) why: Error,
}

impl Forward {
    /// The actions between the session of the first row, `begin`, and the last of `all`, which
    /// reads all slots there are; and from when on they are not known. Who has a row from then on
    /// must not take them.
    ///
    /// # Errors
    /// `Invalid` if a source's prices are adjusted already, or an action makes no sense; `Corrupt`
    /// if a block that is needed is damaged.
    pub(crate) fn new(
        all: &Curated,
        reference: &Reference,
        adjust: Adjust,
        begin: i32,
    ) -> Result<(Self, Option<Unknown>), Error> {
        let instrument = &all.scan.instrument;
        for candidate in &all.candidates {
            let source = candidate.source.as_str();
            let carried = carried_by(reference, source)?;
            if carried != Adjust::None && candidate.lineage.has_rows() {
                return Err(Error::invalid(format!(
                    "bars.adjust: prices of source {source} of {instrument} are adjusted already: \
                     setting adjustment:{source} of bars is {}; features are adjusted from prices \
                     as they were traded: name another source in bars.source, or leave adjust out",
                    carried.name()
                )));
            }
        }
        let none =
            Effect { ex_date: begin, ratio: 1.0, left: 1.0, known_at: i64::MIN, sequence: 0 };
        let end = all.last_date().unwrap_or(begin);
        let actions = by_ex_date(instrument, reference.actions(instrument))?;
        let counting = actions.range(begin.saturating_add(1)..);
        let mut forward = Self::default();
        for (&ex_date, of_date) in counting.take_while(|(ex_date, _)| **ex_date <= end) {
            let dividend = of_date.dividend.filter(|_| adjust == Adjust::All);
            if dividend.is_none() && of_date.split.is_none() {
                continue;
            }
            let before = forward.effects.last().copied().unwrap_or(none);
            let done = (|| {
                all.check_bar_around(ex_date, begin)?;
                let mut effect = Effect {
                    ex_date,
                    ratio: before.ratio * of_date.ratio(),
                    known_at: of_date
                        .split
                        .map_or(before.known_at, |split| before.known_at.max(split.known_at)),
                    ..before
                };
                if let Some(dividend) = dividend {
                    let (left, close) =
                        all.left_by(reference, &actions, ex_date, dividend.value)?;
                    if close.carried != Adjust::None {
                        return Err(Error::invalid(format!(
                            "bars.adjust: the close before the dividend of {instrument} with \
                             ex-date {} is of a source whose prices are adjusted; bring one as it \
                             was traded",
                            date_text(ex_date)
                        )));
                    }
                    effect.left *= left;
                    effect.known_at = effect.known_at.max(dividend.known_at).max(close.known_at);
                    effect.sequence = effect.sequence.max(close.sequence);
                }
                are_numbers(instrument, (effect.ratio, effect.left))?;
                Ok(effect)
            })();
            match done {
                Ok(effect) => forward.effects.push(effect),
                Err(why) if why.kind() == ErrorKind::Invalid => {
                    let start = Timestamp::from_nanos(all.first_of(all.bar_of(ex_date).start));
                    forward.is_cut = true;
                    return Ok((forward, Some(Unknown { start, why })));
                }
                Err(error) => return Err(error),
            }
        }
        Ok((forward, None))
    }

    /// What is done to the bars of a session.
    fn of(&self, date: i32) -> Option<&Effect> {
        let next = self.effects.partition_point(|effect| effect.ex_date <= date);
        next.checked_sub(1).map(|last| &self.effects[last])
    }

    /// From when on rows cannot change what it does: the begin of the session of the last ex-date
    /// that counts; the end of time if any may.
    pub(crate) fn settled_from(&self, all: &Curated) -> i64 {
        if self.is_cut {
            return i64::MAX;
        }
        let start = |last: &Effect| {
            let trading = start_of(all.calendar.as_deref(), last.ex_date).nanos();
            trading.max(all.first_of(last.ex_date))
        };
        self.effects.last().map_or(i64::MIN, start)
    }

    /// When the first bar starts to which the other does something else.
    pub(crate) fn first_other(&self, other: &Self, all: &Curated) -> Option<i64> {
        let effects = self.effects.iter().zip(&other.effects);
        let same = effects.take_while(|(own, other)| own == other).count();
        let first = self.effects.get(same).into_iter().chain(other.effects.get(same));
        let first = first.map(|effect| effect.ex_date).min()?;
        Some(all.first_of(first))
    }

    /// Adjusts the rows of a piece, whose columns have these roles.
    pub(super) fn apply(&self, piece: &mut Piece, roles: &[Role]) {
        for span in &piece.spans {
            let Content::Rows(first) = span.content else { continue };
            let Some(effect) = self.of(span.stretch.date) else { continue };
            let places = first..first + span.count as usize;
            let price = |price| price * effect.ratio / effect.left;
            let volume = |volume| volume / effect.ratio;
            change(&mut piece.rows, (roles, places.clone()), price, volume);
            for known_at in &mut piece.rows.known_at[places.clone()] {
                *known_at = (*known_at).max(effect.known_at);
            }
            for sequence in &mut piece.rows.sequence[places] {
                *sequence = (*sequence).max(effect.sequence);
            }
        }
    }
}

impl Curated {
    /// The same slots with prices and volumes as features take them; as they are with `None`.
    #[must_use]
    pub(crate) fn brought_back(mut self, forward: Option<Arc<Forward>>) -> Self {
        let roles = || self.scan.columns.iter().map(|id| Role::of(*id)).collect();
        self.forward = forward.map(|forward| (forward, roles()));
        self
    }

    /// When the first bar starts of the session of a date, or of the next one. On the clock that
    /// may be before trading begins.
    fn first_of(&self, date: i32) -> i64 {
        let calendar = self.calendar.as_deref();
        let trading = start_of(calendar, date).nanos();
        let grid = self.grid();
        if grid.step.is_dated() {
            return trading;
        }
        let from = slot_begin(grid.step, slot_of(grid.step, trading));
        let mut stretches = grid.stretches(calendar, from, i64::MAX);
        let first = stretches.find(|stretch| stretch.date >= date);
        first.map_or(trading, |stretch| stretch.start_of(0))
    }

    /// The last date of the last bar there may be.
    pub(crate) fn last_date(&self) -> Option<i32> {
        self.stretches.back().map(|stretch| self.bar_of(stretch.date).end - 1)
    }

    /// The dates of the bar that holds a date, its end not one of them.
    pub(super) fn bar_of(&self, date: i32) -> Range<i32> {
        let step = self.scan.step;
        if !step.is_dated() {
            return date..date.saturating_add(1);
        }
        let slot = slot_of(step, i64::from(date) * DAY_NANOS);
        let [start, end] = [slot, slot + 1].map(|slot| {
            let days = slot_begin(step, slot).div_euclid(DAY_NANOS);
            i32::try_from(days).expect("invariant: 2^63 nanoseconds are 106751 days")
        });
        start..end
    }
}
