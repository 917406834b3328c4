//! The model: what a pool may do, by what it was told. It shares no code with the pool, and knows no queue and no slot.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{ClientId, Event, Tick};

use crate::net::Seen;
use crate::pool::{ConnId, Message, Pool, PoolOptions, Refusal, Reply, Request, Returned};

pub const BOUNDED: &str = "connections are bounded";
pub const ONE_HOLDER: &str = "a connection has one holder";
pub const IN_ORDER: &str = "first come, first served";
pub const FRESH: &str = "no stale connection is handed out";
pub const SERVED: &str = "nobody waits beside an idle connection";
pub const ON_TIME: &str = "nobody waits longer than it said";
pub const REASON: &str = "nobody is refused without a reason";
pub const BACKOFF: &str = "a node that fails is left alone for a while";
pub const ASKED: &str = "a node that failed is asked before it is used again";
pub const NO_LEAK: &str = "nothing leaks";
pub const OWN_ANSWER: &str = "an answer is the request's own";
pub const TOLD: &str = "callers see what they should";
pub const ANSWERED: &str = "everybody is answered";
pub const ONCE: &str = "a write is done once";
pub const BUDGET: &str = "retries are paid";

/// What the model knows of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Conn {
    Connecting,
    Checking,
    /// In the moment in which it was opened.
    CheckingNew,
    /// Worked at that time.
    Idle(Tick),
    Lent(ClientId, Tick),
}

/// The model of one pool.
pub struct Rules {
    options: PoolOptions,
    /// Until when each waits.
    waiting: BTreeMap<ClientId, Tick>,
    conns: BTreeMap<ConnId, Conn>,
    failures: u32,
    /// Opened since the node failed, and not answered on.
    untried: BTreeSet<ConnId>,
    /// Opened by the last event.
    opened: Option<ConnId>,
    /// Nothing may be opened before.
    alone_until: Tick,
    ended: bool,
    pub broken: Option<(&'static str, String)>,
}

impl Rules {
    pub fn new(options: PoolOptions) -> Rules {
        Rules {
            options,
            waiting: BTreeMap::new(),
            conns: BTreeMap::new(),
            failures: 0,
            untried: BTreeSet::new(),
            opened: None,
            alone_until: Tick::default(),
            ended: false,
            broken: None,
        }
    }

    pub fn unsettled(&self) -> usize {
        let lent = self.conns.values().filter(|conn| matches!(conn, Conn::Lent(..))).count();
        self.waiting.len() + lent
    }

    pub fn saw(&mut self, now: Tick, seen: Seen<'_>) {
        match seen {
            Seen::Event(event) => {
                self.served(now);
                self.event(now, event);
            }
            Seen::Reply(client, Reply::Granted(conn)) => self.granted(now, client, conn),
            Seen::Reply(client, Reply::Refused(why)) => self.refused(now, client, why),
            Seen::Message(message) => self.said(now, message),
        }
    }

    /// The sockets that there are, whatever the pool believes.
    pub fn count_sockets(&mut self, live: usize) {
        self.rule(live <= self.options.connections_max, BOUNDED, || format!("{live} sockets"));
    }

    /// Everything that could happen until now has happened.
    pub fn time_passed(&mut self, now: Tick) {
        let late = self.waiting.iter().find(|(_, until)| until.plus_ms(1) < now);
        let late = late.map(|(client, until)| format!("{client} waits since before {until:?}"));
        self.rule(late.is_none(), ON_TIME, || late.unwrap_or_default());
        self.served(now);
    }

    fn rule(&mut self, holds: bool, rule: &'static str, detail: impl FnOnce() -> String) {
        if !holds && self.broken.is_none() {
            self.broken = Some((rule, detail()));
        }
    }

    /// Between two events.
    fn served(&mut self, now: Tick) {
        let fresh = |conn: &Conn| matches!(conn, Conn::Idle(since) if self.is_fresh(*since, now));
        let served = self.waiting.is_empty() || !self.conns.values().any(fresh);
        self.rule(served, SERVED, || format!("at {now:?}"));
    }

    fn is_fresh(&self, since: Tick, now: Tick) -> bool {
        now < since.plus_ms(self.options.check_after_ms)
    }

    fn event(&mut self, now: Tick, event: &Event<Pool>) {
        self.opened = None;
        match *event {
            Event::Request { client, request: Request::Checkout { within_ms } } => {
                self.waiting.insert(client, now.plus_ms(within_ms));
            }
            Event::Request { client, request: Request::CheckIn { conn, how } } => {
                self.returned(now, client, conn, how);
            }
            Event::Request { request: Request::End, .. } => self.ended = true,
            Event::Gone(client) => self.gone(client),
            Event::Message { message, .. } => self.heard(now, message),
            _ => {}
        }
    }

