//! Small machines with a bug each, and the shortest way to it.

use std::hash::Hash;

use bytes::Bytes;
use ombak_base::*;
use ombak_sim::explore::{Budget, Cluster, Explorer, History, Outcome, Report};

const A: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const KEY: Bytes = Bytes::from_static(b"total");

fn to(node: NodeId) -> Address {
    Address { node, shard: ShardId(0) }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Word(pub u64);

impl Wire for Word {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.0);
    }

    fn decode(bytes: Bytes) -> Result<Word, DecodeError> {
        Reader::new(bytes).varint().map(Word)
    }
}

/// Adds up, and should have written down what it answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Tally {
    total: u64,
    answers_too_early: bool,
}

impl Machine for Tally {
    type Message = Word;
    type Request = u64;
    type Reply = u64;
    type Timer = ();

    fn step<E: Effects<Tally>>(&mut self, _: Now, event: Event<Tally>, fx: &mut E) {
        match event {
            Event::Start => fx.load(Ticket(0), Partition(0), &KEY),
            Event::Loaded { entry: Ok(Some(entry)), .. } => {
                fx.probe("found what was stored");
                self.total = entry.tag;
            }
            Event::Request { client, request } => {
                self.total += request;
                let entry = Entry { tag: self.total, bytes: Bytes::new() };
                let stamp = fx.store(Partition(0), &KEY, Some(entry));
                let after = if self.answers_too_early { Stamp::NONE } else { stamp };
                fx.reply(client, self.total, after);
            }
            _ => {}
        }
    }
}

/// The most that any client was told.
#[derive(Clone, Hash, Debug, Default)]
pub struct Most(pub u64);

impl History<Tally> for Most {
    fn replied(&mut self, _: ClientId, reply: &u64) {
        self.0 = self.0.max(*reply);
    }
}

pub fn tally(answers_too_early: bool) -> Cluster<Tally, Most> {
    Cluster::new(1, move |_| Tally { total: 0, answers_too_early })
        .history(Most::default())
        .request(A, 5)
        .request(A, 7)
        .budget(Budget { crashes: 2, ..Budget::default() })
        .reached("found what was stored")
        .always("what was answered is remembered", |state| {
            state.machine(A).is_none_or(|tally| tally.total >= state.history().0)
        })
}

fn explore_tally(answers_too_early: bool, threads: usize) -> Report<Cluster<Tally, Most>> {
    Explorer::new(&tally(answers_too_early)).threads(threads).run()
}

#[test]
fn an_answer_before_its_sync_is_lost_in_a_crash() {
    let report = explore_tally(true, 1);
    let violation = report.violation.unwrap();
    assert_eq!(
        violation.to_string(),
        "broken after 3 steps: always \"what was answered is remembered\"\n   \
         1. c0 asks n0: 5\n   2. n0 crashes\n   3. n0 starts again\n"
    );
}

#[test]
fn an_answer_after_its_sync_is_not() {
    let (one, two) = (explore_tally(false, 1), explore_tally(false, 2));
    one.assert_holds();
    assert_eq!((one.states, one.steps, one.ends), (two.states, two.steps, two.ends));
    assert_eq!((one.states, one.steps, one.ends), (78, 105, 8));
    let found = one.sometimes[0].example.as_ref().unwrap();
    assert_eq!(
        found.lines,
        ["c0 asks n0: 5", "n0 syncs", "n0 crashes", "n0 starts again"],
        "{found}"
    );
}

/// Counts what it is told, and believes that nobody tells it twice.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Credulous {
    heard: u64,
}

impl Machine for Credulous {
    type Message = Word;
    type Request = u64;
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Credulous>>(&mut self, _: Now, event: Event<Credulous>, fx: &mut E) {
        match event {
            Event::Request { request, .. } => {
                for word in 1..=request {
                    let _ = fx.send(to(B), Word(word), Stamp::NONE);
                }
            }
            Event::Message { message, .. } => {
                self.heard += 1;
                always!(message.0 == self.heard, "words come in order", "{message:?}");
            }
            _ => {}
        }
    }
}

fn credulous() -> Cluster<Credulous> {
    Cluster::new(2, |_| Credulous::default()).request(A, 3)
}

#[test]
fn links_keep_their_order() {
    let cluster = credulous();
    let report = Explorer::new(&cluster).run();
    report.assert_holds();
    assert_eq!((report.states, report.depth_complete), (5, 4));
}

/// A panic in a step is a violation, with the message of `always!`.
#[test]
fn what_a_broken_network_does_is_found() {
    let cases = [
        (credulous().unordered(), "n1 hears from n0: Word(2)"),
        (credulous().budget(Budget { drops: 1, ..Budget::default() }), "n1 hears from n0: Word(2)"),
        (
            credulous().budget(Budget { duplicates: 1, ..Budget::default() }),
            "n1 hears from n0: Word(1)",
        ),
    ];
    for (cluster, last) in cases {
        let report = Explorer::new(&cluster).run();
        let violation = report.violation.unwrap();
        assert!(violation.broken.starts_with("always \"words come in order\" is broken at "));
        let lines = &violation.path.lines;
        assert_eq!(lines.first().unwrap(), "c0 asks n0: 3");
        assert_eq!(lines.last().unwrap(), last);
        assert!(lines.len() <= 3, "{violation}");
    }
}

