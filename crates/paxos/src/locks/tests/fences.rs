//! Fences, between the lock manager and something that it locks.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;

use super::random::{World, tries};
use super::*;

/// Something that adds up what is written to it, on the word of whoever writes.
#[derive(Default)]
struct Account {
    balance: u64,
    fence: Fence,
}

/// Two clients read a balance and write it back with 10 more, one of them stopped between the two for longer than its lease.
/// Gives the balance, and what came of the late write.
fn stopped_past_its_lease(fenced: bool) -> (u64, Result<(), Late>) {
    let (mut manager, mut account) = (LockManager::default(), Account::default());
    let mut lock = |name: char, at: u64| {
        let (session, at) = (session(name), LogTime(at));
        let request = Request::Lock {
            path: path("account"),
            under: None,
            mode: Mode::EX,
            wait: Wait::Forever,
            notify: false,
        };
        for command in [
            Command::Tick,
            Command::Open { session, lease_us: 1_000_000, about: Value::default() },
            Command::Call { session, number: 1, have: 0.into(), request },
        ] {
            if let Some(Notice::Answer { answer: Answer::Granted { token, .. }, .. }) =
                apply(&mut manager, at, &command).pop()
            {
                return token;
            }
        }
        panic!("{name} is not granted");
    };
    let pass = |account: &mut Account, token| match fenced {
        true => account.fence.pass(Mode::EX, token),
        false => Ok(()),
    };
    let a = lock('a', 0);
    pass(&mut account, a).unwrap();
    let seen = account.balance;
    // SIGSTOP. The lease runs out, and another works.
    let b = lock('b', 2_000_000);
    pass(&mut account, b).unwrap();
    account.balance += 10;
    // SIGCONT.
    let late = pass(&mut account, a);
    if late.is_ok() {
        account.balance = seen + 10;
    }
    (account.balance, late)
}

#[test]
fn a_holder_that_was_stopped_past_its_lease() {
    let late = Late { shown: Token(1), passed: Token(2) };
    assert_eq!(stopped_past_its_lease(true), (10, Err(late)));
    // Without a fence both think that they have added 10, and nobody was told otherwise.
    assert_eq!(stopped_past_its_lease(false), (10, Ok(())));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    /// Every access that was ever allowed may come at any later time, again and again.
    #[test]
    fn holders_pass_and_nobody_after_whom_it_excludes(
        tries in tries(200),
        accesses in prop::collection::vec((any::<Index>(), any::<bool>()), 200),
    ) {
        let mut world = World::default();
        let mut sent = BTreeSet::new();
        let mut fences = BTreeMap::<Path, (Fence, Vec<(Mode, Token)>)>::new();
        for ((name, what), (which, holder)) in tries.into_iter().zip(accesses) {
            let Some(command) = world.command(name, what) else { continue };
            apply(&mut world.manager, LogTime(0), &command);
            let sessions = world.manager.sessions();
            let locks = sessions.flat_map(|(session, _)| world.manager.locks(session));
            let held = locks.filter_map(|(_, lock)| {
                Some((lock.path.clone(), lock.held?.mode, lock.held?.token))
            });
            let now: Vec<_> = held.collect();
            sent.extend(now.iter().cloned());
            let from: Vec<_> = if holder { now.clone() } else { sent.iter().cloned().collect() };
            if from.is_empty() {
                continue;
            }
            let (on, mode, token) = which.get(&from).clone();
            let (fence, passed) = fences.entry(on.clone()).or_default();
            let pass = fence.pass(mode, token).is_ok();
            prop_assert!(pass || !now.contains(&(on, mode, token)), "{mode} {token:?} is a holder's");
            if pass {
                let excluded = passed.iter().find(|(other, later)| {
                    *later > token && !other.compatible(mode)
                });
                prop_assert!(excluded.is_none(), "{mode} {token:?} passed after {excluded:?}");
                passed.push((mode, token));
            }
        }
    }
}
