//! What the bars of a candidate may come from: the series that it has, and in which order they are
//! asked.

use std::collections::BTreeMap;
use std::sync::Arc;

use barrow_types::{Align, SeriesId, Step};

use super::conditions::Conditions;

/// A set of steps; ticks count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Steps(u16);

impl Steps {
    /// None.
    pub(crate) const NONE: Self = Self(0);

    /// One.
    pub(crate) const fn of(step: Step) -> Self {
        Self(1 << step.code())
    }

    /// Those from which bars of `step` may come, itself among them.
    pub(crate) fn reach(step: Step) -> Self {
        let finer = match step {
            Step::W1 | Step::Mo1 => Self(Self::of(Step::D1).0 * 2 - 1),
            _ => Self(Self::of(step).0 - 1),
        };
        finer.with(Self::of(step))
    }

    /// The union.
    #[must_use]
    pub(crate) const fn with(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that are in both.
    #[must_use]
    pub(crate) const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    pub(crate) const fn has(self, step: Step) -> bool {
        self.0 & Self::of(step).0 != 0
    }

    /// Those in it, shortest first.
    pub(crate) fn iter(self) -> impl Iterator<Item = Step> {
        Step::ALL.into_iter().filter(move |step| self.has(*step))
    }
}

/// Where the rows of a session come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// They are bars of that very step.
    Own,
    /// They were made of others, or there are none.
    Made(MadeOf),
}

/// The steps of the rows that the bars of a session were made of; of none if there are no bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MadeOf {
    /// Of its bars, but the one of
    pub(super) steps: Steps,
    /// this slot, its last, which on the clock may hold rows of the session after it.
    pub(super) last: Option<(i64, Steps)>,
}

impl MadeOf {
    /// The same steps for all bars.
    pub(super) const fn all(steps: Steps) -> Self {
        Self { steps, last: None }
    }

    /// Those of any bar.
    pub(super) fn any(&self) -> Steps {
        self.last.map_or(self.steps, |(_, steps)| self.steps.with(steps))
    }

    /// Those of every bar, if they are the same.
    pub(crate) fn of_all(&self) -> Option<Steps> {
        self.last.is_none().then_some(self.steps)
    }

    /// Those of the bar of a slot.
    pub(crate) fn of(&self, slot: i64) -> Steps {
        self.last.filter(|(last, _)| *last == slot).map_or(self.steps, |(_, steps)| steps)
    }
}

/// What may be asked for rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Supply {
    /// Bars of that very step.
    Own,
    /// Trades or quotes.
    Ticks,
    /// Bars of a finer step, wherever they come from.
    Bars(Step),
}

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lineage {
    /// The series of bars by step, and of ticks.
    series: BTreeMap<Step, SeriesId>,
    /// The steps of which a record brought anything.
    known: Steps,
    /// How bars of finer steps lie.
    pub(crate) align: Align,
    /// How the conditions of its trades are read.
    pub(crate) conditions: Arc<Conditions>,
}

impl Lineage {
    /// Of nothing yet; finer bars lie so.
    pub(crate) fn new(align: Align) -> Self {
        Self { align, ..Self::default() }
    }

    /// Adds a step of which there is something, and the series that its rows are in.
    pub(crate) fn add(&mut self, step: Step, series: Option<SeriesId>) {
        self.known = self.known.with(Steps::of(step));
        if let Some(series) = series {
            self.series.insert(step, series);
        }
    }

    /// The series of rows of a step.
    pub(crate) fn series(&self, step: Step) -> Option<SeriesId> {
        self.series.get(&step).copied()
    }

    /// Whether there is any series of rows.
    pub(crate) fn has_rows(&self) -> bool {
        !self.series.is_empty()
    }

    /// Every series.
    pub(crate) fn all(&self) -> impl Iterator<Item = (Step, SeriesId)> {
        self.series.iter().map(|(step, series)| (*step, *series))
    }

    /// The steps of which a record brought anything.
    pub(crate) const fn known(&self) -> Steps {
        self.known
    }

    /// The finest step from which bars of `step` may come.
    pub(crate) fn finest(&self, step: Step) -> Step {
        self.known.and(Steps::reach(step)).iter().next().unwrap_or(step)
    }

    /// Whether bars of `step` come from nothing but themselves.
    pub(crate) fn is_own_only(&self, step: Step) -> bool {
        let others = |from: &Supply| *from != Supply::Own;
        !self.order(step).iter().any(others) && self.finest(step) == step
    }

    /// Whether there may be several origins in one session: also a step of which there are but
    /// claims tells why slots are empty.
    pub(crate) fn has_choice(&self, step: Step) -> bool {
        self.known.and(Steps::reach(step)).iter().count() > 1
    }

