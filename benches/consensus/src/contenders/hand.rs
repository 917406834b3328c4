//! Replicas that do nothing by themselves: their messages are moved by hand, in one thread.

use anyhow::{Result, ensure};
use bytes::Bytes;

use super::{Contender, NODES};
use crate::journal::{Journal, sync_all};
use crate::tally::Tally;

/// A message, and whom it is for.
pub type Sent<M> = (usize, M);

/// One replica. What it is to keep it appends to its [`Journal`].
pub trait Node {
    type Message;

    /// Clients of this node ask for these. Only the first node is asked.
    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()>;

    fn receive(&mut self, from: usize, message: Self::Message) -> Result<()>;

    /// All that was appended to the journal is durable.
    fn synced(&mut self) -> Result<()>;

    /// Moves what may be sent now to `out`. What says that something is on the disk may not before it is.
    fn take_sent(&mut self, out: &mut Vec<Sent<Self::Message>>) -> Result<()>;

    /// Nothing is under way: a good time to forget what all have applied.
    fn rest(&mut self) -> Result<()>;

    fn tally(&self) -> Tally;
}

/// Three of them, the first of which leads.
pub struct Group<N: Node> {
    pub nodes: Vec<N>,
    journals: [Journal; NODES],
    sent: Vec<Sent<N::Message>>,
}

impl<N: Node> Group<N> {
    pub fn new(nodes: Vec<N>, journals: [Journal; NODES]) -> Group<N> {
        Group { nodes, journals, sent: Vec::new() }
    }

    /// Passes messages on until nobody has anything to say. `false`: nobody had.
    fn deliver(&mut self) -> Result<bool> {
        let mut was_quiet = true;
        loop {
            let mut is_quiet = true;
            for at in 0..NODES {
                self.nodes[at].take_sent(&mut self.sent)?;
                for (to, message) in self.sent.drain(..) {
                    is_quiet = false;
                    self.nodes[to].receive(at, message)?;
                }
            }
            if is_quiet {
                return Ok(!was_quiet);
            }
            was_quiet = false;
        }
    }

    /// Until nothing is left to do.
    pub fn settle(&mut self) -> Result<()> {
        loop {
            let was_said = self.deliver()?;
            let was_synced = sync_all(&self.journals);
            self.nodes.iter_mut().try_for_each(N::synced)?;
            if !(self.deliver()? || was_said || was_synced) {
                return Ok(());
            }
        }
    }
}

impl<N: Node> Contender for Group<N> {
    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        self.nodes[0].propose(commands)
    }

    fn turn(&mut self) -> Result<u64> {
        if self.journals[0].is_kept() {
            self.deliver()?;
            sync_all(&self.journals);
            self.nodes.iter_mut().try_for_each(N::synced)?;
            self.deliver()?;
        } else {
            self.settle()?; // A sync takes no time.
        }
        self.nodes.iter_mut().try_for_each(N::rest)?;
        Ok(self.nodes[0].tally().count)
    }

    fn finish(&mut self) -> Result<[Tally; NODES]> {
        self.settle()?;
        let tallies: Vec<Tally> = self.nodes.iter().map(N::tally).collect();
        ensure!(tallies.len() == NODES, "a node is missing");
        Ok([tallies[0], tallies[1], tallies[2]])
    }
}
