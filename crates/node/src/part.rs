//! Machines that are parts of a shard: the root group, and the registers.

use bytes::Bytes;
use ombak_base::{
    Address, ClientId, Effects, Entry, Machine, Partition, Peek, Refused, Scan, Stamp, Tick, Ticket,
};

use crate::message::Message;
use crate::places;
use crate::shard::{Reply, Shard, Timer};

/// What a part calls something, and what the shard calls it.
pub(crate) trait Part: Machine {
    /// Its tickets have this bit, and none above.
    const TICKETS: u64;
    fn message(message: Self::Message) -> Message;
    fn reply(reply: Self::Reply) -> Reply;
    fn timer(timer: Self::Timer) -> Timer;

    /// Whether a ticket is the part's: then that is its own name for it.
    fn own_ticket(ticket: Ticket) -> Option<Ticket> {
        let below = Self::TICKETS - 1;
        (ticket.0 & !below == Self::TICKETS).then_some(Ticket(ticket.0 & below))
    }
}

/// What a part asks of its host, as the shard asks it.
pub(crate) struct Within<'a, E> {
    pub fx: &'a mut E,
    /// The last thing that the shard has stored.
    pub stored: &'a mut Stamp,
}

impl<P: Part, E: Effects<Shard>> Effects<P> for Within<'_, E> {
    fn send(&mut self, to: Address, message: P::Message, after: Stamp) -> Result<(), Refused> {
        self.fx.send(to, P::message(message), after)
    }

    fn reply(&mut self, to: ClientId, reply: P::Reply, after: Stamp) {
        self.fx.reply(to, P::reply(reply), after);
    }

    fn arm(&mut self, timer: P::Timer, at: Tick) {
        self.fx.arm(P::timer(timer), at);
    }

    fn disarm(&mut self, timer: P::Timer) {
        self.fx.disarm(P::timer(timer));
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.fx.choose(n)
    }

    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.fx.load(Ticket(P::TICKETS | ticket.0), partition, key);
    }

    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        self.fx.peek(partition, key)
    }

    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let stamp = self.fx.store(partition, key, entry);
        *self.stored = (*self.stored).max(stamp);
        stamp
    }

    fn await_durable(&mut self, stamp: Stamp) {
        self.fx.await_durable(stamp);
    }

    fn scan(&mut self, ticket: Ticket, scan: Scan) {
        self.fx.scan(Ticket(P::TICKETS | ticket.0), scan);
    }

    fn probe(&mut self, name: &'static str) {
        places::of_refusal(name).into_iter().for_each(|place| self.fx.count(place));
        self.fx.probe(name);
    }
}

#[cfg(test)]
mod tests {
    use ombak_paxos::locks::LockServer;
    use ombak_paxos::register::server::RegisterServer;

    use super::*;

    /// Vnodes count from 0, scans of the shard have the highest bit.
    #[test]
    fn tickets_are_of_one_part_or_of_none() {
        let (root, registers) = (LockServer::TICKETS, RegisterServer::TICKETS);
        for (ticket, of_root, of_registers) in [
            (root | 3, Some(3), None),
            (registers | 3, None, Some(3)),
            (3, None, None),
            (1 << 63 | 3, None, None),
            (1 << 63 | root | 3, None, None),
            (1 << 63 | registers | 3, None, None),
        ] {
            let ticket = Ticket(ticket);
            assert_eq!(LockServer::own_ticket(ticket), of_root.map(Ticket));
            assert_eq!(RegisterServer::own_ticket(ticket), of_registers.map(Ticket));
        }
    }
}
