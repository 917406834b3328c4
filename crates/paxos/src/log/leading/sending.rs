//! What each member is sent, and sent again.

use ombak_base::{NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::message::{Body, Message};
use super::super::replica::{Replica, Role};
use super::super::{Host, MESSAGE_BYTES_MAX, RESEND_MS, Slot, StateMachine, Timer, WINDOW};
use super::streaming::Streaming;

/// What is known of another member.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Peer {
    /// Where it is taken to stand until it has said so.
    pub(super) base: Slot,
    /// Everything up to here is on its disk, as it said.
    pub(super) acked: Option<Slot>,
    /// It was sent everything up to here.
    pub(super) sent: Slot,
    /// It was told that everything up to here is chosen.
    pub(super) told: Slot,
    /// The last question that it has answered.
    pub(super) answered: u64,
    pub(super) up: bool,
    /// It has come farther since the last look at who has not.
    pub(super) is_moving: bool,
    /// It lacks what was forgotten, and is sent the state.
    pub(super) streaming: Option<Streaming>,
}

impl Peer {
    pub(super) fn new(known: Slot, up: bool) -> Peer {
        let (sent, told) = (known, Slot(0));
        let (is_moving, streaming) = (false, None);
        Peer { base: known, acked: None, sent, told, answered: 0, up, is_moving, streaming }
    }

    /// It is sent what comes after this.
    pub(super) fn stands_at(&self) -> Slot {
        self.acked.unwrap_or(self.base)
    }

    /// What is under way to it may be lost.
    fn begin_again(&mut self) {
        self.sent = self.stands_at();
        self.streaming.iter_mut().for_each(Streaming::again);
    }
}

impl<S: StateMachine> Replica<S> {
    /// Sends each member that can be reached what it was not sent.
    pub(super) fn send_all(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &self.role else { return };
        let nodes: Vec<NodeId> = leading.peers.keys().copied().collect();
        for node in nodes {
            self.send_next(node, false, host);
        }
        self.arm_resend(now, host);
    }

    /// One timer at a time, and not moved by what comes meanwhile.
    pub(super) fn arm_resend(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        let waits = leading.peers.values().any(|peer| leading.is_waiting_for(peer));
        if !leading.resends && (waits || leading.extending) {
            leading.resends = true;
            leading.peers.values_mut().for_each(|peer| peer.is_moving = false);
            host.arm(Timer::Resend, now.plus_ms(RESEND_MS));
        }
    }

    /// Sends a member what comes next, if there is anything, or if it must be.
    pub(super) fn send_next(&mut self, node: NodeId, must: bool, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        let question = leading.question;
        let asks = leading.reads.front().is_some_and(|read| read.question <= question);
        let idle = leading.next == committed.next();
        let Some(peer) = leading.peers.get_mut(&node).filter(|peer| peer.up) else { return };
        let first = peer.sent.next();
        let mut end = leading.next.min(Slot(peer.stands_at().0 + WINDOW).next());
        match self.snapshot.as_ref().filter(|_| first <= self.entries.forgotten()) {
            Some(snapshot) => {
                peer.stream(node, leading.ballot, snapshot, host);
                end = first;
            }
            None => peer.streaming = None,
        }
        let mut entries = Vec::new();
        let mut bytes = 0;
        for (slot, accepted) in self.entries.from(first).take_while(|(slot, _)| *slot < end) {
            bytes += accepted.value.weight();
            if bytes > MESSAGE_BYTES_MAX && !entries.is_empty() {
                break;
            }
            entries.push(accepted.value.clone());
            peer.sent = slot;
        }
        let is_news = peer.told < committed && idle;
        let is_asked = asks && peer.answered < question;
        if entries.is_empty() && !(must || is_news || is_asked) {
            return;
        }
        peer.told = committed;
        let body = Body::Accept { committed, first, entries, question };
        host.send(node, Message::new(leading.ballot, body), Stamp::NONE);
    }

    /// A sign of life to all: there is a leader.
    pub(in crate::log) fn greet_all(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &self.role else { return };
        let nodes: Vec<NodeId> = leading.peers.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.send_next(node, true, host));
        self.arm_resend(now, host);
    }

    /// The node can be reached again: it may not know who leads, or have missed something.
    pub(in crate::log) fn greet(&mut self, now: Tick, node: NodeId, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        let extending = leading.extending && !leading.promised.contains(&node);
        let ballot = leading.ballot;
        let Some(peer) = leading.peers.get_mut(&node) else { return };
        peer.up = true;
        peer.begin_again();
        if extending {
            let prepare = Message::new(ballot, Body::Prepare { committed });
            host.send(node, prepare, Stamp::NONE);
        }
        self.send_next(node, true, host);
        self.arm_resend(now, host);
    }

    /// Some may not have come farther for a while: they are sent again what they have not acknowledged.
    pub(in crate::log) fn resend(&mut self, now: Tick, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        leading.resends = false;
        let (ballot, extending) = (leading.ballot, leading.extending);
        let silent = |node: &NodeId| extending && !leading.promised.contains(node);
        let late = |(node, peer): &(&NodeId, &Peer)| {
            silent(node) || (leading.is_waiting_for(peer) && !peer.is_moving)
        };
        let late = leading.peers.iter().filter(late);
        let asks = late.clone().any(|(_, peer)| leading.is_asking(peer));
        let late: Vec<_> = late.map(|(node, _)| (*node, silent(node))).collect();
        // Who has answered a question does not answer it again, and the answer may be what was lost.
        leading.question += u64::from(asks);
        for (node, silent) in late {
            if silent {
                let prepare = Message::new(ballot, Body::Prepare { committed });
                host.send(node, prepare, Stamp::NONE);
            }
            self.send_again(node);
            self.send_next(node, true, host);
        }
        self.arm_resend(now, host);
    }

    fn send_again(&mut self, node: NodeId) {
        let Role::Leading(leading) = &mut self.role else { return };
        if let Some(peer) = leading.peers.get_mut(&node) {
            peer.begin_again();
        }
    }
}
