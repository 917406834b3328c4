//! The root group beside the data: whole nodes, with one disk and one log for both.

use ombak_node::{ROOT_PARTITION, Request as Ask};
use ombak_paxos::locks::{
    Answer as Locked, Command, LockAsk, LockReply, Mode, Path, Request as Wish, SessionId,
    SessionState, Token, Value, Wait,
};

use super::*;

const LEASE_US: u64 = 30 * SECOND;

fn world_with_locks(seed: u64) -> World<Cluster> {
    let shape = Shape { nodes: 3, shards: 2, ring_size: 8 };
    let mut w = World::new(Cluster::new(shape).unwrap().with_root(), 3, seed).unwrap();
    w.run_for(5 * SECOND);
    assert!(leader(&mut w).is_some(), "nobody leads");
    w
}

fn leader(w: &mut World<Cluster>) -> Option<NodeId> {
    let ids: Vec<NodeId> = w.node_ids().collect();
    ids.into_iter().find_map(|node| match w.ask(node, S, Ask::Status, SECOND) {
        Some(Heard::Reply(Reply::Status(status))) => status.root?.leader,
        _ => None,
    })
}

/// Asks one node after the other, until one says more than "not now".
fn locks(w: &mut World<Cluster>, command: &Command) -> LockReply {
    for turn in 0..60 {
        let ask = Ask::Locks(LockAsk::Command(command.clone()));
        match w.ask(NodeId(turn % 3), S, ask, 5 * SECOND) {
            Some(Heard::Reply(Reply::Locks(LockReply::Failed(_)))) | None => {}
            Some(Heard::Reply(Reply::Locks(reply))) => return reply,
            _ => {}
        }
        w.run_for(SECOND / 5);
    }
    panic!("never answered: {command:?}");
}

fn open(w: &mut World<Cluster>, session: u128) {
    let (session, about) = (SessionId(session), Value::default());
    let opened = locks(w, &Command::Open { session, lease_us: LEASE_US, about });
    assert!(matches!(opened, LockReply::Session(_)), "{opened:?}");
}

/// A lock on one name, without waiting.
fn lock(w: &mut World<Cluster>, session: u128, number: u64) -> Result<Token, LockReply> {
    let wish = Wish::Lock {
        path: Path::new(["printer"]).unwrap(),
        under: None,
        mode: Mode::EX,
        wait: Wait::No,
        notify: false,
    };
    let session = SessionId(session);
    match locks(w, &Command::Call { session, number, have: (number - 1).into(), request: wish }) {
        LockReply::Answer(Locked::Granted { token, .. }) => Ok(token),
        other => Err(other),
    }
}

fn unlock(w: &mut World<Cluster>, session: u128, lock: u64, number: u64) {
    let request = Wish::Unlock { lock, value: None };
    let session = SessionId(session);
    let reply = locks(w, &Command::Call { session, number, have: (number - 1).into(), request });
    assert_eq!(reply, LockReply::Answer(Locked::Unlocked));
}

/// Whoever leads dies while values are written: the lock stays where it is, and what was written is there.
#[test]
fn a_leader_dies_and_locks_and_values_stay() {
    let mut w = world_with_locks(1);
    open(&mut w, 1);
    open(&mut w, 2);
    let first = lock(&mut w, 1, 1).unwrap();
    assert!(put(&mut w, A, key(0)));
    let leader = leader(&mut w).unwrap();
    w.crash(leader);
    let refused = lock(&mut w, 2, 1).unwrap_err();
    assert!(matches!(refused, LockReply::Answer(Locked::Refused(_))), "{refused:?}");
    let alive = w.node_ids().find(|node| *node != leader).unwrap();
    w.run_for(2 * SECOND);
    assert!(put(&mut w, alive, key(1)));
    unlock(&mut w, 1, 1, 2);
    assert!(lock(&mut w, 2, 2).unwrap() > first);
    w.restart(leader).unwrap();
    w.run_for(3 * SECOND);
    assert!(matches!(get(&mut w, leader, key(1)), Some(Answer::Object(_))));
}

