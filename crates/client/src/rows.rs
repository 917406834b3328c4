//! Who owns which key, as far as the client has heard.
//!
//! Nodes tell their table partition → owners, by name, and each tells its own name. So an address and the name of who
//! answers there come together. Nothing depends on any of it being right: every node serves every key, and one that
//! is no owner passes the request on.

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_cluster::hash::{Point, partition_of};
use ombak_wire::{OmbakRow, OmbakRowsResp};

/// Nodes are numbered as their addresses are.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Rows {
    epoch: u64,
    members: Vec<Bytes>,
    rows: Vec<OmbakRow>,
    nodes: BTreeMap<Bytes, usize>,
}

impl Rows {
    /// Takes what node number `node` said. A table that is older than what is known tells the node's name and no more.
    pub fn learn(&mut self, node: usize, said: OmbakRowsResp) {
        let name = said.node.and_then(|me| said.members.get(me as usize)).cloned();
        self.nodes.retain(|_, known| *known != node);
        self.nodes.extend(name.map(|name| (name, node)));
        let epoch = said.epoch.unwrap_or_default();
        if epoch >= self.epoch || self.rows.is_empty() {
            (self.epoch, self.members, self.rows) = (epoch, said.members, said.rows);
        }
    }

    /// The nodes that own the key at `point`, the first choice first. Those without a known address are left out.
    pub fn owners(&self, point: &Point) -> Vec<usize> {
        let size = self.rows.len() as u32;
        if !size.is_power_of_two() {
            return Vec::new();
        }
        let row = self.rows.get(partition_of(point, size).0 as usize);
        let owners = row.map_or(&[][..], |row| &row.owners);
        let name = |owner: &u32| self.members.get(*owner as usize);
        owners.iter().filter_map(|owner| self.nodes.get(name(owner)?).copied()).collect()
    }

    /// What the node at this address calls itself.
    pub fn name(&self, node: usize) -> Option<&Bytes> {
        self.nodes.iter().find(|(_, known)| **known == node).map(|(name, _)| name)
    }
}

/// The order in which nodes are tried: owners that are up, others that are up, and those that are down last. Others take
/// turns, `turn` says whose it is.
pub(crate) fn arrange(
    nodes: usize,
    owners: &[usize],
    turn: usize,
    is_down: impl Fn(usize) -> bool,
) -> Vec<usize> {
    let others = (0..nodes).map(|at| (turn % nodes + at) % nodes);
    let others = others.filter(|node| !owners.contains(node));
    let mut order: Vec<usize> = owners.iter().copied().chain(others).collect();
    order.sort_by_key(|node| is_down(*node));
    order
}

#[cfg(test)]
mod tests;
