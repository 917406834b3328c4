//! Dots and version vectors.

use std::cmp::Ordering;
use std::fmt;

use ombak_base::{ActorId, DecodeError, Reader, put_varint};
use serde::{Deserialize, Serialize};

/// One write: the `n`th that `actor` minted. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who took the write.
    pub actor: ActorId,
    /// Which of its writes, from 1.
    pub n: u64,
}

impl fmt::Debug for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}.{}", self.actor, self.n)
    }
}

/// For each actor, how many of its writes have been seen: a set of dots without gaps.
///
/// Kept sorted by actor and without zeros, so that equal sets are equal values with equal bytes.
#[derive(Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct VersionVector {
    seen: Vec<(ActorId, u64)>,
}

impl VersionVector {
    /// The empty vector: nothing seen.
    pub const fn new() -> VersionVector {
        VersionVector { seen: Vec::new() }
    }

    /// Whether nothing has been seen.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// How many actors are in it.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// How many writes of `actor` have been seen.
    pub fn count(&self, actor: ActorId) -> u64 {
        match self.place(actor) {
            Ok(at) => self.seen[at].1,
            Err(_) => 0,
        }
    }

    /// Whether `dot` has been seen.
    pub fn covers(&self, dot: Dot) -> bool {
        self.count(dot.actor) >= dot.n
    }

    /// Whether everything that `other` has seen has been seen here. A partial order.
    pub fn descends(&self, other: &VersionVector) -> bool {
        other.dots().all(|dot| self.covers(dot))
    }

    /// Adds `dot` and everything of its actor before it.
    pub fn observe(&mut self, dot: Dot) {
        match self.place(dot.actor) {
            Ok(at) => self.seen[at].1 = self.seen[at].1.max(dot.n),
            Err(at) if dot.n > 0 => self.seen.insert(at, (dot.actor, dot.n)),
            Err(_) => {}
        }
    }

    /// Adds all that `other` has seen: the least upper bound.
    pub fn join(&mut self, other: &VersionVector) {
        for dot in other.dots() {
            self.observe(dot);
        }
    }

    /// The latest dot of each actor, in the order of actors.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        self.seen.iter().map(|&(actor, n)| Dot { actor, n })
    }

    /// Appends the canonical encoding: varint count, then for each actor 8 bytes and a varint.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.seen.len() as u64);
        for &(actor, n) in &self.seen {
            out.extend_from_slice(&actor.0.to_le_bytes());
            put_varint(out, n);
        }
    }

    /// Reads what `encode` wrote; anything that is not canonical is refused.
    pub fn decode(reader: &mut Reader) -> Result<VersionVector, DecodeError> {
        let count = reader.count(9)?;
        let mut seen: Vec<(ActorId, u64)> = Vec::with_capacity(count);
        for _ in 0..count {
            let (actor, n) = (ActorId(reader.u64()?), reader.varint()?);
            if n == 0 || seen.last().is_some_and(|last| last.0 >= actor) {
                return Err(DecodeError::Invalid("version vector"));
            }
            seen.push((actor, n));
        }
        Ok(VersionVector { seen })
    }

    fn place(&self, actor: ActorId) -> Result<usize, usize> {
        self.seen.binary_search_by_key(&actor, |&(actor, _)| actor)
    }
}

impl PartialOrd for VersionVector {
    /// Causal order; `None` when neither has seen all of the other.
    fn partial_cmp(&self, other: &VersionVector) -> Option<Ordering> {
        match (self.descends(other), other.descends(self)) {
            (true, true) => Some(Ordering::Equal),
            (true, false) => Some(Ordering::Greater),
            (false, true) => Some(Ordering::Less),
            (false, false) => None,
        }
    }
}

impl fmt::Debug for VersionVector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.dots()).finish()
    }
}

impl FromIterator<Dot> for VersionVector {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> VersionVector {
        let mut vector = VersionVector::new();
        dots.into_iter().for_each(|dot| vector.observe(dot));
        vector
    }
}

#[cfg(test)]
mod tests;
