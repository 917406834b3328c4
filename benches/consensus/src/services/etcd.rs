//! etcd 3.4, through its gateway for JSON.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::http::Connection;
use super::members::{MEMBERS, Members};

/// Members' ports follow those of clients.
pub fn command(program: &Path, dir: &Path, first_port: u16, at: u16) -> Command {
    let url = |port: u16| format!("http://127.0.0.1:{port}");
    let peer = |at: u16| url(first_port + MEMBERS + at);
    let cluster = (0..MEMBERS).map(|at| format!("node-{at}={}", peer(at))).collect::<Vec<_>>();
    let client = url(first_port + at);
    let mut command = Command::new(program);
    command.args(["--name", &format!("node-{at}"), "--logger", "zap", "--log-level", "error"]);
    command.arg("--data-dir").arg(dir.join(format!("node-{at}")));
    command.args(["--listen-client-urls", &client, "--advertise-client-urls", &client]);
    command.args(["--listen-peer-urls", &peer(at), "--initial-advertise-peer-urls", &peer(at)]);
    command.args(["--initial-cluster", &cluster.join(","), "--initial-cluster-state", "new"]);
    command
}

/// The port of whoever takes a put and says of itself that it leads: a put there makes one way less.
pub fn await_leader(members: &Members, bytes: usize) -> Result<u16> {
    members.await_some(|| members.ports().find(|port| leads(*port, bytes).unwrap_or(false)))
}

pub fn put(connection: &mut Connection, client: usize, bytes: usize) -> Result<()> {
    // Base64 has four letters for three bytes, and "AAAA" is three zeros.
    let key = format!("{client:08}");
    let value = "A".repeat(bytes.div_ceil(3) * 4);
    let answer = ask(connection, "/v3/kv/put", &json!({ "key": key, "value": value }))?;
    ensure!(answer.get("header").is_some(), "a put was answered by {answer}");
    Ok(())
}

fn leads(port: u16, bytes: usize) -> Result<bool> {
    let mut connection = Connection::open(port)?;
    put(&mut connection, 0, bytes)?;
    let answer = ask(&mut connection, "/v3/maintenance/status", &json!({}))?;
    let leader = answer.get("leader").context("no leader")?;
    Ok(*leader == answer["header"]["member_id"])
}

fn ask(connection: &mut Connection, path: &str, body: &Value) -> Result<Value> {
    let answer = connection.ask(&format!("POST {path}"), &body.to_string())?;
    Ok(serde_json::from_slice(&answer)?)
}
