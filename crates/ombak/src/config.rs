//! The options of a node: from the command line, else from the environment, else from a TOML file, else the default.

mod template;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use ombak_server::DeleteMode;

use clap::{Args, ValueEnum};
use serde::Deserialize;

use crate::address::{require_loopback, resolve};
use crate::error::CliError;

pub use template::template;

/// The name that Riak's clients expect of a node that is alone.
pub const DEFAULT_NAME: &str = "riak@127.0.0.1";
/// Riak's port for Protocol Buffers.
pub const DEFAULT_PB: &str = "127.0.0.1:8087";
/// Riak's port for HTTP.
pub const DEFAULT_HTTP: &str = "127.0.0.1:8098";
/// Other nodes' port: one above HTTP.
pub const DEFAULT_PEER: &str = "127.0.0.1:8099";
/// Riak's number of partitions.
pub const DEFAULT_RING_SIZE: u32 = 64;
/// What is logged.
pub const DEFAULT_LOG: &str = "info";

/// Where a node keeps its data.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug, Deserialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// On disk: a commit log, and files per vnode.
    #[default]
    Log,
    /// On disk: a tree of pages and its log; keys may outgrow memory.
    Btree,
    /// In memory: everything is gone when the node stops.
    Memory,
}

impl BackendName {
    /// Whether there is anything to keep.
    pub fn needs_directory(self) -> bool {
        self != BackendName::Memory
    }
}

impl fmt::Display for BackendName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            BackendName::Log => "log",
            BackendName::Btree => "btree",
            BackendName::Memory => "memory",
        })
    }
}

/// The options as somebody gave them; what is absent comes from the next source.
#[derive(Args, Clone, Default, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NodeOptions {
    /// Data directory; made if missing. A node in memory needs none.
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// This node's name, as in --members [default: riak@127.0.0.1]
    #[arg(long)]
    pub name: Option<String>,
    /// Where Riak's Protocol Buffers clients connect [default: 127.0.0.1:8087]
    #[arg(long, value_name = "HOST:PORT")]
    pub pb: Option<String>,
    /// Where HTTP clients connect, and `ombak status` [default: 127.0.0.1:8098]
    #[arg(long, value_name = "HOST:PORT")]
    pub http: Option<String>,
    /// The Unix socket for programs of the same user, which `ombak lock` finds [default: `socket` in the data directory]
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Where other nodes connect [default: 127.0.0.1:8099]
    #[arg(long, value_name = "HOST:PORT")]
    pub peer: Option<String>,
    /// All nodes of the cluster, this one too, each with the address at which the others reach its --peer; the same on
    /// all nodes [default: this node alone]
    #[arg(long, value_name = "NAME=HOST:PORT", value_delimiter = ',')]
    pub members: Option<Vec<String>>,
    /// The cluster's name, the same on all nodes; nodes of clusters with different names refuse each other [default: none]
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// Partitions, a power of two; the same on all nodes, and for ever [default: 64]
    #[arg(long)]
    pub ring_size: Option<u32>,
    /// How long a tombstone stays once all owners have it: keep, immediate, or milliseconds [default: immediate]
    #[arg(long, value_name = "MODE")]
    pub delete_mode: Option<String>,
    /// Where the data lives [default: log]
    #[arg(long, value_name = "BACKEND")]
    pub backend: Option<BackendName>,
    /// Event loops [default: one per core]
    #[arg(long)]
    pub shards: Option<u16>,
    /// Keep the last so many MiB of all that the node's shards are given and do, for `ombak record` [default: 0]
    #[arg(long, value_name = "MIB")]
    pub record_mib: Option<u32>,
    /// Allow addresses, --members among them, that other machines can reach, though nothing asks them who they are.
    #[arg(long, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL", require_equals = true)]
    pub insecure: Option<bool>,
    /// What is logged: error, warn, info, debug, trace, or by module as in `info,ombak_server=debug` [default: info]
    #[arg(long, value_name = "FILTER", env = "OMBAK_LOG")]
    pub log: Option<String>,
}

