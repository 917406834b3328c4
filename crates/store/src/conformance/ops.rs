//! What is done to a backend, and how proptest draws it.

use bytes::Bytes;
use ombak_base::{Entry, Partition, Scan};
use ombak_sim::Rng;
use proptest::prelude::*;

use crate::log::NODE_PARTITION;

/// Something that goes wrong.
#[derive(Clone, Copy, Debug)]
pub enum Fault {
    /// The n-th write from now fails.
    Write(u64),
    /// The n-th write from now fails, half done, for want of room.
    NoRoom(u64),
    /// The n-th sync from now fails; whether the data has to be written again to be durable (and then for want of room,
    /// which must not be taken for a write that may be tried again).
    Sync(u64, bool),
    /// The power goes during the n-th change from now.
    CutPower(u64),
    /// Nothing is in the page cache, or everything.
    Cold(bool),
    /// No file grows any more, or they do again.
    Full(bool),
}

/// An entry that prints in one line.
#[derive(Clone, Copy, Debug)]
pub struct Value {
    pub tag: u64,
    pub len: usize,
    pub seed: u8,
}

impl Value {
    pub fn entry(&self) -> Entry {
        let byte = |i: usize| (i as u8).wrapping_mul(31).wrapping_add(self.seed);
        Entry { tag: self.tag, bytes: (0..self.len).map(byte).collect() }
    }
}

#[derive(Clone, Debug)]
pub enum Op {
    Store {
        partition: Partition,
        key: Bytes,
        value: Value,
    },
    Remove {
        partition: Partition,
        key: Bytes,
    },
    /// Many stores, each written and synced, or all in one commit, without a `tidy`: what fills the commit log.
    Burst {
        seed: u64,
        stores: u64,
        at_once: bool,
    },
    Load {
        partition: Partition,
        key: Bytes,
    },
    Scan(Scan),
    /// All devices hand over what they have.
    Commit,
    /// The writer writes so many commits at once.
    Write {
        batches: usize,
    },
    Tidy,
    Checkpoint,
    /// All devices say what they want done.
    Upkeep,
    /// So many notices arrive.
    Hear {
        notices: usize,
    },
    Fault(Fault),
    /// A crash; the next start too, if the power goes during its `cut_at`-th change.
    Crash {
        seed: u64,
        shards: u16,
        cut_at: Option<u64>,
    },
}

/// Few, so that they meet.
pub fn partitions() -> [Partition; 5] {
    [Partition(0), Partition(1), Partition(2), Partition(5), NODE_PARTITION]
}

/// Of many lengths, the empty one included, some a prefix of another.
pub fn keys() -> Vec<Bytes> {
    let plain = ["", "a", "aa", "ab", "b", "key", "key/1", "key/2", "\u{ff}"];
    let long = Bytes::from(vec![b'k'; 700]);
    plain.iter().map(|key| Bytes::from_static(key.as_bytes())).chain([long]).collect()
}

fn partition() -> impl Strategy<Value = Partition> {
    prop::sample::select(partitions().to_vec())
}

fn key() -> impl Strategy<Value = Bytes> {
    prop::sample::select(keys())
}

/// From nothing to beyond the bound of large values, which the subjects set to 4096.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        2 => 0..4usize,
        6 => 4..300usize,
        3 => 1000..4000usize,
        1 => 4094..4099usize,
        2 => 4096..20_000usize,
    ]
}

fn value() -> impl Strategy<Value = Value> {
    (any::<u64>(), len(), any::<u8>()).prop_map(|(tag, len, seed)| Value { tag, len, seed })
}

fn scan() -> impl Strategy<Value = Op> {
    let to = prop_oneof![1 => Just(Bytes::new()), 1 => key()];
    let entries_max = prop_oneof![0..4u32, Just(1000)];
    let bytes_max = prop_oneof![0..5000u32, Just(u32::MAX)];
    (partition(), key(), to, entries_max, bytes_max, any::<bool>()).prop_map(
        |(partition, from, to, entries_max, bytes_max, values)| {
            Op::Scan(Scan { partition, from, to, entries_max, bytes_max, values })
        },
    )
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        2 => (1..6u64).prop_map(Fault::Write),
        4 => (1..9u64).prop_map(Fault::NoRoom),
        3 => (1..6u64, any::<bool>()).prop_map(|(n, drops)| Fault::Sync(n, drops)),
        2 => (1..30u64).prop_map(Fault::CutPower),
        4 => any::<bool>().prop_map(Fault::Cold),
        2 => any::<bool>().prop_map(Fault::Full),
    ]
}

fn crash() -> impl Strategy<Value = Op> {
    let cut_at = prop::option::of(1..40u64);
    (any::<u64>(), 1..4u16, cut_at).prop_map(|(seed, shards, cut_at)| Op::Crash {
        seed,
        shards,
        cut_at,
    })
}

fn harmless() -> BoxedStrategy<Op> {
    prop_oneof![
        12 => (partition(), key(), value())
            .prop_map(|(partition, key, value)| Op::Store { partition, key, value }),
        3 => (partition(), key()).prop_map(|(partition, key)| Op::Remove { partition, key }),
        4 => (partition(), key()).prop_map(|(partition, key)| Op::Load { partition, key }),
        3 => scan(),
        2 => (any::<u64>(), 1..100u64, any::<bool>())
            .prop_map(|(seed, stores, at_once)| Op::Burst { seed, stores, at_once }),
        8 => Just(Op::Commit),
        8 => (1..8usize).prop_map(|batches| Op::Write { batches }),
        6 => Just(Op::Tidy),
        1 => Just(Op::Checkpoint),
        6 => Just(Op::Upkeep),
        6 => (1..20usize).prop_map(|notices| Op::Hear { notices }),
    ]
    .boxed()
}

/// The stores of a burst.
pub fn burst(seed: u64, stores: u64) -> impl Iterator<Item = (Partition, Bytes, Value)> {
    let mut rng = Rng::new(seed);
    let (partitions, keys) = (partitions(), keys());
    (0..stores).map(move |_| {
        let partition = partitions[rng.below(partitions.len() as u64) as usize];
        let key = keys[rng.below(keys.len() as u64) as usize].clone();
        let (len, seed) = (rng.below(4500) as usize, rng.next_u64() as u8);
        (partition, key, Value { tag: rng.next_u64(), len, seed })
    })
}

/// Everything, faults and crashes included.
pub fn sequence(ops_max: usize) -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        40 => harmless(),
        1 => fault().prop_map(Op::Fault),
        1 => crash(),
    ];
    prop::collection::vec(op, 1..ops_max)
}

/// Nothing goes wrong by itself.
pub fn without_faults(ops_max: usize) -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(harmless(), 1..ops_max)
}
