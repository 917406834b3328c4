//! [`Peers`] against what its words mean, looked up in all that ever happened.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

const ME: Address = Address { node: NodeId(0), shard: ShardId(0) };
const PEERS: [NodeId; 2] = [NodeId(1), NodeId(2)];

#[derive(Clone, Copy, Debug)]
enum What {
    Connected(NodeId, u16),
    Disconnected(NodeId),
    Heard(Address, u64, u64, bool),
    Learned(Address),
    Suspect,
}

use What::{Connected, Disconnected, Heard, Learned, Suspect};

impl What {
    /// Whether it says something of a node.
    fn is_of(self, node: NodeId) -> bool {
        match self {
            Connected(of, _) | Disconnected(of) => of == node,
            Heard(from, ..) | Learned(from) => from.node == node,
            Suspect => true,
        }
    }
}

fn what() -> impl Strategy<Value = What> {
    let node = || proptest::sample::select(&PEERS[..]);
    let from =
        move || (node(), 0..2u16).prop_map(|(node, shard)| Address { node, shard: ShardId(shard) });
    let rarely_another = || proptest::sample::select(&[0, 0, 0, 0, 0, 1][..]);
    let heard = (from(), rarely_another(), rarely_another(), any::<bool>());
    prop_oneof![
        2 => (node(), 1..=2u16).prop_map(|(node, shards)| Connected(node, shards)),
        1 => node().prop_map(Disconnected),
        8 => heard.prop_map(|(from, boot, link, same)| Heard(from, boot, link, same)),
        2 => from().prop_map(Learned),
        2 => Just(Suspect),
    ]
}

/// All that happened, and when.
struct History<'a>(&'a [(What, Tick)]);

impl History<'_> {
    /// What was said of a node before `end`, the newest first.
    fn back(&self, node: NodeId, end: usize) -> impl Iterator<Item = (usize, What)> {
        let before = self.0[..end].iter().enumerate().rev();
        before.map(|(at, (what, _))| (at, *what)).filter(move |(_, what)| what.is_of(node))
    }

    /// How many shards the node behind the connection has, if one stands.
    fn connection(&self, node: NodeId, end: usize) -> Option<u16> {
        let last =
            self.back(node, end).find(|(_, what)| matches!(what, Connected(..) | Disconnected(_)));
        last.and_then(|(_, what)| if let Connected(_, shards) = what { Some(shards) } else { None })
    }

    fn boot(&self, node: NodeId, end: usize) -> Option<u64> {
        self.back(node, end)
            .find_map(|(_, what)| if let Heard(_, boot, ..) = what { Some(boot) } else { None })
    }

    /// The greetings of a shard that count, the newest first: of the node's present boot, since its last, and since the connection broke.
    fn greetings(&self, from: Address, end: usize) -> impl Iterator<Item = (usize, u64, bool)> {
        let boot = self.boot(from.node, end);
        let counts = self.back(from.node, end).take_while(move |(_, what)| match what {
            Heard(_, of, ..) => Some(*of) == boot,
            what => !matches!(what, Disconnected(_)),
        });
        counts.filter_map(move |(at, what)| match what {
            Heard(of, _, link, same) if of == from => Some((at, link, same)),
            _ => None,
        })
    }

    fn is_fresh(&self, node: NodeId, end: usize, now: Tick) -> bool {
        let shard_is = |shard| {
            let last = self.greetings(Address { node, shard: ShardId(shard) }, end).next();
            last.is_some_and(|(at, ..)| now.since(self.0[at].1) < SUSPECT_MS * 1_000)
        };
        self.connection(node, end).is_some_and(|shards| (0..shards).all(shard_is))
    }

    /// Alive is who was fresh when something was heard, and was not found silent since.
    fn is_alive(&self, node: NodeId, end: usize) -> bool {
        let Some((at, what)) = self.back(node, end).next() else { return false };
        let fresh = self.is_fresh(node, end, self.0[at].1);
        match what {
            Disconnected(_) => false,
            Suspect => fresh && self.is_alive(node, at),
            Heard(_, boot, ..) if self.boot(node, at).is_some_and(|before| before != boot) => fresh,
            _ => fresh || self.is_alive(node, at),
        }
    }

    /// Whether we know what a shard knew when we were last apart.
    fn is_in_step(&self, from: Address, end: usize) -> bool {
        let greetings: Vec<_> = self.greetings(from, end).collect();
        let Some((last, link, same)) = greetings.first().copied() else { return false };
        let since = self.back(from.node, end).take_while(|(at, _)| *at > last).collect::<Vec<_>>();
        let silent = |at: usize| self.is_alive(from.node, at) && !self.is_alive(from.node, at + 1);
        for (at, what) in since {
            match what {
                Learned(of) if of == from => return true,
                Suspect if silent(at) => return false,
                _ => {}
            }
        }
        let same_link = greetings.get(1).is_none_or(|(_, before, _)| *before == link);
        same || (greetings.len() > 1 && same_link && self.is_in_step(from, last))
    }

    fn is_up(&self, node: NodeId, end: usize) -> bool {
        let in_step = |shard| self.is_in_step(Address { node, shard: ShardId(shard) }, end);
        self.is_alive(node, end) && (0..self.connection(node, end).unwrap_or(0)).all(in_step)
    }
}

/// What happened, on [`Peers`]; whether it told of a loss.
fn happen(peers: &mut Peers, what: What, now: Tick) -> BTreeSet<NodeId> {
    match what {
        Connected(node, shards) => peers.connected(node, shards, now),
        Disconnected(node) => {
            return peers.disconnected(node).then_some(node).into_iter().collect();
        }
        Heard(from, boot, link, same) => {
            peers.heard(from, Greeting { boot, tick: now, link }, same, now);
        }
        Learned(from) => peers.learned(from, now),
        Suspect => return peers.suspect(now).into_iter().collect(),
    }
    BTreeSet::new()
}

proptest! {
    #[test]
    fn peers_are_what_their_history_says(
        steps in proptest::collection::vec((what(), 0..6u64), 0..40),
    ) {
        let mut peers = Peers::new(ME, 1, 1, PEERS.into_iter());
        let (mut history, mut now) = (Vec::new(), Tick(0));
        let mut known = false;
        for (what, quarters) in steps {
            now = now.plus_ms(quarters * SUSPECT_MS / 4);
            let told = happen(&mut peers, what, now);
            history.push((what, now));
            let (history, end) = (History(&history), history.len());
            for (node, peer) in peers.iter() {
                prop_assert_eq!(peer.alive, history.is_alive(node, end), "alive: {:?}", history.0);
                prop_assert_eq!(peer.up, history.is_up(node, end), "up: {:?}", history.0);
                prop_assert_eq!(peer.connected, history.connection(node, end).is_some());
                prop_assert_eq!(peers.boot_of(node), history.boot(node, end));
                known |= peer.up;
                let is_lost = match what {
                    Suspect => history.is_alive(node, end - 1) && !history.is_alive(node, end),
                    Disconnected(of) => of == node && history.is_up(node, end - 1),
                    _ => false,
                };
                prop_assert_eq!(told.contains(&node), is_lost);
            }
            prop_assert_eq!(peers.in_the_know(), known);
        }
    }
}
