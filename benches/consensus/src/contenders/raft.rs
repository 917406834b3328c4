//! raft-rs, with its own storage in memory. Commands are proposed in one message a turn, entries are sent without a limit
//! of bytes, and what is written is said to be durable later (`advance_append_async`), so that all sync together.

use anyhow::{Result, ensure};
use bytes::Bytes;
use raft::eraftpb::{Entry, Message, MessageType};
use raft::storage::MemStorage;
use raft::{Config, RawNode, Ready, StateRole};
use slog::{Discard, Logger, o};

use super::hand::{self, Node, Sent};
use super::{FORGET_BYTES, NODES, Setup};
use crate::journal::Journal;
use crate::tally::Tally;

const INFLIGHT_MAX: usize = 4096;

pub struct Peer {
    node: RawNode<MemStorage>,
    journal: Journal,
    tally: Tally,
    /// The last entry that was applied.
    applied: u64,
    /// Bytes of them since some were forgotten.
    unforgotten: usize,
    /// The last `Ready` that was written, if its sync was not reported.
    unsynced: Option<u64>,
    /// Said when the disk has what came before.
    held: Vec<Message>,
}

pub fn group(setup: Setup) -> Result<hand::Group<Peer>> {
    let peers = (0..NODES).map(|at| Peer::new(at, setup.journals[at].clone()));
    let peers = peers.collect::<Result<_>>()?;
    let mut group = hand::Group::new(peers, setup.journals);
    group.nodes[0].node.campaign()?;
    group.settle()?;
    ensure!(group.nodes[0].node.raft.state == StateRole::Leader, "somebody stood against it");
    Ok(group)
}

fn id(at: usize) -> u64 {
    at as u64 + 1
}

impl Peer {
    fn new(at: usize, journal: Journal) -> Result<Peer> {
        let config = Config {
            id: id(at),
            max_size_per_msg: u64::MAX,
            max_inflight_msgs: INFLIGHT_MAX,
            ..Config::default()
        };
        let voters: Vec<u64> = (0..NODES).map(id).collect();
        let storage = MemStorage::new_with_conf_state((voters, Vec::new()));
        Ok(Peer {
            node: RawNode::new(&config, storage, &Logger::root(Discard, o!()))?,
            journal,
            tally: Tally::default(),
            applied: 0,
            unforgotten: 0,
            unsynced: None,
            held: Vec::new(),
        })
    }

    fn handle(&mut self, mut ready: Ready, out: &mut Vec<Sent<Message>>) -> Result<()> {
        out.extend(ready.take_messages().into_iter().map(addressed));
        self.held.extend(ready.take_persisted_messages());
        self.apply(&ready.take_committed_entries());
        self.keep(&ready)?;
        self.unsynced = Some(ready.number());
        self.node.advance_append_async(ready);
        self.node.advance_apply_to(self.applied);
        Ok(())
    }

    fn keep(&mut self, ready: &Ready) -> Result<()> {
        let mut storage = self.node.raft.raft_log.store.wl();
        if let Some(state) = ready.hs() {
            storage.set_hardstate(state.clone());
        }
        if ready.must_sync() {
            storage.append(ready.entries())?;
            let entries = ready.entries().iter().map(|entry| &entry.data[..]);
            self.journal.append_entries(ready.number(), entries);
        }
        Ok(())
    }

    fn apply(&mut self, entries: &[Entry]) {
        for entry in entries {
            self.applied = entry.index;
            if !entry.data.is_empty() {
                self.tally.apply(&entry.data);
                self.unforgotten += entry.data.len();
            }
        }
    }
}

impl Node for Peer {
    type Message = Message;

    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        let entry = |data| Entry { data, ..Entry::default() };
        let entries: Vec<Entry> = commands.into_iter().map(entry).collect();
        let mut message = Message::default();
        message.set_msg_type(MessageType::MsgPropose);
        message.from = self.node.raft.id;
        message.entries = entries.into();
        Ok(self.node.raft.step(message)?)
    }

    fn receive(&mut self, _: usize, message: Message) -> Result<()> {
        Ok(self.node.step(message)?)
    }

    fn synced(&mut self) -> Result<()> {
        if let Some(number) = self.unsynced.take() {
            self.node.on_persist_ready(number);
        }
        Ok(())
    }

    fn take_sent(&mut self, out: &mut Vec<Sent<Message>>) -> Result<()> {
        while self.node.has_ready() {
            let ready = self.node.ready();
            self.handle(ready, out)?;
        }
        if !self.journal.is_dirty() {
            out.extend(self.held.drain(..).map(addressed));
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        if self.unforgotten > FORGET_BYTES {
            self.unforgotten = 0;
            self.node.raft.raft_log.store.wl().compact(self.applied)?;
        }
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn addressed(message: Message) -> Sent<Message> {
    (message.to as usize - 1, message)
}
