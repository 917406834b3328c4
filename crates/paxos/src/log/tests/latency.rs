//! How long a decision takes: one round trip and one sync, and nothing more.

use ombak_sim::Faults;

use super::group::{Town, node};

const TRIP_US: u64 = 10_000;
const WRITE_US: u64 = 4_000;
/// From a write to what the machine hears of it.
const NOTICE_US: u64 = 300;

/// Where everything takes as long as it does, always. Links take so much to the leader's peers and back, its own disk less.
fn measured() -> Faults {
    Faults {
        delay_us: (TRIP_US, TRIP_US),
        write_us: (WRITE_US, WRITE_US),
        notice_us: (NOTICE_US, NOTICE_US),
        local_us: (0, 0),
        late_timer_us: (0, 0),
        ..Faults::calm()
    }
}

/// A window of one: each is asked for when the one before it has been answered.
#[test]
fn a_decision_takes_one_round_trip_and_one_sync() {
    for nodes in [3, 5] {
        let mut town = Town::new(nodes, nodes, 7);
        let leader = town.await_leader();
        town.run_for(3_000_000);
        town.world.set_faults(measured());
        town.run_for(3_000_000);
        assert_eq!(town.leader(), Some(leader));
        for _ in 0..20 {
            let (begun, line) = (town.now(), town.write(leader));
            assert!(town.run_until_soon(1_000_000, |town| town.told.contains(&line)));
            let took = town.now().since(begun);
            assert_eq!(took, TRIP_US + WRITE_US + NOTICE_US + TRIP_US);
        }
    }
}

/// Through another member: one round trip more.
#[test]
fn a_forwarded_one_takes_one_round_trip_more() {
    let mut town = Town::new(3, 3, 7);
    let leader = town.await_leader();
    town.run_for(3_000_000);
    town.world.set_faults(measured());
    town.run_for(3_000_000);
    let (begun, line) = (town.now(), town.write(node((leader.0 + 1) % 3)));
    assert!(town.run_until_soon(1_000_000, |town| town.told.contains(&line)));
    assert_eq!(town.now().since(begun), 4 * TRIP_US + WRITE_US + NOTICE_US);
}
