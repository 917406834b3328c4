//! What `r`, `w`, `quorum` and `all` come to.

use serde::{Deserialize, Serialize};

use crate::RequestError;

/// A quorum as clients give it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Quorum {
    /// The bucket's.
    Default,
    /// 1.
    One,
    /// More than half of n_val.
    Quorum,
    /// n_val.
    All,
    /// So many.
    Count(u32),
}

impl Quorum {
    /// How many replicas that is of a bucket with `n_val`, when the bucket's own is `default`.
    pub fn count(self, default: Quorum, n_val: u32) -> Result<u32, RequestError> {
        let count = match (self, default) {
            (Quorum::Default, Quorum::Default) => 0,
            (Quorum::Default, default) => return default.count(Quorum::Default, n_val),
            (Quorum::One, _) => 1,
            (Quorum::Quorum, _) => n_val / 2 + 1,
            (Quorum::All, _) => n_val,
            (Quorum::Count(count), _) => count,
        };
        if count > n_val { Err(RequestError::NValViolation(n_val)) } else { Ok(count) }
    }

    /// How many nodes must answer: the count, but never more than there are replicas. `m` = min(n_val, row length).
    pub fn need(self, default: Quorum, n_val: u32, m: usize) -> Result<usize, RequestError> {
        Ok((self.count(default, n_val)? as usize).min(m))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_count_against_n_val_and_needs_against_the_row() {
        let need = |quorum: Quorum, n_val, m| quorum.need(Quorum::Quorum, n_val, m);
        assert_eq!(need(Quorum::Default, 3, 3), Ok(2));
        assert_eq!(need(Quorum::Quorum, 5, 5), Ok(3));
        assert_eq!(need(Quorum::All, 3, 3), Ok(3));
        assert_eq!(need(Quorum::All, 3, 1), Ok(1), "a row of one node");
        assert_eq!(need(Quorum::Count(4), 3, 3), Err(RequestError::NValViolation(3)));
        assert_eq!(need(Quorum::Count(4), 3, 1), Err(RequestError::NValViolation(3)));
    }
}
