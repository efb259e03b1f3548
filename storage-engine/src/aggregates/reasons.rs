//! Why slots of a candidate are empty, and up to when its rows may change, by where they come from.

use barrow_types::{DatasetId, PriceSide, Source, Step, Symbol, Timestamp};

use crate::error::Error;
use crate::gaps::{Explainer, FactsAt, Subject};
use crate::reference::Reference;

use super::lineage::{Lineage, Origin, Steps};
use super::make::ticks_of;

/// Explainers of the steps of one candidate, or one for slots that have none.
pub(crate) struct Reasons {
    /// In order of their steps; at least one.
    all: Vec<(Step, Explainer)>,
    /// The steps of which a record brought anything.
    known: Steps,
}

/// Whose reasons are asked for.
pub(crate) struct Subjects<'a> {
    pub(crate) facts: FactsAt<'a>,
    pub(crate) reference: &'a Reference,
    pub(crate) instrument: &'a str,
    pub(crate) side: PriceSide,
    /// The instants that slots lie in.
    pub(crate) range: (i64, i64),
    pub(crate) due: Timestamp,
}

impl Reasons {
    /// Of bars of `step` of a symbol of a source.
    pub(crate) fn new(
        of: &Subjects<'_>,
        (symbol, source): (&Symbol, &Source),
        lineage: &Lineage,
        step: Step,
    ) -> Result<Self, Error> {
        let known = lineage.known().and(Steps::reach(step));
        let explainer = |step: Step| {
            // Ticks have no side: those of trades and of quotes are told apart by their datasets.
            let (dataset, side) = match step {
                Step::Tick => (ticks_of(of.side), PriceSide::Trade),
                _ => (DatasetId::BARS, of.side),
            };
            let subject = Subject { dataset, symbol, source, step, side };
            Ok((step, of.explainer(Some(subject))?))
        };
        let all = known.iter().map(explainer).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { all, known })
    }

    /// Of slots without a candidate.
    pub(crate) fn of_nobody(of: &Subjects<'_>) -> Result<Self, Error> {
        Ok(Self { all: vec![(Step::Tick, of.explainer(None)?)], known: Steps::NONE })
    }

    /// What explains the empty slots of a session of bars of `step` with that origin.
    pub(crate) fn of(&self, step: Step, origin: Origin) -> &Explainer {
        let wanted = match origin {
            Origin::Own => step,
            Origin::Made(_) => {
                let finest = self.known.and(Steps::reach(step)).iter().next();
                finest.unwrap_or(step)
            }
        };
        let found = self.all.iter().find(|(of, _)| *of == wanted);
        &found.unwrap_or(&self.all[0]).1
    }

    /// How far the watermarks of each step have come; `None`: it has none.
    pub(crate) fn watermarks(&self) -> impl Iterator<Item = Option<i64>> {
        self.all.iter().map(|(_, explainer)| explainer.watermark)
    }

    /// The instant behind which rows of these steps may still come; the end of time: none may.
    pub(crate) fn open_after(&self, steps: Steps) -> i64 {
        let of_steps = self.all.iter().filter(|(step, _)| steps.has(*step));
        of_steps.filter_map(|(_, explainer)| explainer.watermark).min().unwrap_or(i64::MAX)
    }

    /// Whether rows of these steps may still come that lie before `end`.
    pub(crate) fn are_open(&self, steps: Steps, end: i64) -> bool {
        let mut of_steps = self.all.iter().filter(|(step, _)| steps.has(*step));
        of_steps.any(|(_, explainer)| explainer.watermark.is_some_and(|mark| mark < end))
    }
}

impl Subjects<'_> {
    fn explainer(&self, subject: Option<Subject<'_>>) -> Result<Explainer, Error> {
        let Self { facts, reference, instrument, range, due, .. } = self;
        Explainer::new(*facts, reference, instrument, subject, *range, *due)
    }
}
