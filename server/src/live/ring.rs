//! The newest updates, kept once for all who are told of them.
//!
//! One [`Publisher`] writes; readers have positions of their own and are never waited for: what
//! is over the bounds is dropped at the old end, and a reader who was there is [`Lagged`].
//!
//! ```text
//!  floor                                             newest
//!    | chunk 7: update update | chunk 8: update ... |
//!              ^ position (7, 1)                     ^ end (9, 0)
//! ```
//!
//! An update is encoded once. A chunk holds the frames of some updates one behind the other, so
//! that a reader who wants all of them copies one piece.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use barrow_protocol::frame::{Reply, ResyncReason, Token, Update, Words};
use parking_lot::RwLock;
use tokio::sync::watch;

/// Frames are gathered into chunks of about this many bytes.
const CHUNK_BYTES: usize = 64 << 10;

/// What an entry of the ring tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum UpdateKind {
    /// The first row of a slot that is due.
    Closed,
    /// A row that takes the place of another of the same slot.
    Corrected,
    /// The row of a slot that is not due.
    Forming,
    /// The rows of the group were made anew: all of its readers begin anew.
    Rebuilt,
}

/// One frame of a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The handle of the group.
    pub(crate) group: u32,
    /// The number of the symbol; 0 of [`UpdateKind::Rebuilt`].
    pub(crate) symbol: u32,
    /// What it tells.
    pub(crate) kind: UpdateKind,
    /// Where it stands among all updates.
    pub(crate) token: Token,
    /// Its frame among the bytes of the chunk.
    pub(crate) frame: Range<usize>,
}

/// Updates that were published together.
#[derive(Debug, Default)]
pub(crate) struct Chunk {
    /// What there is, in order.
    pub(crate) entries: Vec<Entry>,
    /// Their frames, one behind the other.
    pub(crate) bytes: Vec<u8>,
}

impl Chunk {
    /// What it counts for against the bound of bytes.
    fn cost(&self) -> usize {
        self.bytes.len() + self.entries.len() * size_of::<Entry>()
    }
}

/// How much is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Most updates.
    pub(crate) updates_max: usize,
    /// Most bytes; one chunk is kept whatever its size.
    pub(crate) bytes_max: usize,
}

/// What a reader reads next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    chunk: u64,
    entry: usize,
}

/// What a reader should have read next is not kept any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lagged {
    /// The oldest that is kept.
    pub(crate) oldest: Position,
}

/// Why there is no place for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// What follows it is not kept any more, or came before the server's start.
    Old,
    /// Nothing like it has been said.
    Unknown,
}

/// Some updates for a reader: those of a chunk from a place on.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    chunk: Arc<Chunk>,
    from: usize,
    /// Where to go on.
    pub(crate) next: Position,
}

impl Batch {
    /// The updates.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.chunk.entries[self.from..]
    }

    /// The bytes of the chunk, which the frames of entries are ranges of.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.chunk.bytes
    }
}

struct Kept {
    chunks: VecDeque<Arc<Chunk>>,
    /// The number of the first chunk.
    first: u64,
    updates: usize,
    bytes: usize,
    /// All before and including this is not kept.
    floor: Token,
    /// The last that was published, or the floor.
    newest: Token,
}

impl Kept {
    fn end(&self) -> u64 {
        self.first + self.chunks.len() as u64
    }

    const fn oldest(&self) -> Position {
        Position { chunk: self.first, entry: 0 }
    }

    fn place(&self, chunk: u64) -> usize {
        usize::try_from(chunk - self.first).expect("invariant: chunks fit into memory")
    }
}

/// The newest updates.
pub(crate) struct Ring {
    kept: RwLock<Kept>,
    bounds: Bounds,
    /// Counts what was published, to wake readers.
    published: watch::Sender<u64>,
}

