//! Histories that are known to be good or bad, as pictures.
//!
//! One client a line. `[w1   ]` is a write of 1 from the column of `[` to that of `]`; `r1` a read that saw 1; `s12` a swap
//! from 1 to 2 that was done, `n12` one that was refused. `..` in place of `]`: never answered. The register holds 0 first.

use ombak_base::{ClientId, Tick};

use super::super::*;
use super::STEPS;

type Registers = CasRegister<(), u64>;

fn draw(picture: &str) -> History<Registers> {
    let mut history = History::new();
    let lines = picture.lines().filter(|line| !line.trim().is_empty());
    for (client, line) in lines.enumerate() {
        for (start, _) in line.match_indices('[') {
            let rest = &line[start + 1..];
            let id = history.call(ClientId(client as u64), Tick(start as u64), call(rest));
            let end = rest.find([']', '.']).expect("an end");
            if rest.as_bytes()[end] == b']' {
                history.answer(id, Tick((start + 1 + end) as u64), answer(rest));
            }
        }
    }
    history
}

fn digit(text: &str, place: usize) -> u64 {
    u64::from(text.as_bytes()[place] - b'0')
}

fn call(text: &str) -> CasCall<(), u64> {
    match &text[..1] {
        "r" => CasCall::Read(()),
        "w" => CasCall::Write((), digit(text, 1)),
        _ => CasCall::Swap { key: (), expected: digit(text, 1), new: digit(text, 2) },
    }
}

fn answer(text: &str) -> CasAnswer<u64> {
    match &text[..1] {
        "r" => CasAnswer::Value(digit(text, 1)),
        "n" => CasAnswer::Differs,
        _ => CasAnswer::Done,
    }
}

fn good(picture: &str) {
    let history = draw(picture);
    let verdict = check(&Registers::starting_with(0), &history, STEPS);
    assert!(verdict.is_linearisable(), "{picture}\n{verdict}");
}

/// Returns the report.
fn bad(picture: &str) -> String {
    let history = draw(picture);
    match check(&Registers::starting_with(0), &history, STEPS) {
        Verdict::Broken(broken) => broken.to_string(),
        other => panic!("{picture}\n{other}"),
    }
}

#[test]
fn a_read_sees_the_write_before_it() {
    good(
        "
        [w1  ]
               [r1  ]",
    );
}

#[test]
fn a_stale_read_after_a_write_was_answered() {
    bad("
        [w1  ]
               [r0  ]");
}

#[test]
fn a_read_during_a_write_sees_old_or_new() {
    good(
        "
        [w1               ]
          [r0 ]   [r0 ]
                     [r1]",
    );
}

#[test]
fn two_reads_one_after_the_other_see_new_then_old() {
    bad("
        [w1               ]
          [r1 ]   [r0 ]");
}

#[test]
fn two_reads_at_the_same_time_may_see_new_and_old() {
    good(
        "
        [w1               ]
          [r1      ]
            [r0 ]",
    );
}

#[test]
fn two_readers_do_not_agree_in_which_order_two_writes_came() {
    bad("
        [w1                ]
        [w2                ]
                               [r1 ]  [r2 ]
                               [r2 ]  [r1 ]");
    bad("
        [w1                ]
        [w2                ]
           [r1 ]   [r2 ]
           [r2 ]   [r1 ]");
}

#[test]
fn a_value_comes_from_nowhere() {
    bad("
        [w1 ]  [r3 ]");
}

#[test]
fn a_value_is_seen_before_it_is_written() {
    bad("
               [w1 ]
        [r1 ]        [r1 ]");
}

#[test]
fn two_reads_cannot_bring_back_what_was_overwritten() {
    bad("
        [w1 ]  [w2 ]
                     [r2 ] [r1 ]");
}

#[test]
fn a_write_of_what_is_there_already_may_be_needed_later() {
    good(
        "
        [w1 ]  [w1        ]
                  [w2 ]      [r1 ]",
    );
}

#[test]
fn a_pending_write_may_never_have_happened() {
    good(
        "
        [w1 ..
               [r0 ]   [r0 ]",
    );
}

#[test]
fn a_pending_write_may_happen_long_after() {
    good(
        "
        [w1 ..
               [r0 ] [w2 ] [r2 ]  [r1 ]",
    );
}

#[test]
fn a_pending_write_is_seen_and_later_it_is_not() {
    bad("
        [w1 ..
               [r1 ]   [r0 ]");
}

#[test]
fn a_pending_write_happens_once() {
    bad("
        [w1 ..
               [r1 ] [w2 ] [r1 ]");
}

#[test]
fn a_pending_write_does_not_happen_before_its_call() {
    bad("
              [w1 ..
        [r1 ]");
}

#[test]
fn a_pending_swap_is_what_another_swap_stands_on() {
    good(
        "
        [s01 ..
               [s12 ]  [r2 ]",
    );
}

#[test]
fn a_pending_swap_that_cannot_have_happened() {
    bad("
        [w1 ]  [s02 ..
                       [r2 ]");
}

#[test]
fn of_two_swaps_from_the_same_value_one_is_done() {
    good(
        "
        [s01      ]
        [n02      ]  [r1 ]",
    );
    bad("
        [s01      ]
        [s02      ]  [r2 ]");
}

#[test]
fn a_refused_swap_shows_that_there_was_another_value() {
    bad("
        [n01 ]");
    good(
        "
        [w2   ..
           [n01 ]   [r2 ]",
    );
}

#[test]
fn what_ends_when_something_begins_is_at_the_same_time() {
    let mut history = History::<Registers>::new();
    let write = history.call(ClientId(1), Tick(1), CasCall::Write((), 1));
    history.answer(write, Tick(5), CasAnswer::Done);
    let read = history.call(ClientId(2), Tick(5), CasCall::Read(()));
    history.answer(read, Tick(6), CasAnswer::Value(0));
    assert!(check(&Registers::starting_with(0), &history, STEPS).is_linearisable());
}

#[test]
fn a_report_shows_the_longest_order_and_what_does_not_fit() {
    let report = bad("
        [w1 ]    [w2 ]        [r2 ]
               [r1      ]
                       [r3 ]");
    assert_eq!(
        report,
        "key (): no order explains what was seen
the longest order has 3 operations, 2 are left:
    0.000008s .. 0.000012s  c0  Write((), 1) -> Done
    0.000015s .. 0.000024s  c1  Read(()) -> Value(1)
    0.000017s .. 0.000021s  c0  Write((), 2) -> Done
after it: 2
one of these must come next, and none can:
    0.000023s .. 0.000027s  c2  Read(()) -> Value(3)"
    );
}

#[test]
fn a_search_that_is_cut_short_says_so() {
    let history = draw(
        "
        [w1 ]  [w2 ]
                     [r2 ] [r1 ]",
    );
    let verdict = check(&Registers::starting_with(0), &history, 2);
    assert_eq!(verdict.to_string(), "key (): undecided after 2 steps");
}

#[test]
fn a_broken_key_is_found_behind_one_that_takes_too_long() {
    let mut history = History::<Register<u64, u64>>::new();
    for at in 0..20 {
        let write = history.call(ClientId(at), Tick(0), Call::Write(1, at));
        history.answer(write, Tick(9), Answer::Done);
    }
    let read = history.call(ClientId(1), Tick(10), Call::Read(2));
    history.answer(read, Tick(11), Answer::Value(7));
    match check(&Register::starting_with(0), &history, 10) {
        Verdict::Broken(broken) => assert_eq!((broken.key, broken.unplaced.len()), (2, 1)),
        other => panic!("{other}"),
    }
}
