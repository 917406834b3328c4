//! Leases: reads that a leader answers by itself, for as long as clocks can be trusted.
//!
//! A leader asks the voters for a lease. Who grants it lets nobody else come to lead for that long. Once a quorum has granted it, the
//! leader answers reads from its state and asks nobody, until the lease is over. It asks for another one while reads come, so that a
//! group that is not read from stays silent.
//!
//! ```text
//!   leader                              voter
//!   t ┬─ lease(n, ms) ──────────────────▶┬ t'
//!     │◀───────────────────── granted(n) ┤
//!     │ read: answered at once           │ supports nobody else, promises nothing to anybody else, does not stand
//!     ┴ t + ms, less its drift           │
//!                                        ┴ t' + ms, and its drift
//! ```
//!
//! # What is asked of the host
//!
//! This is the one place where safety rests on time. Nothing else in a group does, and without a [`Lease`] not this either.
//!
//! - **Rates.** From one moment to another, no member's clock goes wrong by more than `drift_ppm`. It does not matter what time it says. A
//!   clock that stands still while its machine sleeps, or is moved to another host, goes wrong by all of that.
//! - **No moment is older than what is told with it.** The `now` of a call was read after what the call is about had come. A host that reads
//!   its clock once for many things reads it after it has taken all of them in: a read that came after that moment may come after
//!   the end of the lease.
//! - **The same for all**, or longer for some. Who has no lease set up, or a shorter one, grants none: so it may be turned on, or made
//!   longer, one member after the other. Before a member is started with a shorter one, or none, it is down for as long as the longer one.
//!
//! # Why it is safe
//!
//! A leader of ballot b answers a read from its state, which has everything up to its `committed`. The read misses something only if
//! more was chosen in a slot above, and somebody was told of that: in a ballot above b, as whatever is chosen in b is told by this leader
//! alone, and what was chosen below b is under `safe_from`. Let M be the members as the leader knows them. They are so since a slot that is
//! applied here, and whoever proposes behind that slot has applied it too and has promises of a quorum of M (a leader that learns of M
//! *extends* to it: see [`crate::log`]). Each such quorum has a member `a` in common with the one that granted the lease; of old and new
//! voters while these change, in both. When did `a` promise the higher ballot?
//!
//! - *Before it granted.* Then it follows b no more, and did not grant ([`Replica::hear_lease`], the one `if`).
//! - *After it granted.* Then its hold was over ([`Replica::is_held`], asked before each promise and before it stands, the other `if`). It began
//!   after the lease was asked for, and both last so long that, by true time, the lease ended no later than `ms` after its beginning,
//!   and the hold no earlier than `ms` after its own.
//! - *After it was started again,* and had forgotten. Then it has waited for as long as a hold lasts ([`Held::start`]), whatever disk it
//!   is on.
//! - *It is the leader itself,* which has not asked itself. It gives way by that, and has no lease from then on.
//!
//! A member can hold for two: a leader of old members, who has not heard of the new ones yet, is granted leases too, and they are of no use
//! to it behind that change. So a hold is kept for each proposer and is no leave for another.
//!
//! # What it costs
//!
//! A group that was read from elects a new leader a lease after the last request for one, if that is later than it would have. A member that is
//! started lets nobody lead for a lease: so does a group of which all are started, and a group of one. Who hands over waits until
//! what was granted is over; a leader that was removed does not, and its group waits in its place.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{NodeId, Stamp, Tick, planted};
use serde::{Deserialize, Serialize};

use super::message::{Body, Message};
use super::replica::{Replica, Role};
use super::{Host, StateMachine};
use crate::ballot::Ballot;

/// How long a leader may answer reads by itself, and how far clocks can be trusted.
///
/// A host that sets one up promises that no member's clock goes wrong by more than that, not while its machine sleeps either; that the `now`
/// of each call was read after what the call is about had come; and that a member which is started with a shorter one than before,
/// or with none, was down for as long as the longer one. `log/lease.rs` says why that is enough.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// So long, by true time.
    pub ms: u64,
    /// No member's clock is too fast or too slow by more than so many millionths.
    pub drift_ppm: u32,
}

impl Lease {
    /// By a clock that may be too slow: not more than `ms`.
    fn short_us(self) -> u64 {
        self.us().saturating_sub(self.drift_us())
    }

    /// By a clock that may be too fast: not less than `ms`. A tick is up to a microsecond late.
    pub(super) fn long_us(self) -> u64 {
        self.us().saturating_add(self.drift_us()).saturating_add(1)
    }

