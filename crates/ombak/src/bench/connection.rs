//! One connection: what is under way on it, and the bytes in both directions.

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::time::Instant;

use bytes::Bytes;
use mio::net::TcpStream;
use ombak_wire::{FRAME_HEADER_BYTES, Response, answer_missing};
use prost::encoding::decode_varint;

use super::frames::{Frames, Kind, Operation};
use super::load::{Answer, Load};

/// Read at once; grows when a frame is longer.
const INPUT_BYTES: usize = 32 * 1024;
/// Room that grew for one burst is given back above this.
const OUTPUT_BYTES_KEPT: usize = 1 << 20;

/// A request under way.
struct Asked {
    operation: Operation,
    since: Instant,
    step: Step,
}

/// Where in its operation a request stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The first request, and of most operations the only one.
    First,
    /// The write of a read-modify-write; whether its read found something.
    Write(bool),
}

impl Asked {
    /// What kind of answer to expect.
    fn expects(&self) -> Kind {
        match (self.operation.kind, self.step) {
            (Kind::ReadModifyWrite, Step::First) => Kind::Get,
            (Kind::ReadModifyWrite, Step::Write(_)) | (Kind::Insert, _) => Kind::Put,
            (kind, _) => kind,
        }
    }

    /// Whether a write is to follow this answer.
    fn goes_on(&self, answer: &Answer) -> bool {
        self.operation.kind == Kind::ReadModifyWrite
            && self.step == Step::First
            && matches!(answer, Answer::Done | Answer::NotFound)
    }

    fn end(self, now: Instant, answer: Answer, load: &mut impl Load) {
        let answer = match answer {
            Answer::Done if self.step == Step::Write(false) => Answer::NotFound,
            answer => answer,
        };
        load.ended(self.operation, now.saturating_duration_since(self.since), answer);
    }
}

/// Requests under way and partial frames of one socket.
pub(super) struct Connection {
    stream: TcpStream,
    /// Asked and not answered, the oldest first: answers come in the order of the requests.
    asked: VecDeque<Asked>,
    /// Read for a read-modify-write, and not yet written; with `asked` at most as many as may be under way.
    read: VecDeque<(Asked, Bytes)>,
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
            read: VecDeque::new(),
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
        self.asked.len() + self.read.len()
    }

    /// When the oldest request under way was asked.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.asked.iter().map(|asked| asked.since).min()
    }

    /// Writes what was read to be written, then asks until `depth` requests are under way. Nothing is sent before [`Connection::flush`].
    pub(super) fn fill(
        &mut self,
        now: Instant,
        depth: usize,
        load: &mut impl Load,
        frames: &mut Frames,
    ) {
        while let Some((asked, context)) = self.read.pop_front() {
            frames.append_write(asked.operation.key, context, &mut self.output);
            self.asked.push_back(asked);
        }
        while self.asked.len() < depth {
            let Some((operation, since)) = load.next(now) else { return };
            frames.append(operation, &mut self.output);
            self.asked.push_back(Asked { operation, since, step: Step::First });
        }
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        send_queued(&mut self.stream, &mut self.output, &mut self.written)?;
        if self.output.is_empty() {
            self.output.shrink_to(OUTPUT_BYTES_KEPT);
        }
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
        let read = self.read.drain(..).map(|(asked, _)| asked);
        for asked in self.asked.drain(..).chain(read) {
            asked.end(now, Answer::Lost(reason.to_owned()), load);
        }
    }

    fn take_answers(&mut self, now: Instant, load: &mut impl Load) -> io::Result<()> {
        let mut taken = 0;
        while let Some(length) = whole_frame(&self.input[taken..self.filled])? {
            let frame = &self.input[taken..taken + length];
            let Some(mut asked) = self.asked.pop_front() else {
                return Err(invalid("an answer that nobody asked for"));
            };
            let (code, body) = (frame[FRAME_HEADER_BYTES - 1], &frame[FRAME_HEADER_BYTES..]);
            let answer = answer(asked.expects(), code, body);
            if asked.goes_on(&answer) {
                asked.step = Step::Write(answer == Answer::Done);
                self.read.push_back((asked, context(body)));
            } else {
                asked.end(now, answer, load);
            }
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

/// Sends what the socket takes of `output`, of which `written` bytes are sent already.
pub(super) fn send_queued(
    stream: &mut TcpStream,
    output: &mut Vec<u8>,
    written: &mut usize,
) -> io::Result<()> {
    while *written < output.len() {
        match stream.write(&output[*written..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => *written += more,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    *written = 0;
    output.clear();
    Ok(())
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

/// The causal context in a get's answer, without decoding the values before it; empty if there is none.
fn context(body: &[u8]) -> Bytes {
    const CONTEXT: u64 = 2;
    find_bytes(body, CONTEXT).map_or_else(Bytes::new, Bytes::copy_from_slice)
}

/// The first field of this number with a length. `None` at its absence, and at what is no such message.
fn find_bytes(mut body: &[u8], number: u64) -> Option<&[u8]> {
    loop {
        let tag = decode_varint(&mut body).ok()?;
        let value = decode_varint(&mut body).ok()?;
        match tag & 7 {
            0 => {}
            2 => {
                let (piece, rest) = body.split_at_checked(usize::try_from(value).ok()?)?;
                if tag >> 3 == number {
                    return Some(piece);
                }
                body = rest;
            }
            _ => return None,
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use ombak_wire::{RpbContent, RpbGetResp};

    #[test]
    fn the_context_is_found_behind_the_values() {
        let content = RpbContent { value: Some(vec![7; 300].into()), ..RpbContent::default() };
        for vclock in [None, Some(Bytes::from_static(b"context"))] {
            let answer = RpbGetResp {
                content: vec![content.clone(), content.clone()],
                vclock: vclock.clone(),
                unchanged: Some(false),
            };
            let mut frame = Vec::new();
            Response::Get(answer).encode_frame(&mut frame);
            let body = &frame[FRAME_HEADER_BYTES..];
            assert_eq!(context(body), vclock.unwrap_or_default());
            (0..body.len()).for_each(|end| drop(context(&body[..end])));
        }
    }
}
