//! openraft, on a tokio runtime of one thread. Messages are calls of the other's methods; up to a whole window goes into
//! one. Only the first node may stand, and nobody sends heartbeats.

mod log;
mod machine;
mod network;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use openraft::{BasicNode, Config, SnapshotPolicy};
use tokio::runtime::Runtime;

use super::{Contender, FORGET_BYTES, NODES, Setup};
use crate::tally::Tally;
use log::Log;
use machine::Machine;
use network::Network;

openraft::declare_raft_types!(
    /// Commands are bytes, and nobody wants to know more than that they were applied.
    pub Types: D = Bytes, R = (), Node = BasicNode
);

type Raft = openraft::Raft<Types>;
/// The nodes in one process, by their numbers.
type Nodes = Arc<Mutex<BTreeMap<u64, Raft>>>;

const LEADER_MS: u64 = 5_000;

pub struct Group {
    runtime: Runtime,
    rafts: Vec<Raft>,
    tallies: Vec<Arc<Mutex<Tally>>>,
    proposed: Vec<Bytes>,
    answered: u64,
}

impl Group {
    pub fn start(setup: Setup) -> Result<Group> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
        let (mut rafts, mut tallies) = (Vec::new(), Vec::new());
        let config = Arc::new(config(&setup).validate()?);
        let nodes = Nodes::default();
        for (id, journal) in (0..).zip(setup.journals) {
            let tally = Arc::<Mutex<Tally>>::default();
            let (log, machine) = (Log::new(journal), Machine::new(tally.clone()));
            let network = Network::new(nodes.clone());
            let raft = runtime.block_on(Raft::new(id, config.clone(), network, log, machine))?;
            nodes.lock().expect("nobody panicked").insert(id, raft.clone());
            rafts.push(raft);
            tallies.push(tally);
        }
        runtime.block_on(lead(&rafts[0]))?;
        Ok(Group { runtime, rafts, tallies, proposed: Vec::new(), answered: 0 })
    }

    fn tally(&self, at: usize) -> Tally {
        *self.tallies[at].lock().expect("nobody panicked")
    }
}

/// It does not send a state instead of what it can still send, and purges what was applied a while ago.
fn config(setup: &Setup) -> Config {
    let forget = (FORGET_BYTES / setup.bytes) as u64;
    Config {
        max_payload_entries: setup.window.max(1_000) as u64,
        replication_lag_threshold: u64::MAX,
        snapshot_policy: SnapshotPolicy::LogsSinceLast(forget),
        max_in_snapshot_log_to_keep: 2 * setup.window as u64,
        enable_heartbeat: false,
        enable_elect: false,
        ..Config::default()
    }
}

/// The first node begins a group of all three, and stands.
async fn lead(first: &Raft) -> Result<()> {
    let members = (0..NODES as u64).map(|id| (id, BasicNode::default()));
    first.initialize(members.collect::<BTreeMap<_, _>>()).await?;
    let wait = first.wait(Some(Duration::from_millis(LEADER_MS)));
    wait.current_leader(0, "the first node leads").await?;
    first.client_write(Bytes::new()).await.context("it can't lead")?;
    Ok(())
}

impl Contender for Group {
    fn propose(&mut self, commands: Vec<Bytes>) -> Result<()> {
        self.proposed.extend(commands);
        Ok(())
    }

    /// A sync takes place whenever somebody has written, not at a certain moment; all answers are waited for.
    fn turn(&mut self) -> Result<u64> {
        let leader = &self.rafts[0];
        let proposed = std::mem::take(&mut self.proposed);
        self.answered += proposed.len() as u64;
        self.runtime.block_on(async {
            let mut answers = Vec::with_capacity(proposed.len());
            for command in proposed {
                answers.push(leader.client_write_ff(command).await?);
            }
            for answer in answers {
                answer.await??;
            }
            anyhow::Ok(self.answered)
        })
    }

    fn finish(&mut self) -> Result<[Tally; NODES]> {
        for _ in 0..LEADER_MS {
            let all = [self.tally(0), self.tally(1), self.tally(2)];
            if all.iter().all(|tally| tally.count == self.answered) {
                return Ok(all);
            }
            self.runtime.block_on(async {
                self.rafts[0].trigger().heartbeat().await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
                anyhow::Ok(())
            })?;
        }
        bail!("somebody does not catch up")
    }
}
