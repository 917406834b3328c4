//! Waiting for an answer, at two nodes at once.
//!
//! A node that is frozen keeps its connections and says nothing, as does one at which somebody waits. To ask it now and then whether it
//! lives would cost the more the sooner it is to be noticed. So who waits does so at a second node as well: each node hears of each
//! grant, and one that knows already that a request waits does nothing but tell.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Weak};
use std::thread::Builder;
use std::time::{Duration, Instant};

use crate::error::LockError;
use crate::nodes::Nodes;
use crate::session::Shared;
use crate::wire::{Answer, Ask};

/// How long a node may take to answer a request that waits; then it is sent again.
const POLL: Duration = Duration::from_secs(10);
/// Beyond what a node says that it will take.
const GRACE: Duration = Duration::from_secs(2);
/// How often it is looked whether there is still something to wait for.
const LOOK: Duration = Duration::from_secs(1);

/// Waits for a request that was sent and not answered, on threads of its own: they end when a node says something, though nobody
/// listens any more.
pub(crate) fn wait(
    shared: &Arc<Shared>,
    number: u64,
    ask: &Ask,
    deadline: Option<Instant>,
) -> Result<Answer, LockError> {
    let (sender, answers) = channel();
    let waits = Arc::new(());
    for nodes in shared.nodes.halves() {
        let (shared, ask, sender) = (shared.clone(), ask.clone(), sender.clone());
        let waits = Arc::downgrade(&waits);
        Builder::new()
            .name("ombak-waits".into())
            .spawn(move || wait_at(&shared, &nodes, number, &ask, &waits, &sender))
            .map_err(|source| LockError::System { what: "starting a thread", source })?;
    }
    drop(sender);
    hear(shared, &answers, number, deadline)
}

/// Sends it until it is answered with more than that it waits, or nobody waits for it any more.
fn wait_at(
    shared: &Shared,
    nodes: &Nodes,
    number: u64,
    ask: &Ask,
    waits: &Weak<()>,
    answers: &Sender<Result<Answer, LockError>>,
) {
    while waits.strong_count() > 0 {
        let answer = shared.send(nodes, number, ask, POLL, Instant::now() + POLL + GRACE);
        if is_final(&answer) {
            // The other node may have been quicker.
            let _ = answers.send(answer);
            return;
        }
        if answer.is_ok_and(|answer| answer != Answer::Waiting) {
            std::thread::sleep(LOOK); // There is no room for it yet.
        }
    }
}

/// Whether there is nothing to wait for. What is too far ahead was not taken as seen: others are under way that were asked long before.
pub(crate) fn is_final(answer: &Result<Answer, LockError>) -> bool {
    match answer {
        Ok(Answer::Refused { why, .. }) => why != "too-far-ahead",
        Ok(Answer::Waiting) | Err(LockError::Unreachable(_)) => false,
        _ => true,
    }
}

fn hear(
    shared: &Arc<Shared>,
    answers: &Receiver<Result<Answer, LockError>>,
    number: u64,
    deadline: Option<Instant>,
) -> Result<Answer, LockError> {
    loop {
        let left =
            deadline.map_or(LOOK, |deadline| deadline.saturating_duration_since(Instant::now()));
        match answers.recv_timeout(left.min(LOOK)) {
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) if shared.is_over() => return Err(LockError::Lost),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(LockError::Unreachable("nobody waits for it".into()));
            }
        }
        // It may have come later than what was to take it back.
        let cancelled = shared.requests().cancelled(number);
        cancelled.map_or(Ok(()), |lock| shared.cancel(lock))?;
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(LockError::Unreachable("it may wait".into()));
        }
    }
}
