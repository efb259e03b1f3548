//! The live vintage of the same questions: each slot as the question answers it that is asked as of
//! the instant at which the slot was first due.

use std::collections::BTreeSet;

use barrow_engine::{CuratedScan, Error, ErrorKind, FeaturePiece, FeatureScan, Snapshot, Vintage};
use barrow_tests::curated_model::CuratedModel;
use barrow_tests::curated_model::facts::Fact;
use barrow_tests::curated_model::view::{Ask, Cell};
use barrow_tests::random::Random;
use barrow_types::Timestamp;

use crate::answer::{self, Asked};
use crate::features;
use crate::story::readable;

/// Slots of an answer that are looked at.
const SLOTS_MAX: usize = 8;

/// The instants at which a slot may become due that starts then: after any delay that a source ever
/// had, or when something became known that may have changed whose slot it is or when it ends.
fn instants(model: &CuratedModel, ask: &Ask, (start, end): (i64, i64)) -> BTreeSet<i64> {
    let (mut ends, mut delays) = (BTreeSet::from([end]), BTreeSet::from([0]));
    let mut instants = BTreeSet::new();
    for stored in model.facts().stored() {
        let as_of = stored.known_at;
        instants.insert(as_of);
        match &stored.fact {
            Fact::Setting { key, value, .. } if key.starts_with("publish_delay") => {
                delays.extend(value.parse::<i64>());
            }
            Fact::CalendarDay { .. } | Fact::Attribute { .. } => {
                let ask = Ask { as_of, due: as_of, ..ask.clone() };
                let known = model.knows_calendar(&ask).then(|| model.curated(&ask));
                let slot = known.into_iter().flatten().find(|cell| cell.slot.start == start);
                ends.extend(slot.map(|cell| cell.slot.end));
            }
            _ => {}
        }
    }
    for key in model.bars().series(u64::MAX) {
        let rows = model.bars().all(key, i64::MIN, i64::MAX, i64::MAX, u64::MAX);
        instants.extend(rows.into_iter().map(|row| row.known_at));
    }
    instants.extend(ends.iter().flat_map(|end| delays.iter().map(move |delay| end + delay)));
    instants.retain(|instant| (start..=ask.due).contains(instant));
    instants
}

/// When a slot was first due, and what it was then.
fn first_due(model: &CuratedModel, ask: &Ask, (start, end): (i64, i64)) -> Option<(i64, Cell)> {
    instants(model, ask, (start, end)).into_iter().find_map(|as_of| {
        let ask = Ask { as_of, due: as_of, ..ask.clone() };
        let cells = model.knows_calendar(&ask).then(|| model.curated(&ask))?;
        let found = cells.into_iter().find(|cell| cell.slot.start == start);
        Some((as_of, found.filter(|cell| cell.available_at <= as_of)?))
    })
}

/// Whether a later slot could be had before a slot was first due.
fn is_passed(model: &CuratedModel, ask: &Ask, (start, end): (i64, i64), due: i64) -> bool {
    let before =
        instants(model, ask, (start, end)).range(..=due).map(|at| at - 1).collect::<Vec<_>>();
    before.into_iter().any(|as_of| {
        let ask = Ask { as_of, due: as_of, ..ask.clone() };
        if !model.knows_calendar(&ask) {
            return false;
        }
        let cells = model.curated(&ask);
        cells.iter().any(|cell| cell.slot.start > start && cell.available_at <= as_of)
    })
}

/// Whether some question about a calendar that is not known may be among those of the vintage.
fn is_refused(model: &CuratedModel, ask: &Ask) -> bool {
    let stored = model.facts().stored().iter().map(|stored| stored.known_at);
    let known = |known_at: i64| {
        let knows = |as_of| model.knows_calendar(&Ask { as_of, ..ask.clone() });
        knows(known_at) && knows(known_at - 1)
    };
    !model.knows_calendar(ask) || !stored.into_iter().all(known)
}

/// Some of the slots that either knows.
fn drawn(slots: BTreeSet<(i64, i64)>, random: &mut Random) -> Vec<(i64, i64)> {
    let mut slots: Vec<(i64, i64)> = slots.into_iter().collect();
    while slots.len() > SLOTS_MAX {
        slots.swap_remove(random.place(slots.len()));
    }
    slots
}

