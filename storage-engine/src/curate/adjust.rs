//! Corporate actions over curated bars: which of them count, and what prices and volumes become.
//!
//! A view: what is stored stays as it was received. Bars of sessions before an ex-date are brought
//! to the shares that are traded from then on; actions after the *anchor* do not count, so bars of
//! the anchor's session are as they were traded. The rule is told in `docs/CURATION.md`.

use std::collections::BTreeMap;
use std::ops::Range;

use barrow_types::{
    Adjust, ColumnId, DAY_NANOS, DatasetId, Sequence, Step, Timestamp, civil_from_days,
};

use crate::calendar::Calendar;
use crate::catalog::ledger_series;
use crate::dataset::{OPEN, VWAP};
use crate::error::Error;
use crate::reference::{Action, Reference};
use crate::rows::{Rows, Values};

use super::closes::Close;
use super::{Content, Curated, Piece};

/// Number of the column that splits multiply.
const VOLUME: ColumnId = ColumnId::new(5);

/// What the prices of `source` carry.
pub(super) fn carried_by(reference: &Reference, source: &str) -> Result<Adjust, Error> {
    let key = format!("adjustment:{source}");
    let Some(value) = reference.setting("bars", &key) else { return Ok(Adjust::None) };
    Adjust::parse(value).ok_or_else(|| {
        Error::invalid(format!(
            "adjust: setting {key} of bars is '{value}', which is none of none, splits, all; \
             state what the source's prices carry"
        ))
    })
}

/// Up to when actions count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Anchor {
    /// Those that take effect before the end of the range, and not after T, or, without one, the
    /// last batch up to N came in.
    #[default]
    End,
    /// Those that took effect at that instant.
    Instant(Timestamp),
    /// Those with an ex-date up to this one, in days since 1970.
    Date(i32),
}

/// How bars are adjusted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Adjustment {
    /// For what.
    pub adjust: Adjust,
    /// Up to when.
    pub anchor: Anchor,
}

/// What one ex-date does to a bar before it; in [`Factors`], what it and all later ones do.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Effect {
    /// In days since 1970.
    ex_date: i32,
    /// New shares for one old.
    ratio: f64,
    /// What the dividend leaves of a price: 1 of all of it.
    left: f64,
}

/// What the actions that count do to the bars of each session.
#[derive(Debug, PartialEq)]
struct Factors(Vec<Effect>);

impl Factors {
    /// From effects in order of their ex-dates. Products are taken from the last one backwards, so
    /// that bars that are read alone have the factors that they have among others.
    fn new(mut effects: Vec<Effect>) -> Self {
        let (mut ratio, mut left) = (1.0, 1.0);
        for effect in effects.iter_mut().rev() {
            ratio *= effect.ratio;
            left *= effect.left;
            (effect.ratio, effect.left) = (ratio, left);
        }
        Self(effects)
    }

    /// By what prices of the session of `date` are divided, and then multiplied.
    fn of(&self, date: i32) -> (f64, f64) {
        let next = self.0.partition_point(|effect| effect.ex_date <= date);
        self.0.get(next).map_or((1.0, 1.0), |effect| (effect.ratio, effect.left))
    }
}

/// Which values an adjustment touches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Price,
    Volume,
    Other,
}

impl Role {
    pub(super) fn of(column: ColumnId) -> Self {
        let prices = OPEN.get()..OPEN.get() + 4;
        match column {
            VWAP => Self::Price,
            VOLUME => Self::Volume,
            column if prices.contains(&column.get()) => Self::Price,
            _ => Self::Other,
        }
    }
}

/// Adjusts the pieces of one question.
pub(super) struct Adjuster {
    factors: Factors,
    /// Of each candidate, whether its prices still lack splits.
    lacks_splits: Vec<bool>,
    /// Of each column that is read.
    roles: Vec<Role>,
}

