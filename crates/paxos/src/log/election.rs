//! Who leads: canvassing, phase 1, and giving way.
//!
//! A candidate first asks whether it would be promised anything (*pre-vote*), which commits nobody. Who has a leader that lives
//! says nothing to it. So a member that was cut off and comes back does not depose a leader that all others are content with.
//! (Where all voters have to accept, a candidate's own promise is enough, and it asks nobody: but there nobody leads while one is away.)

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{NodeId, Stamp, Tick, always, planted};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::leading::Leading;
use super::message::{Body, Message};
use super::replica::{Replica, Role};
use super::stored::Write;
use super::{ELECTION_MS, Host, MESSAGE_BYTES_MAX, Slot, StateMachine, Timer};
use crate::ballot::Ballot;
use crate::synod::{Accepted, Outbid};

/// Phase 1 under way.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Preparing {
    pub ballot: Ballot,
    pub promised: BTreeSet<NodeId>,
    pub found: Found,
    /// The own promise counts once this is durable.
    own: Stamp,
}

/// What was reported of slots that are not known to be chosen: of each, what was accepted in the highest ballot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Found(BTreeMap<Slot, Accepted<Entry>>);

impl Found {
    /// **What may be chosen already is what must be proposed**: see [`crate::synod`].
    pub fn note(&mut self, slot: Slot, reported: &Accepted<Entry>) {
        let highest = self.0.entry(slot).or_insert_with(|| reported.clone());
        if highest.ballot < reported.ballot {
            *highest = reported.clone();
        }
    }

    /// What must be proposed for a slot. A slot that nobody reported below one that somebody did is closed.
    pub fn take(&mut self, slot: Slot) -> Option<Entry> {
        match self.0.remove(&slot) {
            Some(found) => Some(found.value),
            None => self.last().is_some_and(|last| last > slot).then_some(Entry::Nothing),
        }
    }

    pub fn last(&self) -> Option<Slot> {
        self.0.last_key_value().map(|(slot, _)| *slot)
    }

    pub fn forget(&mut self, through: Slot) {
        self.0 = self.0.split_off(&through.next());
    }
}

impl<S: StateMachine> Replica<S> {
    /// Stands for election after a while, unless a leader is heard of.
    pub(super) fn await_leader(&mut self, now: Tick, host: &mut impl Host) {
        host.disarm(Timer::Resend);
        let is_curious = self.entries.last() > self.committed || self.has_clients();
        if self.can_lead() || is_curious {
            // All may have drawn the same, and drawn too little, once.
            let is_drawn_once = planted!("election jitter is drawn once");
            let drawn_ms = if is_drawn_once { 0 } else { host.choose(ELECTION_MS) };
            let at = now.plus_ms(ELECTION_MS).max(self.held.free_from(self.id));
            host.arm(Timer::Election, at.plus_ms(drawn_ms));
        }
    }

    /// Who does not vote can't stand, nor does a witness. It may vote without knowing it yet, or be out without knowing it.
    pub(super) fn enquire(&mut self, now: Tick, host: &mut impl Host) {
        if self.leader_ballot().is_some() {
            return;
        }
        let known = self.members.everybody();
        let message =
            Message::new(self.promised.ballot(), Body::Enquire { committed: self.committed });
        for node in known.union(&self.up).filter(|node| **node != self.id) {
            host.send(*node, message.clone(), Stamp::NONE);
        }
        self.await_leader(now, host);
    }

    pub(super) fn hear_enquiry(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        committed: Slot,
        host: &mut impl Host,
    ) {
        let leads = matches!(&self.role, Role::Leading(leading) if leading.ballot == ballot);
        if ballot.proposer == self.id && !leads {
            let resign = Body::Resign { successor: false };
            host.send(from, Message::new(ballot, resign), Stamp::NONE);
        }
        self.tell_chosen(from, committed, host);
        self.greet(now, from, host);
    }

    /// Tells whoever knows less what has been chosen.
    pub(super) fn tell_chosen(&mut self, to: NodeId, committed: Slot, host: &mut impl Host) {
        let (first, end) = (committed.next(), self.committed.next());
        let known = self.entries.piece(first, end, MESSAGE_BYTES_MAX);
        let entries: Vec<_> = known.map(|(_, entry)| entry.clone()).collect();
        if !entries.is_empty() && committed >= self.entries.forgotten() {
            let chosen = Body::Chosen { first, entries };
            host.send(to, Message::new(self.promised.ballot(), chosen), Stamp::NONE);
        }
    }