impl Ring {
    /// Nothing yet; everything up to and including the record `sequence` is in the latest rows.
    pub(crate) fn new(bounds: Bounds, sequence: u64) -> Arc<Self> {
        let floor = Token { sequence, index: u32::MAX };
        let kept =
            Kept { chunks: VecDeque::new(), first: 0, updates: 0, bytes: 0, floor, newest: floor };
        Arc::new(Self { kept: RwLock::new(kept), bounds, published: watch::Sender::new(0) })
    }

    /// How much is kept.
    pub(crate) const fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// The token of the last update, and the position behind it.
    pub(crate) fn newest(&self) -> (Token, Position) {
        let kept = self.kept.read();
        (kept.newest, Position { chunk: kept.end(), entry: 0 })
    }

    /// The updates at `position`; `None` if there are none yet.
    pub(crate) fn read(&self, position: Position) -> Result<Option<Batch>, Lagged> {
        let kept = self.kept.read();
        if position < kept.oldest() {
            return Err(Lagged { oldest: kept.oldest() });
        }
        if position.chunk >= kept.end() {
            return Ok(None);
        }
        let chunk = Arc::clone(&kept.chunks[kept.place(position.chunk)]);
        let next = Position { chunk: position.chunk + 1, entry: 0 };
        Ok(Some(Batch { chunk, from: position.entry, next }))
    }

    /// The position of the first update behind `token`.
    pub(crate) fn position_of(&self, token: Token) -> Result<Position, NoPlace> {
        let kept = self.kept.read();
        if token < kept.floor {
            return Err(NoPlace::Old);
        }
        if token > kept.newest {
            return Err(NoPlace::Unknown);
        }
        let last = |chunk: &Arc<Chunk>| chunk.entries.last().map(|entry| entry.token);
        let chunk = kept.chunks.partition_point(|chunk| last(chunk) <= Some(token));
        let entry = kept
            .chunks
            .get(chunk)
            .map_or(0, |chunk| chunk.entries.partition_point(|entry| entry.token <= token));
        Ok(Position { chunk: kept.first + chunk as u64, entry })
    }

    /// Is told whenever something is published.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.published.subscribe()
    }

    fn push(&self, chunk: Chunk) {
        let Some(last) = chunk.entries.last() else { return };
        let mut kept = self.kept.write();
        kept.newest = last.token;
        kept.updates += chunk.entries.len();
        kept.bytes += chunk.cost();
        kept.chunks.push_back(Arc::new(chunk));
        let Bounds { updates_max, bytes_max } = self.bounds;
        while kept.chunks.len() > 1 && (kept.updates > updates_max || kept.bytes > bytes_max) {
            let Some(oldest) = kept.chunks.pop_front() else { break };
            kept.first += 1;
            kept.updates -= oldest.entries.len();
            kept.bytes -= oldest.cost();
            if let Some(last) = oldest.entries.last() {
                kept.floor = last.token;
            }
        }
        drop(kept);
        self.published.send_modify(|count| *count += 1);
    }
}

/// The one who writes the ring.
///
/// Updates of a record come together and in a fixed order, records in theirs. Readers see them
/// when [`Publisher::flush`] is called, or earlier: so each row is in the table of its group
/// before its update is published.
pub(crate) struct Publisher {
    ring: Arc<Ring>,
    chunk: Chunk,
    next: Token,
}

impl Publisher {
    /// The writer of a ring that nobody else writes.
    pub(crate) fn new(ring: Arc<Ring>) -> Self {
        let next = ring.newest().0;
        Self { ring, chunk: Chunk::default(), next }
    }

    /// A new row of a symbol, after the record `sequence`.
    ///
    /// # Panics
    /// If a later record, or one that was there at the start, has been published.
    pub(crate) fn update(
        &mut self,
        sequence: u64,
        (group, symbol): (u32, u32),
        kind: UpdateKind,
        row: &[u64],
    ) {
        let token = self.token(sequence);
        let row = Words::of(row);
        self.push(
            Reply::Update(Update { group, symbol, token, row }),
            (group, symbol),
            kind,
            token,
        );
    }

