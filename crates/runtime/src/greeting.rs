//! The first words on a peer connection.
//!
//! The dialer says `magic, u32 length, hello`; the acceptor answers `magic, u8 verdict, u32 length, text`, where the
//! text is the acceptor's own hello (verdict 1) or the reason of its refusal (verdict 2). After an acceptance only
//! the dialer speaks, in frames.

use ombak_base::{NodeId, ShardId};

/// Changes with the layout of greetings and frames; what the hello says is versioned by its owner.
const MAGIC: [u8; 8] = *b"OMBAKP1\n";
/// A hello, or a reason.
pub(crate) const HELLO_BYTES_MAX: usize = 4096;
const ACCEPTED: u8 = 1;
const REJECTED: u8 = 2;

/// Who may connect as a peer. The bytes of a hello are opaque to the runtime. Asked on the shards' threads: by the
/// dialer about the acceptor and by the acceptor about the dialer, once per connection.
pub trait Handshake: Send + Sync + 'static {
    /// What shard `shard` of this node says of itself, at most 4096 bytes.
    fn hello(&self, shard: ShardId) -> Vec<u8>;
    /// Judges what the other side says. The reason of a refusal is sent to it and logged here and there.
    fn admit(&self, hello: &[u8]) -> Result<Admitted, String>;
}

/// What a hello says, as far as the runtime must know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Admitted {
    /// The node that speaks.
    pub node: NodeId,
    /// Which of its shards.
    pub shard: ShardId,
    /// How many shards it runs.
    pub shards: u16,
}

/// Bytes that are no greeting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Garbage;

/// What the acceptor said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Accepted(Vec<u8>),
    Rejected(String),
}

pub(crate) fn put_hello(out: &mut Vec<u8>, hello: &[u8]) {
    out.extend_from_slice(&MAGIC);
    put_text(out, hello);
}

pub(crate) fn put_accepted(out: &mut Vec<u8>, hello: &[u8]) {
    out.extend_from_slice(&MAGIC);
    out.push(ACCEPTED);
    put_text(out, hello);
}

pub(crate) fn put_rejected(out: &mut Vec<u8>, reason: &str) {
    out.extend_from_slice(&MAGIC);
    out.push(REJECTED);
    put_text(out, &reason.as_bytes()[..reason.len().min(HELLO_BYTES_MAX)]);
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text);
}

/// The dialer's hello, once all of it is there. Nothing may follow it: the dialer must wait for the answer.
pub(crate) fn parse_hello(input: &[u8]) -> Result<Option<Vec<u8>>, Garbage> {
    let Some(rest) = after_magic(input)? else { return Ok(None) };
    parse_text(rest)
}

/// The acceptor's answer, once all of it is there.
pub(crate) fn parse_verdict(input: &[u8]) -> Result<Option<Verdict>, Garbage> {
    let Some(rest) = after_magic(input)? else { return Ok(None) };
    let Some((&verdict, rest)) = rest.split_first() else { return Ok(None) };
    let Some(text) = parse_text(rest)? else { return Ok(None) };
    match verdict {
        ACCEPTED => Ok(Some(Verdict::Accepted(text))),
        REJECTED => Ok(Some(Verdict::Rejected(String::from_utf8_lossy(&text).into_owned()))),
        _ => Err(Garbage),
    }
}

/// Garbage is known by its first byte, not after eight.
fn after_magic(input: &[u8]) -> Result<Option<&[u8]>, Garbage> {
    let there = input.len().min(MAGIC.len());
    if input[..there] != MAGIC[..there] {
        return Err(Garbage);
    }
    Ok(input.get(MAGIC.len()..))
}

fn parse_text(input: &[u8]) -> Result<Option<Vec<u8>>, Garbage> {
    let Some((len, text)) = input.split_first_chunk::<4>() else { return Ok(None) };
    let len = u32::from_le_bytes(*len) as usize;
    if len > HELLO_BYTES_MAX || text.len() > len {
        return Err(Garbage);
    }
    Ok((text.len() == len).then(|| text.to_vec()))
}

#[cfg(test)]
mod tests;
