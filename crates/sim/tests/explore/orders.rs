//! Steps that commute: with and without those that are left out, explorations find the same.

use std::hash::Hash;

use bytes::Bytes;
use ombak_base::*;
use ombak_sim::explore::{Budget, Cluster, Digest, Explorer, History, Outcome, Report};

use crate::machines::Word;

const NODES: u32 = 3;
/// A node does no more than that, so that explorations end.
const ACTS_MAX: u8 = 2;

/// Does anything at all, as its numbers say: says something to anybody, stores, waits for the sync, answers, chooses, waits for a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Anything {
    seed: u64,
    node: u32,
    acts: u8,
    past: u64,
}

/// Whether the nodes have had their start before the exploration begins.
fn begins_at_rest(seed: u64) -> bool {
    seed.is_multiple_of(5)
}

impl Anything {
    fn act<E: Effects<Anything>>(&mut self, now: Now, what: impl Hash, fx: &mut E) {
        if self.acts == ACTS_MAX {
            return;
        }
        self.acts += 1;
        let mut drawn = Digest::of(&(self.seed, self.node, self.past, what));
        let mut draw = |n: u64| {
            let one = (drawn % u128::from(n)) as u64;
            drawn /= u128::from(n);
            one
        };
        self.past = draw(4);
        if draw(8) == 0 {
            self.past += 4 * fx.choose(2);
        }
        let mut after = Stamp::NONE;
        if draw(2) == 0 {
            let entry = Entry { tag: draw(2), bytes: Bytes::new() };
            after = fx.store(Partition(0), &Bytes::from_static(b"key"), Some(entry));
        }
        for _ in 0..draw(3) {
            let to = Address { node: NodeId(draw(u64::from(NODES)) as u32), shard: ShardId(0) };
            let after = if draw(2) == 0 { after } else { Stamp::NONE };
            let _ = fx.send(to, Word(draw(2)), after);
        }
        if draw(3) == 0 {
            fx.reply(ClientId(u64::from(self.node)), draw(2) as u8, after);
        }
        if draw(6) == 0 {
            fx.arm((), now.tick.plus_ms(draw(3)));
        }
        fx.probe(["one place", "another", "a third"][draw(3) as usize]);
    }
}

impl Machine for Anything {
    type Message = Word;
    type Request = u8;
    type Reply = u8;
    type Timer = ();

    fn step<E: Effects<Anything>>(&mut self, now: Now, event: Event<Anything>, fx: &mut E) {
        match event {
            Event::Start if begins_at_rest(self.seed) => self.act(now, "start", fx),
            Event::Message { from, message } => self.act(now, (from.node, message.0), fx),
            Event::Request { request, .. } => self.act(now, request, fx),
            Event::Timer(()) => self.act(now, "timer", fx),
            Event::Durable(_) => self.act(now, "durable", fx),
            Event::PeerDown(node) => self.act(now, ("down", node), fx),
            _ => {}
        }
    }
}

/// Everything that clients saw, in order.
#[derive(Clone, Hash, Debug, Default)]
pub struct All(Vec<(ClientId, u8)>);

impl History<Anything> for All {
    fn asked(&mut self, client: ClientId, request: &u8) {
        self.0.push((client, *request));
    }

    fn replied(&mut self, client: ClientId, reply: &u8) {
        self.0.push((client, 100 + reply));
    }
}

pub fn cluster(seed: u64) -> Cluster<Anything, All> {
    let machine = move |node: NodeId| Anything { seed, node: node.0, acts: 0, past: 0 };
    let budget = Budget {
        timers: (seed % 2) as u32,
        drops: (seed / 2 % 2) as u32,
        crashes: (seed / 4 % 3 / 2) as u32,
        ..Budget::default()
    };
    let mut cluster = Cluster::new(NODES, machine).history(All::default()).budget(budget);
    for node in 0..NODES {
        cluster = cluster.request(NodeId(node), node as u8);
    }
    cluster = match seed / 16 % 3 {
        0 => cluster.unordered(),
        1 => cluster.connected(|_| Bytes::new()),
        _ => cluster,
    };
    let cluster = if begins_at_rest(seed) { cluster.begins_at_rest() } else { cluster };
    ["one place", "another", "a third"].into_iter().fold(cluster, Cluster::reached)
}

/// What must not depend on it.
fn found(
    report: &Report<Cluster<Anything, All>>,
) -> (Outcome, u64, u64, u32, Vec<&str>, Vec<usize>) {
    let examples = report.sometimes.iter().filter_map(|each| each.example.as_ref());
    let lengths = examples.map(|example| example.actions.len()).collect();
    let Report { outcome, states, ends, depth_complete, .. } = report;
    (*outcome, *states, *ends, *depth_complete, report.unreached().collect(), lengths)
}

#[test]
fn nothing_is_missed_by_what_is_left_out() {
    let (mut left_out, mut taken, mut complete) = (0, 0, 0);
    for seed in 0..96 {
        let cluster = cluster(seed);
        let explorer = || Explorer::new(&cluster).states_max(10_000);
        let all = explorer().all_orders().run();
        if all.outcome != Outcome::Complete {
            continue;
        }
        let fewer = explorer().run();
        assert_eq!(found(&all), found(&fewer), "seed {seed}");
        assert_eq!(all.left_out, 0);
        assert!(fewer.steps + fewer.left_out == all.steps, "seed {seed}");
        complete += 1;
        left_out += fewer.left_out;
        taken += fewer.steps;
    }
    println!("{complete} clusters, {taken} steps taken, {left_out} left out");
    assert!(complete >= 20 && left_out > taken / 10, "{complete} {left_out} of {taken}");
}
