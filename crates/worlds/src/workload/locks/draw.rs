//! What clients that lock come to ask.

use ombak_base::{NodeId, Tick};
use ombak_paxos::locks::Mode;
use ombak_sim::{Rng, World};

use super::{Client, Locks, PRINTERS};
use crate::cluster::Cluster;
use crate::script::Locking;

/// Those that are asked for, the ones that exclude others more often.
const MODES: [Mode; 8] =
    [Mode::NL, Mode::CR, Mode::CW, Mode::PR, Mode::PR, Mode::PW, Mode::EX, Mode::EX];
/// Some last for less than a node is missed.
const LEASES_MS: [u32; 4] = [300, 1_000, 3_000, 8_000];
/// Nobody waits longer for an answer before he asks elsewhere.
const PATIENCE_MS: u64 = 1_000;

impl Locks {
    /// How many clients lock in this run.
    pub fn draw_clients(&mut self) -> usize {
        self.rng.between(3, 6) as usize
    }

    /// From now on, what is drawn comes from this seed.
    pub fn draw_from(&mut self, rng: Rng) {
        self.rng = rng;
    }

    /// Where a client asks.
    pub fn draw_node(&mut self, world: &World<Cluster>) -> Option<NodeId> {
        let up: Vec<NodeId> = world.node_ids().filter(|node| world.is_up(*node)).collect();
        self.rng.pick(&up).copied()
    }

    /// What a client does now, if anything.
    pub fn draw(&mut self, client: usize, now: Tick) -> Option<Locking> {
        if !self.rng.chance(1, 2) {
            return None;
        }
        let known = self.clients.entry(client).or_default();
        if now < known.asleep {
            return None;
        }
        if self.rng.chance(1, 80) {
            known.asleep = now.plus_ms(self.rng.between(200, 5_000));
            return None;
        }
        let known = known.clone();
        match &known.pending {
            Some(pending) => {
                let waits = |sent: Tick| now.since(sent) < PATIENCE_MS * 1_000;
                let is_waiting = pending.sent.is_some_and(|(_, sent)| waits(sent));
                (!is_waiting).then_some(Locking::Again)
            }
            None if known.session.is_none() => self.draw_session(),
            None => self.draw_locking(&known),
        }
    }

    fn draw_session(&mut self) -> Option<Locking> {
        let lease_ms = self.rng.pick(&LEASES_MS).copied()?;
        Some(Locking::Session { lease_ms })
    }

    fn draw_locking(&mut self, client: &Client) -> Option<Locking> {
        let held: Vec<usize> = client.held.keys().copied().collect();
        let held = self.rng.pick(&held).copied();
        let drawn = self.rng.below(10);
        let writes = self.rng.chance(2, 3);
        match (drawn, held) {
            (0, _) => self.draw_session(),
            (1..=4, Some(printer)) => Some(Locking::Use(printer)),
            (5 | 6, Some(printer)) => Some(Locking::Unlock { printer, writes }),
            _ => {
                let printer = self.rng.below(PRINTERS as u64) as usize;
                let mode = self.rng.pick(&MODES).copied()?;
                let wait_ms = self.rng.between(50, 2_000) as u32;
                let wait_ms = self.rng.chance(3, 4).then_some(wait_ms);
                Some(Locking::Lock { printer, mode, wait_ms, writes })
            }
        }
    }
}
