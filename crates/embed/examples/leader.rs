//! Three processes of which one leads. Each says on its standard output who it is:
//!
//! ```text
//! cargo run --example leader -- 1 127.0.0.1:7001 127.0.0.1:7002 127.0.0.1:7003     # and 2, and 3
//! n2 leads
//! I lead, with token 7        nobody else has this token, and nobody will have a lower one from now on
//! nobody leads
//! ```
//!
//! Kill the one that leads, and within a second another does. One that was frozen may believe for a while that it leads still: so
//! what it does in the world carries the token, and whoever has seen a higher one refuses it. The log is in `leader-ID`.

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use ombak_embed::{Bytes, DecodeError, Group, NodeId, Options, Slot, StateMachine};

const WITHIN: Duration = Duration::from_secs(5);

/// The last token that was given.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Tokens(u64);

impl StateMachine for Tokens {
    /// Whatever the command is, it is a request for a token.
    fn apply(&mut self, _: Slot, _: &Bytes) -> Bytes {
        self.0 += 1;
        self.snapshot()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        self.snapshot()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::copy_from_slice(&self.0.to_be_bytes())
    }

    fn restore(snapshot: Bytes) -> Result<Tokens, DecodeError> {
        number(&snapshot).map(Tokens).ok_or(DecodeError::Invalid("token"))
    }
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let id = NodeId(args.next().ok_or("usage: leader ID ADDRESS ADDRESS ADDRESS")?.parse()?);
    let addresses = args.map(|address| address.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;
    let members: Vec<_> = (1..).map(NodeId).zip(addresses).collect();
    let dir = Some(format!("leader-{}", id.0).into());
    let options = Options { dir, ..Options::new("leader", id, &members) };
    let group = Group::start(options, Tokens::default())?;
    let mut watch = group.watch()?;
    loop {
        let Some(status) = watch.next(Duration::MAX)? else { continue };
        match status.leader {
            _ if !status.is_ready => {}
            // To lead the group is to be the one whose proposals are decided: this one is, if it still leads.
            Some(_) if status.leads() => match group.propose(Bytes::new(), WITHIN) {
                Ok(token) => println!("I lead, with token {}", number(&token).unwrap_or_default()),
                Err(error) => println!("I led, and not for long: {error}"),
            },
            Some(leader) => println!("{leader} leads"),
            None => println!("nobody leads"),
        }
    }
}
