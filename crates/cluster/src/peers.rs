//! Who is alive, as one shard sees it: heartbeats over the connections that requests use.
//!
//! A peer is *alive* while this shard's connection to it stands and all of its shards were heard from within
//! [`SUSPECT_MS`]: every shard answers over a link of its own, and one that has none yet would answer in vain. A crashed
//! process is noticed at once (the connection breaks), a frozen or unreachable one after the suspicion time. Liveness
//! routes; it decides nothing.
//!
//! An alive peer is *up*, so that requests are routed to it, once this shard has learned from each of its shards what it
//! may have missed while they were apart (for a database: bucket properties). So a node that comes back decides nothing
//! together with others by what it knew before.

use std::collections::BTreeMap;

use ombak_base::{Address, NodeId, Partition, ShardId, Tick};
use serde::{Deserialize, Serialize};

use crate::header::{FENCE_WINDOW_MS, Fence};

/// How often a shard says that it is there.
pub const HEARTBEAT_MS: u64 = 250;
/// Silence for so long makes a peer suspect.
pub const SUSPECT_MS: u64 = 1_000;

/// A heartbeat: the sender's boot and its clock, and which of its links to the receiver's node this is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Greeting {
    /// Drawn anew when the process starts.
    pub boot: u64,
    /// The sender's clock when it was sent.
    pub tick: Tick,
    /// Counts the sending shard's links to the receiver's node. Answers travel on the answerer's own link; when that
    /// broke, they are lost though the asker's link stands, and this number tells. It also tells of answers that were
    /// lost with the answerer's disk.
    pub link: u64,
}

/// What is known of one peer.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Peer {
    /// Whether our connection to it stands.
    pub connected: bool,
    /// Whether it is heard from. Changes that all must know of are shown to it, and wait for it.
    pub alive: bool,
    /// Whether requests are routed to it.
    pub up: bool,
    /// How many shards it runs.
    pub shards: u16,
    /// How many links to it this shard has had.
    links: u64,
    /// How each of its shards greeted last, in its present boot and since our connection to it last broke.
    greeted: BTreeMap<ShardId, Greeted>,
    /// Its last greeting, and when it came.
    heard: Option<(Greeting, Tick)>,
}

/// The last greeting of one shard.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Greeted {
    /// On which of its links.
    link: u64,
    at: Tick,
    /// Whether we have learned what it knew, since we were last apart.
    in_step: bool,
}

impl Peer {
    /// Whether all of its shards were heard from lately.
    fn is_heard(&self, now: Tick) -> bool {
        self.connected && self.all(|greeted| now.since(greeted.at) < SUSPECT_MS * 1_000)
    }

    fn all(&self, fits: impl Fn(&Greeted) -> bool) -> bool {
        (0..self.shards).all(|shard| self.greeted.get(&ShardId(shard)).is_some_and(&fits))
    }

    /// It may be alive now, and up. That it has fallen silent is found in one place, for there is more to be done about it:
    /// see [`Peers::suspect`].
    fn look_again(&mut self, now: Tick) {
        self.alive |= self.is_heard(now);
        self.up = self.alive && self.all(|greeted| greeted.in_step);
    }

    /// We are apart: what it learns meanwhile, we do not.
    fn is_away(&mut self) {
        self.alive = false;
        self.up = false;
        self.greeted.values_mut().for_each(|greeted| greeted.in_step = false);
    }
}

/// All other members.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Peers {
    me: Address,
    shards: u16,
    boot: u64,
    /// Whether any peer has been up since this boot; a node that is alone knows all there is.
    in_the_know: bool,
    peers: BTreeMap<NodeId, Peer>,
}

impl Peers {
    /// The peers of shard `me` of a node with `shards` shards, in its boot `boot`.
    pub fn new(
        me: Address,
        shards: u16,
        boot: u64,
        members: impl Iterator<Item = NodeId>,
    ) -> Peers {
        let peers: BTreeMap<NodeId, Peer> =
            members.filter(|node| *node != me.node).map(|node| (node, Peer::default())).collect();
        Peers { me, shards, boot, in_the_know: peers.is_empty(), peers }
    }

