//! `calendar=` of rows: the calendar that the instruments of these rows follow. It is stated, since
//! ever, of those that follow none; one that follows another is a contradiction.

use std::collections::BTreeSet;

use barrow_engine::Reference;
use barrow_engine::batch::Batch;
use barrow_engine::dataset::facts::ALWAYS;
use barrow_engine::rows::Values;
use barrow_types::{DatasetId, Symbol, Timestamp};

use super::super::calendars::names;
use super::super::decode::Incoming;
use super::super::error::{Code, Problem};
use super::super::parts::Common;
use super::super::when::instrument_of;
use super::stated::{Cell, Fact, Group, Stated};

/// What stands behind the id of some rows in that of the calendars of their instruments.
const CALENDAR: &str = ":calendar";

/// The batch that states calendar `name` for the instruments of rows, if one is needed.
pub(crate) fn batches(
    name: &str,
    incoming: &Incoming,
    common: &Common,
    reference: &Reference,
) -> Result<Vec<Batch>, Problem> {
    if reference.calendar(name).is_none() {
        let known: Vec<String> = names(reference).into_iter().collect();
        let fault = format!(
            "there is no {name:?}; PUT /v1/calendars/{name} makes it (there are: {})",
            known.join(", ")
        );
        return Err(Problem::parameter("calendar", fault));
    }
    let mut stated = Stated::default();
    for instrument in instruments(incoming, common.source.as_str(), reference) {
        let since = reference.attribute(&instrument, "calendar");
        let other = since.iter().filter_map(|(_, value)| value.as_deref()).find(|v| *v != name);
        if let Some(other) = other {
            let detail = format!(
                "calendar: instrument {instrument} follows {other}, not {name}; say that, or give \
                 the instrument another calendar first"
            );
            return Err(Problem::new(Code::Conflict, detail).about("calendar"));
        }
        if since.iter().all(|(_, value)| value.is_none()) {
            let values = vec![Cell::from("calendar"), Cell::from(name)];
            let fact = Fact { subject: instrument, ts: ALWAYS, known_at: None, values };
            stated.add(Group::of(DatasetId::INSTRUMENTS), fact);
        }
    }
    Ok(stated.into_batches(&format!("{}{CALENDAR}", common.id)))
}

/// The instruments that the symbols of rows are at the times of these rows.
fn instruments(incoming: &Incoming, source: &str, reference: &Reference) -> BTreeSet<String> {
    let Values::I64(ts) = &incoming.ts.values else { return BTreeSet::new() };
    let names = &incoming.symbols.names;
    let mut spans: Vec<Option<(i64, i64)>> = vec![None; names.len()];
    for (at, &symbol) in incoming.symbols.of_row.iter().enumerate() {
        if let Some(span) = spans.get_mut(symbol as usize)
            && incoming.ts.is_valid(at)
        {
            let (first, last) = span.unwrap_or((ts[at], ts[at]));
            *span = Some((first.min(ts[at]), last.max(ts[at])));
        }
    }
    let mut found = BTreeSet::new();
    for (symbol, span) in names.iter().zip(spans) {
        let Some((first, last)) = span.filter(|_| Symbol::new(symbol).is_ok()) else { continue };
        found.extend(instrument_of(reference, source, symbol, Timestamp::from_nanos(first)));
        let later = reference.bindings(source, symbol).iter();
        let later = later.filter(|(since, _)| (first..=last).contains(since));
        found.extend(later.filter_map(|(_, bound)| bound.as_deref().map(str::to_owned)));
    }
    found
}
