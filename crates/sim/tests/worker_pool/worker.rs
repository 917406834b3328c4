//! Does one job after the other, until one kills it.

use ombak_base::{Effects, NodeId};

use crate::process::{Bug, CLIENT, Job, Message, POOL, Process, SUPERVISOR, tell};

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Worker {
    bug: Bug,
    me: NodeId,
    /// It is there from the beginning; the others wait for their supervisor.
    first: bool,
}

impl Worker {
    pub fn new(bug: Bug, me: NodeId, first: bool) -> Worker {
        Worker { bug, me, first }
    }

    pub fn start<E: Effects<Process>>(&mut self, fx: &mut E) {
        if self.first {
            self.say_up(fx);
        }
    }

    pub fn hear<E: Effects<Process>>(&mut self, message: Message, fx: &mut E) {
        match message {
            Message::Start => {
                self.say_up(fx);
                tell(fx, SUPERVISOR, Message::Started);
            }
            Message::Work(job) if job.deadly => {
                tell(fx, SUPERVISOR, Message::Exit);
                tell(fx, POOL, Message::Down);
            }
            Message::Work(job) => self.finish(job, fx),
            _ => {}
        }
    }

    fn say_up<E: Effects<Process>>(&self, fx: &mut E) {
        if self.bug != Bug::Freeze298 {
            tell(fx, POOL, Message::Up);
        }
    }

    fn finish<E: Effects<Process>>(&self, job: Job, fx: &mut E) {
        tell(fx, CLIENT, Message::Answer(job.number));
        if self.bug == Bug::Freeze298 {
            tell(fx, SUPERVISOR, Message::Checkin(self.me));
        }
        tell(fx, POOL, Message::Checkin(self.me));
    }
}
