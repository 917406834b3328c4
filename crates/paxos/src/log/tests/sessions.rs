//! Sessions: what is kept, for how long, and how it is written.

use bytes::Bytes;
use proptest::prelude::*;

use super::{Journal, command};
use crate::golden::hex;
use crate::log::sessions::{Answer, Client, Limits, SessionId, Sessions, open, unnumbered};
use crate::log::{Slot, StateMachine};

const LIMITS: Limits = Limits { sessions: 2, window: 3, answer_bytes: 100 };

fn machine() -> Sessions<Journal> {
    Sessions::new(Journal::default(), LIMITS)
}

fn apply(machine: &mut Sessions<Journal>, bytes: &Bytes) -> Answer {
    Answer::decode(machine.apply(Slot(1), bytes)).unwrap()
}

fn opened(machine: &mut Sessions<Journal>) -> Client {
    match apply(machine, &open()) {
        Answer::Opened(session) => Client::new(session),
        other => panic!("{other:?}"),
    }
}

/// The answer of a journal: how many lines there are.
fn lines(count: u64) -> Answer {
    Answer::Applied(command(count))
}

#[test]
fn a_command_that_comes_again_is_answered_and_not_applied() {
    let mut machine = machine();
    let mut client = opened(&mut machine);
    let ((_, first), (_, second)) = (client.command(&command(10)), client.command(&command(20)));
    assert_eq!(apply(&mut machine, &second), lines(1), "in any order");
    assert_eq!(apply(&mut machine, &first), lines(2));
    assert_eq!(apply(&mut machine, &second), lines(1));
    let mut machine = Sessions::<Journal>::restore(machine.snapshot()).unwrap();
    assert_eq!(apply(&mut machine, &first), lines(2), "by a snapshot as well");
    assert_eq!(machine.state().lines, [20, 10]);
}

#[test]
fn what_the_client_has_is_forgotten() {
    let mut machine = machine();
    let mut client = opened(&mut machine);
    let (number, first) = client.command(&command(10));
    apply(&mut machine, &first);
    client.answered(number);
    let (_, second) = client.command(&command(20));
    assert_eq!(apply(&mut machine, &second), lines(2));
    assert_eq!(apply(&mut machine, &first), Answer::Past);
    assert_eq!(machine.state().lines, [10, 20]);
}

#[test]
fn a_session_has_a_window() {
    let mut machine = machine();
    let mut client = opened(&mut machine);
    let asked: Vec<_> = (0..4).map(|line| client.command(&command(line))).collect();
    assert_eq!(client.width(), 4);
    assert_eq!(apply(&mut machine, &asked[3].1), Answer::Full);
    for (place, (number, bytes)) in asked[..3].iter().enumerate() {
        assert_eq!(apply(&mut machine, bytes), lines(place as u64 + 1));
        client.answered(*number);
    }
    assert_eq!(client.width(), 1);
    assert_eq!(apply(&mut machine, &asked[3].1), Answer::Full, "it has not said so yet");
    let (_, fifth) = client.command(&command(4));
    assert_eq!(apply(&mut machine, &fifth), lines(4));
    assert_eq!(apply(&mut machine, &asked[3].1), lines(5));
}

#[test]
fn the_session_that_was_not_used_for_longest_makes_room() {
    let mut machine = machine();
    let (mut first, mut second) = (opened(&mut machine), opened(&mut machine));
    let (_, bytes) = first.command(&command(1));
    apply(&mut machine, &bytes);
    let mut third = opened(&mut machine);
    assert_eq!(machine.len(), 2);
    assert_eq!(apply(&mut machine, &second.command(&command(2)).1), Answer::SessionLost);
    assert_eq!(apply(&mut machine, &third.command(&command(3)).1), lines(2));
    assert_eq!(apply(&mut machine, &bytes), lines(1));
}

