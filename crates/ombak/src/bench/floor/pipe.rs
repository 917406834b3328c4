//! A socket with a buffer in each direction, and frames of a length and a kind: all the protocol that the floor has.

use std::io::{self, Read};

use mio::net::TcpStream;

use crate::bench::connection::send_queued;

/// Read at once; grows when a frame is longer.
const INPUT_BYTES: usize = 64 * 1024;
/// A length and a kind.
pub(super) const HEADER_BYTES: usize = 5;
/// No frame of the floor is longer.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// A connection that does not block.
pub(super) struct Pipe {
    pub stream: TcpStream,
    input: Vec<u8>,
    /// The bytes of `input` that are read and not yet taken.
    taken: usize,
    filled: usize,
    output: Vec<u8>,
    written: usize,
}

impl Pipe {
    pub(super) fn new(stream: TcpStream) -> Pipe {
        let input = vec![0; INPUT_BYTES];
        Pipe { stream, input, taken: 0, filled: 0, output: Vec::new(), written: 0 }
    }

    /// Reads once; whether there may be more. A read that leaves room has emptied the socket.
    pub(super) fn read(&mut self) -> io::Result<bool> {
        self.make_room()?;
        match self.stream.read(&mut self.input[self.filled..]) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => {
                self.filled += read;
                Ok(self.filled == self.input.len())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The kind and the body of the next whole frame.
    pub(super) fn take(&mut self) -> Option<(u8, &[u8])> {
        let length = self.length()?;
        if self.filled - self.taken < length {
            return None;
        }
        let frame = &self.input[self.taken..self.taken + length];
        self.taken += length;
        Some((frame[HEADER_BYTES - 1], &frame[HEADER_BYTES..]))
    }

    /// Queues a frame of `length` bytes in all, which begins like `body`. Nothing is sent before [`Pipe::flush`].
    pub(super) fn put(&mut self, kind: u8, body: &[u8], length: usize) {
        let end = self.output.len() + length;
        let behind = (length - HEADER_BYTES + 1) as u32;
        self.output.extend_from_slice(&behind.to_be_bytes());
        self.output.push(kind);
        self.output.extend_from_slice(&body[..body.len().min(length - HEADER_BYTES)]);
        self.output.resize(end, 0);
    }

    /// Queues bytes that are frames already.
    pub(super) fn put_frames(&mut self, frames: &[u8]) {
        self.output.extend_from_slice(frames);
    }

    /// Whether nothing is queued.
    pub(super) fn has_sent_all(&self) -> bool {
        self.output.is_empty()
    }

    /// Sends what the socket takes.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        send_queued(&mut self.stream, &mut self.output, &mut self.written)
    }

    /// The length of the frame at the front, header included, if that much is there.
    fn length(&self) -> Option<usize> {
        let bytes = self.input[self.taken..self.filled].first_chunk()?;
        Some(u32::from_be_bytes(*bytes) as usize + HEADER_BYTES - 1)
    }

    /// Moves what is left to the front, and makes room for a frame that is longer than the buffer.
    fn make_room(&mut self) -> io::Result<()> {
        let needed = self.length().unwrap_or(HEADER_BYTES);
        if needed > FRAME_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame that is too long"));
        }
        self.input.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        if needed > self.input.len() {
            self.input.resize(needed, 0);
        }
        Ok(())
    }
}
