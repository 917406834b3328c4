//! What a member is started with.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use ombak_base::NodeId;
use ombak_paxos::log::Lease;
use ombak_paxos::{Members, Voters};
use ombak_runtime::Limits;

use crate::StartError;

/// Bytes of a group's name.
pub const NAME_BYTES_MAX: usize = 255;

/// What a member is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The name of the group, so that members of two groups never mix.
    pub group: String,
    /// Who this is. A member that has lost its disk is taken in again by the others, as long as they are a majority without it.
    pub id: NodeId,
    /// Where the other members connect. `None`: there are no others.
    pub listen: Option<SocketAddr>,
    /// All others that are or may come to be members, and where they listen.
    pub peers: Vec<(NodeId, SocketAddr)>,
    /// Who the group begins with, the same on all of them. Empty: this one waits until a [`change`](crate::Group::change) takes it
    /// in. What is on the disk goes before.
    pub voters: BTreeSet<NodeId>,
    /// Those of them that are witnesses, the same on all: they vote and keep the log, and never the state, so they can't lead. A group with one
    /// among three goes on without any one member, as with three states. Who is a witness once stays one.
    pub witnesses: BTreeSet<NodeId>,
    /// The directory for the log, created if need be. `None`: in memory, so that each start is as after the loss of a disk.
    pub dir: Option<PathBuf>,
    /// A snapshot is taken after so many bytes of commands, and not before they are as many as the last snapshot's.
    pub snapshot_every: usize,
    /// Lets a leader answer reads by itself for so long after a majority has let it: a read then asks nobody, and after a leader's death
    /// the next one waits for as long. `None`, the default: it asks a majority each time. The same on all members.
    ///
    /// **Reads are then as good as the clocks are.** It is for you to promise that no member's monotonic clock is wrong by more than
    /// `drift_ppm`, not while its machine sleeps, is suspended or moved either; and that all members are down for one lease before they are
    /// started with a shorter one, or with none. What is written hangs on no clock.
    pub lease: Option<Lease>,
    /// How the log uses the disk.
    pub log: ombak_store::log::Options,
    /// The bounds of the runtime.
    pub limits: Limits,
}

impl Options {
    /// Member `id` of a group that begins with all of `members`, each with the address where it listens. In memory: set
    /// [`dir`](Options::dir).
    pub fn new(group: &str, id: NodeId, members: &[(NodeId, SocketAddr)]) -> Options {
        let own = members.iter().find(|(member, _)| *member == id);
        Options {
            group: group.into(),
            id,
            listen: own.map(|(_, addr)| *addr).filter(|_| members.len() > 1),
            peers: members.iter().filter(|(member, _)| *member != id).copied().collect(),
            voters: members.iter().map(|(member, _)| *member).collect(),
            witnesses: BTreeSet::new(),
            dir: None,
            snapshot_every: 4 * 1024 * 1024,
            lease: None,
            log: ombak_store::log::Options {
                log_segment_bytes: 8 * 1024 * 1024,
                checkpoint_bytes: 16 * 1024 * 1024,
                ..Default::default()
            },
            limits: Limits::default(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), StartError> {
        let plain = |c: char| c.is_ascii_graphic() && !"\"'\\=".contains(c);
        let is_name = (1..=NAME_BYTES_MAX).contains(&self.group.len());
        let all: BTreeSet<NodeId> = self.everybody().collect();
        let wrong = if !is_name || !self.group.chars().all(plain) {
            "a group's name is 1 to 255 printable characters without spaces, quotes, = and backslashes".into()
        } else if self.peers.iter().any(|(peer, _)| *peer == self.id) {
            format!("{} is among its own peers: is its id right?", self.id)
        } else if all.len() != self.peers.len() + 1 {
            "a peer is named twice".into()
        } else if let Some(unknown) = self.voters.difference(&all).next() {
            format!("{unknown} is to vote, and is neither this member nor among its peers")
        } else if !self.voters.is_empty() && !self.voters.contains(&self.id) {
            format!("{} is not among the voters: a member that joins names no voters", self.id)
        } else if self.voters.len() > ombak_paxos::VOTERS_MAX {
            format!("at most {} members vote", ombak_paxos::VOTERS_MAX)
        } else if let Some(other) = self.witnesses.difference(&self.voters).next() {
            format!("{other} is to be a witness, and is not among the voters")
        } else if !self.voters.is_empty() && !self.founders().have_state() {
            "most of the voters are witnesses: too few keep the state".into()
        } else if !self.lease.is_none_or(is_sane) {
            "a lease lasts 10 ms to a minute, and a clock that is wrong by more than a tenth is none".into()
        } else if self.listen.is_none() && !self.peers.is_empty() {
            "with peers, it needs an address to listen on".into()
        } else {
            return Ok(());
        };
        Err(StartError::Options(wrong))
    }

    /// Who the group begins with.
    pub(crate) fn founders(&self) -> Members {
        let mut members = Members::new(Voters::majority(self.voters.iter().copied()));
        members.witnesses = self.witnesses.clone();
        members
    }

    pub(crate) fn everybody(&self) -> impl Iterator<Item = NodeId> {
        self.peers.iter().map(|(peer, _)| *peer).chain([self.id])
    }
}

fn is_sane(lease: Lease) -> bool {
    (10..=60_000).contains(&lease.ms) && lease.drift_ppm <= 100_000
}
