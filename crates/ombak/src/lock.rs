//! `ombak lock`: run a command while a lock is held, as flock(1) does, but across machines.

use clap::Args;
use ombak_locks::{How, Mode};

use crate::error::CliError;
use crate::holding::HoldingArgs;

const EXAMPLES: &str = "\
Examples:
  ombak lock backup -- pg_dump -f /mnt/dump shop       one machine at a time
  ombak lock --timeout 0 nightly -- ./report            now or not at all
  ombak lock --mode PR data -- ./read                   readers together, writers (EX) alone
  ombak lock --node 10.0.0.1:8098,10.0.0.2:8098 deploy -- sh -c 'deploy --token $OMBAK_LOCK_TOKEN'

The command finds in its environment
  OMBAK_LOCK_NAME      the name
  OMBAK_LOCK_TOKEN     a number larger than that of every earlier grant: whatever the lock protects refuses
                       requests with a smaller token than it has seen, and no late holder can do harm
  OMBAK_LOCK_DEADLINE  until when the lease is good at the start, in seconds since 1970; it is renewed meanwhile

When the lease is lost (no node can be reached, or this program was stopped for too long), the command and all that it
has started get SIGTERM, and SIGKILL after --kill-after. A stopped command that goes on later can do harm nevertheless: check the token.

A signal while it waits takes its place in the queue back. While the command runs, signals go on to the command alone.

Exit codes: the command's own (128 + N if signal N ended it, or the waiting for the lock), 123 the lease was lost, 124 not acquired,
125 anything else went wrong, 126 the command cannot be run, 127 there is no such command.
`ombak locks` shows who holds what.";

/// Run a command while holding a lock of the cluster.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct LockArgs {
    /// What to lock; any name, which exists as long as somebody holds it.
    name: String,
    /// NL, CR, CW, PR (readers together), PW or EX (alone).
    #[arg(long, default_value = "EX", value_parser = mode)]
    mode: Mode,
    #[command(flatten)]
    holding: HoldingArgs,
}

/// `ombak lock`.
pub fn run(args: &LockArgs) -> Result<(), CliError> {
    let LockArgs { name, mode, holding } = args;
    let holder = holding.open()?;
    let how = How { mode: *mode, wait: holding.timeout, ..How::default() };
    let who = format!("somebody else holds {name}: `ombak locks` shows who");
    let lock = holder.acquire(&who, |session| session.lock(&[name], how))?;
    holder.run(name, lock.token(), || lock.unlock(None))
}

fn mode(text: &str) -> Result<Mode, String> {
    let found = Mode::ALL.into_iter().find(|mode| format!("{mode:?}").eq_ignore_ascii_case(text));
    found.ok_or_else(|| "a mode is NL, CR, CW, PR, PW or EX".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_is_one_of_six() {
        assert_eq!(mode("ex"), Ok(Mode::EX));
        assert_eq!(mode("PR"), Ok(Mode::PR));
        assert!(mode("write").unwrap_err().contains("EX"));
    }
}
