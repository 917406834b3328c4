//! One connection: what is under way on it, and the bytes in both directions.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

use bytes::Bytes;
use mio::net::TcpStream;
use ombak_wire::{FRAME_HEADER_BYTES, Response, answer_missing};

use super::frames::{Frames, Kind, Operation};
use super::load::{Answer, Load};

/// Read at once; grows when a frame is longer.
const INPUT_BYTES: usize = 32 * 1024;
/// Room that grew for one burst is given back above this.
const OUTPUT_BYTES_KEPT: usize = 1 << 20;

/// Requests under way and partial frames of one socket.
pub(super) struct Connection {
    stream: TcpStream,
    /// Asked and not answered, the oldest first: answers come in the order of the requests.
    asked: VecDeque<(Operation, Instant)>,
    /// The first `filled` bytes are read and not yet taken.
    input: Vec<u8>,
    filled: usize,
    /// The first `written` bytes are sent.
    output: Vec<u8>,
    written: usize,
}

impl Connection {
    /// Takes over a stream that does not block.
    pub(super) fn new(stream: TcpStream) -> Connection {
        Connection {
            stream,
            asked: VecDeque::new(),
            input: vec![0; INPUT_BYTES],
            filled: 0,
            output: Vec::new(),
            written: 0,
        }
    }

    /// For the poll to watch.
    pub(super) fn stream(&mut self) -> &mut TcpStream {
        &mut self.stream
    }

    /// Whether a connection that was under way is there now.
    pub(super) fn is_open(&self) -> io::Result<bool> {
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Requests under way.
    pub(super) fn asked(&self) -> usize {
        self.asked.len()
    }

    /// When the oldest request under way was asked.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.asked.front().map(|(_, at)| *at)
    }

    /// Asks until `depth` requests are under way. Nothing is sent before [`Connection::flush`].
    pub(super) fn fill(
        &mut self,
        now: Instant,
        depth: usize,
        load: &mut impl Load,
        frames: &mut Frames,
    ) {
        while self.asked.len() < depth {
            let Some(operation) = load.next() else { return };
            frames.append(operation, &mut self.output);
            self.asked.push_back((operation, now));
        }
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while self.written < self.output.len() {
            match self.stream.write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written = 0;
        self.output.clear();
        self.output.shrink_to(OUTPUT_BYTES_KEPT);
        Ok(())
    }

    /// Reads what is there and tells `load` of each answer.
    ///
    /// A read that leaves room has emptied the socket, so no second one is needed to be told that it would block.
    pub(super) fn receive(&mut self, load: &mut impl Load) -> io::Result<()> {
        loop {
            match self.stream.read(&mut self.input[self.filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(read) => {
                    self.filled += read;
                    let emptied = self.filled < self.input.len();
                    self.take_answers(Instant::now(), load)?;
                    if emptied {
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Ends every request under way, when the connection is lost.
    pub(super) fn abandon(&mut self, now: Instant, reason: &str, load: &mut impl Load) {
        for (operation, at) in self.asked.drain(..) {
            load.ended(
                operation,
                now.saturating_duration_since(at),
                Answer::Lost(reason.to_owned()),
            );
        }
    }

    fn take_answers(&mut self, now: Instant, load: &mut impl Load) -> io::Result<()> {
        let mut taken = 0;
        while let Some(length) = whole_frame(&self.input[taken..self.filled])? {
            let frame = &self.input[taken..taken + length];
            let Some((operation, at)) = self.asked.pop_front() else {
                return Err(invalid("an answer that nobody asked for"));
            };
            let answer =
                answer(operation.kind, frame[FRAME_HEADER_BYTES - 1], &frame[FRAME_HEADER_BYTES..]);
            load.ended(operation, now.saturating_duration_since(at), answer);
            taken += length;
        }
        self.input.copy_within(taken..self.filled, 0);
        self.filled -= taken;
        self.make_room()
    }

    /// A frame longer than the buffer gets room for all of it.
    fn make_room(&mut self) -> io::Result<()> {
        let missing = answer_missing(&self.input[..self.filled]).map_err(invalid)?;
        if self.filled + missing > self.input.len() {
            self.input.resize(self.filled + missing, 0);
        }
        Ok(())
    }
}

/// The length, header included, of the frame at the front if all of it is there.
fn whole_frame(input: &[u8]) -> io::Result<Option<usize>> {
    if answer_missing(input).map_err(invalid)? > 0 {
        return Ok(None);
    }
    let length = input.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
    Ok(Some(length as usize + FRAME_HEADER_BYTES - 1))
}

/// Reads no more of an answer than tells what it is: a get's body is empty if, and only if, the key was not found.
fn answer(kind: Kind, code: u8, body: &[u8]) -> Answer {
    match (code, kind) {
        (10, Kind::Get) if body.is_empty() => Answer::NotFound,
        (10, Kind::Get) | (12, Kind::Put) | (14, Kind::Delete) => Answer::Done,
        (0, _) => Answer::Error(error_text(body)),
        _ => Answer::Error(format!("unexpected answer, message code {code}")),
    }
}

fn error_text(body: &[u8]) -> String {
    match Response::decode(0, Bytes::copy_from_slice(body)) {
        Ok(Response::Error(error)) => {
            String::from_utf8_lossy(&error.errmsg.unwrap_or_default()).into_owned()
        }
        _ => String::from("an error that cannot be decoded"),
    }
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
