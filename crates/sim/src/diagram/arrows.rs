//! Which arrival belongs to which sending.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{MessageName, Moment};

/// A message on its way, from one moment to another, by their places in what is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrow {
    pub name: MessageName,
    /// Where it was sent, or had to wait. None: before what is kept.
    pub from: Option<usize>,
    /// Where it arrived, was lost, or had to wait. None: neither by the end.
    pub to: Option<usize>,
}

/// All of them, in the order of their ends; those without an end come last. A message that arrives twice has two; one that
/// a partition holds up has one until there, and one from there.
pub fn arrows(moments: &[&Moment]) -> Vec<Arrow> {
    let mut sent: BTreeMap<MessageName, usize> = BTreeMap::new();
    let mut open: BTreeSet<MessageName> = BTreeSet::new();
    let mut waiting: BTreeMap<MessageName, VecDeque<usize>> = BTreeMap::new();
    let mut arrows = Vec::new();
    for (at, moment) in moments.iter().enumerate() {
        let Some(name) = moment.message else { continue };
        if moment.kind == "sent" {
            sent.insert(name, at);
            open.insert(name);
            continue;
        }
        let waited = waiting.get_mut(&name).and_then(VecDeque::pop_front);
        let from = waited.or_else(|| sent.get(&name).copied());
        arrows.push(Arrow { name, from, to: Some(at) });
        open.remove(&name);
        if moment.kind == "stalled" {
            waiting.entry(name).or_default().push_back(at);
        }
    }
    let never = open.into_iter().map(|name| (name, sent.get(&name).copied()));
    let stalled =
        waiting.into_iter().flat_map(|(name, all)| all.into_iter().map(move |at| (name, Some(at))));
    arrows.extend(never.chain(stalled).map(|(name, from)| Arrow { name, from, to: None }));
    arrows
}
