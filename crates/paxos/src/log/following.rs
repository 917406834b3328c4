//! Accepting what a leader proposes, and catching up with it.

use bytes::Bytes;
use ombak_base::{NodeId, Stamp, Tick, always, planted};

use super::clients::Asker;
use super::entry::Entry;
use super::message::{Body, Message};
use super::replica::{Replica, Role};
use super::stored::{Place, Snapshot, Write};
use super::{Host, Outcome, Slot, StateMachine, Timer};
use crate::ballot::Ballot;
use crate::synod::{Accepted, Outbid};

/// A state that is sent in pieces: at most so much.
pub(super) const STATE_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// A state is announced that is larger.
pub(crate) const STATE_TOO_LARGE: &str = "paxos: refused, a snapshot too large";

/// See [`Body::Accept`].
pub(super) struct Accept {
    pub committed: Slot,
    pub first: Slot,
    pub entries: Vec<Entry>,
    pub question: u64,
}

impl<S: StateMachine> Replica<S> {
    /// Phase 2.
    pub(super) fn hear_accept(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        accept: Accept,
        host: &mut impl Host,
    ) {
        let Some(is_new) = self.follow(now, from, ballot, host) else { return };
        // First, so that what is stored with the entries says how far the log is known to be chosen.
        self.commit_as_follower(accept.committed, host);
        let is_empty = accept.entries.is_empty();
        let is_gap = accept.first > self.through.next();
        if !is_gap {
            for (entry, slot) in accept.entries.into_iter().zip(accept.first.0..) {
                if Slot(slot) == self.through.next() {
                    self.accept_next(ballot, entry, accept.committed, host);
                } else {
                    self.check_chosen(Slot(slot), &entry, ballot);
                }
            }
        }
        let is_asked = accept.question > self.question;
        self.question = self.question.max(accept.question);
        if is_new || is_gap || is_asked || !is_empty {
            let body = Body::Accepted { through: self.through, question: self.question };
            let after = match planted!("accepted before it is synced") {
                true => Stamp::NONE,
                false => self.written,
            };
            host.send(from, Message::new(ballot, body), after);
        }
        self.commit_as_follower(accept.committed, host);
    }

    /// Whether it takes part in the ballot, and if so, whether it has only begun to.
    fn follow(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        host: &mut impl Host,
    ) -> Option<bool> {
        if ballot.proposer != from || from == self.id {
            return None;
        }
        let before = self.promised.ballot();
        if let Err(Outbid { promised }) = self.promised.permit(ballot) {
            host.send(from, Message::new(ballot, Body::Refuse { promised }), Stamp::NONE);
            return None;
        }
        if ballot > before {
            self.store(Write::Promise(ballot), host);
        }
        if self.followed == ballot && self.leader_ballot() == Some(ballot) {
            return Some(false);
        }
        let is_new = self.followed != ballot;
        if is_new {
            self.give_way(now, host);
            (self.followed, self.question) = (ballot, 0);
            self.arriving = None; // Another leader's snapshot may be written otherwise.
            self.through = self.accepted_through(ballot);
        }
        self.role = Role::Following { leader: Some(ballot) };
        host.disarm(Timer::Election);
        self.settle_waiting(now, host);
        Some(is_new)
    }

    /// How far the log goes that was accepted in a ballot, by what is on the disk: it may have been before a restart.
    fn accepted_through(&self, ballot: Ballot) -> Slot {
        let tail = self.entries.from(self.committed.next());
        let accepted = tail.take_while(|(_, entry)| entry.ballot == ballot);
        accepted.last().map_or(self.committed, |(slot, _)| slot)
    }

    /// Accepts the entry for the slot after all that are accepted in this ballot.
    pub(super) fn accept_next(
        &mut self,
        ballot: Ballot,
        entry: Entry,
        committed: Slot,
        host: &mut impl Host,
    ) -> Stamp {
        let slot = self.through.next();
        let before = self.entries.get(slot);
        if let Some(before) = before.filter(|before| before.ballot == ballot) {
            always!(before.value == entry, "a ballot proposes one value", "{slot:?} {ballot:?}");
        }
        self.check_chosen(slot, &entry, ballot);
        let accepted = Accepted { ballot, value: entry };
        let is_set = self.entries.set(slot, accepted.clone());
        always!(is_set, "there are no gaps", "{slot:?} after {:?}", self.entries.last());
        self.through = slot;
        let committed = committed.min(self.committed);
        self.store(Write::Entry { slot, accepted, committed }, host)
    }

