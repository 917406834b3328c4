//! Answers that are not there yet.

use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use ombak_base::ShardId;
use ombak_paxos::log::{Outcome, Slot, StateMachine};
use ombak_runtime::{AskError, Asked, Flow, Handle};

use crate::machine::{Hosted, Reply, Request};
use crate::{Ended, NotNow, ProposeError, Status};

const SHARD: ShardId = ShardId(0);

/// A question that was asked. Dropping it gives the answer up.
pub(crate) struct Answers<S: StateMachine + Send + 'static> {
    handle: Handle<Hosted<S>>,
    asked: Asked,
    receiver: Receiver<Reply>,
    flow: Flow,
    is_over: bool,
}

impl<S: StateMachine + Send + 'static> Answers<S> {
    /// Asks. Each answer is followed by `flow`.
    pub fn ask(
        handle: Handle<Hosted<S>>,
        request: Request,
        flow: Flow,
    ) -> Result<Answers<S>, AskError> {
        let (sender, receiver) = sync_channel(1);
        let sink = move |reply, _| match sender.try_send(reply) {
            Ok(()) => flow,
            Err(_) => Flow::Stop,
        };
        let asked = handle.send(SHARD, request, Box::new(sink))?;
        Ok(Answers { handle, asked, receiver, flow, is_over: false })
    }

    /// The next answer, if there is one in time. An error: there will be none.
    pub fn next(&mut self, within: Duration) -> Result<Option<Reply>, Ended> {
        match self.receiver.recv_timeout(within) {
            Ok(reply) => Ok(Some(self.note(reply))),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(self.end()),
        }
    }

    fn poll(&mut self) -> Result<Option<Reply>, Ended> {
        match self.receiver.try_recv() {
            Ok(reply) => Ok(Some(self.note(reply))),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(self.end()),
        }
    }

    fn note(&mut self, reply: Reply) -> Reply {
        self.is_over = self.flow == Flow::Last;
        reply
    }

    fn end(&mut self) -> Ended {
        self.is_over = true;
        stopped()
    }
}

impl<S: StateMachine + Send + 'static> Drop for Answers<S> {
    fn drop(&mut self) {
        if !self.is_over {
            self.handle.gone(self.asked);
        }
    }
}

pub(crate) fn stopped() -> Ended {
    Ended("it has stopped".into())
}

/// A command that was proposed, and whose answer will come. Dropping it gives the answer up, not the command.
pub struct Pending<S: StateMachine + Send + 'static>(pub(crate) Answers<S>);

impl<S: StateMachine + Send + 'static> Pending<S> {
    /// The answer, if it is there. Never waits. After an answer, there is no other.
    pub fn poll(&mut self) -> Option<Result<Bytes, ProposeError>> {
        match self.0.poll() {
            Ok(None) => None,
            Ok(Some(reply)) => Some(taken(reply).map(|(_, answer)| answer)),
            Err(ended) => Some(Err(ended.into())),
        }
    }

    /// Waits for the answer.
    pub fn wait(self, within: Duration) -> Result<Bytes, ProposeError> {
        self.wait_at(within).map(|(_, answer)| answer)
    }

    /// Waits for the answer, and says where in the log the command stands: for [`Group::read_at`](crate::Group::read_at).
    pub fn wait_at(mut self, within: Duration) -> Result<(Slot, Bytes), ProposeError> {
        match self.0.next(within)? {
            Some(reply) => taken(reply),
            None => Err(ProposeError::Unknown),
        }
    }
}

fn taken(reply: Reply) -> Result<(Slot, Bytes), ProposeError> {
    match reply {
        Reply::Outcome(Outcome::Applied { slot, answer }) => Ok((slot, answer)),
        Reply::Outcome(Outcome::NoLeader) => Err(NotNow::NoLeader.into()),
        Reply::Outcome(Outcome::Busy) => Err(NotNow::Busy.into()),
        Reply::Full => Err(NotNow::DiskFull.into()),
        Reply::Failed(why) => Err(Ended(why).into()),
        Reply::Outcome(_) | Reply::Status(_) => Err(ProposeError::Unknown),
    }
}

/// Tells how a member is doing, whenever that changes.
pub struct Watch<S: StateMachine + Send + 'static> {
    answers: Answers<S>,
    has_answer: bool,
}

impl<S: StateMachine + Send + 'static> Watch<S> {
    pub(crate) fn new(answers: Answers<S>) -> Watch<S> {
        Watch { answers, has_answer: false }
    }

    /// How it is doing: the first time at once, later when more than the slot is no longer as was told last. What changed and
    /// changed back meanwhile is not told. `None`: the time is over.
    pub fn next(&mut self, within: Duration) -> Result<Option<Status>, Ended> {
        if std::mem::take(&mut self.has_answer) {
            self.answers.handle.more(self.answers.asked);
        }
        match self.answers.next(within)? {
            Some(Reply::Status(status)) => {
                self.has_answer = true;
                Ok(Some(status))
            }
            _ => Ok(None),
        }
    }
}
