//! Other members: from the wish to the farewell.

use std::collections::btree_map::Entry::Vacant;

use ombak_base::{DirectoryId, NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::clients::Asker;
use super::super::entry::Change;
use super::super::message::{Body, Membership, Message};
use super::super::replica::{Replica, Role};
use super::super::{Host, Outcome, Slot, StateMachine};
use super::{Leading, Peer};
use crate::ballot::Voters;
use crate::members::{LEARNERS_MAX, Members, VOTERS_MAX, WITNESSES_MAX};

/// A farewell is due, or was proposed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) enum Farewell {
    Due,
    Proposed,
}

impl Leading {
    /// A change that has begun is ended by whoever leads.
    pub(in crate::log) fn go_on_with_change(&mut self, members: &Members, at: Slot) {
        self.wanted = members.settled().map(|members| Change { after: at, members });
    }
}

impl<S: StateMachine> Replica<S> {
    pub(super) fn change(
        &mut self,
        asker: Asker,
        to: Membership,
        host: &impl Host,
    ) -> Option<Outcome> {
        let Membership { voters, learners, witnesses, accept } = to;
        let bounded = (1..=VOTERS_MAX).contains(&voters.len()) && learners.len() <= LEARNERS_MAX;
        let bounded = bounded && witnesses.is_subset(&voters);
        let mut members = self.members.clone();
        members.learners = learners.difference(&voters).copied().collect();
        members.returning.retain(|node, _| members.learners.contains(node));
        let next = match accept {
            Some(accept) => Voters::flexible(voters, accept).ok(),
            None => Some(members.voters.among(voters)),
        };
        let Some(next) = next.filter(|_| bounded) else { return Some(Outcome::Refused) };
        members.witnesses.extend(witnesses);
        if members.voters != next {
            members = members.towards(next);
        }
        let bounded = |members: &Members| members.witnesses.len() <= WITNESSES_MAX;
        let members = self.with_disks(members, host);
        let members = members.filter(|members| members.have_state() && bounded(members));
        let Some(members) = members else { return Some(Outcome::Refused) };
        self.want(Some(asker), members)
    }

    /// One change at a time.
    fn want(&mut self, asker: Option<Asker>, members: Members) -> Option<Outcome> {
        let after = self.members_at;
        let is_between = self.members.next.is_some();
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        let is_wanted = leading.wanted.is_some() || leading.changer.is_some();
        let is_changing = leading.barrier.is_some() || leading.farewell.is_some();
        if is_between || is_wanted || is_changing || leading.is_handing() {
            return Some(Outcome::Refused);
        }
        leading.wanted = Some(Change { after, members });
        leading.changer = asker;
        None
    }

    /// A member has lost its disk, is there with another, and asks until it is what it was. A voter is taken out, and is a
    /// learner then; when it has everything, it votes again. All that as long as the others are enough without it.
    ///
    /// `false`: it is no member.
    pub(crate) fn readmit(
        &mut self,
        now: Tick,
        node: NodeId,
        disk: DirectoryId,
        host: &mut impl Host,
    ) -> bool {
        let is_up = |other| other != node && (other == self.id || self.up.contains(&other));
        if !self.leads() || !self.members.have_chosen_if(is_up) {
            return true;
        }
        let Some(members) = self.readmitted(node, disk) else {
            return self.members.disks.contains_key(&node);
        };
        let is_on = self.members.is_on(node, disk);
        if self.want(None, members).is_none() {
            let Role::Leading(leading) = &mut self.role else { return true };
            if !is_on {
                // What the one on the other disk has said counts no more.
                leading.peers.remove(&node);
                leading.promised.remove(&node);
            }
            host.probe("paxos: a step to take in again who has lost its disk");
            self.pump(now, host);
        }
        true
    }

    /// The next step.
    fn readmitted(&self, node: NodeId, disk: DirectoryId) -> Option<Members> {
        let Role::Leading(leading) = &self.role else { return None };
        let mut members = self.members.clone();
        let mut voters = members.voters.members().clone();
        let is_on = members.disks.get(&node)? == &disk;
        match (is_on, members.is_voter(node)) {
            (false, true) => {
                voters.remove(&node);
                members.returning.insert(node, disk);
                let without = (!voters.is_empty()).then(|| members.voters.among(voters))?;
                Some(members.towards(without)).filter(Members::have_state)
            }
            (false, false) => {
                members.disks.insert(node, disk);
                members.returning.entry(node).and_modify(|other| *other = disk);
                Some(members)
            }
            (true, _) => {
                let is_due = leading.has(self.id, node, self.committed);
                members.returning.remove(&node).filter(|_| is_due)?;
                voters.insert(node);
                Some(members.towards(members.voters.among(voters)))
            }
        }
    }

