//! Hands in all jobs at once and waits for every answer.

use std::collections::BTreeSet;

use ombak_base::Effects;

use crate::process::{Job, Message, POOL, Process, tell};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Client {
    jobs: Vec<Job>,
    waiting: BTreeSet<u32>,
}

impl Client {
    pub fn new(jobs: Vec<Job>) -> Client {
        Client { waiting: jobs.iter().map(|job| job.number).collect(), jobs }
    }

    pub fn start<E: Effects<Process>>(&mut self, fx: &mut E) {
        for job in &self.jobs {
            tell(fx, POOL, Message::Work(*job));
        }
    }

    pub fn hear(&mut self, message: Message) {
        if let Message::Answer(number) = message {
            self.waiting.remove(&number);
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}
