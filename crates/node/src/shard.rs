//! The shard: its state, and which room each event goes to.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ombak_base::property::about;
use ombak_base::{
    Address, ClientId, DirectoryId, Effects, Event, Machine, NodeId, Now, Once, Partition, Stamp,
    Ticket, always, eventually, sometimes,
};
use ombak_cluster::{Peers, Topology, Verdict, Vnode, VnodeMap, WAITING_MAX};
use ombak_kv::props::{BucketMap, BucketProps};
use ombak_kv::{Answer, BucketId, Kv, RequestError};
use ombak_paxos::Members;
use ombak_paxos::locks::{LockAsk, LockReply, LockServer, LockTimer};
use ombak_paxos::register::server::{
    RegisterReply, RegisterRequest, RegisterServer, RegisterTimer,
};
use serde::{Deserialize, Serialize};

use crate::boot::Boot;
use crate::coordinate::Op;
use crate::entry::Forward;
use crate::listing::List;
use crate::members::HEARTBEAT_US;
use crate::message::{Message, Told};
use crate::part::Part;
use crate::reaping::{DeleteMode, Waiting};
use crate::registers::Registers;
use crate::repair::{DISK_FULL, Repair, STORAGE_FAILED, ScanFor};
use crate::replica::Origin;
use crate::spread::Spread;
use crate::status::{RepairReport, ShardStatus};

/// At most so many requests are under way in one shard; more are refused with `overload`.
pub const OPS_MAX: usize = 8192;
/// At most so many stores wait for the log; writes above are refused with `overload`.
pub const UNSYNCED_MAX: u64 = 65_536;

/// What a shard has room for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Bounds {
    /// At most so many requests are under way; more are refused with `overload`.
    pub ops_max: usize,
    /// At most so many stores wait for the log; writes above are refused with `overload`.
    pub unsynced_max: u64,
    /// At most so many commands wait for what they need to be loaded.
    pub waiting_max: usize,
}

impl Default for Bounds {
    fn default() -> Bounds {
        Bounds { ops_max: OPS_MAX, unsynced_max: UNSYNCED_MAX, waiting_max: WAITING_MAX }
    }
}
/// How often requests are looked at for being out of time.
const SWEEP_MS: u64 = 100;

/// Who and where a shard is.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Config {
    /// This shard.
    pub me: Address,
    /// Shards of this node.
    pub shards: u16,
    /// The cluster.
    pub topology: Topology,
    /// Drawn anew at every start of the process.
    pub boot: u64,
    /// The data directory.
    pub directory: DirectoryId,
    /// What becomes of tombstones.
    pub delete_mode: DeleteMode,
    /// Who founds the root group, the same on all nodes; `None`: there is none.
    pub root: Option<Members>,
}

/// What clients and operators ask of a shard.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[expect(clippy::large_enum_variant, reason = "requests about data are the common case")]
pub enum Request {
    /// Something about data.
    Kv(ombak_kv::Request),
    /// How this shard is.
    Status,
    /// Make this shard's incomplete vnodes complete.
    Repair,
    /// Something about locks, of shard 0.
    Locks(LockAsk),
    /// Something about registers, of shard 0.
    Register(RegisterRequest),
}

/// What a shard answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Reply {
    /// About data. A listing comes in parts.
    Kv(Answer),
    /// How this shard is.
    Status(Box<ShardStatus>),
    /// What the repair came to.
    Repaired(RepairReport),
    /// About locks.
    Locks(LockReply),
    /// About registers.
    Register(RegisterReply),
}

/// A shard's timers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Timer {
    /// Greet the peers, look for silent ones.
    Heartbeat,
    /// Look for requests that are out of time.
    Sweep,
    /// Stop waiting for peers to judge this node's claims.
    Settle,
    /// The root group's.
    Root(LockTimer),
    /// The registers'.
    Registers(RegisterTimer),
}

