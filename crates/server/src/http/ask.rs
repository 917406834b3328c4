//! Questions to the shards.

use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use ombak_base::{RequestId, ShardId};
use ombak_cluster::hash;
use ombak_kv::{Answer, BucketId, Listing, Operation, Request as KvRequest};
use ombak_node::{Reply, Request, Shard};
use ombak_runtime::{AskError, Asked, Flow, Handle};
use tokio::sync::mpsc;
use tokio::sync::oneshot::{self, Receiver};
use tokio::time::timeout;

use super::reply::{Refusal, failed, text};
use super::{Site, named};

/// An answer, and what the shard calls the request.
type Answered = (Reply, RequestId);

impl Site {
    /// Asks one shard for an answer of one part.
    pub async fn ask(&self, shard: ShardId, request: Request) -> Result<Reply, AskError> {
        let (reply, request) = self.send(shard, request)?.0.await.map_err(|_| AskError::Stopped)?;
        named::note(request);
        Ok(reply)
    }

    /// The same, for as long as `within`; then, or when the client is gone, the question is taken back.
    pub async fn ask_within(
        &self,
        shard: ShardId,
        request: Request,
        within: Duration,
    ) -> Result<Option<Reply>, AskError> {
        let (receiver, asked) = self.send(shard, request)?;
        let mut asked = TakenBack { handle: &self.handle, asked: Some(asked) };
        let Ok(answered) = timeout(within, receiver).await else { return Ok(None) };
        asked.asked = None;
        let (reply, request) = answered.map_err(|_| AskError::Stopped)?;
        named::note(request);
        Ok(Some(reply))
    }

    /// Asks all shards at once.
    pub async fn ask_all(&self, request: &Request) -> Result<Vec<Reply>, AskError> {
        let shards = (0..self.shards).map(ShardId);
        let asked = shards.map(|shard| self.send(shard, request.clone()));
        let mut answers = Vec::new();
        for answer in asked.collect::<Result<Vec<_>, AskError>>()? {
            answers.push(answer.0.await.map_err(|_| AskError::Stopped)?.0);
        }
        Ok(answers)
    }

    fn send(
        &self,
        shard: ShardId,
        request: Request,
    ) -> Result<(Receiver<Answered>, Asked), AskError> {
        let (sender, receiver) = oneshot::channel();
        let mut sender = Some(sender);
        let sink = move |reply, request| {
            if let Some(sender) = sender.take() {
                // Whoever asked may have gone away.
                let _ = sender.send((reply, request));
            }
            Flow::Last
        };
        let asked = self.handle.send(shard, request, Box::new(sink))?;
        Ok((receiver, asked))
    }

    /// Asks about data. A failure is a refusal already.
    pub async fn ask_kv(&self, shard: ShardId, request: KvRequest) -> Result<Answer, Refusal> {
        match self.ask(shard, Request::Kv(request)).await? {
            Reply::Kv(Answer::Failed(error)) => Err(failed(&error).into()),
            Reply::Kv(answer) => Ok(answer),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks the shard that most likely coordinates the operation itself.
    pub async fn ask_key(&self, operation: Operation) -> Result<Answer, Refusal> {
        let shard = self.shard_of(operation.bucket(), operation.key());
        self.ask_kv(shard, KvRequest::Key(operation)).await
    }

    /// The shard of a key's partition; any shard would do.
    fn shard_of(&self, bucket: &BucketId, key: &[u8]) -> ShardId {
        let point = hash::key_point(&bucket.bucket_type, &bucket.name, key);
        let partition = hash::partition_of(&point, self.topology.ring.size());
        ombak_store::log::shard_of(partition, self.shards)
    }

    /// Begins a listing.
    pub fn list(&self, listing: Listing, timeout_ms: Option<u32>) -> Result<Parts, AskError> {
        let (sender, receiver) = mpsc::unbounded_channel();
        let sink = move |reply, _| {
            let flow = match &reply {
                Reply::Kv(Answer::Listed(_, false)) => Flow::Wait,
                _ => Flow::Last,
            };
            if sender.send(reply).is_ok() { flow } else { Flow::Stop }
        };
        let request = Request::Kv(KvRequest::List { listing, timeout_ms });
        let asked = self.handle.send(ShardId(0), request, Box::new(sink))?;
        Ok(Parts { receiver, handle: self.handle.clone(), asked, over: false })
    }
}

/// A question that nobody waits for any more once this is dropped.
struct TakenBack<'a> {
    handle: &'a Handle<Shard>,
    asked: Option<Asked>,
}

impl Drop for TakenBack<'_> {
    fn drop(&mut self) {
        if let Some(asked) = self.asked {
            self.handle.gone(asked);
        }
    }
}

/// A bug: told, not hidden behind a wrong answer.
#[cold]
pub(crate) fn unexpected(answer: &impl std::fmt::Debug) -> Refusal {
    tracing::error!(?answer, "a shard gave an answer that nobody asked for");
    text(StatusCode::INTERNAL_SERVER_ERROR, "internal error: the answer does not fit\n").into()
}

/// A part of a listing.
pub(crate) enum Listed {
    /// Names, and whether these were the last.
    Part(Vec<Bytes>, bool),
    /// The listing ends here, incomplete.
    Failed(String),
}

/// The parts of a listing. The shard reads ahead a little and goes on when a part is taken; dropping this ends it.
pub(crate) struct Parts {
    receiver: mpsc::UnboundedReceiver<Reply>,
    handle: Handle<Shard>,
    asked: Asked,
    over: bool,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("over", &self.over).finish_non_exhaustive()
    }
}

impl Parts {
    pub fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Listed> {
        let reply = ready!(self.receiver.poll_recv(context));
        Poll::Ready(match reply {
            Some(Reply::Kv(Answer::Listed(names, false))) => {
                // This may wait for room in the shard's queue, which the shard makes without waiting for anyone.
                self.handle.more(self.asked);
                Listed::Part(names, false)
            }
            Some(Reply::Kv(Answer::Listed(names, true))) => {
                self.over = true;
                Listed::Part(names, true)
            }
            Some(Reply::Kv(Answer::Failed(error))) => {
                self.over = true;
                Listed::Failed(error.to_string())
            }
            Some(_) | None => {
                self.over = true;
                Listed::Failed(AskError::Stopped.to_string())
            }
        })
    }

    pub async fn next(&mut self) -> Listed {
        std::future::poll_fn(|context| self.poll_next(context)).await
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if !self.over {
            self.handle.gone(self.asked);
        }
    }
}
