//! One command after the other, each held against what it should have done.

use std::collections::BTreeSet;

use super::oracle::{Broken, Oracle};
use super::*;

pub const TOKENS_GROW: &str = "a token is larger than all before it";
pub const ONCE: &str = "a command that comes twice is applied once";
pub const NOBODY_STARVES: &str = "nobody starves";
pub const IN_THE_WAY: &str = "who is in the way is told when that begins";

/// Applies a command, follows it, and applies it once more if it is a request: that must change nothing.
pub fn apply_and_follow(
    manager: &mut LockManager,
    at: LogTime,
    command: &Command,
) -> Result<Vec<Notice>, Broken> {
    let before = manager.clone();
    let notices = apply(manager, at, command);
    follow(&before, at, command, &notices, manager)?;
    if matches!(command, Command::Call { .. }) {
        let mut again = manager.clone();
        let answers = apply(&mut again, at, command);
        if answers != notices[..1] || again != *manager {
            return Err((ONCE, format!("{notices:?}, then {answers:?}")));
        }
    }
    Ok(notices)
}

/// Everybody who can go on does, and gives up what it has; in the end nobody may be left waiting.
pub fn nobody_starves(manager: &LockManager) -> Result<(), Broken> {
    let mut manager = manager.clone();
    while let Some(session) = goes_on(&manager) {
        apply(&mut manager, LogTime(0), &Command::Close { session });
    }
    match manager.sessions().flat_map(|(session, _)| manager.locks(session)).next() {
        Some((id, _)) => Err((NOBODY_STARVES, format!("{id} in {:?}", Oracle::of(&manager)))),
        None => Ok(()),
    }
}

/// A session that has something, and waits for nothing.
fn goes_on(manager: &LockManager) -> Option<SessionId> {
    let waits = |session| manager.locks(session).any(|(_, lock)| lock.wanted.is_some());
    let has = |session| manager.locks(session).next().is_some();
    let mut sessions = manager.sessions().map(|(session, _)| session);
    sessions.find(|session| has(*session) && !waits(*session))
}

/// Whether `after` is what a command makes of `before`.
fn follow(
    before: &LockManager,
    at: LogTime,
    command: &Command,
    notices: &[Notice],
    after: &LockManager,
) -> Result<(), Broken> {
    tokens_grow(before, notices, after)?;
    let mut oracle = Oracle::of(before);
    match command {
        Command::Call { session, number, request, .. } => {
            let call = LockId { session: *session, number: *number };
            if before.sessions.get(session).is_some_and(|each| each.answers.contains_key(number)) {
                let same = oracle == Oracle::of(after);
                return same.then_some(()).ok_or_else(|| (ONCE, format!("{call}: {notices:?}")));
            }
            oracle.call(call, request, own_answer(notices), before.places + 1)?;
        }
        Command::Close { session } => oracle.end(*session),
        Command::Tick => oracle.tick(before, at.max(before.now())),
        Command::Open { .. } | Command::KeepAlive { .. } | Command::NewLeader => (),
    }
    oracle.settle();
    for notice in notices {
        if let Notice::Deadlock { victim, cycle } = notice {
            oracle.gives_way(*victim, cycle)?;
        }
    }
    oracle.has_no_circle()?;
    oracle.compare(&Oracle::of(after))?;
    told_when_it_begins(before, command, notices, after)
}

fn own_answer(notices: &[Notice]) -> Option<&Answer> {
    match notices.first() {
        Some(Notice::Answer { answer, .. }) => Some(answer),
        _ => None,
    }
}

fn held(manager: &LockManager) -> impl Iterator<Item = (LockId, Held)> {
    let locks = manager.sessions().flat_map(|(session, _)| manager.locks(session));
    locks.filter_map(|(id, lock)| Some((id, lock.held?)))
}

/// A lock that is held in a mode that it was not allowed before has a new token; any other has the one that it had.
fn tokens_grow(
    before: &LockManager,
    notices: &[Notice],
    after: &LockManager,
) -> Result<(), Broken> {
    let mut given = BTreeSet::new();
    for (id, Held { mode, token, .. }) in held(after) {
        let had = before.lock(id).and_then(|lock| lock.held);
        let good = match had.filter(|had| mode.at_most(had.mode)) {
            Some(had) => token == had.token,
            None => token > before.last_token() && given.insert(token),
        };
        if !good || token > after.last_token() {
            return Err((TOKENS_GROW, format!("{id} has {mode} {token:?}, had {had:?}")));
        }
    }
    for notice in notices {
        if let Notice::Answer { session, answer: Answer::Granted { mode, token, .. }, .. } = notice
            && *token > before.last_token()
            && !held(after)
                .any(|(id, held)| (id.session, held.mode, held.token) == (*session, *mode, *token))
        {
            return Err((TOKENS_GROW, format!("{notice:?} is not so")));
        }
    }
    Ok(())
}

/// The locks that asked to be told, and keep somebody waiting.
fn in_the_way(manager: &LockManager) -> BTreeSet<LockId> {
    let mut in_the_way = BTreeSet::new();
    for (path, _) in manager.resources() {
        for (holder, lock) in manager.holders(path).filter(|(_, lock)| lock.notify) {
            let held = lock.held.unwrap().mode;
            let wants = |lock: &Lock| lock.wanted.unwrap().mode;
            let mut others = manager.waiters(path).filter(|(waiter, _)| *waiter != holder);
            if others.any(|(_, waiter)| !wants(waiter).compatible(held)) {
                in_the_way.insert(holder);
            }
        }
    }
    in_the_way
}

/// Nobody is told of a block that goes on, but for whoever is granted another mode and is in the way in that one as well.
fn told_when_it_begins(
    before: &LockManager,
    command: &Command,
    notices: &[Notice],
    after: &LockManager,
) -> Result<(), Broken> {
    let converted = match command {
        Command::Call { session, request: Request::Convert { lock, .. }, .. } => {
            let granted = matches!(own_answer(notices), Some(Answer::Granted { .. }));
            granted.then_some(LockId { session: *session, number: *lock })
        }
        _ => None,
    };
    let held = |manager: &LockManager, id| manager.lock(id).and_then(|lock| lock.held);
    let (blocked, blocks) = (in_the_way(before), in_the_way(after));
    let begins = blocks.iter().filter(|id| {
        !blocked.contains(id) || held(before, **id) != held(after, **id) || converted == Some(**id)
    });
    let told: Vec<_> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::Blocking { lock, .. } => Some(*lock),
            _ => None,
        })
        .collect();
    let begins: Vec<_> = begins.copied().collect();
    let seen = || (IN_THE_WAY, format!("{begins:?} are, {told:?} were told"));
    (told == begins).then_some(()).ok_or_else(seen)
}
