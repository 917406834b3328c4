//! A node as the world holds it: a disk that lasts, and a process that comes and goes.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Device, Event, Machine, NodeId, Now, ReadJob, ShardId, Stamp, Tick, Ticket,
    UpkeepJob, Writer,
};

use super::System;
use crate::diagram::Sent;
use crate::network::{ConnectionId, Packet};
use crate::queue::Key;
use crate::{DiskImage, SimDisk};

/// 2026-01-01 in µs: the wall clock when a world begins.
pub const WALL_START_US: u64 = 1_767_225_600_000_000;

pub type CommitOf<S> = <<S as System>::Device as Device>::Commit;
pub type NoticeOf<S> = <<S as System>::Device as Device>::Notice;
pub type MessageOf<S> = <<S as System>::Machine as Machine>::Message;
pub type ReplyOf<S> = <<S as System>::Machine as Machine>::Reply;
pub type RequestOf<S> = <<S as System>::Machine as Machine>::Request;
pub type TimerOf<S> = <<S as System>::Machine as Machine>::Timer;

/// Something that is going to happen.
pub enum Due<S: System> {
    /// Two nodes may connect.
    Connect(NodeId, NodeId),
    /// A message arrives.
    Packet(Packet),
    /// Something happens within a process; nothing, if that has died.
    Inside { node: NodeId, life: u64, what: Inside<S> },
}

/// What happens within a process.
pub enum Inside<S: System> {
    Event(ShardId, Event<S::Machine>),
    /// A message from another shard of the node.
    Local {
        from: Address,
        shard: ShardId,
        sent: Sent,
        message: MessageOf<S>,
    },
    Timer(ShardId, TimerOf<S>),
    /// A read that had to wait for the disk ends.
    Job(ShardId, Ticket, ReadJob),
    PeerUp {
        peer: NodeId,
        connection: ConnectionId,
        shards: u16,
        hello: Bytes,
    },
    PeerDown {
        peer: NodeId,
        connection: ConnectionId,
    },
    /// Upkeep of a device, on a thread of its own.
    Upkeep(ShardId, UpkeepJob<NoticeOf<S>>),
    Write,
    Notices(Vec<(ShardId, NoticeOf<S>)>),
    Tidy,
    /// All shards hear whether there is room.
    Full(bool),
    /// All shards hear that a write has failed.
    Failed,
}

impl<S: System> Due<S> {
    /// Whose time it takes.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Due::Connect(..) => None,
            Due::Packet(packet) => Some(packet.to.node),
            Due::Inside { node, .. } => Some(*node),
        }
    }
}

pub const MILLION: i64 = 1_000_000;

/// `span * by / of`, as large as it can be.
fn stretch(span: u64, by: i64, of: i64) -> u64 {
    let (by, of) = (u128::from(by.max(1).unsigned_abs()), u128::from(of.max(1).unsigned_abs()));
    u64::try_from(u128::from(span) * by / of).unwrap_or(u64::MAX)
}

/// A place in the cluster.
pub struct Node<S: System> {
    pub disk: SimDisk,
    /// What the disk held when the node was last started.
    pub image: Option<DiskImage>,
    /// How often it was booted.
    pub boots: u64,
    /// Counts starts and deaths, so that what belongs to a dead process is known.
    pub life: u64,
    pub process: Option<Process<S>>,
    pub is_paused: bool,
    /// What came due while it was paused.
    pub deferred: Vec<(Key, Due<S>)>,
    /// By how much its wall clock is wrong.
    pub skew_us: i64,
    /// By how much too fast the clocks of its next process go, in millionths.
    pub rate_ppm: i64,
}

impl<S: System> Node<S> {
    pub fn new() -> Node<S> {
        let disk = SimDisk::new();
        Node {
            disk,
            image: None,
            boots: 0,
            life: 0,
            process: None,
            is_paused: false,
            deferred: Vec::new(),
            skew_us: 0,
            rate_ppm: 0,
        }
    }

    pub fn is_running(&self) -> bool {
        self.process.is_some() && !self.is_paused
    }
}