/// The options of a node, complete and checked on their own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Settings {
    /// Data directory; a node in memory needs none.
    pub dir: Option<PathBuf>,
    /// This node.
    pub name: String,
    /// Protocol Buffers.
    pub pb: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// The Unix socket; in the data directory if absent.
    pub socket: Option<PathBuf>,
    /// Other nodes.
    pub peer: SocketAddr,
    /// All nodes and their peer addresses.
    pub members: Vec<(String, SocketAddr)>,
    /// The cluster's name; empty for none.
    pub cluster: String,
    /// Partitions.
    pub ring_size: u32,
    /// What becomes of tombstones.
    pub delete_mode: DeleteMode,
    /// Storage.
    pub backend: BackendName,
    /// Event loops; one per core if absent.
    pub shards: Option<u16>,
    /// What is kept of what happens, in MiB.
    pub record_mib: u32,
}

impl NodeOptions {
    /// Reads a TOML file.
    pub fn read(path: &Path) -> Result<NodeOptions, CliError> {
        let text = fs::read_to_string(path).map_err(|error| {
            CliError::usage(format!(
                "cannot read --config {} ({error}): `ombak start --print-config > {}` writes one",
                path.display(),
                path.display()
            ))
        })?;
        NodeOptions::parse(&text)
            .map_err(|error| CliError::usage(format!("--config {}: {error}", path.display())))
    }

    /// Understands the text of a file. The error is one line and names the place.
    pub fn parse(text: &str) -> Result<NodeOptions, String> {
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            let line = 1 + text.bytes().take(at).filter(|byte| *byte == b'\n').count();
            let message = error.message().replace('\n', " ");
            format!("line {line}: {message} (`ombak start --print-config` shows every option)")
        })
    }

    /// Fills what is absent from another source.
    pub fn or(self, other: NodeOptions) -> NodeOptions {
        NodeOptions {
            dir: self.dir.or(other.dir),
            name: self.name.or(other.name),
            pb: self.pb.or(other.pb),
            http: self.http.or(other.http),
            socket: self.socket.or(other.socket),
            peer: self.peer.or(other.peer),
            members: self.members.or(other.members),
            cluster: self.cluster.or(other.cluster),
            ring_size: self.ring_size.or(other.ring_size),
            delete_mode: self.delete_mode.or(other.delete_mode),
            backend: self.backend.or(other.backend),
            shards: self.shards.or(other.shards),
            record_mib: self.record_mib.or(other.record_mib),
            insecure: self.insecure.or(other.insecure),
            log: self.log.or(other.log),
        }
    }

    /// Fills what is still absent with defaults, resolves names, and checks what can be checked without the disk.
    pub fn settle(self) -> Result<Settings, CliError> {
        let insecure = self.insecure.unwrap_or(false);
        let listen = |option: &str, given: Option<String>, default: &str| {
            let address = resolve(option, given.as_deref().unwrap_or(default))?;
            require_loopback(option, address, insecure).map(|()| address)
        };
        let name = self.name.unwrap_or_else(|| DEFAULT_NAME.into());
        let pb = listen("--pb", self.pb, DEFAULT_PB)?;
        let http = listen("--http", self.http, DEFAULT_HTTP)?;
        let peer = listen("--peer", self.peer, DEFAULT_PEER)?;
        let backend = self.backend.unwrap_or_default();
        if self.dir.is_none() && backend.needs_directory() {
            return Err(CliError::usage(
                "where shall the data live? Give --dir DIR, such as --dir ./data, or --backend memory",
            ));
        }
        // Where it would be anyway, the node can do without it.
        let in_dir = self.dir.as_ref().map(|dir| dir.join("socket"));
        Ok(Settings {
            dir: self.dir,
            pb,
            http,
            socket: self.socket.filter(|path| Some(path) != in_dir.as_ref()),
            peer,
            members: members(&name, peer, self.members, insecure)?,
            name,
            cluster: self.cluster.unwrap_or_default(),
            ring_size: ring_size(self.ring_size.unwrap_or(DEFAULT_RING_SIZE))?,
            delete_mode: delete_mode(self.delete_mode.as_deref())?,
            backend,
            shards: shards(self.shards)?,
            record_mib: self.record_mib.unwrap_or(0),
        })
    }
}