    /// The rows of a group were made anew: its readers are told to read the latest ones.
    ///
    /// # Panics
    /// As [`Self::update`].
    pub(crate) fn rebuilt(&mut self, sequence: u64, group: u32) {
        let token = self.token(sequence);
        let reason = Some(ResyncReason::Rebuilt);
        let reply = Reply::Resync { group, reason, token };
        self.push(reply, (group, 0), UpdateKind::Rebuilt, token);
    }

    fn token(&mut self, sequence: u64) -> Token {
        assert!(sequence >= self.next.sequence, "invariant: records come in order");
        if sequence > self.next.sequence {
            self.next = Token { sequence, index: 0 };
        }
        let token = self.next;
        self.next.index =
            token.index.checked_add(1).expect("invariant: records at the start are not published");
        token
    }

    fn push(
        &mut self,
        reply: Reply<'_>,
        (group, symbol): (u32, u32),
        kind: UpdateKind,
        token: Token,
    ) {
        let start = self.chunk.bytes.len();
        reply.encode(0, &mut self.chunk.bytes).expect("invariant: a row fits into a frame");
        let frame = start..self.chunk.bytes.len();
        self.chunk.entries.push(Entry { group, symbol, kind, token, frame });
        if self.chunk.bytes.len() >= CHUNK_BYTES {
            self.flush();
        }
    }

