//! What a server keeps on its disk.
//!
//! ```text
//! key   = 0            the state            state = version:u8 era:varint (0 | 1 disk:u64)
//!       | 1 name       a register's cell
//! ```

use bytes::Bytes;
use ombak_base::{DecodeError, DeviceError, DirectoryId, Effects, Entry, Now, Reader, put_varint};
use serde::{Deserialize, Serialize};

use super::super::Era;
use super::{Phase, RegisterServer};

const VERSION: u8 = 1;

pub(super) const STATE: Bytes = Bytes::from_static(&[0]);
/// The first key of a register, and the first that is none.
pub(super) const CELLS: Bytes = Bytes::from_static(&[1]);
pub(super) const AFTER_CELLS: Bytes = Bytes::from_static(&[2]);

pub(super) fn key_of(name: &[u8]) -> Bytes {
    [&CELLS, name].concat().into()
}

pub(super) fn name_of(key: Bytes) -> Bytes {
    key.slice(CELLS.len().min(key.len())..)
}

/// What is kept besides registers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct State {
    /// The last era that it has heard of: it answers in no earlier one.
    pub era: Era,
    /// All that the seat ever promised or accepted is on this disk.
    pub complete: Option<DirectoryId>,
}

impl State {
    pub fn encode(&self) -> Bytes {
        let mut out = vec![VERSION];
        put_varint(&mut out, self.era.0);
        out.push(u8::from(self.complete.is_some()));
        if let Some(disk) = self.complete {
            out.extend_from_slice(&disk.0.to_le_bytes());
        }
        Bytes::from(out)
    }

    pub fn decode(bytes: Bytes) -> Result<State, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other.into())),
        }
        let era = Era(reader.varint()?);
        let complete = match reader.u8()? {
            0 => None,
            1 => Some(DirectoryId(reader.u64()?)),
            _ => return Err(DecodeError::Invalid("state of the registers")),
        };
        reader.finish().map(|()| State { era, complete })
    }
}

impl RegisterServer {
    pub(super) fn store_state<E: Effects<Self>>(&mut self, fx: &mut E) {
        let entry = Entry { tag: 0, bytes: self.state.encode() };
        self.written = fx.store(self.setup.home, &STATE, Some(entry));
    }

    pub(super) fn read_state<E: Effects<Self>>(
        &mut self,
        now: Now,
        entry: Result<Option<Entry>, DeviceError>,
        fx: &mut E,
    ) {
        let read = entry.ok().map(|entry| entry.map(|entry| State::decode(entry.bytes)));
        let state = match read {
            Some(None) => State::default(),
            Some(Some(Ok(state))) => state,
            Some(Some(Err(_))) | None => return self.stop(fx),
        };
        self.state = state;
        self.phase = Phase::Running;
        self.settle(now, fx);
    }
}
