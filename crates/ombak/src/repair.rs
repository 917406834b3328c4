//! `ombak repair`: make a node's incomplete vnodes complete.

use std::time::Duration;

use clap::Args;
use ombak_server::report::RepairReport;
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient, command};
use crate::output::{print_json, print_line, print_table, table};

/// Where a node is told to repair itself.
const PATH: &str = "/ombak/repair";
/// The answer comes when all is copied.
const PATIENCE: Duration = Duration::from_secs(24 * 3600);

const EXAMPLES: &str = "\
Examples:
  ombak repair                              the node on the default port
  ombak repair --node 127.0.0.1:8108        another one

A vnode is incomplete after damage, or on an empty or older data directory: it cannot say then that a key does
not exist. Repair copies what it lacks from complete replicas, and nothing else; the node serves meanwhile.";

/// Copy what a node's incomplete vnodes lack from complete replicas.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RepairArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print what the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak repair`.
pub fn run(args: &RepairArgs) -> Result<(), CliError> {
    let node = NodeClient::with_patience(&args.node, PATIENCE);
    let said = node.json(Method::POST, PATH)?;
    if args.json {
        print_json(&said)?;
    }
    let repaired: RepairReport =
        serde_json::from_value(said).map_err(|error| node.not_ombak(&error.to_string()))?;
    if !args.json {
        show(&repaired)?;
    }
    outcome(&repaired, node.node())
}

/// What is left to do is an error, also for scripts.
fn outcome(repaired: &RepairReport, node: &str) -> Result<(), CliError> {
    if !repaired.refused.is_empty() {
        return Err(CliError::failed(format!(
            "{node} has not begun everywhere ({}): try again in a moment",
            repaired.refused.join("; ")
        )));
    }
    match repaired.incomplete.len() {
        0 => Ok(()),
        left => Err(CliError::failed(format!(
            "{left} vnodes of {node} are still incomplete: start the other owners (`{}`, `{}`) and repair again",
            command("status", node),
            command("ring", node)
        ))),
    }
}

fn show(repaired: &RepairReport) -> Result<(), CliError> {
    print_line(&format!(
        "{} vnodes are complete now; {} entries were read from other owners",
        repaired.completed.len(),
        repaired.entries
    ))?;
    if repaired.incomplete.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["incomplete", "why"]);
    for (partition, why) in &repaired.incomplete {
        rows.add_row([partition.to_string(), why.clone()]);
    }
    print_table(&rows)
}
