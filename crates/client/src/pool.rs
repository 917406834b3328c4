//! Who gets which connection: a state machine that does nothing itself.
//!
//! ```text
//!             Connect            Connected                grant
//!   (nothing) ───────► connecting ───────► idle ─────────────────────► lent to a caller
//!                          │               ▲ │ ▲                          │
//!                   Failed │    Checked ok │ │ └────── checked in clean ──┤
//!                          ▼               │ ▼ idle for long, and wanted  │ cut, broken
//!                      (nothing)         checking ──── no answer ───► (nothing)
//! ```
//!
//! A slot is one connection in one of these states; there are never more than `connections_max`. Callers wait in one
//! line, and the first in line gets the next connection.
//!
//! # What can go wrong in a pool, and what stands against it
//!
//! - **A caller is cancelled.** Its place in the line goes with it. If a connection was granted to it in the same moment
//!   and it never took it, the connection goes to the next: a grant is remembered as *lent to* that caller, so that
//!   [`Event::Gone`] finds it.
//! - **A connection comes back while others wait.** Whatever makes a connection idle ends in `serve`. [`check`] says that
//!   nobody waits beside an idle connection.
//! - **A connection comes back twice.** Only from the caller to whom it is lent.
//! - **The node has forgotten the connection.** One that has idled for `check_after_ms` is asked before it is granted.
//! - **The node is down.** After a failure the next attempt waits: `backoff_ms`, doubled with each failure in a row, up to
//!   `backoff_ms_max`, less a random part of up to one half, so that many clients do not come back in step. Then one
//!   attempt is made at a time. Callers are told at once if there is nothing to wait for, so that they go elsewhere.
//! - **The node hangs.** Its system still accepts connections. So while there is doubt, a new connection is asked before it
//!   is granted, as an old one is: a probe costs a ping, and not somebody's write.
//! - **Too many ask.** The line has an end; behind it callers are refused at once.
//!
//! # Who calls what, when
//!
//! It is an [`ombak_base::Machine`]. Callers are clients, each checkout with an id that is new and above those before. What
//! opens and closes connections is the one other address, [`CONNECTOR`]. Storage is never asked for anything.
//!
//! [`check`]: Machine::check

mod options;
mod words;

use std::collections::{BTreeMap, VecDeque};

use ombak_base::{ClientId, Effects, Event, Machine, Now, Stamp, Tick, always, planted, sometimes};

pub use options::PoolOptions;
pub use words::{CONNECTOR, ConnId, Message, Refusal, Reply, Request, Returned, Timer};

/// What a connection is doing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Slot {
    Connecting,
    Idle {
        since: Tick,
    },
    /// `is_new`: it was just opened, and the node is in doubt.
    Checking {
        is_new: bool,
    },
    /// `since`: when it was last known to work.
    Lent {
        to: ClientId,
        since: Tick,
    },
}

impl Slot {
    fn is_lent_to(&self, client: ClientId) -> bool {
        matches!(self, Slot::Lent { to, .. } if *to == client)
    }

    fn idles_before(&self, moment: Tick) -> bool {
        matches!(self, Slot::Idle { since } if *since <= moment)
    }
}

/// The pool of connections to one node.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Pool {
    options: PoolOptions,
    slots: BTreeMap<ConnId, Slot>,
    /// By time. The one that was used last is the first to be used again, so that the others can be let go.
    idle: Vec<ConnId>,
    waiting: VecDeque<ClientId>,
    /// The id of the newest connection.
    newest: ConnId,
    /// In a row, since the node was last known to be alive.
    failures: u32,
    /// There were failures, or a check was not answered, and no answer since.
    doubt: bool,
    /// While there are failures: when to try again.
    retry_at: Tick,
    ended: bool,
}

impl Machine for Pool {
    type Message = Message;
    type Request = Request;
    type Reply = Reply;
    type Timer = Timer;

