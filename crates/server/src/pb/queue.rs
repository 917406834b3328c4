//! The order of a connection's answers, and of the requests that touch one key.
//!
//! ```text
//!   answered from here                                                 asked here
//!        ▼                                                                 ▼
//!     ┌────────────┬───────────────────┬──────────────┬─────────────────────┐
//!     │ put k: runs│ get j: answered,  │ ping: said,  │ get k: held until   │
//!     │            │ waits for its turn│ waits        │ the put is answered │
//!     └────────────┴───────────────────┴──────────────┴─────────────────────┘
//! ```

use std::collections::VecDeque;

use ombak_base::{FNV_START, fnv1a};
use ombak_kv::Answer as KvAnswer;
use ombak_node::{Request, Shard};
use ombak_runtime::{Answer, Close, Requests};
use ombak_wire::Response;

use super::Common;
use super::answer::{Part, Wants};

/// At most so many requests of one connection are not answered.
pub(crate) const REQUESTS_MAX: usize = 256;
/// No more is read while their messages have so many bytes.
pub(crate) const BYTES_MAX: usize = 16 * 1024 * 1024;

/// What a request must not overtake, and what must not overtake it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Touches {
    /// Reads the key with this hash.
    Read(u64),
    /// Writes the key with this hash.
    Write(u64),
    /// Has to do with more than one key.
    All,
}

impl Touches {
    /// Whether two requests must be done in order. Equal hashes of different keys cost time, nothing else.
    fn conflicts(self, other: Touches) -> bool {
        match (self, other) {
            (Touches::All, _) | (_, Touches::All) => true,
            (Touches::Read(_), Touches::Read(_)) => false,
            (Touches::Read(a) | Touches::Write(a), Touches::Read(b) | Touches::Write(b)) => a == b,
        }
    }
}

/// A hash of what names a key.
pub(crate) fn key_hash(bucket: &[u8], key: &[u8]) -> u64 {
    fnv1a(fnv1a(fnv1a(FNV_START, bucket), &[0]), key)
}

/// A request's place.
enum Place {
    /// The shard is not asked yet.
    Held(Box<Request>, Wants, Touches),
    /// The shard is asked.
    Running(Wants, Touches),
    /// The shard has answered, and earlier ones are not answered yet.
    Answered(Box<(KvAnswer, Wants)>),
    /// Answered here, without the shard.
    Said(Vec<u8>),
    /// As `Said`, and then the connection closes.
    Last(Vec<u8>),
}

impl Place {
    fn touches(&self) -> Option<Touches> {
        match self {
            Place::Held(_, _, touches) | Place::Running(_, touches) => Some(*touches),
            Place::Answered(_) | Place::Said(_) | Place::Last(_) => None,
        }
    }
}

/// The requests of one connection that are not answered, the oldest first.
#[derive(Default)]
pub struct Queue {
    places: VecDeque<(Place, usize)>,
    /// The slot of the first place; the others follow.
    first: u64,
    held: usize,
    bytes: usize,
    ending: bool,
}

impl Queue {
    /// Whether there is room for another request.
    pub(crate) fn may_read(&self) -> bool {
        !self.ending && self.places.len() < REQUESTS_MAX && self.bytes < BYTES_MAX
    }

    /// Whether the last word has been said.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Answers at once, in its turn.
    pub(crate) fn say(&mut self, response: &Response, out: &mut Requests<'_, Shard>) {
        if self.places.is_empty() {
            response.encode_frame(out.bytes);
        } else {
            let said = Place::Said(frame(response));
            self.push(said, 0);
        }
    }

    /// As `say`; then the connection closes.
    pub(crate) fn say_last(
        &mut self,
        response: &Response,
        out: &mut Requests<'_, Shard>,
    ) -> Result<(), Close> {
        self.ending = true;
        if self.places.is_empty() {
            response.encode_frame(out.bytes);
            return Err(Close);
        }
        self.push(Place::Last(frame(response)), 0);
        Ok(())
    }

