//! Each monitor sees what it is there for, in steps that no Ombak takes.

use bytes::Bytes;
use ombak_base::{ActorId, ClientId, Event, NodeId, Partition, RequestId, ShardId, Stamp, Tick};
use ombak_crdt::{Context, Dot, VersionVector};
use ombak_kv::{
    Answer, BucketId, Content, GetOp, Object, Operation, PutOp, Quorums, Return, Version,
};
use ombak_node::{Needs, Reply, Request};
use ombak_paxos::locks::{
    self as lock, Command, LockAsk, LockReply, Mode, Path, SessionId, Token, Value, ValueBlock,
    Wait,
};
use ombak_paxos::log::{Change, Entry, Glance, ONE_LEADER, ONE_VALUE, Slot};
use ombak_paxos::synod::Accepted;
use ombak_paxos::{Ballot, Members};

use super::*;
use crate::locked::{EXCLUDES, TOKENS};

const REQUEST: RequestId = RequestId(5);
const CLIENT: ClientId = ClientId(9);
const NEEDS: Needs = Needs { replicas: 3, read: 2, taken: 2, durable: 2 };

fn at(node: u32) -> Address {
    Address { node: NodeId(node), shard: ShardId(0) }
}

fn step(node: u32, us: u64, event: Event<Shard>, effects: Vec<Effect>) -> Step {
    let now = Now { tick: Tick(us), wall_us: us };
    let needs = reads::asked(&event).map(|_| NEEDS);
    Step { at: at(node), number: us, now, event, effects, needs, root: None }
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
    let entry: ombak_base::Entry = object.to_entry();
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

fn asks(command: Command) -> Event<Shard> {
    Event::Request { client: CLIENT, request: Request::Locks(LockAsk::Command(command)) }
}

fn open(session: u128) -> Event<Shard> {
    let session = SessionId(session);
    asks(Command::Open { session, lease_us: 1_000_000, about: Value::default() })
}

fn call(session: u128, number: u64, request: lock::Request) -> Event<Shard> {
    let (session, have) = (SessionId(session), 0.into());
    asks(Command::Call { session, number, have, request })
}

fn lock() -> lock::Request {
    let path = Path::new(["door"]).unwrap();
    lock::Request::Lock { path, under: None, mode: Mode::EX, wait: Wait::Forever, notify: false }
}

fn unlock() -> lock::Request {
    lock::Request::Unlock { lock: 1, value: None }
}

fn convert(mode: Mode) -> lock::Request {
    lock::Request::Convert { lock: 1, mode, wait: Wait::No, value: None }
}

fn told(node: u32, us: u64, answer: lock::Answer) -> Step {
    let reply = Reply::Locks(LockReply::Answer(answer));
    step(node, us, Event::Start, vec![Effect::Reply(CLIENT, reply, Stamp::NONE)])
}

fn granted(node: u32, us: u64, mode: Mode, token: u64) -> Step {
    told(
        node,
        us,
        lock::Answer::Granted { mode, token: Token(token), value: ValueBlock::default() },
    )
}

/// What is said of locks, where all that was asked from the fifth microsecond on is there, and clocks differ by two.
fn watch_locks(steps: &[Step]) -> Result<u64, &'static str> {
    let mut locks = Locks::new(5, 2);
    steps.iter().for_each(|step| locks.note(step));
    match locks.check() {
        Ok(()) => Ok(locks.grants()),
        Err(Nonconformity::Clients { rule, .. }) => Err(rule),
        Err(other) => panic!("{other}"),
    }
}

/// Through one node a session locks, and later unlocks. Through another, another session asks for the lock, and is granted it.
fn one_after_the_other(asked_us: u64, granted_us: u64, token: u64) -> Vec<Step> {
    let asks = |node, us, event| step(node, us, event, Vec::new());
    vec![
        asks(0, 5, open(1)),
        asks(1, 5, open(2)),
        asks(0, 6, call(1, 1, lock())),
        granted(0, 10, Mode::EX, 7),
        asks(1, asked_us, call(2, 1, lock())),
        granted(1, granted_us, Mode::EX, token),
        asks(0, 30, call(1, 2, unlock())),
        told(0, 32, lock::Answer::Unlocked),
        asks(1, 40, call(2, 2, unlock())),
        told(1, 41, lock::Answer::Unlocked),
    ]
}

