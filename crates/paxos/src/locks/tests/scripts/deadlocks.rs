//! Sessions that wait for each other.

use super::run;

#[test]
fn two_resources_in_two_orders() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock s EX
        b#1 has EX token 2
    a lock s EX
        a#2 waits
    b lock r EX
        b#2 is refused: Deadlock
        deadlock: b#2 for a#1, a#2 for b#1; b#2 gives way
    # b keeps what it has, until it thinks better of it.
    b unlock 1
        b#3 unlocked
        a#2 has EX token 3
");
}

#[test]
fn two_that_convert_wait_for_each_other() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock r PR
        a#1 has PR token 1
    b lock r PR
        b#1 has PR token 2
    a convert 1 EX
        a#2 waits
    b convert 1 EX
        b#2 is refused: Deadlock
        deadlock: b#1 behind a#1, a#1 for b#1; b#1 gives way
    b unlock 1
        b#3 unlocked
        a#2 has EX token 3
");
}

#[test]
fn a_session_can_wait_for_itself() {
    run("
    a open
        a lives until 10s
    a lock r EX
        a#1 has EX token 1
    a lock r PR
        a#2 is refused: Deadlock
        deadlock: a#2 for a#1; a#2 gives way
    a unlock 1
        a#3 unlocked
    a lock r PR
        a#4 has PR token 2
");
}

#[test]
fn a_circle_through_a_queue() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r PR
        a#1 has PR token 1
    b lock r EX
        b#1 waits
    c lock s EX
        c#1 has EX token 2
    # What a has would let c in, but b stands before it.
    c lock r PR
        c#2 waits
    a lock s EX
        a#2 is refused: Deadlock
        deadlock: a#2 for c#1, c#2 behind b#1, b#1 for a#1; a#2 gives way
");
}

#[test]
fn one_request_closes_two_circles() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock s PR
        b#1 has PR token 2
    c lock s PR
        c#1 has PR token 3
    b lock r CR
        b#2 waits
    c lock r CR
        c#2 waits
    # Without it, neither is one.
    a lock s EX
        a#2 is refused: Deadlock
        deadlock: a#2 for b#1, b#2 for a#1; a#2 gives way
    b unlock 1
        b#3 unlocked
");
}

#[test]
fn one_grant_closes_two_circles() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    d open
        d lives until 10s
    a lock r CR
        a#1 has CR token 1
    b lock r NL
        b#1 has NL token 2
    c lock s EX
        c#1 has EX token 3
    d lock t EX
        d#1 has EX token 4
    c lock r EX
        c#2 waits
    d lock r EX
        d#2 waits
    b lock s EX
        b#2 waits
    b lock t EX
        b#3 waits
    b convert 1 CR
        b#4 has CR token 5
        deadlock: b#2 for c#1, c#2 for b#1; b#2 gives way
        b#2 is refused: Deadlock
        deadlock: b#3 for d#1, d#2 for b#1; b#3 gives way
        b#3 is refused: Deadlock
");
}

#[test]
fn a_conversion_that_is_granted_at_once_closes_a_circle() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r CR
        a#1 has CR token 1
    b lock r NL
        b#1 has NL token 2
    c lock s EX
        c#1 has EX token 3
    # c waits for a alone; b, which waits for c, is in nobody's way.
    c lock r EX
        c#2 waits
    b lock s EX
        b#2 waits
    b convert 1 CR
        b#3 has CR token 4
        deadlock: b#2 for c#1, c#2 for b#1; b#2 gives way
        b#2 is refused: Deadlock
    a unlock 1
        a#2 unlocked
");
}

#[test]
fn who_waits_for_whom_is_explained() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    d open
        d lives until 10s
    a lock s EX
        a#1 has EX token 1
    b lock r PR
        b#1 has PR token 2
    c lock r PR
        c#1 has PR token 3
    c lock s CR
        c#2 waits
    b convert 1 EX
        b#2 waits
    d lock r CR
        d#1 waits
    d explain 1
        d#1 behind b#1
        b#1 for c#1
        c#2 for a#1
    b explain 1
        b#1 for c#1
        c#2 for a#1
    a explain 1
");
}
