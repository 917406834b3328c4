//! Nodes of Ombak, and a register of each client's own: a value that is on the disks of a majority, and that everybody sees alike.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::http::Connection;
use super::members::{MEMBERS, Members};

/// Ports of peers and of Riak's protocol follow those of clients.
pub fn command(program: &Path, dir: &Path, first_port: u16, at: u16) -> Command {
    let address = |kind: u16, at: u16| format!("127.0.0.1:{}", first_port + kind * MEMBERS + at);
    let member = |at: u16| format!("node-{at}={}", address(1, at));
    let members = (0..MEMBERS).map(member).collect::<Vec<_>>();
    let mut command = Command::new(program);
    command.args(["start", "--name", &format!("node-{at}"), "--members", &members.join(",")]);
    command.arg("--dir").arg(dir.join(format!("node-{at}")));
    command.args(["--http", &address(0, at), "--peer", &address(1, at), "--pb", &address(2, at)]);
    command
}

/// All of them: nobody leads.
pub fn await_seats(members: &Members, bytes: usize) -> Result<Vec<u16>> {
    let takes = |port| Connection::open(port).and_then(|mut to| put(&mut to, 0, bytes)).is_ok();
    members.await_some(|| members.ports().all(takes).then(|| members.ports().collect()))
}

pub fn put(connection: &mut Connection, client: usize, bytes: usize) -> Result<()> {
    let request = format!("PUT /ombak/registers/{client:08}");
    connection.ask(&request, &"A".repeat(bytes)).map(drop)
}
