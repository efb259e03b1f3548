//! Answers in pages: so many rows, and where they end.

use barrow_engine::{Error, Snapshot};
use barrow_types::{Sequence, Timestamp};

use super::columns::{Layout, Piece};
use super::cursor::{Cursor, Position};
use super::encode::Trailer;
use super::error::Problem;
use super::params::Params;
use super::stream::Pieces;

/// Which part of an answer is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    /// What a cursor is bound to.
    pub(super) hash: u64,
    limit: Option<usize>,
    cursor: Option<Cursor>,
}

impl Paging {
    /// `limit` and `cursor` of a question of that hash.
    ///
    /// # Errors
    /// A page is not that large; the cursor is none of this question.
    pub(crate) fn read(params: &Params, hash: u64, page_rows_max: u32) -> Result<Self, Problem> {
        let page = 1..=u64::from(page_rows_max);
        let limit = params.integer("limit")?;
        if limit.is_some_and(|limit| !page.contains(&limit)) {
            let fault = format!(
                "is not 1 to {page_rows_max}; without limit everything comes in one answer"
            );
            return Err(Problem::parameter("limit", fault));
        }
        Ok(Self {
            hash,
            limit: limit.map(|limit| usize::try_from(limit).unwrap_or(usize::MAX)),
            cursor: params.read("cursor", |text| Cursor::decode(text, hash))?,
        })
    }

    /// The last record that the answer is about. Every page is of the snapshot that the first one
    /// was of: behind the first `at_sequence` becomes its.
    ///
    /// # Errors
    /// The cursor is of a store with newer rows.
    pub(crate) fn fix(
        &self,
        snapshot: &Snapshot,
        at_sequence: &mut Option<Sequence>,
    ) -> Result<u64, Problem> {
        let newest = snapshot.sequence().get();
        match self.cursor {
            Some(cursor) if cursor.sequence > newest => {
                let fault = "is of a store with newer rows than this one";
                Err(Problem::parameter("cursor", fault))
            }
            Some(cursor) => {
                *at_sequence = Some(Sequence::new(cursor.sequence));
                Ok(cursor.sequence)
            }
            None => Ok(at_sequence.map_or(newest, |asked| asked.get().min(newest))),
        }
    }

    /// Where the page before ended.
    pub(crate) fn resume(&self) -> Option<Position> {
        self.cursor.map(|cursor| cursor.position)
    }

    /// What is sent of `reader`, which begins behind [`Self::resume`]; the trailer tells where a
    /// page ends that is not the last.
    ///
    /// # Errors
    /// Stored bytes cannot be read.
    pub(crate) fn cut<R: Pieces>(
        &self,
        mut reader: R,
        trailer: &mut Trailer,
    ) -> Result<Paged<R>, Problem> {
        let Some(limit) = self.limit else { return Ok(Paged { reader, page: None }) };
        let cut = page(&mut reader, limit, self.resume());
        let (pieces, more) = cut.map_err(|error| Problem::read(&error))?;
        let (query, sequence) = (self.hash, trailer.sequence);
        trailer.cursor = more.map(|position| Cursor { query, sequence, position }.encode());
        Ok(Paged { reader, page: Some(pieces.into_iter()) })
    }
}

/// All of an answer, or a page of it.
pub(crate) struct Paged<R> {
    reader: R,
    page: Option<std::vec::IntoIter<Piece>>,
}

impl<R: Pieces> Pieces for Paged<R> {
    fn layout(&self) -> &Layout {
        self.reader.layout()
    }

    fn next(&mut self) -> Result<Option<Piece>, Error> {
        match &mut self.page {
            Some(page) => Ok(page.next()),
            None => self.reader.next(),
        }
    }
}

/// The first `limit` rows of `reader`, and where they end if more follow.
fn page(
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
