//! The rows of all symbols for one slot.

use barrow_protocol::table::{ReadError, SymbolName, TableReader};
use barrow_protocol::{Row, RowLayout};

use super::map::ReadMap;

/// What one slot was read into; kept, so that the next takes no memory.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    /// The rows, one behind the other.
    words: Vec<u64>,
    /// Whose they are.
    present: Vec<usize>,
    missing: Vec<usize>,
    busy: Vec<usize>,
}

impl Buffers {
    pub(super) fn fill(
        &mut self,
        reader: &TableReader<ReadMap>,
        ts: i64,
        row: &mut [u64],
    ) -> Result<(), ReadError> {
        let Self { words, present, missing, busy } = self;
        words.clear();
        for list in [&mut *present, missing, busy] {
            list.clear();
        }
        let read = reader.read_slot(ts, row, |index, row| match row {
            Ok(row) => {
                words.extend_from_slice(row.words());
                present.push(index);
            }
            Err(ReadError::Busy) => busy.push(index),
            Err(_) => missing.push(index),
        });
        read.map(|_| ())
    }
}

/// The rows of all symbols for one slot.
#[derive(Clone, Copy, Debug)]
pub struct SlotRows<'a> {
    reader: &'a TableReader<ReadMap>,
    buffers: &'a Buffers,
}

impl<'a> SlotRows<'a> {
    pub(super) const fn new(reader: &'a TableReader<ReadMap>, buffers: &'a Buffers) -> Self {
        Self { reader, buffers }
    }

    fn layout(&self) -> RowLayout {
        self.reader.layout().row()
    }

    /// The rows, with the index of the symbol that each is of, in its order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = (usize, Row<'a>)> + use<'a> {
        let layout = self.layout();
        let rows = self.buffers.words.chunks_exact(layout.words());
        let row = move |words| Row::new(layout, words).expect("invariant: a row long");
        self.buffers.present.iter().copied().zip(rows.map(row))
    }

    /// The symbols without a row of this slot: it has not closed for them, or two later ones have.
    pub fn missing(&self) -> &'a [usize] {
        &self.buffers.missing
    }

    /// The symbols whose rows were being written each time: read again.
    pub fn busy(&self) -> &'a [usize] {
        &self.buffers.busy
    }

    /// The name of a symbol; `None` if there is none of that index.
    pub fn symbol(&self, index: usize) -> Option<SymbolName> {
        self.reader.symbol(index)
    }
}