    /// What is chosen is so whoever tells it, and whatever was accepted here.
    pub(super) fn hear_chosen(
        &mut self,
        now: Tick,
        first: Slot,
        entries: Vec<Accepted<Entry>>,
        host: &mut impl Host,
    ) {
        if matches!(self.role, Role::Leading(_)) || self.leader_ballot().is_some() {
            return;
        }
        for (accepted, slot) in entries.into_iter().zip((first.0..).map(Slot)) {
            if slot != self.committed.next() {
                continue;
            }
            // To have accepted it is to have promised.
            if self.promised.ballot() < accepted.ballot {
                let Ok(()) = self.promised.promise(accepted.ballot) else { return };
            }
            self.entries.set(slot, accepted.clone());
            self.store(Write::Entry { slot, accepted, committed: slot }, host);
            self.apply_next(|slot, answer| host.applied(slot, &answer));
            self.through = self.through.max(self.committed);
        }
        self.answer_readers(host);
        self.snapshot_if_due(host);
        if let Role::Canvassing { .. } | Role::Preparing(_) = self.role {
            self.role = Role::Following { leader: None };
        }
        match self.members.voters() == BTreeSet::from([self.id]) {
            true => self.stand(now, host),
            false => self.await_leader(now, host),
        }
    }

    /// Asks the voters whether they would promise the next ballot.
    pub(super) fn canvass(&mut self, now: Tick, host: &mut impl Host) {
        let is_settled = matches!(self.role, Role::Leading(_)) || self.leader_ballot().is_some();
        if is_settled || !self.can_lead() {
            return;
        }
        if self.is_held(now, self.id) {
            return self.await_leader(now, host);
        }
        let ballot = self.promised.ballot().next(self.id);
        let support = BTreeSet::from([self.id]);
        if self.members.can_propose(&support) {
            return self.stand(now, host);
        }
        self.role = Role::Canvassing { ballot, support };
        let committed = self.committed;
        self.tell_voters(Message::new(ballot, Body::Canvass { committed }), Stamp::NONE, host);
        self.await_leader(now, host);
        host.probe("paxos: somebody canvasses");
    }

    pub(super) fn hear_canvass(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        committed: Slot,
        host: &mut impl Host,
    ) {
        if self.leader_ballot().is_some_and(|leader| leader.proposer == from) {
            self.give_way(now, host); // Who leads does not ask.
        }
        if matches!(self.role, Role::Leading(_)) {
            return self.greet(now, from, host); // It does not know.
        }
        let content = self.leader_ballot();
        if let Some(leader) = content {
            // Does it lead still? A node can live, and have given way without being heard.
            let enquiry = Body::Enquire { committed: self.committed };
            host.send(leader.proposer, Message::new(leader, enquiry), Stamp::NONE);
        }
        let promised = self.promised.ballot();
        self.tell_chosen(from, committed, host);
        if ballot <= promised {
            let refusal = Message::new(ballot, Body::Refuse { promised });
            return host.send(from, refusal, Stamp::NONE);
        }
        let is_free = content.is_none() && !self.is_held(now, from);
        if is_free && self.is_itself() && self.can_tell(committed) {
            host.send(from, Message::new(ballot, Body::Support), Stamp::NONE);
        }
    }

    /// Whether it has all that it has accepted above a slot.
    fn can_tell(&self, committed: Slot) -> bool {
        let is_lax = planted!("who lacks what was forgotten is let lead");
        committed >= self.entries.forgotten() || is_lax
    }

    pub(super) fn hear_support(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        host: &mut impl Host,
    ) {
        let Role::Canvassing { ballot: wanted, support } = &mut self.role else { return };
        if *wanted != ballot {
            return;
        }
        support.insert(from);
        if self.members.can_propose(support) {
            self.stand(now, host);
        }
    }

    /// Begins a ballot: phase 1.
    pub(super) fn stand(&mut self, now: Tick, host: &mut impl Host) {
        if !self.can_lead() {
            return;
        }
        if self.is_held(now, self.id) {
            return self.await_leader(now, host);
        }
        // Never used before: the promise of it is on the disk before anybody hears of it.
        let ballot = self.promised.ballot().next(self.id);
        let Ok(()) = self.promised.promise(ballot) else { return };
        let own = self.store(Write::Promise(ballot), host);
        let mut found = Found::default();
        self.entries.from(self.committed.next()).for_each(|(slot, entry)| found.note(slot, entry));
        self.lose_forwarded(host);
        self.role = Role::Preparing(Preparing { ballot, promised: BTreeSet::new(), found, own });
        let committed = self.committed;
        self.tell_voters(Message::new(ballot, Body::Prepare { committed }), own, host);
        self.await_leader(now, host);
    }

    /// What was stored up to here is durable: the own promise may count.
    pub(super) fn own_promise(&mut self, now: Tick, stamp: Stamp, host: &mut impl Host) {
        let Role::Preparing(preparing) = &mut self.role else { return };
        if preparing.own <= stamp {
            preparing.promised.insert(self.id);
            self.lead_if_promised(now, host);
        }
    }

