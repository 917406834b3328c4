//! How sessions live and die, and requests that come twice.

use super::run;

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
fn a_session_that_is_opened_again_is_renewed() {
    run("
    a open 10s
        a lives until 10s
    a lock r EX
        a#1 has EX token 1
    # What was promised is kept.
    a open 5s
        a lives until 10s
    after 8s
    a alive
        a lives until 13s
    a unlock 1
        a#2 unlocked
    a close
        a is closed
    # Again, or never: it is not there.
    a close
        a is closed
    a alive
        a is refused: NoSession
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
    # A late copy that says less changes nothing.
    a has 1
    a again
        a#2 is refused: Forgotten
");
}

#[test]
fn what_waits_is_in_nobodys_way() {
    run("
    a open
        a lives until 10s
    b open
        b lives until 10s
    a lock r EX
        a#1 has EX token 1
    b lock r EX
        b#1 waits
    # It goes on meanwhile, further than it has room for answers.
    b skips 100
    b has 101 but 1
    b lock s EX
        b#102 has EX token 2
    b again 1
        b#1 waits
    a unlock 1
        a#2 unlocked
        b#1 has EX token 3
    # The notice was lost, and b has gone on.
    b has 102 but 1
    b unlock 102
        b#103 unlocked
    b again 1
        b#1 has EX token 3
    # One copy that says less, and one that has all.
    b has 0
    b again 1
        b#1 has EX token 3
    b has 103
    b again 1
        b#1 is refused: Forgotten
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
