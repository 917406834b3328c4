//! `ombak status`: who is up, and how the vnodes are, as one node sees it.

use clap::Args;
use comfy_table::Table;
use ombak_server::report::{RootReport, Status, VnodeReport};
use serde_json::Value;
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient, command};
use crate::output::{print_json, print_line, print_table, table};

/// Where a node says how it is.
const PATH: &str = "/ombak/status";
/// Of a list of partitions, so many are shown.
const SHOWN_MAX: usize = 12;

const EXAMPLES: &str = "\
Examples:
  ombak status                              as the node on the default port sees it
  ombak status --node 127.0.0.1:8108        as another one sees it
  ombak status --json | jq .vnodes

A vnode is one partition on one node. Complete: it has lost nothing that it had, so its \"not here\" counts in a read;
`ombak repair` makes incomplete ones complete. It may still lack what was written while this node was down, until
that is read or written again: reads with r + w > n_val, the default, see it nevertheless, and reads with r=1 through
this node may not. Ready: it can name new writes.";

/// Show members and vnodes.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct StatusArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print what the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak status`.
pub fn run(args: &StatusArgs) -> Result<(), CliError> {
    let node = NodeClient::new(&args.node);
    let said = node.json(Method::GET, PATH)?;
    if args.json {
        return print_json(&said);
    }
    show(&parse(&node, said)?, &args.node.node)
}

/// Asks a node how it is.
pub fn ask(node: &NodeClient) -> Result<Status, CliError> {
    parse(node, node.json(Method::GET, PATH)?)
}

fn parse(node: &NodeClient, said: Value) -> Result<Status, CliError> {
    serde_json::from_value(said).map_err(|error| node.not_ombak(&error.to_string()))
}

fn show(status: &Status, at: &str) -> Result<(), CliError> {
    print_table(&node_table(status))?;
    print_table(&member_table(status))?;
    print_table(&vnode_table(status))?;
    if let Some(root) = &status.root {
        print_line(&root_line(root))?;
        if !root.refused.is_empty() {
            print_line(&refused_line(root))?;
        }
        if root.voters.contains(&status.node) && !root.keeps_registers {
            print_line("registers: not answered by this node yet, or not any more")?;
        }
    }
    for damage in &status.storage.damage {
        print_line(&format!("damaged: {}", damage.text))?;
    }
    match trouble(status, at) {
        Some(trouble) => print_line(&trouble),
        None => Ok(()),
    }
}

fn node_table(status: &Status) -> Table {
    let mut list =
        table(&["node", "version", "backend", "epoch", "ring size", "shards", "under way"]);
    let under_way: u64 = status.shards.iter().map(|shard| shard.operations + shard.forwarded).sum();
    list.add_row([
        status.node.clone(),
        status.version.clone(),
        status.backend.clone(),
        status.epoch.to_string(),
        status.ring_size.to_string(),
        status.shards.len().to_string(),
        under_way.to_string(),
    ]);
    list
}

fn member_table(status: &Status) -> Table {
    let mut list = table(&["member", "state"]);
    for member in &status.members {
        let state = match (member.me, member.up, member.connected) {
            (true, _, _) => "this node",
            (false, true, true) => "up",
            (false, true, false) => "up, not connected to all shards",
            (false, false, _) => "down",
        };
        list.add_row([member.name.as_str(), state]);
    }
    list
}

fn root_line(root: &RootReport) -> String {
    let voters = root.voters.join(", ");
    match (&root.failure, &root.leader) {
        (Some(why), _) => format!("locks: this node takes no part in managing them: {why}"),
        (None, Some(leader)) => format!("locks: led by {leader}; {voters} vote"),
        (None, None) => format!(
            "locks: nobody leads, as far as this node knows: a majority of {voters} must be up"
        ),
    }
}

fn refused_line(root: &RootReport) -> String {
    let refused = root.refused.iter().map(|(what, count)| format!("{what} {count}"));
    format!("locks: refused since the start: {}", refused.collect::<Vec<_>>().join(", "))
}

fn vnode_table(status: &Status) -> Table {
    let mut list = table(&["vnodes here", "complete", "ready", "incomplete partitions"]);
    let count =
        |is: fn(&VnodeReport) -> bool| status.vnodes.iter().filter(|vnode| is(vnode)).count();
    list.add_row([
        status.vnodes.len().to_string(),
        count(|vnode| vnode.complete).to_string(),
        count(|vnode| vnode.ready).to_string(),
        some_of(status.vnodes.iter().filter(|vnode| !vnode.complete).map(|vnode| vnode.partition)),
    ]);
    list
}

