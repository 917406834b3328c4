//! The small state of a vnode: its dots, whether it is complete, and what it has reaped.
//!
//! # Dots
//!
//! A dot may never be used twice, or two different writes would look like one and one of them would vanish. The number
//! `n` is therefore minted only below a *lease* that is already synced; a boot resumes at the lease, skipping what was
//! left of it, and records the gap.
//!
//! # A name for each boot
//!
//! A context is a version vector: "up to n of this actor" says that every earlier write of that actor to the key is seen
//! as well. A vnode that crashes may lose writes that it had named and sent to others, who have synced and acknowledged
//! them. Were it to go on under the same name, its next write to the key would claim to have seen what it has lost, and
//! the others would drop it. So each boot names its writes under an actor of its own, drawn at random: whatever disk it
//! finds, and whether anybody can be asked or not, nobody else has ever had that name.
//!
//! # Lost and older disks
//!
//! Peers remember of each vnode under which actor it was last started, and a directory remembers its last starts (its
//! *lineage*). A vnode that comes with a directory which does not know of the start that a peer remembers sits on a lost
//! disk, or on an older copy: it becomes incomplete, of a higher generation. It shows the same claim and the same lineage
//! until it has been judged, however often it is started, and however long its peers are silent.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ombak_base::{
    ActorId, Effects, Entry, FNV_START, Machine, NodeId, Partition, Stamp, Tick, always, fnv1a,
    planted,
};
use ombak_crdt::{Context, Dot};
use serde::{Deserialize, Serialize};

use super::record::{Claim, Lineage, META_KEY, VnodeRecord, peer_key};
use crate::header::{CLOCK_SLACK_MS, FENCE_WINDOW_MS};

/// How many numbers a lease is ahead.
pub const LEASE: u64 = 64 * 1024;
/// At most so many reaped keys are remembered; above it nothing is reaped for a while.
pub const GRAVES_MAX: usize = 16_384;

/// What a peer says of our claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Verdict {
    /// It fits what is remembered.
    Fits,
    /// More was claimed before: the disk is lost or older. The generation that was claimed is given.
    Older(u64),
}

/// One vnode's small state.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Vnode {
    partition: Partition,
    record: VnodeRecord,
    /// What of its stored data is known to be damaged; 0 for nothing.
    damage: u64,
    /// Under which name this boot mints.
    minting: ActorId,
    /// The next number to mint.
    next: u64,
    /// Up to where the synced lease reaches.
    lease_synced: u64,
    /// The record that is being synced: its stamp and its lease.
    syncing: Option<(Stamp, u64)>,
    /// Whether the peers have been asked about the claim, or have been silent for too long.
    settled: bool,
    /// A property broke in it: it is left alone until the node is started again.
    stopped: bool,
    /// What other owners claimed for their replicas of this partition.
    peers: BTreeMap<NodeId, Claim>,
    /// Keys that were reaped within the last window, and everything that had been seen of them.
    graves: BTreeMap<Bytes, (Context, Tick)>,
    burials: VecDeque<(Tick, Bytes)>,
}

impl Vnode {
    /// A vnode on a directory that has none: incomplete until the other owners confirm that there never was one.
    pub fn format(partition: Partition, actor: ActorId) -> Vnode {
        let claim = Claim { generation: 1, actor, lease: LEASE };
        let (gaps, lineage) = (Vec::new(), Lineage::default());
        let record = VnodeRecord { claim, complete: false, fresh: true, mended: 0, gaps, lineage };
        Vnode::with_record(partition, record, 1)
    }

    /// A vnode that was here before, under the name of a new start. What is left of its lease is skipped.
    pub fn resume(partition: Partition, mut record: VnodeRecord, actor: ActorId) -> Vnode {
        let Claim { generation, actor: before, lease } = record.claim;
        record.lineage.push(before, lease);
        record.gaps = vec![(1, lease)];
        let actor = named(before, actor);
        record.claim = Claim { generation, actor, lease: lease + LEASE };
        let next = match planted!("a dot reused after a crash") {
            true => lease.saturating_sub(LEASE) + 1,
            false => lease + 1,
        };
        Vnode::with_record(partition, record, next)
    }

