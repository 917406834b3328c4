//! A queue beside a model that keeps everything: each request that ever came, and what is to be written for it.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use ombak_base::NodeId;
use ombak_base::limits::FRAME_BYTES_MAX;
use ombak_cluster::Topology;
use ombak_kv::{BucketId, Request as KvRequest};
use ombak_wire::{RpbListBucketsResp, RpbListKeysResp, RpbPutResp};
use proptest::prelude::*;

use super::*;

/// A name that is too long for any answer. Nobody looks at it, so it costs nothing.
static ENDLESS: LazyLock<Bytes> = LazyLock::new(|| vec![0; FRAME_BYTES_MAX + 1].into());

#[derive(Clone, Debug)]
enum Op {
    /// Is answered without the shard.
    Say,
    /// So many requests that touch this, each with so many bytes.
    Ask(Touches, usize, usize),
    /// The shard answers one of those that it was asked, or a part of one.
    Answer(prop::sample::Index, Answered),
    /// It answers what it was not asked, or has answered.
    Stray(u64),
    /// The connection is to end.
    SayLast,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Answered {
    Wholly,
    InPart,
    WithTooMuch,
}

fn touches() -> impl Strategy<Value = Touches> {
    prop_oneof![
        4 => (0..3_u64).prop_map(Touches::Read),
        3 => (0..3_u64).prop_map(Touches::Write),
        1 => Just(Touches::All),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let count = prop_oneof![30 => Just(1_usize), 1 => 1..300_usize];
    let bytes = prop_oneof![20 => 0..1_000_usize, 1 => Just(BYTES_MAX / 2)];
    let how = prop_oneof![
        8 => Just(Answered::Wholly),
        3 => Just(Answered::InPart),
        1 => Just(Answered::WithTooMuch),
    ];
    prop_oneof![
        2 => Just(Op::Say),
        8 => (touches(), count, bytes).prop_map(|(touches, count, bytes)| Op::Ask(touches, count, bytes)),
        12 => (any::<prop::sample::Index>(), how).prop_map(|(which, how)| Op::Answer(which, how)),
        1 => (0..40_u64).prop_map(Op::Stray),
        1 => Just(Op::SayLast),
    ]
}

/// A request, as the model remembers it.
#[derive(Default)]
struct Asked {
    /// `None`: the shard has nothing to do with it.
    touches: Option<Touches>,
    bytes: usize,
    is_asked: bool,
    /// The queue's name for it, as the shard has heard it.
    slot: Option<u64>,
    /// What it is answered with at once, when it is answered.
    gathered: Vec<Bytes>,
    /// What is to be written for it, as far as that is known.
    frames: Vec<u8>,
    is_answered: bool,
    /// Whether the connection ends with it.
    is_last: bool,
}

/// Every request that came.
#[derive(Default)]
struct Model(Vec<Asked>);

impl Model {
    /// How many are answered, up to the first that is not.
    fn answered(&self) -> usize {
        self.0.iter().take_while(|asked| asked.is_answered).count()
    }

    /// Those that are not answered, or stand behind such.
    fn open(&self) -> &[Asked] {
        &self.0[self.answered()..]
    }

    fn is_ending(&self) -> bool {
        self.0.iter().any(|asked| asked.is_last)
    }

    fn may_read(&self) -> bool {
        let bytes: usize = self.open().iter().map(|asked| asked.bytes).sum();
        !self.is_ending() && self.open().len() < REQUESTS_MAX && bytes < BYTES_MAX
    }

    /// Everything that is written by now: all of what is answered, and the parts of the first that is not.
    fn written(&self) -> Vec<u8> {
        self.0.iter().take(self.answered() + 1).flat_map(|asked| asked.frames.clone()).collect()
    }

    /// Asks whatever has nothing before it that is in its way, and says which those are.
    fn start(&mut self) -> Vec<usize> {
        let (first, mut started) = (self.answered(), Vec::new());
        for at in first..self.0.len() {
            let Some(touches) = self.0[at].touches.filter(|_| !self.0[at].is_asked) else {
                continue;
            };
            let mut before = self.0[first..at].iter().filter(|asked| !asked.is_answered);
            if !before.any(|asked| asked.touches.is_some_and(|before| in_order(before, touches))) {
                self.0[at].is_asked = true;
                started.push(at);
            }
        }
        started
    }

    /// Places of those that the shard works on.
    fn running(&self) -> Vec<usize> {
        let is_running = |asked: &Asked| asked.is_asked && !asked.is_answered;
        (0..self.0.len()).filter(|at| is_running(&self.0[*at])).collect()
    }
}

/// Whether the earlier has to be answered before the later begins.
fn in_order(earlier: Touches, later: Touches) -> bool {
    match (earlier, later) {
        (Touches::All, _) | (_, Touches::All) => true,
        (Touches::Read(_), Touches::Read(_)) => false,
        (Touches::Write(a), Touches::Write(b) | Touches::Read(b))
        | (Touches::Read(a), Touches::Write(b)) => a == b,
    }
}

/// A queue, what came of it, and what should have.
struct Both {
    queue: Queue,
    common: Common,
    written: Vec<u8>,
    asked: Vec<(u64, Request)>,
    model: Model,
    /// Whether the connection has been closed.
    is_closed: bool,
}

/// Names its place, so that it cannot be taken for another.
fn request(at: usize) -> Request {
    Request::Kv(KvRequest::GetProps(BucketId::default_type(at.to_string())))
}

/// Whether a request gathers all parts of its answer, if it is answered in parts.
fn gathers(at: usize) -> bool {
    at.is_multiple_of(2)
}

impl Both {
    fn new() -> Both {
        let topology = Topology::fixed(&["riak@127.0.0.1".into()], 16).expect("one node");
        Both {
            queue: Queue::default(),
            common: Common { topology: Arc::new(topology), me: NodeId(0) },
            written: Vec::new(),
            asked: Vec::new(),
            model: Model::default(),
            is_closed: false,
        }
    }

    fn act(&mut self, op: &Op) {
        match op {
            Op::Say => self.say(),
            Op::Ask(touches, count, bytes) => (0..*count).for_each(|_| self.ask(*touches, *bytes)),
            Op::Answer(which, how) => {
                let running = self.model.running();
                if !running.is_empty() {
                    self.answer(running[which.index(running.len())], *how);
                }
            }
            Op::Stray(slot) => self.stray(*slot),
            Op::SayLast => self.say_last(),
        }
    }

    fn say(&mut self) {
        if !self.queue.may_read() {
            return;
        }
        let response = Response::error(format!("said {}", self.model.0.len()));
        self.queue.say(&response, &mut Requests::new(&mut self.written, &mut self.asked));
        let frames = frame(&response);
        self.model.0.push(Asked { frames, is_answered: true, ..Asked::default() });
    }

    fn say_last(&mut self) {
        let response = Response::error("the last word");
        let closes = self.model.open().is_empty();
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        let said = self.queue.say_last(&response, &mut out);
        assert_eq!(said, if closes { Err(Close) } else { Ok(()) });
        self.is_closed |= closes;
        // There is one last word: nothing comes behind it.
        if !self.model.is_ending() {
            let frames = frame(&response);
            self.model.0.push(Asked {
                frames,
                is_answered: true,
                is_last: true,
                ..Asked::default()
            });
        }
    }

    fn ask(&mut self, touches: Touches, bytes: usize) {
        if !self.queue.may_read() {
            return;
        }
        let at = self.model.0.len();
        let wants = match touches {
            Touches::All if gathers(at) => Wants::Buckets(Some(Vec::new())),
            Touches::All => Wants::Keys,
            Touches::Read(_) | Touches::Write(_) => Wants::Written { made_key: true },
        };
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        self.queue.ask(request(at), wants, touches, bytes, &mut out);
        self.model.0.push(Asked { touches: Some(touches), bytes, ..Asked::default() });
    }

    fn answer(&mut self, at: usize, how: Answered) {
        let name = Bytes::from(format!("answer {at}"));
        let asked = &mut self.model.0[at];
        let is_last_part = how == Answered::Wholly;
        let (answer, response, part) = match asked.touches {
            Some(Touches::All) if !gathers(at) => {
                let done = is_last_part.then_some(true);
                let part = if is_last_part { Answer::Last } else { Answer::More };
                let response = RpbListKeysResp { keys: vec![name.clone()], done };
                let answer = KvAnswer::Listed(vec![name], is_last_part);
                (answer, Some(Response::ListKeys(response)), part)
            }
            Some(Touches::All) if how == Answered::WithTooMuch => {
                let error = "the listing is too long for one answer: ask for a stream";
                let answer = KvAnswer::Listed(vec![ENDLESS.clone()], false);
                (answer, Some(Response::error(error)), Answer::Stop)
            }
            Some(Touches::All) => {
                asked.gathered.push(name.clone());
                let buckets = asked.gathered.clone();
                let response = Response::ListBuckets(RpbListBucketsResp { buckets, done: None });
                let part = if is_last_part { Answer::Last } else { Answer::More };
                let answer = KvAnswer::Listed(vec![name], is_last_part);
                (answer, is_last_part.then_some(response), part)
            }
            _ => {
                let key = Some(name.clone());
                let response = Response::Put(RpbPutResp { key, ..RpbPutResp::default() });
                (KvAnswer::Written(Some(name)), Some(response), Answer::Last)
            }
        };
        response.iter().for_each(|response| response.encode_frame(&mut asked.frames));
        asked.is_answered = part != Answer::More;
        let closes = self.model.is_ending() && self.model.open().is_empty();
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        let slot = self.model.0[at].slot.expect("the shard was asked");
        let told = self.queue.answered(slot, answer, &self.common, &mut out);
        assert_eq!(told, if closes { Answer::Close } else { part });
        self.is_closed |= closes;
    }

    /// It is taken for what it is: nothing.
    fn stray(&mut self, slot: u64) {
        if self.model.running().iter().any(|at| self.model.0[*at].slot == Some(slot)) {
            return;
        }
        let mut out = Requests::new(&mut self.written, &mut self.asked);
        let told = self.queue.answered(slot, KvAnswer::Written(None), &self.common, &mut out);
        assert_eq!(told, Answer::Last);
    }

    fn check(&mut self) -> Result<(), TestCaseError> {
        let (asked, started) = (std::mem::take(&mut self.asked), self.model.start());
        prop_assert_eq!(asked.len(), started.len());
        for ((slot, asked), at) in asked.into_iter().zip(started) {
            prop_assert_eq!(asked, request(at));
            let is_new = self.model.0.iter().all(|other| other.slot != Some(slot));
            prop_assert!(is_new, "slot {slot} is used again");
            self.model.0[at].slot = Some(slot);
        }
        prop_assert_eq!(&self.written, &self.model.written());
        prop_assert_eq!(self.queue.is_ending(), self.model.is_ending());
        prop_assert_eq!(self.queue.may_read(), self.model.may_read());
        Ok(())
    }
}

proptest! {
    #[test]
    fn answers_come_in_order_and_nothing_overtakes_what_it_must_not(
        ops in prop::collection::vec(op(), 0..60),
    ) {
        let mut both = Both::new();
        for op in ops {
            both.act(&op);
            both.check()?;
            if both.is_closed {
                break;
            }
        }
    }

    /// However it began: when all is answered, all is written, and nothing is left behind.
    #[test]
    fn what_is_asked_is_answered(ops in prop::collection::vec(op(), 0..60)) {
        let mut both = Both::new();
        for op in ops.iter().filter(|op| !matches!(op, Op::SayLast)) {
            both.act(op);
            both.check()?;
        }
        while let Some(at) = both.model.running().last().copied() {
            both.answer(at, Answered::Wholly);
            both.check()?;
        }
        prop_assert!(both.model.open().is_empty());
        prop_assert!(both.queue.places.is_empty());
        prop_assert_eq!((both.queue.bytes, both.queue.held), (0, 0));
    }
}
