//! What comes with a lock: a value block, children, word that somebody waits.

use super::run;

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
    # The parent may not go first, nor is a lock that waits a parent.
    a unlock 1
        a#3 is refused: HasChildren
    b unlock 1
        b#7 is refused: HasChildren
    c open
        c lives until 10s
    c lock table EX
        c#1 waits
    c lock table/row PR under 1
        c#2 is refused: NoParent
    a unlock 2
        a#4 unlocked
        b#2 has PR token 4
    a unlock 1
        a#5 unlocked
    b unlock 2
        b#8 unlocked
    b unlock 1
        b#9 unlocked
        c#1 has EX token 5
    c lock table/row PR under 1
        c#3 has PR token 6
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
