//! The series that may fill an instrument's slots, in order of preference.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_types::{
    Align, DatasetId, PriceSide, Sequence, SeriesKey, SessionSet, Source, Step, Symbol, Timestamp,
};

use crate::aggregates::{Conditions, Lineage, Steps, ticks_of};
use crate::error::Error;
use crate::gaps::Intervals;
use crate::reference::Reference;
use crate::snapshot::Snapshot;

/// A symbol of a source that is bound to the instrument at some time of the range.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The symbol, as received.
    pub symbol: Symbol,
    /// Who delivers it.
    pub source: Source,
    /// What its rows may come from.
    pub(crate) lineage: Lineage,
    /// When it is bound.
    pub(crate) bound: Intervals,
}

impl Candidate {
    /// The series of its own bars of a step and side.
    pub(super) fn key(&self, step: Step, side: PriceSide) -> SeriesKey {
        let (symbol, source) = (self.symbol.clone(), self.source.clone());
        SeriesKey { dataset: DatasetId::BARS, symbol, step, side, source }
    }

    /// Whether trades of it may belong to slots that they do not lie in.
    pub(super) fn may_have_auctions(&self, session: SessionSet) -> bool {
        session == SessionSet::Regular && !self.lineage.conditions.are_all()
    }

    /// Whether it is bound at an instant.
    pub(crate) fn is_bound_at(&self, at: i64) -> bool {
        self.bound.cover(at, at.saturating_add(1))
    }
}

/// What is asked for.
pub(super) struct Wanted<'a> {
    pub(super) instrument: &'a str,
    pub(super) step: Step,
    pub(super) side: PriceSide,
    pub(super) range: (i64, i64),
    /// T and N: series that came later do not count.
    pub(super) as_of: Option<Timestamp>,
    pub(super) at_sequence: Option<Sequence>,
    /// Only this source.
    pub(super) source: Option<&'a str>,
}

/// The candidates of an instrument, in order of preference. Refuses a question that lies below a
/// floor of what any of them may deliver.
pub(super) fn candidates(
    snapshot: &Snapshot,
    reference: &Reference,
    wanted: &Wanted<'_>,
) -> Result<Vec<Candidate>, Error> {
    let mut symbols: BTreeSet<&str> =
        reference.bound_to(wanted.instrument).map(|(_, symbol)| symbol).collect();
    symbols.insert(wanted.instrument);
    let mut found: Vec<Candidate> = Vec::new();
    let reach = Steps::reach(wanted.step);
    let ticks = ticks_of(wanted.side);
    let Wanted { as_of, at_sequence, .. } = *wanted;
    let sequence = at_sequence.unwrap_or(Sequence::MAX).min(snapshot.sequence());
    for symbol in symbols {
        for dataset in [DatasetId::BARS, DatasetId::CLAIMS, ticks] {
            let known = snapshot.generation().catalog.list(dataset, Some(symbol), sequence);
            for (series, key) in known {
                // Claims of ticks may be about trades or quotes: they alone make no candidate.
                let is_wanted = if dataset == ticks {
                    reach.has(Step::Tick)
                } else {
                    key.step != Step::Tick && reach.has(key.step) && key.side == wanted.side
                };
                let source = key.source.as_str();
                if !is_wanted || wanted.source.is_some_and(|wanted| wanted != source) {
                    continue;
                }
                let is_there = |other: &&mut Candidate| {
                    other.source == key.source && other.symbol == key.symbol
                };
                let series = (dataset != DatasetId::CLAIMS).then_some(series);
                if let Some(there) = found.iter_mut().find(is_there) {
                    there.lineage.add(key.step, series);
                    continue;
                }
                let bound = bound(reference, wanted.instrument, source, symbol);
                if bound.touch(wanted.range.0, wanted.range.1) {
                    let mut lineage = Lineage::new(align_of(reference, source));
                    lineage.add(key.step, series);
                    let SeriesKey { symbol, source, .. } = key;
                    found.push(Candidate { symbol, source, lineage, bound });
                }
            }
        }
    }
    // Also where the answer would be one that was made before.
    for (step, _) in found.iter().flat_map(|candidate| candidate.lineage.all()) {
        let dataset = if step == Step::Tick { ticks } else { DatasetId::BARS };
        snapshot.check_retention(dataset, step, as_of, at_sequence)?;
    }
    for candidate in &mut found {
        if wanted.side == PriceSide::Trade && candidate.lineage.series(Step::Tick).is_some() {
            let conditions = conditions_of(reference, candidate.source.as_str())?;
            candidate.lineage.conditions = Arc::new(conditions);
        }
    }
    let preferred = sources(reference, "bars");
    let place = |source: &Source| {
        let place = preferred.iter().position(|name| **name == *source.as_str());
        place.unwrap_or(preferred.len())
    };
    found.sort_by(|a, b| {
        (place(&a.source), &a.source, &a.symbol).cmp(&(place(&b.source), &b.source, &b.symbol))
    });
    Ok(found)
}

/// How the bars of a source lie, as far as its setting says.
fn align_of(reference: &Reference, source: &str) -> Align {
    let setting = reference.setting("bars", &format!("alignment:{source}"));
    setting.and_then(Align::parse).unwrap_or_default()
}

/// How the conditions of a source's trades are read.
fn conditions_of(reference: &Reference, source: &str) -> Result<Conditions, Error> {
    let key = format!("conditions:{source}");
    let Some(value) = reference.setting("trades", &key) else { return Ok(Conditions::default()) };
    Conditions::parse(value).map_err(|why| {
        Error::invalid(format!("conditions: setting {key} of trades is '{value}': {why}"))
    })
}

/// The sources that a dataset's setting names, in order of preference.
pub(crate) fn sources(reference: &Reference, dataset: &str) -> Vec<Arc<str>> {
    let setting = reference.setting(dataset, "sources").unwrap_or_default();
    setting.split_whitespace().map(Arc::from).collect()
}

/// When a source's symbol is bound to the instrument.
pub(crate) fn bound(
    reference: &Reference,
    instrument: &str,
    source: &str,
    symbol: &str,
) -> Intervals {
    let stated = reference.bindings(source, symbol);
    let first = stated.first().map_or(i64::MAX, |(since, _)| *since);
    let by_itself = (symbol == instrument).then_some((i64::MIN, first));
    let ends = stated.iter().skip(1).map(|(since, _)| *since).chain([i64::MAX]);
    let stated = stated.iter().zip(ends).filter_map(|((since, bound), end)| {
        (bound.as_deref() == Some(instrument)).then_some((*since, end))
    });
    by_itself.into_iter().chain(stated).collect()
}
