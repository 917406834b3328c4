//! Three production nodes, and clients who want everything at once, before, while and after one node is away.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread::Scope;

use bytes::Bytes;
use ombak_aries::OsDisk;
use ombak_base::{NodeId, ShardId};
use ombak_kv::props::{PropValue, QuorumProp};
use ombak_kv::{Answer, Operation, PutOp};
use ombak_node::{Reply, Request, ShardStatus};
use ombak_runtime::Flow;
use ombak_sim::Rng;
use tempfile::TempDir;

use crate::both_hosts::links::Lives;
use crate::both_hosts::recorded::{DEADLINE, Recorded};
use crate::both_hosts::requests::{
    LATEST, SIBLINGS, context, deleting, is_last, keep_siblings, key, keys, reading, set, writing,
};
use crate::both_hosts::site::{Node, Site};
use crate::both_hosts::window::{Client, Window};

const NODES: u32 = 3;
const SHARDS: u16 = 2;
/// The one that is away for a while.
const AWAY: usize = 2;
const VISITORS: u64 = 4;
const ROUNDS: usize = 30;

/// The cluster.
pub struct Crowd {
    sites: Vec<Site>,
    dirs: Vec<TempDir>,
    /// Held open while its node is away, so that nobody else gets the port.
    doors: Vec<TcpListener>,
    peers: Vec<(NodeId, SocketAddr)>,
    nodes: Vec<Option<Node<Recorded>>>,
}

/// What came of all requests.
#[derive(Default, Debug)]
pub struct Tally {
    pub answered: usize,
    pub failed: usize,
}

impl Crowd {
    pub fn start() -> Crowd {
        let doors: Vec<_> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address =
            |(node, door): (usize, &TcpListener)| (NodeId(node as u32), door.local_addr().unwrap());
        let peers = doors.iter().enumerate().map(address).collect();
        let mut crowd = Crowd {
            sites: (0..NODES).map(|node| Site::new(node, NODES, SHARDS)).collect(),
            dirs: (0..NODES).map(|_| tempfile::tempdir().unwrap()).collect(),
            doors,
            peers,
            nodes: (0..NODES).map(|_| None).collect(),
        };
        (0..NODES as usize).for_each(|node| crowd.boot(node));
        crowd
    }

    /// The whole story.
    pub fn live(&mut self) -> Tally {
        self.wait_ready();
        self.prepare();
        let mut tally = self.visit(1, &[0, 1, 2], |_| {});
        self.leave_a_listing();
        tally.add(self.visit(2, &[0, 1], |crowd| crowd.stop(AWAY)));
        tally.add(self.visit(3, &[0, 1], |crowd| crowd.boot(AWAY)));
        self.wait_ready();
        tally.add(self.visit(4, &[0, 1, 2], |_| {}));
        tally
    }

    /// Stops all nodes, and gives out what each shard went through.
    pub fn end(mut self) -> Vec<Lives> {
        (0..NODES as usize).for_each(|node| self.stop(node));
        let shards = self.sites.iter().flat_map(|site| (0..SHARDS).map(move |shard| (site, shard)));
        let lives = |(site, shard): (&Site, u16)| {
            let records = site.starts.iter().map(|start| start[usize::from(shard)].clone());
            (site.address(shard), records.collect())
        };
        shards.map(lives).collect()
    }

    fn boot(&mut self, node: usize) {
        let site = &mut self.sites[node];
        let opened = site.open(OsDisk::open(self.dirs[node].path()).unwrap());
        let door = self.doors[node].try_clone().unwrap();
        let node_of =
            Node::start(site, opened, Window::new(is_last), &self.peers, Some(door), Vec::new());
        self.nodes[node] = Some(node_of);
    }

    fn stop(&mut self, node: usize) {
        self.nodes[node].take().unwrap().stop();
    }

    fn node(&self, node: usize) -> &Node<Recorded> {
        self.nodes[node].as_ref().unwrap()
    }

    /// Waits until every shard can name writes and sees all others.
    fn wait_ready(&self) {
        for node in 0..self.nodes.len() {
            (0..SHARDS).for_each(|shard| self.wait_ready_at(node, shard));
        }
    }

    /// Looks again whenever the shard has heard something new, heartbeats if nothing else.
    fn wait_ready_at(&self, node: usize, shard: u16) {
        let record = &self.sites[node].records()[usize::from(shard)];
        for _ in 0..1_000 {
            let status = self.node(node).handle().call(ShardId(shard), Request::Status, DEADLINE);
            if matches!(status, Ok(Reply::Status(status)) if is_ready(&status)) {
                return;
            }
            let seen = record.log().steps.len();
            record.wait("anything to happen", |log| log.steps.len() > seen);
        }
        panic!("{:?} does not become ready", self.sites[node].address(shard));
    }

