//! Each rule is seen to be broken.

use bytes::Bytes;

use super::*;
use crate::log::batch::Gathering;

const FIRST: Ballot = Ballot { round: 1, proposer: NodeId(1) };
const SECOND: Ballot = Ballot { round: 2, proposer: NodeId(2) };

fn command(text: &'static str) -> Entry {
    let mut gathering = Gathering::default();
    gathering.push(Bytes::from_static(text.as_bytes()));
    Entry::Commands(gathering.take())
}

/// A member that has accepted one thing in the first slot, and takes so many for decided.
fn has(node: u32, ballot: Ballot, entry: &Entry, committed: u64) -> Glance {
    let accepted = vec![(Slot(1), Accepted { ballot, value: entry.clone() })];
    let (node, committed) = (NodeId(node), Slot(committed));
    Glance { node, life: 7, leads: None, committed, accepted }
}

fn leads(node: u32, life: u64, ballot: Ballot) -> Glance {
    let leads = Some(ballot);
    Glance { node: NodeId(node), life, leads, committed: Slot(0), accepted: Vec::new() }
}

/// The rule that is broken by these, one after the other.
fn watch(glances: &[Glance]) -> Result<u64, &'static str> {
    let mut monitor = Monitor::default();
    let seen = glances.iter().try_for_each(|glance| monitor.see(glance));
    seen.map(|()| monitor.decided()).map_err(|why| why.rule)
}

#[test]
fn two_values_of_a_slot_are_seen() {
    let (one, other) = (command("one"), command("other"));
    let decided = has(1, FIRST, &one, 1);
    assert_eq!(watch(&[decided.clone(), has(2, SECOND, &one, 1)]), Ok(1));
    assert_eq!(watch(&[decided.clone(), has(2, SECOND, &other, 1)]), Err(ONE_VALUE));
    assert_eq!(watch(&[decided, has(2, SECOND, &Entry::Nothing, 0)]), Ok(1), "not decided there");
}

#[test]
fn two_proposals_of_a_ballot_are_seen() {
    let (one, other) = (command("one"), command("other"));
    let accepted = has(1, FIRST, &one, 0);
    assert_eq!(watch(&[accepted.clone(), has(2, FIRST, &one, 0)]), Ok(0));
    assert_eq!(watch(&[accepted.clone(), has(2, SECOND, &other, 0)]), Ok(0), "outbid");
    assert_eq!(watch(&[accepted, has(2, FIRST, &other, 0)]), Err(ONE_PROPOSAL));
}

#[test]
fn two_leaders_of_a_ballot_are_seen() {
    let first = leads(1, 7, FIRST);
    assert_eq!(watch(&[first.clone(), first.clone(), leads(2, 7, SECOND)]), Ok(0));
    assert_eq!(watch(&[first.clone(), leads(2, 7, FIRST)]), Err(ONE_LEADER));
    assert_eq!(watch(&[leads(2, 7, FIRST)]), Err(ONE_LEADER), "it is another's");
    assert_eq!(watch(&[first, leads(1, 8, FIRST)]), Err(ONE_LEADER), "started again");
}