    /// Asks the shard, now or when nothing stands in the way any more.
    pub(crate) fn ask(
        &mut self,
        request: Request,
        wants: Wants,
        touches: Touches,
        bytes: usize,
        out: &mut Requests<'_, Shard>,
    ) {
        if self.may_start(self.places.len(), touches) {
            out.request(self.first + self.places.len() as u64, request);
            self.push(Place::Running(wants, touches), bytes);
        } else {
            self.held += 1;
            self.push(Place::Held(Box::new(request), wants, touches), bytes);
        }
    }

    /// Takes a part of the shard's answer, writes what is to be written now, and asks what was held back for it.
    pub(crate) fn answered(
        &mut self,
        slot: u64,
        answer: KvAnswer,
        common: &Common,
        out: &mut Requests<'_, Shard>,
    ) -> Answer {
        let at = slot.wrapping_sub(self.first) as usize;
        let Some((place, _)) = self.places.get_mut(at) else { return Answer::Last };
        let Place::Running(wants, _) = place else { return Answer::Last };
        let ended = if at > 0 {
            // Only requests that have nothing before them are answered in parts.
            let wants = std::mem::replace(wants, Wants::Deleted);
            *place = Place::Answered(Box::new((answer, wants)));
            return self.go_on(Answer::Last, common, out);
        } else {
            match wants.write(answer, common, out.bytes) {
                Part::More => return Answer::More,
                Part::Last => Answer::Last,
                Part::TooMuch => Answer::Stop,
            }
        };
        self.pop();
        self.go_on(ended, common, out)
    }

    /// A place has changed: writes what has its turn, starts what is free.
    fn go_on(&mut self, ended: Answer, common: &Common, out: &mut Requests<'_, Shard>) -> Answer {
        loop {
            match self.places.front_mut() {
                Some((Place::Answered(answered), _)) => {
                    let (answer, wants) = answered.as_mut();
                    let answer = std::mem::replace(answer, KvAnswer::PropsSet);
                    wants.write(answer, common, out.bytes);
                }
                Some((Place::Said(frame), _)) => out.bytes.extend_from_slice(frame),
                Some((Place::Last(frame), _)) => {
                    out.bytes.extend_from_slice(frame);
                    return Answer::Close;
                }
                _ => break,
            }
            self.pop();
        }
        if self.held > 0 {
            self.release(out);
        }
        ended
    }

    fn release(&mut self, out: &mut Requests<'_, Shard>) {
        for at in 0..self.places.len() {
            let Place::Held(_, _, touches) = &self.places[at].0 else { continue };
            let touches = *touches;
            if !self.may_start(at, touches) {
                // Nothing overtakes what concerns everything.
                if touches == Touches::All {
                    return;
                }
                continue;
            }
            let running = Place::Said(Vec::new());
            let place = std::mem::replace(&mut self.places[at].0, running);
            if let Place::Held(request, wants, touches) = place {
                self.held -= 1;
                self.places[at].0 = Place::Running(wants, touches);
                out.request(self.first + at as u64, *request);
            }
        }
    }

    /// Whether nothing before place `at` is in the way. The nearest is looked at first: it is the likeliest.
    fn may_start(&self, at: usize, touches: Touches) -> bool {
        let before = self.places.iter().take(at).rev().filter_map(|(place, _)| place.touches());
        let mut before = before;
        !before.any(|earlier| earlier.conflicts(touches))
    }

    fn push(&mut self, place: Place, bytes: usize) {
        self.bytes += bytes;
        self.places.push_back((place, bytes));
    }

    fn pop(&mut self) {
        if let Some((_, bytes)) = self.places.pop_front() {
            self.bytes -= bytes;
            self.first += 1;
        }
    }
}

fn frame(response: &Response) -> Vec<u8> {
    let mut frame = Vec::new();
    response.encode_frame(&mut frame);
    frame
}

#[cfg(test)]
mod tests;