/// Bars: what the model says of each slot; how many slots were compared.
pub(crate) fn bars(
    snapshot: &Snapshot,
    model: &CuratedModel,
    asked: &Asked,
    random: &mut Random,
) -> Result<u64, String> {
    let asked = &Asked { empty: true, ..asked.clone() };
    let mut ask = asked.question.ask(model);
    ask.at_sequence = ask.at_sequence.min(snapshot.sequence().get());
    let told = |what: &str| {
        let held = snapshot.sequence();
        let about = readable(asked);
        Err(format!("vintage of {about}\nat a snapshot of sequence {held}: {what}"))
    };
    let found = match read_bars(snapshot, &ask, asked) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::Invalid && is_refused(model, &ask) => {
            return Ok(0);
        }
        Err(error) => return told(&format!("answered {error}")),
    };
    if !found.is_sorted_by(|one, other| one.slot.start < other.slot.start) {
        return told("slots are not in order");
    }
    let newest = if model.knows_calendar(&ask) { model.curated(&ask) } else { Vec::new() };
    let slots = newest.iter().chain(&found).map(|cell| (cell.slot.start, cell.slot.end)).collect();
    let slots = drawn(slots, random);
    for (start, end) in &slots {
        let due = first_due(model, &ask, (*start, *end));
        let as_of = due.as_ref().map(|(as_of, _)| *as_of);
        let right = answer::wanted(due.map(|(_, cell)| cell).into_iter().collect(), asked).pop();
        let got = found.iter().find(|cell| cell.slot.start == *start).cloned();
        // It came to be there only after a later one could be had.
        if got.is_none() && as_of.is_some_and(|as_of| is_passed(model, &ask, (*start, *end), as_of))
        {
            continue;
        }
        // Where others share its start but not its end, the slot is not the one that was drawn.
        let is_other = [&right, &got].into_iter().flatten().any(|cell| cell.slot.end != *end);
        if right != got && !is_other {
            return told(&format!(
                "slot {start}, first due at {as_of:?}\n model  {}\n engine {}",
                readable(&right),
                readable(&got)
            ));
        }
    }
    Ok(slots.len() as u64)
}

fn read_bars(snapshot: &Snapshot, ask: &Ask, asked: &Asked) -> Result<Vec<Cell>, Error> {
    let scan = answer::scan(ask, asked);
    let mut found: Vec<Cell> = Vec::new();
    let mut views = snapshot.views(&scan, false)?;
    while let Some(view) = views.next()? {
        let (as_of, due) = (Some(view.as_of), view.as_of);
        let curated = snapshot.curated(CuratedScan { as_of, due, ..scan.clone() })?;
        let cells = answer::cells_of(curated.narrowed(view.start, view.end), ask)?;
        assert!(cells.iter().all(|cell| cell.available_at <= due.nanos()), "slots are due");
        found.extend(cells);
    }
    Ok(found)
}

/// Features: what the same question says of each slot; how many slots were compared.
pub(crate) fn features(
    snapshot: &Snapshot,
    model: &CuratedModel,
    asked: features::Asked<'_>,
    random: &mut Random,
) -> Result<u64, String> {
    let question = asked.question;
    let mut ask = question.ask(model);
    ask.at_sequence = ask.at_sequence.min(snapshot.sequence().get());
    ask.fallback = None;
    let texts = features::texts(asked);
    let last = FeatureScan {
        due: Timestamp::from_nanos(ask.due),
        ..features::scan(question, (asked.gap, asked.adjust), texts)
    };
    let told = |what: &str| {
        let held = snapshot.sequence();
        let (about, gap, adjust) = (readable(question), asked.gap, asked.adjust);
        Err(format!(
            "vintage of features ({:?}, {gap:?}, {adjust:?}) of {about}\nat a snapshot of \
             sequence {held}: {what}",
            asked.kind
        ))
    };
    let live = FeatureScan { vintage: Vintage::Live, ..last.clone() };
    let found = match features::read(snapshot, &live) {
        Ok(found) => found,
        // A calendar that is not known then, an action that nobody can adjust for: the same is
        // asked of the newest elsewhere.
        Err(error) if error.kind() == ErrorKind::Invalid => return Ok(0),
        Err(error) => return told(&format!("answered {error}")),
    };
    if !found.ts.is_sorted_by(|one, other| one < other) {
        return told("slots are not in order");
    }
    let newest = features::read(snapshot, &last).unwrap_or_default();
    let ends = |of: &FeaturePiece| of.ts.iter().copied().zip(of.ts_end.clone()).collect::<Vec<_>>();
    let slots = ends(&newest).into_iter().chain(ends(&found)).collect();
    let slots = drawn(slots, random);
    for (start, end) in &slots {
        let of_slot = |piece: FeaturePiece| {
            let at = piece.ts.iter().position(|ts| ts == start)?;
            Some(piece.split_at(at).1.split_at(1).0)
        };
        let as_of = first_due(model, &ask, (*start, *end)).map(|(as_of, _)| as_of);
        let right = as_of.and_then(|as_of| {
            let at = Timestamp::from_nanos(as_of);
            let scan = FeatureScan { as_of: Some(at), due: at, ..last.clone() };
            features::read(snapshot, &scan).ok().and_then(of_slot)
        });
        let right = right.unwrap_or_default();
        let got = of_slot(found.clone()).unwrap_or_default();
        // It came to be there only after a later one could be had.
        if got.is_empty()
            && as_of.is_some_and(|as_of| is_passed(model, &ask, (*start, *end), as_of))
        {
            continue;
        }
        let is_other =
            [&right, &got].into_iter().any(|of| of.ts_end.first().is_some_and(|of| of != end));
        if is_other {
            continue;
        }
        let provisional = (right.provisional != got.provisional).then(|| "provisional".to_owned());
        if let Some(what) = features::difference(&right, &got, texts).or(provisional) {
            let what =
                format!("slot {start}, first due at {as_of:?}, by itself and in views: {what}");
            return told(&what);
        }
    }
    Ok(slots.len() as u64)
}
