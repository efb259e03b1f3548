//! Rows that were answered.

use barrow_protocol::frame::{Absence, Rows};
use barrow_protocol::{Row, RowLayout};

use super::FeedError;

/// Rows of one group, one for each symbol that was asked for. Used again it allocates nothing.
#[derive(Clone, Debug)]
pub struct RowSet {
    layout: RowLayout,
    words: Vec<u64>,
    absent: Vec<Option<Absence>>,
}

impl Default for RowSet {
    fn default() -> Self {
        Self { layout: RowLayout::new(0), words: Vec::new(), absent: Vec::new() }
    }
}

impl RowSet {
    /// How many were asked for.
    pub const fn len(&self) -> usize {
        self.absent.len()
    }

    /// Whether none was asked for.
    pub const fn is_empty(&self) -> bool {
        self.absent.is_empty()
    }

    /// The row of the symbol that was asked for at this place.
    ///
    /// # Errors
    /// Why there is none.
    ///
    /// # Panics
    /// If not that many were asked for.
    pub fn get(&self, place: usize) -> Result<Row<'_>, Absence> {
        match self.absent[place] {
            Some(absence) => Err(absence),
            None => {
                let len = self.layout.words();
                let words = &self.words[place * len..][..len];
                Ok(Row::new(self.layout, words).expect("invariant: rows have one length"))
            }
        }
    }

    /// All, in the order they were asked for.
    pub fn iter(&self) -> impl Iterator<Item = Result<Row<'_>, Absence>> {
        (0..self.len()).map(|place| self.get(place))
    }

    pub(super) fn fill(&mut self, layout: RowLayout, rows: &Rows<'_>) -> Result<(), FeedError> {
        let len = layout.words();
        if usize::try_from(rows.row_words()) != Ok(len) {
            let text = format!("rows of {} words, not {len}", rows.row_words());
            return Err(FeedError::Decode(text));
        }
        self.layout = layout;
        self.absent.clear();
        self.words.resize(rows.len() * len, 0);
        // An empty row would have no words to stand in: rows have a head at least.
        for (row, place) in rows.iter().zip(self.words.chunks_exact_mut(len)) {
            self.absent.push(row.err());
            if let Ok(words) = row {
                words.copy_to(place);
            }
        }
        Ok(())
    }
}
