//! `ombak snapshot`: a copy of a running node's data, for backups.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use ombak_server::report::SnapshotReport;
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient, encode};
use crate::output::{print_json, print_line};

/// The answer comes when all is copied.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  ombak snapshot                            the node on the default port; named after the time
  ombak snapshot monday --node 127.0.0.1:8108
  ombak store verify DATA/snapshots/monday  reads all of it
  cp -r DATA/snapshots/monday /backup       and then: rm -r DATA/snapshots/monday

The snapshot is a data directory of its own, in `snapshots` of the node's. Nearly all of its files are second names of the
node's own, so it is made quickly and takes little space, until the node compacts: then it keeps what the node gives up.
Copy it elsewhere, and remove it. To restore: stop the node, put a copy in the place of its data directory, start it
again, and run `ombak repair`.";

/// Copy a running node's data into a directory, for a backup.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SnapshotArgs {
    /// The snapshot's name [default: the time, in seconds since 1970].
    name: Option<String>,
    #[command(flatten)]
    node: NodeArgs,
    /// Print what the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak snapshot`.
pub fn run(args: &SnapshotArgs) -> Result<(), CliError> {
    let node = NodeClient::with_patience(&args.node, PATIENCE);
    let name = args.name.clone().unwrap_or_else(time_name);
    let said = node.json(Method::POST, &format!("/ombak/snapshot?name={}", encode(&name)))?;
    if args.json {
        return print_json(&said);
    }
    let made: SnapshotReport =
        serde_json::from_value(said).map_err(|error| node.not_ombak(&error.to_string()))?;
    let bytes = |bytes: u64| indicatif::HumanBytes(bytes).to_string();
    print_line(&made.dir)?;
    print_line(&format!(
        "{} files with {} are the node's own under a second name, {} with {} were copied",
        made.linked_files,
        bytes(made.linked_bytes),
        made.copied_files,
        bytes(made.copied_bytes)
    ))
}

fn time_name() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs().to_string()
}
