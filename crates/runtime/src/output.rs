//! Bytes on their way out of one socket.

use std::io::{self, ErrorKind, Write};

/// A buffer that is appended to during a turn and written with one call at its end.
pub(crate) struct Output {
    bytes: Vec<u8>,
    sent: usize,
    /// Capacity that an empty buffer may keep: a connection that once carried a large value gives the memory back.
    keep: usize,
}

impl Output {
    pub fn new(keep: usize) -> Output {
        Output { bytes: Vec::new(), sent: 0, keep }
    }

    /// Bytes not yet taken by the socket.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append. What is in there already must stay as it is.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub fn clear(&mut self) {
        self.sent = 0;
        if self.bytes.capacity() > self.keep {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }

    /// Writes what the socket takes. `false`: it took not all, and will say when it can take more.
    pub fn write_to(&mut self, socket: &mut impl Write) -> io::Result<bool> {
        while !self.is_empty() {
            match socket.write(&self.bytes[self.sent..]) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(n) => self.sent += n,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    self.drop_sent();
                    return Ok(false);
                }
                Err(e) => return Err(e),
            }
        }
        self.clear();
        Ok(true)
    }

    /// Moves the rest to the front once most is sent, so that the buffer does not grow with all that ever passed.
    fn drop_sent(&mut self) {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }
}

#[cfg(test)]
mod tests;
