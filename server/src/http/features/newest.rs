//! The last slots from the rows that are kept ready: what `point.rs` would compute, to the bit.

use std::sync::Arc;

use barrow_engine::dataset::BARS;
use barrow_engine::{FeaturePiece, Reference, Snapshot};
use barrow_protocol::Row;
use barrow_protocol::frame::Which as Kept;
use barrow_types::Timestamp;

use super::super::App;
use super::super::error::Problem;
use super::super::params::Params;
use super::named::Named;
use super::point::{Found, Slots, Wanted, Which};
use super::reader::Asked;
use super::row::piece_of;
use crate::clock;
use crate::live::{Cut, LiveGroup, Needed};

/// Cells of an answer that is so short that it is made where it is asked for; of others a query
/// thread makes it.
const SHORT_CELLS_MAX: usize = 4_096;

/// What rows must know to answer a request; `None` if they cannot.
///
/// # Errors
/// A parameter says what it must not.
pub(super) fn needed(wanted: &Wanted, snapshot: &Snapshot) -> Result<Option<Needed>, Problem> {
    let params = &wanted.params;
    if wanted.peek || params.get("as_of").is_some() || params.get("at_sequence").is_some() {
        return Ok(None);
    }
    if params.get("consistency") == Some("eventual") {
        let sequence = params.integer("min_sequence")?.unwrap_or(0);
        return Ok(Some(Needed { sequence, now: None }));
    }
    Ok(Some(Needed { sequence: snapshot.sequence().get(), now: Some(clock::now()) }))
}

/// Whether the answer has so few cells that no other thread need make it.
pub(super) fn is_short(app: &App, params: &Params) -> bool {
    let groups = params.get("groups").unwrap_or_default().split(',');
    let groups = groups.map(|text| app.live.named(text).ok());
    let features = groups.map(|group| group.map(|group| group.features.len())).sum::<Option<_>>();
    let symbols = params.get("symbols").unwrap_or_default().split(',').count();
    features.is_some_and(|features: usize| features.saturating_mul(symbols) <= SHORT_CELLS_MAX)
}

/// The slots as of a cut; `None` if one of them is not among the rows, or the request is none:
/// who computes them will say so.
pub(super) fn read(app: &App, wanted: &Wanted, snapshot: &Snapshot, cut: &Cut) -> Option<Slots> {
    let Wanted { params, which, .. } = wanted;
    let groups = app.groups.of(&cut.reference, params).ok()?;
    let asked = Asked::read(params, snapshot, groups, params.symbols().ok()?).ok()?;
    let live = asked
        .groups
        .iter()
        .map(|Named { name, group }| app.live.group(name, Some(&group.compiled.version)));
    let live: Vec<Arc<LiveGroup>> = live.collect::<Option<_>>()?;
    let instruments = asked.instruments(&cut.reference);
    let found = instruments.iter().map(|instrument| {
        let slot = slot(&live, instrument, *which)?;
        let ts = Timestamp::from_nanos(slot.ts[0]);
        if !asked.groups.iter().all(|named| is_settled(&cut.reference, named, instrument, ts)) {
            return None;
        }
        let calendar = cut.reference.attribute_at(instrument, "calendar", ts);
        let calendar = calendar.map(ToOwned::to_owned);
        Some(Found { is_delivered: true, calendar, slot: Some(slot), late: None })
    });
    let found = found.collect::<Option<_>>()?;
    let now = asked.due;
    Some(Slots { asked, instruments, found, now, sequence: cut.sequence })
}

/// Whether calendars and names are from a slot on what they are for ever. Rows that are kept ready
/// have those of the last slot; who computes a slot takes those of its time.
fn is_settled(reference: &Reference, named: &Named, instrument: &str, ts: Timestamp) -> bool {
    let keeps_calendar = |instrument: &str| reference.keeps(instrument, "calendar", ts);
    let after = Timestamp::from_nanos(ts.nanos().saturating_add(1));
    let others = named.group.graph().contexts.iter().filter_map(|of| of.instrument.as_deref());
    keeps_calendar(instrument)
        && others.into_iter().all(|name| {
            let [then, last] =
                [after, Timestamp::MAX].map(|end| reference.instrument(BARS.name, name, end));
            then == last && keeps_calendar(&last)
        })
}

/// The slot of an instrument with the cells of all groups, if all have its row.
fn slot(groups: &[Arc<LiveGroup>], instrument: &str, which: Which) -> Option<FeaturePiece> {
    let mut joined: Option<FeaturePiece> = None;
    for group in groups {
        let index = group.symbol(instrument)?;
        let mut words = vec![0; group.layout.words()];
        let mut read = |kept| {
            group.read(index, kept, &mut words).ok()?;
            Row::new(group.layout, &words).map(piece_of)
        };
        let found = match which {
            Which::Newest => read(Kept::Newest)?,
            Which::Starting(ts) => [Kept::Newest, Kept::Previous]
                .into_iter()
                .find_map(|kept| read(kept).filter(|slot| slot.ts == [ts.nanos()]))?,
            Which::AvailableAt(_) => return None,
        };
        joined = Some(match joined {
            None => found,
            Some(before) if before.ts == found.ts => before.beside(found),
            Some(_) => return None,
        });
    }
    joined
}
