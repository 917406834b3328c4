//! The lock manager behind a log: what is decided, and what comes of it, as bytes.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, Wire, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::{Command, LockManager, LogTime, Notice};
use crate::log::{Slot, StateMachine};

const VERSION: u8 = 1;
/// Of one notice, and of a whole snapshot: what is larger is damaged.
const BYTES_MAX: usize = 256 * 1024 * 1024;

/// A lock manager as a [`StateMachine`]: each command comes with its time ([`LockService::command`]), and is answered with
/// what is to be said of it ([`LockService::notices`]). A query is answered with the snapshot of the whole manager.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct LockService {
    manager: LockManager,
}

impl LockService {
    /// The manager, as it is after the last command.
    pub fn manager(&self) -> &LockManager {
        &self.manager
    }

    /// `version:u8 at:varint command`: what is to be proposed.
    pub fn command(at: LogTime, command: &Command) -> Bytes {
        let mut out = vec![VERSION];
        put_varint(&mut out, at.0);
        command.encode(&mut out);
        Bytes::from(out)
    }

    fn read_command(bytes: &Bytes) -> Result<(LogTime, Command), DecodeError> {
        let mut reader = Reader::new(bytes.clone());
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other.into())),
        }
        let at = LogTime(reader.varint()?);
        Ok((at, Command::decode(reader.rest())?))
    }

    /// Reads an answer: notices, each with its length. `None`: the command was none that this version knows, and nothing was
    /// changed.
    pub fn notices(answer: Bytes) -> Result<Option<Vec<Notice>>, DecodeError> {
        let mut reader = Reader::new(answer);
        if reader.u8()? == 0 {
            return reader.finish().map(|()| None);
        }
        let mut notices = Vec::new();
        while reader.remaining() > 0 {
            notices.push(Notice::decode(reader.bytes(BYTES_MAX)?)?);
        }
        Ok(Some(notices))
    }
}

impl StateMachine for LockService {
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        // The same on all replicas: what can't be read changes nothing anywhere.
        let Ok((at, command)) = LockService::read_command(command) else {
            return Bytes::from_static(&[0]);
        };
        let mut out = vec![1];
        self.manager.apply(at, &command, &mut |notice| {
            let mut bytes = Vec::new();
            notice.encode(&mut bytes);
            put_bytes(&mut out, &bytes);
        });
        Bytes::from(out)
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        let mut out = Vec::new();
        self.manager.encode(&mut out);
        Bytes::from(out)
    }

    fn restore(snapshot: Bytes) -> Result<LockService, DecodeError> {
        Ok(LockService { manager: LockManager::decode(snapshot)? })
    }
}
