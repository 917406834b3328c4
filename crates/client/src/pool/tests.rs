//! The machine alone: what it says to what it hears.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{Address, Entry, Partition, Peek, Refused, Scan, Ticket, Wire};
use proptest::prelude::*;

use super::*;

/// What the pool has said since it was last asked.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    Told(u64, Reply),
    Asked(Message),
}

use Message::{Check, Checked, Close, Connect, Connected, Failed};
use Refusal::{Down, Full, TimedOut};
use Said::{Asked, Told};

#[derive(Default)]
struct Heard {
    said: Vec<Said>,
    timers: BTreeMap<Timer, Tick>,
}

impl Effects<Pool> for Heard {
    fn send(&mut self, _to: Address, message: Message, _after: Stamp) -> Result<(), Refused> {
        self.said.push(Asked(message));
        Ok(())
    }
    fn reply(&mut self, to: ClientId, reply: Reply, _after: Stamp) {
        self.said.push(Told(to.0, reply));
    }
    fn arm(&mut self, timer: Timer, at: Tick) {
        self.timers.insert(timer, at);
    }
    fn disarm(&mut self, timer: Timer) {
        self.timers.remove(&timer);
    }
    /// The longest pause.
    fn choose(&mut self, _n: u64) -> u64 {
        0
    }
    fn load(&mut self, _ticket: Ticket, _partition: Partition, _key: &Bytes) {}
    fn peek(&mut self, _partition: Partition, _key: &Bytes) -> Peek {
        Peek::Unknown
    }
    fn store(&mut self, _partition: Partition, _key: &Bytes, _entry: Option<Entry>) -> Stamp {
        Stamp::NONE
    }
    fn scan(&mut self, _ticket: Ticket, _scan: Scan) {}
    fn await_durable(&mut self, _: Stamp) {}

    fn probe(&mut self, _name: &'static str) {}
}

/// A pool, its timers, and the time.
struct Script {
    pool: Pool,
    heard: Heard,
    now: Tick,
}

impl Script {
    fn new(connections_max: usize) -> Script {
        let options = PoolOptions {
            connections_max,
            waiters_max: 3,
            connect_ms: 30,
            check_after_ms: 100,
            check_ms: 20,
            idle_ms_max: 1_000,
            backoff_ms: 10,
            backoff_ms_max: 40,
        };
        Script { pool: Pool::new(options), heard: Heard::default(), now: Tick::default() }
    }

    fn step(&mut self, event: Event<Pool>) -> Vec<Said> {
        self.pool.step(Now { tick: self.now, wall_us: 0 }, event, &mut self.heard);
        self.pool.check();
        std::mem::take(&mut self.heard.said)
    }

    fn checkout(&mut self, client: u64) -> Vec<Said> {
        let request = Request::Checkout { within_ms: 50 };
        self.step(Event::Request { client: ClientId(client), request })
    }

    fn check_in(&mut self, client: u64, conn: u64, how: Returned) -> Vec<Said> {
        let request = Request::CheckIn { conn: ConnId(conn), how };
        self.step(Event::Request { client: ClientId(client), request })
    }

    fn gone(&mut self, client: u64) -> Vec<Said> {
        self.step(Event::Gone(ClientId(client)))
    }

    fn hear(&mut self, message: fn(ConnId) -> Message, conn: u64) -> Vec<Said> {
        self.step(Event::Message { from: CONNECTOR, message: message(ConnId(conn)) })
    }