/// A running process.
pub struct Process<S: System> {
    pub booted_at: u64,
    /// By how much too fast its clocks go, in millionths.
    pub rate_ppm: i64,
    pub shards: Vec<Shard<S>>,
    pub peers: BTreeMap<NodeId, ConnectionId>,
    pub clients: BTreeSet<ClientId>,
    pub writer: S::Writer,
    /// What the next write takes.
    pub commits: Vec<(ShardId, CommitOf<S>)>,
    pub is_write_due: bool,
    pub is_tidy_due: bool,
    /// A write has failed: the writer is not called any more.
    pub is_failed: bool,
    /// Whether the shards were told that there is no room.
    pub is_full: bool,
    /// Notices arrive in the order of their writes.
    pub notices_at: u64,
}

impl<S: System> Process<S> {
    pub fn new(
        shards: Vec<(S::Machine, S::Device)>,
        writer: S::Writer,
        now: u64,
        rate_ppm: i64,
    ) -> Process<S> {
        Process {
            booted_at: now,
            rate_ppm,
            shards: shards
                .into_iter()
                .map(|(machine, device)| Shard::new(machine, device))
                .collect(),
            peers: BTreeMap::new(),
            clients: BTreeSet::new(),
            writer,
            commits: Vec::new(),
            is_write_due: false,
            is_tidy_due: false,
            is_failed: false,
            is_full: false,
            notices_at: 0,
        }
    }

    pub fn shard(&mut self, shard: ShardId) -> Option<&mut Shard<S>> {
        self.shards.get_mut(usize::from(shard.0))
    }

    pub fn shard_ids(&self) -> impl Iterator<Item = ShardId> + use<S> {
        (0..self.shards.len() as u16).map(ShardId)
    }

    pub fn now(&self, now: u64, skew_us: i64) -> Now {
        let tick = stretch(now - self.booted_at, MILLION + self.rate_ppm, MILLION);
        let wall_us = (WALL_START_US + self.booted_at + tick).saturating_add_signed(skew_us);
        Now { tick: Tick(tick), wall_us }
    }

    /// When its clock has come to `tick`.
    pub fn when(&self, tick: Tick) -> u64 {
        let elapsed = match self.rate_ppm {
            0 => tick.0,
            // Rounded up: a timer is never early.
            ppm => stretch(tick.0, MILLION, MILLION + ppm).saturating_add(1),
        };
        self.booted_at.saturating_add(elapsed)
    }

    /// Makes everything durable that waits, and says what devices are to hear.
    pub fn write(&mut self) -> std::io::Result<Vec<(ShardId, NoticeOf<S>)>> {
        let mut notices = Vec::new();
        let commits = std::mem::take(&mut self.commits);
        // A writer that has no room tries again what waits for some.
        if !commits.is_empty() || self.writer.is_full() {
            self.writer.write(commits, &mut notices)?;
        }
        Ok(notices)
    }
}

/// A machine with its device.
pub struct Shard<S: System> {
    pub machine: S::Machine,
    pub device: S::Device,
    pub timers: BTreeMap<TimerOf<S>, Key>,
    /// What waits for its stamp, oldest first.
    pub held: Vec<(Stamp, Outgoing<S>)>,
    /// What the machine has been told, or is about to be.
    pub durable: Stamp,
}

impl<S: System> Shard<S> {
    fn new(machine: S::Machine, device: S::Device) -> Shard<S> {
        let durable = device.durable();
        Shard { machine, device, timers: BTreeMap::new(), held: Vec::new(), durable }
    }

    /// Takes out what need not wait any longer.
    pub fn release(&mut self) -> Vec<Outgoing<S>> {
        let durable = self.device.durable();
        let (due, held) =
            std::mem::take(&mut self.held).into_iter().partition(|(after, _)| *after <= durable);
        self.held = held;
        let due: Vec<(Stamp, Outgoing<S>)> = due;
        due.into_iter().map(|(_, outgoing)| outgoing).collect()
    }
}

/// What leaves a shard.
pub enum Outgoing<S: System> {
    Local(Address, MessageOf<S>),
    Remote(Address, Bytes),
    Reply(ClientId, ReplyOf<S>),
}