impl Adjuster {
    /// Adjusts the rows of a piece.
    pub(super) fn apply(&self, piece: &mut Piece) {
        for span in &piece.spans {
            let (Content::Rows(first), Some(candidate)) = (span.content, span.candidate) else {
                continue;
            };
            let (ratio, left) = self.factors.of(span.stretch.date);
            let ratio = if self.lacks_splits[candidate] { ratio } else { 1.0 };
            let places = first..first + span.count as usize;
            let price = |price| price / ratio * left;
            change(&mut piece.rows, (&self.roles, places), price, |volume| volume * ratio);
        }
    }
}

/// Changes the prices and volumes of some rows, whose columns have these roles.
pub(super) fn change(
    rows: &mut Rows,
    (roles, places): (&[Role], Range<usize>),
    price: impl Fn(f64) -> f64,
    volume: impl Fn(f64) -> f64,
) {
    for (column, role) in rows.columns.iter_mut().zip(roles) {
        let Values::F64(values) = &mut column.values else { continue };
        let values = values[places.clone()].iter_mut();
        match role {
            Role::Price => values.for_each(|value| *value = price(*value)),
            Role::Volume => values.for_each(|value| *value = volume(*value)),
            Role::Other => {}
        }
    }
}

/// The actions of one ex-date.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Actions {
    pub(super) split: Option<Stated>,
    pub(super) dividend: Option<Stated>,
}

impl Actions {
    /// New shares for one old.
    pub(super) fn ratio(&self) -> f64 {
        self.split.map_or(1.0, |split| split.value)
    }
}

/// An action, and when it was learned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated {
    pub(super) value: f64,
    pub(super) known_at: i64,
}

impl Curated {
    /// The same slots with adjusted prices and volumes.
    ///
    /// # Errors
    /// `Invalid` if a source's prices are adjusted already, or what an action does cannot be told:
    /// there is no close before a dividend, a bar holds an ex-date, a value makes no sense.
    /// `Corrupt` if a block that is needed is damaged.
    pub fn adjusted(
        mut self,
        reference: &Reference,
        adjustment: Adjustment,
    ) -> Result<Self, Error> {
        let Adjustment { adjust, anchor } = adjustment;
        if adjust == Adjust::None {
            return Ok(self);
        }
        let carried = self.carried(reference, adjust)?;
        let lacks_splits: Vec<bool> =
            carried.iter().map(|carried| *carried == Adjust::None).collect();
        let Some(first) = self.stretches.front().map(|stretch| stretch.date) else {
            return Ok(self);
        };
        let all = by_ex_date(&self.scan.instrument, reference.actions(&self.scan.instrument))?;
        let until = self.last_ingest()?;
        let mut effects = Vec::new();
        for (&ex_date, actions) in all.range(first.saturating_add(1)..) {
            if !self.counts(ex_date, anchor, until) {
                continue;
            }
            let dividend = actions.dividend.filter(|_| adjust == Adjust::All);
            let split = actions.split.filter(|_| lacks_splits.contains(&true));
            if dividend.is_none() && split.is_none() {
                continue;
            }
            self.check_bar_around(ex_date, first)?;
            let left = match dividend {
                Some(dividend) => self.left_by(reference, &all, ex_date, dividend.value)?.0,
                None => 1.0,
            };
            let ratio = split.map_or(1.0, |split| split.value);
            effects.push(Effect { ex_date, ratio, left });
        }
        let factors = Factors::new(effects);
        are_numbers(&self.scan.instrument, factors.of(i32::MIN))?;
        let roles = self.scan.columns.iter().map(|&column| Role::of(column)).collect();
        self.adjuster = Some(Adjuster { factors, lacks_splits, roles });
        Ok(self)
    }

    /// What the prices of each candidate carry.
    fn carried(&self, reference: &Reference, adjust: Adjust) -> Result<Vec<Adjust>, Error> {
        let carried = self.candidates.iter().map(|candidate| {
            let source = candidate.source.as_str();
            let carried = carried_by(reference, source)?;
            let is_more = match carried {
                Adjust::None => true,
                Adjust::Splits => adjust == Adjust::All,
                Adjust::All => false,
            };
            if is_more || !candidate.lineage.has_rows() {
                return Ok(carried);
            }
            let name = carried.name();
            Err(Error::invalid(format!(
                "adjust: prices of source {source} are adjusted already: setting \
                 adjustment:{source} of bars is {name}; ask for adjust=none, or for another source"
            )))
        });
        carried.collect()
    }

