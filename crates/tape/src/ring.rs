//! The last so many bytes of what a machine went through, in memory.

use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use bytes::Bytes;
use ombak_base::{Address, Event, FNV_START, Now, fnv1a};
use serde::{Deserialize, Serialize};

use crate::effect::{Answer, Effect, Recordable, encode_onto, fingerprint};
use crate::tap::Recorder;

/// A ring has so many reels, or one more: so much of it is lost when it is full and a new one begins.
const REELS: usize = 8;

/// A stretch of steps of one machine, which begins with its whole state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reel {
    /// Whose.
    pub at: Address,
    /// How many reels came before it.
    pub number: u64,
    /// How many steps came before it.
    pub steps_before: u64,
    /// How many it has.
    pub steps: u64,
    /// The state before the first step.
    pub(crate) first: Bytes,
    /// The fingerprint of the state after the last step.
    pub(crate) last: u64,
    /// The steps, one after the other: each the time and the event, and then what came of it.
    pub(crate) tape: Bytes,
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Done {
    /// What the host returned, in order.
    pub answers: Vec<Answer>,
    /// The fingerprints of all effects.
    pub effects: Vec<u64>,
    /// A property broke before the end.
    pub broke: bool,
}

/// Makes a ring for the machine at this address, of so many bytes in all.
pub fn tape<M: Recordable>(at: Address, bytes_max: usize) -> (Tape<M>, Reels) {
    let (ask, asked) = mpsc::channel();
    let ended = Ended { reels: VecDeque::new(), bytes: 0, bytes_max };
    let reel = Reel {
        at,
        number: 0,
        steps_before: 0,
        steps: 0,
        first: Bytes::new(),
        last: 0,
        tape: Bytes::new(),
    };
    let tape = Tape {
        ended,
        reel,
        tape: Vec::new(),
        open: None,
        scratch: Vec::new(),
        asked,
        machine: PhantomData,
    };
    (tape, Reels { ask })
}

type Give = Box<dyn FnOnce(Vec<Arc<Reel>>) + Send>;

/// The end of a ring that belongs to the host's thread.
pub struct Tape<M> {
    ended: Ended,
    /// What is being recorded: its first state is there once it has a step.
    reel: Reel,
    tape: Vec<u8>,
    /// The step that has begun.
    open: Option<Done>,
    scratch: Vec<u8>,
    asked: mpsc::Receiver<Give>,
    machine: PhantomData<fn(M)>,
}

/// The reels that have ended, oldest first.
struct Ended {
    reels: VecDeque<Arc<Reel>>,
    bytes: usize,
    bytes_max: usize,
}

/// The end of a ring by which other threads take what is in it. Cheap to clone.
#[derive(Clone)]
pub struct Reels {
    ask: mpsc::Sender<Give>,
}

/// Why nothing was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum TakeError {
    /// The machine runs no more.
    #[error("what was recorded is gone: the shard has ended")]
    Ended,
    /// It has not stepped in time.
    #[error("the shard has not stepped in time")]
    Late,
}

impl Reels {
    /// Asks for what the ring has. `give` is called on the machine's thread at the machine's next step, and must not
    /// wait; it is dropped if the machine steps no more.
    pub fn ask(&self, give: impl FnOnce(Vec<Arc<Reel>>) + Send + 'static) {
        // If nobody is there any more, it is dropped at once.
        let _ = self.ask.send(Box::new(give));
    }

    /// The same for a thread that may wait.
    pub fn take(&self, within: Duration) -> Result<Vec<Arc<Reel>>, TakeError> {
        let (sender, given) = mpsc::sync_channel(1);
        // Whoever asked may have waited long enough.
        self.ask(move |reels| drop(sender.try_send(reels)));
        given.recv_timeout(within).map_err(|error| match error {
            RecvTimeoutError::Timeout => TakeError::Late,
            RecvTimeoutError::Disconnected => TakeError::Ended,
        })
    }
}

impl Ended {
    fn push(&mut self, reel: Reel) {
        self.bytes += reel.bytes();
        self.reels.push_back(Arc::new(reel));
        while self.bytes > self.bytes_max && self.reels.len() > 1 {
            self.bytes -= self.reels.pop_front().map_or(0, |reel| reel.bytes());
        }
    }
}

impl Reel {
    fn bytes(&self) -> usize {
        size_of::<Reel>() + self.first.len() + self.tape.len()
    }
}

impl<M: Recordable> Tape<M> {
    /// What the ring has, up to now. The machine must be as the last step left it.
    pub fn reels(&mut self, machine: &M) -> Vec<Arc<Reel>> {
        self.cut(machine);
        self.ended.reels.iter().cloned().collect()
    }

    /// What is being recorded ends with the machine as it is, and the next step begins another reel.
    fn cut(&mut self, machine: &M) {
        self.end_step(true);
        if self.reel.steps == 0 {
            return;
        }
        let state = encoded(machine);
        let Reel { at, number, steps_before, steps, .. } = self.reel;
        let next = Reel {
            at,
            number: number + 1,
            steps_before: steps_before + steps,
            steps: 0,
            first: Bytes::new(),
            last: 0,
            tape: Bytes::new(),
        };
        let mut ended = std::mem::replace(&mut self.reel, next);
        ended.last = fnv1a(FNV_START, &state);
        ended.tape = std::mem::take(&mut self.tape).into();
        self.ended.push(ended);
    }

    /// Writes down what came of the step that is open, if one is.
    fn end_step(&mut self, broke: bool) {
        if let Some(mut done) = self.open.take() {
            done.broke = broke;
            encode_onto(&done, &mut self.tape);
            self.reel.steps += 1;
        }
    }
}

impl<M: Recordable> Recorder<M> for Tape<M> {
    fn begin(&mut self, machine: &M, now: Now, event: &Event<M>) {
        self.end_step(true);
        while let Ok(give) = self.asked.try_recv() {
            give(self.reels(machine));
        }
        if self.tape.len() >= self.ended.bytes_max / REELS {
            self.cut(machine);
        }
        if self.reel.steps == 0 {
            self.reel.first = encoded(machine);
        }
        encode_onto(&(now, event), &mut self.tape);
        self.open = Some(Done::default());
    }

    fn effect(&mut self, effect: Effect<M>) {
        let Some(open) = &mut self.open else { return };
        open.answers.extend(effect.answer());
        open.effects.push(fingerprint(&effect, &mut self.scratch));
    }

    fn end(&mut self) {
        self.end_step(false);
    }
}

fn encoded(machine: &impl Recordable) -> Bytes {
    let mut state = Vec::new();
    encode_onto(machine, &mut state);
    state.into()
}
