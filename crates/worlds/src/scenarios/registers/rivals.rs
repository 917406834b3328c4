//! Many who change one register all the time: nobody is in anybody's way for long.

use super::*;

/// What a writer was told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Tally {
    done: u64,
    /// It may have been done, or was not.
    in_doubt: u64,
    /// The longest that one change has taken.
    longest_us: u64,
}

/// Each of five nodes has a client that changes one register, and again when it is answered and has thought for up to so long.
fn rivals(seed: u64, sets: bool, think_us: u64) -> (Office, Vec<Tally>) {
    let mut office = Office::new(5, seed);
    let mut rng = Rng::new(seed);
    let mut tallies = vec![Tally::default(); 5];
    let mut asked = BTreeMap::new();
    let mut next = [office.world.now(); 5];
    let until = office.world.now() + 10 * SECOND;
    while office.world.now() < until {
        for node in 0..5 {
            if next[node as usize] > office.world.now() {
                continue;
            }
            let client = match sets {
                true => office.set(NodeId(node), &key(1)),
                false => office.compare_and_set(NodeId(node), &key(1)),
            };
            asked.insert(client, (node as usize, office.world.now()));
            next[node as usize] = until;
        }
        office.world.run_for(1_000);
        for reply in office.world.take_replies() {
            office.world.finish(reply.client);
            let (node, at) = asked.remove(&reply.client).unwrap();
            let of = office.asked.remove(&reply.client).unwrap();
            let Heard::Reply(Reply::Register(reply)) = reply.heard else { panic!("{reply:?}") };
            let tally = &mut tallies[node];
            match &reply {
                RegisterReply::Answer(Outcome::Done(_)) => tally.done += 1,
                RegisterReply::Answer(Outcome::Differs(_)) => {}
                _ => tally.in_doubt += 1,
            }
            tally.longest_us = tally.longest_us.max(office.world.now().since(at));
            next[node] = office.world.now() + rng.below(think_us + 1);
            office.hear(of, reply);
        }
    }
    (office, tallies)
}

/// One of them made 11,500 changes, in one round trip each; the others, who need two, made 30 to 200 and waited for up to 4 s. Of what
/// these asked, a fifth ended in doubt.
#[test]
fn five_writers_of_one_register_all_get_on() {
    let (office, tallies) = rivals(1, true, 0);
    let done = tallies.iter().map(|tally| tally.done);
    let (least, most) = (done.clone().min().unwrap(), done.max().unwrap());
    assert!(least >= 1_000 && most < 2 * least, "{tallies:?}");
    let is_sure = |tally: &Tally| tally.in_doubt <= 1 && tally.longest_us < SECOND / 10;
    assert!(tallies.iter().all(is_sure), "{tallies:?}");
    office.check_history();
}

/// Whoever compares can be too late each time; whoever thinks for a while is not.
#[test]
fn five_that_compare_and_set_one_register_all_get_on() {
    let (office, tallies) = rivals(1, false, 20_000);
    assert!(tallies.iter().all(|tally| tally.done >= 50 && tally.in_doubt == 0), "{tallies:?}");
    office.check_history();
}

/// Whom others gave way to dies: they go on by themselves.
#[test]
fn who_gave_way_goes_on_when_the_other_dies() {
    for seed in 0..5 {
        let mut office = Office::new(3, seed);
        for dead in 0..3 {
            for _ in 0..20 {
                for node in 0..3 {
                    office.set(NodeId(node), &key(1));
                }
                office.run_for(SECOND / 50);
            }
            office.world.crash(NodeId(dead));
            office.run_for(2 * SECOND);
            for node in (0..3).filter(|node| *node != dead) {
                let before = office.done;
                office.set(NodeId(node), &key(1));
                office.run_for(SECOND / 4);
                assert_eq!(office.done, before + 1, "seed {seed}: {:?}", office.failed);
            }
            office.world.restart(NodeId(dead)).unwrap();
            office.run_for(5 * SECOND);
        }
        office.converge();
    }
}

/// Whom others gave way to has lost its registers, and says that it has done nothing: they do it.
#[test]
fn who_gave_way_goes_on_when_the_other_can_do_nothing() {
    for lost in 0..3 {
        let mut office = Office::new(3, u64::from(lost));
        for _ in 0..20 {
            for node in 0..3 {
                office.set(NodeId(node), &key(1));
            }
            office.run_for(SECOND / 50);
        }
        office.world.lose_some(NodeId(lost), S, ombak_node::REGISTER_PARTITION);
        for node in (0..3).filter(|node| *node != lost) {
            let before = office.done;
            office.set(NodeId(node), &key(1));
            office.run_for(SECOND / 4);
            assert_eq!(office.done, before + 1, "{lost} lost, {node} asked: {:?}", office.failed);
        }
    }
}

/// Giving way costs a message there and back: who is left alone with a register takes it over.
#[test]
fn who_is_alone_does_not_give_way() {
    const GIVES_WAY: &str = "paxos: a register's operation gives way";
    let mut office = Office::new(3, 1);
    for _ in 0..20 {
        for node in 0..3 {
            office.set(NodeId(node), &key(1));
        }
        office.run_for(SECOND / 50);
    }
    let gave_way = |office: &Office| office.world.probes().get(GIVES_WAY).copied().unwrap_or(0);
    assert!(gave_way(&office) > 0);
    for node in (0..3).map(NodeId) {
        let mut before = 0;
        for change in 0..15 {
            before = if change == 10 { gave_way(&office) } else { before };
            office.sure(node, &key(1), &Wish::Set(Some(key(change))));
        }
        assert_eq!(gave_way(&office), before, "{node}");
    }
}
