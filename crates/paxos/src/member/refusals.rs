//! What a member refuses, for hosts that count: a member says it by a probe, and keeps no count of its own, which would make every
//! state another one.

use ombak_base::Place;

use super::Refusal;
use crate::log::STATE_TOO_LARGE;

/// Larger than [`COMMAND_BYTES_MAX`](crate::log::COMMAND_BYTES_MAX): the client is told.
pub(super) const TOO_LARGE: &str = "paxos: refused, too large";
/// What is stored is of another cluster, node or group: the member takes no part.
pub(super) const OTHER_DATA: &str = "paxos: refused, data of another";

/// Everything that a member refuses: the name of the probe, and in a few words what it was. State and disk are as they were before.
/// Other versions are refused before anything comes to a member, by whoever shakes hands.
pub const REFUSALS: [(&str, &str); 10] = [
    (Refusal::OtherCluster.name(), "other cluster"),
    (Refusal::NoGroup.name(), "no such group"),
    (Refusal::OtherDisk.name(), "other disk"),
    (Refusal::Removed.name(), "removed member"),
    (Refusal::NotGreeted.name(), "not greeted"),
    // Of ballots and slots that are too far ahead of everything that is known.
    ("paxos: a message that can't be was refused", "from the future"),
    ("paxos: a snapshot that arrived was refused", "broken snapshot"),
    (TOO_LARGE, "too large"),
    (OTHER_DATA, "other data"),
    (STATE_TOO_LARGE, "snapshot too large"),
];

/// Where a host counts each of them, in their order: places from this number on, and in a few words what it was.
pub fn refusal_places(first: u8) -> impl Iterator<Item = (Place, &'static str)> {
    (first..).zip(REFUSALS).map(|(number, (name, what))| (Place { number, name }, what))
}