    /// A vnode whose stored data turned out damaged: what it lacks is unknown, and so is what it minted. `damage` is the
    /// fingerprint of what is wrong; if just that has been repaired before, nothing new is lost.
    pub fn resume_damaged(
        partition: Partition,
        record: Option<VnodeRecord>,
        damage: u64,
        actor: ActorId,
    ) -> Vnode {
        let mut vnode = match record {
            Some(record) if record.mended == damage => Vnode::resume(partition, record, actor),
            record => {
                let mut vnode = Vnode::format(partition, actor);
                vnode.record.claim.generation += record.map_or(0, |record| record.claim.generation);
                vnode.record.fresh = false;
                vnode
            }
        };
        vnode.damage = damage;
        vnode
    }

    fn with_record(partition: Partition, record: VnodeRecord, next: u64) -> Vnode {
        Vnode {
            partition,
            minting: record.claim.actor,
            record,
            damage: 0,
            next,
            lease_synced: 0,
            syncing: None,
            settled: false,
            stopped: false,
            peers: BTreeMap::new(),
            graves: BTreeMap::new(),
            burials: VecDeque::new(),
        }
    }

    /// Which partition this is a replica of.
    pub fn partition(&self) -> Partition {
        self.partition
    }

    /// Whether its not having a key means anything.
    pub fn is_complete(&self) -> bool {
        self.record.complete && !self.stopped
    }

    /// Whether a property broke in it, so that it does nothing more.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// It does nothing more until the node is started again.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// Whether it is new in its place and waits for the other owners to say so.
    pub fn is_fresh(&self) -> bool {
        self.record.fresh
    }

    /// Whether its claim has been compared with what the peers remember.
    pub fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether it can mint a dot now.
    pub fn can_mint(&self) -> bool {
        self.settled && !self.stopped && self.next <= self.lease_synced
    }

    /// What it claims.
    pub fn claim(&self) -> Claim {
        self.record.claim
    }

    /// The starts that its directory remembers.
    pub fn lineage(&self) -> &Lineage {
        &self.record.lineage
    }

    /// Names one write. `None` while the lease is not synced or the peers have not been asked.
    pub fn mint(&mut self) -> Option<Dot> {
        if !self.can_mint() {
            return None;
        }
        let dot = Dot { actor: self.minting, n: self.next };
        self.next += 1;
        Some(dot)
    }

    /// Whether half of the lease is used up and no longer one is on its way.
    pub fn wants_lease(&self) -> bool {
        self.syncing.is_none() && self.next + LEASE / 2 > self.record.claim.lease
    }

    /// Extends the lease. The owner persists it and tells the peers.
    pub fn extend_lease(&mut self) {
        self.record.claim.lease += LEASE;
    }

    /// Writes the record; its lease counts once it is durable.
    pub fn persist<M: Machine, E: Effects<M>>(&mut self, fx: &mut E) -> Stamp {
        let entry = Entry { tag: 0, bytes: self.record.encode() };
        let stamp = fx.store(self.partition, &Bytes::from_static(META_KEY), Some(entry));
        self.syncing = Some((stamp, self.record.claim.lease));
        fx.await_durable(stamp);
        stamp
    }

    /// Whether a record is on its way to the disk.
    pub fn is_syncing(&self) -> bool {
        self.syncing.is_some()
    }

    /// Everything up to `stamp` is durable.
    pub fn durable(&mut self, stamp: Stamp) {
        if let Some((_, lease)) = self.syncing.take_if(|(syncing, _)| *syncing <= stamp) {
            self.lease_is_synced(lease);
        }
    }

    /// The record with `lease` is on disk.
    pub fn lease_is_synced(&mut self, lease: u64) {
        self.lease_synced = lease.min(self.record.claim.lease);
    }

    /// The peers have spoken, or have been silent for too long. Says whether the record has changed.
    pub fn settle(&mut self, verdicts: &[Verdict], new_actor: ActorId) -> bool {
        self.settled = true;
        let older = verdicts.iter().filter_map(|verdict| match verdict {
            Verdict::Fits => None,
            Verdict::Older(generation) => Some(*generation),
        });
        let Some(generation) = older.max() else { return false };
        self.become_actor(new_actor, generation.max(self.record.claim.generation) + 1);
        self.record.complete = false;
        self.record.fresh = false;
        true
    }

    /// All other owners have confirmed that nothing was here before.
    pub fn confirm_fresh(&mut self) {
        self.record.fresh = false;
        self.record.complete = true;
    }