/// One core's share of a node.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Shard {
    pub(crate) config: Config,
    pub(crate) peers: Peers,
    pub(crate) vnodes: VnodeMap<Kv, Origin>,
    pub(crate) buckets: BucketMap,
    /// What was found on disk, until the start.
    pub(crate) boot: Option<Boot>,
    /// Operations that this shard coordinates; boxed, because the map moves its entries about.
    pub(crate) ops: BTreeMap<u64, Box<Op>>,
    /// Tombstones that are to be reaped later, in the order of their time or nearly so.
    pub(crate) waiting: VecDeque<Waiting>,
    /// Operations that another shard coordinates for a client of this one.
    pub(crate) forwards: BTreeMap<u64, Forward>,
    /// Forwarded writes that were taken lately: each is done once.
    pub(crate) once: Once,
    pub(crate) spreads: BTreeMap<u64, Spread>,
    pub(crate) lists: BTreeMap<u64, List>,
    pub(crate) list_clients: BTreeMap<ClientId, u64>,
    /// Pieces of listings that have been asked for: which listing each belongs to.
    pub(crate) pieces: BTreeMap<u64, u64>,
    pub(crate) repair: Option<Repair>,
    pub(crate) scans: BTreeMap<Ticket, ScanFor>,
    /// Own writes that wait for the log: what to tell which operation.
    pub(crate) unsynced: VecDeque<(Stamp, u64, Told)>,
    /// What the own vnodes have told, to be heard before the step ends. Empty between steps.
    pub(crate) inbox: VecDeque<(NodeId, u64, Told)>,
    /// Answers that found a queue full: what is to be said instead.
    pub(crate) owed: VecDeque<(Address, Message)>,
    /// What peers said of this node's claims.
    pub(crate) verdicts: BTreeMap<(Partition, NodeId), Verdict>,
    /// Vnodes whose record is being synced.
    pub(crate) syncing: Vec<Partition>,
    pub(crate) stored: Stamp,
    pub(crate) durable: Stamp,
    pub(crate) failed: bool,
    /// The disk is full: nothing that can be refused is stored.
    pub(crate) full: bool,
    pub(crate) sweeping: bool,
    pub(crate) bounds: Bounds,
    /// This node's part in the root group, on shard 0.
    pub(crate) root: Option<Box<LockServer>>,
    /// The registers of this node, where the root group is.
    pub(crate) registers: Option<Box<Registers>>,
    next_id: u64,
}

impl Shard {
    /// A shard that is about to start from what `boot` found.
    pub fn new(config: Config, boot: Boot) -> Shard {
        let members = config.topology.nodes();
        Shard {
            peers: Peers::new(config.me, config.shards, config.boot, members),
            vnodes: VnodeMap::new(std::iter::empty::<Vnode>()),
            buckets: BucketMap::default(),
            ops: BTreeMap::new(),
            waiting: VecDeque::new(),
            forwards: BTreeMap::new(),
            once: Once::default(),
            spreads: BTreeMap::new(),
            lists: BTreeMap::new(),
            list_clients: BTreeMap::new(),
            pieces: BTreeMap::new(),
            repair: None,
            scans: BTreeMap::new(),
            unsynced: VecDeque::new(),
            inbox: VecDeque::new(),
            owed: VecDeque::new(),
            verdicts: BTreeMap::new(),
            syncing: Vec::new(),
            stored: Stamp::NONE,
            durable: Stamp::NONE,
            failed: false,
            full: false,
            sweeping: false,
            bounds: Bounds::default(),
            root: Shard::new_root(&config, boot.root_damaged),
            registers: Registers::new(&config, boot.registers_damaged),
            boot: Some(boot),
            next_id: (config.boot & 0x3fff_ffff) << 32,
            config,
        }
    }

    /// The same with room for so much.
    pub fn bounded(self, bounds: Bounds) -> Shard {
        Shard { bounds, ..self }
    }

    /// Who and where this shard is.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The vnodes of this shard.
    pub fn vnodes(&self) -> impl Iterator<Item = &Vnode> {
        self.vnodes.vnodes()
    }

    /// The properties of a bucket, as this shard knows them.
    pub fn props(&self, bucket: &BucketId) -> &BucketProps {
        self.buckets.props(bucket)
    }