/// A voter comes back with an empty disk, and then another: nobody forgets who holds the lock.
#[test]
fn one_disk_after_the_other_is_lost_and_no_lock() {
    let mut w = world_with_locks(2);
    open(&mut w, 1);
    open(&mut w, 2);
    let first = lock(&mut w, 1, 1).unwrap();
    for lost in w.node_ids().collect::<Vec<_>>() {
        w.wipe(lost);
        w.restart(lost).unwrap();
        // Time enough to be taken in again, and to keep the sessions.
        for _ in 0..2 {
            w.run_for(5 * SECOND);
            for session in [1, 2].map(SessionId) {
                locks(&mut w, &Command::KeepAlive { session });
            }
        }
    }
    assert!(lock(&mut w, 2, 1).is_err(), "somebody else holds it");
    unlock(&mut w, 1, 1, 2);
    assert!(lock(&mut w, 2, 2).unwrap() > first);
}

/// A property breaks where the root group may be concerned: what it had half done is no state to vote from. The node takes no
/// part until it is started again; the others go on.
#[test]
fn a_root_group_in_which_a_property_breaks_stops_on_its_node() {
    let mut w = world_with_locks(4);
    open(&mut w, 1);
    for of in [Some(ROOT_PARTITION), None] {
        let node = leader(&mut w).unwrap();
        w.break_property(node, S, of);
        let status = match w.ask(node, S, Ask::Status, SECOND) {
            Some(Heard::Reply(Reply::Status(status))) => status.root.unwrap(),
            other => panic!("{other:?}"),
        };
        assert!(status.failure.is_some() && status.leader.is_none(), "{status:?}");
        let alive = locks(&mut w, &Command::KeepAlive { session: SessionId(1) });
        assert!(matches!(alive, LockReply::Session(SessionState::Live { .. })), "{alive:?}");
        assert_ne!(leader(&mut w), Some(node));
        w.restart(node).unwrap();
        w.run_for(5 * SECOND);
    }
}

/// A disk that has lost something of the root group has maybe lost a promise: the node takes no part, not at its next start
/// either, until it begins anew. Registers are lost apart from that.
#[test]
fn a_disk_that_has_lost_some_of_the_root_group_takes_no_part() {
    let mut w = world_with_locks(5);
    open(&mut w, 1);
    let node = leader(&mut w).unwrap();
    w.lose_some(node, S, ROOT_PARTITION);
    let Some(Heard::Reply(Reply::Status(status))) = w.ask(node, S, Ask::Status, SECOND) else {
        panic!("no status");
    };
    let root = status.root.unwrap();
    let why = root.failure.unwrap();
    assert!(why.contains("some of what it has stored is lost"), "{why}");
    assert_eq!(root.leader, None);
    let alive = locks(&mut w, &Command::KeepAlive { session: SessionId(1) });
    assert!(matches!(alive, LockReply::Session(SessionState::Live { .. })), "{alive:?}");
    assert_ne!(leader(&mut w), Some(node));
    w.wipe(node);
    w.restart(node).unwrap();
    w.run_for(10 * SECOND);
    assert!(w.machine(node, S).unwrap().root().unwrap().is_ready(), "it was taken in again");
}

/// All nodes lose their power at once: what was granted is there.
#[test]
fn the_power_goes_everywhere_and_locks_stay() {
    let mut w = world_with_locks(3);
    open(&mut w, 1);
    let first = lock(&mut w, 1, 1).unwrap();
    let ids: Vec<NodeId> = w.node_ids().collect();
    ids.iter().for_each(|node| w.crash(*node));
    ids.iter().for_each(|node| w.restart(*node).unwrap());
    w.run_for(2 * SECOND);
    assert_eq!(lock(&mut w, 1, 1), Ok(first), "the same request, the same answer");
    unlock(&mut w, 1, 1, 2);
    open(&mut w, 2);
    assert!(lock(&mut w, 2, 1).unwrap() > first);
}
