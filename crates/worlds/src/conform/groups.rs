//! The root group, as all its members have it: what is decided, who leads, and how far its tokens have come.
//!
//! None of this asks for all nodes, or for a recording from the start: what two members show must go together, whatever else there is.

use std::collections::BTreeMap;

use ombak_base::Address;
use ombak_node::Shard;
use ombak_paxos::locks::Token;
use ombak_paxos::log::{Glance, Mark, Monitor, Slot};

use super::{Nonconformity, Step};
use crate::locked::TOKENS;

/// What a step has changed in its shard's part of the root group.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub glance: Glance,
    /// The last that was given out, as of what is decided there. A witness knows none.
    pub token: Option<Token>,
}

impl Seen {
    /// Nothing, if there is no such part, or all is as it was at the mark.
    pub fn of(shard: &Shard, since: &mut Mark) -> Option<Seen> {
        let server = shard.root()?;
        let replica = server.replica()?;
        let before = std::mem::replace(since, replica.mark());
        if before == *since {
            return None;
        }
        let has_state = !replica.status().is_witness;
        let manager = server.manager().filter(|_| has_state);
        let token = manager.map(|manager| manager.last_token());
        Some(Seen { glance: replica.glance(before.committed), token })
    }
}

/// What all members have shown.
#[derive(Default)]
pub(super) struct Groups {
    monitor: Monitor,
    /// The last token that was given out by each slot.
    tokens: BTreeMap<Slot, (Address, Token)>,
}

impl Groups {
    /// Slots of which it was seen what is decided.
    pub fn decided(&self) -> u64 {
        self.monitor.decided()
    }

    pub fn note(&mut self, step: &Step) -> Result<(), Nonconformity> {
        let Some(Seen { glance, token }) = &step.root else { return Ok(()) };
        let seen = self.monitor.see(glance);
        seen.map_err(|why| step.broken(why.rule, why.detail))?;
        token.map_or(Ok(()), |token| self.token(step, glance.committed, token))
    }

    /// It is the same wherever the slot is applied, and no smaller than after the slots before.
    fn token(&mut self, step: &Step, slot: Slot, token: Token) -> Result<(), Nonconformity> {
        self.tokens.entry(slot).or_insert((step.at, token));
        let before = self.tokens.range(..slot).next_back();
        let after = self.tokens.range(slot.next()..).next();
        let same = self.tokens.get(&slot).filter(|(_, same)| *same != token);
        let wrong = before
            .filter(|(_, (_, before))| *before > token)
            .or(after.filter(|(_, (_, after))| *after < token))
            .map(|(slot, seen)| (*slot, *seen))
            .or(same.map(|seen| (slot, *seen)));
        let Some((other, (at, known))) = wrong else { return Ok(()) };
        let at = ombak_tape::Where(at);
        let detail = format!("{token:?} is the last at {slot:?}, {known:?} at {other:?} of {at}");
        Err(step.broken(TOKENS, detail))
    }
}
