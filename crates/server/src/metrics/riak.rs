//! `/stats`: Riak's names, where Ombak has what they mean. What Ombak has not is left out, never made up.

use ombak_node::places;
use ombak_runtime::{Histogram, Meters};
use serde_json::{Map, Value, json};

use super::process::{Process, disk_space};
use super::{DELETE, GET, LIST, NodeFacts, PUT, Reading};
use crate::pb::RIAK_VERSION;

/// Numbers by name, in the order in which they are made.
pub(crate) struct Stats(Map<String, Value>);

impl Stats {
    pub fn of(reading: &Reading) -> Map<String, Value> {
        let mut stats = Stats(Map::new());
        stats.cluster(reading);
        stats.operations(reading);
        stats.vnodes(reading);
        stats.repairs(reading);
        stats.connections(reading);
        stats.machine(&reading.process, &reading.node);
        stats.versions();
        stats.0
    }

    fn put(&mut self, name: impl Into<String>, value: impl Into<Value>) {
        self.0.insert(name.into(), value.into());
    }

    fn put_if_known(&mut self, name: &str, value: Option<impl Into<Value>>) {
        if let Some(value) = value {
            self.put(name, value);
        }
    }

    /// What happened in the last minute, and since the start.
    fn count(&mut self, name: &str, minute: u64, total: u64) {
        self.put(name, minute);
        self.put(format!("{name}_total"), total);
    }

    fn spread(&mut self, name: &str, histogram: &Histogram) {
        self.put(format!("{name}_mean"), histogram.mean());
        let quantiles = [("median", 500), ("95", 950), ("99", 990), ("100", 1000)];
        for (suffix, per_mille) in quantiles {
            self.put(format!("{name}_{suffix}"), histogram.quantile(per_mille));
        }
    }

    fn cluster(&mut self, reading: &Reading) {
        let node = &reading.node;
        self.put("nodename", node.name.as_str());
        self.put("connected_nodes", connected(reading));
        self.put("ring_members", node.members.clone());
        self.put("ring_num_partitions", node.ring_size);
        self.put("ring_creation_size", node.ring_size);
        self.put("ring_ownership", ownership(node));
        self.put("riak_kv_vnodes_running", node.vnodes);
        self.put("storage_backend", node.backend);
    }

    fn operations(&mut self, reading: &Reading) {
        let (total, minute) = (&reading.total.meters, &reading.minute.meters);
        let times =
            |meters: &Meters, operation: u8| meters.operations[operation as usize].time.count();
        let active = |operation: u8| total.operations[operation as usize].active;
        self.count("node_gets", times(minute, GET), times(total, GET));
        let puts = |meters| times(meters, PUT) + times(meters, DELETE);
        self.count("node_puts", puts(minute), puts(total));
        self.put("node_get_fsm_active", active(GET));
        self.put("node_put_fsm_active", active(PUT) + active(DELETE));
        let failed = |meters: &Meters, operation: u8| meters.operations[operation as usize].failed;
        self.count("node_get_fsm_errors", failed(minute, GET), failed(total, GET));
        let gets = &minute.operations[GET as usize];
        self.spread("node_get_fsm_time", &gets.time);
        self.spread("node_get_fsm_objsize", &gets.bytes);
        self.spread("node_get_fsm_siblings", &gets.siblings);
        let mut put_time = minute.operations[PUT as usize].time.clone();
        put_time.add(&minute.operations[DELETE as usize].time);
        self.spread("node_put_fsm_time", &put_time);
        self.put("list_fsm_active", active(LIST));
        self.count("list_fsm_create", times(minute, LIST), times(total, LIST));
        self.count("list_fsm_create_error", failed(minute, LIST), failed(total, LIST));
        self.put("coord_redirs_total", at(total, places::FORWARDED));
    }

