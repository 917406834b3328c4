//! One connection: frames out, frames in, and whether the next one may have it.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::BytesMut;
use ombak_wire::{Request, Response, answer_missing, split_answer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// A read reserves no less, and no more at a time: what the length says is the sender's word.
const READ_BYTES: usize = 4 * 1024;
const READ_BYTES_MAX: usize = 1024 * 1024;

/// Why an exchange has no answer. The connection is of no use any more.
#[derive(Debug)]
pub(crate) struct Cut {
    /// Whether all of the request may have reached the node.
    pub sent: bool,
    /// What happened.
    pub why: io::Error,
}

/// A connection, and what was read of it but not used.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    input: BytesMut,
    /// An exchange has begun and is not over. If it never is, its answer may still come, and must not be taken for that
    /// of another request: such a connection is closed.
    open: bool,
    /// An exchange has ended well.
    has_worked: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub fn new(stream: S) -> Connection<S> {
        Connection { stream, input: BytesMut::new(), open: false, has_worked: false }
    }

    /// What it is made of.
    #[cfg(test)]
    pub fn stream(&self) -> &S {
        &self.stream
    }

    /// Whether nothing is under way and nothing is left over.
    pub fn is_clean(&self) -> bool {
        !self.open && self.input.is_empty()
    }

    /// Whether the node has ever answered on it.
    pub fn has_worked(&self) -> bool {
        self.has_worked
    }

    /// Sends a request and takes the first frame of its answer. [`close_exchange`](Self::close_exchange) says that it was
    /// the last; whoever is cancelled before leaves an open exchange.
    pub async fn ask(&mut self, request: &Request) -> Result<Response, Cut> {
        let mut frame = Vec::new();
        request.encode_frame(&mut frame);
        self.ask_frame(&frame).await
    }

    /// The same with the request as bytes.
    pub async fn ask_frame(&mut self, frame: &[u8]) -> Result<Response, Cut> {
        self.open = true;
        self.send(frame).await?;
        self.next().await
    }

    /// The next frame of the answer.
    pub async fn next(&mut self) -> Result<Response, Cut> {
        self.receive().await.map_err(|why| Cut { sent: true, why })
    }

    /// The answer is complete.
    pub fn close_exchange(&mut self) {
        self.open = false;
        self.has_worked = true;
    }

    /// Whether the other side has kept silent and has not closed, as it should between two exchanges.
    pub async fn is_quiet(&mut self) -> bool {
        poll_fn(|cx| Poll::Ready(self.is_clean() && self.poll_quiet(cx))).await
    }

    fn poll_quiet(&mut self, cx: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(cx, &mut ReadBuf::new(&mut byte)).is_pending()
    }

    async fn send(&mut self, mut frame: &[u8]) -> Result<(), Cut> {
        // A node does nothing before it has the whole frame.
        let not_sent = |why| Cut { sent: false, why };
        while !frame.is_empty() {
            let stream = &mut self.stream;
            let written = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, frame)).await;
            let written = written.and_then(|written| match written {
                0 => Err(io::ErrorKind::WriteZero.into()),
                written => Ok(written),
            });
            frame = &frame[written.map_err(not_sent)?..];
        }
        let stream = &mut self.stream;
        let flushed = poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await;
        flushed.map_err(|why| Cut { sent: true, why })
    }

    async fn receive(&mut self) -> io::Result<Response> {
        loop {
            if let Some((code, body)) = split_answer(&mut self.input).map_err(io::Error::other)? {
                return Response::decode(code, body).map_err(io::Error::other);
            }
            let missing = answer_missing(&self.input).map_err(io::Error::other)?;
            self.input.reserve(missing.clamp(READ_BYTES, READ_BYTES_MAX));
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}
