//! OmniPaxos, with its own storage in memory. A batch is as large as the window: larger ones never fill, smaller ones cost
//! more. No clock ticks but to flush a batch that is not full.

use anyhow::{Result, anyhow, ensure};
use bytes::Bytes;
use omnipaxos::messages::Message;
use omnipaxos::storage::{Entry, NoSnapshot};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};

use super::hand::{self, Sent};
use super::{FORGET_BYTES, NODES, Setup};
use crate::journal::Journal;
use crate::tally::Tally;
use storage::Kept;

mod storage;

/// Ticks that never come.
const NEVER: u64 = u64::MAX;

#[derive(Clone, Debug)]
pub struct Command(Bytes);

impl Entry for Command {
    type Snapshot = NoSnapshot;
}

pub struct Server {
    paxos: OmniPaxos<Command, Kept>,
    journal: Journal,
    tally: Tally,
    /// Entries that were applied.
    applied: usize,
    /// Bytes of them since some were forgotten.
    unforgotten: usize,
    outgoing: Vec<Message<Command>>,
    leads: bool,
}

pub fn group(setup: Setup) -> Result<hand::Group<Server>> {
    let servers = (0..NODES).map(|at| Server::new(at, setup.journals[at].clone(), setup.batch));
    let servers = servers.collect::<Result<_>>()?;
    let mut group = hand::Group::new(servers, setup.journals);
    group.nodes[0].paxos.try_become_leader();
    group.settle()?;
    group.nodes[0].leads = true;
    for server in &group.nodes {
        ensure!(server.paxos.get_current_leader() == Some((pid(0), true)), "another leads");
    }
    Ok(group)
}

fn pid(at: usize) -> u64 {
    at as u64 + 1
}

impl Server {
    fn new(at: usize, journal: Journal, batch_size: usize) -> Result<Server> {
        let cluster = ClusterConfig {
            configuration_id: 1,
            nodes: (0..NODES).map(pid).collect(),
            flexible_quorum: None,
        };
        let server = ServerConfig {
            pid: pid(at),
            election_tick_timeout: NEVER,
            resend_message_tick_timeout: NEVER,
            flush_batch_tick_timeout: 1,
            batch_size,
            ..ServerConfig::default()
        };
        Ok(Server {
            paxos: cluster.build_for_server(server, Kept::new(journal.clone()))?,
            journal,
            tally: Tally::default(),
            applied: 0,
            unforgotten: 0,
            outgoing: Vec::new(),
            leads: false,
        })
    }

    fn apply(&mut self) {
        if self.paxos.get_decided_idx() <= self.applied {
            return;
        }
        let decided = self.paxos.read_decided_suffix(self.applied).unwrap_or_default();
        self.applied += decided.len();
        for entry in decided {
            if let LogEntry::Decided(Command(bytes)) = entry {
                self.tally.apply(&bytes);
                self.unforgotten += bytes.len();
            }
        }
    }
}

impl hand::Node for Server {
    type Message = Message<Command>;

    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        for command in commands {
            let refused = self.paxos.append(Command(command)).is_err();
            ensure!(!refused, "a command was refused");
        }
        if self.paxos.get_batched_len() > 0 {
            self.paxos.tick();
        }
        Ok(())
    }

    fn receive(&mut self, _: usize, message: Message<Command>) -> Result<()> {
        self.paxos.handle_incoming(message);
        Ok(())
    }

    fn synced(&mut self) -> Result<()> {
        Ok(())
    }

    /// What a leader sends does not say what is on its disk, so it need not wait for that. It counts itself when it
    /// appends; the answers of the others, without which nothing is decided, come after its sync.
    fn take_sent(&mut self, out: &mut Vec<Sent<Message<Command>>>) -> Result<()> {
        self.apply();
        if self.leads || !self.journal.is_dirty() {
            self.paxos.take_outgoing_messages(&mut self.outgoing);
            out.extend(self.outgoing.drain(..).map(|message| (receiver(&message), message)));
        }
        Ok(())
    }

    fn rest(&mut self) -> Result<()> {
        if self.leads && self.unforgotten > FORGET_BYTES {
            self.unforgotten = 0;
            let trimmed = self.paxos.trim(None);
            trimmed.map_err(|error| anyhow!("what all have was not forgotten: {error:?}"))?;
        }
        Ok(())
    }

    fn tally(&self) -> Tally {
        self.tally
    }
}

fn receiver(message: &Message<Command>) -> usize {
    message.get_receiver() as usize - 1
}
