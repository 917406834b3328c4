//! One run: so many clients, each of which asks for the next command when the last was applied.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::contenders::{Contender, Kind, NODES, Setup};
use crate::journal::Journal;
use crate::os::Meter;
use crate::tally::Commands;

/// The clock is looked at after so many commands, or after a turn.
const LOOK_EVERY: usize = 64;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    pub contender: Kind,
    pub bytes: usize,
    pub window: usize,
    /// Commands in a batch, for who wants to be told.
    pub batch: usize,
    pub seconds: f64,
    /// Where the logs go, if there are any.
    pub dir: Option<PathBuf>,
}

/// What a run found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Measured {
    pub commands: u64,
    pub seconds: f64,
    /// Of all three replicas and of the clients, which do nothing but to take the next command.
    pub cpu_seconds: f64,
    /// Of the leader's log.
    pub syncs: u64,
}

impl Job {
    pub fn run(&self) -> Result<Measured> {
        let journals = self.journals()?;
        let leads = journals[0].clone();
        let batch = self.batch.min(self.window);
        let setup = Setup { journals, window: self.window, batch, bytes: self.bytes };
        let mut clients = Clients {
            contender: self.contender.start(setup)?,
            commands: Commands::new(self.bytes),
            window: self.window,
            asked: 0,
            answered: 0,
        };
        clients.run_for(self.seconds / 10.0)?;
        let (before, syncs) = (clients.asked, leads.syncs());
        let meter = Meter::start();
        clients.run_for(self.seconds)?;
        clients.check()?;
        Ok(Measured {
            commands: clients.asked - before,
            seconds: meter.seconds(),
            cpu_seconds: meter.cpu_seconds(),
            syncs: leads.syncs() - syncs,
        })
    }

    fn journals(&self) -> Result<[Journal; NODES]> {
        let Some(dir) = &self.dir else { return Ok(std::array::from_fn(|_| Journal::none())) };
        let journal = |node: &str| Journal::create(&dir.join(node));
        Ok([journal("node-0")?, journal("node-1")?, journal("node-2")?])
    }
}

struct Clients {
    contender: Box<dyn Contender>,
    commands: Commands,
    window: usize,
    asked: u64,
    answered: u64,
}

impl Clients {
    /// Until so long has passed and everything is answered.
    fn run_for(&mut self, seconds: f64) -> Result<()> {
        let meter = Meter::start();
        while meter.seconds() < seconds {
            for _ in 0..(LOOK_EVERY / self.window).max(1) {
                self.ask()?;
                self.answered = self.contender.turn()?;
            }
        }
        while self.answered < self.asked {
            self.answered = self.contender.turn()?;
        }
        Ok(())
    }

    /// Whoever has an answer asks for the next command.
    fn ask(&mut self) -> Result<()> {
        let under_way = (self.asked - self.answered) as usize;
        let idle = self.window - under_way;
        if idle > 0 {
            self.asked += idle as u64;
            self.contender.propose(self.commands.take(idle))?;
        }
        Ok(())
    }

    /// All three have applied everything, in order, once.
    fn check(&mut self) -> Result<()> {
        let (expected, found) = (self.commands.tally(), self.contender.finish()?);
        ensure!(found == [expected; NODES], "expected {expected:?}, found {found:?}");
        Ok(())
    }
}