    /// Whether requests are routed to any other node.
    pub fn has_live_peer(&self) -> bool {
        self.peers.iter().any(|(_, peer)| peer.up)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.ops.is_empty()
            && self.forwards.is_empty()
            && self.lists.is_empty()
            && self.spreads.is_empty()
    }

    pub(crate) fn me(&self) -> NodeId {
        self.config.me.node
    }

    /// A number that no other request of this boot has, nor one of another boot: an answer to an earlier life may still
    /// be on its way. 0 is nobody's.
    pub(crate) fn fresh_id(&mut self) -> u64 {
        self.next_id += 1;
        self.next_id
    }

    /// Whether so much is under way that more must be refused.
    pub(crate) fn overloaded(&self) -> bool {
        let requests = self.ops.len() + self.forwards.len() + self.lists.len() + self.spreads.len();
        requests >= self.bounds.ops_max
            || self.stored.0.saturating_sub(self.durable.0) >= self.bounds.unsynced_max
    }

    pub(crate) fn arm_sweep<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        if !self.sweeping {
            self.sweeping = true;
            fx.arm(Timer::Sweep, now.tick.plus_ms(SWEEP_MS));
        }
    }

    /// Looks at everything that may be out of time.
    fn sweep<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        self.sweeping = false;
        self.sweep_ops(now, fx);
        self.sweep_waiting(now, fx);
        self.sweep_forwards(now, fx);
        self.sweep_spreads(now, fx);
        self.sweep_lists(now, fx);
        if !self.is_idle() || !self.waiting.is_empty() {
            self.arm_sweep(now, fx);
        }
    }

    fn request<E: Effects<Shard>>(
        &mut self,
        now: Now,
        client: ClientId,
        request: Request,
        fx: &mut E,
    ) {
        match request {
            Request::Kv(ombak_kv::Request::Key(operation)) => {
                self.enter(now, client, operation, fx)
            }
            Request::Kv(ombak_kv::Request::List { listing, timeout_ms }) => {
                self.start_list(now, client, listing, timeout_ms, fx);
            }
            Request::Kv(ombak_kv::Request::GetProps(bucket)) => {
                let props = Box::new(self.buckets.props(&bucket).clone());
                fx.reply(client, Reply::Kv(Answer::Props(props)), Stamp::NONE);
            }
            Request::Kv(ombak_kv::Request::SetProps(bucket, changes)) => {
                self.set_props(now, client, &bucket, Some(&changes), fx);
            }
            Request::Kv(ombak_kv::Request::ResetProps(bucket)) => {
                self.set_props(now, client, &bucket, None, fx)
            }
            Request::Status => {
                let status = Box::new(self.status());
                fx.reply(client, Reply::Status(status), Stamp::NONE);
            }
            Request::Repair => self.start_repair(now, client, fx),
            Request::Locks(ask) => self.ask_locks(now, client, ask, fx),
            Request::Register(ask) => self.ask_register(now, client, ask, fx),
        }
    }

    fn message<E: Effects<Shard>>(
        &mut self,
        now: Now,
        from: Address,
        message: Message,
        fx: &mut E,
    ) {
        match message {
            Message::Greeting(greeting, props) => self.greeted(now, from, greeting, props, fx),
            Message::Claims(claims) => self.claims(from, claims, fx),
            Message::Verdicts(verdicts) => self.judged(from.node, verdicts, fx),
            Message::Ask(id, header, props, ask) => about(header.partition, || {
                self.asked(now, from, id, header, props, ask, fx);
            }),
            Message::Told(id, told) => self.told(now, from.node, id, told, fx),
            Message::Forward { id, request, retried, fence, operation } => {
                self.forwarded_here(now, from, id, request, retried, fence, *operation, fx);
            }
            Message::Forwarded(id, answer) => self.forward_answered(now, from, id, answer, fx),
            Message::Props(id, exports) => self.take_props(now, from, id, &exports, fx),
            Message::PropsTaken(id) => self.props_taken(from, id, fx),
            Message::Root(message) => {
                self.tell_root(now, Event::Message { from, message }, fx);
            }
            Message::Registers(message) => {
                self.tell_registers(now, Event::Message { from, message }, fx);
            }
        }
    }

    /// Everything up to `stamp` is durable: leases count, own writes are acknowledged.
    fn synced<E: Effects<Shard>>(&mut self, stamp: Stamp, fx: &mut E) {
        self.durable = self.durable.max(stamp);
        for partition in std::mem::take(&mut self.syncing) {
            if let Some(vnode) = self.vnodes.vnode_mut(partition) {
                vnode.durable(stamp);
                if vnode.is_syncing() {
                    self.syncing.push(partition);
                }
            }
        }
        while let Some((_, id, told)) =
            self.unsynced.pop_front_if(|(waits_for, ..)| *waits_for <= stamp)
        {
            self.inbox.push_back((self.me(), id, told));
        }
        self.finish_spreads(fx);
        self.report_repair(fx);
    }

    /// The disk is full, or not any more. What was stored before waits for room with the writer, and is acknowledged when
    /// it is durable; what comes from now on is refused where it would be stored.
    fn device_full<E: Effects<Shard>>(&mut self, full: bool, fx: &mut E) {
        self.full = full;
        if full {
            sometimes!(fx, "a disk was full");
            self.fail_repair(DISK_FULL, fx);
        } else {
            sometimes!(fx, "a full disk had room again");
        }
    }

    /// That this node takes no writes for want of room.
    pub(crate) fn disk_full(&self) -> RequestError {
        RequestError::DiskFull(self.config.topology.name(self.me()).to_owned())
    }

    /// Nothing will become durable any more: what waited for that has failed, here and at others. What the host had held
    /// back for them is lost, as with a link that breaks.
    fn device_failed<E: Effects<Shard>>(&mut self, now: Now, fx: &mut E) {
        self.failed = true;
        for (_, id, _) in std::mem::take(&mut self.unsynced) {
            self.inbox.push_back((self.me(), id, Told::Failed));
        }
        self.fail_spreads(fx);
        self.fail_repair(STORAGE_FAILED, fx);
        self.peers.answers_lost();
        for node in self.config.topology.nodes() {
            self.greet(now, self.peers.shards_of(node), fx);
        }
    }

    /// `node` cannot be reached: whatever waits for it stops waiting.
    pub(crate) fn lost<E: Effects<Shard>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        sometimes!(fx, "a peer was lost");
        self.answers_lost(now, node, fx);
        self.spread_without(node, fx);
    }

    /// What `node` has answered may be lost: whatever waits for an answer stops waiting.
    pub(crate) fn answers_lost<E: Effects<Shard>>(&mut self, now: Now, node: NodeId, fx: &mut E) {
        let waiting: Vec<u64> = self.ops.keys().chain(self.pieces.keys()).copied().collect();
        for id in waiting {
            self.inbox.push_back((node, id, Told::Failed));
        }
        self.retry_forwards(now, node, fx);
        self.repair_without(now, node, fx);
    }

    /// Stores a piece of small state and remembers the stamp.
    pub(crate) fn store_small<E: Effects<Shard>>(
        &mut self,
        partition: Partition,
        key: &Bytes,
        bytes: Bytes,
        fx: &mut E,
    ) -> Stamp {
        self.stored = fx.store(partition, key, Some(ombak_base::Entry { tag: 0, bytes }));
        self.stored
    }
}

