//! Identifiers. Each is its own type, so that one cannot be passed for another.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty), $format:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        pub struct $name(pub $inner);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, $format, self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self, f)
            }
        }
    };
}

id!(
    /// A member of the cluster: its place in the list of members sorted by name.
    NodeId(u32), "n{}"
);
id!(
    /// One core's event loop within a node, counted from 0. Never a piece of the data: that is a [`Partition`].
    ShardId(u16), "s{}"
);
id!(
    /// One of the ring's Q equal ranges of the hash space, counted from 0.
    Partition(u32), "p{}"
);
id!(
    /// The replica (a vnode's life on one disk) that mints dots. Random, never used again once lost.
    ActorId(u64), "a{:016x}"
);
id!(
    /// One client operation, the same through all its retries. Random.
    RequestId(u128), "r{:032x}"
);
id!(
    /// The version of the topology (members and rows). Only grows.
    Epoch(u64), "e{}"
);
id!(
    /// The count of a shard's stores and appends. A stamp is durable once the host says so; [`Stamp::NONE`] always is.
    Stamp(u64), "stamp{}"
);
id!(
    /// Names a read that a machine has asked its device for, until the answer comes.
    Ticket(u64), "t{}"
);
id!(
    /// Names the client request that a reply belongs to. Given out by the host, opaque to machines.
    ClientId(u64), "c{}"
);
id!(
    /// The cluster, so that nodes of two clusters never mix.
    ClusterId(u64), "cluster-{:016x}"
);
id!(
    /// One formatted data directory. A node that comes with another one has lost its disk.
    DirectoryId(u64), "dir-{:016x}"
);

impl Stamp {
    /// "Waits for nothing."
    pub const NONE: Stamp = Stamp(0);
}

/// Where a message goes: one shard of one node.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Address {
    /// The node.
    pub node: NodeId,
    /// The shard on that node.
    pub shard: ShardId,
}
