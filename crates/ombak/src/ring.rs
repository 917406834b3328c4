//! `ombak ring`: which nodes hold which partition.

use clap::Args;
use ombak_server::report::RingReport;
use ureq::http::Method;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient};
use crate::output::{print_json, print_table, table};

/// Where a node says what the ring looks like.
const PATH: &str = "/ombak/ring";

const EXAMPLES: &str = "\
Examples:
  ombak ring
  ombak ring --json | jq '.rows[0]'

A row is the ordered list of the nodes that hold a partition. A bucket with n_val 3 uses the first three.";

/// Show the rows: which nodes hold which partition.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RingArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Print what the node says, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak ring`.
pub fn run(args: &RingArgs) -> Result<(), CliError> {
    let node = NodeClient::new(&args.node);
    let said = node.json(Method::GET, PATH)?;
    if args.json {
        return print_json(&said);
    }
    let ring: RingReport =
        serde_json::from_value(said).map_err(|error| node.not_ombak(&error.to_string()))?;
    let mut rows = table(&["partition", "owners, the first choice first"]);
    for (partition, owners) in ring.rows.iter().enumerate() {
        rows.add_row([partition.to_string(), owners.join("  ")]);
    }
    print_table(&rows)
}
