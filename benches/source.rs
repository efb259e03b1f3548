//! An endless run of small batches, each of the minutes after the last one's.

use barrow_engine::batch::Batch;

use crate::data::{Bars, Walk};
use crate::load;

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
    walks: Vec<Walk>,
    waiting: Vec<Bars>,
    at: usize,
    number: usize,
}

impl Source {
    /// Of the symbols from `first` on.
    pub fn new(shape: Shape, first: u32) -> Self {
        let walks = (first..first + shape.symbols).map(Walk::new).collect();
        Self { shape, first, walks, waiting: Vec::new(), at: 0, number: 0 }
    }

    /// The first symbol.
    pub fn first(&self) -> u32 {
        self.first
    }

    /// The next rows, symbol by symbol, and a batch id that no other has.
    pub fn bars(&mut self) -> (String, Bars) {
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
        for walk in &mut self.walks {
            let mut session = Bars::default();
            walk.session(&mut session);
            self.waiting.push(session);
        }
    }
}
