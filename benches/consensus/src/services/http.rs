//! A client of HTTP/1.1 with one connection that stays open.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

const TIMEOUT: Duration = Duration::from_secs(5);

pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(port: u16) -> Result<Connection> {
        let stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Connection { stream: BufReader::new(stream) })
    }

    /// `request` is a method and a path. The answer's body, if its status begins with 2.
    pub fn ask(&mut self, request: &str, body: &str) -> Result<Vec<u8>> {
        let length = body.len();
        let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}");
        self.stream.get_mut().write_all(format!("{head}\r\n\r\n{body}").as_bytes())?;
        let mut answer = vec![0; self.head()?];
        self.stream.read_exact(&mut answer)?;
        Ok(answer)
    }

    /// Reads the answer's head: how long the rest is.
    fn head(&mut self) -> Result<usize> {
        let status = self.line()?;
        ensure!(status.starts_with("HTTP/1.1 2"), "answered {status}");
        let mut bytes = status.starts_with("HTTP/1.1 204").then_some(0);
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
