//! Proposing: phase 2, for as many slots as there is something to decide.

mod changing;
mod forwarding;
mod handing;
mod reading;
mod sending;
mod streaming;
mod witnesses;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use ombak_base::{NodeId, Stamp, Tick, always, planted};
use serde::{Deserialize, Serialize};

use super::batch::Gathering;
use super::clients::Asker;
use super::election::Found;
use super::entry::{Change, Entry};
use super::lease::Leased;
use super::message::Ask;
use super::replica::{Replica, Role};
use super::{COMMAND_BYTES_MAX, Host, Outcome, PIPELINE, QUEUE_BYTES_MAX, Slot, StateMachine};
use crate::ballot::Ballot;
use crate::synod::Accepted;

use changing::Farewell;
use forwarding::Forwarded;
use handing::Handing;
use reading::Reading;
use sending::Peer;
use witnesses::Holding;

/// What a leader keeps.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Leading {
    pub ballot: Ballot,
    promised: BTreeSet<NodeId>,
    /// To be proposed again.
    found: Found,
    /// The members have changed, and not enough of them have promised yet: nothing is proposed.
    extending: bool,
    /// A change of members that is not chosen yet: nothing is proposed behind it.
    barrier: Option<Slot>,
    /// Whoever led before may have told of what is up to here.
    safe_from: Slot,
    next: Slot,
    /// Up to here it is on the own disk; and what will be, once a stamp is durable.
    synced: Slot,
    unsynced: VecDeque<(Stamp, Slot)>,
    peers: BTreeMap<NodeId, Peer>,
    gathering: Gathering,
    /// Who asked for what is under way, and then for what is gathered.
    askers: VecDeque<Asker>,
    /// How many of them asked for each slot.
    under_way: VecDeque<(Slot, usize)>,
    /// A change that is to be proposed.
    wanted: Option<Change>,
    /// Who waits for the change to be over.
    changer: Option<Asker>,
    /// The slot after a change of members that is over. When it is chosen, a quorum of the members knows that they are that.
    farewell: Option<(Slot, Farewell)>,
    /// The last question that was asked.
    question: u64,
    reads: VecDeque<Reading>,
    /// A timer runs, after which is looked who has not answered.
    resends: bool,
    /// What was forwarded, by whom: a message that comes twice asks once.
    forwarded: BTreeMap<(NodeId, u64), Forwarded>,
    handing: Option<Handing>,
    holding: Holding,
    pub(super) lease: Leased,
}

impl Leading {
    pub fn new(
        ballot: Ballot,
        promised: BTreeSet<NodeId>,
        found: Found,
        committed: Slot,
        everybody: BTreeSet<NodeId>,
        id: NodeId,
        up: &BTreeSet<NodeId>,
    ) -> Leading {
        let safe_from = found.last().unwrap_or(committed).max(committed);
        let peer = |node: &NodeId| (*node, Peer::new(committed, up.contains(node)));
        Leading {
            ballot,
            promised,
            found,
            extending: false,
            barrier: None,
            safe_from,
            next: committed.next(),
            synced: committed,
            unsynced: VecDeque::new(),
            peers: everybody.iter().filter(|node| **node != id).map(peer).collect(),
            gathering: Gathering::default(),
            askers: VecDeque::new(),
            under_way: VecDeque::new(),
            wanted: None,
            changer: None,
            farewell: None,
            question: 0,
            reads: VecDeque::new(),
            resends: false,
            forwarded: BTreeMap::new(),
            handing: None,
            holding: Holding::default(),
            lease: Leased::default(),
        }
    }

    /// Everybody who waits for an answer.
    pub fn abandon(&mut self) -> Vec<Asker> {
        self.under_way.clear();
        let mut askers = Vec::from(std::mem::take(&mut self.askers));
        askers.extend(self.changer.take());
        askers.extend(self.reads.drain(..).map(|read| read.asker));
        askers
    }

    /// A promise that came after it had enough.
    pub fn hear_late_promise(
        &mut self,
        from: NodeId,
        committed: Slot,
        tail: Vec<(Slot, Accepted<Entry>)>,
        known: Slot,
    ) {
        self.promised.insert(from);
        // Of slots that were proposed already it has had its say. All else counts, needed now or not: it may be one of the members
        // that come with the next change, and is not asked again then.
        let open = tail.iter().filter(|(slot, _)| *slot >= self.next);
        open.for_each(|(slot, entry)| self.found.note(*slot, entry));
        self.safe_from = self.safe_from.max(self.found.last().unwrap_or_default());
        if let Some(peer) = self.peers.get_mut(&from) {
            peer.acked = peer.acked.max(Some(committed.min(known)));
        }
    }

