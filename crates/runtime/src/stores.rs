//! How long it takes until what was stored is durable: one entry for each turn that stored something.

use std::collections::VecDeque;

use ombak_base::{Stamp, Tick};

use crate::histogram::HistogramCells;

/// Stores of one turn.
struct Turn {
    last: Stamp,
    at: Tick,
    stores: u64,
}

/// What has been stored and is not durable yet, in order.
#[derive(Default)]
pub(crate) struct Stores {
    turns: VecDeque<Turn>,
}

impl Stores {
    pub fn stored(&mut self, stamp: Stamp, now: Tick) {
        match self.turns.back_mut() {
            Some(turn) if turn.at == now => {
                turn.last = stamp;
                turn.stores += 1;
            }
            _ => self.turns.push_back(Turn { last: stamp, at: now, stores: 1 }),
        }
    }

    pub fn durable(&mut self, upto: Stamp, now: Tick, into: &HistogramCells) {
        while let Some(turn) = self.turns.pop_front_if(|turn| turn.last <= upto) {
            into.record(now.since(turn.at), turn.stores);
        }
    }

    /// None of it will be.
    pub fn clear(&mut self) {
        self.turns.clear();
    }
}