    /// Something that this boot has stored, or an earlier one, cannot be read any more: what it named before may be lost
    /// here, so what comes now has another name.
    pub fn name_anew(&mut self) {
        let name = fnv1a(fnv1a(FNV_START, &self.minting.0.to_le_bytes()), &self.next.to_le_bytes());
        self.minting = named(self.minting, ActorId(name));
    }

    /// Its data has been copied, or found wanting.
    pub fn set_complete(&mut self, complete: bool) {
        self.record.complete = complete;
        self.record.fresh = false;
        if complete {
            self.record.mended = self.damage;
        }
    }

    fn become_actor(&mut self, actor: ActorId, generation: u64) {
        self.record.claim = Claim { generation, actor, lease: LEASE };
        self.record.gaps.clear();
        self.record.lineage = Lineage::default();
        self.minting = actor;
        self.next = 1;
        self.lease_synced = 0;
    }

    /// Hears what `node` claims for its replica, and the lineage of that. A claim that fits is remembered: the entry to
    /// store is returned.
    pub fn hear_claim(
        &mut self,
        node: NodeId,
        claim: Claim,
        lineage: &Lineage,
    ) -> (Verdict, Option<(Bytes, Entry)>) {
        match self.peers.get(&node) {
            Some(known) if *known == claim => (Verdict::Fits, None),
            Some(known) if !claim.follows(lineage, known) => {
                (Verdict::Older(known.generation), None)
            }
            _ => {
                self.peers.insert(node, claim);
                let mut bytes = Vec::new();
                claim.encode(&mut bytes);
                (Verdict::Fits, Some((peer_key(node), Entry { tag: 0, bytes: Bytes::from(bytes) })))
            }
        }
    }

    /// A claim that was stored by an earlier boot.
    pub fn remember_claim(&mut self, node: NodeId, claim: Claim) {
        self.peers.insert(node, claim);
    }

    /// Remembers that `key` was reaped, having seen `context`. `false`: too much is remembered already, do not reap.
    pub fn bury(&mut self, key: &Bytes, context: &Context, now: Tick) -> bool {
        self.forget_graves(now);
        if self.graves.len() >= GRAVES_MAX || self.burials.len() >= GRAVES_MAX {
            return false;
        }
        let until = now.plus_ms(FENCE_WINDOW_MS + CLOCK_SLACK_MS);
        let grave = self.graves.entry(key.clone()).or_insert_with(|| (Context::default(), until));
        grave.0.join(context);
        grave.1 = until;
        self.burials.push_back((until, key.clone()));
        true
    }

    /// What had been seen of a key that was reaped within the window.
    pub fn grave(&self, key: &[u8]) -> Option<&Context> {
        self.graves.get(key).map(|(context, _)| context)
    }

    /// Forgets what no message can still contradict.
    pub fn forget_graves(&mut self, now: Tick) {
        while let Some((_, key)) = self.burials.pop_front_if(|(until, _)| *until < now) {
            if self.graves.get(&key).is_some_and(|(_, until)| *until < now) {
                self.graves.remove(&key);
            }
        }
    }

    /// How many reaped keys are remembered.
    pub fn graves(&self) -> usize {
        self.graves.len()
    }

    /// Whether the invariants hold: it is asked after every step of a simulated shard, of every vnode.
    #[inline]
    pub fn is_sound(&self) -> bool {
        self.stopped
            || self.mints_below_its_lease()
                && self.lease_synced <= self.record.claim.lease
                && !(self.record.complete && self.record.fresh)
    }

    fn mints_below_its_lease(&self) -> bool {
        self.next <= self.record.claim.lease + 1
    }

    /// The invariants of a vnode that is not sound.
    pub fn check(&self) {
        always!(self.mints_below_its_lease(), "dots are minted below the lease", "{self:?}");
        always!(
            self.lease_synced <= self.record.claim.lease,
            "a synced lease was written",
            "{self:?}"
        );
        always!(self.is_sound(), "a fresh vnode is not complete", "{self:?}");
    }
}

/// A new name; the one before, where that bug is planted.
fn named(before: ActorId, new: ActorId) -> ActorId {
    let keeps = planted!("a dot reused after a crash") || planted!("one name for all boots");
    if keeps { before } else { new }
}

#[cfg(test)]
mod tests;
