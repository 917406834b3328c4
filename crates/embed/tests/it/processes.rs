//! The examples as they are run: three processes each, of which the leader is killed.

use crate::support::{a_counter_keeps_what_was_acknowledged, a_leader_is_replaced, built};

#[test]
fn the_counter_keeps_what_was_acknowledged() {
    a_counter_keeps_what_was_acknowledged(built("examples/counter"));
}

#[test]
fn the_leader_is_replaced() {
    a_leader_is_replaced(built("examples/leader"));
}
