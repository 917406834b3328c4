//! Reads: answered once a quorum has said that nobody else leads, or while it lets nobody.

use bytes::Bytes;
use ombak_base::{Tick, planted};
use serde::{Deserialize, Serialize};

use super::super::clients::Asker;
use super::super::replica::{Replica, Role};
use super::super::{Host, Outcome, Slot, StateMachine};
use super::Leading;

/// Reads that wait for an answer of a quorum.
pub(super) const READS_MAX: usize = 64 * 1024;

/// A read that waits.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Reading {
    /// For answers to this question.
    pub(super) question: u64,
    /// And for this to be applied.
    pub(super) at: Slot,
    pub(super) asker: Asker,
    pub(super) query: Bytes,
}

impl Leading {
    /// Whether it may answer from its state and ask nobody.
    pub(in crate::log) fn is_leased(&self, now: Tick, committed: Slot) -> bool {
        let has_all = self.safe_from <= committed && !self.extending;
        has_all && self.lease.holds(now) && !self.is_handing()
    }
}

impl<S: StateMachine> Replica<S> {
    pub(super) fn ask_for_read(
        &mut self,
        now: Tick,
        asker: Asker,
        query: Bytes,
        host: &mut impl Host,
    ) -> Option<Outcome> {
        self.ask_for_lease(now, host);
        let committed = self.committed;
        let Role::Leading(leading) = &mut self.role else { return Some(Outcome::NoLeader) };
        if leading.reads.len() >= READS_MAX {
            return Some(Outcome::Busy);
        }
        // The question must be asked after the read came: not the one that is under way.
        let question = leading.question + 1;
        let at = committed.max(leading.safe_from);
        leading.reads.push_back(Reading { question, at, asker, query });
        None
    }

    /// One question at a time, for all reads that came since the last. Whether there is a new one.
    pub(super) fn ask_question(&mut self) -> bool {
        let Role::Leading(leading) = &mut self.role else { return false };
        let first = leading.reads.front().map(|read| read.question);
        let last = leading.reads.back().map(|read| read.question);
        let is_due = first == last && last > Some(leading.question);
        leading.question += u64::from(is_due);
        is_due
    }

    /// Answers what a quorum has confirmed, and what it may be answered from is applied.
    pub(in crate::log) fn answer_reads(&mut self, now: Tick, host: &mut impl Host) {
        loop {
            let committed = self.committed;
            let id = self.id;
            let Role::Leading(leading) = &mut self.role else { return };
            let Some(read) = leading.reads.front() else { return };
            let answered = |node| leading.has_answered(id, node, read.question);
            let is_confirmed = self.members.have_chosen_if(answered)
                || leading.is_leased(now, committed)
                || planted!("a read without a round");
            if leading.extending || read.at > committed || !is_confirmed {
                return;
            }
            let Some(Reading { asker, query, .. }) = leading.reads.pop_front() else { return };
            let outcome = self.read_here(&query);
            self.tell(asker, outcome, host);
        }
    }
}
