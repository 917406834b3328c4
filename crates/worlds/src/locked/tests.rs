use ombak_paxos::locks::Value;

use super::*;

/// Of session and lock `owner`, on the first printer: asked and heard at these times.
fn told(owner: u64, mode: Mode, asked: u64, heard: u64) -> Told {
    let owner = Owner { session: SessionId(owner.into()), lock: owner };
    Told { printer: 0, owner, mode, asked: Tick(asked), heard: Tick(heard) }
}

fn block(text: &str) -> ValueBlock {
    ValueBlock { value: Value::new(text.as_bytes()).unwrap(), valid: true }
}

fn grant(locked: &mut Locked, told: Told, token: u64) -> usize {
    locked.granted(told, Token(token), &ValueBlock::default(), None)
}

fn rule(locked: &Locked) -> &'static str {
    locked.check().map_or_else(|broken| broken.rule, |()| "")
}

#[test]
fn who_excludes_another_is_not_there_at_the_same_time() {
    for (until, broken) in [(10, ""), (20, ""), (21, EXCLUDES)] {
        let mut locked = Locked::new(1);
        let one = grant(&mut locked, told(1, Mode::EX, 1, 2), 1);
        let two = grant(&mut locked, told(2, Mode::PR, 3, 20), 2);
        locked.held_until(one, Tick(until));
        locked.held_until(two, Tick(30));
        assert_eq!(rule(&locked), broken, "held until {until}");
    }
    let mut locked = Locked::new(1);
    for owner in [1, 2] {
        let held = grant(&mut locked, told(owner, Mode::PR, 1, 2), owner);
        locked.held_until(held, Tick(9));
    }
    assert_eq!(rule(&locked), "", "these go together");
}

#[test]
fn tokens_grow_from_one_grant_to_the_next() {
    for (token, asked, broken) in [(8, 5, ""), (6, 5, TOKENS), (7, 2, TOKENS), (6, 2, "")] {
        let mut locked = Locked::new(2);
        grant(&mut locked, told(1, Mode::EX, 1, 4), 7);
        let other = Told { printer: 1, ..told(2, Mode::EX, asked, 9) };
        grant(&mut locked, other, token);
        assert_eq!(rule(&locked), broken, "{token}, asked at {asked}");
    }
}

#[test]
fn a_weaker_mode_keeps_its_token_and_a_stronger_one_does_not() {
    for (mode, token, broken) in
        [(Mode::PR, 7, ""), (Mode::PR, 8, TOKENS), (Mode::EX, 7, TOKENS), (Mode::EX, 8, "")]
    {
        let mut locked = Locked::new(1);
        let before = grant(&mut locked, told(1, Mode::PW, 1, 2), 7);
        let block = ValueBlock::default();
        locked.granted(told(1, mode, 3, 4), Token(token), &block, Some(before));
        assert_eq!(rule(&locked), broken, "{mode} with {token}");
    }
}

/// The fence turns away who held the lock before. It must not turn away who holds it.
#[test]
fn a_fence_lets_through_who_holds_the_lock() {
    for (until, broken) in [(5, ""), (9, FENCE)] {
        let mut locked = Locked::new(1);
        let one = grant(&mut locked, told(1, Mode::CW, 1, 2), 1);
        // It cannot be granted beside the other one: its session was over, and nobody has told it.
        let two = grant(&mut locked, told(2, Mode::PR, 3, 4), 2);
        locked.used(two, Tick(6));
        locked.used(one, Tick(7));
        locked.held_until(one, Tick(until));
        assert_eq!(rule(&locked), broken, "held until {until}");
    }
}

/// Two that have the same token pass the same fence.
#[test]
fn what_changes_under_the_hands_of_a_holder_is_seen() {
    let mut locked = Locked::new(1);
    let one = grant(&mut locked, told(1, Mode::EX, 1, 2), 1);
    let two = grant(&mut locked, told(2, Mode::EX, 3, 4), 1);
    locked.used(one, Tick(5));
    locked.used(two, Tick(6));
    assert_eq!(rule(&locked), TOKENS);
    locked.used(one, Tick(7));
    assert_eq!(rule(&locked), WHOLE);
}

/// The first write is done at 10; the second is asked at 20 and done at 30, if it is.
fn with_writes(second: Option<u64>) -> Locked {
    let mut locked = Locked::new(1);
    for (asked, done) in [(5, Some(10)), (20, second)] {
        let write = locked.writes(0, Tick(asked));
        done.into_iter().for_each(|done| locked.has_written(write, Tick(done)));
    }
    locked
}

#[test]
fn a_value_block_shows_what_was_written_last() {
    for (shown, asked, heard, broken) in [
        ("0", 1, 3, VALUE), // not written yet
        ("0", 25, 40, ""),  // the second write was not done when this was asked
        ("0", 31, 40, VALUE),
        ("1", 31, 40, ""),
        ("1", 11, 19, VALUE),
        ("2", 31, 40, VALUE),
        ("x", 31, 40, VALUE),
        ("", 31, 40, ""), // maybe nobody held it for a while
    ] {
        let mut locked = with_writes(Some(30));
        locked.granted(told(1, Mode::CR, asked, heard), Token(1), &block(shown), None);
        assert_eq!(rule(&locked), broken, "{shown:?}, asked at {asked} and heard at {heard}");
    }
}

#[test]
fn a_write_that_was_not_answered_may_be_done_or_not() {
    for shown in ["0", "1"] {
        let mut locked = with_writes(None);
        locked.granted(told(1, Mode::CR, 31, 40), Token(1), &block(shown), None);
        assert_eq!(rule(&locked), "", "{shown}");
    }
}

#[test]
fn a_block_that_somebody_keeps_is_not_forgotten() {
    for (until, broken) in [(39, ""), (40, VALUE)] {
        let mut locked = with_writes(Some(30));
        let keeper = grant(&mut locked, told(9, Mode::NL, 1, 2), 1);
        locked.held_until(keeper, Tick(until));
        grant(&mut locked, told(1, Mode::CR, 31, 40), 2);
        assert_eq!(rule(&locked), broken, "kept until {until}");
    }
}

#[test]
fn a_block_that_is_uncertain_says_nothing() {
    let mut locked = with_writes(Some(30));
    let uncertain = ValueBlock { valid: false, ..block("0") };
    locked.granted(told(1, Mode::CR, 31, 40), Token(1), &uncertain, None);
    assert_eq!(rule(&locked), "");
}