    fn returned(&mut self, now: Tick, client: ClientId, conn: ConnId, how: Returned) {
        let held =
            matches!(self.conns.get(&conn), Some(Conn::Lent(holder, _)) if *holder == client);
        self.rule(held, ONE_HOLDER, || format!("{client} gives back {conn:?}, not its own"));
        match how {
            Returned::Clean => {
                self.failures = 0;
                self.untried.clear();
                self.conns.insert(conn, Conn::Idle(now));
            }
            Returned::Cut => drop(self.conns.remove(&conn)),
            Returned::Broken => {
                self.conns.remove(&conn);
                self.failed(now);
            }
        }
    }

    fn gone(&mut self, client: ClientId) {
        self.waiting.remove(&client);
        for conn in self.conns.values_mut() {
            if let Conn::Lent(holder, since) = *conn
                && holder == client
            {
                *conn = Conn::Idle(since);
            }
        }
    }

    fn heard(&mut self, now: Tick, message: Message) {
        match message {
            Message::Connected(conn) => {
                self.conns.entry(conn).and_modify(|state| *state = Conn::Idle(now));
                self.untried.extend((self.failures > 0).then_some(conn));
                self.opened = Some(conn);
            }
            Message::Checked(conn, true) => {
                self.conns.entry(conn).and_modify(|state| *state = Conn::Idle(now));
                self.failures = 0;
                self.untried.clear();
            }
            Message::Failed(conn) => {
                self.conns.remove(&conn);
                self.failed(now);
            }
            Message::Checked(conn, false) => {
                let state = self.conns.remove(&conn);
                if state == Some(Conn::CheckingNew) {
                    self.failed(now);
                }
            }
            _ => {}
        }
    }

    /// The pause is at least half of what it could be.
    fn failed(&mut self, now: Tick) {
        let longest = self.options.backoff_ms << self.failures.min(20);
        let us = longest.min(self.options.backoff_ms_max) * 1_000 / 2;
        self.failures += 1;
        self.alone_until = now + us;
    }

    fn granted(&mut self, now: Tick, client: ClientId, conn: ConnId) {
        let waits = self.waiting.remove(&client).is_some();
        self.rule(waits, ONE_HOLDER, || format!("{client} has not asked for {conn:?}"));
        let earlier = self.waiting.keys().find(|other| **other < client).copied();
        self.rule(earlier.is_none(), IN_ORDER, || format!("{client} before {earlier:?}"));
        let untried = self.untried.contains(&conn);
        self.rule(!untried, ASKED, || format!("{conn:?} at {now:?}"));
        let state = self.conns.get(&conn).copied();
        match state {
            Some(Conn::Idle(since)) => {
                let fresh = self.is_fresh(since, now);
                self.rule(fresh, FRESH, || format!("{conn:?} worked at {since:?}, now {now:?}"));
                self.conns.insert(conn, Conn::Lent(client, since));
            }
            other => self.rule(false, ONE_HOLDER, || format!("{conn:?} is {other:?}")),
        }
    }

    fn refused(&mut self, now: Tick, client: ClientId, why: Refusal) {
        let Some(until) = self.waiting.remove(&client) else {
            return self.rule(false, REASON, || format!("{client} does not wait"));
        };
        let holds = match why {
            Refusal::TimedOut => now >= until,
            Refusal::Full => self.waiting.len() >= self.options.waiters_max,
            Refusal::Down(_) => self.conns.is_empty() && self.failures > 0,
            Refusal::Ended => self.ended,
        };
        self.rule(holds, REASON, || format!("{client} at {now:?}: {why:?}"));
    }

    fn said(&mut self, now: Tick, message: Message) {
        match message {
            Message::Connect(conn, _) => {
                let failures = self.failures;
                self.rule(now >= self.alone_until || failures == 0, BACKOFF, || {
                    format!("{conn:?} at {now:?}, after {failures} failures")
                });
                self.conns.insert(conn, Conn::Connecting);
                let count = self.conns.len();
                self.rule(count <= self.options.connections_max, BOUNDED, || format!("{count}"));
            }
            Message::Check(conn, _) => {
                let is_new = self.opened == Some(conn);
                let checking = if is_new { Conn::CheckingNew } else { Conn::Checking };
                let idle = matches!(self.conns.insert(conn, checking), Some(Conn::Idle(_)));
                self.rule(idle, ONE_HOLDER, || format!("{conn:?} is checked and not idle"));
            }
            Message::Close(conn) => {
                let state = self.conns.remove(&conn);
                let lent = matches!(state, Some(Conn::Lent(..)));
                self.rule(!lent, ONE_HOLDER, || format!("{conn:?} is closed in use"));
            }
            _ => {}
        }
    }
}
