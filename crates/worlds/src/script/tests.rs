use proptest::prelude::*;

use super::*;
use crate::{Schedule, record_seed, run_script, run_seed};

/// What was recorded is a run of its own, which does exactly what the seed did; and so does its text.
#[test]
fn a_recorded_seed_is_the_same_run() {
    // In the last two, a log is damaged.
    for seed in [1, 2, 3, 11, 10, 12] {
        let script = record_seed(seed).unwrap();
        assert!(script.actions.len() > 100 && script.decisions.len() > 1_000);
        let read: Script = script.to_string().parse().unwrap();
        assert!(read == script, "seed {seed} is not read as it was written");
        assert_eq!(run_script(&read), run_seed(seed, 0));
    }
}

const SMALL: &str = "\
ombak schedule 2
seed 7 -- where values come from
nodes 3 shards 1 partitions 8
room ops 4 unsynced 20 waiting 2
9.000000 client 0 n0.s0 put k0 w=2 node-confirms=2
9.100000 cut n0 n1,n2
9.200000 client 1 n1.s0 get k0 r=quorum notfound-ok=false
9.300000 crash n1
9.500000 start n1 clock=-2000
9.600000 rot n2 7
9.700000 misdirect n2 3 11
9.800000 older n2 rate=-10
10.000000 healed
9.000000 n0.s0>n1.s0 delay 5000
9.000000 #2 n0.s0>n2.s0 drop
9.300000 n1 survive 99
end
";

#[test]
fn a_script_written_by_hand_is_run() {
    let script: Script = SMALL.parse().unwrap();
    assert_eq!(script.actions.len(), 8);
    assert_eq!(script.decisions.len(), 3);
    let report = run_script(&script).unwrap();
    assert_eq!(report, run_script(&script).unwrap());
}

/// Where a disk is damaged is said in a word; without one, in the vnodes' files.
#[test]
fn damage_has_a_place() {
    let with = |to: &str| SMALL.replace("rot n2 7", to).parse::<Script>();
    for line in ["rot n2 log 7", "rot n2 pages 7", "misdirect n2 log 3 7", "misdirect n2 pages 3 7"]
    {
        let script = with(line).unwrap();
        assert!(script.to_string().contains(line), "{script}");
        assert!(run_script(&script).is_ok(), "{line}");
    }
    let refused = with("rot n2 attic 7").unwrap_err().to_string();
    assert_eq!(refused, "line 10: \"attic\" is no part of a disk: log or pages");
}

const LOCKING: &str = "\
ombak schedule 2
seed 7
nodes 3 shards 1 partitions 8
root-group
9.200000 client 7 n2.s0 session 3000
9.300000 client 7 n2.s0 lock p0 EX wait=500 writes
9.400000 client 7 n1.s0 again
9.500000 client 7 n1.s0 use p0
9.600000 client 8 n1.s0 session 3000
9.700000 client 8 n1.s0 lock p0 PR
9.800000 client 7 n1.s0 unlock p0 writes
9.900000 client 8 n1.s0 lock p0 PR
10.000000 healed
end
";

#[test]
fn a_script_about_locks_is_run() {
    let script: Script = LOCKING.parse().unwrap();
    assert_eq!(script.to_string(), LOCKING);
    // Those of the clients, and those of a new one through each node.
    assert_eq!(run_script(&script).unwrap().grants, 2 + 3 * 3);
    for (from, to, error) in [
        ("p0 EX", "p3 EX", "line 6: p3: there are 3 printers"),
        ("p0 EX", "p0 XE", "line 6: \"XE\" is no mode"),
        ("wait=500", "wait=x", "line 6: \"x\" is no number"),
        ("p0 writes", "p0 reads", "line 11: \"reads\" means nothing here"),
        ("again", "agin", "line 7: \"agin\" is nothing that a client asks"),
    ] {
        let found = refused(&LOCKING.replace(from, to));
        assert!(found.starts_with(error), "{to}: {found}");
    }
}

/// The line, and a text that says what is wrong with it.
fn refused(script: &str) -> String {
    script.parse::<Script>().unwrap_err().to_string()
}