    /// Who is taken in is a member with the disk that it is on now. Who has not said on which is not taken in.
    fn with_disks(&self, members: Members, host: &impl Host) -> Option<Members> {
        let mut members = members.without_others();
        if self.members.disks.is_empty() {
            return Some(members); // Nobody looks at disks.
        }
        for node in members.everybody() {
            if let Vacant(place) = members.disks.entry(node) {
                place.insert(host.disk(node)?);
            }
        }
        Some(members)
    }

    /// After a change of members that was chosen: who is in is told, who is out is not, and a change that has begun goes on.
    pub(super) fn members_may_have_changed(&mut self, now: Tick, slot: Slot, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.barrier != Some(slot) {
            return;
        }
        leading.barrier = None;
        leading.lease.end();
        if self.is_witness {
            return self.resign(now, host); // It leads without a state to answer from.
        }
        let everybody = self.members.everybody();
        let up = &self.up;
        for node in everybody.iter().filter(|node| **node != self.id) {
            let fresh = || Peer::new(slot, up.contains(node));
            leading.peers.entry(*node).or_insert_with(fresh);
        }
        leading.go_on_with_change(&self.members, self.members_at);
        if leading.wanted.is_none() {
            leading.farewell = Some((slot, Farewell::Due));
        }
        self.extend(now, host);
    }

    /// A quorum of the members has on its disks that they are that.
    pub(super) fn take_farewell(&mut self, now: Tick, slot: Slot, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.farewell != Some((slot, Farewell::Proposed)) {
            return;
        }
        leading.farewell = None;
        // Who is out has been told by now, or asks.
        let everybody = self.members.everybody();
        leading.peers.retain(|node, _| everybody.contains(node));
        leading.promised.retain(|node| everybody.contains(node));
        self.change_is_over(host);
        if !self.votes() {
            self.resign(now, host);
        }
    }

    /// It does not vote any more, or has no state. The others are told what is chosen, and the one that has most is told to lead.
    pub(super) fn resign(&mut self, now: Tick, host: &mut impl Host) {
        self.greet_all(now, host);
        let Role::Leading(leading) = &self.role else { return };
        let can_lead = |node| self.members.is_voter(node) && !self.members.is_witness(node);
        let voters = leading.peers.iter().filter(|(node, _)| can_lead(**node));
        if let Some((successor, _)) = voters.max_by_key(|(_, peer)| (peer.up, peer.acked)) {
            let resign = Body::Resign { successor: true };
            host.send(*successor, Message::new(leading.ballot, resign), Stamp::NONE);
        }
        host.probe("paxos: a leader that may not lead any more resigns");
        self.give_way(now, host);
    }

    pub(super) fn change_is_over(&mut self, host: &mut impl Host) {
        let outcome = Outcome::Changed { slot: self.members_at };
        let Role::Leading(leading) = &mut self.role else { return };
        if let Some(changer) = leading.changer.take() {
            self.tell(changer, outcome, host);
        }
    }

    /// The members are others: those who vote now must have promised this ballot as well.
    pub(super) fn extend(&mut self, now: Tick, host: &mut impl Host) {
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return };
        leading.extending = !self.members.can_propose(&leading.promised);
        if !leading.extending {
            return;
        }
        host.probe("paxos: a leader needs promises of new members");
        let (ballot, promised) = (leading.ballot, leading.promised.clone());
        let asked = self.members.voters().into_iter().filter(|voter| !promised.contains(voter));
        for voter in asked.collect::<Vec<_>>() {
            let prepare = Message::new(ballot, Body::Prepare { committed });
            host.send(voter, prepare, Stamp::NONE);
        }
        self.arm_resend(now, host);
    }

    pub(in crate::log) fn extend_if_promised(&mut self, now: Tick, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.extending && self.members.can_propose(&leading.promised) {
            leading.extending = false;
            self.pump(now, host);
        }
    }
}
