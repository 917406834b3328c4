//! Requests that overtake each other: what has not come is new when it does, once.

use super::super::limits::{ANSWERS_MAX, SESSION_LOCKS_MAX};
use super::*;

struct Client {
    manager: LockManager,
}

impl Client {
    fn new() -> Client {
        let mut manager = LockManager::default();
        let open =
            Command::Open { session: session('a'), lease_us: 1_000_000, about: Value::default() };
        apply(&mut manager, LogTime(0), &open);
        Client { manager }
    }

    /// Takes a lock of this number, and says whether it was granted, or why not.
    fn lock(&mut self, number: u64, have: Have) -> Result<Token, Refused> {
        let path = Path::new([format!("r{number}")]).unwrap();
        let (mode, wait) = (Mode::EX, Wait::No);
        let request = Request::Lock { path, under: None, mode, wait, notify: false };
        let call = Command::Call { session: session('a'), number, have, request };
        let mut notices = apply(&mut self.manager, LogTime(0), &call);
        match notices.swap_remove(0) {
            Notice::Answer { answer: Answer::Granted { token, .. }, .. } => Ok(token),
            Notice::Answer { answer: Answer::Refused(why), .. } => Err(why),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_was_overtaken_is_done_once_when_it_comes() {
    let mut client = Client::new();
    let late = || Have::all_but(2, [2]);
    assert_eq!(client.lock(1, 0.into()), Ok(Token(1)));
    assert_eq!(client.lock(3, late()), Ok(Token(2)));
    assert_eq!(client.lock(2, 1.into()), Ok(Token(3)));
    assert_eq!(client.lock(2, 1.into()), Ok(Token(3)));
    // It was heard of here, and is forgotten only when the client says so.
    assert_eq!(client.lock(4, Have::all_but(3, [2])), Ok(Token(4)));
    assert_eq!(client.lock(2, 1.into()), Ok(Token(3)));
    assert_eq!(client.lock(3, late()), Err(Refused::Forgotten));
    assert_eq!(client.lock(5, 4.into()), Ok(Token(5)));
    assert_eq!(client.lock(2, 1.into()), Err(Refused::Forgotten));
    client.manager.check();
}

/// As long as one has not come, all that come after it are kept, and there is an end to that.
#[test]
fn what_does_not_come_holds_up_the_others_and_then_lets_them_go() {
    let mut client = Client::new();
    for number in 2..=ANSWERS_MAX {
        client.lock(number, Have::all_but(number - 1, [1])).unwrap();
    }
    let next = ANSWERS_MAX + 1;
    let late = || Have::all_but(next - 1, [1]);
    assert_eq!(client.lock(next, late()), Err(Refused::TooFarAhead));
    assert!(client.lock(1, 0.into()).is_ok());
    assert!(client.lock(next, late()).is_ok());
    client.manager.check();
}

#[test]
fn numbers_that_are_kept_have_an_end() {
    let mut client = Client::new();
    let kept = SESSION_LOCKS_MAX as u64;
    // Not so many locks are granted, but a refusal is an answer like any other.
    let ends = (1..=kept + 2 * ANSWERS_MAX).find(|number| {
        let answer = client.lock(*number, Have::all_but(number - 1, 1..*number));
        answer == Err(Refused::TooFarAhead)
    });
    assert_eq!(ends, Some(kept + ANSWERS_MAX + 1));
    client.manager.check();
}

/// A late request that says that it is missing itself: that it has come changes nothing when it comes again.
#[test]
fn a_request_that_names_itself_as_open_is_applied_once() {
    let mut client = Client::new();
    let have = || Have::all_but(3, [1]);
    assert_eq!(client.lock(1, have()), Ok(Token(1)));
    let once = client.manager.clone();
    assert_eq!(client.lock(1, have()), Ok(Token(1)));
    assert_eq!(client.manager, once);
    client.manager.check();
}