    fn step<E: Effects<Pool>>(&mut self, now: Now, event: Event<Pool>, fx: &mut E) {
        let now = now.tick;
        match event {
            Event::Request { client, request: Request::Checkout { within_ms } } => {
                self.checkout(now, client, within_ms, fx);
            }
            Event::Request { client, request: Request::CheckIn { conn, how } } => {
                self.check_in(now, client, conn, how, fx);
            }
            Event::Request { request: Request::End, .. } => self.end(fx),
            Event::Gone(client) => self.gone(now, client, fx),
            Event::Message { message, .. } => self.heard(now, message, fx),
            Event::Timer(Timer::Checkout(client)) => self.timed_out(client, fx),
            Event::Timer(Timer::Retry) => self.serve(now, fx),
            Event::Timer(Timer::Idle) => self.let_go(now, fx),
            // A pool has no storage and no peers.
            _ => {}
        }
    }

    fn check(&self) {
        let (slots, idle, waiting) = (self.slots.len(), self.idle.len(), self.waiting.len());
        let max = self.options.connections_max;
        always!(slots <= max, "connections are bounded", "{slots} of {max}");
        always!(waiting <= self.options.waiters_max, "callers in line are bounded", "{waiting}");
        let is_idle = |conn: &ConnId| matches!(self.slots.get(conn), Some(Slot::Idle { .. }));
        always!(self.idle.iter().all(is_idle), "what is listed as idle is idle", "{self:?}");
        always!(idle == self.slots.keys().filter(|conn| is_idle(conn)).count(), "idle is listed");
        let served = waiting == 0 || idle == 0 || self.coming() >= waiting;
        always!(served, "nobody waits beside an idle connection", "{self:?}");
        always!(waiting == 0 || slots > 0, "who waits waits for something", "{self:?}");
    }
}

impl Pool {
    /// A pool without connections.
    pub fn new(options: PoolOptions) -> Pool {
        Pool {
            options: options.sane(),
            slots: BTreeMap::new(),
            idle: Vec::new(),
            waiting: VecDeque::new(),
            newest: ConnId::default(),
            failures: 0,
            doubt: false,
            retry_at: Tick::default(),
            ended: false,
        }
    }

    /// Whether the node has failed lately and is left alone for now.
    pub fn is_down(&self, now: Tick) -> bool {
        self.failures > 0 && now < self.retry_at
    }

    /// How many connections there are, those included that are being opened.
    pub fn connections(&self) -> usize {
        self.slots.len()
    }

    /// How many callers hold one.
    pub fn lent(&self) -> usize {
        self.slots.values().filter(|slot| matches!(slot, Slot::Lent { .. })).count()
    }

