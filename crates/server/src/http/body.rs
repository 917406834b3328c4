//! Bodies: of requests, which are gathered within bounds; of answers, whole or in parts.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::StatusCode;
use hyper::body::{Frame, Incoming, SizeHint};
use ombak_base::limits::OBJECT_BYTES_MAX;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::Site;
use super::ask::{Listed, Parts};
use super::buckets::names_json;
use super::reply::{Refusal, bad_request, closing, text};

/// The longest body of a request.
pub(crate) const BODY_BYTES_MAX: usize = OBJECT_BYTES_MAX;
/// Bytes of all bodies that are in memory.
pub(crate) const ALL_BODIES_BYTES_MAX: usize = 4 * OBJECT_BYTES_MAX;

/// A request's body, and its share of the room for bodies.
pub(crate) struct Gathered {
    pub bytes: Bytes,
    _room: Option<OwnedSemaphorePermit>,
}

impl Site {
    /// All of a body, unless it is too long, or there is no room for it.
    pub async fn gather(&self, mut body: Incoming) -> Result<Gathered, Refusal> {
        use hyper::body::Body as _;
        if body.size_hint().lower() > BODY_BYTES_MAX as u64 {
            return Err(too_large());
        }
        let mut room = None;
        let mut bytes = BytesMut::new();
        while let Some(frame) = timeout(self.patience, body.frame()).await.map_err(|_| silent())? {
            let frame = frame.map_err(|error| bad_request(format!("bad body: {error}\n")))?;
            let Ok(data) = frame.into_data() else { continue };
            if bytes.len() + data.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            take_room(&self.body_room, &mut room, data.len())?;
            bytes.extend_from_slice(&data);
        }
        Ok(Gathered { bytes: bytes.freeze(), _room: room })
    }
}

fn take_room(
    all: &std::sync::Arc<Semaphore>,
    room: &mut Option<OwnedSemaphorePermit>,
    bytes: usize,
) -> Result<(), Refusal> {
    let more = all.clone().try_acquire_many_owned(bytes as u32);
    let more = more.map_err(|_| {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        closing(text(status, "Unable to serve the request: too many large bodies\n"))
    })?;
    match room {
        Some(room) => room.merge(more),
        None => *room = Some(more),
    }
    Ok(())
}

fn too_large() -> Refusal {
    let text =
        text(StatusCode::PAYLOAD_TOO_LARGE, format!("a body has at most {BODY_BYTES_MAX} bytes\n"));
    closing(text).into()
}

fn silent() -> Refusal {
    closing(text(StatusCode::REQUEST_TIMEOUT, "the rest of the body did not come\n")).into()
}

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    /// All of it.
    Full(Option<Bytes>),
    /// A listing, a JSON object for each part.
    Parts(Box<PartsBody>),
}

/// A listing on its way.
#[derive(Debug)]
pub(crate) struct PartsBody {
    pub parts: Parts,
    /// `keys` or `buckets`.
    pub name: &'static str,
    /// Something to say before the parts.
    pub first: Option<Bytes>,
    pub over: bool,
}

impl Body {
    pub fn full(bytes: Bytes) -> Body {
        Body::Full((!bytes.is_empty()).then_some(bytes))
    }

    pub fn empty() -> Body {
        Body::Full(None)
    }

    pub fn parts(parts: Parts, name: &'static str, first: Option<Bytes>) -> Body {
        Body::Parts(Box::new(PartsBody { parts, name, first, over: false }))
    }
}

impl PartsBody {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_next(context));
        Poll::Ready(Some(match part {
            Listed::Part(names, last) => {
                self.over = last;
                names_json(self.name, &names)
            }
            // As Riak says it: in the body, because the status has been sent.
            Listed::Failed(reason) => {
                self.over = true;
                json!({ "error": reason }).to_string().into()
            }
        }))
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = match &mut *self {
            Body::Full(bytes) => bytes.take(),
            Body::Parts(parts) => ready!(parts.poll(context)),
        };
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Body::Full(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Body::Full(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Body::Parts(_) => SizeHint::default(),
        }
    }
}