    /// Whether a member has everything up to a slot on its disk.
    fn has(&self, id: NodeId, node: NodeId, slot: Slot) -> bool {
        match node == id {
            true => self.synced >= slot,
            false => self.peers.get(&node).is_some_and(|peer| peer.acked >= Some(slot)),
        }
    }

    fn has_answered(&self, id: NodeId, node: NodeId, question: u64) -> bool {
        node == id || self.peers.get(&node).is_some_and(|peer| peer.answered >= question)
    }

    fn is_waiting_for(&self, peer: &Peer) -> bool {
        peer.up && (peer.stands_at().next() < self.next || self.is_asking(peer))
    }

    fn is_asking(&self, peer: &Peer) -> bool {
        self.reads.front().is_some_and(|read| peer.answered < read.question)
    }

    pub fn check(&self, promised: Ballot, through: Slot) {
        always!(
            self.next == through.next(),
            "a leader has accepted what it proposes",
            "{through:?}"
        );
        always!(self.ballot == promised, "who leads has promised nobody else", "{promised:?}");
        let chosen_first = self.barrier.is_none_or(|barrier| self.next == barrier.next());
        always!(chosen_first, "nothing is proposed behind a change of members");
        for (node, peer) in &self.peers {
            always!(peer.acked < Some(self.next), "nobody has what was not proposed", "{node:?}");
        }
    }
}

impl<S: StateMachine> Replica<S> {
    /// Takes a request as the leader, which is to [`go_on`](Replica::go_on) after that. Nobody waits for the answer after `until`.
    pub(super) fn take(
        &mut self,
        now: Tick,
        (asker, until): (Asker, Tick),
        ask: Ask,
        host: &mut impl Host,
    ) {
        let refused = match ask {
            // Where it came from, this was not looked at.
            ask if ask.bytes() > COMMAND_BYTES_MAX => Some(Outcome::TooLarge),
            Ask::Lead(node) => self.hand_over(now, (asker, until), node, host),
            Ask::Propose(command) => self.gather(asker, command),
            Ask::Read(query) => self.ask_for_read(now, asker, query, host),
            Ask::ReadAt(slot, _) if slot > self.committed => Some(Outcome::Behind),
            Ask::ReadAt(_, query) => Some(self.read_here(&query)),
            Ask::Members(members) => self.change(asker, *members, host),
        };
        if let Some(outcome) = refused {
            self.tell(asker, outcome, host);
        }
    }

    /// Does with what was taken what can be done already.
    pub(super) fn go_on(&mut self, now: Tick, host: &mut impl Host) {
        self.answer_reads(now, host); // A group of one asks nobody, nor does who has a lease.
        self.pump(now, host);
    }

    fn gather(&mut self, asker: Asker, command: Bytes) -> Option<Outcome> {
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        if leading.gathering.len() + command.len() > QUEUE_BYTES_MAX {
            return Some(Outcome::Busy);
        }
        leading.gathering.push(command);
        leading.askers.push_back(asker);
        None
    }

    /// Proposes what there is, if anything may be proposed, and sends it. `false`: there was nothing.
    pub(super) fn pump(&mut self, now: Tick, host: &mut impl Host) -> bool {
        let mut is_new = false;
        while let Some(entry) = self.next_entry() {
            is_new = true;
            let Role::Leading(leading) = &mut self.role else { return true };
            let slot = leading.next;
            if matches!(entry, Entry::Members(_)) {
                leading.barrier = Some(slot);
            }
            leading.next = slot.next();
            let (ballot, committed) = (leading.ballot, self.committed);
            let stamp = self.accept_next(ballot, entry, committed, host);
            let Role::Leading(leading) = &mut self.role else { return true };
            leading.unsynced.push_back((stamp, slot));
        }
        is_new |= self.ask_question();
        if is_new {
            self.send_all(now, host);
        }
        is_new
    }

