//! Where a key lives, as Riak's clients are told.

use ombak_base::Partition;
use ombak_cluster::{Topology, hash};
use ombak_kv::BucketId;

/// One entry of a preflist.
pub(crate) struct Place<'a> {
    pub partition: Partition,
    pub node: &'a str,
}

/// The `n_val` places of a key. Replica j of partition p is reported as partition p + j. A row of fewer nodes than
/// n_val is gone through again, which is what Riak says of a cluster that small.
pub(crate) fn preflist<'a>(
    topology: &'a Topology,
    bucket: &BucketId,
    key: &[u8],
    n_val: u32,
) -> impl Iterator<Item = Place<'a>> {
    let size = topology.ring.size();
    let point = hash::key_point(&bucket.bucket_type, &bucket.name, key);
    let first = hash::partition_of(&point, size);
    let row = topology.ring.row(first).iter().cycle().take(n_val as usize);
    row.zip(0..).map(move |(node, j)| Place {
        partition: Partition((first.0 + j) % size),
        node: topology.name(*node),
    })
}