    /// When the last batch came in that the question may know of; T, if it asks for that.
    fn last_ingest(&self) -> Result<Timestamp, Error> {
        let snapshot = &self.snapshot;
        let asked = self.scan.at_sequence.unwrap_or(Sequence::MAX);
        if let Some(as_of) = self.scan.as_of {
            return Ok(as_of);
        }
        if asked < snapshot.sequence() {
            return snapshot.now_at(asked);
        }
        // A seal comes later than the last batch: a later page of the answer would not know it.
        let newest = snapshot.newest(ledger_series(DatasetId::BATCHES))?;
        Ok(newest.map_or(Timestamp::MIN, |rows| Timestamp::from_nanos(rows.ts[0])))
    }

    /// Whether the actions of `ex_date` are not after the anchor.
    fn counts(&self, ex_date: i32, anchor: Anchor, until: Timestamp) -> bool {
        let start = start_of(self.calendar.as_deref(), ex_date);
        match anchor {
            Anchor::End => start < self.asked_end && start <= until,
            Anchor::Instant(instant) => start <= instant,
            Anchor::Date(date) => ex_date <= date,
        }
    }

    /// Refuses a bar that began in a session before `ex_date` and ends with it or later.
    pub(super) fn check_bar_around(&self, ex_date: i32, first: i32) -> Result<(), Error> {
        let step = self.scan.step;
        if !step.is_dated() || step == Step::D1 {
            return Ok(());
        }
        let begin = self.bar_of(ex_date).start;
        let calendar = self.calendar.as_deref();
        let session = calendar.and_then(|calendar| calendar.next_session(begin - 1));
        let begin = session.map_or(begin, |session| session.date);
        let is_asked = first <= begin && start_of(calendar, begin) < self.scan.end;
        if !is_asked || ex_date <= begin {
            return Ok(());
        }
        Err(Error::invalid(format!(
            "adjust: ex-date {} of {} lies within a bar of {}, which has prices from before and \
             from after it; ask for frequency=1d, or for adjust=none",
            date_text(ex_date),
            self.scan.instrument,
            step.name()
        )))
    }

    /// What a dividend leaves of the prices before it, and the close by which it is measured.
    pub(super) fn left_by(
        &self,
        reference: &Reference,
        all: &BTreeMap<i32, Actions>,
        ex_date: i32,
        dividend: f64,
    ) -> Result<(f64, Close), Error> {
        let instrument = &self.scan.instrument;
        let shown = date_text(ex_date);
        let Some(found) = self.close_before(reference, ex_date)? else {
            let before = self.calendar.as_deref().and_then(|it| it.previous_session(ex_date));
            let before = date_text(before.map_or(ex_date - 1, |session| session.date));
            return Err(Error::invalid(format!(
                "adjust: the dividend of {instrument} with ex-date {shown} needs the close of the \
                 session before it, {before}, and there is none; bring a bar of 1d or of {} that \
                 has it, or ask for adjust=splits",
                self.scan.step.name()
            )));
        };
        let Close { price: close, carried, .. } = found;
        // The dividend is for one share as it was on the ex-date; the close for one of the day
        // before, or, if the source has adjusted it for splits, as it is after all of them.
        let dividend = match carried {
            Adjust::None => dividend * all[&ex_date].ratio(),
            Adjust::Splits | Adjust::All => {
                let later = all.range(ex_date.saturating_add(1)..);
                dividend / later.map(|(_, actions)| actions.ratio()).product::<f64>()
            }
        };
        let left = 1.0 - dividend / close;
        if left > 0.0 && left <= 1.0 {
            return Ok((left, found));
        }
        Err(Error::invalid(format!(
            "adjust: the dividend of {instrument} with ex-date {shown} is {dividend}, not below \
             the close before it, {close}; correct the action or the bar, or ask for adjust=splits"
        )))
    }
}