    /// Enough keys for a listing that does not end by itself.
    fn prepare(&self) {
        let mut client = self.node(0).client();
        assert_eq!(client.ask(keep_siblings()), Reply::Kv(Answer::PropsSet));
        for number in 0..24 {
            let put = writing(LATEST, &format!("kept {number}"), "kept");
            let reply = client.ask(key(Operation::Put(put)));
            assert!(matches!(reply, Reply::Kv(Answer::Written(_))), "{reply:?}");
        }
    }

    /// Begins a listing, and goes away after its first part.
    fn leave_a_listing(&self) {
        let (sender, parts) = mpsc::channel();
        let sink = move |part: Reply, _| {
            let _ = sender.send(is_last(&part));
            Flow::Wait
        };
        let handle = self.node(0).handle();
        let asked = handle.send(ShardId(0), keys(LATEST, None), Box::new(sink)).unwrap();
        assert_eq!(parts.recv_timeout(DEADLINE), Ok(false));
        handle.gone(asked);
    }

    /// Visitors come to some nodes, and `meanwhile` something happens to another.
    fn visit(&mut self, seed: u64, at: &[usize], meanwhile: impl FnOnce(&mut Crowd)) -> Tally {
        let mut rng = Rng::new(seed);
        let mut visitors: Vec<Visitor> =
            (0..VISITORS).map(|_| Visitor::new(rng.fork(), self, at)).collect();
        std::thread::scope(|scope| {
            let threads: Vec<_> = visitors.iter_mut().map(|visitor| visitor.run(scope)).collect();
            meanwhile(self);
            threads.into_iter().for_each(|thread| thread.join().unwrap());
        });
        let mut tally = Tally::default();
        visitors.into_iter().for_each(|visitor| tally.add(visitor.tally));
        tally
    }
}

impl Tally {
    fn add(&mut self, more: Tally) {
        self.answered += more.answered;
        self.failed += more.failed;
    }
}

fn is_ready(status: &ShardStatus) -> bool {
    status.vnodes.iter().all(|vnode| vnode.ready) && status.peers.iter().all(|peer| peer.up)
}

/// A client with a connection to each of some nodes.
struct Visitor {
    rng: Rng,
    clients: Vec<Client<Recorded>>,
    contexts: BTreeMap<Place, Bytes>,
    tally: Tally,
}

/// A bucket and a key.
type Place = (&'static str, &'static str);

impl Visitor {
    fn new(rng: Rng, crowd: &Crowd, at: &[usize]) -> Visitor {
        let clients = at.iter().map(|node| crowd.node(*node).client()).collect();
        Visitor { rng, clients, contexts: BTreeMap::new(), tally: Tally::default() }
    }

    fn run<'scope>(
        &'scope mut self,
        scope: &'scope Scope<'scope, '_>,
    ) -> std::thread::ScopedJoinHandle<'scope, ()> {
        scope.spawn(move || (0..ROUNDS).for_each(|_| self.round()))
    }

    /// Asks a few things at once, and hears all answers.
    fn round(&mut self) {
        let at = self.rng.below(self.clients.len() as u64) as usize;
        let mut open = BTreeMap::new();
        for _ in 0..self.rng.between(1, 4) {
            let place = self.place();
            let request = self.request(place);
            open.insert(self.clients[at].send(request), place);
        }
        while !open.is_empty() {
            let (number, reply, is_last) = self.clients[at].hear();
            let place = open[&number];
            self.contexts.extend(context(&reply).map(|context| (place, context)));
            if is_last {
                open.remove(&number);
                self.tally.answered += 1;
                self.tally.failed += usize::from(matches!(reply, Reply::Kv(Answer::Failed(_))));
            }
        }
    }

    fn place(&mut self) -> Place {
        let bucket = self.rng.pick(&[SIBLINGS, LATEST]).copied().unwrap();
        (bucket, self.rng.pick(&["a", "b", "c", "d", "e", "f"]).copied().unwrap())
    }

    fn request(&mut self, (bucket, of): Place) -> Request {
        let context = self.contexts.get(&(bucket, of)).cloned().filter(|_| self.rng.chance(3, 4));
        match self.rng.below(16) {
            0..=5 => key(Operation::Get(reading(bucket, of))),
            6..=11 => {
                let value = format!("{} {}", self.rng.next_u64(), self.rng.next_u64());
                let context = context.unwrap_or_default();
                key(Operation::Put(PutOp { context, ..writing(bucket, of, &value) }))
            }
            12 | 13 => key(Operation::Delete(deleting(bucket, of, context))),
            14 => keys(LATEST, None),
            _ => set(LATEST, "r", Some(PropValue::Quorum(self.quorum()))),
        }
    }

    fn quorum(&mut self) -> QuorumProp {
        self.rng.pick(&[QuorumProp::One, QuorumProp::Quorum]).copied().unwrap()
    }
}
