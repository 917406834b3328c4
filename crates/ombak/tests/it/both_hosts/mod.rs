//! The two hosts of `node::Shard`, threads and sockets (`runtime`) and virtual time (`sim`), bring about the same effects:
//! neither has a word in what a shard decides.
//!
//! 1. A script (`script.rs`) is told to a node alone under both. What the shard was fed, what it asked for, what came
//!    back and what it became must be the same, step by step. The little that hosts may do differently is taken from
//!    both of them beforehand (`steady.rs`), so that nothing has to be left out of the comparison.
//! 2. Three production nodes of two shards live through a crowd of clients and the restart of one (`crowd.rs`). No two
//!    such runs are alike, so it is compared with itself: all that each shard was fed is fed to a fresh one by a third
//!    host (`replay.rs`), and must give the same effects and the same state after every step. What it was fed is held
//!    against what a machine may rely on (`laws.rs`), and against what the other shards sent (`links.rs`).

mod alone;
mod conform;
mod crowd;
mod laws;
mod links;
mod recorded;
mod replay;
mod requests;
mod script;
mod site;
mod steady;
mod window;

use std::collections::BTreeSet;

use alone::{Threads, Virtual};
use crowd::Crowd;
use recorded::{Record, Step};
use script::Host;

#[test]
fn threads_and_virtual_time_bring_about_the_same() {
    let (mut threads, mut world) = (Threads::start(), Virtual::start(1));
    let heard = [script::tell(&mut threads), script::tell(&mut world)];
    assert_eq!(heard[0], heard[1], "clients heard different things");
    let (threads, world) = (threads.end(), world.end());
    assert_eq!([threads.len(), world.len()], [2, 2], "two lives each");
    for (one, other) in threads.iter().zip(&world) {
        laws::assert_lawful(&one.log());
        one.log().assert_same(&other.log(), "on threads, and in virtual time");
    }
    assert_covered(
        &threads,
        &["Durable", "Gone", "Loaded", "More", "Request", "Scanned", "Start", "Timer"],
    );
}

#[test]
fn what_three_nodes_did_follows_from_what_they_were_fed() {
    let mut crowd = Crowd::start();
    let tally = crowd.live();
    assert!(tally.failed * 4 < tally.answered, "most requests succeed: {tally:?}");
    let shards = crowd.end();
    links::assert_links(&shards);
    let records: Vec<Record> = shards.into_iter().flat_map(|(_, records)| records).collect();
    for record in &records {
        laws::assert_lawful(&record.log());
        replay::assert_replays("in production, and replayed", &record.log());
    }
    assert_covered(
        &records,
        &[
            "Durable", "Gone", "Loaded", "Message", "More", "PeerDown", "PeerUp", "Request",
            "Scanned", "Start", "Timer",
        ],
    );
}

/// Nothing is proved by what never happened.
fn assert_covered(records: &[Record], expected: &[&str]) {
    let name = |step: &Step| {
        let text = format!("{:?}", step.event);
        text.split(['(', ' ']).next().unwrap_or_default().to_owned()
    };
    let names = |record: &Record| record.log().steps.iter().map(name).collect::<Vec<_>>();
    let seen: BTreeSet<String> = records.iter().flat_map(names).collect();
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}
