//! Who holds what: every partition has a *row*, an ordered list of distinct owners.
//!
//! ```text
//!   partition   row (owners in order)
//!       0       n0  n1  n2
//!       1       n1  n2  n0        a bucket with n_val 2 uses the first two of each row
//!       2       n2  n0  n1
//! ```
//!
//! Riak has one owner a partition and takes N consecutive partitions as the replicas; when the ring size is not a
//! multiple of the number of nodes, some keys then have two replicas on one node. A row cannot: its owners are distinct
//! by construction, and shorter than n_val when there are fewer members. To clients, entry `j` of partition `p` is
//! reported as partition `p + j`, which is what Riak would say.

use ombak_base::limits::{MEMBERS_MAX, RING_SIZE_MAX};
use ombak_base::{NodeId, Partition, always};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The longest row.
pub const ROW_MAX: usize = 5;
/// Over so many columns the claim is balanced to within one partition.
pub const TARGET_N_VAL: usize = 4;

/// Why a ring cannot be made.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum RingError {
    /// The size is no power of two between 1 and [`RING_SIZE_MAX`].
    #[error("the ring size must be a power of two from 1 to {RING_SIZE_MAX}, not {0}")]
    Size(u32),
    /// No members, or too many.
    #[error("a cluster has from 1 to {MEMBERS_MAX} members, not {0}")]
    Members(usize),
}

/// The rows of all partitions.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Ring {
    rows: Vec<Vec<NodeId>>,
}

impl Ring {
    /// The deterministic claim for members `0..members`: the same on every node.
    ///
    /// Partition by partition, a row takes the members that own least so far; of those, the one that has least often
    /// been first becomes first, and so on. Taking the least loaded each time keeps every two members within one
    /// partition of each other.
    pub fn claim(members: usize, size: u32) -> Result<Ring, RingError> {
        if !size.is_power_of_two() || size > RING_SIZE_MAX {
            return Err(RingError::Size(size));
        }
        if members == 0 || members > MEMBERS_MAX {
            return Err(RingError::Members(members));
        }
        let mut load = Load::new(members);
        let rows = (0..size as usize).map(|partition| load.row(partition)).collect();
        Ok(Ring { rows })
    }

    /// How many partitions there are.
    pub fn size(&self) -> u32 {
        self.rows.len() as u32
    }

    /// The owners of a partition, in order; empty if there is no such partition.
    pub fn row(&self, partition: Partition) -> &[NodeId] {
        self.rows.get(partition.0 as usize).map_or(&[], Vec::as_slice)
    }

    /// The first `n_val` owners: the primaries of a bucket with that n_val.
    pub fn primaries(&self, partition: Partition, n_val: u32) -> &[NodeId] {
        let row = self.row(partition);
        &row[..row.len().min(n_val as usize)]
    }

    /// The partitions of which `node` is an owner.
    pub fn partitions_of(&self, node: NodeId) -> impl Iterator<Item = Partition> + '_ {
        let owned = self.rows.iter().enumerate().filter(move |(_, row)| row.contains(&node));
        owned.map(|(partition, _)| Partition(partition as u32))
    }

    /// The invariants: rows of equal length and distinct owners, balanced over the first columns.
    pub fn check(&self) {
        let len = self.rows.first().map_or(0, Vec::len);
        let mut owned: Vec<usize> = Vec::new();
        for row in &self.rows {
            always!(row.len() == len, "rows are equally long");
            let distinct = row.iter().enumerate().all(|(at, owner)| !row[..at].contains(owner));
            always!(distinct, "owners of a row are distinct", "{row:?}");
            for owner in row.iter().take(TARGET_N_VAL) {
                let owner = owner.0 as usize;
                owned.resize(owned.len().max(owner + 1), 0);
                owned[owner] += 1;
            }
        }
        let (least, most) = (owned.iter().min(), owned.iter().max());
        let spread = most.zip(least).map_or(0, |(most, least)| most - least);
        always!(spread <= 1, "the claim is balanced", "{owned:?}");
    }
}

/// What each member owns so far.
struct Load {
    balanced: Vec<usize>,
    columns: Vec<[usize; ROW_MAX]>,
}

impl Load {
    fn new(members: usize) -> Load {
        Load { balanced: vec![0; members], columns: vec![[0; ROW_MAX]; members] }
    }

    fn row(&mut self, partition: usize) -> Vec<NodeId> {
        let members = self.balanced.len();
        let mut candidates: Vec<usize> =
            (0..members).map(|at| (partition + at) % members).collect();
        candidates.sort_by_key(|&member| self.balanced[member]);
        candidates.truncate(members.min(ROW_MAX));
        let balanced = candidates.len().min(TARGET_N_VAL);
        for &member in &candidates[..balanced] {
            self.balanced[member] += 1;
        }
        let (front, back) = candidates.split_at_mut(balanced);
        self.order(front, 0);
        self.order(back, balanced);
        candidates.into_iter().map(|member| NodeId(member as u32)).collect()
    }

    /// Gives each column to the candidate that has had it least.
    fn order(&mut self, candidates: &mut [usize], first_column: usize) {
        for at in 0..candidates.len() {
            let column = first_column + at;
            let rest = &candidates[at..];
            let least =
                (0..rest.len()).min_by_key(|&place| self.columns[rest[place]][column]).unwrap_or(0);
            candidates[at..=at + least].rotate_right(1);
            self.columns[candidates[at]][column] += 1;
        }
    }
}

#[cfg(test)]
mod tests;
