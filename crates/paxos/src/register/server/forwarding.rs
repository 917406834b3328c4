//! What one node asks another to do for its clients: one that has no seat asks any that has one; one that gives way asks whom it
//! gives way to.

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
    request: RegisterRequest,
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
        let seat = Address { node: to, shard: ShardId(0) };
        let forward = RegisterTelling::Forward { number, request: request.clone() };
        // What could not be sent is not sent again: nothing was done.
        let why = match fx.send(seat, forward, Stamp::NONE) {
            Ok(()) => {
                let forwarded = Forwarded { asker, to, request, until };
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
        let (mine, until) = (self.number(), now.tick.plus_ms(REGISTER_WAIT_MS));
        self.take(now, mine, Asker::Node(from, number), request, until, fx);
    }

    /// What became of it. If the other has done nothing, for it reaches too few, this node does it, if it can.
    pub(super) fn hear_forwarded<E: Effects<Self>>(
        &mut self,
        now: Now,
        from: NodeId,
        number: u128,
        reply: RegisterReply,
        fx: &mut E,
    ) {
        if self.forwarded.get(&number).is_none_or(|of| of.to != from) {
            return; // It was given up.
        }
        let Some(of) = self.forwarded.remove(&number) else { return };
        self.note_answer(&of, &reply);
        let is_undone = reply == RegisterReply::Failed(RegisterFailure::NoQuorum);
        if !is_undone || self.era().is_none() {
            return self.tell(of.asker, reply, fx);
        }
        self.take(now, number, of.asker, of.request, of.until, fx);
        if let Some(running) = self.running.get_mut(&number) {
            running.stays = true;
        }
    }

    fn note_answer(&mut self, of: &Forwarded, reply: &RegisterReply) {
        if let RegisterRequest::One(ask) = &of.request {
            self.note_passed(&ask.key, of.request.changes_nothing(), reply);
        }
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
        let Some(of) = self.forwarded.remove(&number) else { return };
        let why = match of.request.changes_nothing() {
            true => RegisterFailure::NoQuorum,
            false => RegisterFailure::Unknown,
        };
        let reply = RegisterReply::Failed(why);
        self.note_answer(&of, &reply);
        self.tell(of.asker, reply, fx);
    }
}
