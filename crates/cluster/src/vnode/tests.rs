//! The map against a model: commands of a key run in the order in which they came, whatever comes in between, and each is
//! answered once.

use std::collections::{BTreeMap, BTreeSet};

use ombak_base::{ActorId, Address, ClientId, DecodeError, Event, Refused, Scan, Tick, Wire};
use proptest::prelude::*;

use super::*;

/// Appends numbers to a list, and answers with what the list was.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Lists;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Command {
    Append(u8),
    Clear,
    Read,
    /// Breaks a property.
    Break,
}

type Answer = Result<Vec<u8>, VnodeError>;

impl Service for Lists {
    type Command = Command;
    type Reply = Answer;

    fn handle(
        _: &mut Vnode,
        _: Now,
        _: &Bytes,
        command: &Command,
        stored: Option<&Entry>,
    ) -> Outcome<Answer> {
        let list = stored.map(|entry| entry.bytes.to_vec()).unwrap_or_default();
        let write = match command {
            Command::Read => Write::Keep,
            Command::Clear => Write::Remove,
            Command::Append(number) => {
                let bytes = [&list[..], &[*number]].concat();
                Write::Put(Entry { tag: bytes.len() as u64, bytes: bytes.into() })
            }
            Command::Break => {
                always!(false, "lists are not to be broken");
                Write::Remove
            }
        };
        Outcome { write, reply: Ok(list) }
    }

    /// An empty list is known by its absence.
    fn at_once(
        _: &Vnode,
        _: Now,
        _: &Bytes,
        command: &Command,
        peek: impl FnOnce() -> Peek,
    ) -> Option<Outcome<Answer>> {
        let is_empty = *command == Command::Read && peek() == Peek::Absent;
        is_empty.then(|| Outcome { write: Write::Keep, reply: Ok(Vec::new()) })
    }

    fn failed(_: &Command, error: &VnodeError) -> Answer {
        Err(error.clone())
    }
}

/// A machine that is none: the map only asks for storage.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Nobody;

#[derive(Clone, Debug)]
enum Nothing {}

impl Wire for Nothing {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: Bytes) -> Result<Nothing, DecodeError> {
        Err(DecodeError::Invalid("message"))
    }
}

impl Machine for Nobody {
    type Message = Nothing;
    type Request = ();
    type Reply = ();
    type Timer = ();

    fn step<E: Effects<Nobody>>(&mut self, _: Now, _: Event<Nobody>, _: &mut E) {}
}

type At = (Partition, Bytes);

/// Storage as a device is, but for answers that come when the test says so.
#[derive(Default)]
struct Storage {
    entries: BTreeMap<At, Entry>,
    loads: Vec<(Ticket, At)>,
    stamp: u64,
    broken: usize,
}

