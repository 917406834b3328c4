//! Lends workers, and replaces those that die.

use std::collections::VecDeque;

use ombak_base::{Effects, NodeId};

use crate::process::{Message, POOL, Process, tell};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Supervisor {
    idle: Vec<NodeId>,
    unborn: VecDeque<NodeId>,
    /// To start a worker is a call: meanwhile nothing else is heard.
    starting: Option<NodeId>,
    unheard: VecDeque<(NodeId, Message)>,
}

impl Supervisor {
    /// `idle` have been started; `unborn` will be, each in place of a dead one.
    pub fn new(idle: Vec<NodeId>, unborn: VecDeque<NodeId>) -> Supervisor {
        Supervisor { idle, unborn, starting: None, unheard: VecDeque::new() }
    }

    pub fn hear<E: Effects<Process>>(&mut self, from: NodeId, message: Message, fx: &mut E) {
        if self.starting.is_some() && self.starting != Some(from) {
            self.unheard.push_back((from, message));
            return;
        }
        self.handle(from, message, fx);
        while self.starting.is_none() {
            let Some((from, message)) = self.unheard.pop_front() else { break };
            self.handle(from, message, fx);
        }
    }

    fn handle<E: Effects<Process>>(&mut self, from: NodeId, message: Message, fx: &mut E) {
        match message {
            Message::Checkout => tell(fx, POOL, Message::Lent(self.idle.pop())),
            Message::Checkin(worker) => self.idle.push(worker),
            Message::Exit => self.replace(from, fx),
            Message::Started => {
                self.starting = None;
                self.idle.push(from);
            }
            _ => {}
        }
    }

    fn replace<E: Effects<Process>>(&mut self, dead: NodeId, fx: &mut E) {
        self.idle.retain(|worker| *worker != dead);
        self.starting = self.unborn.pop_front();
        if let Some(worker) = self.starting {
            tell(fx, worker, Message::Start);
        }
    }
}
