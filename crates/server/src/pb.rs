//! Riak's Protocol Buffers protocol, spoken on the runtime's sockets.
//!
//! Requests of a connection run concurrently and are answered in order: [`Queue`] holds a place for each. Those that
//! concern one key are done in order too, if one of them writes, so that a pipelined put and get are one after the
//! other to the client.
//!
//! | file | subject |
//! |---|---|
//! | `queue` | order, and what must wait for what |
//! | `request` | a client's message becomes a question to the shard |
//! | `answer` | the shard's answer becomes frames |
//! | `content`, `props` | objects and bucket properties, in both directions |

mod answer;
mod content;
pub mod fuzz;
mod props;
mod queue;
mod request;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use ombak_base::NodeId;
use ombak_cluster::Topology;
use ombak_node::{Reply, Shard};
use ombak_runtime::{Answer, Close, Face, Outcome, Refusal, Requests};
use ombak_wire::{FrameError, Request, Response, WireError, split_frame};

use crate::metrics;
use queue::Queue;
use request::Plan;

/// The version that clients choose features by: the last Riak that this follows.
pub(crate) const RIAK_VERSION: &str = "3.2.3";

const START_TLS: u8 = 255;
const NO_SECURITY: &str = "Security not enabled; STARTTLS not allowed.";

/// What every connection of a node shares.
pub(crate) struct Common {
    pub topology: Arc<Topology>,
    pub me: NodeId,
}

/// The face: one clone per shard.
#[derive(Clone)]
pub struct PbFace {
    common: Arc<Common>,
}

impl PbFace {
    pub(crate) fn new(topology: Arc<Topology>, me: NodeId) -> PbFace {
        PbFace { common: Arc::new(Common { topology, me }) }
    }

    fn frame(&self, queue: &mut Queue, code: u8, body: Bytes, out: &mut Requests<'_, Shard>) {
        let body_bytes = body.len();
        match Request::decode(code, body) {
            Ok(request) => match self.common.plan(request) {
                Plan::Say(response) => queue.say(&response, out),
                Plan::Ask { request, wants, touches } => {
                    queue.ask(request, wants, touches, body_bytes, out);
                }
            },
            Err(WireError::UnknownCode(START_TLS)) => {
                queue.say(&Response::error(NO_SECURITY), out);
            }
            Err(error) => queue.say(&Response::error(error.to_string()), out),
        }
    }
}

impl Face<Shard> for PbFace {
    type Connection = Queue;

    fn open(&self) -> Queue {
        Queue::default()
    }

    fn receive(
        &self,
        queue: &mut Queue,
        input: &mut BytesMut,
        out: &mut Requests<'_, Shard>,
    ) -> Result<(), Close> {
        while queue.may_read() {
            match split_frame(input) {
                Ok(Some((code, body))) => self.frame(queue, code, body, out),
                Ok(None) => return Ok(()),
                Err(error) => return lost(queue, error, out),
            }
        }
        if queue.is_ending() {
            input.clear();
        }
        Ok(())
    }

    fn answer(
        &self,
        queue: &mut Queue,
        slot: u64,
        reply: Reply,
        out: &mut Requests<'_, Shard>,
    ) -> Answer {
        match reply {
            Reply::Kv(answer) => queue.answered(slot, answer, &self.common, out),
            // Nothing here asks for these.
            Reply::Status(_) | Reply::Repaired(_) | Reply::Locks(_) | Reply::Register(_) => {
                Answer::Close
            }
        }
    }

    fn operation(request: &ombak_node::Request) -> u8 {
        metrics::operation(request)
    }

    fn operation_name(operation: u8) -> &'static str {
        metrics::operation_name(operation)
    }

    fn outcome(reply: &Reply) -> Outcome {
        metrics::outcome(reply)
    }

    fn refuse(
        &self,
        queue: &mut Queue,
        why: Refusal,
        out: &mut Requests<'_, Shard>,
    ) -> Result<(), Close> {
        let text = match why {
            Refusal::TooMuch => "overload",
            Refusal::TooSlow => "timeout: the rest of a message did not come",
        };
        queue.say_last(&Response::error(text), out)
    }

    fn may_read(&self, queue: &Queue) -> bool {
        queue.may_read()
    }
}

/// Where the next frame begins is not known any more: the last word, then the end, but not before what was asked is
/// answered.
fn lost(queue: &mut Queue, error: FrameError, out: &mut Requests<'_, Shard>) -> Result<(), Close> {
    queue.say_last(&Response::error(error.to_string()), out)
}

#[cfg(test)]
mod tests;
