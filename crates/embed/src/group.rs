//! A member of a group, in this process.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ombak_aries::OsDisk;
use ombak_base::{ClusterId, FNV_START, NodeId, fnv1a};
use ombak_paxos::log::{Ask, COMMAND_BYTES_MAX, Outcome, Slot, StateMachine};
use ombak_runtime::{AskError, Boot, Config, Flow, Handle, NoFace, Running, RuntimeError};
use ombak_store::{Store, StoreWriter};

use crate::directory::{Directory, random};
use crate::handshake::{Greeter, Turned};
use crate::machine::{Hosted, Reply, Request, refusals};
use crate::pending::{Answers, Pending, Watch, stopped};
use crate::{
    ChangeError, Ended, LeadError, Membership, NotNow, Options, ProposeError, ReadError,
    StartError, Status, TooLarge,
};

/// A state machine that may live on the group's thread. Implemented by every one of which that is true.
pub trait Replicated: StateMachine + Send + 'static {}

impl<S: StateMachine + Send + 'static> Replicated for S {}

/// A member of a group. Dropping it stops it.
pub struct Group<S: Replicated> {
    // Fields are dropped in this order: the directory is given back last.
    running: Running<Hosted<S>>,
    id: NodeId,
    peers: Vec<NodeId>,
    address: Option<SocketAddr>,
    turned: Turned,
    _directory: Option<Directory>,
}

impl<S: Replicated> Group<S> {
    /// Binds the port, opens the directory, and starts. `state`: as it is before the first command, the same on all members; what is
    /// on the disk goes before. Returns at once: there may be no leader yet.
    pub fn start(options: Options, state: S) -> Result<Group<S>, StartError> {
        options.check()?;
        let bind =
            |addr| TcpListener::bind(addr).map_err(|source| StartError::Listen { addr, source });
        let listener = options.listen.map(bind).transpose()?;
        Group::launch(options, listener, state)
    }

    /// As [`start`](Group::start), on a port that is bound already.
    pub fn start_on(
        options: Options,
        listener: TcpListener,
        state: S,
    ) -> Result<Group<S>, StartError> {
        options.check()?;
        Group::launch(options, Some(listener), state)
    }

    fn launch(
        options: Options,
        listener: Option<TcpListener>,
        state: S,
    ) -> Result<Group<S>, StartError> {
        let founders = options.founders();
        let Options { group, id, peers, dir, snapshot_every, lease, log, limits, .. } = options;
        let address = listener.as_ref().and_then(|listener| listener.local_addr().ok());
        let opened = dir.as_deref().map(Directory::open).transpose()?;
        let directory_id = match &opened {
            Some(directory) => directory.identify(&group, id)?,
            None => random()
                .map_err(|source| StartError::Directory { dir: "/dev/urandom".into(), source })?,
        };
        let (devices, writer) = open_store(opened.as_ref(), log, dir.unwrap_or_default())?;
        let turned = Turned::default();
        let cluster = ClusterId(fnv1a(FNV_START, group.as_bytes()));
        let names: Vec<NodeId> = peers.iter().map(|(peer, _)| *peer).collect();
        let (directory, peers_of, turned_of) = (directory_id, names.clone(), turned.clone());
        let greeter = Greeter { group, id, directory, peers: peers_of, turned: turned_of };
        let config = Config::<NoFace> {
            node: id,
            peers,
            peer_listener: listener,
            face_listeners: Vec::new(),
            handshake: Arc::new(greeter),
            limits,
        };
        let who = (id, cluster, directory_id);
        let machine = Hosted::new(who, founders, (snapshot_every, lease), state);
        let shards = [machine].into_iter().zip(devices).collect();
        let boot = Boot { shards, writer, errands: None, recorders: Vec::new() };
        let running = ombak_runtime::start(config, boot)?;
        Ok(Group { running, id, peers: names, address, turned, _directory: opened })
    }

    /// Proposes a command, and waits until it is decided and applied: what the state machine said. Any member takes it. Waits
    /// for a leader as well, if there is none.
    pub fn propose(
        &self,
        command: impl Into<Bytes>,
        within: Duration,
    ) -> Result<Bytes, ProposeError> {
        let (command, patience) = (command.into(), Patience::new(within));
        loop {
            match self.propose_later(command.clone())?.wait(patience.left()) {
                // Nothing was proposed, and there is time.
                Err(ProposeError::NotNow(NotNow::NoLeader)) if patience.is_left() => {}
                done => return done,
            }
        }
    }

