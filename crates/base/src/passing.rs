//! What hosts count and log of the operations that pass through a machine.

use crate::{Address, Partition, RequestId};

/// So many places may be counted; the numbers of places are below it.
pub const PLACES_MAX: usize = 32;

/// A place that operations pass on their way. A machine names its places by constants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its own number, below [`PLACES_MAX`].
    pub number: u8,
    /// What happens there, as a log says it.
    pub name: &'static str,
}

/// An operation passes a place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Passing {
    /// Where.
    pub place: Place,
    /// Which operation; the same on every shard and node.
    pub request: RequestId,
    /// Of which partition.
    pub partition: Partition,
    /// Where it came from or goes to, if that is another shard.
    pub peer: Option<Address>,
    /// What was asked or answered there.
    pub what: &'static str,
}
