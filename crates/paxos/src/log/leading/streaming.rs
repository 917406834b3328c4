//! A snapshot on its way to a member that lacks what was forgotten.
//!
//! It goes in pieces, and so many bytes are under way as the window has. The member says how far it has come, and is sent the
//! next ones. Behind the state is a checksum of all, so that a member does not take over what was altered on its way. One that does not begin where the last one ended is passed over, and is answered in the same way: so the two find together
//! again after a loss or a restart. A leader that has taken a newer snapshot meanwhile goes on with the one that it has begun.

use bytes::Bytes;
use ombak_base::{NodeId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::super::message::{Body, Message};
use super::super::replica::{Replica, Role};
use super::super::stored::{Place, checksum};
use super::super::{Host, PIECE_BYTES_MAX, STATE_WINDOW_BYTES, Slot, StateMachine};
use super::sending::Peer;
use crate::ballot::Ballot;

/// How far a member has come with a snapshot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Streaming {
    pub(super) through: Slot,
    /// The encoding, in parts so that the state is not copied: all but the state, the state, and the checksum of both.
    parts: [Bytes; 3],
    /// Bytes that it was sent.
    sent: u64,
    /// Bytes that it has, as it said.
    took: u64,
}

impl Streaming {
    pub(super) fn new(place: &Place, state: &Bytes) -> Streaming {
        let mut head = Vec::new();
        place.encode_with(state, &mut head);
        let checksum = Bytes::copy_from_slice(&checksum(&[&head, state]));
        let parts = [Bytes::from(head), state.clone(), checksum];
        Streaming { through: place.through, parts, sent: 0, took: 0 }
    }

    /// What is under way may be lost.
    pub(super) fn again(&mut self) {
        self.sent = self.took;
    }

    /// The member has so much. `true`: that is news.
    fn took(&mut self, offset: u64) -> bool {
        let is_news = offset != self.took && offset <= self.total();
        if is_news {
            let is_less = offset < self.took; // It was started anew.
            self.took = offset;
            self.sent = if is_less { offset } else { self.sent.max(offset) };
        }
        is_news
    }

    fn total(&self) -> u64 {
        self.parts.iter().map(|part| part.len() as u64).sum()
    }

    /// The next piece, if the window has room.
    fn next_piece(&mut self) -> Option<Body> {
        let (through, offset, total) = (self.through, self.sent, self.total());
        if offset >= total || offset - self.took >= STATE_WINDOW_BYTES {
            return None;
        }
        let piece = self.piece_at(offset as usize)?;
        self.sent += piece.len() as u64;
        Some(Body::State { through, offset, total, piece })
    }

    fn piece_at(&self, mut offset: usize) -> Option<Bytes> {
        for part in &self.parts {
            if offset < part.len() {
                return Some(part.slice(offset..part.len().min(offset + PIECE_BYTES_MAX)));
            }
            offset -= part.len();
        }
        None
    }
}

impl Peer {
    /// Sends it, who lacks what was forgotten, the next pieces of the state.
    pub(super) fn stream(
        &mut self,
        node: NodeId,
        ballot: Ballot,
        (place, state): (&Place, &Bytes),
        host: &mut impl Host,
    ) {
        let begun = self.streaming.take();
        let begun = begun.filter(|begun| Some(begun.through) > self.acked);
        let mut streaming = begun.unwrap_or_else(|| {
            host.probe("paxos: a snapshot was sent");
            Streaming::new(place, state)
        });
        while let Some(piece) = streaming.next_piece() {
            host.send(node, Message::new(ballot, piece), Stamp::NONE);
        }
        self.streaming = Some(streaming);
    }
}

impl<S: StateMachine> Replica<S> {
    /// A member has so many bytes of the state after a slot.
    pub(in crate::log) fn hear_took(
        &mut self,
        now: Tick,
        from: NodeId,
        ballot: Ballot,
        (through, offset): (Slot, u64),
        host: &mut impl Host,
    ) {
        let Role::Leading(leading) = &mut self.role else { return };
        if leading.ballot != ballot {
            return;
        }
        let Some(peer) = leading.peers.get_mut(&from) else { return };
        let streaming = peer.streaming.as_mut().filter(|streaming| streaming.through == through);
        if streaming.is_some_and(|streaming| streaming.took(offset)) {
            peer.is_moving = true;
            self.send_next(from, false, host);
            self.arm_resend(now, host);
        }
    }
}