    /// Proposes a command, and does not wait. Without a leader it is given up after five seconds.
    pub fn propose_later(&self, command: impl Into<Bytes>) -> Result<Pending<S>, ProposeError> {
        let command = command.into();
        fits(&command)?;
        match self.ask(Request::Ask(Ask::Propose(command)), Flow::Last) {
            Ok(answers) => Ok(Pending(answers)),
            Err(AskError::Overload) => Err(NotNow::Busy.into()),
            Err(_) => Err(stopped().into()),
        }
    }

    /// Asks the state machine. The answer has everything that anybody was told of before this was called. Asks again when a leader
    /// is lost on the way, for a question changes nothing.
    pub fn read(&self, query: impl Into<Bytes>, within: Duration) -> Result<Bytes, ReadError> {
        let query = query.into();
        fits(&query)?;
        self.ask_until_read(&Ask::Read(query), within)
    }

    /// Asks the state machine of this member, once it has everything up to a slot: where somebody's own last command stands
    /// ([`Pending::wait_at`]). Asks nothing of the leader, and may miss what others were told of since.
    pub fn read_at(
        &self,
        slot: Slot,
        query: impl Into<Bytes>,
        within: Duration,
    ) -> Result<Bytes, ReadError> {
        let query = query.into();
        fits(&query)?;
        self.ask_until_read(&Ask::ReadAt(slot, query), within)
    }

    fn ask_until_read(&self, ask: &Ask, within: Duration) -> Result<Bytes, ReadError> {
        let patience = Patience::new(within);
        loop {
            match self.call(Request::Ask(ask.clone()), patience.left()) {
                Ok(Some(Reply::Outcome(Outcome::Read { answer, .. }))) => return Ok(answer),
                Ok(Some(Reply::Outcome(Outcome::Busy))) => return Err(NotNow::Busy.into()),
                Ok(Some(Reply::Failed(why))) => return Err(Ended(why).into()),
                // A witness never comes to have a state, and says so at once.
                Ok(Some(Reply::Outcome(Outcome::Behind))) => return Err(ReadError::Behind),
                Ok(Some(_)) if patience.is_left() => {}
                Ok(Some(_)) => return Err(NotNow::NoLeader.into()),
                Ok(None) => return Err(ReadError::Late(within)),
                Err(AskError::Overload) => return Err(NotNow::Busy.into()),
                Err(_) => return Err(stopped().into()),
            }
        }
    }

    /// Hands the lead to a voter: before this process is stopped, so that nobody has to notice that, or to have the leader near
    /// its clients. When it returns, that one leads.
    pub fn lead(&self, node: NodeId, within: Duration) -> Result<(), LeadError> {
        match self.call(Request::Ask(Ask::Lead(node)), within) {
            Ok(Some(Reply::Outcome(Outcome::Led))) => Ok(()),
            Ok(Some(Reply::Outcome(Outcome::Refused))) => Err(LeadError::Refused(node)),
            Ok(Some(Reply::Outcome(Outcome::NoLeader))) => Err(NotNow::NoLeader.into()),
            Ok(Some(Reply::Outcome(Outcome::Busy))) => Err(NotNow::Busy.into()),
            Ok(Some(Reply::Failed(why))) => Err(Ended(why).into()),
            Ok(Some(_) | None) => Err(LeadError::Unknown),
            Err(AskError::Overload) => Err(NotNow::Busy.into()),
            Err(_) => Err(stopped().into()),
        }
    }

    /// Makes these the ones who vote, and nobody else a member. When it returns, a quorum of them has the whole log, and
    /// who is no longer one may be shut down. All must be among the peers of all.
    pub fn change(
        &self,
        voters: impl IntoIterator<Item = NodeId>,
        within: Duration,
    ) -> Result<(), ChangeError> {
        let voters = voters.into_iter().collect();
        self.change_to(Membership { voters, ..Membership::default() }, within)
    }

