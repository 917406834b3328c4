use super::*;

const B: NodeId = NodeId(1);
const FROM_B: Address = Address { node: B, shard: ShardId(0) };

fn greeting(tick_ms: u64) -> Greeting {
    Greeting { boot: 7, tick: Tick::from_ms(tick_ms), link: 1 }
}

fn peers() -> Peers {
    let me = Address { node: NodeId(0), shard: ShardId(0) };
    Peers::new(me, 1, 1, (0..3).map(NodeId))
}

#[test]
fn a_peer_is_up_once_connected_and_heard() {
    let mut peers = peers();
    assert!(peers.is_up(NodeId(0)) && !peers.is_up(B));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    assert!(!peers.is_up(B));
    peers.connected(B, 1, Tick(1));
    assert!(peers.is_up(B), "heard a moment ago");
    assert!(peers.disconnected(B) && !peers.is_up(B));
}

#[test]
fn silence_makes_a_suspect_once_and_a_word_brings_it_back() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    assert!(peers.is_up(B));
    assert!(peers.suspect(Tick::from_ms(SUSPECT_MS - 1)).is_empty());
    assert_eq!(peers.suspect(Tick::from_ms(SUSPECT_MS)), [B]);
    assert!(peers.suspect(Tick::from_ms(SUSPECT_MS + 1)).is_empty());
    peers.heard(FROM_B, greeting(6), true, Tick::from_ms(SUSPECT_MS + 2));
    assert!(peers.is_up(B));
}

#[test]
fn a_fence_follows_the_receivers_clock_and_never_passes_the_window() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    assert_eq!(peers.fence(B, 100, Tick(0)), None);
    peers.heard(FROM_B, greeting(1_000), true, Tick::from_ms(50));
    let fence = peers.fence(B, 100, Tick::from_ms(60)).expect("heard");
    assert_eq!(fence, Fence { boot: 7, deadline: Tick::from_ms(1_110) });
    let long = peers.fence(B, u64::MAX / 2_000, Tick::from_ms(60)).expect("heard");
    assert_eq!(long.deadline, Tick::from_ms(1_000 + FENCE_WINDOW_MS));
}

#[test]
fn a_peer_is_up_once_all_of_its_shards_are_heard() {
    let mut peers = peers();
    peers.connected(B, 2, Tick(0));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    assert!(!peers.is_up(B), "its other shard may have no link to answer on");
    peers.heard(Address { node: B, shard: ShardId(1) }, greeting(5), true, Tick(1));
    assert!(peers.is_up(B));
    peers.heard(FROM_B, greeting(6), true, Tick::from_ms(SUSPECT_MS));
    assert_eq!(peers.suspect(Tick::from_ms(SUSPECT_MS + 1)), [B], "one shard has fallen silent");
}

#[test]
fn a_greeting_on_a_new_link_tells_that_answers_may_be_lost() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    let on = |link| Greeting { link, ..greeting(5) };
    assert!(!peers.heard(FROM_B, on(1), true, Tick(0)), "the first");
    assert!(!peers.heard(FROM_B, on(1), true, Tick(1)));
    assert!(peers.heard(FROM_B, on(2), true, Tick(2)));
    assert_eq!(peers.greeting(B, Tick(3)).link, 1, "our own first link");
}

#[test]
fn what_a_peer_said_before_its_link_broke_does_not_make_it_up_again() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    peers.disconnected(B);
    peers.connected(B, 1, Tick(1));
    assert!(!peers.is_up(B), "it may have been started again, and have no link to answer on yet");
    peers.heard(FROM_B, greeting(6), true, Tick(2));
    assert!(peers.is_up(B));
}

#[test]
fn a_greeting_from_a_new_boot_tells_that_answers_may_be_lost() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    let again = Greeting { boot: 8, ..greeting(1) };
    assert!(peers.heard(FROM_B, again, true, Tick(1)), "who was asked is no more");
    assert!(!peers.heard(FROM_B, again, true, Tick(2)));
}

/// A node that was cut off took part in decisions as soon as it was heard, by the bucket properties of before.
#[test]
fn a_peer_is_alive_but_not_up_until_we_have_learned_what_it_knows() {
    let mut peers = peers();
    peers.connected(B, 1, Tick(0));
    peers.heard(FROM_B, greeting(5), false, Tick(0));
    let state = |peers: &Peers| peers.iter().map(|(_, peer)| (peer.alive, peer.up)).next();
    assert_eq!(state(&peers), Some((true, false)));
    peers.learned(FROM_B, Tick(1));
    assert_eq!(state(&peers), Some((true, true)));
    // What it learns from now on is shown to us, and waits for us.
    peers.heard(FROM_B, greeting(6), false, Tick(2));
    assert_eq!(state(&peers), Some((true, true)));
    let silent = Tick::from_ms(SUSPECT_MS + 1);
    assert_eq!(peers.suspect(silent), [B]);
    peers.heard(FROM_B, greeting(7), false, silent);
    assert_eq!(state(&peers), Some((true, false)), "it may have learned something meanwhile");
    peers.heard(FROM_B, greeting(8), true, silent);
    assert_eq!(state(&peers), Some((true, true)));
}

/// A greeting of one shard found that the other had been silent for too long, and kept that to itself: requests went on waiting for the
/// peer, and as soon as the other shard spoke it was up, whatever it had missed.
#[test]
fn whoever_falls_silent_is_a_suspect_whatever_is_heard_in_between() {
    let mut peers = peers();
    let other = Address { node: B, shard: ShardId(1) };
    peers.connected(B, 2, Tick(0));
    peers.heard(FROM_B, greeting(5), true, Tick(0));
    peers.heard(other, greeting(5), true, Tick(0));
    let silent = Tick::from_ms(SUSPECT_MS);
    peers.heard(FROM_B, greeting(6), true, silent);
    assert_eq!(peers.suspect(silent), [B]);
    peers.heard(other, greeting(6), false, silent);
    peers.heard(FROM_B, greeting(7), true, silent);
    assert!(!peers.is_up(B), "the shard that was silent may have missed something");
    peers.learned(other, silent);
    assert!(peers.is_up(B));
}
