//! Recorded under a host, played, and compared.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use ombak_base::*;
use ombak_tape::{Difference, Player, Recording, TakeError, Tape, step, tape};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

const AT: Address = Address { node: NodeId(3), shard: ShardId(1) };

/// Does a bit of everything that a host can be asked for.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
struct Clerk {
    total: u64,
    refused: u64,
    pages: BTreeMap<u64, Stamp>,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Ask {
    Add(u64),
    Store(u64),
    Peek,
    Choose,
    Break,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Note(u64);

impl Wire for Note {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0);
    }

    fn decode(bytes: Bytes) -> Result<Note, DecodeError> {
        Reader::new(bytes).varint().map(Note)
    }
}

const KEY: Bytes = Bytes::from_static(b"page");

impl Machine for Clerk {
    type Message = Note;
    type Request = Ask;
    type Reply = u64;
    type Timer = u8;

    fn step<E: Effects<Clerk>>(&mut self, now: Now, event: Event<Clerk>, fx: &mut E) {
        let Event::Request { client, request } = event else { return };
        match request {
            Ask::Add(n) => self.total += n + now.tick.0,
            Ask::Store(n) => {
                let entry = Entry { tag: n, bytes: Bytes::from(vec![n as u8; 20]) };
                let stamp = fx.store(Partition(0), &KEY, Some(entry));
                self.pages.insert(n, stamp);
            }
            Ask::Peek => self.total += u64::from(fx.peek(Partition(0), &KEY) == Peek::Absent),
            Ask::Choose => self.total ^= fx.choose(1000),
            Ask::Break => {
                self.total += 1;
                always!(false, "clerks are careful");
            }
        }
        let sent = fx.send(AT, Note(self.total), Stamp::NONE);
        self.refused += u64::from(sent.is_err());
        fx.arm(0, now.tick.plus_ms(1));
        fx.reply(client, self.total, Stamp::NONE);
    }
}

/// Answers this and that.
#[derive(Default)]
struct Office {
    calls: u64,
}

impl Office {
    fn next(&mut self) -> u64 {
        self.calls = self.calls.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        self.calls >> 33
    }
}

impl Effects<Clerk> for Office {
    fn send(&mut self, _: Address, _: Note, _: Stamp) -> Result<(), Refused> {
        if self.next().is_multiple_of(3) { Err(Refused::Full) } else { Ok(()) }
    }
    fn reply(&mut self, _: ClientId, _: u64, _: Stamp) {}
    fn arm(&mut self, _: u8, _: Tick) {}
    fn disarm(&mut self, _: u8) {}
    fn choose(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {}
    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        if self.next().is_multiple_of(2) { Peek::Absent } else { Peek::Unknown }
    }
    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        Stamp(self.next())
    }
    fn await_durable(&mut self, _: Stamp) {}
    fn scan(&mut self, _: Ticket, _: Scan) {}
    fn probe(&mut self, _: &'static str) {}
}

struct Day {
    clerk: Clerk,
    office: Office,
    tape: Tape<Clerk>,
    tick: u64,
}

impl Day {
    fn of(tape: Tape<Clerk>) -> Day {
        Day { clerk: Clerk::default(), office: Office::default(), tape, tick: 0 }
    }

    fn ask(&mut self, request: Ask) {
        self.tick += 1;
        let now = Now { tick: Tick(self.tick), wall_us: 0 };
        let event = Event::Request { client: ClientId(self.tick), request };
        let Day { clerk, office, tape, .. } = self;
        property::contain(true);
        let stepped = property::contained(|| step(clerk, now, event, office, tape));
        property::contain(false);
        if stepped.is_err() {
            step(clerk, now, Event::Broken(None), office, tape);
        }
    }

    fn recording(&mut self) -> Recording {
        let file = Recording::new("clerk", self.tape.reels(&self.clerk)).to_bytes();
        Recording::read(file.into()).expect("what was just written")
    }
}

/// Plays all: how many steps, and with what last state.
fn play(recording: &Recording) -> Result<(u64, Option<Clerk>), Difference> {
    let mut player = Player::<Clerk>::new(recording.of(AT));
    let (mut steps, mut last) = (0, None);
    while let Some(played) = player.step() {
        last = Some(played?.machine.clone());
        steps += 1;
    }
    Ok((steps, last))
}

fn asks() -> impl Strategy<Value = Vec<Ask>> {
    let ask = prop_oneof![
        (0..9u64).prop_map(Ask::Add),
        (0..9u64).prop_map(Ask::Store),
        Just(Ask::Peek),
        Just(Ask::Choose),
        Just(Ask::Break),
    ];
    proptest::collection::vec(ask, 1..200)
}

proptest! {
    #[test]
    fn what_is_recorded_plays_to_the_same_state(asks in asks(), bytes_max in 200..20_000usize) {
        let (tape, _reels) = tape(AT, bytes_max);
        let mut day = Day::of(tape);
        let broken = asks.iter().filter(|ask| **ask == Ask::Break).count();
        let all = (asks.len() + broken) as u64;
        asks.into_iter().for_each(|ask| day.ask(ask));
        let (steps, last) = play(&day.recording()).unwrap();
        prop_assert_eq!(last, Some(day.clerk));
        prop_assert!(steps <= all);
        prop_assert!(bytes_max < 20_000 / 2 || steps >= all.min(20), "{} of {}", steps, all);
    }
}

#[test]
fn a_ring_forgets_the_oldest_and_stays_within_its_bounds() {
    let (tape, _reels) = tape(AT, 10_000);
    let mut day = Day::of(tape);
    (0..5_000).for_each(|n| day.ask(Ask::Store(n % 5)));
    let recording = day.recording();
    let bytes = recording.to_bytes().len();
    assert!((5_000..12_000).contains(&bytes), "{bytes}");
    let (steps, last) = play(&recording).unwrap();
    assert_eq!(last, Some(day.clerk));
    assert!((50..4_000).contains(&steps), "{steps}");
}

#[test]
fn other_code_is_found_out_at_its_first_other_effect() {
    let (tape, _reels) = tape(AT, 100_000);
    let mut day = Day::of(tape);
    for n in 0..20 {
        day.ask(Ask::Add(n));
        // As if it had been another machine that did this.
        day.clerk.total += u64::from(n == 11);
    }
    match play(&day.recording()) {
        Err(Difference::Effect { step: 12, effect: 1, recorded: 3, now, .. }) => {
            assert!(now.starts_with("Send("), "{now}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_state_that_shows_in_no_effect_is_found_out_too() {
    let (tape, _reels) = tape(AT, 100_000);
    let mut day = Day::of(tape);
    day.ask(Ask::Add(1));
    day.clerk.refused += 7;
    let difference = play(&day.recording()).unwrap_err();
    assert!(matches!(difference, Difference::State { first: 0, last: 0, .. }), "{difference}");
}

#[test]
fn another_thread_takes_what_there_is_at_the_next_step() {
    let (tape, reels) = tape(AT, 100_000);
    let mut day = Day::of(tape);
    day.ask(Ask::Peek);
    assert_eq!(reels.take(Duration::ZERO), Err(TakeError::Late));
    let taken = std::thread::scope(|scope| {
        let taken = scope.spawn(|| reels.take(Duration::from_secs(20)));
        while !taken.is_finished() {
            day.ask(Ask::Peek);
        }
        taken.join()
    });
    let taken = taken.unwrap().unwrap();
    let (steps, _) = play(&Recording::new("clerk", taken)).unwrap();
    assert!(steps >= 1);
    drop(day);
    assert_eq!(reels.take(Duration::from_secs(20)), Err(TakeError::Ended));
}