impl Machine for Shard {
    type Message = Message;
    type Request = Request;
    type Reply = Reply;
    type Timer = Timer;

    fn step<E: Effects<Shard>>(&mut self, now: Now, event: Event<Shard>, fx: &mut E) {
        match event {
            Event::Start => {
                self.start(now, fx);
                fx.arm(Timer::Heartbeat, now.tick + HEARTBEAT_US);
                self.tell_registers(now, Event::Start, fx);
                self.tell_root(now, Event::Start, fx);
            }
            Event::Request { client, request } => self.request(now, client, request, fx),
            Event::More(client) => self.more(now, client, fx),
            Event::Gone(client) => {
                self.gone(client);
                self.tell_root(now, Event::Gone(client), fx);
                self.tell_registers(now, Event::Gone(client), fx);
            }
            Event::Message { from, message } => self.message(now, from, message, fx),
            Event::PeerUp { node, shards, hello } => {
                self.peer_up(now, node, shards, fx);
                let event = Event::PeerUp { node, shards, hello: hello.clone() };
                self.tell_registers(now, event, fx);
                self.tell_root(now, Event::PeerUp { node, shards, hello }, fx);
            }
            Event::PeerDown(node) => {
                self.peers.disconnected(node);
                self.lost(now, node, fx);
                self.tell_root(now, Event::PeerDown(node), fx);
                self.tell_registers(now, Event::PeerDown(node), fx);
            }
            Event::Timer(Timer::Heartbeat) => self.heartbeat(now, fx),
            Event::Timer(Timer::Sweep) => self.sweep(now, fx),
            Event::Timer(Timer::Settle) => self.settle_silent(fx),
            Event::Timer(Timer::Root(timer)) => self.tell_root(now, Event::Timer(timer), fx),
            Event::Timer(Timer::Registers(timer)) => {
                self.tell_registers(now, Event::Timer(timer), fx);
            }
            Event::Loaded { ticket, entry } => match RegisterServer::own_ticket(ticket) {
                Some(ticket) => self.tell_registers(now, Event::Loaded { ticket, entry }, fx),
                None => self.loaded(now, ticket, entry, fx),
            },
            Event::Scanned { ticket, chunk } => {
                match (LockServer::own_ticket(ticket), RegisterServer::own_ticket(ticket)) {
                    (Some(ticket), _) => self.tell_root(now, Event::Scanned { ticket, chunk }, fx),
                    (None, Some(ticket)) => {
                        self.tell_registers(now, Event::Scanned { ticket, chunk }, fx);
                    }
                    (None, None) => self.scanned(ticket, chunk, fx),
                }
            }
            Event::Durable(stamp) => {
                self.synced(stamp, fx);
                self.tell_root(now, Event::Durable(stamp), fx);
                self.tell_registers(now, Event::Durable(stamp), fx);
            }
            Event::Damaged(partition) => self.device_damaged(now, partition, fx),
            Event::DeviceFull(full) => {
                self.device_full(full, fx);
                self.tell_root(now, Event::DeviceFull(full), fx);
                self.tell_registers(now, Event::DeviceFull(full), fx);
            }
            Event::DeviceFailed => {
                self.device_failed(now, fx);
                self.tell_root(now, Event::DeviceFailed, fx);
                self.tell_registers(now, Event::DeviceFailed, fx);
            }
            Event::Broken(partition) => self.property_broke(now, partition, fx),
        }
        while let Some((node, id, told)) = self.inbox.pop_front() {
            self.told(now, node, id, told, fx);
        }
    }

