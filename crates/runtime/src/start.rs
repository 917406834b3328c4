//! Starting a node: the queues between its threads, then the threads.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::Instant;

use mio::{Events, Poll, Token, Waker};
use ombak_base::limits::SHARDS_MAX;
use ombak_base::{Address, Device, Machine, Now, ShardId, Tick, Writer};

use crate::chance::Chance;
use crate::clients::Clients;
use crate::config::{Boot, Config, Hosted, RuntimeError};
use crate::counters::{ShardBoard, ShardCounters};
use crate::doors::Doors;
use crate::face::Face;
use crate::gathering::Gathering;
use crate::greeting::HELLO_BYTES_MAX;
use crate::handle::{Ask, Handle};
use crate::held::Held;
use crate::host::Host;
use crate::links::Links;
use crate::locals::Locals;
use crate::log_thread::LogThread;
use crate::peers::Peers;
use crate::queue::{Bell, Receiver, Sender, queue};
use crate::reader::{Reader, Work};
use crate::running::{Running, Shared};
use crate::shard::{Input, Quiet, SCRATCH_BYTES, Shard};
use crate::slab::Slab;
use crate::sockets::{Kind, token};
use crate::stores::Stores;
use crate::timers::Timers;

/// Inputs waiting for a shard: batches of other shards, notices, reads, connections.
const INBOX_MAX: usize = 512;
/// Socket events taken in one turn.
const EVENTS_MAX: usize = 1024;

/// One shard's own ends.
struct Ends<M: Machine, N> {
    poll: Poll,
    bell: Arc<Bell>,
    inbox: Receiver<Input<M, N>>,
    asks: Receiver<Ask<M>>,
}

/// What every shard gets a copy of.
struct Common<M: Machine, D: Device, F> {
    config: Config<F>,
    faces: Vec<F>,
    inboxes: Vec<Sender<Input<M, D::Notice>>>,
    log: Sender<(ShardId, D::Commit)>,
    work: Sender<Work<D::Notice>>,
    shared: Arc<Shared>,
    boards: Vec<Arc<ShardBoard>>,
    start: Instant,
}

/// Starts a node: one thread per shard, the log thread, the reader thread.
///
/// Each machine gets [`Event::Start`](ombak_base::Event::Start) on its own thread before anything else. A thread that
/// panics takes the whole node down: the others end at once, and [`Running::join`] says which it was and why.
pub fn start<M, D, W, F>(
    mut config: Config<F>,
    boot: Boot<M, D, W>,
) -> Result<Running<M>, RuntimeError>
where
    M: Hosted,
    D: Device<Commit: 'static, Notice: 'static> + Send + 'static,
    W: Writer<Commit = D::Commit, Notice = D::Notice> + 'static,
    F: Face<M>,
{
    let count = boot.shards.len();
    check(&config, count)?;
    let polls = open_polls(count).map_err(RuntimeError::io("opening an event loop"))?;
    let (log_bell, read_bell) = (Bell::of_thread(), Bell::of_thread());
    let bells = polls.iter().map(|(_, bell)| bell.clone()).collect();
    let shared = Shared::new(bells, [log_bell.clone(), read_bell.clone()]);
    let (log, commits) = queue(config.limits.commits_max, log_bell.clone());
    let (work, jobs) = queue(config.limits.reads_max, read_bell.clone());

    let (listeners, faces) = std::mem::take(&mut config.face_listeners).into_iter().unzip();
    let (peer_listener, registry) = (config.peer_listener.take(), polls[0].0.registry());
    let doors = Doors::open(peer_listener, listeners, config.handshake.clone(), registry)?;

    let (inboxes, asks, ends) = connect(polls, config.limits.asks_max);
    let boards: Vec<Arc<ShardBoard>> = (0..count).map(|_| Arc::default()).collect();
    let mut running = Running::new(Handle::new(asks), shared.clone(), &boards);
    let log_thread = LogThread {
        writer: boot.writer,
        commits,
        shards: inboxes.clone(),
        errands: boot.errands,
        untidy: true,
        bell: log_bell,
        shared: shared.clone(),
        board: running.log_board(),
        is_full: false,
    };
    let reader =
        Reader { work: jobs, shards: inboxes.clone(), bell: read_bell, shared: shared.clone() };

    let start = Instant::now();
    let common = Common { config, faces, inboxes, log, work, shared, boards, start };
    let mut shards = Vec::new();
    let mut recorders = boot.recorders.into_iter();
    for ((machine, device), ends) in boot.shards.into_iter().zip(ends) {
        let shard = common.shard(shards.len(), machine, device, ends)?;
        shards.push(Shard { recorder: recorders.next(), ..shard });
    }
    shards[0].doors = Some(doors);
    // On an error, the threads that run already are stopped by dropping `running`.
    running.start_helper("ombak-log", || log_thread.run())?;
    running.start_helper("ombak-read", || reader.run())?;
    for (index, shard) in shards.into_iter().enumerate() {
        running.start_shard(index, || shard.run())?;
    }
    Ok(running)
}

