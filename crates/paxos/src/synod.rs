//! The synod: how a set of nodes chooses one value, and never another.
//!
//! From Lamport, *The Part-Time Parliament* (1998), section 2, in the words of *Paxos Made Simple* (2001).
//!
//! # The problem
//!
//! Proposers propose values; acceptors accept them. A value is *chosen* once a quorum of acceptors has accepted it in the same
//! ballot. Messages may be lost, doubled, late and out of order; nodes stop and come back with what they had written
//! to disk. Whatever happens, **no two different values are chosen**. And if for long enough one proposer alone proposes, and a
//! quorum answers, a value is chosen.
//!
//! # The two phases
//!
//! ```text
//!   proposer                              acceptors
//!      │  prepare(b)  ─────────────────────▶│ promise: I accept nothing below b any more
//!      │◀──────────── promise(b, accepted)  │ and this is the last thing that I have accepted
//!      │                                    │
//!      │  of all that was reported, the value of the highest ballot; nothing reported: mine
//!      │                                    │
//!      │  accept(b, value) ────────────────▶│ accepted, unless I have promised more than b
//!      │◀──────────────────── accepted(b)   │
//!      │  a quorum has: chosen              │
//! ```
//!
//! # Why it is safe
//!
//! *If v is chosen in ballot b, then every ballot above b that proposes anything proposes v.* By induction over the ballots
//! above b. The proposer of ballot c > b heard promises of a quorum, and each quorum has a member `a` in common with the one that
//! accepted v in b. When `a` promised c, had it accepted v in b already? It had: had it promised c first, it would have refused b
//! ([`Acceptor::accept`], the one `if`). So `a` reported a ballot of b or above. What was reported highest was thus proposed in a
//! ballot from b up to below c: all of those proposed v, by the induction, and v is what ballot c must propose
//! ([`Proposer::hear_promise`], the other `if`).
//!
//! What the argument asks of ballots is that they have an order, and that no two proposals have the same. [`Ballot`] is the usual
//! kind; another puts something in front of it ([`Bid`](crate::register::Bid)).
//!
//! Two more things carry weight, and both are the host's. A promise and an acceptance are *on the disk* before they are told
//! to anybody: an acceptor that forgets is `a` without its memory. And a proposer never proposes two values in one ballot: it never
//! uses a ballot again, not after a crash either.

use std::collections::BTreeSet;
use std::fmt::Debug;

use ombak_base::{NodeId, always, planted};
use serde::{Deserialize, Serialize};

use crate::ballot::{Ballot, Voters};

/// A value, and the ballot in which it was accepted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Accepted<V, B = Ballot> {
    /// In which ballot.
    pub ballot: B,
    /// What.
    pub value: V,
}

/// What an acceptor has promised: that it takes no part in lower ballots. All that makes Paxos safe on an acceptor's side
/// is here; how many values hang on one promise is nobody's business: one ([`Acceptor`]), or a whole log.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Promised<B = Ballot>(B);

/// The acceptor has promised a higher ballot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outbid<B = Ballot> {
    /// This one.
    pub promised: B,
}

impl<B: Copy + Ord> Promised<B> {
    /// As it was written down.
    pub fn restored(ballot: B) -> Promised<B> {
        Promised(ballot)
    }

    /// The ballot.
    pub fn ballot(self) -> B {
        self.0
    }

    /// Phase 1: takes part in no lower ballot from now on. Again for the same ballot is no harm: the answer got lost.
    pub fn promise(&mut self, ballot: B) -> Result<(), Outbid<B>> {
        if ballot < self.0 {
            return Err(Outbid { promised: self.0 });
        }
        self.0 = ballot;
        Ok(())
    }

    /// Phase 2: whether it may accept in this ballot. **This refusal is what the whole argument hangs on**: who has
    /// promised `c` accepts nothing below `c`, so what it reported with the promise stays all there is to report. To
    /// accept is to promise as well: whoever asks it for less from now on comes too late.
    pub fn permit(&mut self, ballot: B) -> Result<(), Outbid<B>> {
        if ballot < self.0 && !planted!("an acceptor that forgets its promise") {
            return Err(Outbid { promised: self.0 });
        }
        self.0 = ballot;
        Ok(())
    }
}

/// One acceptor's memory. All of it must be on disk before anybody is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Acceptor<V, B = Ballot> {
    promised: Promised<B>,
    accepted: Option<Accepted<V, B>>,
}