#[test]
fn what_is_no_script_is_refused_with_its_line() {
    let with = |from: &str, to: &str| refused(&SMALL.replace(from, to));
    for (from, to, error) in [
        ("schedule 2", "schedule 9", "line 1: this is \"ombak schedule 9\"; this program reads"),
        ("ombak schedule 2", "seed 1", "line 1: a schedule begins with"),
        ("seed 7", "seed x", "line 2: \"x\" is no number"),
        ("nodes 3", "nodes 99", "line 3: 1 to 16 nodes"),
        ("partitions 8", "partitions 7", "line 3: 7 partitions: a power of two"),
        (
            "9.000000 client",
            "nine client",
            "line 5: \"nine client 0 n0.s0 put k0 w=2 node-confirms=2\" is no line",
        ),
        ("9.000000 client", "9.0 client", "line 5: \"9.0\" is no time"),
        ("put k0", "put k99", "line 5: k99: there are 15 keys"),
        ("room ops 4", "room ops 0", "line 4: room for 1 to 8192, 65536 and 16384, please"),
        ("confirms=2", "confirms=all", "line 5: \"all\" is no number"),
        ("w=2", "v=2", "line 5: \"v=2\" means nothing here"),
        ("n1,n2", "n1,n3", "line 6: n3: there are 3 nodes"),
        ("9.100000", "8.100000", "line 6: 8.100000 is before the line above it"),
        ("crash n1", "crush n1", "line 8: \"crush n1\" is nothing that can be done"),
        ("10.000000 healed\n", "", "line 13: 9.000000 is before the line above it"),
        (
            "n2.s0 drop",
            "n2.s0 dropp",
            "line 15: \"dropp\" is nothing that is decided of n0.s0>n2.s0",
        ),
        ("clock=-2000", "clock=-9999999999", "line 9: 9999999999 µs: nothing takes longer"),
        (
            "clock=-2000",
            "rate=9223372036854775807",
            "line 9: 9223372036854775807: a clock is wrong",
        ),
        ("rot n2 7", "rot n2", "line 10: \"rot n2\" is nothing that can be done"),
        ("misdirect n2 3", "misdirect n2 x", "line 11: \"x\" is no number"),
        ("older n2", "older n3", "line 12: n3: there are 3 nodes"),
        ("delay 5000", "delay 99999999999", "line 14: 99999999999 µs: nothing takes longer"),
    ] {
        let found = with(from, to);
        assert!(found.starts_with(error), "{to}: {found}");
    }
    let end = SMALL.find("9.000000 n0").unwrap();
    let error = "line 13: the schedule ends here, and has no \"end\": it was cut short";
    assert_eq!(refused(&SMALL[..end]), error);
    let error = "line 4: the schedule ends here, and has no \"… healed\"";
    assert_eq!(refused("ombak schedule 2\nseed 1\nnodes 3 shards 1 partitions 8\nend\n"), error);
    assert_eq!(refused(""), "line 1: a schedule begins with \"ombak schedule 2\"");
}

/// Wherever a script is cut, the error names a line of what is left.
#[test]
fn a_script_that_was_cut_short_is_refused() {
    for text in [SMALL, LOCKING] {
        // Without the end of its last line it is whole.
        for end in 0..text.len() - 1 {
            let cut = &text[..end];
            let Err(error) = cut.parse::<Script>() else { panic!("read: {cut}") };
            assert!((1..=cut.lines().count().max(1)).contains(&error.line), "{error}: {cut}");
        }
        assert_eq!(text.trim_end().parse::<Script>(), text.parse());
    }
}

/// The first version had no last line: what was written then is read as it was.
#[test]
fn a_script_of_the_first_version_is_read() {
    let first = SMALL.replace("schedule 2", "schedule 1").replace("\nend\n", "\n");
    assert_eq!(first.parse::<Script>(), SMALL.parse());
    let with_end = SMALL.replace("schedule 2", "schedule 1");
    assert_eq!(refused(&with_end), "line 17: \"end\" is no line of a schedule");
}