fn check<F>(config: &Config<F>, shards: usize) -> Result<(), RuntimeError> {
    let nodes: BTreeSet<_> = config.peers.iter().map(|(node, _)| *node).collect();
    let wrong = if shards == 0 || shards > usize::from(SHARDS_MAX) {
        "a node runs 1 to 256 shards"
    } else if nodes.len() != config.peers.len() {
        "a peer is named twice"
    } else if nodes.contains(&config.node) {
        "a node cannot be its own peer"
    } else if config.limits.check_every_steps == 0 {
        "check_every_steps must be at least 1"
    } else if config.handshake.hello(ShardId(0)).len() > HELLO_BYTES_MAX {
        "a hello has at most 4096 bytes"
    } else {
        return Ok(());
    };
    Err(RuntimeError::Config(wrong.into()))
}

fn open_polls(count: usize) -> io::Result<Vec<(Poll, Arc<Bell>)>> {
    let open = |_| {
        let poll = Poll::new()?;
        let waker = Waker::new(poll.registry(), Token(token(Kind::Bell, 0)))?;
        Ok((poll, Bell::of_poll(waker)))
    };
    (0..count).map(open).collect()
}

type Connected<M, N> = (Vec<Sender<Input<M, N>>>, Vec<Sender<Ask<M>>>, Vec<Ends<M, N>>);

/// Two queues per shard: what comes from threads of the node never waits behind what local clients ask.
fn connect<M: Machine, N>(polls: Vec<(Poll, Arc<Bell>)>, asks_max: usize) -> Connected<M, N> {
    let (mut inboxes, mut askers, mut ends) = (Vec::new(), Vec::new(), Vec::new());
    for (poll, bell) in polls {
        let (to_inbox, inbox) = queue(INBOX_MAX, bell.clone());
        let (to_asks, asks) = queue(asks_max, bell.clone());
        inboxes.push(to_inbox);
        askers.push(to_asks);
        ends.push(Ends { poll, bell, inbox, asks });
    }
    (inboxes, askers, ends)
}

impl<M: Machine, D: Device, F: Face<M>> Common<M, D, F> {
    fn shard(
        &self,
        index: usize,
        machine: M,
        device: D,
        ends: Ends<M, D::Notice>,
    ) -> Result<Shard<M, D, F>, RuntimeError> {
        let registry = ends.poll.registry().try_clone();
        let registry = registry.map_err(RuntimeError::io("opening an event loop"))?;
        Ok(Shard {
            machine,
            recorder: None,
            host: self.host(ShardId(index as u16), device, registry),
            usage_due: Tick::default(),
            peers: Peers::default(),
            doors: None,
            poll: ends.poll,
            events: Events::with_capacity(EVENTS_MAX),
            bell: ends.bell,
            inbox: ends.inbox,
            asks: ends.asks,
            neighbours: self.inboxes.clone(),
            log: self.log.clone(),
            commits: VecDeque::new(),
            start: self.start,
            scratch: vec![0; SCRATCH_BYTES].into_boxed_slice(),
            quiet_doors: Quiet::default(),
            quiet_peers: Quiet::default(),
        })
    }

    fn host(&self, shard: ShardId, device: D, registry: mio::Registry) -> Host<M, D, F> {
        let limits = &self.config.limits;
        Host {
            own: Address { node: self.config.node, shard },
            now: Now::default(),
            durable: device.durable(),
            told: device.durable(),
            device,
            failed: false,
            is_full: false,
            soon: VecDeque::new(),
            later: VecDeque::new(),
            held: Held::default(),
            timers: Timers::default(),
            own_timers: Timers::default(),
            chance: Chance::from_entropy(u64::from(shard.0)),
            links: Links::new(shard, &self.config.peers, self.config.handshake.clone(), limits),
            locals: Locals::new(shard, self.inboxes.len(), limits.local_messages_max),
            requests: Slab::default(),
            local_requests: HashMap::new(),
            clients: Clients::new(self.faces.clone()),
            work: self.work.clone(),
            registry,
            limits: limits.clone(),
            shared: self.shared.clone(),
            counted: ShardCounters::default(),
            board: self.boards[usize::from(shard.0)].clone(),
            stores: Stores::default(),
            gathering: Gathering::default(),
        }
    }
}
