//! `ombak top`: what nodes do, second by second.
//!
//! Each node is asked for its totals; two answers make a rate, and the latencies of what came between them.

mod rates;
mod screen;
mod view;

use std::io::{self, IsTerminal};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;
use ombak_server::report::Numbers;
use ureq::http::Method;

use crate::config::DEFAULT_HTTP;
use crate::error::CliError;
use crate::http_client::{NodeArgs, NodeClient, host_and_port};
use crate::output::print_line;
use crate::signals;

use rates::Rates;
use screen::Screen;

const PATH: &str = "/ombak/numbers";
/// A node that does not answer within this is shown as silent.
const PATIENCE: Duration = Duration::from_secs(2);

const EXAMPLES: &str = "\
Examples:
  ombak top                                             the node on the default port, each second, until Ctrl-C
  ombak top --node 127.0.0.1:8098 --node 127.0.0.1:8108 --node 127.0.0.1:8118
                                                        the three nodes of `ombak demo`
  ombak top --once --interval 5                         one measurement over five seconds, for a script
  ombak top --json | jq '.nodes[].rates.operations.put'       a line of JSON for each measurement

What it shows, within the interval:
  /s                operations of the clients of that node, wherever the data lives
  p50 p99 max       from the turn of the event loop in which a request was read to the one in which it was answered
  sync p99          one write of the commit log with its sync; writes wait for it
  commits/sync      how many turns of shards share a sync: rises under load
  unsynced          writes that wait for a sync; held: answers that do; loading: commands that wait for a read
  disk reads        gets whose value was not in memory
  live, disk        bytes that keys point at, and of all files: their difference is what compaction will free";

/// Show what nodes are doing, each second.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub struct TopArgs {
    /// A node's HTTP address; may be given several times.
    #[arg(long = "node", value_name = "HOST:PORT", default_value = DEFAULT_HTTP, value_parser = host_and_port)]
    nodes: Vec<String>,
    /// Seconds between two readings.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    interval: Duration,
    /// Measure once, over one interval, and end.
    #[arg(long)]
    once: bool,
    /// Print a line of JSON for each measurement.
    #[arg(long)]
    json: bool,
}

/// One node, and its last reading with when it was taken.
struct Watched {
    client: NodeClient,
    last: Option<(Instant, Numbers)>,
}

/// `ombak top`.
pub fn run(args: &TopArgs) -> Result<(), CliError> {
    let client =
        |node: &String| NodeClient::with_patience(&NodeArgs { node: node.clone() }, PATIENCE);
    let mut nodes: Vec<Watched> =
        args.nodes.iter().map(|node| Watched { client: client(node), last: None }).collect();
    begin(&mut nodes, args.once)?;
    let (sender, stops) = mpsc::channel();
    signals::send_on_stop(sender, ())?;
    let on_screen = !args.once && !args.json && io::stdout().is_terminal();
    let mut screen = on_screen.then(Screen::enter).transpose()?;
    while !stopped(&stops, args.interval) {
        let rates = nodes.iter_mut().map(Watched::measure).collect::<Vec<_>>();
        if args.once
            && let Some(error) = rates.iter().find_map(|rates| rates.as_ref().err())
        {
            return Err(CliError::failed(error));
        }
        match &mut screen {
            Some(screen) => screen.show(&view::page(&args.nodes, &rates))?,
            None if args.json => print_line(&view::json(&args.nodes, &rates))?,
            None => print_line(&view::page(&args.nodes, &rates))?,
        }
        if args.once {
            break;
        }
    }
    Ok(())
}

/// The first reading of each. Where several are watched, some may be missing, but not all.
fn begin(nodes: &mut [Watched], all: bool) -> Result<(), CliError> {
    let mut first = None;
    for node in nodes.iter_mut() {
        if let Err(error) = node.read() {
            first.get_or_insert(error);
        }
    }
    let is_dark = nodes.iter().all(|node| node.last.is_none());
    match first {
        Some(error) if all || is_dark => Err(error),
        _ => Ok(()),
    }
}

/// Waits for the next reading. `true`: there is none, because of Ctrl-C.
fn stopped(stops: &Receiver<()>, interval: Duration) -> bool {
    !matches!(stops.recv_timeout(interval), Err(RecvTimeoutError::Timeout))
}

impl Watched {
    /// What has happened since the reading before; the error is one line.
    fn measure(&mut self) -> Result<Rates, String> {
        let before = self.last.take();
        self.read().map_err(|error| error.to_string())?;
        match (before, &self.last) {
            (Some((then, earlier)), Some((now, numbers))) if numbers.up_ms >= earlier.up_ms => {
                Ok(Rates::between(&earlier, numbers, now.duration_since(then)))
            }
            _ => Err("it has just come up".into()),
        }
    }

    fn read(&mut self) -> Result<(), CliError> {
        let said = self.client.json(Method::GET, PATH)?;
        let numbers = serde_json::from_value(said);
        let numbers = numbers.map_err(|error| self.client.not_ombak(&error.to_string()))?;
        self.last = Some((Instant::now(), numbers));
        Ok(())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 =
        text.parse().map_err(|_| "an interval is a number of seconds".to_string())?;
    if !(0.1..=3600.0).contains(&seconds) {
        return Err("an interval is 0.1 to 3600 seconds".into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_bounds() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for text in ["0", "-1", "nan", "inf", "1e9", "x", ""] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }
}
