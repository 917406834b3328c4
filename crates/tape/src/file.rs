//! A recording as a file.
//!
//! ```text
//! "ombak tape 1\n"
//! block: the header     block: a reel     block: a reel     …     block of length 0
//! ```
//!
//! A block is its length (u32, little-endian), the CRC-32 of its content (u32), and the content, in the encoding of
//! [postcard](https://postcard.jamesmunns.com). The last block is empty: a file that lacks it was cut short.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use ombak_base::Address;
use serde::{Deserialize, Serialize};

use crate::effect::encode_onto;
use crate::ring::Reel;

const MAGIC: &[u8] = b"ombak tape 1\n";
const MAGIC_OF_ANY: &[u8] = b"ombak tape ";
/// No block is larger than this; what claims to be is damaged.
const BLOCK_BYTES_MAX: usize = 1 << 30;

/// Reels of one shard or of many, and who recorded them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Recording {
    header: Header,
    reels: Vec<Arc<Reel>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Header {
    /// The name of the node.
    node: String,
    /// The version of the code.
    version: String,
}

/// Why a file is no recording that can be played.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RecordingError {
    /// It is something else.
    #[error("not a recording: it does not begin with \"ombak tape 1\"")]
    NotOne,
    /// It is one of another format.
    #[error("a recording in format {0:?}; this code reads format 1")]
    Format(String),
    /// It was recorded by other code, which may do other things with the same.
    #[error("recorded by version {0}, and this is {1}: play it with the code that recorded it")]
    Version(String, String),
    /// It ends in the middle.
    #[error("cut short at byte {0}: copy it again")]
    CutShort(u64),
    /// What is there is not what was written.
    #[error("damaged: the block at byte {0} {1}")]
    Damaged(u64, &'static str),
    /// Something comes after the end.
    #[error("it goes on after its end at byte {0}")]
    Longer(u64),
}

impl Recording {
    /// What a node has recorded, by this code.
    pub fn new(node: impl Into<String>, reels: Vec<Arc<Reel>>) -> Recording {
        Recording { header: Header { node: node.into(), version: version().into() }, reels }
    }

    /// The name of the node.
    pub fn node(&self) -> &str {
        &self.header.node
    }

    /// How many steps there are.
    pub fn steps(&self) -> u64 {
        self.reels.iter().map(|reel| reel.steps).sum()
    }

    /// Whose reels there are, in order.
    pub fn addresses(&self) -> Vec<Address> {
        let mut addresses: Vec<Address> = self.reels.iter().map(|reel| reel.at).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The reels of one shard, in order.
    pub fn of(&self, at: Address) -> Vec<Arc<Reel>> {
        let mut reels: Vec<_> = self.reels.iter().filter(|reel| reel.at == at).cloned().collect();
        reels.sort_by_key(|reel| reel.number);
        reels
    }

    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        put_block(&self.header, &mut out);
        self.reels.iter().for_each(|reel| put_block(&**reel, &mut out));
        out.extend_from_slice(&[0; 8]);
        out
    }

    /// Reads a file.
    pub fn read(file: Bytes) -> Result<Recording, RecordingError> {
        let mut blocks = Blocks::of(file)?;
        let (at, content) =
            blocks.next()?.ok_or(RecordingError::Damaged(blocks.at, "is no header"))?;
        let header: Header = decoded(at, &content)?;
        if header.version != version() {
            return Err(RecordingError::Version(header.version, version().into()));
        }
        let mut reels = Vec::new();
        while let Some((at, content)) = blocks.next()? {
            reels.push(Arc::new(decoded(at, &content)?));
        }
        Ok(Recording { header, reels })
    }
}

/// The version of the code: a recording belongs to it.
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

fn put_block(content: &impl Serialize, out: &mut Vec<u8>) {
    let head = out.len();
    out.extend_from_slice(&[0; 8]);
    encode_onto(content, out);
    let length = (out.len() - head - 8) as u32;
    let checksum = crc32fast::hash(&out[head + 8..]);
    out[head..head + 4].copy_from_slice(&length.to_le_bytes());
    out[head + 4..head + 8].copy_from_slice(&checksum.to_le_bytes());
}

fn decoded<'a, T: Deserialize<'a>>(at: u64, content: &'a [u8]) -> Result<T, RecordingError> {
    match postcard::take_from_bytes(content) {
        Ok((decoded, [])) => Ok(decoded),
        _ => Err(RecordingError::Damaged(at, "is not what it should be")),
    }
}

/// The blocks of a file that are still to be read.
struct Blocks {
    rest: Bytes,
    at: u64,
}

impl Blocks {
    fn of(mut file: Bytes) -> Result<Blocks, RecordingError> {
        if !file.starts_with(MAGIC) {
            let line = file.split(|byte| *byte == b'\n').next().unwrap_or_default();
            let format = line.strip_prefix(MAGIC_OF_ANY).filter(|format| format.len() < 20);
            let format = format.and_then(|format| std::str::from_utf8(format).ok());
            return Err(format
                .map_or(RecordingError::NotOne, |format| RecordingError::Format(format.into())));
        }
        file.advance(MAGIC.len());
        Ok(Blocks { rest: file, at: MAGIC.len() as u64 })
    }

    /// The next block and where it lies; `None` at the end.
    fn next(&mut self) -> Result<Option<(u64, Bytes)>, RecordingError> {
        let at = self.at;
        if self.rest.len() < 8 {
            return Err(RecordingError::CutShort(at + self.rest.len() as u64));
        }
        let (length, checksum) = (self.rest.get_u32_le() as usize, self.rest.get_u32_le());
        if length > BLOCK_BYTES_MAX {
            return Err(RecordingError::Damaged(at, "claims to be larger than any is"));
        }
        if length > self.rest.len() {
            return Err(RecordingError::CutShort(at + 8 + self.rest.len() as u64));
        }
        self.at += 8 + length as u64;
        let content = self.rest.split_to(length);
        if crc32fast::hash(&content) != checksum {
            return Err(RecordingError::Damaged(at, "does not fit its checksum"));
        }
        match length {
            0 if self.rest.is_empty() => Ok(None),
            0 => Err(RecordingError::Longer(self.at)),
            _ => Ok(Some((at, content))),
        }
    }
}

#[cfg(test)]
mod tests;