#[test]
fn locks_that_exclude_each_other_and_are_held_together_are_seen() {
    assert_eq!(watch_locks(&one_after_the_other(20, 28, 8)), Ok(2), "as far as clocks tell");
    assert_eq!(watch_locks(&one_after_the_other(20, 27, 8)), Err(EXCLUDES));
    let mut unknown = one_after_the_other(20, 27, 8);
    unknown.remove(0);
    assert_eq!(watch_locks(&unknown), Ok(1), "a session from before the recordings");
}

#[test]
fn a_token_that_does_not_grow_is_seen() {
    assert_eq!(watch_locks(&one_after_the_other(13, 31, 6)), Err(TOKENS));
    assert_eq!(watch_locks(&one_after_the_other(12, 31, 6)), Ok(2), "asked before, maybe");
    assert_eq!(watch_locks(&one_after_the_other(12, 31, 7)), Err(TOKENS), "it is another's");
}

/// The answer gets lost, and the same is asked elsewhere: one grant, however often it is told.
#[test]
fn what_is_asked_again_is_one_request() {
    let mut steps = one_after_the_other(12, 31, 8);
    steps.insert(4, step(2, 12, call(1, 1, lock()), Vec::new()));
    steps.insert(5, granted(2, 13, Mode::EX, 7));
    assert_eq!(watch_locks(&steps), Ok(2));
}

/// Another mode was asked for, and what came of it nobody has heard. What a third one is granted is measured by nothing.
#[test]
fn a_lock_of_which_something_is_not_known_is_not_judged() {
    let asks = |us, event| step(0, us, event, Vec::new());
    let held = || vec![asks(5, open(1)), asks(6, call(1, 1, lock())), granted(0, 7, Mode::EX, 7)];
    let weaker = |number| asks(12, call(1, number, convert(Mode::CR)));
    let unheard = [asks(8, call(1, 2, convert(Mode::PR))), weaker(3), granted(0, 13, Mode::CR, 9)];
    assert_eq!(watch_locks(&held().into_iter().chain(unheard).collect::<Vec<_>>()), Ok(1));
    let heard = [weaker(2), granted(0, 13, Mode::CR, 9)];
    let heard = held().into_iter().chain(heard).collect::<Vec<_>>();
    assert_eq!(watch_locks(&heard), Err(TOKENS), "a weaker mode keeps its token");
}

/// What a member of the root group shows: it has decided one slot, and the tokens have come so far.
fn seen(node: u32, leader: u32, token: u64, slot: u64) -> Step {
    let ballot = Ballot { round: 1, proposer: NodeId(leader) };
    let accepted = (1..=slot).map(|slot| (Slot(slot), Accepted { ballot, value: Entry::Nothing }));
    let leads = (node == leader).then_some(ballot);
    let (node_id, committed) = (NodeId(node), Slot(slot));
    let glance = Glance { node: node_id, life: 1, leads, committed, accepted: accepted.collect() };
    let root = Some(Seen { glance, token: Some(Token(token)) });
    Step { root, ..step(node, 1, Event::Start, Vec::new()) }
}

fn watch_group(steps: &[Step]) -> Result<u64, &'static str> {
    let mut groups = Groups::default();
    match steps.iter().try_for_each(|step| groups.note(step)) {
        Ok(()) => Ok(groups.decided()),
        Err(Nonconformity::Broken { rule, .. }) => Err(rule),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn members_of_the_root_group_that_differ_are_seen() {
    assert_eq!(watch_group(&[seen(0, 0, 3, 1), seen(1, 0, 3, 1), seen(2, 0, 4, 2)]), Ok(2));
    let mut other = seen(1, 1, 3, 1);
    let mut leads_too = seen(1, 1, 3, 0);
    let change = Change { after: Slot(0), members: Members::nobody() };
    other.root.as_mut().unwrap().glance.accepted[0].1.value = Entry::Members(Box::new(change));
    assert_eq!(watch_group(&[seen(0, 0, 3, 1), other]), Err(ONE_VALUE));
    leads_too.root.as_mut().unwrap().glance.leads = Some(Ballot { round: 1, proposer: NodeId(0) });
    assert_eq!(watch_group(&[seen(0, 0, 3, 1), leads_too]), Err(ONE_LEADER));
    assert_eq!(watch_group(&[seen(0, 0, 3, 1), seen(1, 0, 4, 1)]), Err(TOKENS), "two of a slot");
    assert_eq!(watch_group(&[seen(0, 0, 3, 1), seen(1, 0, 2, 2)]), Err(TOKENS), "less than before");
    assert_eq!(watch_group(&[seen(0, 0, 3, 2), seen(1, 0, 4, 1)]), Err(TOKENS), "more than after");
}
