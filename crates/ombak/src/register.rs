//! `ombak register`: small values that all nodes see alike.

use std::io::Read;

use clap::{Args, Subcommand};
use ombak_locks::{RegisterError, Registers};
use serde_json::json;

use crate::error::CliError;
use crate::nodes::NodesArgs;
use crate::output::{print_bytes, print_json, print_line};

/// It has another version, or there is no value.
const DIFFERS: u8 = 1;
/// Nobody knows whether it was done.
const UNKNOWN: u8 = 4;

const EXAMPLES: &str = "\
Examples:
  ombak register set leader db1                   whatever it was
  ombak register set leader db1 --if-absent       only if there is no value
  ombak register set leader db2 --if-version 7    only if it was not changed since it was read
  ombak register get leader                       the value
  ombak register get leader --json                with its version
  ombak register remove leader --if-version 8
  ombak register set motd - < motd.txt
  ombak registers                                 which there are

A register is changed by one after the other, and whoever reads it sees the last change that anybody was told of, on every node.
Its version counts the changes. It costs nothing while nobody uses it; a majority of the nodes with a vote must be up.

Exit codes: 0 done, 1 no value or another version, 2 wrong usage, 3 nothing was done, 4 it may have been done, or may yet be.";

/// Read and change a register of the cluster: a small value, by compare-and-set.
#[derive(Subcommand, Debug)]
#[command(after_help = EXAMPLES)]
pub enum RegisterCommand {
    /// Print the value.
    #[command(after_help = EXAMPLES)]
    Get(GetArgs),
    /// Set the value, and print the new version.
    #[command(after_help = EXAMPLES)]
    Set(SetArgs),
    /// Remove the value, and print the version that says so.
    #[command(after_help = EXAMPLES)]
    Remove(RemoveArgs),
}

/// `ombak register get`.
#[derive(Args, Debug)]
pub struct GetArgs {
    /// Which.
    name: String,
    #[command(flatten)]
    nodes: NodesArgs,
    /// Print version and value, as JSON.
    #[arg(long)]
    json: bool,
}

/// `ombak register set`.
#[derive(Args, Debug)]
pub struct SetArgs {
    /// Which.
    name: String,
    /// What; - reads it from standard input.
    value: String,
    /// Only if it has this version.
    #[arg(long, value_name = "VERSION", conflicts_with = "if_absent")]
    if_version: Option<u64>,
    /// Only if there is no value.
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    nodes: NodesArgs,
}

/// `ombak register remove`.
#[derive(Args, Debug)]
pub struct RemoveArgs {
    /// Which.
    name: String,
    /// Only if it has this version.
    #[arg(long, value_name = "VERSION")]
    if_version: Option<u64>,
    #[command(flatten)]
    nodes: NodesArgs,
}

/// `ombak register`.
pub fn run(command: &RegisterCommand) -> Result<(), CliError> {
    match command {
        RegisterCommand::Get(args) => get(args),
        RegisterCommand::Set(args) => set(args),
        RegisterCommand::Remove(args) => remove(args),
    }
}

fn get(args: &GetArgs) -> Result<(), CliError> {
    let GetArgs { name, nodes, json } = args;
    let read = registers(nodes)?.get(name).map_err(|error| failed(name, &error))?;
    if *json {
        let value = read.value.as_ref().map(|bytes| String::from_utf8_lossy(bytes));
        return print_json(&json!({ "name": name, "version": read.version, "value": value }));
    }
    let absent = || CliError::NotFound(format!("{name} has no value (version {})", read.version));
    print_bytes(read.value.as_ref().ok_or_else(absent)?)?;
    print_bytes(b"\n")
}

fn set(args: &SetArgs) -> Result<(), CliError> {
    let SetArgs { name, value, if_version, if_absent, nodes } = args;
    let mut bytes = value.clone().into_bytes();
    if value == "-" {
        bytes.clear();
        std::io::stdin().read_to_end(&mut bytes).map_err(CliError::failed)?;
    }
    let registers = registers(nodes)?;
    let set = match if_version {
        Some(version) => registers.compare_and_set(name, *version, Some(&bytes)),
        None if *if_absent => registers.create(name, &bytes),
        None => registers.set(name, &bytes),
    };
    print_line(&set.map_err(|error| failed(name, &error))?.to_string())
}

fn remove(args: &RemoveArgs) -> Result<(), CliError> {
    let RemoveArgs { name, if_version, nodes } = args;
    let registers = registers(nodes)?;
    let removed = match if_version {
        Some(version) => registers.compare_and_set(name, *version, None),
        None => registers.remove(name),
    };
    print_line(&removed.map_err(|error| failed(name, &error))?.to_string())
}

/// Of the cluster of these nodes.
pub fn registers(nodes: &NodesArgs) -> Result<Registers, CliError> {
    nodes.nodes().map(Registers::new).map_err(CliError::usage)
}

/// How the program ends.
pub fn failed(name: &str, error: &RegisterError) -> CliError {
    match error {
        RegisterError::Differs(version) => {
            let text = format!("{name} has version {version}: read it, and decide anew");
            CliError::Coded(DIFFERS, text)
        }
        RegisterError::Unknown(_) => CliError::Coded(UNKNOWN, error.to_string()),
        RegisterError::Refused(_) => CliError::usage(error),
        RegisterError::Unreachable(_) => CliError::failed(format!(
            "{error}: start a cluster with `ombak demo`, or name nodes with --node HOST:PORT,HOST:PORT"
        )),
        RegisterError::NotUnderstood(_) => CliError::failed(error),
    }
}