    fn vnodes(&mut self, reading: &Reading) {
        let (total, minute) = (&reading.total.meters, &reading.minute.meters);
        let names = [
            ("vnode_gets", places::VNODE_GET),
            ("vnode_puts", places::VNODE_PUT),
            ("ombak_vnode_deletes", places::VNODE_DELETE),
        ];
        for (name, place) in names {
            self.count(name, at(minute, place), at(total, place));
        }
        self.spread("vnode_get_fsm_time", &minute.loads);
        self.spread("vnode_put_fsm_time", &minute.stores);
    }

    fn repairs(&mut self, reading: &Reading) {
        let (total, minute) = (&reading.total.meters, &reading.minute.meters);
        let repairs = places::READ_REPAIR;
        self.count("read_repairs", at(minute, repairs), at(total, repairs));
        let names =
            [("notfound", places::REPAIR_NOT_FOUND), ("outofdate", places::REPAIR_OUT_OF_DATE)];
        for (name, place) in names {
            self.put(format!("read_repairs_primary_{name}_one"), at(minute, place));
            self.put(format!("read_repairs_primary_{name}_count"), at(total, place));
        }
    }

    fn connections(&mut self, reading: &Reading) {
        let shards = &reading.total.shards;
        self.put("pbc_active", shards.iter().map(|shard| shard.clients).sum::<u64>());
        let accepted = shards.iter().map(|shard| shard.clients_accepted).sum();
        self.count("pbc_connects", reading.minute.clients_accepted, accepted);
    }

    fn machine(&mut self, process: &Process, node: &NodeFacts) {
        self.put_if_known("memory_total", process.resident_bytes);
        self.put_if_known("mem_total", process.memory_bytes);
        self.put_if_known("mem_allocated", process.memory_used_bytes);
        self.put_if_known("cpu_nprocs", process.processes);
        if let Some(loads) = process.load {
            // Erlang's cpu_sup has 256 for a load of one.
            for (name, load) in ["cpu_avg1", "cpu_avg5", "cpu_avg15"].into_iter().zip(loads) {
                self.put(name, (load * 256.0) as u64);
            }
        }
        if let Some((dir, space)) = node.dir.as_ref().and_then(|dir| Some((dir, disk_space(dir)?)))
        {
            let used = space.bytes - space.free_bytes;
            let percent = (used * 100).checked_div(space.bytes).unwrap_or(0);
            let disk = json!([{"id": dir.display().to_string(), "size": space.bytes / 1024, "used": percent}]);
            self.put("disk", disk);
        }
        let cores = std::thread::available_parallelism().ok();
        self.put_if_known("sys_logical_processors", cores.map(|cores| cores.get()));
        self.put("sys_wordsize", usize::BITS / 8);
    }

    fn versions(&mut self) {
        for name in ["riak_kv", "riak_core", "riak_api", "riak_pb"] {
            self.put(format!("{name}_version"), RIAK_VERSION);
        }
        self.put("ombak_version", env!("CARGO_PKG_VERSION"));
    }
}

fn at(meters: &Meters, place: ombak_base::Place) -> u64 {
    meters.places[usize::from(place.number)]
}

/// Members that some shard has a connection to; without an answer of the shards, nobody is known to be.
fn connected(reading: &Reading) -> Vec<String> {
    let shards = reading.shards.as_deref().unwrap_or_default();
    let peers = shards.iter().flat_map(|shard| &shard.peers).filter(|peer| peer.connected);
    let nodes: std::collections::BTreeSet<_> = peers.map(|peer| peer.node).collect();
    let name = |node: &ombak_base::NodeId| reading.node.members.get(node.0 as usize).cloned();
    nodes.iter().filter_map(name).collect()
}

/// As Riak prints it: an Erlang term in a string.
fn ownership(node: &NodeFacts) -> String {
    let owners = node.members.iter().zip(&node.first_of);
    let owners: Vec<String> = owners.map(|(name, count)| format!("{{'{name}',{count}}}")).collect();
    format!("[{}]", owners.join(","))
}
