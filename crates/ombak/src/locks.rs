//! `ombak locks`: who holds, who waits, since when, on what.

mod explain;

use clap::Args;
use comfy_table::Table;
use ombak_locks::wire::{LockReport, Locks, ResourceReport};
use ureq::http::Method;

use crate::duration::shown;
use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient};
use crate::output::{print_json, print_line, print_table, table};

/// Where a node says what is locked.
const PATH: &str = "/ombak/locks";

const EXAMPLES: &str = "\
Examples:
  ombak locks                        everything, as any node tells it
  ombak locks printer                who holds and who waits for one name
  ombak locks --explain              who waits for whom, as a picture
  ombak locks printer --explain      who waits for one name, and what those wait for that hold it
  ombak locks --json | jq '.resources[].holders'

A holder is at work, or waits for another lock itself. The token is the fencing token of the grant. A session whose
client is not heard of ends when its lease has run out, and its locks go to those that wait.";

/// Show who holds and who waits for locks.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LocksArgs {
    /// Only this name.
    name: Option<String>,
    /// Draw who waits for whom.
    #[arg(long)]
    explain: bool,
    #[command(flatten)]
    node: NodeArgs,
    /// Print what the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak locks`.
pub fn run(args: &LocksArgs) -> Result<(), CliError> {
    let node = NodeClient::new(&args.node);
    let said = node.json(Method::GET, PATH)?;
    if args.json {
        return print_json(&said);
    }
    let mut locks: Locks =
        serde_json::from_value(said).map_err(|error| node.not_ombak(&error.to_string()))?;
    let name = args.name.as_deref();
    let asked_for = |path: &[String]| name.is_none_or(|name| path.join("/") == name);
    if let Some(name) = name
        && !locks.resources.iter().any(|resource| asked_for(&resource.path))
    {
        return Err(CliError::NotFound(format!("nobody holds or waits for {name}")));
    }
    if args.explain {
        return print_line(&explain::picture(&locks, name));
    }
    locks.resources.retain(|resource| asked_for(&resource.path));
    match locks.resources.is_empty() {
        true => print_line("nothing is locked"),
        false => print_table(&rows(&locks)),
    }
}

fn rows(locks: &Locks) -> Table {
    let mut rows = table(&["name", "mode", "", "for", "token", "who", "lease left"]);
    for resource in &locks.resources {
        rows.add_rows(resource.holders.iter().map(|lock| row(locks, resource, lock, "holds")));
        rows.add_rows(resource.waiters.iter().map(|lock| row(locks, resource, lock, "waits")));
    }
    rows
}

fn row(locks: &Locks, resource: &ResourceReport, lock: &LockReport, how: &str) -> [String; 7] {
    let session = locks.sessions.iter().find(|session| session.id == lock.session);
    [
        resource.path.join("/"),
        format!("{:?}", lock.mode),
        how.into(),
        shown(lock.for_ms),
        lock.token.map_or(String::new(), |token| token.to_string()),
        who(locks, &lock.session),
        session.map_or(String::new(), |session| shown(session.left_ms)),
    ]
}

/// Who a session says that it is, or its first digits.
fn who(locks: &Locks, id: &str) -> String {
    let about = locks.sessions.iter().find(|session| session.id == id).map(|each| &each.about);
    match about {
        Some(about) if !about.is_empty() => about.clone(),
        _ => format!("session {}…", id.get(..8).unwrap_or(id)),
    }
}
