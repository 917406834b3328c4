//! The node's own resources, for its command line.

use std::collections::BTreeMap;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};
use ombak_base::{Disk, NodeId, Partition};
use ombak_node::{Reply, Request as Question, RootStatus, ShardStatus, places};
use ombak_store::log::SnapshotError;

use super::Site;
use super::ask::unexpected;
use super::query::Params;
use super::reply::{Outcome, json, reply, text};
use crate::Backend;
use crate::report::{
    DamageReport, MemberReport, RepairReport, RingReport, RootReport, ShardReport, Status,
    StorageReport, VnodeReport,
};
use crate::snapshots::MakeError;

impl Site {
    /// All shards are asked at once, and the answers put together.
    pub async fn status(&self) -> Outcome {
        let mut shards = Vec::new();
        for answer in self.ask_all(&Question::Status).await? {
            match answer {
                Reply::Status(status) => shards.push(*status),
                other => return Err(unexpected(&other)),
            }
        }
        Ok(json(StatusCode::OK, &self.report(&shards)))
    }

    pub fn ring(&self) -> Outcome {
        let topology = &self.topology;
        let name = |node: &NodeId| topology.name(*node).to_string();
        let row = |partition| topology.ring.row(Partition(partition));
        let rows =
            (0..topology.ring.size()).map(|partition| row(partition).iter().map(name).collect());
        let report = RingReport {
            epoch: topology.epoch.0,
            ring_size: topology.ring.size(),
            members: topology.members.iter().map(|member| member.name.clone()).collect(),
            rows: rows.collect(),
        };
        Ok(json(StatusCode::OK, &report))
    }

    pub async fn repair(&self) -> Outcome {
        let mut all = RepairReport::default();
        for answer in self.ask_all(&Question::Repair).await? {
            let Reply::Repaired(report) = answer else { return Err(unexpected(&answer)) };
            all.refused.extend(report.refused);
            all.completed.extend(report.completed.iter().map(|partition| partition.0));
            let incomplete = report.incomplete.into_iter();
            all.incomplete.extend(incomplete.map(|(partition, why)| (partition.0, why)));
            all.entries += report.entries;
        }
        all.completed.sort_unstable();
        all.incomplete.sort_unstable();
        Ok(json(StatusCode::OK, &all))
    }

    /// Answers when the snapshot is whole.
    pub async fn snapshot(&self, request: &Request<Incoming>) -> Outcome {
        let params = Params::of(request.uri())?;
        let name = params.get("name").unwrap_or_default();
        match self.snapshots.make(name).await {
            Ok(report) => Ok(json(StatusCode::OK, &report)),
            Err(error) => Ok(text(status_of(&error), format!("{error}\n"))),
        }
    }

    /// What the shards have recorded, up to now.
    pub async fn recording(&self) -> Outcome {
        match self.tapes.take().await {
            None => Ok(text(
                StatusCode::NOT_FOUND,
                "this node records nothing: start it with --record-mib 64, say\n",
            )),
            Some(Err(error)) => Ok(text(StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n"))),
            Some(Ok(recording)) => {
                Ok(reply(StatusCode::OK, "application/octet-stream", recording.to_bytes()))
            }
        }
    }

    fn report(&self, shards: &[ShardStatus]) -> Status {
        let members = self.topology.nodes().map(|node| self.member(node, shards));
        let mut vnodes: Vec<VnodeReport> = numbered(shards).flat_map(vnodes_of).collect();
        vnodes.sort_by_key(|vnode| vnode.partition);
        Status {
            node: self.topology.name(self.me).into(),
            version: env!("CARGO_PKG_VERSION").into(),
            backend: match self.backend {
                Backend::Memory => "memory".into(),
                Backend::Log => "log".into(),
                Backend::Btree => "btree".into(),
            },
            epoch: self.topology.epoch.0,
            ring_size: self.topology.ring.size(),
            disk_full: shards.iter().any(|shard| shard.full),
            disk_free_bytes: self.disk.as_ref().and_then(|disk| disk.free_bytes().ok()),
            storage_failed: shards.iter().any(|shard| shard.failed),
            members: members.collect(),
            shards: numbered(shards).map(shard_report).collect(),
            vnodes,
            root: shards.iter().find_map(|shard| shard.root.as_ref()).map(|root| self.root(root)),
            storage: StorageReport {
                keys_at_start: self.recovered.keys,
                replayed_records: self.recovered.replayed_records,
                replayed_bytes: self.recovered.replayed_bytes,
                damage: self.recovered.damage.iter().map(DamageReport::from).collect(),
            },
        }
    }

    fn root(&self, root: &RootStatus) -> RootReport {
        let name = |node: &NodeId| self.topology.name(*node).to_string();
        RootReport {
            leader: root.leader.as_ref().map(name),
            voters: root.voters.iter().map(name).collect(),
            decided: root.decided,
            clients: root.clients as u64,
            failure: root.failure.clone(),
            keeps_registers: root.keeps_registers,
            register_clients: root.register_clients as u64,
            refused: self.root_refused(),
        }
    }

    /// What the root group has refused here. Of what never was, nothing is said.
    fn root_refused(&self) -> BTreeMap<String, u64> {
        let passed = self.gauges.read().meters.places;
        let counted = places::root_refusals()
            .map(|(place, what)| (what.to_string(), passed[usize::from(place.number)]));
        counted.filter(|(_, count)| *count > 0).collect()
    }

    fn member(&self, node: NodeId, shards: &[ShardStatus]) -> MemberReport {
        let me = node == self.me;
        let seen = |shard: &ShardStatus| shard.peers.iter().find(|peer| peer.node == node).cloned();
        let by_all = |good: fn(&ombak_node::PeerStatus) -> bool| {
            me || shards.iter().all(|shard| seen(shard).is_some_and(|peer| good(&peer)))
        };
        MemberReport {
            name: self.topology.name(node).into(),
            me,
            connected: by_all(|peer| peer.connected),
            up: by_all(|peer| peer.up),
        }
    }
}

fn status_of(error: &MakeError) -> StatusCode {
    match error {
        MakeError::Name(_) => StatusCode::BAD_REQUEST,
        MakeError::Refused(SnapshotError::Busy | SnapshotError::Exists(_)) => StatusCode::CONFLICT,
        _ => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn numbered(shards: &[ShardStatus]) -> impl Iterator<Item = (u16, &ShardStatus)> {
    (0..).zip(shards)
}

fn vnodes_of((shard, status): (u16, &ShardStatus)) -> impl Iterator<Item = VnodeReport> + '_ {
    status.vnodes.iter().map(move |vnode| VnodeReport {
        partition: vnode.partition.0,
        shard,
        complete: vnode.complete,
        ready: vnode.ready,
        stopped: vnode.stopped,
        actor: vnode.actor.to_string(),
        graves: vnode.graves as u64,
    })
}

fn shard_report((shard, status): (u16, &ShardStatus)) -> ShardReport {
    ShardReport {
        shard,
        operations: status.operations as u64,
        forwarded: status.forwarded as u64,
        loading: status.loading as u64,
        unsynced: status.unsynced,
        failed: status.failed,
    }
}