    fn us(self) -> u64 {
        self.ms.saturating_mul(1_000)
    }

    fn drift_us(self) -> u64 {
        match planted!("a lease over a skewed clock") {
            true => 0,
            false => self.us().saturating_mul(self.drift_ppm.into()).div_ceil(1_000_000),
        }
    }
}

/// What a member has granted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    /// To whom, and until when.
    granted: BTreeMap<NodeId, Tick>,
    /// What it had granted before it was started is over.
    started: Tick,
}

impl Held {
    /// Nothing is known of what was granted before.
    pub fn start(&mut self, now: Tick, lease: Option<Lease>) {
        let lease = lease.filter(|_| !planted!("who was started lets others lead"));
        self.started = lease.map_or(Tick(0), |lease| now + lease.long_us());
    }

    fn grant(&mut self, now: Tick, to: NodeId, lease: Lease) {
        self.granted.retain(|_, until| now < *until);
        self.granted.insert(to, now + lease.long_us());
    }

    /// From when on a node may come to lead, as far as this member is asked.
    pub fn free_from(&self, node: NodeId) -> Tick {
        let others = self.granted.iter().filter(|(to, _)| **to != node);
        others.map(|(_, until)| *until).fold(self.started, Tick::max)
    }
}

/// What a leader was granted.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Leased {
    /// The last request: its number, when it was, and who has granted it.
    number: u64,
    asked: Tick,
    granted: BTreeSet<NodeId>,
    /// Whatever was granted is over by then, about.
    pub over: Tick,
    /// It may answer by itself until then.
    until: Tick,
}

impl Leased {
    /// Half of it is over. What was not granted by then is asked for again.
    fn is_due(&self, now: Tick, lease: Lease) -> bool {
        self.number == 0 || now.since(self.asked) >= lease.short_us() / 2
    }

    fn ask(&mut self, now: Tick) -> u64 {
        self.number += 1;
        self.asked = now;
        self.granted.clear();
        self.number
    }

    /// Nobody else leads.
    pub fn holds(&self, now: Tick) -> bool {
        now < self.until
    }

    /// The members are others.
    pub fn end(&mut self) {
        self.until = Tick(0);
    }
}

impl<S: StateMachine> Replica<S> {
    /// Leaders of this group answer reads by themselves, or with `None` don't: see [`Lease`].
    pub fn with_lease(mut self, lease: Option<Lease>) -> Replica<S> {
        self.lease = lease;
        self
    }

    /// Whether another has been granted that this node does not come to lead.
    pub(super) fn is_held(&self, now: Tick, node: NodeId) -> bool {
        now < self.held.free_from(node)
    }

    /// Reads come: a lease is asked for, if it is time.
    pub(super) fn ask_for_lease(&mut self, now: Tick, host: &mut impl Host) {
        let Some(lease) = self.lease else { return };
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.is_handing() || !leading.lease.is_due(now, lease) {
            return;
        }
        let body = Body::Lease { number: leading.lease.ask(now), ms: lease.ms };
        let message = Message::new(leading.ballot, body);
        self.tell_voters(message, Stamp::NONE, host);
    }

    /// A leader asks for a lease. What it is told need not be on the disk: who has forgotten it waits.
    pub(super) fn hear_lease(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        (number, ms): (u64, u64),
        host: &mut impl Host,
    ) {
        let Some(lease) = self.lease.filter(|lease| ms <= lease.ms) else { return };
        // Who has promised a higher ballot may have helped another to lead.
        let follows = self.leader_ballot() == Some(ballot) && self.promised.ballot() == ballot;
        if follows && ballot.proposer == from {
            self.held.grant(now, from, lease);
            host.send(from, Message::new(ballot, Body::Granted { number }), Stamp::NONE);
        }
    }

    pub(super) fn hear_granted(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        number: u64,
        host: &mut impl Host,
    ) {
        let Some(lease) = self.lease else { return };
        let id = self.id;
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.ballot != ballot {
            return;
        }
        let leased = &mut leading.lease;
        leased.over = now + lease.long_us();
        if leased.number != number {
            return;
        }
        leased.granted.insert(from);
        if self.members.have_chosen_if(|node| node == id || leased.granted.contains(&node)) {
            leased.until = leased.asked + lease.short_us();
            self.answer_reads(now, host);
        }
    }
}