#[test]
fn what_is_said_twice_is_refused() {
    let header =
        "tombstones keep\nbackend btree\nroot-group\npartitions-lose\nwrong-clocks\nnew-epoch\n";
    let small = SMALL.replacen("9.000000", &format!("{header}9.000000"), 1);
    assert!(small.parse::<Script>().is_ok());
    for (line, text) in small.lines().enumerate().skip(1) {
        // What is done can be done twice.
        if text.starts_with(|first: char| first.is_ascii_digit()) && !text.ends_with("healed") {
            continue;
        }
        let twice = small.replacen(&format!("\n{text}\n"), &format!("\n{text}\n{text}\n"), 1);
        let (line, word) = (line + 2, text.trim_start_matches("10.000000 ").split(' ').next());
        let error = match text {
            "end" => format!("line {line}: nothing follows \"end\""),
            _ => format!("line {line}: \"{}\" is said in a line above already", word.unwrap()),
        };
        assert_eq!(refused(&twice), error);
    }
    let again = "9.000000 n0.s0>n1.s0 delay 5000\n9.000000 n0.s0>n1.s0 delay 6\n";
    let twice = SMALL.replace("9.000000 n0.s0>n1.s0 delay 5000\n", again);
    assert_eq!(refused(&twice), "line 15: this is decided in a line above already");
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let mut bytes = SMALL.as_bytes().to_vec();
    assert_eq!(Schedule::read(&bytes), SMALL.parse());
    let at = SMALL.find("nodes").unwrap();
    bytes[at] = 0xff;
    let error = Schedule::read(&bytes).unwrap_err().to_string();
    assert_eq!(error, "line 3: this is no text: its bytes are no UTF-8");
}

/// Where a decision is of something that never comes, whoever wrote it is told.
#[test]
fn decisions_that_nothing_came_to_are_told() {
    let played = |text: &str| crate::play_script(&text.parse().unwrap(), crate::Kept::default());
    let late = "3000.000000 n2.s0>n1.s0 drop";
    let left = played(&SMALL.replace("\nend\n", &format!("\n{late}\nend\n"))).left_over;
    assert_eq!(left.last().map(String::as_str), Some(late));
    assert_eq!(left.len(), played(SMALL).left_over.len() + 1);
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "(ombak schedule 2\n)?([ -~]{0,40}\n){0,8}") {
        let _ = text.parse::<Script>();
    }

    /// Changed by a careless hand.
    #[test]
    fn any_change_is_read_or_refused(at in 0..SMALL.len(), with in "[ -~\n]{0,4}") {
        let mut text = SMALL.to_string();
        text.replace_range(at..at + 1, &with);
        if let Ok(script) = text.parse::<Script>() {
            prop_assert_eq!(script.to_string().parse::<Script>(), Ok(script));
        }
    }
}
/// Whatever a readable script asks for, it ends with a word and not with a panic.
#[test]
fn odd_clusters_and_odd_actions_end_with_a_word() {
    let odd = "4.000000 start n0 clock=3600000000 rate=-500000\n4.000000 cut n0 n0\n4.100000 wipe n0\n4.100000 wipe n0\n\
        4.150000 rot n0 7\n4.150000 rot n0 pages 7\n4.150000 misdirect n0 0 7\n4.150000 older n0\n\
        4.200000 pause n0\n4.200000 crash n0\n4.200000 resume\n4.300000 reset n0 n0\n4.300000 one-way n0 n0\n\
        4.300000 client 63 n0.s0 list buckets\n4.400000 turn b0 n0.s0\n4.400000 fill n0 0\n4.500000 slow n0 n0 1\n";
    for nodes in [1, 2, 3, 16] {
        let text = format!(
            "ombak schedule 2\nseed 1\nnodes {nodes} shards 1 partitions 8\n{odd}5.000000 healed\nend\n"
        );
        let script: Script = text.parse().unwrap();
        let property = |failure: &crate::Failure| failure.rule == crate::run::PROPERTY;
        assert!(!run_script(&script).is_err_and(|failure| property(&failure)), "{nodes} nodes");
    }
}
