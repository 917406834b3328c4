//! Elections: of many that could be in charge one is, and everybody can ask who.
//!
//! Who leads holds a name in PW and has written into its value block who that is. Candidates wait for it in EX, one behind the other.
//! Whoever asks takes NL for a moment, which is granted whoever waits; CR would stand in line behind the candidates.

use std::time::Duration;

use crate::error::LockError;
use crate::lock::{How, Lock};
use crate::session::Session;
use crate::wire::Mode;

/// Being in charge, as long as the session lives. Dropping it lets the next one lead, if a node can be reached.
#[derive(Debug)]
pub struct Leadership {
    lock: Option<Lock>,
    token: u64,
}

impl Session {
    /// Waits until this session leads `name`, as long as `wait` says; `None`: for ever. `who` is what is told to those who ask
    /// ([`leader`](Session::leader)): an address, say, of 1 to 64 bytes.
    pub fn lead(
        &self,
        name: &[&str],
        who: &[u8],
        wait: Option<Duration>,
    ) -> Result<Leadership, LockError> {
        if who.is_empty() {
            let message = "who leads has to be called something".into();
            return Err(LockError::Refused { why: "value".into(), message });
        }
        let mut lock = self.lock(name, How { wait, ..How::default() })?;
        lock.convert(Mode::PW, None, Some(who))?;
        Ok(Leadership { token: lock.token(), lock: Some(lock) })
    }

    /// Who leads `name`. `None`: nobody, or somebody who has not said so yet.
    pub fn leader(&self, name: &[&str]) -> Result<Option<Vec<u8>>, LockError> {
        let lock = self.lock(name, How { mode: Mode::NL, ..How::default() })?;
        let who = lock.value().filter(|who| !who.is_empty()).map(<[u8]>::to_vec);
        lock.unlock(None).map(|()| who)
    }
}

impl Leadership {
    /// To be shown with everything that is done as the leader: it is larger than that of every leader before.
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Lets the next one lead.
    pub fn resign(mut self) -> Result<(), LockError> {
        self.end()
    }

    /// Nobody is to be told of a leader that is none any more.
    fn end(&mut self) -> Result<(), LockError> {
        self.lock.take().map_or(Ok(()), |lock| lock.unlock(Some(b"")))
    }
}

impl Drop for Leadership {
    fn drop(&mut self) {
        // Not told of, it ends with its session, and what it said of itself is marked as not valid.
        let _ = self.end();
    }
}
