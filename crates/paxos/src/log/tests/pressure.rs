//! More is asked for than is decided: what waits has bounds, and whoever comes then is told so at once.

use bytes::Bytes;
use ombak_base::ClientId;

use super::command;
use super::script::{A, B, C, Cast};
use crate::log::{Ask, COMMAND_BYTES_MAX, Outcome, PIPELINE, QUEUE_BYTES_MAX, WAITING_MAX};

/// A command of so many bytes that says this line.
fn long(line: u64, bytes: usize) -> Bytes {
    let mut command = command(line).to_vec();
    command.resize(bytes, 0);
    command.into()
}

fn ask(cast: &mut Cast, line: u64, command: Bytes) -> bool {
    let before = cast.answered(A).len();
    cast.with(A, |replica, now, desk| {
        replica.request(now, ClientId(line), Ask::Propose(command), desk);
    });
    let answers = &cast.answered(A)[before..];
    assert!(answers.iter().all(|outcome| *outcome == Outcome::Busy), "{answers:?}");
    answers.is_empty()
}

#[test]
fn a_leader_whom_nobody_answers_takes_so_many_bytes_and_refuses_the_rest() {
    let mut cast = Cast::with_lease(None);
    cast.elect_a();
    let bytes = COMMAND_BYTES_MAX / 4;
    let taken =
        (1..200).take_while(|line| ask(&mut cast, *line, long(*line, bytes))).count() as u64;
    let (queue, under_way) = (QUEUE_BYTES_MAX, PIPELINE as usize * COMMAND_BYTES_MAX);
    let held = taken as usize * bytes;
    assert!((queue - bytes..=queue + under_way).contains(&held), "{held} bytes wait");
    assert!(!ask(&mut cast, 0, long(0, bytes)), "there is no room yet");
    assert!(ask(&mut cast, taken + 1, command(taken + 1)), "what is small still fits");

    // One of them answers: all that was taken is decided, in order, and nothing else.
    while cast.lines(A).len() < taken as usize + 1 {
        cast.exchange(A, B);
    }
    assert_eq!(cast.lines(A), (1..=taken + 1).collect::<Vec<_>>());
    assert!(ask(&mut cast, taken + 2, long(taken + 2, bytes)), "there is room again");
}

#[test]
fn who_knows_no_leader_lets_so_many_wait() {
    let mut cast = Cast::with_lease(None);
    let taken = (0..10_000).take_while(|line| ask(&mut cast, *line, command(*line))).count();
    assert_eq!(taken, WAITING_MAX);
    cast.elect_a();
    while cast.lines(A).len() < taken {
        cast.exchange(A, B);
        cast.exchange(A, C);
    }
    assert_eq!(cast.lines(A), (0..taken as u64).collect::<Vec<_>>());
    let done = cast.answered(A).iter().filter(|outcome| **outcome != Outcome::Busy).count();
    assert_eq!(done, taken);
}
