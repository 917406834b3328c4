//! Commands that a slot decides together.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// A command of so many bytes stays where its client left it: to copy it takes longer than to point to it, and whoever applies it
/// finds it in no cache. So does one that is alone, however small: it needs no memory but its client's.
pub(super) const APART_BYTES: usize = 512;

/// Commands that are decided together, in order. What they are is all that counts, and not how they are kept.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "Together", into = "Together")]
pub struct Batch(Kept);

#[derive(Clone)]
enum Kept {
    /// Where its client left it.
    Alone(Bytes),
    Together(Together),
    Apart(Apart),
}

/// In one piece of memory, each with its length in front: as they are sent and stored.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
struct Together {
    count: u32,
    bytes: Bytes,
}

/// Each where its client left it.
#[derive(Clone)]
struct Apart {
    commands: Arc<[Bytes]>,
    /// Of their encodings.
    len: usize,
}

/// Gathers commands.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Gathering {
    /// The first, until there is a second.
    alone: Option<Bytes>,
    /// Until there is a large one.
    together: Vec<u8>,
    count: u32,
    apart: Vec<Bytes>,
    len: usize,
}

impl Gathering {
    /// Adds one.
    pub fn push(&mut self, command: Bytes) {
        let is_first = self.is_empty();
        self.len += framed(command.len());
        if is_first {
            self.alone = Some(command);
            return;
        }
        if let Some(first) = self.alone.take() {
            self.join(first);
        }
        self.join(command);
    }

    fn join(&mut self, command: Bytes) {
        if self.apart.is_empty() && command.len() < APART_BYTES {
            put_bytes(&mut self.together, &command);
            self.count += 1;
            return;
        }
        if self.count > 0 {
            let before = self.take_together();
            before.for_each(|command| self.apart.push(command.clone()));
        }
        self.apart.push(command);
    }

    /// Bytes so far.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// What was gathered.
    pub fn take(&mut self) -> Batch {
        let len = std::mem::take(&mut self.len);
        if let Some(command) = self.alone.take() {
            return Batch(Kept::Alone(command));
        }
        if self.apart.is_empty() {
            return Batch(Kept::Together(self.take_together()));
        }
        Batch(Kept::Apart(Apart { commands: std::mem::take(&mut self.apart).into(), len }))
    }

    fn take_together(&mut self) -> Together {
        let bytes = Bytes::from(std::mem::take(&mut self.together));
        Together { count: std::mem::take(&mut self.count), bytes }
    }
}

impl Batch {
    /// Does something with each command, in order.
    pub fn for_each(&self, mut act: impl FnMut(&Bytes)) {
        match &self.0 {
            Kept::Alone(command) => act(command),
            Kept::Together(together) => together.for_each(act),
            Kept::Apart(apart) => apart.commands.iter().for_each(act),
        }
    }

    /// How many there are.
    pub fn count(&self) -> u32 {
        match &self.0 {
            Kept::Alone(_) => 1,
            Kept::Together(together) => together.count,
            Kept::Apart(apart) => apart.commands.len() as u32,
        }
    }

    /// Bytes that they take, each with its length in front.
    pub(super) fn len(&self) -> usize {
        match &self.0 {
            Kept::Alone(command) => framed(command.len()),
            Kept::Together(together) => together.bytes.len(),
            Kept::Apart(apart) => apart.len,
        }
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.count().into());
        put_varint(out, self.len() as u64);
        self.encode_commands(out);
    }

    /// Each with its length in front.
    fn encode_commands(&self, out: &mut Vec<u8>) {
        match &self.0 {
            Kept::Alone(command) => put_bytes(out, command),
            Kept::Together(together) => out.extend_from_slice(&together.bytes),
            Kept::Apart(Apart { commands, len }) => {
                out.reserve(*len);
                commands.iter().for_each(|command| put_bytes(out, command));
            }
        }
    }

    fn commands(&self) -> Vec<Bytes> {
        let mut commands = Vec::with_capacity(self.count() as usize);
        self.for_each(|command| commands.push(command.clone()));
        commands
    }

    pub(super) fn decode(reader: &mut Reader) -> Result<Batch, DecodeError> {
        let count = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("count"))?;
        let together = Together { count, bytes: reader.bytes(usize::MAX)? };
        let (mut found, mut whole) = (0, 0);
        together.for_each(|command| (found, whole) = (found + 1, whole + framed(command.len())));
        let all = found == count && whole == together.bytes.len();
        all.then_some(Batch(Kept::Together(together)))
            .ok_or(DecodeError::Invalid("batch of commands"))
    }
}

impl Together {
    fn for_each(&self, mut act: impl FnMut(&Bytes)) {
        let mut reader = Reader::new(self.bytes.clone());
        for _ in 0..self.count {
            let Ok(command) = reader.bytes(usize::MAX) else { return };
            act(&command);
        }
    }
}

impl From<Together> for Batch {
    fn from(together: Together) -> Batch {
        Batch(Kept::Together(together))
    }
}

impl From<Batch> for Together {
    fn from(batch: Batch) -> Together {
        let count = batch.count();
        if let Kept::Together(together) = batch.0 {
            return together;
        }
        let mut bytes = Vec::new();
        batch.encode_commands(&mut bytes);
        Together { count, bytes: bytes.into() }
    }
}

impl PartialEq for Batch {
    fn eq(&self, other: &Batch) -> bool {
        match (&self.0, &other.0) {
            (Kept::Together(one), Kept::Together(other)) => one == other,
            _ => self.commands() == other.commands(),
        }
    }
}

impl Eq for Batch {}

impl Hash for Batch {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.count().hash(state);
        self.for_each(|command| command.hash(state));
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} commands of {} bytes", self.count(), self.len())
    }
}

/// Bytes of something with its length in front.
fn framed(len: usize) -> usize {
    let bits = usize::BITS - (len | 1).leading_zeros();
    len + bits.div_ceil(7) as usize
}
