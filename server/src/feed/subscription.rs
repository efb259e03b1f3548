//! Which updates a client is told of, and how far it is.

use barrow_protocol::frame::{Reply, ResyncReason, Subscribe, Symbols, Token};

use crate::live::ring::{Bounds, Entry, Lagged, Position, UpdateKind};
use crate::live::{Ring, ring};

/// A client's wish to be told of a group.
pub(super) struct Subscription {
    /// The handle of the group.
    pub(super) group: u32,
    /// By number, a bit for each symbol; `None`: all.
    symbols: Option<Box<[u64]>>,
    corrections: bool,
    forming: bool,
    position: Position,
    /// What has been passed over since the client was last given a token.
    passed: Passed,
}

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    updates: usize,
    bytes: usize,
}

/// What was made for a client.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Made {
    /// Frames.
    pub(super) frames: u64,
    /// Times that it was too slow.
    pub(super) lagged: u64,
}

impl Subscription {
    /// As asked, from `position` on.
    pub(super) fn new(asked: &Subscribe<'_>, position: Position) -> Self {
        let symbols = match asked.symbols {
            Symbols::All => None,
            Symbols::These(these) => {
                let word = |index: u32| usize::try_from(index / u64::BITS).unwrap_or(usize::MAX);
                let words = these.iter().max().map_or(0, |max| word(max) + 1);
                let mut bits = vec![0_u64; words];
                for index in these.iter() {
                    bits[word(index)] |= 1 << (index % u64::BITS);
                }
                Some(bits.into())
            }
        };
        Self {
            group: asked.group,
            symbols,
            corrections: asked.corrections,
            forming: asked.forming,
            position,
            passed: Passed::default(),
        }
    }

    fn wants(&self, entry: &Entry) -> bool {
        let is_of_kind = match entry.kind {
            UpdateKind::Closed => true,
            UpdateKind::Corrected => self.corrections,
            UpdateKind::Forming => self.forming,
            UpdateKind::Rebuilt => return entry.group == self.group,
        };
        entry.group == self.group && is_of_kind && self.has(entry.symbol)
    }

    fn has(&self, symbol: u32) -> bool {
        let Some(bits) = &self.symbols else { return true };
        let word = usize::try_from(symbol / u64::BITS).ok().and_then(|word| bits.get(word));
        word.is_some_and(|word| word >> (symbol % u64::BITS) & 1 == 1)
    }

    /// Appends what there is for the client, until `out` has `out_len_max` bytes or a little more.
    pub(super) fn pump(&mut self, ring: &Ring, out: &mut Vec<u8>, out_len_max: usize) -> Made {
        let mut made = Made::default();
        while out.len() < out_len_max {
            match ring.read(self.position) {
                Ok(None) => break,
                Ok(Some(batch)) => {
                    made.frames += self.copy(&batch, ring.bounds(), out);
                    self.position = batch.next;
                }
                Err(Lagged { .. }) => {
                    let (token, position) = ring.newest();
                    self.position = position;
                    self.passed = Passed::default();
                    resync(self.group, ResyncReason::Slow, token, out);
                    made.frames += 1;
                    made.lagged += 1;
                }
            }
        }
        made
    }

    fn copy(&mut self, batch: &ring::Batch, bounds: Bounds, out: &mut Vec<u8>) -> u64 {
        let mut frames = 0;
        // Frames that lie side by side are copied together.
        let mut run = 0..0;
        for entry in batch.entries() {
            if !self.wants(entry) {
                self.passed.updates += 1;
                self.passed.bytes += entry.frame.len();
                continue;
            }
            if run.end != entry.frame.start {
                out.extend_from_slice(&batch.bytes()[run.clone()]);
                run.start = entry.frame.start;
            }
            run.end = entry.frame.end;
            frames += 1;
            self.passed = Passed::default();
        }
        out.extend_from_slice(&batch.bytes()[run]);
        // Else the token of who hears little would be too old to come back with.
        let Passed { updates, bytes } = self.passed;
        let is_far = updates > bounds.updates_max / 8 || bytes > bounds.bytes_max / 8;
        if let Some(last) = batch.entries().last().filter(|_| is_far) {
            let reply = Reply::Progress { group: self.group, token: last.token };
            reply.encode(0, out).expect("invariant: the frame is short");
            self.passed = Passed::default();
            frames += 1;
        }
        frames
    }
}

/// Tells a client to read the latest rows.
pub(super) fn resync(group: u32, reason: ResyncReason, token: Token, out: &mut Vec<u8>) {
    let reply = Reply::Resync { group, reason: Some(reason), token };
    reply.encode(0, out).expect("invariant: the frame is short");
}