    /// Shows readers what was published.
    pub(crate) fn flush(&mut self) {
        self.ring.push(std::mem::take(&mut self.chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: [u64; 7] = [0; 7];

    fn ring(updates_max: usize) -> (Arc<Ring>, Publisher) {
        let ring = Ring::new(Bounds { updates_max, bytes_max: 1 << 20 }, 10);
        (Arc::clone(&ring), Publisher::new(ring))
    }

    fn publish(publisher: &mut Publisher, sequence: u64, symbols: std::ops::Range<u32>) {
        for symbol in symbols {
            publisher.update(sequence, (1, symbol), UpdateKind::Closed, &ROW);
        }
        publisher.flush();
    }

    /// `sequence.index` of all from `position` on.
    fn read(ring: &Ring, mut position: Position) -> Result<Vec<String>, Lagged> {
        let mut found = Vec::new();
        while let Some(batch) = ring.read(position)? {
            for Entry { token, .. } in batch.entries() {
                found.push(format!("{}.{}", token.sequence, token.index));
            }
            position = batch.next;
        }
        Ok(found)
    }

    fn token(sequence: u64, index: u32) -> Token {
        Token { sequence, index }
    }

    #[test]
    fn a_reader_gets_what_comes_after_it_in_order() {
        let (ring, mut publisher) = ring(100);
        let (newest, start) = ring.newest();
        assert_eq!(newest, token(10, u32::MAX));
        assert_eq!(read(&ring, start).unwrap(), [""; 0]);
        publish(&mut publisher, 11, 0..2);
        publish(&mut publisher, 13, 0..1);
        assert_eq!(read(&ring, start).unwrap(), ["11.0", "11.1", "13.0"]);
        let (newest, end) = ring.newest();
        assert_eq!(newest, token(13, 0));
        assert_eq!(read(&ring, end).unwrap(), [""; 0]);
        // More updates after the same record go on where it was.
        publish(&mut publisher, 13, 4..5);
        assert_eq!(read(&ring, end).unwrap(), ["13.1"]);
    }

    #[test]
    fn a_token_is_resumed_behind_it_wherever_it_stands() {
        let (ring, mut publisher) = ring(100);
        let from = |token| ring.position_of(token).map(|position| read(&ring, position).unwrap());
        let (start, _) = ring.newest();
        assert_eq!(from(start), Ok(vec![]));
        publish(&mut publisher, 11, 0..3);
        publish(&mut publisher, 12, 0..2);
        let all = ["11.0", "11.1", "11.2", "12.0", "12.1"].map(str::to_owned);
        assert_eq!(from(start).unwrap(), all);
        let tokens = [(11, 0), (11, 1), (11, 2), (12, 0), (12, 1)];
        for (seen, (sequence, index)) in (1..).zip(tokens) {
            assert_eq!(from(token(sequence, index)).unwrap(), all[seen..]);
        }
        // Of records in between as of the last update before.
        assert_eq!(from(token(11, u32::MAX)).unwrap(), all[3..]);
        assert_eq!(from(token(12, 2)), Err(NoPlace::Unknown));
        assert_eq!(from(token(99, 0)), Err(NoPlace::Unknown));
        assert_eq!(from(token(10, 0)), Err(NoPlace::Old));
    }

    #[test]
    fn who_is_behind_the_oldest_has_lagged_and_nobody_waits() {
        let (ring, mut publisher) = ring(3);
        let (seen, start) = ring.newest();
        publish(&mut publisher, 11, 0..2);
        assert_eq!(read(&ring, start).unwrap().len(), 2);
        publish(&mut publisher, 12, 0..2);
        let Err(Lagged { oldest }) = read(&ring, start) else { panic!("two of four were dropped") };
        assert_eq!(read(&ring, oldest).unwrap(), ["12.0", "12.1"]);
        assert_eq!(ring.position_of(seen), Err(NoPlace::Old));
        assert_eq!(ring.position_of(token(11, 0)), Err(NoPlace::Old));
        assert_eq!(ring.position_of(token(11, 1)), Ok(oldest));
        // A chunk above the bound is kept alone.
        publish(&mut publisher, 13, 0..9);
        let (_, end) = ring.newest();
        assert_eq!(read(&ring, ring.position_of(token(12, 1)).unwrap()).unwrap().len(), 9);
        assert!(read(&ring, oldest).is_err());
        assert_eq!(read(&ring, end).unwrap(), [""; 0]);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let ring = Ring::new(Bounds { updates_max: usize::MAX, bytes_max: 1_000 }, 0);
        let mut publisher = Publisher::new(Arc::clone(&ring));
        for sequence in 1..100 {
            publish(&mut publisher, sequence, 0..1);
        }
        let kept = ring.kept.read();
        assert!(kept.bytes <= 1_000 && kept.chunks.len() > 1, "{}", kept.bytes);
        assert_eq!(kept.bytes, kept.chunks.iter().map(|chunk| chunk.cost()).sum::<usize>());
        assert_eq!(kept.updates, kept.chunks.len());
    }

    #[test]
    fn frames_lie_one_behind_the_other_and_chunks_stay_small() {
        use barrow_protocol::frame::Header;

        let (ring, mut publisher) = ring(10_000);
        let (_, mut position) = ring.newest();
        for symbol in 0..2_000 {
            publisher.update(11, (1, symbol), UpdateKind::Forming, &ROW);
        }
        publisher.rebuilt(11, 1);
        publisher.flush();
        let mut count = 0;
        let mut chunks = 0;
        while let Some(batch) = ring.read(position).unwrap() {
            let mut end = 0;
            for entry in batch.entries() {
                assert_eq!(entry.frame.start, end);
                end = entry.frame.end;
                let bytes = &batch.bytes()[entry.frame.clone()];
                let header = Header::read(bytes).unwrap().unwrap();
                assert_eq!(header.frame_len(), bytes.len());
                let reply = Reply::decode(header, &bytes[bytes.len() - header.body_len()..]);
                let token = match reply.unwrap() {
                    Reply::Update(update) => {
                        assert_eq!((update.group, update.symbol), (1, entry.symbol));
                        update.token
                    }
                    Reply::Resync { token, reason: Some(ResyncReason::Rebuilt), .. } => token,
                    other => panic!("{other:?}"),
                };
                assert_eq!(token, entry.token);
                count += 1;
            }
            assert_eq!(end, batch.bytes().len());
            chunks += 1;
            position = batch.next;
        }
        assert_eq!(count, 2_001);
        assert!(chunks > 2, "{chunks}");
    }
}
