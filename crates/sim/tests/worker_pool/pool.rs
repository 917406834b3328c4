//! The queue in front of the supervisor, where both bugs were.

use std::collections::{BTreeMap, VecDeque};

use ombak_base::{Effects, NodeId, always};

use crate::process::{Bug, CLIENT, Job, Message, POOL, Process, SUPERVISOR, tell};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pool {
    bug: Bug,
    /// All workers were out. Else the pool is ready.
    queueing: bool,
    queue: VecDeque<Job>,
    busy: BTreeMap<NodeId, Job>,
    /// The job for which a worker is being checked out. That is a call: meanwhile nothing else is heard.
    asking: Option<Job>,
    unheard: VecDeque<(NodeId, Message)>,
}

impl Pool {
    pub fn new(bug: Bug) -> Pool {
        Pool {
            bug,
            queueing: false,
            queue: VecDeque::new(),
            busy: BTreeMap::new(),
            asking: None,
            unheard: VecDeque::new(),
        }
    }

    pub fn check(&self) {
        always!(self.queueing || self.queue.is_empty(), "a pool that is ready has no queue");
    }

    pub fn hear<E: Effects<Process>>(&mut self, from: NodeId, message: Message, fx: &mut E) {
        if self.asking.is_some() && from != SUPERVISOR {
            self.unheard.push_back((from, message));
            return;
        }
        self.handle(from, message, fx);
        while self.asking.is_none() {
            let Some((from, message)) = self.unheard.pop_front() else { break };
            self.handle(from, message, fx);
        }
    }

    fn handle<E: Effects<Process>>(&mut self, from: NodeId, message: Message, fx: &mut E) {
        match message {
            Message::Work(job) if self.queueing => self.queue.push_back(job),
            Message::Work(job) => self.ask(job, fx),
            Message::Lent(worker) => self.lent(worker, fx),
            Message::Checkin(worker) if self.bug == Bug::Freeze298 => self.checkin_298(worker, fx),
            Message::Checkin(worker) => self.checkin(worker, fx),
            Message::Up => self.up(fx),
            Message::Down => self.down(from, fx),
            _ => {}
        }
    }

    fn ask<E: Effects<Process>>(&mut self, job: Job, fx: &mut E) {
        self.asking = Some(job);
        tell(fx, SUPERVISOR, Message::Checkout);
    }

    fn lent<E: Effects<Process>>(&mut self, worker: Option<NodeId>, fx: &mut E) {
        let Some(job) = self.asking.take() else { return };
        match worker {
            Some(worker) => self.give(worker, job, fx),
            None => {
                self.queueing = true;
                self.queue.push_front(job);
            }
        }
    }

    fn give<E: Effects<Process>>(&mut self, worker: NodeId, job: Job, fx: &mut E) {
        self.busy.insert(worker, job);
        tell(fx, worker, Message::Work(job));
    }

    /// A worker is done. It gets the next job, or goes back to the supervisor.
    fn checkin<E: Effects<Process>>(&mut self, worker: NodeId, fx: &mut E) {
        if let Some(job) = self.queue.pop_front() {
            return self.give(worker, job, fx);
        }
        self.busy.remove(&worker);
        tell(fx, SUPERVISOR, Message::Checkin(worker));
        self.queueing = false;
    }

    /// The bug: the worker has told the supervisor too, but who knows when that hears it?
    fn checkin_298<E: Effects<Process>>(&mut self, worker: NodeId, fx: &mut E) {
        self.busy.remove(&worker);
        match self.queue.pop_front() {
            Some(job) => self.ask(job, fx),
            None => self.queueing = false,
        }
    }

    /// A worker was started and the supervisor will lend it before it hears anything else.
    fn up<E: Effects<Process>>(&mut self, fx: &mut E) {
        match self.queue.pop_front() {
            Some(job) => self.ask(job, fx),
            // The bug: to go on queueing, though no worker will check in until the next job has one.
            None if self.bug == Bug::Freeze958 => {}
            None => self.queueing = false,
        }
    }

    fn down<E: Effects<Process>>(&mut self, worker: NodeId, fx: &mut E) {
        let Some(job) = self.busy.remove(&worker) else { return };
        tell(fx, CLIENT, Message::Answer(job.number));
        if self.bug == Bug::Freeze298 {
            // As if it had checked in; its successor should be there by now.
            tell(fx, POOL, Message::Checkin(worker));
        }
    }
}
