//! What one node asks another to do for its clients: one that has no seat asks any that has one; one that gives way asks whom it
//! gives way to.

use bytes::Bytes;
use ombak_base::{Address, Effects, NodeId, Now, Refused, ShardId, Stamp, Tick};
use serde::{Deserialize, Serialize};

use super::proposer::Asker;
use super::{
    REGISTER_WAIT_MS, RegisterFailure, RegisterReply, RegisterRequest, RegisterServer,
    RegisterTelling, Wish,
};

/// What another node with a seat does for somebody who has asked this one.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub(super) struct Forwarded {
    asker: Asker,
    to: NodeId,
    /// Of which register; `None`: it is a list.
    key: Option<Bytes>,
    changes_nothing: bool,
    until: Tick,
}

impl Forwarded {
    pub fn until(&self) -> Tick {
        self.until
    }
}

impl RegisterRequest {
    fn changes_nothing(&self) -> bool {
        match self {
            RegisterRequest::One(ask) => ask.wish == Wish::Read,
            RegisterRequest::List { .. } => true,
        }
    }
}

impl RegisterServer {
    /// One that has a seat does it, whichever.
    pub(super) fn pass_to_a_seat<E: Effects<Self>>(
        &mut self,
        now: Now,
        number: u128,
        asker: Asker,
        request: RegisterRequest,
        fx: &mut E,
    ) {
        let (id, up) = (self.setup.id, &self.up);
        let seats = self.setup.seats.members().intersection(up).copied();
        let others: Vec<NodeId> = seats.filter(|seat| *seat != id).collect();
        if others.is_empty() {
            return self.tell(asker, RegisterReply::Failed(RegisterFailure::NoQuorum), fx);
        }
        let to = others[fx.choose(others.len() as u64) as usize];
        let until = now.tick.plus_ms(REGISTER_WAIT_MS);
        self.pass_on((number, asker), request, to, until, fx);
    }

    /// That one does it, until then.
    pub(super) fn pass_on<E: Effects<Self>>(
        &mut self,
        (number, asker): (u128, Asker),
        request: RegisterRequest,
        to: NodeId,
        until: Tick,
        fx: &mut E,
    ) {
        let key = match &request {
            RegisterRequest::One(ask) => Some(ask.key.clone()),
            RegisterRequest::List { .. } => None,
        };
        let changes_nothing = request.changes_nothing();
        let seat = Address { node: to, shard: ShardId(0) };
        let forward = RegisterTelling::Forward { number, request };
        // What could not be sent is not sent again: nothing was done.
        let why = match fx.send(seat, forward, Stamp::NONE) {
            Ok(()) => {
                let forwarded = Forwarded { asker, to, key, changes_nothing, until };
                return drop(self.forwarded.insert(number, forwarded));
            }
            Err(Refused::Full) => RegisterFailure::Busy,
            Err(Refused::Down) => RegisterFailure::NoQuorum,
        };
        self.tell(asker, RegisterReply::Failed(why), fx);
    }

    /// Another node asks for its client.
    pub(super) fn hear_forward<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        number: u128,
        request: RegisterRequest,
        fx: &mut E,
    ) {
        let sender = Address { node: from, shard: ShardId(0) };
        // A number is the sender's life and a count: see `number`.
        let (life, count) = ((number >> 64) as u64, number as u64);
        if !request.changes_nothing() && !self.once.take(sender, life, count) {
            return; // It has come before.
        }
        let no_quorum = self.era().is_none().then_some(RegisterFailure::NoQuorum);
        if let Some(why) = self.refusal(&request).or(no_quorum) {
            let reply = RegisterReply::Failed(why);
            return self.tell(Asker::Node(from, number), reply, fx);
        }
        let mine = self.number();
        self.take(now, mine, Asker::Node(from, number), request, fx);
    }

    /// What became of it.
    pub(super) fn hear_forwarded<E: Effects<Self>>(
        &mut self,
        from: NodeId,
        number: u128,
        reply: RegisterReply,
        fx: &mut E,
    ) {
        if self.forwarded.get(&number).is_some_and(|of| of.to == from) {
            self.end_forwarded(number, reply, fx);
        } // Else it was given up.
    }

    fn end_forwarded<E: Effects<Self>>(&mut self, number: u128, reply: RegisterReply, fx: &mut E) {
        let Some(of) = self.forwarded.remove(&number) else { return };
        if let Some(key) = &of.key {
            self.note_passed(key, of.changes_nothing, &reply);
        }
        self.tell(of.asker, reply, fx);
    }

    pub(super) fn lose<E: Effects<Self>>(&mut self, node: NodeId, fx: &mut E) {
        self.up.remove(&node);
        self.rivals.retain(|_, rival| rival.node != node);
        let lost = self.forwarded.iter().filter(|(_, of)| of.to == node);
        for number in lost.map(|(number, _)| *number).collect::<Vec<_>>() {
            self.give_up_forwarded(number, fx);
        }
    }

    /// What was passed on and has not been answered for too long is given up.
    pub(super) fn look_after_forwarded<E: Effects<Self>>(&mut self, now: Now, fx: &mut E) {
        while let Some((number, of)) = self.forwarded.first_key_value() {
            if of.until > now.tick {
                break; // They are in the order of their time.
            }
            self.give_up_forwarded(*number, fx);
        }
    }

    fn give_up_forwarded<E: Effects<Self>>(&mut self, number: u128, fx: &mut E) {
        let changes_nothing = self.forwarded.get(&number).is_some_and(|of| of.changes_nothing);
        let why =
            if changes_nothing { RegisterFailure::NoQuorum } else { RegisterFailure::Unknown };
        self.end_forwarded(number, RegisterReply::Failed(why), fx);
    }
}
