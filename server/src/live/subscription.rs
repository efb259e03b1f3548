//! Which updates a client is told of, and how far it is: the same for the feed and for streams of
//! events.

use std::collections::BTreeSet;
use std::sync::Arc;

use barrow_protocol::frame::{Reply, ResyncReason, Subscribe, Symbols, Token};

use super::ring::{Batch, Bounds, Entry, Lagged, NoPlace, Position, UpdateKind};
use super::{Live, LiveGroup, Ring};

/// A client's wish to be told of some groups, in the order of all updates.
pub(crate) struct Subscription {
    /// At least one.
    wishes: Vec<Wish>,
    corrections: bool,
    forming: bool,
    position: Position,
    /// What has been passed over since the client was last given a token.
    passed: Passed,
}

/// What of a group.
pub(crate) struct Wish {
    /// The handle of the group.
    group: u32,
    /// `None`: all symbols.
    symbols: Option<Chosen>,
}

/// Some symbols of a group.
struct Chosen {
    /// By number, a bit for each symbol.
    bits: Vec<u64>,
    later: Option<Later>,
}

/// Symbols that are known by their names and may have no number yet.
struct Later {
    group: Arc<LiveGroup>,
    names: BTreeSet<Arc<str>>,
    /// The names of those below have been looked at.
    looked: u32,
}

impl Chosen {
    fn place(symbol: u32) -> (usize, u64) {
        let word = usize::try_from(symbol / u64::BITS).unwrap_or(usize::MAX);
        (word, 1 << (symbol % u64::BITS))
    }

    fn add(&mut self, symbol: u32) {
        let (word, bit) = Self::place(symbol);
        if self.bits.len() <= word {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= bit;
    }

    fn has(&mut self, symbol: u32) -> bool {
        // A symbol has its number before anybody is told of it.
        while let Some(later) = &mut self.later
            && later.looked <= symbol
        {
            let looked = later.looked;
            later.looked += 1;
            let name = later.group.name_of(looked);
            if name.is_some_and(|name| later.names.contains(&name)) {
                self.add(looked);
            }
        }
        let (word, bit) = Self::place(symbol);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

impl Wish {
    /// All symbols of a group, or those of these names, also such as get their numbers later.
    pub(crate) fn new(group: &Arc<LiveGroup>, names: Option<BTreeSet<Arc<str>>>) -> Self {
        let later = |names| Later { group: Arc::clone(group), names, looked: 0 };
        let chosen = |names| Chosen { bits: Vec::new(), later: Some(later(names)) };
        Self { group: group.handle, symbols: names.map(chosen) }
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    updates: usize,
    bytes: usize,
}

/// What was made for a client.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Made {
    /// Frames.
    pub(crate) frames: u64,
    /// Times that it was too slow.
    pub(crate) lagged: u64,
}

impl Subscription {
    /// Of some groups, at least one, from `position` on; rows that were corrected and those that
    /// form only if they are wanted.
    pub(crate) fn new(
        wishes: Vec<Wish>,
        (corrections, forming): (bool, bool),
        position: Position,
    ) -> Self {
        Self { wishes, corrections, forming, position, passed: Passed::default() }
    }

    /// As a frame asks, from `position` on.
    pub(crate) fn asked(asked: &Subscribe<'_>, position: Position) -> Self {
        let symbols = match asked.symbols {
            Symbols::All => None,
            Symbols::These(these) => {
                let mut chosen = Chosen { bits: Vec::new(), later: None };
                these.iter().for_each(|symbol| chosen.add(symbol));
                Some(chosen)
            }
        };
        let wishes = vec![Wish { group: asked.group, symbols }];
        Self::new(wishes, (asked.corrections, asked.forming), position)
    }

    /// Whether it is of the group with this handle.
    pub(crate) fn is_of(&self, group: u32) -> bool {
        self.wishes.iter().any(|wish| wish.group == group)
    }

    fn wants(&mut self, entry: &Entry) -> bool {
        let wish = self.wishes.iter_mut().find(|wish| wish.group == entry.group);
        let Some(wish) = wish else { return false };
        let is_of_kind = match entry.kind {
            UpdateKind::Closed => true,
            UpdateKind::Corrected => self.corrections,
            UpdateKind::Forming => self.forming,
            UpdateKind::Rebuilt => return true,
        };
        is_of_kind && wish.symbols.as_mut().is_none_or(|symbols| symbols.has(entry.symbol))
    }

    /// Appends what there is for the client, until `out` has `out_len_max` bytes or a little more.
    pub(crate) fn pump(&mut self, ring: &Ring, out: &mut Vec<u8>, out_len_max: usize) -> Made {
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
                    for wish in &self.wishes {
                        resync(wish.group, ResyncReason::Slow, token, out);
                        made.frames += 1;
                    }
                    made.lagged += 1;
                }
            }
        }
        made
    }

    fn copy(&mut self, batch: &Batch, bounds: Bounds, out: &mut Vec<u8>) -> u64 {
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
            let reply = Reply::Progress { group: self.wishes[0].group, token: last.token };
            reply.encode(0, out).expect("invariant: the frame is short");
            self.passed = Passed::default();
            frames += 1;
        }
        frames
    }
}

/// Where updates begin, and why some were left out, if so.
pub(crate) fn begin(
    live: &Live,
    resume: Option<([u8; 16], Token)>,
) -> (Token, Position, Option<ResyncReason>) {
    let ring = live.ring();
    let anew = |reason| {
        let (token, position) = ring.newest();
        (token, position, reason)
    };
    let Some((instance, token)) = resume else { return anew(None) };
    if instance != live.identity().instance {
        return anew(Some(ResyncReason::Unknown));
    }
    match ring.position_of(token) {
        Ok(position) => (token, position, None),
        Err(NoPlace::Old) => anew(Some(ResyncReason::Old)),
        Err(NoPlace::Unknown) => anew(Some(ResyncReason::Unknown)),
    }
}

/// Tells a client to read the latest rows.
pub(crate) fn resync(group: u32, reason: ResyncReason, token: Token, out: &mut Vec<u8>) {
    let reply = Reply::Resync { group, reason: Some(reason), token };
    reply.encode(0, out).expect("invariant: the frame is short");
}
