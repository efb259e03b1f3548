//! The cells of one slot, as live features have them.

use barrow_features::Cell;

use super::super::FeaturePiece;

/// The cells of one slot, and what there is to know of them. Times are nanoseconds since 1970 UTC.
#[derive(Clone, Debug, PartialEq)]
pub struct LiveRow {
    /// When the slot starts.
    pub ts: i64,
    /// When it ends.
    pub ts_end: i64,
    /// When its bar, and so its features, could first be had.
    pub available_at: i64,
    /// The date of its session, in days since 1970.
    pub session: i32,
    /// When the last of the rows was learned that its cells come from.
    pub known_at: i64,
    /// The last record that brought one of them.
    pub sequence: u64,
    /// Whether one of them may still change.
    pub provisional: bool,
    /// The cells of each feature, in the group's order.
    pub cells: Vec<Cell>,
}

impl LiveRow {
    /// The slot at a place of a piece.
    ///
    /// # Panics
    /// If the piece has no such slot.
    pub fn of_piece(piece: &FeaturePiece, at: usize) -> Self {
        Self {
            ts: piece.ts[at],
            ts_end: piece.ts_end[at],
            available_at: piece.available_at[at],
            session: piece.session[at],
            known_at: piece.known_at[at],
            sequence: piece.sequence[at],
            provisional: piece.provisional[at],
            cells: piece.cells.iter().map(|column| column.cell(at)).collect(),
        }
    }
}