    /// The one series that all rows of a supply come from, and its step; `None` if they are of
    /// several, or of bars of that very step.
    pub(super) fn only_series(&self, from: Supply) -> Option<(Step, SeriesId)> {
        let reach = match from {
            Supply::Own => return None,
            Supply::Ticks => Steps::of(Step::Tick),
            Supply::Bars(finer) => Steps::reach(finer),
        };
        let mut found = self.all().filter(|(step, _)| reach.has(*step));
        found.next().filter(|_| found.next().is_none())
    }

    /// What is asked for rows of `step`, in order; what cannot have more than what comes before it
    /// is left out.
    pub(super) fn order(&self, step: Step) -> Vec<Supply> {
        let has = |step: Step| self.series.contains_key(&step);
        let mut order = Vec::with_capacity(4);
        order.extend(has(step).then_some(Supply::Own));
        let under_minutes = has(Step::Tick) || has(Step::S1);
        match step {
            Step::Tick => {}
            Step::S1 => order.extend(has(Step::Tick).then_some(Supply::Ticks)),
            Step::M1 => {
                order.extend(has(Step::Tick).then_some(Supply::Ticks));
                order.extend(has(Step::S1).then_some(Supply::Bars(Step::S1)));
            }
            _ => {
                let days = matches!(step, Step::W1 | Step::Mo1);
                let from_days = days && self.series.keys().any(|of| *of <= Step::D1);
                order.extend(from_days.then_some(Supply::Bars(Step::D1)));
                // Days may be kept out, or begin where the symbol is not bound, and minutes not.
                let from_minutes = has(Step::M1) || under_minutes;
                order.extend(from_minutes.then_some(Supply::Bars(Step::M1)));
                let longer = self.series.keys().copied();
                let longer = longer.filter(|of| *of > Step::M1 && *of < step.min(Step::D1));
                order.extend(longer.map(Supply::Bars));
            }
        }
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lineage(steps: &[Step]) -> Lineage {
        let mut lineage = Lineage::default();
        for &step in steps {
            lineage.add(step, Some(SeriesId::new(u32::from(step.code()))));
        }
        lineage
    }

    #[test]
    fn finer_bars_are_asked_from_minutes_on_and_ticks_before_seconds() {
        use Step::{D1, H1, H4, M1, M5, M30, Mo1, S1, Tick, W1};
        use Supply::{Bars, Own, Ticks};
        for (steps, step, order) in [
            (&[M1][..], M1, &[Own][..]),
            (&[M1, Tick], M1, &[Own, Ticks]),
            (&[Tick, S1], M1, &[Ticks, Bars(S1)]),
            (&[Tick, S1], S1, &[Own, Ticks]),
            (&[M1], H1, &[Bars(M1)]),
            (&[S1], H1, &[Bars(M1)]),
            (&[M5, M30, H1, Tick], H1, &[Own, Bars(M1), Bars(M5), Bars(M30)]),
            (&[H4, D1], D1, &[Own, Bars(H4)]),
            (&[H4, D1], W1, &[Bars(D1), Bars(H4)]),
            (&[M1, W1], Mo1, &[Bars(D1), Bars(M1)]),
            (&[Tick, D1], W1, &[Bars(D1), Bars(M1)]),
            (&[W1], Mo1, &[]),
            (&[D1], H1, &[]),
        ] {
            let lineage = lineage(steps);
            assert_eq!(lineage.order(step), order, "{steps:?} {step:?}");
            assert_eq!(
                lineage.is_own_only(step),
                matches!(order, [] | [Own]),
                "{steps:?} {step:?}"
            );
        }
    }

    #[test]
    fn the_finest_step_is_one_that_bars_may_come_from() {
        let mut all = lineage(&[Step::M5, Step::W1]);
        all.add(Step::S1, None);
        for (step, finest) in [
            (Step::M1, Step::S1),
            (Step::M5, Step::S1),
            (Step::W1, Step::S1),
            (Step::S1, Step::S1),
            (Step::Tick, Step::Tick),
        ] {
            assert_eq!(all.finest(step), finest, "{step:?}");
        }
        assert_eq!(lineage(&[Step::W1]).finest(Step::Mo1), Step::Mo1);
    }

    #[test]
    fn steps_of_rows_and_of_claims_alone_are_a_choice_within_reach() {
        let mut all = lineage(&[Step::M5, Step::W1]);
        assert!(all.has_choice(Step::W1), "from weeks and from five minutes");
        assert!(!all.has_choice(Step::D1) && !all.has_choice(Step::Mo1), "weeks make neither");
        all.add(Step::S1, None);
        assert!(all.has_choice(Step::D1) && all.has_choice(Step::M5), "seconds were claimed");
        assert!(!all.has_choice(Step::M1), "from seconds alone");
    }
}
