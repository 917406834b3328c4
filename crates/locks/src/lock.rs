//! One lock that is held.

use std::sync::Arc;
use std::time::Duration;

use crate::error::LockError;
use crate::session::Shared;
use crate::wire::{Answer, Ask, Mode, base64, from_base64};

/// How to lock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct How {
    /// In which mode.
    pub mode: Mode,
    /// How long to wait; zero: not at all, `None`: for ever.
    pub wait: Option<Duration>,
    /// The session's lock on what the resource lies under.
    pub under: Option<u64>,
    /// Whether [`Session::next_event`](crate::Session::next_event) tells when it is in somebody's way.
    pub notify: bool,
}

impl Default for How {
    /// For oneself alone, and for as long as it takes.
    fn default() -> How {
        How { mode: Mode::EX, wait: None, under: None, notify: false }
    }
}

/// A lock that is held, as long as its session lives. Dropping it gives it up, if a node can be reached.
#[derive(Debug)]
pub struct Lock {
    shared: Arc<Shared>,
    number: u64,
    mode: Mode,
    token: u64,
    value: Vec<u8>,
    value_valid: bool,
    held: bool,
}

impl Lock {
    pub(crate) fn granted(
        shared: Arc<Shared>,
        number: u64,
        answer: Answer,
    ) -> Result<Lock, LockError> {
        let mut lock = Lock {
            shared,
            number,
            mode: Mode::NL,
            token: 0,
            value: Vec::new(),
            value_valid: false,
            held: true,
        };
        lock.take(answer).map(|()| lock)
    }

    fn take(&mut self, answer: Answer) -> Result<(), LockError> {
        let Answer::Granted { mode, token, value, value_valid } = answer else {
            return Err(LockError::NotUnderstood(format!("{answer:?}")));
        };
        let bytes = from_base64(&value).ok_or(LockError::NotUnderstood(value))?;
        (self.mode, self.token, self.value, self.value_valid) = (mode, token, bytes, value_valid);
        Ok(())
    }

    /// What its session calls it, for locks under it.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// How it is held.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// To be shown to whatever the lock protects, which refuses what comes with a smaller one than it has seen.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// The resource's value block, when the lock was granted; `None`: who could have written it died.
    pub fn value(&self) -> Option<&[u8]> {
        self.value_valid.then_some(&self.value)
    }

    /// Holds it in another mode, and waits for that as long as it takes. If it is refused, the old one is held. A value is
    /// written to the block, by a holder of PW or EX that takes no more than it had.
    pub fn convert(
        &mut self,
        mode: Mode,
        wait: Option<Duration>,
        value: Option<&[u8]>,
    ) -> Result<(), LockError> {
        let wait_ms = wait.map(|wait| wait.as_millis() as u64);
        let ask = Ask::Convert { lock: self.number, mode, wait_ms, value: value.map(base64) };
        let (_, answer) = self.shared.call(&ask, wait)?;
        self.take(answer)
    }

    /// Gives it up. A value is written to the block, by a holder of PW or EX.
    pub fn unlock(mut self, value: Option<&[u8]>) -> Result<(), LockError> {
        self.give_up(value)
    }

    fn give_up(&mut self, value: Option<&[u8]>) -> Result<(), LockError> {
        if !std::mem::take(&mut self.held) {
            return Ok(());
        }
        let ask = Ask::Unlock { lock: self.number, value: value.map(base64) };
        self.shared.call(&ask, Some(Duration::ZERO)).map(drop)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not told of, it ends with its session.
        let _ = self.give_up(None);
    }
}
