//! The client's side of a session: which numbers are open.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::SessionId;
use super::wire::numbered;

/// Numbers the commands of one session.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Client {
    session: SessionId,
    last: u64,
    /// Without an answer.
    open: BTreeSet<u64>,
}

impl Client {
    /// Of a session that was [opened](super::Answer::Opened).
    pub fn new(session: SessionId) -> Client {
        Client { session, last: 0, open: BTreeSet::new() }
    }

    /// Whose it is.
    pub fn session(&self) -> SessionId {
        self.session
    }

    /// Numbers a command: what is to be proposed, by any member.
    pub fn command(&mut self, command: &[u8]) -> (u64, Bytes) {
        self.last += 1;
        self.open.insert(self.last);
        (self.last, self.again(self.last, command))
    }

    /// What is to be proposed if nobody knows what became of it. It says what was answered meanwhile, which makes room for those
    /// that found none.
    pub fn again(&self, number: u64, command: &[u8]) -> Bytes {
        numbered(self.session, number, self.through(), command)
    }

    /// The answer to a number has come.
    pub fn answered(&mut self, number: u64) {
        self.open.remove(&number);
    }

    /// Commands under way, and those above the oldest of them: to be kept within [`Limits::window`](super::Limits::window).
    pub fn width(&self) -> u64 {
        self.last - self.through()
    }

    /// All up to here were answered.
    fn through(&self) -> u64 {
        self.open.first().map_or(self.last, |first| first - 1)
    }
}
