//! What happened, as a fingerprint always and as text on request.

use std::collections::VecDeque;
use std::fmt::{self, Debug, Write};
use std::hash::Hash;

use ombak_base::{Address, NodeId, ShardId, Tick};

use crate::diagram::Diagram;
use crate::explore::Digest;

/// A running 128-bit fingerprint: the same in every process, on every machine. Not for adversaries.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// FNV's 128-bit offset and prime, taken eight bytes at a time and rotated in between, so that
    /// high bits come down again.
    const START: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// Nothing so far.
    pub fn new() -> Fingerprint {
        Fingerprint(Fingerprint::START)
    }

    /// Takes in a number.
    pub fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ u128::from(word)).wrapping_mul(Fingerprint::PRIME).rotate_left(67);
    }

    /// Takes in bytes and how many they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.word(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.word(u64::from_le_bytes(word));
        }
    }

    /// All that was taken in, in order.
    pub fn value(&self) -> u128 {
        self.0
    }
}

impl Default for Fingerprint {
    fn default() -> Fingerprint {
        Fingerprint::new()
    }
}

/// `format!` straight into the fingerprint.
impl fmt::Write for Fingerprint {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes());
        Ok(())
    }
}

/// What an entry says beyond its kind.
pub(crate) enum Detail<'a> {
    /// Fingerprinted and shown as text.
    Text(&'a dyn Debug),
    /// Fingerprinted as bytes, which is cheaper; shown as text.
    Bytes(&'a [u8], &'a dyn Debug),
    /// Fingerprinted by what it hashes to, which is cheaper where there are values in it; shown as text.
    Digest(u128, &'a dyn Debug),
}

impl<'a> Detail<'a> {
    pub fn digest<T: Hash + Debug>(value: &'a T) -> Detail<'a> {
        Detail::Digest(Digest::of(value), value)
    }

    fn text(&self) -> &'a dyn Debug {
        let (Detail::Text(text) | Detail::Bytes(_, text) | Detail::Digest(_, text)) = self;
        *text
    }
}

/// Everything that a world did, in order.
#[derive(Clone, Debug)]
pub struct Trace {
    fingerprint: Fingerprint,
    events: u64,
    /// The text of the present entry, to be taken in at once: piece by piece costs ten times as much.
    text: String,
    lines: VecDeque<String>,
    lines_max: usize,
    /// The same as data, and more, if somebody wants a picture.
    pub(crate) diagram: Option<Diagram>,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        let (fingerprint, lines) = (Fingerprint::new(), VecDeque::new());
        Trace { fingerprint, events: 0, text: String::new(), lines, lines_max: 0, diagram: None }
    }

    /// Keeps the last `max` entries as text from now on. The fingerprint does not depend on it.
    pub fn keep_lines(&mut self, max: usize) {
        self.lines_max = max;
        self.lines.drain(..self.lines.len().saturating_sub(max));
    }

    /// How many entries there were.
    pub fn events(&self) -> u64 {
        self.events
    }

    /// Over all entries so far: equal runs have equal ones.
    pub fn hash(&self) -> u128 {
        self.fingerprint.value()
    }

    /// The entries kept, oldest first.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().map(String::as_str)
    }

    pub(crate) fn record(
        &mut self,
        now: u64,
        node: NodeId,
        shard: Option<ShardId>,
        kind: &'static str,
        detail: &Detail<'_>,
    ) {
        self.events += 1;
        self.fingerprint.word(now);
        self.fingerprint
            .word(u64::from(node.0) << 32 | shard.map_or(0, |shard| 1 + u64::from(shard.0)));
        self.fingerprint.bytes(kind.as_bytes());
        match detail {
            Detail::Text(text) => {
                self.text.clear();
                // Writing into a string cannot fail, only a Debug of the machine's own can.
                let _ = write!(self.text, "{text:?}");
                self.fingerprint.bytes(self.text.as_bytes());
            }
            Detail::Bytes(bytes, _) => self.fingerprint.bytes(bytes),
            Detail::Digest(digest, _) => {
                self.fingerprint.word(*digest as u64);
                self.fingerprint.word((digest >> 64) as u64);
            }
        }
        if self.lines_max > 0 {
            self.keep_line(line(now, node, shard, kind, detail));
        }
        if let Some(diagram) = &mut self.diagram {
            diagram.note(now, Some(node), shard, kind, detail.text());
        }
    }

    /// The last entry was a step of this machine, which now is this.
    pub(crate) fn stepped(&mut self, at: Address, machine: &dyn Debug) {
        if let Some(diagram) = &mut self.diagram {
            diagram.stepped(at, machine);
        }
    }

    fn keep_line(&mut self, line: String) {
        while self.lines.len() >= self.lines_max {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
}

fn line(now: u64, node: NodeId, shard: Option<ShardId>, kind: &str, detail: &Detail<'_>) -> String {
    let place = shard.map_or(format!("{node}"), |shard| format!("{node}.{shard}"));
    let text = detail.text();
    format!("{:>14} {place:<6} {kind:<9} {text:?}", format!("{:?}", Tick(now)))
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines().try_for_each(|line| writeln!(f, "{line}"))?;
        write!(f, "{} events, hash {:032x}", self.events, self.hash())
    }
}

#[cfg(test)]
mod tests;
