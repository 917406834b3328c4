//! Values with the causality that they need: a dotted version vector set.

use serde::{Deserialize, Serialize};

use crate::{Dot, VersionVector};

/// The values of one key as one copy knows them.
///
/// Invariants, held by every method: values are sorted by dot, and the context covers every dot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Versioned<V> {
    context: VersionVector,
    values: Vec<(Dot, V)>,
}

impl<V> Default for Versioned<V> {
    fn default() -> Versioned<V> {
        Versioned { context: VersionVector::new(), values: Vec::new() }
    }
}

impl<V: Clone + PartialEq> Versioned<V> {
    /// From parts that came from disk or network; `None` if they break the invariants.
    pub fn from_parts(context: VersionVector, values: Vec<(Dot, V)>) -> Option<Versioned<V>> {
        let sorted = values.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let covered = values.iter().all(|(dot, _)| dot.n > 0 && context.covers(*dot));
        (sorted && covered).then_some(Versioned { context, values })
    }

    /// Everything that this copy has seen.
    pub fn context(&self) -> &VersionVector {
        &self.context
    }

    /// The values that nothing seen here has replaced, in the order of their dots.
    pub fn values(&self) -> &[(Dot, V)] {
        &self.values
    }

    /// Takes a new write: it replaces what its writer had seen, and stands beside the rest.
    pub fn write(&mut self, seen: &VersionVector, dot: Dot, value: V) {
        self.values.retain(|(dot, _)| !seen.covers(*dot));
        self.context.join(seen);
        self.context.observe(dot);
        let at = self.values.partition_point(|(other, _)| *other < dot);
        self.values.insert(at, (dot, value));
    }

    /// Takes over what `other` knows. Commutative, associative and idempotent.
    pub fn merge(&mut self, other: &Versioned<V>) {
        let theirs = &other.values;
        self.values
            .retain(|(dot, _)| !other.context.covers(*dot) || theirs.iter().any(|(d, _)| d == dot));
        for (dot, value) in theirs {
            if !self.context.covers(*dot) {
                let at = self.values.partition_point(|(other, _)| other < dot);
                self.values.insert(at, (*dot, value.clone()));
            }
        }
        self.context.join(&other.context);
    }

    /// Drops values for which `keep` says no. The context still covers them, so they are replaced, not unseen.
    pub fn retain(&mut self, mut keep: impl FnMut(Dot, &V) -> bool) {
        self.values.retain(|(dot, value)| keep(*dot, value));
    }

    /// Whether merging `other` in would change nothing.
    pub fn includes(&self, other: &Versioned<V>) -> bool {
        self.context.descends(&other.context)
            && self.values.iter().all(|(dot, _)| {
                !other.context.covers(*dot) || other.values.iter().any(|(theirs, _)| theirs == dot)
            })
    }
}

#[cfg(test)]
mod tests;
