//! What the lock manager does, as it would be told on a whiteboard. See [`script`](super::script) for the words.

use super::script::run;

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

#[test]
fn a_value_block_goes_from_holder_to_holder() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock r NL
        b#1 has NL token 2
    # Only who alone could change things writes, and only on the way down.
    b unlock 1 value v0
        b#2 is refused: Value
    a convert 1 EX value v1
        a#2 has EX token 1 value v1
    b convert 1 PR
        b#3 waits
    a convert 1 PR value v2
        a#3 has PR token 1 value v2
        b#3 has PR token 3 value v2
    a convert 1 EX nowait value v3
        a#4 is refused: Value
    a unlock 1 value v3
        a#5 is refused: Value
    a unlock 1
        a#6 unlocked
    c lock r PR
        c#1 has PR token 4 value v2
    c unlock 1
        c#2 unlocked
    b unlock 1
        b#4 unlocked
    # Nobody holds it: it is forgotten.
    c lock r PR
        c#3 has PR token 5
");
}

#[test]
fn a_value_block_is_in_doubt_when_its_writer_dies() {
    run("
    a open 10s
        a lives until 10s
    b open 20s
        b lives until 20s
    c open 60s
        c lives until 60s
    a lock r PW
        a#1 has PW token 1
    b lock r CR
        b#1 has CR token 2
    a convert 1 PW value v1
        a#2 has PW token 1 value v1
    after 10s
    b alive
        b lives until 30s
    tick
        a is expired
    b convert 1 PR
        b#2 has PR token 3 value v1 not valid
    # A reader that dies casts no doubt on anything; a writer that writes ends it.
    b convert 1 EX
        b#3 has EX token 4 value v1 not valid
    b convert 1 CR value v2
        b#4 has CR token 4 value v2
    c lock r EX
        c#1 waits
    c close
        c is closed
    b convert 1 PR
        b#5 has PR token 5 value v2
    after 20s
    tick
        b is expired
");
}

#[test]
fn a_child_lies_under_a_granted_lock_of_its_session() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock table CW
        a#1 has CW token 1
    a lock table/row EX under 1
        a#2 has EX token 2
    b lock table CW
        b#1 has CW token 3
    b lock table/row PR under 1
        b#2 waits
    b lock table/row PR
        b#3 is refused: NoParent
    b lock table PR under 1
        b#4 is refused: NoParent
    b lock other/row PR under 1
        b#5 is refused: NoParent
    b lock table/row PR under 9
        b#6 is refused: NoParent
    # Neither may the parent go first, nor is a parent that waits one.
    a unlock 1
        a#3 is refused: HasChildren
    b unlock 1
        b#7 is refused: HasChildren
    b lock table EX
        b#8 is refused: Deadlock
        deadlock: b#8 for b#1; b#8 gives way
    b lock table/row PR under 9
        b#9 is refused: NoParent
    a unlock 2
        a#4 unlocked
        b#2 has PR token 4
    a unlock 1
        a#5 unlocked
    b unlock 2
        b#10 unlocked
    b unlock 1
        b#11 unlocked
");
}

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
        deadlock: b#1 for a#1, a#1 for b#1; b#1 gives way
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
        deadlock: a#2 for c#1, c#2 for b#1, b#1 for a#1; a#2 gives way
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
fn a_session_that_expires_gives_up_what_it_has_and_waits_for() {
    run("
    a open 10s
        a lives until 10s
    b open 10s
        b lives until 10s
    c open 60s
        c lives until 60s
    a lock r EX
        a#1 has EX token 1
    b lock s EX
        b#1 has EX token 2
    b lock r EX
        b#2 waits
    c lock r EX
        c#1 waits
    c lock s PR
        c#2 waits
    after 10s
    # Both are overdue: b is not granted what a gives up.
    tick
        a is expired
        b is expired
        c#1 has EX token 3 value none not valid
        c#2 has PR token 4 value none not valid
    a lock r EX
        a#2 is refused: NoSession
    a alive
        a is refused: NoSession
    a open
        a lives until 20s
");
}

#[test]
fn a_lease_that_no_tick_has_ended_has_not_ended() {
    run("
    a open 10s
        a lives until 10s
    b open 10s
        b lives until 10s
    a lock r EX
        a#1 has EX token 1
    after 11s
    a alive
        a lives until 21s
    tick
        b is expired
    b lock r EX
        b#1 is refused: NoSession
");
}

#[test]
fn a_new_leader_gives_every_session_a_whole_lease() {
    run("
    a open 10s
        a lives until 10s
    b open 30s
        b lives until 30s
    a lock r EX
        a#1 has EX token 1
    b lock r EX
        b#1 waits
    after 20s
    leader
    tick
    after 10s
    tick
        a is expired
        b#1 has EX token 2 value none not valid
");
}

#[test]
fn a_request_that_comes_again_is_answered_and_not_repeated() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock r EX
        a#1 has EX token 1
    a again
        a#1 has EX token 1
    b lock r EX
        b#1 waits
    b again
        b#1 waits
    a unlock 1
        a#2 unlocked
        b#1 has EX token 2
    a again
        a#2 unlocked
    # It has been granted meanwhile, and that notice was lost.
    b again
        b#1 has EX token 2
    # What a says that it has is never asked for again.
    a has 2
    a again
        a#2 is refused: Forgotten
");
}

#[test]
fn holders_that_want_to_know_are_told_once() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    d open
        d lives until 10s
    a lock r PR notify
        a#1 has PR token 1
    b lock r PR
        b#1 has PR token 2
    c lock r EX
        c#1 waits
        a#1 blocks c#1, which wants EX
    d lock r EX notify
        d#1 waits
    # The block ends, and begins again.
    c cancel 1
        c#2 cancelled
        c#1 is refused: Cancelled
    d cancel 1
        d#2 cancelled
        d#1 is refused: Cancelled
    c lock r EX
        c#3 waits
        a#1 blocks c#3, which wants EX
    # Down, and still in the way.
    a convert 1 CR
        a#2 has CR token 1
        a#1 blocks c#3, which wants EX
    b unlock 1
        b#2 unlocked
    a unlock 1
        a#3 unlocked
        c#3 has EX token 3
    # Granted, and in the way at once.
    d lock r EX notify
        d#3 waits
    a lock r CR
        a#4 waits
    c unlock 3
        c#4 unlocked
        d#3 has EX token 4
        d#3 blocks a#4, which wants CR
    # To be refused in a deadlock disturbs nobody.
    a lock s EX notify
        a#5 has EX token 5
    d lock s EX
        d#4 is refused: Deadlock
        deadlock: d#4 for a#5, a#4 for d#3; d#4 gives way
");
}

#[test]
fn a_holder_is_not_in_the_way_of_its_own_conversion() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    c open
        c lives until 10s
    a lock r PR notify
        a#1 has PR token 1
    b lock r PR notify
        b#1 has PR token 2
    a convert 1 EX
        a#2 waits
        b#1 blocks a#1, which wants EX
    c lock r EX
        c#1 waits
        a#1 blocks c#1, which wants EX
    b unlock 1
        b#2 unlocked
        a#2 has EX token 3
        a#1 blocks c#1, which wants EX
");
}

#[test]
fn leases_and_requests_have_bounds() {
    run("
    a open 0s
        a is refused: Lease
    a open 3601s
        a is refused: Lease
    a open 3600s
        a lives until 3600s
    a lock r EX
        a#1 has EX token 1
    a skips 63
    # The first that is too far ahead; it is not taken as seen.
    a lock s EX
        a#65 is refused: TooFarAhead
    a has 1
    a again
        a#65 has EX token 2
    a has 65
    a again
        a#65 is refused: Forgotten
");
}
