//! `ombak registers`: which registers there are.

use clap::Args;
use ombak_locks::{ListedRegister, RegisterPage};

use crate::error::CliError;
use crate::nodes::NodesArgs;
use crate::output::{print_line, print_table, table};
use crate::register::{failed, registers};

const EXAMPLES: &str = "\
Examples:
  ombak registers                    name, version and length of each that has a value
  ombak registers --removed          those as well that were removed, which keep their version
  ombak registers --json | jq -r .name
  ombak register get NAME            what one is

A majority of the nodes with a vote is asked, 256 registers at a time: each change that anybody was told of before is seen. What is
changed meanwhile may be listed as it was, or as it is going to be. It is no moment in time: to be sure of one, read it.

Exit codes: 0 done, 2 wrong usage, 3 error.";

/// List the registers of the cluster.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct RegistersArgs {
    /// Those that were removed as well.
    #[arg(long)]
    removed: bool,
    #[command(flatten)]
    nodes: NodesArgs,
    /// Print a JSON object a line.
    #[arg(long)]
    json: bool,
}

/// `ombak registers`. No more than a page is kept.
pub fn run(args: &RegistersArgs) -> Result<(), CliError> {
    let of = registers(&args.nodes)?;
    let (mut page, mut is_any) = (None, false);
    loop {
        let read: RegisterPage = of.list(page.as_ref()).map_err(|error| failed("list", &error))?;
        let is_asked_for = |each: &&ListedRegister| args.removed || each.value_bytes.is_some();
        let asked_for: Vec<_> = read.registers.iter().filter(is_asked_for).collect();
        is_any |= !asked_for.is_empty();
        show(&asked_for, args.json)?;
        if read.next.is_none() {
            break;
        }
        page = Some(read);
    }
    match is_any || args.json {
        true => Ok(()),
        false => print_line("there are no registers"),
    }
}

fn show(registers: &[&ListedRegister], json: bool) -> Result<(), CliError> {
    if json {
        let line = |each| serde_json::to_string(each).map_err(CliError::failed);
        return registers.iter().try_for_each(|each| print_line(&line(each)?));
    }
    if registers.is_empty() {
        return Ok(());
    }
    let mut rows = table(&["name", "version", "bytes"]);
    rows.add_rows(registers.iter().map(|each| {
        let bytes = each.value_bytes.map_or("removed".into(), |bytes| bytes.to_string());
        [each.name.clone(), each.version.to_string(), bytes]
    }));
    print_table(&rows)
}
