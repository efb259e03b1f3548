//! An endless run of small batches, each of the minutes after the last one's. Before they would
//! lie in the future, other symbols begin at the first session.

use std::ops::Range;

use barrow_engine::batch::Batch;

use crate::data::{Bars, Walk};
use crate::load;

/// Sessions of the same symbols, about.
const SESSIONS_MAX: u32 = 500;

/// From one set of symbols to the next: more than any program has at once.
const STRIDE: u32 = 10_000;

/// What each batch holds: `minutes` bars of each of `symbols` symbols.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many symbols.
    pub symbols: u32,
    /// How many minutes of each.
    pub minutes: usize,
}

/// See the module.
pub struct Source {
    shape: Shape,
    first: u32,
    sessions: u32,
    walks: Vec<Walk>,
    waiting: Vec<Bars>,
    at: usize,
    number: usize,
}

impl Source {
    /// Begins with the symbols from `first` on.
    pub fn new(shape: Shape, first: u32) -> Self {
        let walks = (first..first + shape.symbols).map(Walk::new).collect();
        Self { shape, first, sessions: 0, walks, waiting: Vec::new(), at: 0, number: 0 }
    }

    /// Numbers of the symbols of the batch that came last.
    pub fn symbols(&self) -> Range<u32> {
        self.first..self.first + self.shape.symbols
    }

    /// From now on a batch holds so many minutes.
    pub const fn set_minutes(&mut self, minutes: usize) {
        self.shape.minutes = minutes;
    }

    /// The next rows, symbol by symbol, and a batch id that no other has.
    pub fn bars(&mut self) -> (String, Bars) {
        if self.sessions >= SESSIONS_MAX {
            *self = Self { number: self.number, ..Self::new(self.shape, self.first + STRIDE) };
        }
        let mut by_symbol = vec![Bars::default(); self.walks.len()];
        for _ in 0..self.shape.minutes {
            if self.waiting.first().is_none_or(|session| session.len() <= self.at) {
                self.next_session();
            }
            for (bars, session) in by_symbol.iter_mut().zip(&self.waiting) {
                bars.push(session, self.at);
            }
            self.at += 1;
        }
        let mut all = Bars::default();
        for bars in &by_symbol {
            for at in 0..bars.len() {
                all.push(bars, at);
            }
        }
        self.number += 1;
        (format!("small{}-{}", self.first, self.number), all)
    }

    /// The next batch.
    pub fn batch(&mut self) -> Batch {
        let (id, bars) = self.bars();
        load::batch(id, &bars)
    }

    fn next_session(&mut self) {
        self.waiting.clear();
        self.at = 0;
        self.sessions += 1;
        for walk in &mut self.walks {
            let mut session = Bars::default();
            walk.session(&mut session);
            self.waiting.push(session);
        }
    }
}
