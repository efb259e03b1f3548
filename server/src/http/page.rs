//! A page of an answer: so many rows, and where they end.

use barrow_engine::Error;
use barrow_types::Timestamp;

use super::columns::Piece;
use super::cursor::Position;
use super::stream::Pieces;

/// The first `limit` rows of `reader`, and where they end if more follow.
///
/// # Errors
/// Stored bytes cannot be read.
pub(crate) fn page(
    reader: &mut impl Pieces,
    limit: usize,
    resume: Option<Position>,
) -> Result<(Vec<Piece>, Option<Position>), Error> {
    let mut pieces = Vec::new();
    let mut len = 0;
    let mut last = resume;
    while let Some(piece) = reader.next()? {
        if len == limit {
            return Ok((pieces, last));
        }
        let found = piece.rows.len();
        let piece = piece.truncate(limit - len);
        len += piece.rows.len();
        last = Some(position_behind(&piece, last));
        let cut = piece.rows.len() < found;
        pieces.push(piece);
        if cut {
            return Ok((pieces, last));
        }
    }
    Ok((pieces, None))
}

/// Where an answer stands behind `piece`, if it stood at `before` when the piece began.
fn position_behind(piece: &Piece, before: Option<Position>) -> Position {
    let ts = *piece.rows.ts.last().expect("invariant: pieces are never empty");
    let same = piece.rows.ts.iter().rev().take_while(|other| **other == ts).count();
    let ts = Timestamp::from_nanos(ts);
    let earlier = match before {
        Some(before)
            if same == piece.rows.len() && before.ts == ts && before.symbol == piece.symbol =>
        {
            before.sent
        }
        _ => 0,
    };
    let same = u32::try_from(same).expect("invariant: a piece is small");
    Position { symbol: piece.symbol, ts, sent: earlier + same }
}
