//! Starting, greeting, and standing by what this node's vnodes claim.
//!
//! At the start every vnode takes up its record (or is formatted), extends its lease, and asks the other owners of its
//! row what they remember of its claim. Until they have answered, or have been silent for too long, it names no writes.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{ActorId, Address, Effects, NodeId, Now, Partition, Stamp, sometimes};
use ombak_cluster::{Claim, Greeting, HEARTBEAT_MS, Lineage, SUSPECT_MS, Verdict, Vnode, VnodeMap};

use crate::boot::{Boot, VnodeState};
use crate::message::Message;
use crate::shard::{Shard, Timer};

pub(crate) const HEARTBEAT_US: u64 = HEARTBEAT_MS * 1_000;
/// Peers that have not judged our claims by then are not waited for.
const SETTLE_MS: u64 = 2 * SUSPECT_MS;

impl Shard {
    pub(crate) fn start<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        let Boot { vnodes, props, .. } = self.boot.take().unwrap_or_default();
        for export in &props {
            // What cannot be read is learned again from a peer: its digest differs.
            let _ = self.buckets.import(export);
        }
        let partitions: Vec<Partition> = vnodes.keys().copied().collect();
        self.vnodes = VnodeMap::new(
            vnodes.into_iter().map(|(partition, state)| revive(partition, state, fx)),
        )
        .waiting_at_most(self.bounds.waiting_max);
        for partition in partitions {
            self.persist(partition, fx);
            self.settle_if_judged(partition, fx);
        }
        fx.arm(Timer::Settle, now.tick.plus_ms(SETTLE_MS));
    }

    /// Stores a vnode's record; its lease counts, and its claim is shown to peers, once that is durable.
    pub(crate) fn persist<E: Effects<Shard>>(&mut self, partition: Partition, fx: &mut E) {
        let Some(vnode) = self.vnodes.vnode_mut(partition) else { return };
        let stamp = vnode.persist(fx);
        let shown = shown(vnode);
        self.stored = self.stored.max(stamp);
        if !self.syncing.contains(&partition) {
            self.syncing.push(partition);
        }
        for node in self.other_owners(partition) {
            if self.peers.is_connected(node) {
                let address = self.peers.address(node, partition);
                // A peer that cannot be reached hears of it when it connects.
                let _ = fx.send(address, Message::Claims(vec![shown.clone()]), stamp);
            }
        }
    }

    /// Extends the lease of every vnode that has used up half of it.
    pub(crate) fn extend_leases<E: Effects<Shard>>(&mut self, fx: &mut E) {
        let short = self.vnodes.vnodes().filter(|vnode| vnode.wants_lease());
        let short: Vec<Partition> = short.map(Vnode::partition).collect();
        for partition in short {
            if let Some(vnode) = self.vnodes.vnode_mut(partition) {
                vnode.extend_lease();
            }
            self.persist(partition, fx);
        }
    }

    fn other_owners(&self, partition: Partition) -> Vec<NodeId> {
        let row = self.config.topology.ring.row(partition).iter();
        row.copied().filter(|node| *node != self.me()).collect()
    }

    /// A connection stands: greet, show what we claim and which bucket properties we know.
    pub(crate) fn peer_up<E: Effects<Shard>>(
        &mut self,
        now: Now,
        node: NodeId,
        shards: u16,
        fx: &mut E,
    ) {
        self.peers.connected(node, shards, now.tick);
        self.greet(now, self.peers.shards_of(node), fx);
        self.show_claims(node, |_| true, fx);
    }

    /// Shows a peer what the vnodes of its rows claim, as far as `wanted`.
    fn show_claims<E: Effects<Shard>>(
        &mut self,
        node: NodeId,
        wanted: impl Fn(&Vnode) -> bool,
        fx: &mut E,
    ) {
        let mut claims: BTreeMap<Address, Vec<(Partition, Claim, Lineage)>> = BTreeMap::new();
        for vnode in self.vnodes.vnodes().filter(|vnode| wanted(vnode)) {
            if self.config.topology.ring.row(vnode.partition()).contains(&node) {
                let address = self.peers.address(node, vnode.partition());
                claims.entry(address).or_default().push(shown(vnode));
            }
        }
        for (address, claims) in claims {
            let _ = fx.send(address, Message::Claims(claims), self.stored);
        }
    }

    /// Asks again where a verdict is missing: claim or verdict may have been lost, for instance because the peer's own
    /// connection to this node did not stand yet. Who has not judged this start may not remember it either.
    fn ask_for_verdicts<E: Effects<Shard>>(&mut self, node: NodeId, fx: &mut E) {
        let missing = |vnode: &&Vnode| {
            let is_owner = self.config.topology.ring.row(vnode.partition()).contains(&node);
            is_owner && !self.verdicts.contains_key(&(vnode.partition(), node))
        };
        let partitions: BTreeSet<Partition> =
            self.vnodes.vnodes().filter(missing).map(Vnode::partition).collect();
        if !partitions.is_empty() && self.peers.is_connected(node) {
            self.show_claims(node, |vnode| partitions.contains(&vnode.partition()), fx);
        }
    }

    pub(crate) fn greet<E: Effects<Shard>>(&mut self, now: Now, shards: Vec<Address>, fx: &mut E) {
        let props = self.buckets.digest_all();
        for address in shards {
            let greeting = self.peers.greeting(address.node, now.tick);
            let _ = fx.send(address, Message::Greeting(greeting, props), Stamp::NONE);
        }
    }

    pub(crate) fn heartbeat<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        fx.arm(Timer::Heartbeat, now.tick + HEARTBEAT_US);
        for node in self.config.topology.nodes() {
            self.greet(now, self.peers.shards_of(node), fx);
            self.ask_for_verdicts(node, fx);
        }
        for node in self.peers.suspect(now.tick) {
            sometimes!(fx, "a silent peer was suspected");
            self.lost(now, node, fx);
        }
        self.pay_owed(fx);
        for vnode in self.vnodes.vnodes_mut() {
            vnode.forget_graves(now.tick);
        }
    }

    pub(crate) fn greeted<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        greeting: Greeting,
        props: u64,
        fx: &mut E,
    ) {
        let knows_the_same = props == self.buckets.digest_all();
        if self.peers.heard(from, greeting, knows_the_same, now.tick) {
            sometimes!(fx, "a peer answers on a new link");
            self.answers_lost(now, from.node, fx);
        }
        if !knows_the_same {
            self.show_props(from, fx);
        }
    }

    /// A peer's vnodes claim something: remember it, and say whether it fits.
    pub(crate) fn claims<E: Effects<Shard>>(
        &mut self,
        from: Address,
        claims: Vec<(Partition, Claim, Lineage)>,
        fx: &mut E,
    ) {
        let mut verdicts = Vec::with_capacity(claims.len());
        for (partition, claim, lineage) in claims {
            let Some(vnode) = self.vnodes.vnode_mut(partition) else { continue };
            let (verdict, remember) = vnode.hear_claim(from.node, claim, &lineage);
            verdicts.push((partition, claim, verdict));
            if let Some((key, entry)) = remember {
                self.stored = fx.store(partition, &key, Some(entry));
            }
        }
        let _ = fx.send(from, Message::Verdicts(verdicts), self.stored);
    }

    /// A peer has judged what our vnodes claim.
    pub(crate) fn judged<E: Effects<Shard>>(
        &mut self,
        node: NodeId,
        verdicts: Vec<(Partition, Claim, Verdict)>,
        fx: &mut E,
    ) {
        for (partition, claim, verdict) in verdicts {
            // What was claimed before, or by an earlier boot, says nothing of what is claimed now.
            if self.vnodes.vnode(partition).is_none_or(|vnode| vnode.claim() != claim) {
                continue;
            }
            self.verdicts.insert((partition, node), verdict);
            self.settle_if_judged(partition, fx);
        }
    }

    /// Settles a vnode once all other owners have judged it, or any has found it wanting.
    fn settle_if_judged<E: Effects<Shard>>(&mut self, partition: Partition, fx: &mut E) {
        let owners = self.other_owners(partition);
        let judged = |node: &NodeId| self.verdicts.get(&(partition, *node)).copied();
        let verdicts: Vec<Verdict> = owners.iter().filter_map(judged).collect();
        let wanting = verdicts.iter().any(|verdict| *verdict != Verdict::Fits);
        let all = verdicts.len() == owners.len();
        let Some(vnode) = self.vnodes.vnode_mut(partition) else { return };
        if wanting || (all && !vnode.is_settled()) {
            if wanting {
                sometimes!(fx, "a vnode found that its disk was lost or restored");
                self.verdicts.retain(|(judged, _), _| *judged != partition);
            }
            let actor = ActorId(fx.choose(u64::MAX));
            if vnode.settle(&verdicts, actor) {
                self.persist(partition, fx);
            }
        }
        if let Some(vnode) = self.vnodes.vnode_mut(partition)
            && all
            && !wanting
            && vnode.is_fresh()
        {
            vnode.confirm_fresh();
            self.persist(partition, fx);
        }
    }

    /// Peers that have not judged us by now are not waited for: the name of this start is new whatever they would say.
    pub(crate) fn settle_silent<E: Effects<Shard>>(&mut self, fx: &mut E) {
        for vnode in self.vnodes.vnodes_mut().filter(|vnode| !vnode.is_settled()) {
            sometimes!(fx, "a vnode started without hearing from all owners");
            vnode.settle(&[], vnode.claim().actor);
        }
    }
}

/// What a peer is to judge.
fn shown(vnode: &Vnode) -> (Partition, Claim, Lineage) {
    (vnode.partition(), vnode.claim(), vnode.lineage().clone())
}

/// A vnode from what was found of it.
fn revive<E: Effects<Shard>>(partition: Partition, state: VnodeState, fx: &mut E) -> Vnode {
    let actor = ActorId(fx.choose(u64::MAX));
    let mut vnode = match state.record {
        record if state.damage != 0 => {
            Vnode::resume_damaged(partition, record, state.damage, actor)
        }
        Some(record) => Vnode::resume(partition, record, actor),
        None => Vnode::format(partition, actor),
    };
    for (node, claim) in state.claims {
        vnode.remember_claim(node, claim);
    }
    vnode
}