    /// This node's boot.
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// All peers with their state, in the order of ids.
    pub fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.peers.iter().map(|(node, peer)| (*node, peer))
    }

    /// The connection to `node` stands.
    pub fn connected(&mut self, node: NodeId, shards: u16, now: Tick) {
        if let Some(peer) = self.peers.get_mut(&node) {
            peer.connected = true;
            peer.links += 1;
            peer.shards = shards.max(1);
            peer.look_again(now);
            self.in_the_know |= peer.up;
        }
    }

    /// The connection is gone. Says whether the peer was up. What it said so far does not make it up again: if it was
    /// started anew, it has no links to answer on until it greets.
    pub fn disconnected(&mut self, node: NodeId) -> bool {
        let Some(peer) = self.peers.get_mut(&node) else { return false };
        peer.connected = false;
        let was_up = peer.up;
        peer.is_away();
        peer.greeted.clear();
        was_up
    }

    /// What this shard was about to answer is lost, though its links stand: its greetings say so to all peers.
    pub fn answers_lost(&mut self) {
        self.peers.values_mut().for_each(|peer| peer.links += 1);
    }

    /// The greeting for `node` at `now`.
    pub fn greeting(&self, node: NodeId, now: Tick) -> Greeting {
        let link = self.peers.get(&node).map_or(0, |peer| peer.links);
        Greeting { boot: self.boot, tick: now, link }
    }

    /// All shards of `node`, if there is a link to it.
    pub fn shards_of(&self, node: NodeId) -> Vec<Address> {
        let shards =
            self.peers.get(&node).filter(|peer| peer.connected).map_or(0, |peer| peer.shards);
        (0..shards).map(|shard| Address { node, shard: ShardId(shard) }).collect()
    }

    /// A greeting came, from a shard that knows what this one knows, or something else. Says whether it came on a new
    /// link or from a new boot, so that answers on the one before may be lost.
    pub fn heard(
        &mut self,
        from: Address,
        greeting: Greeting,
        knows_the_same: bool,
        now: Tick,
    ) -> bool {
        let Some(peer) = self.peers.get_mut(&from.node) else { return false };
        let is_new_boot = peer.heard.is_some_and(|(last, _)| last.boot != greeting.boot);
        if is_new_boot {
            peer.is_away();
            peer.greeted.clear();
        }
        let stale = peer
            .heard
            .is_some_and(|(last, _)| last.boot == greeting.boot && last.tick > greeting.tick);
        if !stale {
            peer.heard = Some((greeting, now));
        }
        let before = peer.greeted.get(&from.shard).copied();
        let new_link = is_new_boot || before.is_some_and(|before| before.link != greeting.link);
        let in_step = knows_the_same || before.is_some_and(|before| before.in_step && !new_link);
        peer.greeted.insert(from.shard, Greeted { link: greeting.link, at: now, in_step });
        peer.look_again(now);
        self.in_the_know |= peer.up;
        new_link
    }

    /// This shard has learned what that one knows.
    pub fn learned(&mut self, from: Address, now: Tick) {
        let Some(peer) = self.peers.get_mut(&from.node) else { return };
        if let Some(greeted) = peer.greeted.get_mut(&from.shard) {
            greeted.in_step = true;
        }
        peer.look_again(now);
        self.in_the_know |= peer.up;
    }

    /// Whether this node has learned from anybody, since it started, what it may have missed before.
    pub fn in_the_know(&self) -> bool {
        self.in_the_know
    }

    /// The boot of a node, as it was last heard; this node's own included.
    pub fn boot_of(&self, node: NodeId) -> Option<u64> {
        if node == self.me.node {
            return Some(self.boot);
        }
        Some(self.peers.get(&node)?.heard?.0.boot)
    }

    /// The peers that have just become suspect by their silence.
    pub fn suspect(&mut self, now: Tick) -> Vec<NodeId> {
        let mut suspects = Vec::new();
        for (node, peer) in &mut self.peers {
            if peer.alive && !peer.is_heard(now) {
                peer.is_away();
                suspects.push(*node);
            }
        }
        suspects
    }

    /// Whether requests may be sent to `node`. This node is always up to itself.
    pub fn is_up(&self, node: NodeId) -> bool {
        node == self.me.node || self.peers.get(&node).is_some_and(|peer| peer.up)
    }

    /// Whether a connection to `node` stands, up or not.
    pub fn is_connected(&self, node: NodeId) -> bool {
        self.peers.get(&node).is_some_and(|peer| peer.connected)
    }

    /// The shard of `node` that runs `partition`.
    pub fn address(&self, node: NodeId, partition: Partition) -> Address {
        let shards = match self.peers.get(&node) {
            Some(peer) => peer.shards.max(1),
            None => self.shards,
        };
        Address { node, shard: ShardId((partition.0 % u32::from(shards)) as u16) }
    }

    /// The fence for an operation that begins now and may take `timeout_ms`; `None` for a peer never heard from.
    pub fn fence(&self, node: NodeId, timeout_ms: u64, now: Tick) -> Option<Fence> {
        if node == self.me.node {
            return Some(Fence {
                boot: self.boot,
                deadline: now.plus_ms(timeout_ms.min(FENCE_WINDOW_MS)),
            });
        }
        let (greeting, at) = self.peers.get(&node)?.heard?;
        let asked = (greeting.tick + now.since(at)).plus_ms(timeout_ms);
        Some(Fence {
            boot: greeting.boot,
            deadline: asked.min(greeting.tick.plus_ms(FENCE_WINDOW_MS)),
        })
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
