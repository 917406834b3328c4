//! `ombak record`: what a running node's shards were given and did last, as a file.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use ombak_tape::Recording;

use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient};
use crate::output::print_line;

const EXAMPLES: &str = "\
Examples:
  ombak start --dir ./data --record-mib 64            a node that keeps the last 64 MiB of what happens to it
  ombak record today.tape                             writes what it has
  ombak sim --conform today.tape                      plays it: the code must do the same again, byte for byte
  ombak sim --conform n1.tape n2.tape n3.tape         and what the nodes of a cluster did must fit together

A recording has every event that a shard was given, with the data of clients in it: keys, values, names of nodes. The code
that recorded it can play it, on any machine, as often as you like: with --trace it shows what happened, step by step.";

/// Write down what a running node's shards were given and did last.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RecordArgs {
    /// The file to write.
    file: PathBuf,
    #[command(flatten)]
    node: NodeArgs,
}

/// `ombak record`.
pub fn run(args: &RecordArgs) -> Result<(), CliError> {
    let mut bytes = Vec::new();
    let node = NodeClient::new(&args.node);
    node.stream("/ombak/recording")?.read_to_end(&mut bytes).map_err(CliError::failed)?;
    let length = bytes.len() as u64;
    let path = args.file.display();
    std::fs::write(&args.file, &bytes)
        .map_err(|error| CliError::failed(format!("{path}: {error}")))?;
    let recording = Recording::read(bytes.into())
        .map_err(|error| CliError::failed(format!("{path}: {error}")))?;
    let bytes = indicatif::HumanBytes(length);
    let (steps, shards) = (recording.steps(), recording.addresses().len());
    print_line(&format!(
        "{path}: {bytes}, {steps} steps of {shards} shards of {}",
        recording.node()
    ))
}