    /// What is proposed for a slot of which it is known what was chosen is that.
    fn check_chosen(&self, slot: Slot, proposed: &Entry, ballot: Ballot) {
        if let Some(known) = self.entries.get(slot).filter(|_| slot <= self.committed) {
            always!(known.value == *proposed, "what was chosen stays", "{slot:?} {ballot:?}");
        }
    }

    /// What is chosen, as the leader says, is applied as far as it was accepted in the leader's ballot.
    fn commit_as_follower(&mut self, committed: Slot, host: &mut impl Host) {
        let known = committed.min(self.through);
        if known <= self.committed {
            return; // As a rule, at the second look at what the leader says.
        }
        while self.committed < known {
            self.apply_next(|slot, answer| host.applied(slot, &answer));
        }
        self.answer_readers(host);
        self.snapshot_if_due(host);
    }

    /// A piece of the state, from a leader that has forgotten the entries.
    pub(super) fn hear_state(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        (through, offset, total, piece): (Slot, u64, u64, Bytes),
        host: &mut impl Host,
    ) {
        if total > STATE_BYTES_MAX {
            return host.probe(STATE_TOO_LARGE);
        }
        if self.follow(now, from, ballot, host).is_none() {
            return;
        }
        if through > self.committed {
            let arriving = self.arriving.take().filter(|(slot, _)| *slot == through);
            let (_, mut bytes) = arriving.unwrap_or((through, Vec::new()));
            if offset == bytes.len() as u64 {
                bytes.extend_from_slice(&piece);
            } else {
                host.probe("paxos: a piece of a snapshot is not the next one");
            }
            let took = bytes.len() as u64;
            if took < total {
                self.arriving = Some((through, bytes));
                let took = Body::Took { through, offset: took };
                return host.send(from, Message::new(ballot, took), Stamp::NONE);
            }
            if self.take_state(through, Bytes::from(bytes), host).is_none() {
                host.probe("paxos: a snapshot that arrived was refused");
                return;
            }
        }
        let body = Body::Accepted { through: self.through, question: self.question };
        host.send(from, Message::new(ballot, body), self.written);
    }

    fn take_state(&mut self, through: Slot, bytes: Bytes, host: &mut impl Host) -> Option<()> {
        let snapshot = Snapshot::arrived(bytes)?;
        if snapshot.through() != through {
            return None;
        }
        self.install(snapshot.clone())?;
        self.store(Write::Snapshot(Box::new(snapshot)), host);
        self.store(Write::Forget(through), host);
        host.restored(through);
        self.answer_readers(host);
        host.probe("paxos: a snapshot was taken over");
        Some(())
    }

    /// The leader tells a witness where to go on from, or what it may forget.
    pub(super) fn hear_skip(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        place: Place,
        host: &mut impl Host,
    ) {
        if self.follow(now, from, ballot, host).is_none() {
            return;
        }
        let through = place.through;
        if through > self.entries.forgotten() {
            let snapshot = Snapshot { place, state: None };
            self.store(Write::Snapshot(Box::new(snapshot.clone())), host);
            self.store(Write::Forget(through), host);
            if through > self.committed {
                self.install(snapshot);
                host.probe("paxos: a witness skips what it lacks");
            } else {
                self.entries.forget(through);
                (self.snapshot, self.is_witness) = (Some(snapshot), true);
                host.probe("paxos: a witness forgets");
            }
            self.answer_readers(host);
        }
        let body = Body::Accepted { through: self.through, question: self.question };
        host.send(from, Message::new(ballot, body), self.written);
    }

    /// Tells whoever asked.
    pub(super) fn tell(&mut self, asker: Asker, outcome: Outcome, host: &mut impl Host) {
        match asker {
            Asker::Client(client) => host.answer(client, outcome),
            Asker::Node { node, life, ticket } => {
                self.note_answer(asker, &outcome);
                let answer = Body::Answer { life, ticket, outcome };
                host.send(node, Message::new(self.promised.ballot(), answer), Stamp::NONE);
            }
        }
    }
}