    /// Lets time pass, with what is due on the way.
    fn pass(&mut self, ms: u64) -> Vec<Said> {
        let (until, mut said) = (self.now.plus_ms(ms), Vec::new());
        loop {
            let timers = self.heard.timers.iter();
            let next = timers.min_by_key(|(_, at)| **at).map(|(timer, at)| (*timer, *at));
            let Some((timer, at)) = next.filter(|(_, at)| *at <= until) else { break };
            self.heard.timers.remove(&timer);
            self.now = self.now.max(at);
            said.extend(self.step(Event::Timer(timer)));
        }
        self.now = until;
        said
    }
}

fn granted(client: u64, conn: u64) -> Said {
    Told(client, Reply::Granted(ConnId(conn)))
}

fn refused(client: u64, why: Refusal) -> Said {
    Told(client, Reply::Refused(why))
}

fn connect(conn: u64) -> Said {
    Asked(Connect(ConnId(conn), 30))
}

#[test]
fn a_connection_is_opened_lent_and_lent_again() {
    let mut s = Script::new(2);
    assert_eq!(s.checkout(1), [connect(1)]);
    assert_eq!(s.hear(Connected, 1), [granted(1, 1)]);
    assert_eq!(s.check_in(1, 1, Returned::Clean), []);
    assert_eq!(s.checkout(2), [granted(2, 1)]);
    assert_eq!((s.pool.lent(), s.pool.connections()), (1, 1));
}

#[test]
fn the_line_is_served_in_order_and_has_an_end() {
    let mut s = Script::new(1);
    s.checkout(1);
    s.hear(Connected, 1);
    for client in 2..=4 {
        assert_eq!(s.checkout(client), []);
    }
    assert_eq!(s.checkout(5), [refused(5, Full)]);
    assert_eq!(s.check_in(1, 1, Returned::Clean), [granted(2, 1)]);
    assert_eq!(s.gone(3), []);
    assert_eq!(s.check_in(2, 1, Returned::Clean), [granted(4, 1)]);
}

#[test]
fn a_grant_that_nobody_took_goes_to_the_next() {
    let mut s = Script::new(1);
    s.checkout(1);
    s.checkout(2);
    assert_eq!(s.hear(Connected, 1), [granted(1, 1)]);
    assert_eq!(s.gone(1), [granted(2, 1)]);
    assert_eq!(s.check_in(1, 1, Returned::Clean), [], "it is not the first caller's any more");
    assert_eq!(s.pool.lent(), 1);
}

#[test]
fn who_waits_too_long_is_told() {
    let mut s = Script::new(1);
    s.checkout(1);
    s.hear(Connected, 1);
    s.checkout(2);
    assert_eq!(s.pass(49), []);
    assert_eq!(s.pass(1), [refused(2, TimedOut)]);
    assert_eq!(s.check_in(1, 1, Returned::Clean), []);
}

#[test]
fn what_has_idled_is_checked_before_it_is_lent() {
    let mut s = Script::new(1);
    s.checkout(1);
    s.hear(Connected, 1);
    s.check_in(1, 1, Returned::Clean);
    s.pass(99);
    assert_eq!(s.checkout(2), [granted(2, 1)]);
    // A grant that nobody took proves nothing of the connection.
    s.gone(2);
    s.pass(1);
    assert_eq!(s.checkout(3), [Asked(Check(ConnId(1), 20))]);
    assert_eq!(s.hear(|conn| Checked(conn, true), 1), [granted(3, 1)]);
    s.check_in(3, 1, Returned::Clean);
    s.pass(100);
    assert_eq!(s.checkout(4), [Asked(Check(ConnId(1), 20))]);
    assert_eq!(s.hear(|conn| Checked(conn, false), 1), [connect(2)]);
    assert_eq!(s.hear(Connected, 2), [Asked(Check(ConnId(2), 20))], "the node is in doubt");
    assert_eq!(s.hear(|conn| Checked(conn, true), 2), [granted(4, 2)]);
}

#[test]
fn what_idles_for_long_is_let_go() {
    let mut s = Script::new(2);
    s.checkout(1);
    s.checkout(2);
    s.hear(Connected, 1);
    s.hear(Connected, 2);
    s.check_in(1, 1, Returned::Clean);
    s.pass(10);
    s.check_in(2, 2, Returned::Clean);
    assert_eq!(s.pass(989), []);
    assert_eq!(s.pass(1), [Asked(Close(ConnId(1)))]);
    assert_eq!(s.pass(10), [Asked(Close(ConnId(2)))]);
    assert_eq!(s.pool.connections(), 0);
}

#[test]
fn pauses_grow_with_failures_and_end_with_an_answer() {
    let mut s = Script::new(2);
    for (client, pause_ms) in [(1, 10), (2, 20), (3, 40), (4, 40)] {
        assert_eq!(s.checkout(client), [connect(client)]);
        let at = s.now.plus_ms(pause_ms);
        assert_eq!(s.hear(Failed, client), [refused(client, Down(at))]);
        assert_eq!(s.checkout(100 + client), [refused(100 + client, Down(at))]);
        assert!(s.pool.is_down(s.now));
        s.pass(pause_ms);
        assert!(!s.pool.is_down(s.now));
    }
    s.checkout(5);
    s.checkout(6);
    assert_eq!(s.pool.connections(), 1, "one attempt shows whether the node is back");
    assert_eq!(s.hear(Connected, 5), [Asked(Check(ConnId(5), 20))]);
    assert_eq!(s.hear(|conn| Checked(conn, true), 5), [granted(5, 5), connect(6)]);
    s.check_in(5, 5, Returned::Clean);
    assert_eq!(s.checkout(7), []);
    assert_eq!(s.hear(Failed, 6), [], "another connection is coming back");
    assert!(s.pool.is_down(s.now.plus_ms(9)), "the count of failures began anew");
    assert!(!s.pool.is_down(s.now.plus_ms(10)));
}

#[test]
fn a_broken_connection_is_replaced_after_the_pause_for_who_still_waits() {
    let mut s = Script::new(2);
    s.checkout(1);
    s.checkout(2);
    s.hear(Connected, 1);
    s.hear(Connected, 2);
    s.checkout(3);
    assert_eq!(s.check_in(1, 1, Returned::Broken), [Asked(Close(ConnId(1)))]);
    assert_eq!(s.pass(9), []);
    assert_eq!(s.pass(1), [connect(3)]);
}

#[test]
fn a_node_that_accepts_and_does_not_answer_costs_nobody_a_request() {
    let mut s = Script::new(2);
    s.checkout(1);
    s.hear(Connected, 1);
    s.check_in(1, 1, Returned::Broken);
    s.pass(10);
    s.checkout(2);
    assert_eq!(s.hear(Connected, 2), [Asked(Check(ConnId(2), 20))]);
    let again = s.now.plus_ms(20);
    assert_eq!(s.hear(|conn| Checked(conn, false), 2), [refused(2, Down(again))]);
    s.pass(20);
    s.checkout(3);
    s.hear(Connected, 3);
    assert_eq!(s.hear(|conn| Checked(conn, true), 3), [granted(3, 3)]);
    s.checkout(4);
    assert_eq!(s.hear(Connected, 4), [granted(4, 4)], "it has answered");
}

#[test]
fn a_cut_connection_is_replaced_at_once() {
    let mut s = Script::new(1);
    s.checkout(1);
    s.hear(Connected, 1);
    s.checkout(2);
    assert_eq!(s.check_in(1, 1, Returned::Cut), [Asked(Close(ConnId(1))), connect(2)]);
}

#[test]
fn an_ended_pool_closes_everything_and_refuses_everybody() {
    let mut s = Script::new(3);
    s.checkout(1);
    s.checkout(2);
    s.checkout(3);
    s.hear(Connected, 1);
    s.hear(Connected, 2);
    s.check_in(2, 2, Returned::Clean);
    let end = Event::Request { client: ClientId(0), request: Request::End };
    let said = s.step(end);
    assert!(said.contains(&Asked(Close(ConnId(3)))), "{said:?}");
    assert_eq!(s.hear(Connected, 3), [Asked(Close(ConnId(3)))], "it came too late");
    assert_eq!(s.checkout(4), [refused(4, Refusal::Ended)]);
    let lent: Vec<u64> = s.pool.slots.keys().map(|conn| conn.0).collect();
    for conn in lent {
        let holder = if conn == 1 { 1 } else { 3 };
        assert_eq!(s.check_in(holder, conn, Returned::Clean), [Asked(Close(ConnId(conn)))]);
    }
    assert_eq!(s.pool.connections(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_round_trip(conn: u64, number: u64, tag in 0u8..8, rest in proptest::collection::vec(any::<u8>(), 0..4)) {
        let conn = ConnId(conn);
        let messages = [
            Connect(conn, number), Check(conn, number), Close(conn), Connected(conn), Failed(conn),
            Checked(conn, number % 2 == 0),
        ];
        for message in messages {
            let mut out = Vec::new();
            message.encode(&mut out);
            prop_assert_eq!(Message::decode(out.into()), Ok(message));
        }
        let any = [&[tag], &rest[..]].concat();
        if let Ok(message) = Message::decode(any.clone().into()) {
            let mut out = Vec::new();
            message.encode(&mut out);
            prop_assert_eq!(out, any);
        }
    }
}
