//! One put through [`Shard`], host to host: what the machine alone costs, without sockets, threads and disks.
//!
//! Three shards, N=3, W=2, 1 KiB values, messages passed as they are. Prints nanoseconds and heap allocations of a put
//! and of a get over all three nodes. `cargo bench -p ombak-node`; the floor of everything that `ombak bench` measures.

#![expect(clippy::disallowed_methods, reason = "a bench reads the clock")]

use std::collections::VecDeque;
use std::time::Instant;

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Device, DirectoryId, Effects, Event, Load, Machine, NodeId, Now, Partition,
    Peek, Refused, Scan, ShardId, Stamp, Tick, Ticket,
};
use ombak_cluster::Topology;
use ombak_kv::{BucketId, Content, GetOp, Operation, PutOp, Quorum, Quorums, Return};
use ombak_node::{Boot, Config, DeleteMode, Message, Reply, Request, Shard, Timer};
use ombak_store::memory::Memory;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const KEYS: u64 = 10_000;

/// Three shards and what is on its way between them.
struct Cluster {
    nodes: Vec<(Shard, Memory)>,
    queue: VecDeque<(NodeId, Event<Shard>)>,
    answers: u64,
    chosen: u64,
    now: Now,
}

/// The effects of one step.
struct Fx<'a> {
    me: NodeId,
    device: &'a mut Memory,
    queue: &'a mut VecDeque<(NodeId, Event<Shard>)>,
    answers: &'a mut u64,
    chosen: &'a mut u64,
}

impl Effects<Shard> for Fx<'_> {
    fn send(&mut self, to: Address, message: Message, _: Stamp) -> Result<(), Refused> {
        let from = Address { node: self.me, shard: ShardId(0) };
        self.queue.push_back((to.node, Event::Message { from, message }));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, reply: Reply, _: Stamp) {
        let failed = matches!(reply, Reply::Kv(ombak_kv::Answer::Failed(_)));
        assert!(!failed, "{reply:?}");
        *self.answers += 1;
    }

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, n: u64) -> u64 {
        *self.chosen = self.chosen.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        (*self.chosen >> 16) % n
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        let Load::Ready(entry) = self.device.load(partition, key) else {
            unreachable!("memory never blocks")
        };
        self.queue.push_front((self.me, Event::Loaded { ticket, entry }));
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.device.peek(partition, key)
    }

    fn store(
        &mut self,
        partition: Partition,
        key: &Bytes,
        entry: Option<ombak_base::Entry>,
    ) -> Stamp {
        self.device.store(partition, key, entry.as_ref())
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        let chunk = self.device.scan(&scan);
        self.queue.push_back((self.me, Event::Scanned { ticket, chunk }));
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn probe(&mut self, _: &'static str) {}
}

impl Cluster {
    fn new() -> Cluster {
        let names: Vec<String> = (0..3).map(|node| format!("n{node}")).collect();
        let topology = Topology::fixed(&names, 64).expect("a valid ring");
        let node = |node| {
            let me = Address { node: NodeId(node), shard: ShardId(0) };
            let config = Config {
                me,
                shards: 1,
                topology: topology.clone(),
                boot: 1,
                directory: DirectoryId(1),
                delete_mode: DeleteMode::Immediate,
                root: None,
            };
            let mut device = Memory::new();
            let boot = Boot::read(&mut device, &config, &Default::default());
            (Shard::new(config, boot), device)
        };
        let nodes = (0..3).map(node).collect();
        let mut cluster =
            Cluster { nodes, queue: VecDeque::new(), answers: 0, chosen: 1, now: Now::default() };
        cluster.form();
        cluster
    }

    fn form(&mut self) {
        let all = || (0..3).map(NodeId);
        all().for_each(|node| self.queue.push_back((node, Event::Start)));
        self.run();
        for node in all() {
            for peer in all().filter(|peer| *peer != node) {
                let up = Event::PeerUp { node: peer, shards: 1, hello: Bytes::new() };
                self.queue.push_back((node, up));
            }
        }
        self.run();
        self.sync();
    }

    /// Everything stored is durable.
    fn sync(&mut self) {
        for node in 0..3 {
            let stamp = self.nodes[node].1.durable();
            self.queue.push_back((NodeId(node as u32), Event::Durable(stamp)));
        }
        self.run();
    }

    fn run(&mut self) {
        while let Some((node, event)) = self.queue.pop_front() {
            let (shard, device) = &mut self.nodes[node.0 as usize];
            let mut fx = Fx {
                me: node,
                device,
                queue: &mut self.queue,
                answers: &mut self.answers,
                chosen: &mut self.chosen,
            };
            shard.step(self.now, event, &mut fx);
        }
    }

    fn ask(&mut self, operation: Operation) {
        let request = Request::Kv(ombak_kv::Request::Key(operation));
        self.queue.push_back((NodeId(0), Event::Request { client: ClientId(1), request }));
        self.run();
    }
}

fn put(n: u64) -> Operation {
    let quorums = Quorums { w: Quorum::Count(2), dw: Quorum::Count(0), ..Quorums::default() };
    Operation::Put(PutOp {
        bucket: BucketId::default_type("bench"),
        key: Some(key(n)),
        context: Bytes::new(),
        content: Content { value: Bytes::from_static(&[7; 1024]), ..Content::default() },
        quorums,
        returns: Return::Nothing,
        if_none_match: false,
        if_not_modified: false,
        timeout_ms: None,
    })
}

fn get(n: u64) -> Operation {
    Operation::Get(GetOp {
        bucket: BucketId::default_type("bench"),
        key: key(n),
        quorums: Quorums::default(),
        basic_quorum: None,
        notfound_ok: None,
        timeout_ms: None,
    })
}

fn key(n: u64) -> Bytes {
    Bytes::from(format!("key{:08}", n % KEYS))
}

fn repeat(cluster: &mut Cluster, times: u64, operation: fn(u64) -> Operation) {
    for n in 0..times {
        cluster.ask(operation(n.wrapping_mul(7919)));
        if n % 64 == 63 {
            cluster.sync();
        }
    }
}

/// Runs `operation` so often, and prints what one costs. Counting slows down, so it comes after timing.
fn measure(what: &str, cluster: &mut Cluster, times: u64, operation: fn(u64) -> Operation) {
    repeat(cluster, KEYS, operation);
    let before = cluster.answers;
    let began = Instant::now();
    repeat(cluster, times, operation);
    let nanoseconds = began.elapsed().as_nanos() as u64 / times;
    assert_eq!(cluster.answers - before, times, "every {what} is answered");
    let _profiler = dhat::Profiler::builder().testing().build();
    repeat(cluster, 1_024, operation);
    let allocations = dhat::HeapStats::get().total_blocks / 1_024;
    println!("{what}: {nanoseconds} ns, {allocations} allocations over three nodes");
}

fn main() {
    let times =
        if std::env::args().any(|argument| argument == "--bench") { 300_000 } else { 1_000 };
    let mut cluster = Cluster::new();
    measure("put", &mut cluster, times, put);
    measure("get", &mut cluster, times, get);
}
