//! A counter that three processes keep together. Each is asked by lines on its standard input:
//!
//! ```text
//! cargo run --example counter -- 1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003     # and 2, and 3
//! add 5        → ok 5            it is on two disks, and the counter is 5 now
//!              → unknown         a leader was lost on the way: it may have been added or not
//!              → later: …        nothing was added
//! get          → value 5         everything that anybody was told of is in it
//! who          → leader n1
//! ```
//!
//! Kill any one of them, and the other two go on; start it again, and it has what it missed. The log is in `counter-ID`.

use std::error::Error;
use std::io::stdin;
use std::net::SocketAddr;
use std::time::Duration;

use ombak_embed::{
    Bytes, DecodeError, Group, NodeId, Options, ProposeError, Slot, StateMachine, Status,
};

const WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Counter(i64);

impl StateMachine for Counter {
    /// Every member does this with the same commands in the same order: no clock, no chance, no file.
    fn apply(&mut self, _: Slot, command: &Bytes) -> Bytes {
        self.0 = self.0.wrapping_add(number(command).unwrap_or_default());
        self.snapshot()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    fn restore(snapshot: Bytes) -> Result<Counter, DecodeError> {
        number(&snapshot).map(Counter).ok_or(DecodeError::Invalid("counter"))
    }
}

fn number(bytes: &[u8]) -> Option<i64> {
    bytes.try_into().ok().map(i64::from_be_bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let id = NodeId(args.next().ok_or("usage: counter ID ADDRESS ADDRESS ADDRESS")?.parse()?);
    let addresses = args.map(|address| address.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    let members: Vec<_> = (1..).map(NodeId).zip(addresses).collect();
    let dir = Some(format!("counter-{}", id.0).into());
    let options = Options { dir, ..Options::new("counter", id, &members) };
    let group = Group::start(options, Counter::default())?;
    for line in stdin().lines() {
        println!("{}", answer(&group, &line?));
    }
    Ok(group.stop()?)
}

fn answer(group: &Group<Counter>, line: &str) -> String {
    let shown = |bytes: Bytes| number(&bytes).map_or("?".into(), |number| number.to_string());
    match line.split_once(' ').unwrap_or((line, "")) {
        ("add", text) => {
            let Ok(n) = text.parse::<i64>() else { return "later: that is no number".into() };
            match group.propose(n.to_be_bytes().to_vec(), WITHIN) {
                Ok(now) => format!("ok {}", shown(now)),
                Err(ProposeError::Unknown | ProposeError::Ended(_)) => "unknown".into(),
                Err(error) => format!("later: {error}"),
            }
        }
        ("get", _) => match group.read(Bytes::new(), WITHIN) {
            Ok(now) => format!("value {}", shown(now)),
            Err(error) => format!("later: {error}"),
        },
        ("who", _) => match group.status() {
            Ok(Status { leader: Some(leader), .. }) => format!("leader {leader}"),
            Ok(_) => "leader nobody".into(),
            Err(error) => format!("later: {error}"),
        },
        _ => "later: say add N, get or who".into(),
    }
}
