//! `ombak lead` and `ombak leader`: one of many machines is in charge, and everybody can ask which.

use std::time::Duration;

use clap::Args;
use ombak_locks::Session;

use crate::error::CliError;
use crate::holding::{HoldingArgs, advice};
use crate::nodes::NodesArgs;
use crate::output::{print_bytes, print_line};

/// Of the session that asks.
const LEASE: Duration = Duration::from_secs(10);

/// Of what others are told: a value block holds no more.
const WHO_BYTES_MAX: usize = 64;

const LEAD_EXAMPLES: &str = "\
Examples:
  ombak lead billing -- ./serve                        stands by until it is its turn, then runs ./serve
  ombak lead billing --as 10.0.0.7:9000 -- ./serve     others are told that address
  ombak lead --timeout 0 billing -- ./serve            now or not at all
  ombak leader billing                                 who leads

One leads at a time. When its command ends, or it is not heard of for --lease, the next one leads.
The command finds OMBAK_LOCK_NAME, OMBAK_LOCK_TOKEN and OMBAK_LOCK_DEADLINE in its environment, and loses its lease and ends as under
`ombak lock`. The token grows from leader to leader: what is done by the leader's order refuses smaller ones than it has seen.

Exit codes: as `ombak lock`.";

const LEADER_EXAMPLES: &str = "\
Examples:
  ombak leader billing
  curl \"http://$(ombak leader billing)/invoices\"
  ombak leader billing || echo 'nobody is in charge'

Exit codes: 0 somebody leads, 1 nobody does, or nobody has said so yet, 2 wrong usage, 3 error.";

/// Run a command while this machine is the leader; stand by until then.
#[derive(Args, Debug)]
#[command(after_help = LEAD_EXAMPLES)]
pub struct LeadArgs {
    /// Of what: any name, and a lock of that name.
    name: String,
    /// What `ombak leader` tells others: an address, say, of up to 64 bytes [default: this machine's name]
    #[arg(long = "as", value_name = "WHO", value_parser = who)]
    who: Option<String>,
    #[command(flatten)]
    holding: HoldingArgs,
}

/// Print who leads.
#[derive(Args, Debug)]
#[command(after_help = LEADER_EXAMPLES)]
pub struct LeaderArgs {
    /// Of what.
    name: String,
    #[command(flatten)]
    nodes: NodesArgs,
}

fn who(text: &str) -> Result<String, String> {
    match text.len() {
        1..=WHO_BYTES_MAX => Ok(text.into()),
        bytes => Err(format!("it has 1 to {WHO_BYTES_MAX} bytes, not {bytes}")),
    }
}

/// `ombak lead`.
pub fn lead(args: &LeadArgs) -> Result<(), CliError> {
    let LeadArgs { name, who, holding } = args;
    let uname = rustix::system::uname();
    let who = who.clone().unwrap_or_else(|| uname.nodename().to_string_lossy().into_owned());
    let holder = holding.open()?;
    let taken = format!("somebody else leads {name}: `ombak leader {name}` says who");
    let leads =
        holder.acquire(&taken, |session| session.lead(&[name], who.as_bytes(), holding.timeout))?;
    holder.run(name, leads.token(), || leads.resign())
}

/// `ombak leader`.
pub fn leader(args: &LeaderArgs) -> Result<(), CliError> {
    // The session ends with this, or with its lease: that it was told is no part of the answer.
    let asked =
        || Session::open(args.nodes.nodes()?, "asks who leads", LEASE)?.leader(&[&args.name]);
    let who = asked().map_err(|error| CliError::Failed(format!("{error}{}", advice(&error))))?;
    let Some(who) = who else {
        return Err(CliError::Coded(1, format!("nobody leads {}", args.name)));
    };
    print_bytes(&who)?;
    print_line("")
}
