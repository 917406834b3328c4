//! Answers that found a queue full.
//!
//! Whoever asks another shard waits for its answer as long as the link stands. If the answer itself finds no room, the
//! asker must hear at least that there is none to come: that is said with every heartbeat until it is taken. What was
//! done stays done; the asker counts this shard as failed, or says that it does not know.

use ombak_base::{Address, Effects, Refused, Stamp, sometimes};
use ombak_kv::{Answer, RequestError};

use crate::message::{Message, Told};
use crate::shard::Shard;

/// At most so many are remembered. Those above it are noticed by the asker's patience.
pub(crate) const OWED_MAX: usize = 65_536;

impl Shard {
    /// Sends an answer to another shard. One that cannot be reached has counted this node as failed already; one whose
    /// queue is full is owed the news that the answer is lost.
    pub(crate) fn answer_shard<E: Effects<Shard>>(
        &mut self,
        to: Address,
        answer: Message,
        after: Stamp,
        fx: &mut E,
    ) {
        let lost = lost_instead(&answer);
        if fx.send(to, answer, after) == Err(Refused::Full)
            && let Some(lost) = lost
            && self.owed.len() < OWED_MAX
        {
            sometimes!(fx, "an answer found the queue full");
            self.owed.push_back((to, lost));
        }
    }

    /// Says again what found no room.
    pub(crate) fn pay_owed<E: Effects<Shard>>(&mut self, fx: &mut E) {
        for _ in 0..self.owed.len() {
            let Some((to, lost)) = self.owed.pop_front() else { return };
            if fx.send(to, lost.clone(), Stamp::NONE) == Err(Refused::Full) {
                self.owed.push_back((to, lost));
            }
        }
    }
}

/// What is said when an answer could not be.
fn lost_instead(answer: &Message) -> Option<Message> {
    match answer {
        Message::Told(id, _) => Some(Message::Told(*id, Told::Overload)),
        // This shard has refused it: another may still do it.
        Message::Forwarded(id, None) => Some(Message::Forwarded(*id, None)),
        // It was done, or it failed; whoever asked will not know.
        Message::Forwarded(id, Some(_)) => {
            let unknown = Answer::Failed(RequestError::Timeout);
            Some(Message::Forwarded(*id, Some(Box::new(unknown))))
        }
        _ => None,
    }
}
