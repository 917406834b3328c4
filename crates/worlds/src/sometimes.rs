//! Places in the production code that runs must come to, all of them together: a batch that never gets to one tests nothing
//! that is behind it.

/// Every [`sometimes!`](ombak_base::sometimes) of the machines, by name; a test reads them from their text. Of consensus, which the
/// root group and the registers run, those places that hundreds of seeds come to: the others need more than a cluster for some
/// seconds, and are come to in the tests of that crate.
pub const SOMETIMES: &[&str] = &[
    "a disk was full",
    "a forwarded operation came twice",
    "a full disk had room again",
    "a full disk refused a write",
    "a peer answers on a new link",
    "a peer was lost",
    "a read repaired a replica",
    "a reaping that was lost is done again",
    "a repair made a vnode complete",
    "a replica had other bucket properties",
    "a request was fenced off",
    "a request was refused for overload",
    "a shard learned bucket properties from another",
    "a silent peer was suspected",
    "a tombstone was reaped",
    "a vnode could not name a write",
    "a vnode found that its disk was lost or restored",
    "a vnode refused a command for overload",
    "a vnode started without hearing from all owners",
    "an answer found the queue full",
    "an operation ran out of time",
    "an operation was tried at another primary",
    "damage made a vnode incomplete",
    "locks: a server asks again, after a snapshot",
    "paxos: a group begins",
    "paxos: a leader gives way",
    "paxos: a leader that is alone steps down",
    "paxos: a member has lost its disk",
    "paxos: a message was refused by another",
    "paxos: a step to take in again who has lost its disk",
    "paxos: somebody canvasses",
    "paxos: somebody leads",
    "paxos: the registers were copied to a new disk",
    "what was replaced before its bucket was known is written again",
];
