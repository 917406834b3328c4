//! A client of etcd's JSON gateway: HTTP/1.1 with one connection that stays open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(5);

pub struct Connection {
    stream: BufReader<TcpStream>,
}

/// Puts one value after the other under a key of the client's own. How many were acknowledged.
pub fn put_until(port: u16, client: usize, bytes: usize, until: Instant) -> Result<u64> {
    let mut connection = Connection::open(port)?;
    let mut puts = 0;
    while Instant::now() < until {
        connection.put(client, bytes)?;
        puts += 1;
    }
    Ok(puts)
}

impl Connection {
    pub fn open(port: u16) -> Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    pub fn put(&mut self, client: usize, bytes: usize) -> Result<()> {
        // Base64 has four letters for three bytes, and "AAAA" is three zeros.
        let key = format!("{client:08}");
        let value = "A".repeat(bytes.div_ceil(3) * 4);
        let answer = self.post("/v3/kv/put", &json!({ "key": key, "value": value }))?;
        ensure!(answer.get("header").is_some(), "a put was answered by {answer}");
        Ok(())
    }

    /// Whether the member that this leads to leads the others.
    pub fn leads(&mut self) -> Result<bool> {
        let answer = self.post("/v3/maintenance/status", &json!({}))?;
        let leader = answer.get("leader").context("no leader")?;
        Ok(*leader == answer["header"]["member_id"])
    }

    fn post(&mut self, path: &str, body: &Value) -> Result<Value> {
        let body = body.to_string();
        let head = format!("POST {path} HTTP/1.1\r\nHost: etcd\r\nContent-Length: {}", body.len());
        self.stream.get_mut().write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
        let bytes = self.head()?;
        let mut answer = vec![0; bytes];
        self.stream.read_exact(&mut answer)?;
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Reads the answer's head: how long the rest is.
    fn head(&mut self) -> Result<usize> {
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 200"), "answered {status}");
        let mut bytes = None;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            if line.is_empty() {
                return bytes.context("an answer without a length");
            }
            if let Some(length) = line.strip_prefix("content-length:") {
                bytes = Some(length.trim().parse()?);
            }
        }
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.stream.read_line(&mut line)? > 0, "the connection was closed");
        Ok(line.trim_end().to_string())
    }
}