impl<V, B: Default> Default for Acceptor<V, B> {
    fn default() -> Acceptor<V, B> {
        Acceptor { promised: Promised::default(), accepted: None }
    }
}

impl<V: Clone + PartialEq, B: Copy + Ord + Debug> Acceptor<V, B> {
    /// As it was written down.
    pub fn restored(promised: B, accepted: Option<Accepted<V, B>>) -> Acceptor<V, B> {
        Acceptor { promised: Promised::restored(promised), accepted }
    }

    /// The ballot that it has promised.
    pub fn promised(&self) -> B {
        self.promised.ballot()
    }

    /// What it has accepted last.
    pub fn accepted(&self) -> Option<&Accepted<V, B>> {
        self.accepted.as_ref()
    }

    /// Phase 1. What it answers is what it has accepted last.
    pub fn prepare(&mut self, ballot: B) -> Result<Option<Accepted<V, B>>, Outbid<B>> {
        self.promised.promise(ballot)?;
        Ok(self.accepted.clone())
    }

    /// Phase 2.
    pub fn accept(&mut self, ballot: B, value: V) -> Result<(), Outbid<B>> {
        self.promised.permit(ballot)?;
        if let Some(last) = self.accepted.as_ref().filter(|last| last.ballot == ballot) {
            always!(last.value == value, "a ballot proposes one value", "two in {ballot:?}");
        }
        self.accepted = Some(Accepted { ballot, value });
        Ok(())
    }

    /// Invariant of the state; panics if it is broken.
    pub fn check(&self) {
        if let Some(Accepted { ballot, .. }) = &self.accepted {
            let promised = self.promised();
            always!(
                *ballot <= promised,
                "what is accepted is promised",
                "{ballot:?} > {promised:?}"
            );
        }
    }
}

/// One ballot of a proposer: the value that it may propose, and who has agreed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Proposer<V, B = Ballot> {
    ballot: B,
    promised: BTreeSet<NodeId>,
    /// Of what was reported, that of the highest ballot.
    highest: Option<Accepted<V, B>>,
    /// What is proposed, once that may be.
    value: Option<V>,
    accepted: BTreeSet<NodeId>,
}

impl<V: Clone, B: Copy + Ord> Proposer<V, B> {
    /// Begins a ballot that was never used before: send `prepare` to the voters.
    pub fn new(ballot: B) -> Proposer<V, B> {
        Proposer {
            ballot,
            promised: BTreeSet::new(),
            highest: None,
            value: None,
            accepted: BTreeSet::new(),
        }
    }

    /// Its ballot.
    pub fn ballot(&self) -> B {
        self.ballot
    }

    /// What it proposes, once it may.
    pub fn value(&self) -> Option<&V> {
        self.value.as_ref()
    }

    /// A promise for this ballot. Once a quorum has promised, answers once what to propose: what `mine` makes of the
    /// value that may be chosen already, or of `None`. For consensus on one value, [`keep`] it is.
    pub fn hear_promise(
        &mut self,
        voters: &Voters,
        from: NodeId,
        accepted: Option<Accepted<V, B>>,
        mine: impl FnOnce(Option<V>) -> V,
    ) -> Option<V> {
        if self.value.is_some() {
            return None; // Who proposes has made up his mind.
        }
        self.promised.insert(from);
        // **What may be chosen already is what must be proposed.** The highest of a quorum: see the argument above.
        if let Some(reported) = accepted
            && self.highest.as_ref().is_none_or(|highest| highest.ballot < reported.ballot)
        {
            self.highest = Some(reported);
        }
        if !voters.can_propose(&self.promised) {
            return None;
        }
        self.value = Some(mine(self.highest.take().map(|highest| highest.value)));
        self.value.clone()
    }

    /// An acceptance in this ballot. Answers the value as soon as it is known to be chosen.
    pub fn hear_accepted(&mut self, voters: &Voters, from: NodeId) -> Option<&V> {
        self.accepted.insert(from);
        self.value.as_ref().filter(|_| voters.have_chosen(&self.accepted))
    }
}

/// What a proposer of consensus does with a value that may be chosen: keeps it. `mine` only where there is none.
pub fn keep<V>(mine: V) -> impl FnOnce(Option<V>) -> V {
    |found| found.unwrap_or(mine)
}

#[cfg(test)]
mod tests;