#[test]
fn answers_that_are_too_large_together_cost_the_oldest_session() {
    let mut machine = machine();
    let (mut first, mut second) = (opened(&mut machine), opened(&mut machine));
    // Each answer has 8 bytes, and 100 are kept: the twelfth goes, the thirteenth does not.
    for line in 0..12 {
        let client = if line % 2 == 0 { &mut first } else { &mut second };
        let (number, bytes) = client.command(&command(line));
        assert_eq!(apply(&mut machine, &bytes), lines(line + 1));
        client.answered(number);
    }
    assert_eq!(machine.len(), 2, "what was answered is not kept");
    let limits = Limits { answer_bytes: 20, ..LIMITS };
    let mut machine = Sessions::new(Journal::default(), limits);
    let (mut first, mut second) = (opened(&mut machine), opened(&mut machine));
    apply(&mut machine, &first.command(&command(1)).1);
    apply(&mut machine, &second.command(&command(1)).1);
    apply(&mut machine, &first.command(&command(1)).1);
    assert_eq!(apply(&mut machine, &second.command(&command(1)).1), Answer::SessionLost);
    assert_eq!(machine.len(), 1);
}

#[test]
fn sessions_have_these_bytes() {
    let mut client = Client::new(SessionId(300));
    let (number, _) = client.command(b"");
    client.answered(number);
    assert_eq!(hex(&client.command(b"x").1), "0102ac02020178");
    assert_eq!(hex(&open()), "0101");
    assert_eq!(hex(&unnumbered(b"x")), "010378");
    for (answer, golden) in [
        (Answer::Applied(Bytes::from_static(b"y")), "0179"),
        (Answer::Opened(SessionId(300)), "02ac02"),
        (Answer::SessionLost, "03"),
        (Answer::Past, "04"),
        (Answer::Full, "05"),
        (Answer::Unreadable, "06"),
    ] {
        assert_eq!(hex(&answer.encode()), golden, "{answer:?}");
        assert_eq!(Answer::decode(answer.encode()), Ok(answer));
    }
    let mut machine = machine();
    let mut client = opened(&mut machine);
    apply(&mut machine, &client.command(&command(9)).1);
    assert_eq!(hex(&machine.snapshot()), "01020364010201010200010108010000000000000009");
}

proptest! {
    #[test]
    fn any_snapshot_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(machine) = Sessions::<Journal>::restore(Bytes::from(bytes.clone())) {
            prop_assert_eq!(machine.snapshot().to_vec(), bytes);
        }
    }

    #[test]
    fn wounded_snapshots_are_read_or_refused(at in 0..22usize, byte: u8) {
        let mut machine = machine();
        let mut client = opened(&mut machine);
        apply(&mut machine, &client.command(&command(9)).1);
        let mut bytes = machine.snapshot().to_vec();
        bytes[at] = byte;
        if let Ok(machine) = Sessions::<Journal>::restore(Bytes::from(bytes.clone())) {
            prop_assert_eq!(machine.snapshot().to_vec(), bytes);
        }
    }

    /// Whatever comes, in whatever order and how often: bounds hold, a line of a session is there once, and a snapshot is the state.
    #[test]
    fn any_commands_keep_the_bounds(steps in prop::collection::vec((0..4u8, 0..5u64, 0..8u64, 0..8u64), 0..60)) {
        let mut machine = machine();
        for (kind, session, number, through) in steps {
            let line = session * 100 + number;
            let numbered = crate::log::sessions::numbered(SessionId(session), number, through, &command(line));
            let bytes = if kind == 0 { open() } else { numbered };
            machine.apply(Slot(1), &bytes);
            let restored = Sessions::<Journal>::restore(machine.snapshot()).unwrap();
            prop_assert_eq!(&restored, &machine);
            prop_assert!(machine.len() <= 2);
            let mut lines = machine.state().lines.clone();
            lines.sort_unstable();
            lines.dedup();
            prop_assert_eq!(lines.len(), machine.state().lines.len());
        }
    }
}
