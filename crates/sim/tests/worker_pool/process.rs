//! What the processes say to each other, and the four of them as one machine.

use bytes::Bytes;
use ombak_base::{
    Address, DecodeError, Effects, Event, Machine, NodeId, Now, ShardId, Stamp, Wire,
};

use crate::client::Client;
use crate::pool::Pool;
use crate::supervisor::Supervisor;
use crate::worker::Worker;

/// Which freeze is built in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Bug {
    None,
    Freeze298,
    Freeze958,
}

pub const CLIENT: NodeId = NodeId(0);
pub const POOL: NodeId = NodeId(1);
pub const SUPERVISOR: NodeId = NodeId(2);
/// The first worker; the others follow.
pub const WORKERS: u32 = 3;

/// For those who read schedules.
pub fn name(id: NodeId) -> String {
    match id {
        CLIENT => "client".into(),
        POOL => "pool".into(),
        SUPERVISOR => "supervisor".into(),
        NodeId(worker) => format!("worker {}", worker - WORKERS + 1),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Job {
    pub number: u32,
    /// Who does it dies of it.
    pub deadly: bool,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Message {
    /// Client to pool, pool to worker.
    Work(Job),
    /// To the client: this job is done, or its worker has died.
    Answer(u32),
    /// Pool to supervisor: a worker, please.
    Checkout,
    /// Supervisor to pool: this one; or all are out.
    Lent(Option<NodeId>),
    /// This worker is free. To the pool, to the supervisor, or to both.
    Checkin(NodeId),
    /// Supervisor to worker.
    Start,
    /// Worker to supervisor, which waits for it.
    Started,
    /// Worker to pool, while the supervisor waits: it will lend me.
    Up,
    /// Worker to supervisor: I am dead.
    Exit,
    /// Worker to pool: I am dead.
    Down,
}

/// Messages stay in one address space here.
impl Wire for Message {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: Bytes) -> Result<Message, DecodeError> {
        Err(DecodeError::Invalid("message"))
    }
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Process {
    Client(Client),
    Pool(Pool),
    Supervisor(Supervisor),
    Worker(Worker),
}

impl Machine for Process {
    type Message = Message;
    type Request = ();
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Process>>(&mut self, _: Now, event: Event<Process>, fx: &mut E) {
        match event {
            Event::Start => match self {
                Process::Client(client) => client.start(fx),
                Process::Worker(worker) => worker.start(fx),
                _ => {}
            },
            Event::Message { from, message } => match self {
                Process::Client(client) => client.hear(message),
                Process::Pool(pool) => pool.hear(from.node, message, fx),
                Process::Supervisor(supervisor) => supervisor.hear(from.node, message, fx),
                Process::Worker(worker) => worker.hear(message, fx),
            },
            _ => {}
        }
    }

    fn check(&self) {
        if let Process::Pool(pool) = self {
            pool.check();
        }
    }
}

/// Sends as processes do: it always works.
pub fn tell<E: Effects<Process>>(fx: &mut E, to: NodeId, message: Message) {
    let sent = fx.send(Address { node: to, shard: ShardId(0) }, message, Stamp::NONE);
    debug_assert!(sent.is_ok());
}