/// Throws two dice when asked.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Dice {
    pub thrown: Vec<u64>,
    pub sides: u64,
}

impl Machine for Dice {
    type Message = Word;
    type Request = ();
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Dice>>(&mut self, _: Now, event: Event<Dice>, fx: &mut E) {
        if let Event::Request { .. } = event {
            self.thrown = vec![fx.choose(self.sides), fx.choose(self.sides)];
        }
    }
}

#[test]
fn every_choice_is_made() {
    let states = |sides| {
        let cluster = Cluster::new(1, move |_| Dice { sides, ..Dice::default() })
            .request(A, ())
            .sometimes("two ones", move |state| {
                state.machine(A).is_some_and(|dice| dice.thrown == [1, 1])
            });
        let report = Explorer::new(&cluster).run();
        let line = report.sometimes[0].example.as_ref().map(|path| path.lines[0].clone());
        (report.states, line)
    };
    assert_eq!(states(6), (1 + 36, Some("c0 asks n0: (), choosing [1, 1]".to_owned())));
    // Above the bound, 0 stands for all.
    assert_eq!(states(1 << 40), (1 + 1, None));
}

/// Ticks for ever, with two timers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Metronome {
    beats: u8,
}

impl Machine for Metronome {
    type Message = Word;
    type Request = ();
    type Reply = ();
    type Timer = u8;

    fn step<E: Effects<Metronome>>(&mut self, now: Now, event: Event<Metronome>, fx: &mut E) {
        match event {
            Event::Start => {
                fx.arm(0, now.tick.plus_ms(10));
                fx.arm(1, now.tick.plus_ms(25));
            }
            Event::Timer(timer) => {
                self.beats = (self.beats + 1) % 4;
                fx.arm(timer, now.tick.plus_ms(if timer == 0 { 10 } else { 25 }));
            }
            _ => {}
        }
    }
}

#[test]
fn with_relative_time_what_repeats_ends() {
    let metronome = || {
        Cluster::new(1, |_| Metronome::default())
            .budget(Budget { timers: u32::MAX, ..Budget::default() })
    };
    let relative = metronome().relative(|machine, _, digest| machine.hash(digest));
    let report = Explorer::new(&relative).run();
    assert_eq!(report.outcome, Outcome::Complete);
    // Both together repeat after 50 ms: seven beats, and four times as many until the count of beats is the same too;
    // at 50 ms the two fire in either order.
    assert_eq!((report.states, report.ends), (32, 0));
    // Who has asked, and what has gone wrong, is no matter of time.
    let asked = metronome().request(A, ()).relative(|machine, _, digest| machine.hash(digest));
    assert_eq!(Explorer::new(&asked).run().states, 2 * 32);
    let report = Explorer::new(&metronome()).depth_max(100).run();
    assert!(report.states > 100, "time makes every state another one: {report}");
}

/// Says a word to the other when a connection comes up, and remembers what it heard of connections.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Greeter {
    is_up: bool,
    words: u64,
}

impl Machine for Greeter {
    type Message = Word;
    type Request = ();
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Greeter>>(&mut self, _: Now, event: Event<Greeter>, fx: &mut E) {
        match event {
            Event::PeerUp { node, hello, .. } => {
                always!(!self.is_up, "a connection comes up once");
                always!(*hello == [node.0 as u8], "everybody says who they are");
                *self = Greeter { is_up: true, words: 0 };
                always!(
                    fx.send(to(node), Word(7), Stamp::NONE).is_ok(),
                    "what is up takes messages"
                );
            }
            Event::PeerDown(node) => {
                always!(self.is_up, "what goes down was up");
                self.is_up = false;
                let sent = fx.send(to(node), Word(7), Stamp::NONE);
                always!(sent == Err(Refused::Down), "what is down refuses");
            }
            Event::Message { .. } => {
                always!(self.is_up, "messages come over a connection");
                self.words += 1;
                always!(self.words == 1, "each connection brings one word");
            }
            _ => {}
        }
    }
}

#[test]
fn connections_come_and_go_in_order() {
    let cluster = Cluster::new(2, |_| Greeter::default())
        .connected(|node| Bytes::from(vec![node.0 as u8]))
        .budget(Budget { crashes: 2, resets: 2, ..Budget::default() })
        .eventually("both have heard a word", |state| {
            state.machines().filter(|(_, greeter)| greeter.words == 1).count() == 2
        });
    let (one, two) = (Explorer::new(&cluster).run(), Explorer::new(&cluster).threads(2).run());
    one.assert_holds();
    assert_eq!((one.states, one.steps, one.ends), (two.states, two.steps, two.ends));
    assert_eq!((one.states, one.ends), (1_988, 1));
}