    /// What the next slot is to decide, if it may be proposed.
    fn next_entry(&mut self) -> Option<Entry> {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return None };
        let is_barred = leading.barrier.is_some() && !planted!("a proposal behind a change");
        if leading.extending || is_barred {
            return None;
        }
        if let Some(entry) = leading.found.take(leading.next) {
            return Some(entry);
        }
        if let Some((slot, farewell @ Farewell::Due)) = &mut leading.farewell {
            *farewell = Farewell::Proposed;
            *slot = leading.next;
            return Some(Entry::Nothing);
        }
        if let Some(change) = leading.wanted.take() {
            return Some(Entry::Members(Box::new(change)));
        }
        let under_way = leading.next.0 - committed.next().0;
        if leading.gathering.is_empty() || under_way >= PIPELINE {
            return None;
        }
        let batch = leading.gathering.take();
        leading.under_way.push_back((leading.next, batch.count() as usize));
        Some(Entry::Commands(batch))
    }

    /// What was stored up to here is on the own disk.
    pub(super) fn own_accepted(&mut self, now: Tick, stamp: Stamp, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        while let Some((_, slot)) = leading.unsynced.pop_front_if(|(after, _)| *after <= stamp) {
            leading.synced = slot;
        }
        self.commit_as_leader(now, host);
        self.tell_to_stand(now, host);
    }

    pub(super) fn hear_accepted(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        through: Slot,
        question: u64,
        host: &mut impl Host,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.ballot != ballot {
            return;
        }
        // It may know of more that is chosen than what was proposed again so far.
        let through = through.min(Slot(leading.next.0 - 1));
        let Some(peer) = leading.peers.get_mut(&from) else { return };
        peer.is_moving |= Some(through) > peer.acked || question > peer.answered;
        peer.answered = peer.answered.max(question);
        let is_behind = peer.acked.is_none() || Some(through) < peer.acked;
        peer.acked = peer.acked.max(Some(through));
        if is_behind || peer.sent < through {
            peer.sent = through; // It has told where it stands.
        }
        self.commit_as_leader(now, host);
        self.answer_reads(now, host);
        if !self.pump(now, host) {
            self.send_next(from, false, host);
            self.arm_resend(now, host);
        }
        self.tell_to_stand(now, host);
    }

    /// Whatever a quorum has on its disks is chosen.
    fn commit_as_leader(&mut self, now: Tick, host: &mut impl Host) {
        let before = self.committed;
        while self.is_next_chosen() {
            let slot = self.committed.next();
            let Role::Leading(leading) = &mut self.role else { return };
            let asked = leading.under_way.pop_front_if(|(first, _)| *first == slot);
            let mut waiting = 0..asked.map_or(0, |(_, count)| count);
            let mut askers = std::mem::take(&mut leading.askers);
            let mut answers = Vec::new(); // To other nodes.
            self.apply_next(|slot, answer| {
                host.applied(slot, &answer);
                let outcome = |answer| Outcome::Applied { slot, answer };
                match waiting.next().and_then(|_| askers.pop_front()) {
                    Some(Asker::Client(client)) => host.answer(client, outcome(answer)),
                    Some(asker) => answers.push((asker, outcome(answer))),
                    None => {}
                }
            });
            always!(waiting.is_empty(), "who asked for a slot is told of it", "{slot:?}");
            let Role::Leading(leading) = &mut self.role else { return };
            leading.askers = askers;
            answers.into_iter().for_each(|(asker, outcome)| self.tell(asker, outcome, host));
            self.members_may_have_changed(now, slot, host);
            self.take_farewell(now, slot, host);
        }
        if self.committed > before {
            self.answer_reads(now, host);
            self.answer_readers(host);
            let bytes = self.since_snapshot;
            if self.snapshot_if_due(host) {
                self.hold_for_witnesses(bytes, host);
            }
            if !self.pump(now, host) {
                self.send_all(now, host); // They have not heard that it is chosen.
            }
        }
        self.let_witnesses_forget(host);
    }

    fn is_next_chosen(&self) -> bool {
        let slot = self.committed.next();
        let Role::Leading(leading) = &self.role else { return false };
        let has = |node| leading.has(self.id, node, slot);
        if planted!("a change is decided by who is to vote")
            && let Some(Entry::Members(change)) = self.entries.get(slot).map(|entry| &entry.value)
            && let Some(next) = &change.members.next
        {
            return next.have_chosen_if(has);
        }
        slot < leading.next && self.members.have_chosen_if(has)
    }

    /// A leader that can't reach enough of the others leads nobody.
    pub(super) fn step_down_if_alone(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        leading.peers.iter_mut().for_each(|(node, peer)| peer.up = self.up.contains(node));
        let reached: BTreeSet<NodeId> = self.up.iter().copied().chain([self.id]).collect();
        if !self.members.have_chosen(&reached) {
            host.probe("paxos: a leader that is alone steps down");
            self.give_way(now, host);
        }
    }
}
