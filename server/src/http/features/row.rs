//! One slot of a symbol as the words of a row, as they stand in frames and in shared memory, and
//! back.

use std::sync::Arc;

use barrow_engine::features::{Cell, Column};
use barrow_engine::{Error, FeaturePiece, Vintage};
use barrow_protocol::frame::Mode;
use barrow_protocol::{Row, RowFlags, RowHead, RowLayout};
use barrow_types::{Reason, Timestamp};

use super::super::App;
use super::super::error::Problem;
use super::groups::reference;
use super::point::{Seek, Which};
use super::reader::Asked;
use crate::clock;

/// The row of an instrument that an instant means, as it is now; `None` if there is none. `group`
/// is `NAME@VERSION`.
///
/// # Errors
/// There is no such group, or stored bytes cannot be read.
pub(crate) fn row_at(
    app: &App,
    (group, instrument): (&str, &Arc<str>),
    (ts, mode): (Timestamp, Mode),
) -> Result<Option<Vec<u64>>, Problem> {
    let failed = |error: Error| Problem::read(&error);
    let snapshot = app.engine.snapshot();
    let named = app.groups.named(&*reference(&snapshot)?, group)?;
    let asked = Asked {
        symbols: Vec::new(),
        groups: vec![named],
        start: None,
        end: None,
        as_of: None,
        at_sequence: None,
        due: clock::now(),
        vintage: Vintage::Final,
        reasons: true,
        columns: None,
    };
    let which = match mode {
        Mode::Exact => Which::Starting(ts),
        Mode::Latest => Which::AvailableAt(ts),
    };
    let seek = Seek { snapshot: &snapshot, asked: &asked, instrument };
    let (_, found) = seek.find(which).map_err(failed)?;
    Ok(found.map(|piece| words(&piece, 0, snapshot.sequence().get(), RowFlags::default())))
}

/// The words of a slot. `flags` are those that the piece does not know of.
pub(crate) fn words(
    piece: &FeaturePiece,
    slot: usize,
    at_sequence: u64,
    flags: RowFlags,
) -> Vec<u64> {
    let provisional = piece.provisional[slot].then_some(RowFlags::PROVISIONAL);
    let head = RowHead {
        ts: piece.ts[slot],
        ts_end: piece.ts_end[slot],
        available_at: piece.available_at[slot],
        known_at: piece.known_at[slot],
        sequence: piece.sequence[slot],
        at_sequence,
        session: piece.session[slot],
        flags: provisional.map_or(flags, |provisional| flags.with(provisional)),
    };
    let layout = RowLayout::new(piece.cells.len());
    let mut words = vec![0; layout.words()];
    let cells = piece.cells.iter().map(|column| {
        let code = usize::from(column.reasons()[slot]);
        let reason = Reason::ALL.get(code).copied();
        (reason.expect("invariant: the engine knows its reasons"), column.values()[slot])
    });
    head.encode(layout, cells, &mut words);
    words
}

/// The slot of a row that the server itself has made.
pub(crate) fn piece_of(row: Row<'_>) -> FeaturePiece {
    let head = row.head();
    let cell = |at| {
        let mut column = Column::new();
        column.push(match row.value(at) {
            Some(value) => Cell::number(value),
            None => Cell::null(row.reason(at).expect("invariant: the server knows its reasons")),
        });
        column
    };
    FeaturePiece {
        ts: vec![head.ts],
        ts_end: vec![head.ts_end],
        available_at: vec![head.available_at],
        session: vec![head.session],
        known_at: vec![head.known_at],
        sequence: vec![head.sequence],
        provisional: vec![head.flags.has(RowFlags::PROVISIONAL)],
        coverage: vec![row.coverage()],
        cells: (0..row.len()).map(cell).collect(),
    }
}
