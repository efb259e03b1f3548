//! The series that may fill an instrument's slots, in order of preference.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_types::{DatasetId, PriceSide, Sequence, SeriesId, Source, Step, Symbol};

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
    /// Its rows; `None` if only claims speak of it.
    pub(crate) series: Option<SeriesId>,
    /// When it is bound.
    pub(crate) bound: Intervals,
}

impl Candidate {
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
    /// Series that came later do not count.
    pub(super) sequence: Sequence,
    /// Only this source.
    pub(super) source: Option<&'a str>,
}

/// The candidates of an instrument, in order of preference.
pub(super) fn candidates(
    snapshot: &Snapshot,
    reference: &Reference,
    wanted: &Wanted<'_>,
) -> Vec<Candidate> {
    let mut symbols: BTreeSet<&str> =
        reference.bound_to(wanted.instrument).map(|(_, symbol)| symbol).collect();
    symbols.insert(wanted.instrument);
    let mut found: Vec<Candidate> = Vec::new();
    for symbol in symbols {
        for dataset in [DatasetId::BARS, DatasetId::CLAIMS] {
            let known = snapshot.generation().catalog.list(dataset, Some(symbol), wanted.sequence);
            for (series, key) in known {
                let is_wanted = key.step == wanted.step
                    && key.side == wanted.side
                    && wanted.source.is_none_or(|source| source == key.source.as_str());
                let is_there = found
                    .iter()
                    .any(|other| other.source == key.source && other.symbol == key.symbol);
                if !is_wanted || is_there {
                    continue;
                }
                let bound = bound(reference, wanted.instrument, key.source.as_str(), symbol);
                if bound.touch(wanted.range.0, wanted.range.1) {
                    let series = (dataset == DatasetId::BARS).then_some(series);
                    found.push(Candidate { symbol: key.symbol, source: key.source, series, bound });
                }
            }
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
    found
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
