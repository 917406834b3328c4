//! Who is granted, who waits, who is next.

use super::run;

#[test]
fn readers_share_and_a_writer_waits() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r PR
        a#1 has PR token 1
    b lock r PR
        b#1 has PR token 2
    c lock r EX
        c#1 waits
    a unlock 1
        a#2 unlocked
    b unlock 1
        b#2 unlocked
        c#1 has EX token 3
");
}

#[test]
fn readers_that_keep_coming_do_not_starve_a_writer() {
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
    # It would go together with what a has, but b was here first.
    c lock r PR
        c#1 waits
    a unlock 1
        a#2 unlocked
        b#1 has EX token 2
    b unlock 1
        b#2 unlocked
        c#1 has PR token 3
");
}

#[test]
fn null_is_in_nobodys_way() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock r PR
        b#1 waits
    c lock r NL
        c#1 has NL token 2
    # A conversion up from there waits like any other, and before those that hold nothing.
    c convert 1 CR
        c#2 waits
    a unlock 1
        a#2 unlocked
        c#2 has CR token 3
        b#1 has PR token 4
");
}

#[test]
fn conversions_go_before_waiters_and_in_their_order() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    d open
        d lives until 10s
    a lock r PR
        a#1 has PR token 1
    b lock r CR
        b#1 has CR token 2
    c lock r CR
        c#1 has CR token 3
    d lock r EX
        d#1 waits
    b convert 1 PW
        b#2 waits
    c convert 1 PR
        c#2 waits
    # PR goes together with what a has, but b converts before c.
    a convert 1 CR
        a#2 has CR token 1
        b#2 has PW token 4
    b convert 1 CR
        b#3 has CR token 4
        c#2 has PR token 5
    c unlock 1
        c#3 unlocked
    a unlock 1
        a#3 unlocked
    b unlock 1
        b#4 unlocked
        d#1 has EX token 6
");
}

#[test]
fn a_conversion_does_not_wait_for_one_that_waits_for_it() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r NL
        a#1 has NL token 1
    b lock r PR
        b#1 has PR token 2
    a convert 1 EX
        a#2 waits
    # Behind a, it would wait for itself.
    b convert 1 EX
        b#2 has EX token 3
    b convert 1 PR
        b#3 has PR token 3
    c lock r NL
        c#1 has NL token 4
    # What c holds keeps a from nothing: c waits behind a.
    c convert 1 CR
        c#2 waits
    b unlock 1
        b#4 unlocked
        a#2 has EX token 5
    a unlock 1
        a#3 unlocked
        c#2 has CR token 6
");
}

#[test]
fn a_conversion_down_waits_for_nobody() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock r CW
        b#1 waits
    c lock r CR
        c#1 waits
    # CW and PR are no stronger and no weaker than each other: a takes more than it had, and gets another token.
    a convert 1 CW
        a#2 has CW token 1
        b#1 has CW token 2
        c#1 has CR token 3
    a convert 1 PR
        a#3 waits
    b unlock 1
        b#2 unlocked
        a#3 has PR token 4
    c unlock 1
        c#2 unlocked
");
}

#[test]
fn nowait_is_refused_and_leaves_nothing() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock r PR
        a#1 has PR token 1
    b lock r EX nowait
        b#1 is refused: WouldWait
    b lock r PR nowait
        b#2 has PR token 2
    b convert 2 EX nowait
        b#3 is refused: WouldWait
    b unlock 1
        b#4 is refused: NoLock
    b unlock 2
        b#5 unlocked
    a convert 1 EX nowait
        a#2 has EX token 3
");
}

#[test]
fn a_time_out_ends_with_a_tick_and_not_before() {
    run("
    a open 60s
        a lives until 60s
    b open 60s
        b lives until 60s
    c open 60s
        c lives until 60s
    a lock r EX
        a#1 has EX token 1
    b lock r EX within 3s
        b#1 waits
    c lock r CR within 3s
        c#1 waits
    after 2s
    tick
    after 7s
    # Late, but no tick has said so.
    a convert 1 CR
        a#2 has CR token 1
    b cancel 1
        b#2 cancelled
        b#1 is refused: Cancelled
        c#1 has CR token 2
    a convert 1 EX within 3s
        a#3 waits
    after 3s
    tick
        a#3 is refused: TimedOut
");
}

#[test]
fn what_waits_can_be_cancelled() {
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
    c lock r PR
        c#1 waits
    b cancel 1
        b#2 cancelled
        b#1 is refused: Cancelled
        c#1 has PR token 2
    b cancel 1
        b#3 is refused: NoLock
    c convert 1 EX
        c#2 waits
    c cancel 1
        c#3 cancelled
        c#2 is refused: Cancelled
    c cancel 1
        c#4 is refused: NotPending
    # To unlock a lock that waits is to take it back.
    b lock r EX
        b#4 waits
    b unlock 4
        b#5 unlocked
        b#4 is refused: Cancelled
    c convert 1 EX
        c#5 waits
    c unlock 1
        c#6 unlocked
        c#5 is refused: Cancelled
");
}