impl Effects<Nobody> for Storage {
    fn send(&mut self, _: Address, _: Nothing, _: Stamp) -> Result<(), Refused> {
        Ok(())
    }
    fn reply(&mut self, _: ClientId, (): (), _: Stamp) {}
    fn arm(&mut self, (): (), _: Tick) {}
    fn disarm(&mut self, (): ()) {}
    fn choose(&mut self, _: u64) -> u64 {
        0
    }
    fn load(&mut self, ticket: Ticket, partition: Partition, key: &Bytes) {
        self.loads.push((ticket, (partition, key.clone())));
    }
    fn peek(&mut self, partition: Partition, key: &Bytes) -> Peek {
        let entry = self.entries.get(&(partition, key.clone()));
        entry.map_or(Peek::Absent, |entry| Peek::Tag(entry.tag))
    }
    fn store(&mut self, partition: Partition, key: &Bytes, entry: Option<Entry>) -> Stamp {
        let at = (partition, key.clone());
        match entry {
            Some(entry) => drop(self.entries.insert(at, entry)),
            None => drop(self.entries.remove(&at)),
        }
        self.stamp += 1;
        Stamp(self.stamp)
    }
    fn await_durable(&mut self, _: Stamp) {}
    fn scan(&mut self, _: Ticket, _: Scan) {}
    fn probe(&mut self, _: &'static str) {}
    fn broken(&mut self, _: &ombak_base::property::Broken) {
        self.broken += 1;
    }
}

/// What a test does.
#[derive(Clone, Debug)]
enum Move {
    Submit(u32, u8, Command),
    /// The n-th load that is out is answered: with what is there, or with an error.
    Load(usize, bool),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let command = prop_oneof![
        8 => any::<u8>().prop_map(Command::Append),
        2 => Just(Command::Clear),
        4 => Just(Command::Read),
        1 => Just(Command::Break),
    ];
    let one = prop_oneof![
        3 => (0..3u32, 0..3u8, command).prop_map(|(p, key, command)| Move::Submit(p, key, command)),
        2 => (any::<usize>(), prop::bool::weighted(0.1)).prop_map(|(n, fails)| Move::Load(n, fails)),
    ];
    proptest::collection::vec(one, 1..120)
}

/// What must come: of each key the commands that wait, and of all what was asked and is not answered.
#[derive(Default)]
struct Model {
    lists: BTreeMap<At, Vec<u8>>,
    waiting: BTreeMap<At, VecDeque<(u64, Command)>>,
    stopped: BTreeSet<Partition>,
    open: BTreeSet<u64>,
}

impl Model {
    /// The answer to one command, now that it runs.
    fn run(&mut self, at: &At, command: &Command, fails: bool) -> Answer {
        if self.stopped.contains(&at.0) && !fails {
            return Err(VnodeError::Stopped);
        }
        if fails {
            return Err(VnodeError::Device(error()));
        }
        let list = self.lists.entry(at.clone()).or_default();
        let before = list.clone();
        match command {
            Command::Append(number) => list.push(*number),
            Command::Clear => list.clear(),
            Command::Read => {}
            Command::Break => {
                self.stopped.insert(at.0);
                return Err(VnodeError::Stopped);
            }
        }
        Ok(before)
    }
}

fn error() -> DeviceError {
    DeviceError::Io("it failed".into())
}

fn map() -> VnodeMap<Lists, u64> {
    let vnode = |partition| {
        let mut vnode = Vnode::format(Partition(partition), ActorId(1));
        vnode.confirm_fresh();
        vnode
    };
    VnodeMap::new((0..3).map(vnode))
}

proptest! {
    #[test]
    fn commands_of_a_key_run_in_order_and_each_is_answered_once(moves in moves()) {
        ombak_base::property::contain(true);
        let (mut map, mut storage, mut model) = (map(), Storage::default(), Model::default());
        let mut last = 0;
        // Whatever is still out at the end is answered.
        let rest = std::iter::repeat_n(Move::Load(0, false), 120);
        for each in moves.into_iter().chain(rest) {
            let done: Vec<(At, Done<u64, Answer>)> = match each {
                Move::Submit(partition, key, command) => {
                    last += 1;
                    let at = (Partition(partition), Bytes::from(vec![1, key]));
                    model.open.insert(last);
                    let done = map.submit(
                        Now::default(), at.0, &at.1, command.clone(), last, &mut storage,
                    );
                    let waits = model.waiting.entry(at.clone()).or_default();
                    prop_assert!(done.is_none() || waits.is_empty(), "nobody overtakes");
                    waits.push_back((last, command));
                    done.into_iter().map(|done| (at.clone(), done)).collect()
                }
                Move::Load(n, fails) if !storage.loads.is_empty() => {
                    let (ticket, at) = storage.loads.remove(n % storage.loads.len());
                    let entry = if fails { Err(error()) } else { Ok(storage.entries.get(&at).cloned()) };
                    prop_assert_eq!(map.partition_of(ticket), Some(at.0));
                    let done = map.loaded(Now::default(), ticket, entry, &mut storage);
                    let done: Vec<_> = done.into_iter().map(|done| (at.clone(), done)).collect();
                    prop_assert_eq!(done.len(), model.waiting.get(&at).map_or(0, VecDeque::len));
                    for (at, done) in &done {
                        let (id, command) = model.waiting.get_mut(at).unwrap().pop_front().unwrap();
                        prop_assert_eq!(id, done.origin);
                        prop_assert_eq!(&model.run(at, &command, fails), &done.reply);
                        prop_assert!(model.open.remove(&id));
                    }
                    Vec::new()
                }
                Move::Load(..) => Vec::new(),
            };
            for (at, done) in done {
                let (id, command) = model.waiting.get_mut(&at).unwrap().pop_back().unwrap();
                prop_assert_eq!(id, done.origin);
                prop_assert_eq!(model.run(&at, &command, false), done.reply);
                prop_assert!(model.open.remove(&id));
            }
            map.check();
            prop_assert_eq!(map.waiting(), model.waiting.values().map(VecDeque::len).sum::<usize>());
        }
        prop_assert!(model.open.is_empty(), "unanswered: {:?}", model.open);
        prop_assert_eq!(storage.broken, model.stopped.len(), "each vnode breaks once");
        let stopped = map.vnodes().filter(|vnode| vnode.is_stopped()).map(Vnode::partition);
        prop_assert_eq!(stopped.collect::<BTreeSet<_>>(), model.stopped);
        ombak_base::property::contain(false);
    }
}

#[test]
fn too_many_commands_are_refused_and_the_others_are_answered() {
    let (mut map, mut storage) = (map(), Storage::default());
    let key = Bytes::from_static(&[1]);
    let mut submit = |map: &mut VnodeMap<Lists, u64>, id| {
        map.submit(Now::default(), Partition(0), &key, Command::Append(0), id, &mut storage)
    };
    for id in 0..WAITING_MAX as u64 {
        assert_eq!(submit(&mut map, id), None);
    }
    let refused = submit(&mut map, u64::MAX).expect("there is no room");
    assert_eq!(refused.reply, Err(VnodeError::Overload));
    let (ticket, _) = storage.loads.remove(0);
    let done = map.loaded(Now::default(), ticket, Ok(None), &mut storage);
    assert_eq!((done.len(), map.waiting()), (WAITING_MAX, 0));
}