fn delete_mode(given: Option<&str>) -> Result<DeleteMode, CliError> {
    match given {
        None | Some("immediate") => Ok(DeleteMode::Immediate),
        Some("keep") => Ok(DeleteMode::Keep),
        Some(text) => text.parse().map(DeleteMode::AfterMs).map_err(|_| {
            CliError::usage(format!(
                "--delete-mode {text} is none: say keep, immediate, or milliseconds such as 3000"
            ))
        }),
    }
}

fn members(
    name: &str,
    peer: SocketAddr,
    given: Option<Vec<String>>,
    insecure: bool,
) -> Result<Vec<(String, SocketAddr)>, CliError> {
    let Some(given) = given else { return Ok(vec![(name.to_string(), peer)]) };
    let mut members: Vec<(String, SocketAddr)> = Vec::with_capacity(given.len());
    for text in given {
        let (name, address) = text.trim().rsplit_once('=').unwrap_or_default();
        if name.is_empty() {
            return Err(CliError::usage(format!(
                "--members has `{text}`: write NAME=HOST:PORT for each node, separated by commas"
            )));
        }
        if members.iter().any(|(known, _)| known == name) {
            return Err(CliError::usage(format!(
                "--members names {name} twice: every node needs its own name"
            )));
        }
        let address = member_address(name, address, &members)?;
        require_loopback("--members", address, insecure)?;
        members.push((name.to_string(), address));
    }
    if !members.iter().any(|(known, _)| known == name) {
        let known: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
        return Err(CliError::usage(format!(
            "--name {name} is not one of --members ({}): give this node's name as it stands there",
            known.join(", ")
        )));
    }
    check_own(name, peer, &members)?;
    Ok(members)
}

/// Where a member is reached; `before` are those that stand before it.
fn member_address(
    name: &str,
    text: &str,
    before: &[(String, SocketAddr)],
) -> Result<SocketAddr, CliError> {
    let address = resolve("--members", text)?;
    if address.ip().is_unspecified() || address.port() == 0 {
        return Err(CliError::usage(format!(
            "--members {name}={text} is no address to connect to: give the one at which the other nodes reach {name}"
        )));
    }
    match before.iter().find(|(_, known)| *known == address) {
        Some((other, _)) => Err(CliError::usage(format!(
            "--members gives {other} and {name} the same address {address}: give each node's own --peer address"
        ))),
        None => Ok(address),
    }
}

/// This node's own entry may differ from where it listens: there may be a proxy, or another network, in between. But
/// nobody else can be where it listens.
fn check_own(
    name: &str,
    peer: SocketAddr,
    members: &[(String, SocketAddr)],
) -> Result<(), CliError> {
    match members.iter().find(|(other, address)| other != name && *address == peer) {
        Some((other, _)) => Err(CliError::usage(format!(
            "--members says that {other} is at {peer}, where this node, {name}, listens: give --peer the address of \
             {name}, or correct --members"
        ))),
        None => Ok(()),
    }
}

/// Refuses what no ring can have.
pub fn ring_size(size: u32) -> Result<u32, CliError> {
    let most = ombak_base::limits::RING_SIZE_MAX;
    if size.is_power_of_two() && size <= most {
        return Ok(size);
    }
    Err(CliError::usage(format!("--ring-size must be a power of two from 1 to {most}, not {size}")))
}

fn shards(given: Option<u16>) -> Result<Option<u16>, CliError> {
    let most = ombak_base::limits::SHARDS_MAX;
    match given {
        Some(shards) if !(1..=most).contains(&shards) => {
            Err(CliError::usage(format!("--shards must be from 1 to {most}, not {shards}")))
        }
        given => Ok(given),
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(test)]
mod tests;
