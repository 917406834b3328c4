//! Each monitor sees what it is there for, in steps that no Ombak takes.

use bytes::Bytes;
use ombak_base::{
    ActorId, ClientId, Entry, Event, NodeId, Partition, RequestId, ShardId, Stamp, Tick,
};
use ombak_crdt::{Context, Dot, VersionVector};
use ombak_kv::{
    Answer, BucketId, Content, GetOp, Object, Operation, PutOp, Quorums, Return, Version,
};
use ombak_node::{Needs, Reply, Request};

use super::*;

const REQUEST: RequestId = RequestId(5);
const CLIENT: ClientId = ClientId(9);
const NEEDS: Needs = Needs { replicas: 3, read: 2, taken: 2, durable: 2 };

fn at(node: u32) -> Address {
    Address { node: NodeId(node), shard: ShardId(0) }
}

fn step(node: u32, us: u64, event: Event<Shard>, effects: Vec<Effect>) -> Step {
    let now = Now { tick: Tick(us), wall_us: us };
    let needs = reads::asked(&event).map(|_| NEEDS);
    Step { at: at(node), number: us, now, event, effects, needs }
}

fn dot(n: u64) -> Dot {
    Dot { actor: ActorId(1), n }
}

fn key() -> Bytes {
    ombak_kv::storage_key(&BucketId::default_type("b"), b"k")
}

fn object(dot: Dot, value: &'static str) -> Object {
    let content = Content { value: Bytes::from_static(value.as_bytes()), ..Content::default() };
    let mut object = Object::default();
    let version = Version { request: REQUEST, retried: false, content };
    object.write(&Context::default(), dot, version);
    object
}

fn store(object: &Object, stamp: u64) -> Effect {
    let entry: Entry = object.to_entry();
    Effect::Store(Partition(0), key(), Some(entry), Stamp(stamp))
}

fn request(operation: Operation) -> Event<Shard> {
    let request = Request::Kv(ombak_kv::Request::Key(operation));
    Event::Request { client: CLIENT, request }
}

fn put() -> Event<Shard> {
    request(Operation::Put(PutOp {
        bucket: BucketId::default_type("b"),
        key: Some(Bytes::from_static(b"k")),
        context: Bytes::new(),
        content: Content::default(),
        quorums: Quorums::default(),
        returns: Return::Nothing,
        if_none_match: false,
        if_not_modified: false,
        timeout_ms: None,
    }))
}

fn get() -> Event<Shard> {
    request(Operation::Get(GetOp {
        bucket: BucketId::default_type("b"),
        key: Bytes::from_static(b"k"),
        quorums: Quorums::default(),
        basic_quorum: None,
        notfound_ok: None,
        timeout_ms: None,
    }))
}

fn reply(answer: Answer) -> Effect {
    Effect::Reply(CLIENT, Reply::Kv(answer), Stamp::NONE)
}

/// What the monitors say to all of it: the rule that is broken.
fn watch(steps: Vec<Step>) -> Result<(u64, u64), &'static str> {
    let (mut stored, mut clients) = (Stored::default(), Clients::new(0, 0));
    for step in &steps {
        let noted = stored.note(step).and_then(|()| clients.note(step, &stored));
        match noted {
            Ok(()) => {}
            Err(Nonconformity::Broken { rule, .. }) => return Err(rule),
            Err(other) => panic!("{other}"),
        }
    }
    Ok(clients.judged())
}

#[test]
fn a_dot_that_names_two_writes_is_seen() {
    let rule = Err("a dot names one write");
    let (one, other) = (object(dot(1), "one"), object(dot(1), "other"));
    let with = |object: &Object| step(0, 1, Event::Start, vec![store(object, 1)]);
    assert_eq!(watch(vec![with(&one), with(&other)]), rule);
    assert_eq!(watch(vec![with(&one), with(&one), with(&object(dot(2), "other"))]), Ok((0, 0)));
}

/// A put that is acknowledged when so many nodes have stored it, and so many of those have synced it.
fn acknowledged(stored: u32, durable: u32) -> Vec<Step> {
    let object = object(dot(1), "v");
    let mut steps = vec![step(0, 1, put(), vec![Effect::Named(CLIENT, REQUEST)])];
    for node in 0..stored {
        steps.push(step(node, 2, Event::Start, vec![store(&object, 1)]));
    }
    for node in 0..durable {
        steps.push(step(node, 3, Event::Durable(Stamp(1)), Vec::new()));
    }
    steps.push(step(0, 4, Event::Start, vec![reply(Answer::Written(None))]));
    steps
}

#[test]
fn a_write_that_is_not_where_it_was_said_to_be_is_seen() {
    let rule = Err("an acknowledged write is where it was said to be");
    assert_eq!(watch(acknowledged(3, 2)), Ok((1, 0)));
    assert_eq!(watch(acknowledged(2, 2)), Ok((1, 0)));
    assert_eq!(watch(acknowledged(3, 1)), rule, "one has synced it");
    assert_eq!(watch(acknowledged(1, 1)), rule, "one has it");
}

/// A put is acknowledged, and a read that begins later is answered.
fn read_after(asked_us: u64, answer: Answer) -> Vec<Step> {
    let mut steps = acknowledged(3, 3);
    steps.push(step(1, asked_us, get(), Vec::new()));
    steps.push(step(1, 20, Event::Start, vec![reply(answer)]));
    steps
}

#[test]
fn a_read_that_misses_what_was_acknowledged_is_seen() {
    let rule = Err("a read shows what was acknowledged before");
    let found = |dot| {
        let mut seen = VersionVector::new();
        seen.observe(dot);
        let context = Context { seen, retried: Vec::new() }.encode();
        Answer::NotFound(Some(context))
    };
    assert_eq!(watch(read_after(10, found(dot(1)))), Ok((1, 1)));
    assert_eq!(watch(read_after(10, found(dot(3)))), Ok((1, 1)), "and what replaced it");
    let other = Dot { actor: ActorId(2), n: 1 };
    assert_eq!(watch(read_after(10, found(other))), rule);
    assert_eq!(watch(read_after(10, Answer::NotFound(None))), rule);
    assert_eq!(watch(read_after(4, Answer::NotFound(None))), Ok((1, 0)), "at the same moment");
    let mut removed = read_after(10, Answer::NotFound(None));
    let remove = Effect::Store(Partition(0), key(), None, Stamp(9));
    removed.insert(6, step(2, 5, Event::Start, vec![remove]));
    assert_eq!(watch(removed), Ok((1, 0)), "deleted, and reaped");
}
