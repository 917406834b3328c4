//! A node alone, under the one host and under the other.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};

use ombak_aries::OsDisk;
use ombak_base::{ClientId, NodeId, ShardId};
use ombak_node::{Reply, Request};
use ombak_runtime::{Asked, Flow};
use ombak_sim::{Booted, Heard, Rng, SimDisk, System, World};
use ombak_store::log::{LogDevice, LogWriter};
use tempfile::TempDir;

use crate::both_hosts::recorded::Record;
use crate::both_hosts::requests::is_last;
use crate::both_hosts::script::Host;
use crate::both_hosts::site::{Node, Site};
use crate::both_hosts::steady::{Ask, Steady};
use crate::both_hosts::window::{Client, Window};

const SHARD: ShardId = ShardId(0);
const NODE: NodeId = NodeId(0);

fn said_last(reply: &Option<Reply>) -> bool {
    reply.as_ref().is_none_or(is_last)
}

fn ask(request: Request) -> Ask {
    Ask::Of(Box::new(request))
}

/// The records of all starts of a node.
fn records(site: &Site) -> Vec<Record> {
    site.starts.iter().flatten().cloned().collect()
}

/// On threads, sockets and files. Key requests come over a socket. Listings come from this process, because there
/// the client decides when it wants more; at a socket the runtime does, by how full it is.
pub struct Threads {
    site: Site,
    dir: TempDir,
    /// `None` while it is started again.
    node: Option<(Node<Steady>, Client<Steady>)>,
    said: usize,
}

/// A listing under way.
pub struct Listing {
    asked: Asked,
    parts: Receiver<Reply>,
}

impl Threads {
    pub fn start() -> Threads {
        let dir = tempfile::tempdir().unwrap();
        let mut threads = Threads { site: Site::new(0, 1, 1), dir, node: None, said: 0 };
        threads.boot();
        threads
    }

    fn boot(&mut self) {
        let (shards, writer) = self.site.open(OsDisk::open(self.dir.path()).unwrap());
        let shards = shards.into_iter().map(|(shard, device)| (Steady::new(shard), device));
        let opened = (shards.collect(), writer);
        let node = Node::start(&self.site, opened, Window::new(said_last), &[], None, Vec::new());
        let client = node.client();
        self.node = Some((node, client));
        self.said = 0;
        self.rest(0);
    }

    /// Clients have said so much more: waits until nothing more comes of it.
    fn rest(&mut self, more: usize) {
        self.said += more;
        self.site.records()[0].wait("everything to come to rest", |log| log.is_quiet(self.said));
    }

    fn node(&mut self) -> &mut (Node<Steady>, Client<Steady>) {
        self.node.as_mut().unwrap()
    }

    fn stop(&mut self) {
        let (node, client) = self.node.take().unwrap();
        drop(client);
        node.stop();
    }
}

impl Host for Threads {
    type Listing = Listing;

    fn ask(&mut self, request: Request) -> Reply {
        let reply = self.node().1.ask(ask(request)).unwrap();
        self.rest(1);
        reply
    }

    fn list(&mut self, request: Request) -> Listing {
        let (sender, parts) = mpsc::channel();
        let sink = move |part: Option<Reply>, _| {
            let is_last = said_last(&part);
            part.into_iter().for_each(|part| sender.send(part).unwrap());
            if is_last { Flow::Last } else { Flow::Wait }
        };
        let asked = self.node().0.handle().send(SHARD, ask(request), Box::new(sink)).unwrap();
        self.rest(1);
        Listing { asked, parts }
    }

    fn parts(&mut self, listing: &Listing) -> Vec<Reply> {
        listing.parts.try_iter().collect()
    }

    fn more(&mut self, listing: &Listing) {
        self.node().0.handle().more(listing.asked);
        self.rest(1);
    }

    fn leave(&mut self, listing: Listing) {
        self.node().0.handle().gone(listing.asked);
        self.rest(1);
    }

    fn pass(&mut self, ms: u64) {
        assert_eq!(self.node().1.ask(Ask::Pass(ms)), None);
        self.rest(0);
    }

    fn restart(&mut self) {
        self.stop();
        self.boot();
    }

    fn end(mut self) -> Vec<Record> {
        self.stop();
        records(&self.site)
    }
}

/// In virtual time, on a simulated disk.
pub struct Virtual {
    world: World<Alone>,
    heard: BTreeMap<ClientId, Vec<Reply>>,
}

/// How the simulator boots the node.
struct Alone {
    site: Site,
}

impl System for Alone {
    type Machine = Steady;
    type Device = LogDevice<SimDisk>;
    type Writer = LogWriter<SimDisk>;

    fn boot(
        &mut self,
        _: NodeId,
        disk: &SimDisk,
        _: u64,
        _: &mut Rng,
    ) -> Result<Booted<Alone>, String> {
        let (shards, writer) = self.site.open(disk.clone());
        let shards = shards.into_iter().map(|(shard, device)| (Steady::new(shard), device));
        Ok(Booted { shards: shards.collect(), writer })
    }
}

impl Virtual {
    pub fn start(seed: u64) -> Virtual {
        let world = World::new(Alone { site: Site::new(0, 1, 1) }, 1, seed).unwrap();
        let mut host = Virtual { world, heard: BTreeMap::new() };
        host.rest();
        host
    }

    /// Does all that there is to do: no timer is armed unless time is to pass.
    fn rest(&mut self) {
        while self.world.step() {}
        for reply in self.world.take_replies() {
            let Heard::Reply(part) = reply.heard else { continue };
            if said_last(&part) {
                self.world.finish(reply.client);
            }
            self.heard.entry(reply.client).or_default().extend(part);
        }
    }

    fn say(&mut self, ask: Ask) -> ClientId {
        let client = self.world.request(NODE, SHARD, ask);
        self.rest();
        client
    }

    fn hear(&mut self, client: ClientId) -> Vec<Reply> {
        self.heard.get_mut(&client).map(std::mem::take).unwrap_or_default()
    }
}

impl Host for Virtual {
    type Listing = ClientId;

    fn ask(&mut self, request: Request) -> Reply {
        let client = self.say(ask(request));
        self.hear(client).remove(0)
    }

    fn list(&mut self, request: Request) -> ClientId {
        self.say(ask(request))
    }

    fn parts(&mut self, listing: &ClientId) -> Vec<Reply> {
        self.hear(*listing)
    }

    fn more(&mut self, listing: &ClientId) {
        self.world.more(*listing);
        self.rest();
    }

    fn leave(&mut self, listing: ClientId) {
        self.world.go_away(listing);
        self.rest();
    }

    fn pass(&mut self, ms: u64) {
        self.say(Ask::Pass(ms));
    }

    fn restart(&mut self) {
        self.world.restart(NODE).unwrap();
        self.rest();
    }

    fn end(mut self) -> Vec<Record> {
        self.world.crash(NODE);
        records(&self.world.system().site)
    }
}
