//! What witnesses may forget.
//!
//! A witness keeps entries and no state, so there is nothing that it could write down instead of them. It may forget what all
//! voters with the state know to be chosen, on their disks: whichever of these leads next, with the promise of the witness if need be,
//! then lacks nothing that the witness can't tell any more. The leader learns that without asking. An entry is stored with what was known
//! to be chosen then ([`Write::Entry`]). So who has accepted a slot that was proposed after a snapshot was taken has on its disk that
//! all of that snapshot is chosen.
//!
//! One that is down would have the witnesses keep the log for ever. When [`SNAPSHOTS_HELD`] snapshots were taken meanwhile, or there are
//! as many bytes of entries as in [`SHORTEST_SNAPSHOTS_HELD`] of the shortest, they forget nevertheless. Who was away for so long is of no use to them then, until another one with the state has brought it up to date.
//! That is a matter of who can lead, and not of safety: a witness promises nothing to who lacks what it has forgotten.

use ombak_base::{Stamp, planted};
use serde::{Deserialize, Serialize};

use super::super::message::{Body, Message};
use super::super::replica::{Replica, Role};
use super::super::stored::Place;
use super::super::{Host, SHORTEST_SNAPSHOTS_HELD, SNAPSHOTS_HELD, Slot, StateMachine};

#[cfg(doc)]
use super::super::Write;

/// What witnesses hold for others.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub(super) struct Holding {
    /// Where the last snapshot was taken, and which slot has to be accepted by those who are to know that.
    due: Option<(Box<Place>, Slot)>,
    /// Snapshots since they were told to forget.
    taken: u32,
    /// And bytes of entries.
    bytes: usize,
}

impl<S: StateMachine> Replica<S> {
    /// A snapshot was taken after so many bytes: what is in it is to be forgotten by witnesses.
    pub(super) fn hold_for_witnesses(&mut self, bytes: usize, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        let Some(snapshot) = self.snapshot.as_ref().filter(|_| !self.members.witnesses.is_empty())
        else {
            return;
        };
        // Of what others proposed, some may have known by word of mouth that it is chosen.
        let known_by = leading.next.max(leading.safe_from.next());
        leading.holding.due = Some((Box::new(snapshot.place.clone()), known_by));
        leading.holding.taken += 1;
        leading.holding.bytes = leading.holding.bytes.saturating_add(bytes);
        self.let_witnesses_forget(host);
    }

    /// Tells witnesses to forget, if they may.
    pub(super) fn let_witnesses_forget(&mut self, host: &mut impl Host) {
        let Role::Leading(leading) = &mut self.role else { return };
        let Holding { due: Some((_, known_by)), taken, bytes } = &leading.holding else { return };
        let is_long = *taken >= SNAPSHOTS_HELD;
        let is_much = *bytes / SHORTEST_SNAPSHOTS_HELD >= self.snapshot_every;
        let is_down = |node| leading.peers.get(&node).is_none_or(|peer| !peer.up);
        let may = self.members.all_voters_are(|node| {
            let is_excused = node != self.id && (is_long || (is_much && is_down(node)));
            let must_know = !is_excused && !self.members.is_witness(node);
            !must_know || leading.has(self.id, node, *known_by)
        });
        if !may && !planted!("a witness forgets what not all know") {
            return;
        }
        let Some((place, _)) = std::mem::take(&mut leading.holding).due else { return };
        for witness in self.members.witnesses.iter().filter(|node| leading.peers.contains_key(node))
        {
            host.send(
                *witness,
                Message::new(leading.ballot, Body::Skip(place.clone())),
                Stamp::NONE,
            );
        }
        host.probe(match is_long || is_much {
            true => "paxos: witnesses may forget what not all know",
            false => "paxos: witnesses may forget",
        });
    }
}
