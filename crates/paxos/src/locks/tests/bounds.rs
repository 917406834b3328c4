//! There is an end to everything, and what is refused there leaves nothing behind.

use super::super::limits::{SESSION_LOCKS_MAX, SESSIONS_MAX, WAITERS_MAX};
use super::*;

struct Client<'a> {
    manager: &'a mut LockManager,
    session: SessionId,
    asked: u64,
}

impl Client<'_> {
    fn open(manager: &mut LockManager, id: u128) -> (Client<'_>, SessionState) {
        let session = SessionId(id);
        let open = Command::Open { session, lease_us: 1_000_000, about: Value::default() };
        let state = match apply(manager, LogTime(0), &open).pop() {
            Some(Notice::Session { state, .. }) => state,
            other => panic!("{other:?}"),
        };
        (Client { manager, session, asked: 0 }, state)
    }

    fn lock(&mut self, name: String, mode: Mode) -> Answer {
        let path = Path::new([name]).unwrap();
        let request = Request::Lock { path, under: None, mode, wait: Wait::Forever, notify: false };
        let (session, have) = (self.session, self.asked.into());
        self.asked += 1;
        let call = Command::Call { session, number: self.asked, have, request };
        match apply(self.manager, LogTime(0), &call).swap_remove(0) {
            Notice::Answer { answer, .. } => answer,
            other => panic!("{other:?}"),
        }
    }
}

/// What does not fit is refused, and the state is as it was.
fn refuses(client: &mut Client<'_>, name: &str, mode: Mode, bound: Bound) {
    let (locks, places, tokens) =
        (client.manager.locks, client.manager.places, client.manager.tokens);
    assert_eq!(client.lock(name.to_owned(), mode), Answer::Refused(Refused::Full(bound)));
    let manager = &client.manager;
    assert_eq!((locks, places, tokens), (manager.locks, manager.places, manager.tokens));
    manager.check();
}

#[test]
fn sessions() {
    let mut manager = LockManager::default();
    for id in 0..SESSIONS_MAX as u128 {
        Client::open(&mut manager, id);
    }
    let (_, state) = Client::open(&mut manager, u128::MAX);
    assert_eq!(state, SessionState::Refused(Refused::Full(Bound::Sessions)));
    // One that is there is renewed all the same.
    let (_, state) = Client::open(&mut manager, 0);
    assert_eq!(state, SessionState::Live { until: LogTime(1_000_000) });
    manager.check();
}

#[test]
fn locks_of_a_session() {
    let mut manager = LockManager::default();
    let (mut client, _) = Client::open(&mut manager, 1);
    for i in 0..SESSION_LOCKS_MAX {
        client.lock(format!("r{i}"), Mode::EX);
    }
    refuses(&mut client, "more", Mode::EX, Bound::SessionLocks);
}

#[test]
fn waiters_for_a_resource() {
    let mut manager = LockManager::default();
    for id in 0..=WAITERS_MAX as u128 {
        Client::open(&mut manager, id).0.lock("r".to_owned(), Mode::EX);
    }
    let (mut last, _) = Client::open(&mut manager, u128::MAX);
    refuses(&mut last, "r", Mode::EX, Bound::Waiters);
    // NL waits for nobody.
    assert!(matches!(last.lock("r".to_owned(), Mode::NL), Answer::Granted { .. }));
}
