use ombak_base::Tick;

use super::*;

fn lost(sent: bool) -> Failure {
    Failure::Lost { sent, why: "reset".into() }
}

#[test]
fn what_was_not_begun_is_tried_again_and_what_may_have_been_done_is_not() {
    for repeatable in [false, true] {
        let busy = refused("overload".into(), true).next(repeatable);
        assert_eq!(busy, Next::Again(Error::Unavailable("overload".into())));
        assert!(matches!(lost(false).next(repeatable), Next::Again(Error::Unavailable(_))));
        let down = Failure::NoConnection(Refusal::Down(Tick(1))).next(repeatable);
        assert!(matches!(down, Next::Elsewhere(Error::Unavailable(_))));
    }
    assert_eq!(lost(true).next(true), Next::Again(Error::Timeout));
    assert_eq!(lost(true).next(false), Next::Stop(Error::Unknown("reset".into())));
    assert_eq!(Failure::NoConnection(Refusal::Ended).next(true), Next::Stop(Error::Closed));
}

#[test]
fn a_nodes_words_have_types() {
    let answered = |text: &str, is_write| match refused(text.into(), is_write) {
        Failure::Answered(error) => error,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(answered("timeout", false), Error::Timeout);
    assert!(matches!(answered("timeout", true), Error::Unknown(_)));
    assert!(matches!(answered("{w_val_unsatisfied,3,2}", true), Error::Replicas(_)));
    let listing = "{error,insufficient_vnodes_available}";
    assert!(matches!(answered(listing, false), Error::Replicas(_)));
    assert!(matches!(answered("match_found", true), Error::Condition(_)));
    assert!(matches!(answered("Key cannot be zero-length", true), Error::Refused(_)));
    assert!(matches!(refused("all_nodes_down".into(), true), Failure::NotBegun(_)));
}
