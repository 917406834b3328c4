//! The file that `ombak start --print-config` writes: every option, what it means, and its value.

use std::fmt::Write;

use toml::Value;

use super::{
    DEFAULT_HTTP, DEFAULT_LOG, DEFAULT_NAME, DEFAULT_PB, DEFAULT_PEER, DEFAULT_RING_SIZE,
    NodeOptions,
};

const HEAD: &str = "\
# Options of one Ombak node: `ombak start --config FILE`.
#
# A line that begins with a single # and a name is an option at its default; take the # away to change it.
# The command line wins over this file: `ombak start --config FILE --log debug`.
";

/// Writes the options that are given as they are, and all others as comments with their defaults.
pub fn template(given: &NodeOptions) -> String {
    let text = |value: &Option<String>| value.clone().map(Value::from);
    let mut file = File { text: HEAD.to_string() };
    let dir = given.dir.as_ref().map(|dir| Value::from(dir.to_string_lossy().into_owned()));
    file.option("dir", DIR, dir, "data".into());
    file.option("name", NAME, text(&given.name), DEFAULT_NAME.into());
    file.option("pb", PB, text(&given.pb), DEFAULT_PB.into());
    file.option("http", HTTP, text(&given.http), DEFAULT_HTTP.into());
    let socket = given.socket.as_ref().map(|path| Value::from(path.to_string_lossy().into_owned()));
    file.option("socket", SOCKET, socket, "data/socket".into());
    file.option("peer", PEER, text(&given.peer), DEFAULT_PEER.into());
    let alone = Value::from(vec![format!("{DEFAULT_NAME}={DEFAULT_PEER}")]);
    file.option("members", MEMBERS, given.members.clone().map(Value::from), alone);
    file.option("cluster", CLUSTER, text(&given.cluster), "".into());
    let ring_size = given.ring_size.map(|size| Value::from(i64::from(size)));
    file.option("ring_size", RING_SIZE, ring_size, i64::from(DEFAULT_RING_SIZE).into());
    file.option("delete_mode", DELETE_MODE, text(&given.delete_mode), "immediate".into());
    let backend = given.backend.map(|backend| Value::from(backend.to_string()));
    file.option("backend", BACKEND, backend, "log".into());
    let shards = given.shards.map(|shards| Value::from(i64::from(shards)));
    file.option("shards", SHARDS, shards, (super::cores() as i64).into());
    let record_mib = given.record_mib.map(|mib| Value::from(i64::from(mib)));
    file.option("record_mib", RECORD_MIB, record_mib, 0.into());
    file.option("insecure", INSECURE, given.insecure.map(Value::from), false.into());
    file.option("log", LOG, text(&given.log), DEFAULT_LOG.into());
    file.text
}

const DIR: &str = "\
Data directory; made if missing. One process at a time, and always with the same name, cluster, members and ring_size.
Required unless backend is \"memory\"; this is an example, not a default.";
const NAME: &str = "\
This node's name, as it stands in members. Clients see it; Riak's expect this one of a node that is alone.";
const PB: &str = "Where clients of Riak's Protocol Buffers connect.";
const HTTP: &str =
    "Where HTTP clients connect: applications, curl, and `ombak status`, `get`, `put`, `del`.";
const SOCKET: &str = "\
The Unix socket for programs of the same user: HTTP as well, and where `ombak lock` finds the node of its machine.";
const PEER: &str = "Where other nodes connect. Nobody else should be able to.";
const MEMBERS: &str = "\
All nodes of the cluster, this one too, each with the address at which the others reach it: its peer address,
or that of what stands in front of it. The same names on all nodes; they cannot be changed later in this version.
Without it the node is a cluster of its own.";
const CLUSTER: &str = "\
The cluster's name, the same on all nodes; it cannot be changed later. Nodes of clusters with different names refuse
each other, also where an address was mistaken. Empty: none.";
const RING_SIZE: &str = "\
Partitions that keys are spread over: a power of two up to 1024, ten or more for each node that the cluster
may ever have. The same on all nodes; it cannot be changed later.";
const DELETE_MODE: &str = "\
How long a tombstone stays once all owners have it on disk, as text: \"immediate\"; milliseconds, such as \"3000\", which
is Riak's default; or \"keep\". While it stays, a reader hears that the key was deleted. The same on all nodes.";
const BACKEND: &str = "\
Where the data lives: \"log\" on disk, synced before a write is acknowledged as durable, with all keys in memory; \"btree\"
on disk, too, for more keys than memory holds; \"memory\" is gone when the node stops, so that its vnodes come back
incomplete. A directory that one backend has made is refused by another.";
const SHARDS: &str = "Event loops, each a thread with its own share of the vnodes: one per core, here and by default.";
const RECORD_MIB: &str = "\
How many MiB of memory the node spends on what its shards were given and did last: `ombak record` writes it to a file that
`ombak sim --conform` plays again. It has the data of clients in it. 0: nothing is kept.";
const INSECURE: &str = "\
Allow pb, http, peer and members' addresses that other machines can reach. There is no authentication yet:
whoever can connect can read, write and delete everything.";
const LOG: &str = "\
What is logged, to standard error: error, warn, info, debug or trace, or by module as in
\"info,ombak_server=debug\". The environment's OMBAK_LOG wins over this file.";

struct File {
    text: String,
}

impl File {
    fn option(&mut self, name: &str, meaning: &str, given: Option<Value>, default: Value) {
        self.text.push('\n');
        for line in meaning.lines() {
            // Writing to a string cannot fail.
            let _ = writeln!(self.text, "## {line}");
        }
        let _ = match given {
            Some(value) => writeln!(self.text, "{name} = {value}"),
            None => writeln!(self.text, "#{name} = {default}"),
        };
    }
}