/// The first numbers, and how many more there are.
fn some_of(numbers: impl Iterator<Item = u32>) -> String {
    let numbers: Vec<String> = numbers.map(|number| number.to_string()).collect();
    match numbers.get(..SHOWN_MAX) {
        Some(shown) if numbers.len() > SHOWN_MAX => {
            format!("{} and {} more", shown.join(" "), numbers.len() - SHOWN_MAX)
        }
        _ => numbers.join(" "),
    }
}

/// The first thing that is not as it should be, and what can be done; `None` if all is well. `at` is the HTTP port of the
/// node that said so.
pub fn trouble(status: &Status, at: &str) -> Option<String> {
    let node = &status.node;
    if status.storage_failed {
        return Some(format!(
            "{node} takes no writes because its storage failed: its log says why; then start it again"
        ));
    }
    if status.disk_full {
        let free = status.disk_free_bytes.unwrap_or(0) / (1024 * 1024);
        return Some(format!(
            "{node} takes no writes because its disk is full ({free} MiB free): free space there or add a disk; writes \
             come back by themselves"
        ));
    }
    let stopped = status.vnodes.iter().filter(|vnode| vnode.stopped).count();
    if stopped > 0 {
        return Some(format!(
            "{node} has stopped {stopped} vnodes because a property of the code does not hold in them: its log says which, please \
             report it; others serve their partitions, and a restart brings them back"
        ));
    }
    let down = status.members.iter().filter(|member| !member.up || !member.connected);
    let down: Vec<&str> = down.map(|member| member.name.as_str()).collect();
    if !down.is_empty() {
        return Some(format!("{node} has no connection to {}", down.join(", ")));
    }
    let incomplete = status.vnodes.iter().filter(|vnode| !vnode.complete).count();
    if incomplete > 0 {
        return Some(format!(
            "{node} has {incomplete} incomplete vnodes: `{}` copies them from complete replicas",
            command("repair", at)
        ));
    }
    match status.vnodes.iter().filter(|vnode| !vnode.ready).count() {
        0 => None,
        unready => Some(format!("{node} has {unready} vnodes that wait to hear from other owners")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ombak_server::report::{MemberReport, StorageReport};

    fn healthy() -> Status {
        let member =
            |name: &str, me| MemberReport { name: name.into(), me, connected: true, up: true };
        let vnode = |partition| VnodeReport {
            partition,
            shard: 0,
            complete: true,
            ready: true,
            stopped: false,
            actor: "a".into(),
            graves: 0,
        };
        Status {
            node: "n1".into(),
            version: "0".into(),
            backend: "log".into(),
            epoch: 1,
            ring_size: 2,
            storage_failed: false,
            disk_full: false,
            disk_free_bytes: None,
            members: vec![member("n1", true), member("n2", false)],
            shards: Vec::new(),
            vnodes: vec![vnode(0), vnode(1)],
            root: None,
            storage: StorageReport::default(),
        }
    }

    #[test]
    fn every_kind_of_trouble_is_named() {
        let at = "127.0.0.1:8108";
        assert_eq!(trouble(&healthy(), at), None);
        let after = |change: fn(&mut Status)| {
            let mut status = healthy();
            change(&mut status);
            trouble(&status, at).unwrap()
        };
        assert!(after(|status| status.storage_failed = true).contains("no writes"));
        assert!(after(|status| status.disk_full = true).contains("its disk is full (0 MiB free)"));
        assert!(after(|status| status.members[1].up = false).contains("n2"));
        assert!(after(|status| status.members[1].connected = false).contains("n2"));
        assert!(
            after(|status| status.vnodes[1].complete = false)
                .contains("`ombak repair --node 127.0.0.1:8108`")
        );
        assert!(after(|status| status.vnodes[1].ready = false).contains("1 vnodes"));
        assert!(after(|status| status.vnodes[1].stopped = true).contains("stopped 1 vnodes"));
    }

    #[test]
    fn long_lists_are_cut() {
        assert_eq!(some_of([].into_iter()), "");
        assert_eq!(some_of(0..SHOWN_MAX as u32).split(' ').count(), SHOWN_MAX);
        assert!(some_of(0..30).ends_with("and 18 more"), "{}", some_of(0..30));
    }
}
