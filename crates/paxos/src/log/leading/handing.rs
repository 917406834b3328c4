//! Handing the lead over to a voter that is named: for who wants to stop a node, or to have the leader near its clients.
//!
//! Once the successor is near, nothing new is taken: it waits with whoever asked. What is under way is decided, the successor
//! has all of it on its disk, and is told to stand without asking first whether that makes sense. Nothing rests on its being
//! elected: who hands over leads on until somebody outbids it, and takes what waited when [`HANDOVER_MS`] are over. What it was
//! granted as a lease runs out first, unused: the others would promise the successor nothing before.

use ombak_base::{NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::clients::{Asker, Waiting};
use super::super::message::{Ask, Body, Message};
use super::super::replica::{Replica, Role};
use super::super::{HANDOVER_MS, Host, Outcome, RESEND_MS, Slot, StateMachine, Timer, WINDOW};
use super::Leading;

/// The lead is to go to another.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Handing {
    to: NodeId,
    until: Tick,
    asker: Asker,
    /// The asker does not wait for longer.
    asker_until: Tick,
}

impl Leading {
    /// Whether somebody else is to lead.
    pub(in crate::log) fn is_handing(&self) -> bool {
        self.handing.is_some()
    }

    /// Whether what is asked now has to wait. While the successor is far behind, that would be for long, and for nothing.
    pub(in crate::log) fn holds_back(&self) -> bool {
        let handing = self.handing.as_ref();
        let peer = handing.and_then(|handing| self.peers.get(&handing.to));
        let is_near = |acked: Slot| acked.0.saturating_add(WINDOW) >= self.next.0;
        peer.and_then(|peer| peer.acked).is_some_and(is_near)
    }

    /// Whether the successor has everything, and nobody waits for anything else.
    fn has_handed_all(&self, committed: Slot, to: NodeId) -> bool {
        let is_idle = self.gathering.is_empty() && self.reads.is_empty() && !self.extending;
        let has_all = self.peers.get(&to).is_some_and(|peer| peer.acked >= Some(committed));
        is_idle && has_all && committed.next() == self.next
    }

    /// Nothing changes about who the members are.
    fn is_settled(&self) -> bool {
        let is_changing = self.barrier.is_some() || self.wanted.is_some() || self.extending;
        !is_changing && self.farewell.is_none() && self.changer.is_none()
    }
}

impl<S: StateMachine> Replica<S> {
    /// Begins to hand over.
    pub(super) fn hand_over(
        &mut self,
        now: Tick,
        (asker, asker_until): (Asker, Tick),
        to: NodeId,
        host: &mut impl Host,
    ) -> Option<Outcome> {
        if to == self.id {
            return Some(Outcome::Led);
        }
        let can_lead = self.members.is_voter(to) && !self.members.is_witness(to);
        let can_lead = can_lead && self.members.next.is_none();
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        let is_up = leading.peers.get(&to).is_some_and(|peer| peer.up);
        if !can_lead || !is_up || !leading.is_settled() || leading.handing.is_some() {
            return Some(Outcome::Refused);
        }
        let until = now.max(leading.lease.over).plus_ms(HANDOVER_MS);
        leading.handing = Some(Handing { to, until, asker, asker_until });
        host.arm(Timer::Handover, now.plus_ms(RESEND_MS));
        self.tell_to_stand(now, host);
        None
    }

    /// Tells the successor to stand, once it has everything.
    pub(super) fn tell_to_stand(&mut self, now: Tick, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &self.role else { return };
        let Some(Handing { to, .. }) = leading.handing else { return };
        if leading.lease.over <= now && leading.has_handed_all(committed, to) {
            let resign = Body::Resign { successor: true };
            host.send(to, Message::new(leading.ballot, resign), Stamp::NONE);
            host.probe("paxos: a leader hands over");
        }
    }

    /// Tells it again, or goes on if it can't be reached or took too long.
    pub(in crate::log) fn look_after_handover(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(Handing { to, until, asker, .. }) = leading.handing else { return };
        if now < until && leading.peers.get(&to).is_some_and(|peer| peer.up) {
            host.arm(Timer::Handover, now.plus_ms(RESEND_MS));
            return self.tell_to_stand(now, host);
        }
        leading.handing = None;
        host.probe("paxos: a leader that could not hand over goes on");
        self.tell(asker, Outcome::Refused, host);
        self.settle_waiting(now, host);
    }

    /// Somebody else is about to lead. Who asked for that waits for who it is; on another node, without being told to.
    pub(in crate::log) fn leave_handover(&mut self) {
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(Handing { to, asker, asker_until, .. }) = leading.handing.take() else { return };
        if let Asker::Client(client) = asker {
            self.waiting.push_back(Waiting { client, ask: Ask::Lead(to), until: asker_until });
        }
    }
}