    fn check(&self) {
        self.vnodes.check();
        if let Some(root) = &self.root {
            root.check();
        }
        if let Some(registers) = &self.registers {
            registers.check();
        }
        always!(self.inbox.is_empty(), "what vnodes told is heard within the step");
        let running = self.ops.len() + self.forwards.len() + self.lists.len() + self.spreads.len();
        always!(running <= 2 * self.bounds.ops_max, "requests under way are bounded", "{running}");
    }

    fn check_at_rest(&self) {
        eventually!(
            self.is_idle(),
            "every request ends",
            "{} {}",
            self.ops.len(),
            self.lists.len()
        );
        eventually!(self.vnodes.waiting() == 0, "every load is answered");
        eventually!(self.scans.is_empty(), "every scan is answered", "{:?}", self.scans);
        let listings = (self.pieces.len(), self.list_clients.len());
        eventually!(listings == (0, 0), "a listing that has ended leaves nothing", "{listings:?}");
        eventually!(self.repair.is_none(), "every repair is reported", "{:?}", self.repair);
        eventually!(self.owed.is_empty(), "what is owed is paid", "{:?}", self.owed);
        eventually!(self.unsynced.is_empty(), "what is stored becomes durable");
        eventually!(self.syncing.is_empty(), "every vnode's record becomes durable");
    }
}
