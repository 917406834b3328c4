//! Why a member takes no part.

use std::fmt;

use bytes::Bytes;
use ombak_base::{ClusterId, DeviceError, NodeId};
use serde::{Deserialize, Serialize};

use super::Group;

/// Why a member takes no part. What is stored has not been touched.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Failure {
    /// What is stored is of a node of another cluster.
    OtherCluster(ClusterId),
    /// What is stored is of another node.
    OtherNode(NodeId),
    /// What is stored is of a group that the member is not to take part in, and maybe nobody else has it.
    OtherGroup(Group),
    /// What is stored under this key can't be read, and why. The member has promised it knows not what.
    Unreadable(Bytes, String),
    /// Something of what is stored may be lost, as its host says: what was promised is not known. On an empty disk the member is
    /// taken in again.
    Damaged,
    /// A property of the code broke in it. What it has half done is no state to vote from; what is stored is.
    Broken,
    /// There are things of groups, and not whose they are.
    NoIdentity,
    /// The disk can't be read.
    Unread(DeviceError),
    /// The disk can't be written.
    Disk,
}

impl Failure {
    /// Whether what is stored is another's.
    pub(super) fn is_others(&self) -> bool {
        matches!(self, Failure::OtherCluster(_) | Failure::OtherNode(_) | Failure::OtherGroup(_))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::OtherCluster(cluster) => write!(f, "the data are of {cluster:?}"),
            Failure::OtherNode(node) => write!(f, "the data are of node {node}"),
            Failure::OtherGroup(group) => {
                write!(
                    f,
                    "there are data of group {}, which this member is not set up for",
                    group.0
                )
            }
            Failure::Unreadable(key, error) => {
                write!(f, "what is stored under {}: {error}", key.escape_ascii())
            }
            Failure::Damaged => write!(
                f,
                "some of what it has stored is lost: start it on an empty directory, and it is taken in again"
            ),
            Failure::Broken => {
                write!(f, "a property of the code broke here: the log says which; start it again")
            }
            Failure::NoIdentity => write!(f, "there are data, and not whose they are"),
            Failure::Unread(error) => write!(f, "reading the disk: {error}"),
            Failure::Disk => write!(f, "the disk failed"),
        }
    }
}

impl std::error::Error for Failure {}
