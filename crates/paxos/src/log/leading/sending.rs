//! What each member is sent, and sent again.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::entries::Entries;
use super::super::entry::Entry;
use super::super::message::{Body, Message};
use super::super::replica::{Replica, Role};
use super::super::stored::Snapshot;
use super::super::{Host, MESSAGE_BYTES_MAX, RESEND_MS, Slot, StateMachine, Timer, WINDOW};
use super::streaming::Streaming;
use crate::ballot::Ballot;

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

/// What a leader has to send.
struct Sending<'a> {
    ballot: Ballot,
    entries: &'a Entries,
    snapshot: Option<&'a Snapshot>,
    witnesses: &'a BTreeSet<NodeId>,
    next: Slot,
    committed: Slot,
    question: u64,
    /// Somebody waits for answers to the question.
    asks: bool,
}

impl Sending<'_> {
    fn send_next(&self, node: NodeId, peer: &mut Peer, must: bool, host: &mut impl Host) {
        if !peer.up {
            return;
        }
        match self.snapshot.filter(|_| peer.sent < self.entries.forgotten()) {
            Some(snapshot) => self.send_snapshot(node, peer, snapshot, host),
            None => peer.streaming = None,
        }
        let first = peer.sent.next();
        let entries = self.next_entries(peer);
        let (committed, question) = (self.committed, self.question);
        let is_news = peer.told < committed && self.next == committed.next();
        let is_asked = self.asks && peer.answered < question;
        if entries.is_empty() && !(must || is_news || is_asked) {
            return;
        }
        peer.told = committed;
        let body = Body::Accept { committed, first, entries, question };
        host.send(node, Message::new(self.ballot, body), Stamp::NONE);
    }

    /// To who lacks what was forgotten. A witness needs no more of it than where it is.
    fn send_snapshot(
        &self,
        node: NodeId,
        peer: &mut Peer,
        snapshot: &Snapshot,
        host: &mut impl Host,
    ) {
        let Snapshot { place, state } = snapshot;
        match state {
            Some(state) if !self.witnesses.contains(&node) => {
                peer.stream(node, self.ballot, (place, state), host);
            }
            _ => {
                peer.streaming = None;
                peer.sent = place.through;
                let skip = Body::Skip(Box::new(place.clone()));
                host.send(node, Message::new(self.ballot, skip), Stamp::NONE);
            }
        }
    }

    /// What the window and a message have room for.
    fn next_entries(&self, peer: &mut Peer) -> Vec<Entry> {
        if peer.streaming.is_some() {
            return Vec::new();
        }
        let end = self.next.min(Slot(peer.stands_at().0 + WINDOW).next());
        let mut entries = Vec::new();
        for (slot, accepted) in self.entries.piece(peer.sent.next(), end, MESSAGE_BYTES_MAX) {
            entries.push(accepted.value.clone());
            peer.sent = slot;
        }
        entries
    }
}

impl<S: StateMachine> Replica<S> {
    /// Sends each member that can be reached what it was not sent.
    pub(super) fn send_all(&mut self, now: Tick, host: &mut impl Host) {
        self.send_to_all(false, host);
        self.arm_resend(now, host);
    }

    /// One timer at a time, and not moved by what comes meanwhile.
    pub(super) fn arm_resend(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.resends {
            return;
        }
        if leading.extending || leading.peers.values().any(|peer| leading.is_waiting_for(peer)) {
            leading.resends = true;
            leading.peers.values_mut().for_each(|peer| peer.is_moving = false);
            host.arm(Timer::Resend, now.plus_ms(RESEND_MS));
        }
    }

    /// Sends a member what comes next, if there is anything, or if it must be.
    pub(super) fn send_next(&mut self, node: NodeId, must: bool, host: &mut impl Host) {
        let Some((sending, peers)) = self.sending() else { return };
        if let Some(peer) = peers.get_mut(&node) {
            sending.send_next(node, peer, must, host);
        }
    }

    fn send_to_all(&mut self, must: bool, host: &mut impl Host) {
        let Some((sending, peers)) = self.sending() else { return };
        peers.iter_mut().for_each(|(node, peer)| sending.send_next(*node, peer, must, host));
    }

    /// What goes to others, if this one leads, and the others.
    fn sending(&mut self) -> Option<(Sending<'_>, &mut BTreeMap<NodeId, Peer>)> {
        let Role::Leading(leading) = &mut self.role else { return None };
        let question = leading.question;
        let sending = Sending {
            ballot: leading.ballot,
            entries: &self.entries,
            snapshot: self.snapshot.as_ref(),
            witnesses: &self.members.witnesses,
            next: leading.next,
            committed: self.committed,
            question,
            asks: leading.reads.front().is_some_and(|read| read.question <= question),
        };
        Some((sending, &mut leading.peers))
    }

    /// A sign of life to all: there is a leader.
    pub(in crate::log) fn greet_all(&mut self, now: Tick, host: &mut impl Host) {
        self.send_to_all(true, host);
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