    /// How many callers wait for one.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn checkout(
        &mut self,
        now: Tick,
        client: ClientId,
        within_ms: u64,
        fx: &mut impl Effects<Pool>,
    ) {
        if self.ended {
            return refuse(client, Refusal::Ended, fx);
        }
        if self.waiting.len() >= self.options.waiters_max {
            return refuse(client, Refusal::Full, fx);
        }
        if planted!("starvation") {
            self.waiting.push_front(client);
        } else {
            self.waiting.push_back(client);
        }
        self.serve(now, fx);
        self.give_up_without_hope(fx);
        if self.waiting.contains(&client) {
            fx.arm(Timer::Checkout(client), now.plus_ms(within_ms));
        }
    }

    fn check_in(
        &mut self,
        now: Tick,
        client: ClientId,
        conn: ConnId,
        how: Returned,
        fx: &mut impl Effects<Pool>,
    ) {
        if !self.slots.get(&conn).is_some_and(|slot| slot.is_lent_to(client)) {
            return sometimes!(fx, "a check-in of what is not lent");
        }
        if how == Returned::Clean {
            self.trust();
            self.rest(conn, now, fx);
        } else {
            self.drop_slot(conn, fx);
        }
        if how == Returned::Broken {
            self.failed(now, fx);
        }
        self.serve(now, fx);
        self.give_up_without_hope(fx);
    }

    /// The caller is gone: from the line, or from a grant that it has not taken.
    fn gone(&mut self, now: Tick, client: ClientId, fx: &mut impl Effects<Pool>) {
        if let Some(place) = self.waiting.iter().position(|waiting| *waiting == client) {
            self.waiting.remove(place);
            fx.disarm(Timer::Checkout(client));
        }
        if planted!("leaked slot on cancellation") {
            return;
        }
        let mut lent = self.slots.iter().filter(|(_, slot)| slot.is_lent_to(client));
        let Some((&conn, &Slot::Lent { since, .. })) = lent.next() else { return };
        sometimes!(fx, "a grant that nobody took");
        self.rest(conn, since, fx);
        if !planted!("lost wake-up") {
            self.serve(now, fx);
        }
    }

    fn heard(&mut self, now: Tick, message: Message, fx: &mut impl Effects<Pool>) {
        let (Message::Connected(conn) | Message::Failed(conn) | Message::Checked(conn, _)) =
            message
        else {
            return;
        };
        match (message, self.slots.get(&conn).copied()) {
            (Message::Connected(_), Some(Slot::Connecting)) if self.doubt => {
                self.ask(conn, true, fx);
            }
            (Message::Connected(_), Some(Slot::Connecting)) => self.rest(conn, now, fx),
            (Message::Checked(_, true), Some(Slot::Checking { .. })) => {
                self.trust();
                self.rest(conn, now, fx);
            }
            // One that has idled may just have been forgotten.
            (Message::Checked(_, false), Some(Slot::Checking { is_new: false })) => {
                self.slots.remove(&conn);
                self.doubt = true;
            }
            (Message::Checked(_, false), Some(Slot::Checking { is_new: true }))
            | (Message::Failed(_), Some(Slot::Connecting)) => {
                self.slots.remove(&conn);
                self.failed(now, fx);
            }
            // It came too late: the pool has ended.
            _ => return close(conn, fx),
        }
        self.serve(now, fx);
        self.give_up_without_hope(fx);
    }

    fn timed_out(&mut self, client: ClientId, fx: &mut impl Effects<Pool>) {
        if let Some(place) = self.waiting.iter().position(|waiting| *waiting == client) {
            self.waiting.remove(place);
            refuse(client, Refusal::TimedOut, fx);
        }
    }

    /// Gives idle connections to those in line, and sees to it that as many are coming as are waited for.
    fn serve(&mut self, now: Tick, fx: &mut impl Effects<Pool>) {
        while let (Some(&client), Some(&conn)) = (self.waiting.front(), self.idle.last()) {
            let Some(&Slot::Idle { since }) = self.slots.get(&conn) else { break };
            let is_fresh = now < since.plus_ms(self.options.check_after_ms);
            if is_fresh || planted!("stale connection handed out") {
                self.idle.pop();
                self.waiting.pop_front();
                self.slots.insert(conn, Slot::Lent { to: client, since });
                fx.disarm(Timer::Checkout(client));
                fx.reply(client, Reply::Granted(conn), Stamp::NONE);
            } else if self.coming() < self.waiting.len() {
                self.idle.pop();
                self.ask(conn, false, fx);
            } else {
                break;
            }
        }
        while self.coming() < self.waiting.len() && self.may_connect(now) {
            self.newest = ConnId(self.newest.0 + 1);
            self.slots.insert(self.newest, Slot::Connecting);
            say(Message::Connect(self.newest, self.options.connect_ms), fx);
        }
    }

    fn may_connect(&self, now: Tick) -> bool {
        let count = |is: fn(&Slot) -> bool| self.slots.values().filter(|slot| is(slot)).count();
        let connecting = count(|slot| *slot == Slot::Connecting);
        let trying = connecting + count(|slot| *slot == Slot::Checking { is_new: true });
        let known = if planted!("over-admission") { connecting } else { 0 };
        let room = self.slots.len() - known < self.options.connections_max;
        // After a failure one attempt at a time shows whether the node is back.
        room && (self.failures == 0 || (now >= self.retry_at && trying == 0))
    }

    /// Connections that will be idle soon, if all goes well.
    fn coming(&self) -> usize {
        let coming = |slot: &&Slot| matches!(slot, Slot::Connecting | Slot::Checking { .. });
        self.slots.values().filter(coming).count()
    }

    /// Whether the node is there.
    fn ask(&mut self, conn: ConnId, is_new: bool, fx: &mut impl Effects<Pool>) {
        self.slots.insert(conn, Slot::Checking { is_new });
        say(Message::Check(conn, self.options.check_ms), fx);
    }

    /// The node has answered.
    fn trust(&mut self) {
        self.failures = 0;
        self.doubt = false;
    }

    /// The connection is nobody's now. It was last known to work at `since`.
    fn rest(&mut self, conn: ConnId, since: Tick, fx: &mut impl Effects<Pool>) {
        if self.ended {
            return self.drop_slot(conn, fx);
        }
        let older =
            |conn: &ConnId| self.slots.get(conn).is_some_and(|slot| slot.idles_before(since));
        let place = self.idle.partition_point(older);
        self.idle.insert(place, conn);
        self.slots.insert(conn, Slot::Idle { since });
        if self.idle.len() == 1 {
            fx.arm(Timer::Idle, since.plus_ms(self.options.idle_ms_max));
        }
    }

    /// Closes what has idled for too long.
    fn let_go(&mut self, now: Tick, fx: &mut impl Effects<Pool>) {
        while let Some(&conn) = self.idle.first() {
            let Some(Slot::Idle { since }) = self.slots.get(&conn) else { break };
            let until = since.plus_ms(self.options.idle_ms_max);
            if now < until {
                return fx.arm(Timer::Idle, until);
            }
            self.idle.remove(0);
            self.drop_slot(conn, fx);
        }
    }

    fn drop_slot(&mut self, conn: ConnId, fx: &mut impl Effects<Pool>) {
        self.slots.remove(&conn);
        close(conn, fx);
    }

    /// The node has failed once more: the next attempt waits, longer each time, and not as long as anybody else's.
    fn failed(&mut self, now: Tick, fx: &mut impl Effects<Pool>) {
        let doubled = self.options.backoff_ms.saturating_mul(1 << self.failures.min(32));
        let most_us = doubled.min(self.options.backoff_ms_max).saturating_mul(1_000);
        self.failures = self.failures.saturating_add(1);
        self.doubt = true;
        self.retry_at = now + (most_us - fx.choose(most_us / 2 + 1));
        fx.arm(Timer::Retry, self.retry_at);
    }

    /// Without any connection, and none to be opened now, waiting is no use: another node may have the answer.
    fn give_up_without_hope(&mut self, fx: &mut impl Effects<Pool>) {
        if !self.slots.is_empty() {
            return;
        }
        for client in std::mem::take(&mut self.waiting) {
            fx.disarm(Timer::Checkout(client));
            refuse(client, Refusal::Down(self.retry_at), fx);
        }
    }

    fn end(&mut self, fx: &mut impl Effects<Pool>) {
        self.ended = true;
        for client in std::mem::take(&mut self.waiting) {
            fx.disarm(Timer::Checkout(client));
            refuse(client, Refusal::Ended, fx);
        }
        let lent = |slot: &Slot| matches!(slot, Slot::Lent { .. });
        let free = self.slots.iter().filter(|(_, slot)| !lent(slot));
        free.for_each(|(conn, _)| close(*conn, fx));
        self.slots.retain(|_, slot| lent(slot));
        self.idle.clear();
        fx.disarm(Timer::Retry);
        fx.disarm(Timer::Idle);
    }
}

fn refuse(client: ClientId, why: Refusal, fx: &mut impl Effects<Pool>) {
    fx.reply(client, Reply::Refused(why), Stamp::NONE);
}

fn close(conn: ConnId, fx: &mut impl Effects<Pool>) {
    say(Message::Close(conn), fx);
}

/// The connector is in this process: it is never down and never full.
fn say(message: Message, fx: &mut impl Effects<Pool>) {
    let said = fx.send(CONNECTOR, message, Stamp::NONE);
    always!(said.is_ok(), "the connector hears everything", "{message:?}");
}

#[cfg(test)]
mod tests;
