use ombak_base::Place;

use bytes::Bytes;
use ombak_base::{Address, Entry, Peek, Refused, Scan, Tick, Ticket};

use super::*;

fn cluster_of(nodes: usize) -> Members {
    let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
    founders(&Topology::fixed(&names, 64).unwrap())
}

#[test]
fn an_odd_number_votes_and_seven_at_most() {
    let voters = |nodes| cluster_of(nodes).voters().len();
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 12].map(voters), [1, 2, 3, 3, 5, 5, 7, 7, 7]);
    let twelve = cluster_of(12);
    assert_eq!(twelve.everybody().len(), 12);
    assert_eq!(twelve.learners.len(), 5);
}

/// A host that counts.
#[derive(Default)]
struct Counting(Vec<&'static str>);

impl Effects<Shard> for Counting {
    fn send(&mut self, _: Address, _: Message, _: Stamp) -> Result<(), Refused> {
        Ok(())
    }

    fn reply(&mut self, _: ClientId, _: Reply, _: Stamp) {}

    fn arm(&mut self, _: Timer, _: Tick) {}

    fn disarm(&mut self, _: Timer) {}

    fn choose(&mut self, _: u64) -> u64 {
        0
    }

    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {}

    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        Peek::Absent
    }

    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        Stamp::NONE
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn scan(&mut self, _: Ticket, _: Scan) {}

    fn probe(&mut self, _: &'static str) {}

    fn count(&mut self, place: Place) {
        self.0.push(place.name);
    }
}

#[test]
fn what_the_root_group_refuses_is_counted_and_nothing_else() {
    let (mut counting, mut stored) = (Counting::default(), Stamp::NONE);
    let mut fx = Within { fx: &mut counting, stored: &mut stored };
    let all: Vec<&str> = ombak_paxos::REFUSALS.iter().map(|(name, _)| *name).collect();
    all.iter().for_each(|name| Effects::<LockServer>::probe(&mut fx, name));
    Effects::<LockServer>::probe(&mut fx, "paxos: somebody leads");
    assert_eq!(counting.0, all);
}