    /// As [`change`](Group::change), with members that do not vote or keep no state, and with how many voters decide.
    pub fn change_to(&self, to: Membership, within: Duration) -> Result<(), ChangeError> {
        let is_known = |node: &&NodeId| **node == self.id || self.peers.contains(node);
        if let Some(node) = to.voters.union(&to.learners).find(|node| !is_known(node)) {
            return Err(ChangeError::NotAPeer(*node));
        }
        match self.call(Request::Ask(Ask::Members(Box::new(to))), within) {
            Ok(Some(Reply::Outcome(Outcome::Changed { .. }))) => Ok(()),
            Ok(Some(Reply::Outcome(Outcome::Refused))) => Err(ChangeError::Refused),
            Ok(Some(Reply::Outcome(Outcome::NoLeader))) => Err(NotNow::NoLeader.into()),
            Ok(Some(Reply::Outcome(Outcome::Busy))) => Err(NotNow::Busy.into()),
            Ok(Some(Reply::Full)) => Err(NotNow::DiskFull.into()),
            Ok(Some(Reply::Failed(why))) => Err(Ended(why).into()),
            Ok(Some(Reply::Outcome(_) | Reply::Status(_)) | None) => Err(ChangeError::Unknown),
            Err(AskError::Overload) => Err(NotNow::Busy.into()),
            Err(_) => Err(stopped().into()),
        }
    }

    /// How this member is doing.
    pub fn status(&self) -> Result<Status, Ended> {
        // The loop answers between two steps: who waits long waits for a state machine.
        loop {
            match self.call(Request::Status, Duration::from_secs(1)) {
                Ok(Some(Reply::Status(status))) => return Ok(status),
                Ok(_) | Err(AskError::Overload) => std::thread::yield_now(),
                Err(_) => return Err(stopped()),
            }
        }
    }

    /// Tells of each change of leader and members.
    pub fn watch(&self) -> Result<Watch<S>, Ended> {
        self.ask(Request::Watch, Flow::Wait).map(Watch::new).map_err(|error| match error {
            AskError::Overload => Ended("too much is waiting".into()),
            _ => stopped(),
        })
    }

    /// Why another process was refused as a member last, if one was. The text goes to that process as well, and to both logs.
    pub fn refused(&self) -> Option<String> {
        self.turned.last()
    }

    /// What was refused by this member since it was started, and how often: messages of others than the group's members, what can't be
    /// true, what is too large. State and disk are as they were.
    pub fn refusals(&self) -> impl Iterator<Item = (&'static str, u64)> + use<S> {
        let counted = self.running.counters().meters.places;
        refusals().map(move |(place, what)| (what, counted[usize::from(place.number)]))
    }

    /// Who this is.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Where the other members connect.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// What the runtime counts.
    pub fn counters(&self) -> ombak_runtime::Counters {
        self.running.counters()
    }

    /// Stops, and waits until every thread has ended. Who still waits for an answer hears [`Ended`]. An error: a thread had
    /// panicked, and this says why.
    pub fn stop(self) -> Result<(), RuntimeError> {
        let Group { running, _directory, .. } = self;
        running.stop()
    }

    fn ask(&self, request: Request, flow: Flow) -> Result<Answers<S>, AskError> {
        let handle: Handle<Hosted<S>> = self.running.handle();
        Answers::ask(handle, request, flow)
    }

    /// The answer, if one comes in time.
    fn call(&self, request: Request, within: Duration) -> Result<Option<Reply>, AskError> {
        let mut answers = self.ask(request, Flow::Last)?;
        answers.next(within).map_err(|Ended(_)| AskError::Stopped)
    }
}

/// How long somebody waits.
struct Patience(Instant);

impl Patience {
    fn new(within: Duration) -> Patience {
        let now = Instant::now();
        // What no clock can name is for ever, or near enough.
        let for_ever = Duration::from_secs(u64::from(u32::MAX));
        Patience(now.checked_add(within).unwrap_or(now + for_ever))
    }

    fn left(&self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    fn is_left(&self) -> bool {
        self.left() > Duration::ZERO
    }
}

fn fits(bytes: &Bytes) -> Result<(), TooLarge> {
    let (bytes, max) = (bytes.len(), COMMAND_BYTES_MAX);
    if bytes <= max { Ok(()) } else { Err(TooLarge { bytes, max }) }
}

type Opened = (Vec<Store<OsDisk>>, StoreWriter<OsDisk>);

fn open_store(
    directory: Option<&Directory>,
    log: ombak_store::log::Options,
    dir: std::path::PathBuf,
) -> Result<Opened, StartError> {
    let Some(directory) = directory else { return Ok(Store::memory(1)) };
    let (devices, writer, recovered) = match Store::log(directory.disk(), 1, log) {
        Ok(opened) => opened,
        Err(source) => return Err(StartError::Store { dir, source }),
    };
    match recovered.damage.first() {
        Some(damage) => Err(StartError::Damaged { dir, damage: damage.to_string() }),
        None => Ok((devices, writer)),
    }
}