/// Refuses splits, and what dividends leave, that together are no numbers to reckon with.
pub(super) fn are_numbers(instrument: &str, (ratio, left): (f64, f64)) -> Result<(), Error> {
    if [ratio, 1.0 / ratio, left].into_iter().all(|it| it.is_normal()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "adjust: the actions of {instrument} together leave no number: splits of {ratio} and \
         dividends that leave {left}; correct them"
    )))
}

/// The actions of an instrument by ex-date, with values that make sense.
pub(super) fn by_ex_date(
    instrument: &str,
    actions: &[Action],
) -> Result<BTreeMap<i32, Actions>, Error> {
    let mut all: BTreeMap<i32, Actions> = BTreeMap::new();
    for action in actions {
        let ex_date =
            i32::try_from(action.ex_date).expect("invariant: 2^63 nanoseconds are 106751 days");
        let of_date = all.entry(ex_date).or_default();
        let kind = action.kind.as_str();
        let slot = match kind {
            "split" if action.value.is_normal() && action.value > 0.0 => &mut of_date.split,
            "dividend" if action.value.is_finite() && action.value >= 0.0 => &mut of_date.dividend,
            _ => {
                return Err(Error::invalid(format!(
                    "adjust: {instrument} has an action '{kind}' of {} with ex-date {}, of which \
                     nobody can say what it does to prices; correct it or take it back",
                    action.value,
                    date_text(ex_date)
                )));
            }
        };
        *slot = Some(Stated { value: action.value, known_at: action.known_at.nanos() });
    }
    Ok(all)
}

/// When trading of the session of `date` begins, or of the next one; its midnight in UTC where no
/// calendar knows.
pub(super) fn start_of(calendar: Option<&Calendar>, date: i32) -> Timestamp {
    let session = calendar
        .filter(|calendar| calendar.covers(date))
        .and_then(|calendar| calendar.session(date).or_else(|| calendar.next_session(date)));
    let midnight = i64::from(date).saturating_mul(DAY_NANOS);
    Timestamp::from_nanos(session.map_or(midnight, |session| session.pre_open))
}

pub(super) fn date_text(date: i32) -> String {
    let (year, month, day) = civil_from_days(date.into());
    format!("{year:04}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_ex_date_changes_the_sessions_before_it_and_not_its_own() {
        let effect = |ex_date, ratio, left| Effect { ex_date, ratio, left };
        let factors =
            Factors::new(vec![effect(10, 2.0, 1.0), effect(20, 1.0, 0.9), effect(30, 0.1, 0.5)]);
        for (date, expected) in [
            (i32::MIN, (0.2, 0.45)),
            (9, (0.2, 0.45)),
            (10, (0.1, 0.45)),
            (19, (0.1, 0.45)),
            (20, (0.1, 0.5)),
            (29, (0.1, 0.5)),
            (30, (1.0, 1.0)),
            (i32::MAX, (1.0, 1.0)),
        ] {
            assert_eq!(factors.of(date), expected, "{date}");
        }
        assert_eq!(Factors::new(Vec::new()).of(0), (1.0, 1.0));
    }

    #[test]
    fn prices_and_volumes_are_told_by_their_columns() {
        let roles = (1..=7).map(|id| Role::of(ColumnId::new(id)));
        use Role::{Other, Price, Volume};
        let expected = [Price, Price, Price, Price, Volume, Price, Other];
        assert!(roles.eq(expected));
    }

    proptest! {
        /// What a bar becomes does not depend on which bars are read with it: with fewer effects
        /// before it, its factors have the same bits.
        #[test]
        fn earlier_ex_dates_leave_the_factors_of_later_sessions(
            values in prop::collection::vec((0.1_f64..10.0, 0.5_f64..1.0), 1..20),
            skip in 0_usize..20,
        ) {
            let effects: Vec<Effect> = (0..).zip(&values)
                .map(|(at, &(ratio, left))| Effect { ex_date: at * 10, ratio, left })
                .collect();
            let skip = skip.min(effects.len());
            let fewer = Factors::new(effects[skip..].to_vec());
            let all = Factors::new(effects);
            let from = i32::try_from(skip).unwrap() * 10 - 10;
            for date in from..i32::try_from(values.len()).unwrap() * 10 {
                prop_assert_eq!(fewer.of(date), all.of(date));
            }
        }
    }
}
