//! Rejected rows: the ledger of dead letters, newest batch first.

use std::collections::VecDeque;

use barrow_types::{Sequence, Timestamp};

use crate::dataset::DEAD_LETTERS;
use crate::error::Error;
use crate::rows::Rows;

use super::{DeadLetter, LetterId, Snapshot, integer, text};

/// Walks the ledger, which holds the letters of a record side by side, oldest record first.
#[derive(Default)]
struct Walk {
    last: Option<LetterId>,
}

impl Walk {
    /// What the letter in row `at` is called.
    fn id(&mut self, rows: &Rows, at: usize) -> LetterId {
        let sequence = Sequence::new(rows.sequence[at]);
        let id = match self.last {
            Some(last) if last.sequence == sequence => LetterId { place: last.place + 1, ..last },
            _ => LetterId { sequence, place: 0 },
        };
        self.last = Some(id);
        id
    }
}

/// See [`Snapshot::dead_letters`].
pub(super) fn list(
    snapshot: &Snapshot,
    mut wanted: impl FnMut(&str) -> bool,
    after: Option<LetterId>,
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let is_after = |id: LetterId| match after {
        None => true,
        Some(after) => {
            id.sequence < after.sequence
                || (id.sequence == after.sequence && id.place > after.place)
        }
    };
    let mut walk = Walk::default();
    // The letters of a record each, newest last; no more than `limit` together.
    let mut records: VecDeque<Vec<DeadLetter>> = VecDeque::new();
    let mut count = 0;
    snapshot.each_of_ledger(&DEAD_LETTERS, |rows, at| {
        let id = walk.id(rows, at);
        if !is_after(id) || !wanted(text(&rows.columns[0], at)) {
            return;
        }
        match records.back_mut().filter(|record| record[0].id.sequence == id.sequence) {
            Some(record) if record.len() >= limit => return,
            Some(record) => record.push(letter(rows, at, id)),
            None => records.push_back(vec![letter(rows, at, id)]),
        }
        count += 1;
        if count > limit
            && let Some(oldest) = records.front_mut()
        {
            oldest.pop();
            count -= 1;
            if oldest.is_empty() {
                records.pop_front();
            }
        }
    })?;
    Ok(records.into_iter().rev().flatten().collect())
}

/// See [`Snapshot::first_letters_of`].
pub(super) fn first_of(
    snapshot: &Snapshot,
    (sequence, now): (Sequence, Timestamp),
    limit: usize,
) -> Result<Vec<DeadLetter>, Error> {
    let mut walk = Walk::default();
    let mut found = Vec::new();
    let end = Timestamp::from_nanos(now.nanos().saturating_add(1));
    snapshot.each_of_ledger_between(&DEAD_LETTERS, now, end, |rows, at| {
        let id = walk.id(rows, at);
        if id.sequence == sequence && found.len() < limit {
            found.push(letter(rows, at, id));
        }
    })?;
    Ok(found)
}

/// See [`Snapshot::dead_letter`].
pub(super) fn find(snapshot: &Snapshot, id: LetterId) -> Result<Option<DeadLetter>, Error> {
    let mut walk = Walk::default();
    let mut found = None;
    snapshot.each_of_ledger(&DEAD_LETTERS, |rows, at| {
        if walk.id(rows, at) == id {
            found = Some(letter(rows, at, id));
        }
    })?;
    Ok(found)
}

fn letter(rows: &Rows, at: usize, id: LetterId) -> DeadLetter {
    DeadLetter {
        id,
        now: Timestamp::from_nanos(rows.ts[at]),
        batch_id: text(&rows.columns[0], at).to_owned(),
        row: integer(&rows.columns[1], at).cast_unsigned(),
        reason: text(&rows.columns[2], at).to_owned(),
        detail: text(&rows.columns[3], at).to_owned(),
        raw: text(&rows.columns[4], at).to_owned(),
    }
}
