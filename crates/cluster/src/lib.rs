//! Dynamo, abstracted: what a replicated service needs that is not about its data.
//!
//! | file | subject |
//! |---|---|
//! | [`hash`] | where a key lies on the ring: Riak's key function |
//! | [`Ring`] | which nodes hold a partition: rows of distinct owners, and the claim that makes them |
//! | [`Hello`] | what two nodes tell each other before anything else |
//! | [`Header`], [`Fence`] | what every replica request says of itself: who, when, and for how long |
//! | [`Peers`] | who is alive, by heartbeat |
//! | [`Service`], [`VnodeMap`] | one replica of one partition, for any service |
//!
//! Nothing here knows what is stored. `kv` is one service; the counter in the simulator's tests is another.

mod handshake;
pub mod hash;
mod header;
mod peers;
mod ring;
mod topology;
mod vnode;

pub use handshake::{HandshakeError, Hello, VERSION};
pub use header::{CLOCK_SLACK_MS, FENCE_WINDOW_MS, Fence, Fencing, Header, Role};
pub use peers::{Greeting, HEARTBEAT_MS, Peer, Peers, SUSPECT_MS};
pub use ring::{ROW_MAX, Ring, RingError, TARGET_N_VAL};
pub use topology::{Member, Topology};
pub use vnode::{
    Claim, Done, GRAVES_MAX, LEASE, Lineage, META_KEY, Outcome, PEER_KEY, Service, Verdict, Vnode,
    VnodeError, VnodeMap, VnodeRecord, WAITING_MAX, Write, peer_key,
};