    pub(super) fn hear_prepare(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        committed: Slot,
        host: &mut impl Host,
    ) {
        // Who lacks what was forgotten can't be told what was accepted there. And who has lost its disk has lost its promises.
        if ballot.proposer != from || !self.can_tell(committed) || !self.is_itself() {
            return;
        }
        if self.is_held(now, from) {
            return; // It asks again: who is elected asks for what it lacks, who is not stands again.
        }
        let before = self.promised.ballot();
        if let Err(Outbid { promised }) = self.promised.promise(ballot) {
            let refusal = Message::new(ballot, Body::Refuse { promised });
            return host.send(from, refusal, Stamp::NONE);
        }
        if ballot > before {
            self.give_way(now, host);
        }
        let stamp = self.store(Write::Promise(ballot), host);
        let tail = self.entries.from(committed.next());
        let tail = tail.map(|(slot, entry)| (slot, entry.clone())).collect();
        let promise = Body::Promise { committed: self.committed, tail };
        let after = if planted!("a promise is not kept") { Stamp::NONE } else { stamp };
        host.send(from, Message::new(ballot, promise), after);
    }

    /// Somebody has a higher ballot.
    pub(super) fn give_way(&mut self, now: Tick, host: &mut impl Host) {
        self.leave_handover();
        if let Role::Leading(leading) = &mut self.role {
            leading.abandon().into_iter().for_each(|asker| {
                self.tell(asker, super::Outcome::Unknown, host);
            });
            host.probe("paxos: a leader gives way");
        }
        self.role = Role::Following { leader: None };
        self.lose_forwarded(host);
        self.await_leader(now, host);
    }

    /// It is out, by a change that others know of: it leads nobody, follows nobody, and listens to what has been
    /// chosen.
    pub(crate) fn hear_removed(&mut self, now: Tick, host: &mut impl Host) {
        if matches!(self.role, Role::Leading(_)) || self.leader_ballot().is_some() {
            self.give_way(now, host);
        }
    }

    pub(super) fn hear_promise(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        committed: Slot,
        tail: Vec<(Slot, Accepted<Entry>)>,
        host: &mut impl Host,
    ) {
        let known = self.committed;
        match &mut self.role {
            Role::Preparing(preparing) if preparing.ballot == ballot => {
                tail.iter().for_each(|(slot, entry)| preparing.found.note(*slot, entry));
                preparing.promised.insert(from);
                self.lead_if_promised(now, host);
            }
            Role::Leading(leading) if leading.ballot == ballot => {
                leading.hear_late_promise(from, committed, tail, known);
                self.extend_if_promised(now, host);
            }
            _ => {}
        }
    }

    fn lead_if_promised(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Preparing(preparing) = &mut self.role else { return };
        let is_mine = preparing.promised.contains(&self.id);
        if !is_mine || !self.members.can_propose(&preparing.promised) {
            return;
        }
        let promised = std::mem::take(&mut preparing.promised);
        let mut found = std::mem::take(&mut preparing.found);
        let ballot = preparing.ballot;
        always!(ballot == self.promised.ballot(), "who leads has promised nobody else");
        found.forget(self.committed);
        if planted!("a leader takes up nothing") {
            found = Found::default();
        } else if planted!("a leader reuses a slot") {
            found.0.pop_last();
        }
        let peers = self.members.everybody();
        let mut leading =
            Leading::new(ballot, promised, found, self.committed, peers, self.id, &self.up);
        leading.go_on_with_change(&self.members, self.members_at);
        self.role = Role::Leading(Box::new(leading));
        (self.followed, self.through, self.question) = (ballot, self.committed, 0);
        host.disarm(Timer::Election);
        host.probe("paxos: somebody leads");
        self.greet_all(now, host);
        self.pump(now, host);
        self.settle_waiting(now, host);
    }

    /// Somebody has promised more than this ballot.
    pub(super) fn hear_refusal(
        &mut self,
        now: Tick,
        ballot: Ballot,
        promised: Ballot,
        host: &mut impl Host,
    ) {
        let mine = match &self.role {
            Role::Canvassing { ballot, .. } => *ballot,
            Role::Preparing(preparing) => preparing.ballot,
            Role::Leading(leading) => leading.ballot,
            Role::Following { .. } => return,
        };
        if mine == ballot && promised > ballot {
            // The next ballot is to be above that one. It is promised, and thus kept, for that reason alone.
            if self.promised.promise(promised).is_ok() {
                self.store(Write::Promise(promised), host);
            }
            self.give_way(now, host);
        }
    }

    pub(super) fn tell_voters(&self, message: Message, after: Stamp, host: &mut impl Host) {
        for voter in self.members.voters().into_iter().filter(|voter| *voter != self.id) {
            host.send(voter, message.clone(), after);
        }
    }
}
