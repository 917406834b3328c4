//! Registers: compare-and-set on one key, by all, without a leader.
//!
//! From Rystsov, *CASPaxos: Replicated State Machines without logs* (2018). A log decides many values, each once; a register
//! has one, which changes. It is the synod with one difference: the proposer does not keep what phase 1 found but
//! proposes *what becomes of it*. The acceptor is the synod's, as it is ([`Acceptor`]).
//!
//! Why that is safe: whoever proposes has seen, by phase 1, the last value that may have been chosen. So the chosen values
//! form a chain, each made from the one before, and a compare-and-set is a link of it. Whoever proposes concurrently has
//! the higher ballot, and then the other is refused, or has seen the other's value.
//!
//! # What a register costs
//!
//! At rest: its bytes on each acceptor's disk ([`Cell`]), and nothing else: no leader, no timer, no log. A change takes two round
//! trips; a proposer that changes the same register again takes one: who accepts a value also promises the proposer's
//! next ballot, which is its phase 1 ([`Hold`]). A read takes one, writes nothing and is in nobody's way: if all of a quorum have
//! accepted the same in the same ballot, that is chosen, and whatever was chosen before the read began is not above it.
//! Otherwise it becomes a change that changes nothing.
//!
//! # Ballots
//!
//! Who the acceptors are can change; each time is an *era*, and eras have an order. A ballot of a later era is above all of
//! earlier ones ([`Bid`]): a proposer that has forgotten what it used in one begins anew in the next. Within an era it takes a ballot
//! above what its own acceptor has promised, which knows all that it has used.
//!
//! # What the caller does
//!
//! An [`Operation`] is one client's, and has no clock and no network: send what it asks for to all voters, give it what they
//! answer, begin again after a while when it says so ([`Step::Again`]; longer each time, by chance, or two can refuse each other
//! for ever). An acceptor stores its cell before it answers. [`server`] does all that on a node.

pub mod server;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{DecodeError, NodeId, Reader, Wire, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use crate::ballot::{Ballot, Voters};
use crate::synod::{Accepted, Acceptor, Outbid, Proposer};

/// 1 had no eras. No host has stored any.
const VERSION: u8 = 2;
/// A register's bytes.
pub const REGISTER_BYTES_MAX: usize = 1024 * 1024;

/// When the acceptors have last changed. What an era is counted in is the caller's business.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Era(pub u64);

/// The number of a proposal: a ballot of an era.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
pub struct Bid {
    /// Compared first.
    pub era: Era,
    /// Within it.
    pub ballot: Ballot,
}

impl Bid {
    /// The lowest bid of `proposer` in an era that is above this one, which is of no later era.
    pub fn next(self, era: Era, proposer: NodeId) -> Bid {
        let below = if era > self.era { Ballot::NONE } else { self.ballot };
        Bid { era, ballot: below.next(proposer) }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.era.0);
        self.ballot.encode(out);
    }

    fn decode(reader: &mut Reader) -> Result<Bid, DecodeError> {
        let era = Era(reader.varint()?);
        Ok(Bid { era, ballot: Ballot::decode(reader)? })
    }
}

/// What is in a register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Value {
    /// How many changes led to it; 0: it was never written.
    pub version: u64,
    /// Whose change the last one was: the operation's number.
    pub writer: u128,
    /// What; `None`: it was removed, or never written.
    pub bytes: Option<Bytes>,
}

/// An acceptor's part of a register: what it keeps on its disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Cell(Acceptor<Value, Bid>);

/// What an operation asks of an acceptor.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// What it has accepted. Nothing is promised.
    Look,
    /// Phase 1.
    Prepare(Bid),
    /// Phase 2, and phase 1 of the proposer's next ballot.
    Accept {
        /// In this one.
        bid: Bid,
        /// This.
        value: Value,
    },
}

/// What an acceptor answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Told {
    /// This is what it has accepted last, and when.
    Seen(Option<(Bid, Value)>),
    /// It has promised.
    Promised {
        /// What was asked for.
        bid: Bid,
        /// What it has accepted last, and when.
        accepted: Option<(Bid, Value)>,
    },
    /// It has accepted.
    Accepted(Bid),
    /// It has promised a higher one.
    Refused {
        /// What was asked for.
        bid: Bid,
        /// That one.
        promised: Bid,
    },
}

impl Cell {
    /// Answers. Unless it was only looked at, the cell must be on the disk before the answer leaves.
    pub fn answer(&mut self, ask: Ask) -> Told {
        match ask {
            Ask::Look => Told::Seen(self.accepted()),
            Ask::Prepare(bid) => match self.0.prepare(bid) {
                Ok(_) => Told::Promised { bid, accepted: self.accepted() },
                Err(Outbid { promised }) => Told::Refused { bid, promised },
            },
            Ask::Accept { bid, value } => match self.0.accept(bid, value) {
                Ok(()) => {
                    // Of its own next ballot a proposer knows by this what it would be told.
                    let promised = self.0.prepare(bid.next(bid.era, bid.ballot.proposer));
                    debug_assert!(promised.is_ok());
                    Told::Accepted(bid)
                }
                Err(Outbid { promised }) => Told::Refused { bid, promised },
            },
        }
    }

    /// What it has promised.
    pub fn promised(&self) -> Bid {
        self.0.promised()
    }

    fn accepted(&self) -> Option<(Bid, Value)> {
        self.0.accepted().map(|last| (last.ballot, last.value.clone()))
    }

    /// Takes over what another acceptor of the same register knows: it knows as much as both then.
    pub fn merge(&mut self, other: Cell) {
        let promised = self.promised().max(other.promised());
        let accepted = [self.0.accepted(), other.0.accepted()];
        let highest = accepted.into_iter().flatten().max_by_key(|last| last.ballot).cloned();
        self.0 = Acceptor::restored(promised, highest);
    }

    /// Invariant of the state; panics if it is broken.
    pub fn check(&self) {
        self.0.check();
    }
}

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// The value.
    Read,
    /// This instead, whatever it was; `None` removes it.
    Set(Option<Bytes>),
    /// The same, if its version is this one.
    CompareAndSet {
        /// What was read.
        version: u64,
        /// What is to be there.
        bytes: Option<Bytes>,
    },
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Outcome {
    /// It is so: this is the value.
    Done(Value),
    /// Another version is there: nothing was changed.
    Differs(Value),
    /// An earlier try of it was refused half-way, and the register has been changed since: it may have been part of that, or
    /// not.
    Unknown(Value),
}

/// What an operation needs next.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Step {
    /// Send this to all voters.
    Send(Ask),
    /// Somebody else has a higher ballot, or is about to change what is read: [`Operation::begin`] after a while.
    Again,
    /// It is over.
    Done(Outcome),
}

/// What a proposer knows of a register that it changed last: its next change takes one round trip.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Hold {
    bid: Bid,
    promised: BTreeSet<NodeId>,
    value: Value,
}

impl Hold {
    /// Whether its proposer's own acceptor, which has promised this, has heard of somebody else since.
    pub fn is_outbid(&self, promised: Bid) -> bool {
        promised > self.bid
    }

    /// In which era that is so.
    pub fn era(&self) -> Era {
        self.bid.era
    }
}

/// One client's operation on one register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Operation {
    me: NodeId,
    number: u128,
    wish: Wish,
    voters: Voters,
    proposer: Proposer<Value, Bid>,
    /// What each has accepted, while it only looks.
    seen: BTreeMap<NodeId, Option<(Bid, Value)>>,
    /// Who has accepted.
    accepted: BTreeSet<NodeId>,
    /// What the proposal says when it is chosen.
    verdict: Option<Outcome>,
    /// An earlier proposal of it may be chosen, and made this version.
    tried: Option<u64>,
    phase: Phase,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
enum Phase {
    Looking,
    Proposing,
    /// It is to begin again, and hears nothing till then.
    Waiting,
    Over,
}

impl Operation {
    /// `number`: the operation's own, the same for no other.
    pub fn new(me: NodeId, number: u128, wish: Wish, voters: Voters) -> Operation {
        Operation {
            me,
            number,
            wish,
            voters,
            proposer: Proposer::new(Bid::default()),
            seen: BTreeMap::new(),
            accepted: BTreeSet::new(),
            verdict: None,
            tried: None,
            phase: Phase::Waiting,
        }
    }

    /// Whether [`look`](Operation::look) can be enough.
    pub fn is_read(&self) -> bool {
        self.wish == Wish::Read
    }

    /// Whether something was proposed, so that it may be done without anybody's knowing.
    pub fn is_proposed(&self) -> bool {
        self.tried.is_some()
    }

    /// Whose ballot is the highest that it has heard of: who was in its way, after [`Step::Again`].
    pub fn rival(&self) -> NodeId {
        self.proposer.ballot().ballot.proposer
    }

    /// Begins a read: send this to all voters.
    pub fn look(&mut self) -> Ask {
        self.seen.clear();
        self.phase = Phase::Looking;
        Ask::Look
    }

    /// Begins, or begins again: send this to all voters. `promised`: what the acceptor on the proposer's own disk has promised. It must
    /// have promised the new bid, and have that on its disk, before anybody else hears of it. So no bid is ever used twice.
    pub fn begin(&mut self, era: Era, promised: Bid) -> Ask {
        let bid = promised.max(self.proposer.ballot()).next(era, self.me);
        self.try_with(bid);
        Ask::Prepare(bid)
    }

    /// Begins from what the last change of this proposer left: phase 1 is done. `None`: it is not, after all.
    pub fn begin_from(&mut self, hold: Hold) -> Option<Step> {
        self.try_with(hold.bid);
        // All of them report the same: in which ballot is of no account.
        let last = Accepted { ballot: Bid::default().next(Era(0), self.me), value: hold.value };
        let mut step = None;
        for node in hold.promised {
            step = step.or(self.promise(node, Some(last.clone())));
        }
        step
    }

    fn try_with(&mut self, bid: Bid) {
        self.proposer = Proposer::new(bid);
        self.accepted.clear();
        self.verdict = None;
        self.phase = Phase::Proposing;
    }

    /// What a voter answers. `None`: nothing is to be done.
    pub fn hear(&mut self, from: NodeId, told: Told) -> Option<Step> {
        let is_voter = self.voters.members().contains(&from);
        let bid = self.proposer.ballot();
        match (self.phase, told) {
            _ if !is_voter => None,
            (Phase::Looking, Told::Seen(accepted)) => self.see(from, accepted),
            (Phase::Proposing, Told::Promised { bid: of, accepted }) if of == bid => {
                let accepted = accepted.map(|(ballot, value)| Accepted { ballot, value });
                self.promise(from, accepted)
            }
            (Phase::Proposing, Told::Accepted(of)) if of == bid => self.accept(from),
            (Phase::Proposing, Told::Refused { bid: of, promised }) if of == bid => {
                // The next try is above that one.
                self.proposer = Proposer::new(promised.max(bid));
                self.phase = Phase::Waiting;
                Some(Step::Again)
            }
            _ => None, // Of an earlier try.
        }
    }

    /// If all of a quorum have accepted the same in the same ballot, it is chosen. And whatever was chosen before this began is on one
    /// of them, at least.
    fn see(&mut self, from: NodeId, accepted: Option<(Bid, Value)>) -> Option<Step> {
        self.seen.insert(from, accepted);
        let seen = |node| self.seen.contains_key(&node);
        let reporters = self.seen.keys().copied().collect();
        if !(self.voters.can_propose(&reporters) && self.voters.have_chosen_if(seen)) {
            return None;
        }
        let mut reports = self.seen.values();
        let first = reports.next()?;
        if !reports.all(|other| other == first) {
            let bids = self.seen.values().flatten().map(|(bid, _)| *bid);
            let highest = bids.max().unwrap_or_default();
            self.proposer = Proposer::new(highest.max(self.proposer.ballot()));
            self.phase = Phase::Waiting;
            return Some(Step::Again);
        }
        let value = first.as_ref().map(|(_, value)| value.clone()).unwrap_or_default();
        Some(self.end(Outcome::Done(value)))
    }

    fn promise(&mut self, from: NodeId, accepted: Option<Accepted<Value, Bid>>) -> Option<Step> {
        let (wish, number, tried) = (self.wish.clone(), self.number, self.tried);
        let mut verdict = None;
        let next = self.proposer.hear_promise(&self.voters, from, accepted, |found| {
            let (value, outcome) = change(&wish, number, tried, found.unwrap_or_default());
            verdict = Some(outcome);
            value
        })?;
        self.verdict = verdict;
        if next.writer == self.number {
            self.tried = Some(next.version);
        }
        Some(Step::Send(Ask::Accept { bid: self.proposer.ballot(), value: next }))
    }

    fn accept(&mut self, from: NodeId) -> Option<Step> {
        self.accepted.insert(from);
        self.proposer.hear_accepted(&self.voters, from)?;
        let verdict = self.verdict.take()?;
        Some(self.end(verdict))
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.phase = Phase::Over;
        Step::Done(outcome)
    }

    /// After a change that is done: for the next operation on the same register, by the same proposer.
    pub fn hold(&self) -> Option<Hold> {
        let value = self.proposer.value().filter(|_| self.phase == Phase::Over)?;
        let Bid { era, .. } = self.proposer.ballot();
        let bid = self.proposer.ballot().next(era, self.me);
        let promised = self.accepted.clone();
        // Its own acceptor among them: it has that on its disk, and no other operation gets the same.
        let enough = self.voters.can_propose(&promised) && promised.contains(&self.me);
        enough.then(|| Hold { bid, promised, value: value.clone() })
    }
}

/// What is to be proposed, and what that means for the client once it is chosen.
fn change(wish: &Wish, number: u128, tried: Option<u64>, found: Value) -> (Value, Outcome) {
    if found.writer == number && found.version > 0 {
        return (found.clone(), Outcome::Done(found)); // An earlier try is in: it has to be chosen only.
    }
    if tried.is_some_and(|tried| found.version > tried) {
        return (found.clone(), Outcome::Unknown(found));
    }
    let bytes = match wish {
        Wish::Read => return (found.clone(), Outcome::Done(found)),
        Wish::CompareAndSet { version, .. } if *version != found.version => {
            return (found.clone(), Outcome::Differs(found));
        }
        Wish::Set(bytes) | Wish::CompareAndSet { bytes, .. } => bytes.clone(),
    };
    let value = Value { version: found.version + 1, writer: number, bytes };
    (value.clone(), Outcome::Done(value))
}

impl Value {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.version);
        out.extend_from_slice(&self.writer.to_le_bytes());
        out.push(u8::from(self.bytes.is_some()));
        if let Some(bytes) = &self.bytes {
            put_bytes(out, bytes);
        }
    }

    fn decode(reader: &mut Reader) -> Result<Value, DecodeError> {
        let (version, writer) = (reader.varint()?, reader.u128()?);
        let bytes = match reader.u8()? {
            0 => None,
            1 => Some(reader.bytes(REGISTER_BYTES_MAX)?),
            _ => return Err(DecodeError::Invalid("value of a register")),
        };
        Ok(Value { version, writer, bytes })
    }
}

fn put_accepted(out: &mut Vec<u8>, accepted: Option<(Bid, &Value)>) {
    out.push(u8::from(accepted.is_some()));
    if let Some((bid, value)) = accepted {
        bid.encode(out);
        value.encode(out);
    }
}

fn read_accepted(reader: &mut Reader) -> Result<Option<(Bid, Value)>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some((Bid::decode(reader)?, Value::decode(reader)?))),
        _ => Err(DecodeError::Invalid("accepted value")),
    }
}

/// Reads the version, then what `body` reads, and no more.
fn versioned<T>(
    bytes: Bytes,
    body: impl FnOnce(&mut Reader) -> Result<T, DecodeError>,
) -> Result<T, DecodeError> {
    let mut reader = Reader::new(bytes);
    match reader.u8()? {
        VERSION => {}
        other => return Err(DecodeError::Version(other.into())),
    }
    let read = body(&mut reader)?;
    reader.finish()?;
    Ok(read)
}

/// ```text
/// cell = version:u8 promised accepted          bid = era:varint round:varint proposer:varint
/// accepted = 0 | 1 bid value                   value = version:varint writer:u128 (0 | 1 length-and-bytes)
/// ```
impl Wire for Cell {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.promised().encode(out);
        put_accepted(out, self.0.accepted().map(|last| (last.ballot, &last.value)));
    }

    fn decode(bytes: Bytes) -> Result<Cell, DecodeError> {
        versioned(bytes, |reader| {
            let promised = Bid::decode(reader)?;
            let accepted = read_accepted(reader)?;
            if accepted.as_ref().is_some_and(|(bid, _)| *bid > promised) {
                return Err(DecodeError::Invalid("promise below what was accepted"));
            }
            let accepted = accepted.map(|(ballot, value)| Accepted { ballot, value });
            Ok(Cell(Acceptor::restored(promised, accepted)))
        })
    }
}

/// `version:u8 (0 | 1 bid | 2 bid value)`
impl Wire for Ask {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Ask::Look => out.push(0),
            Ask::Prepare(bid) => {
                out.push(1);
                bid.encode(out);
            }
            Ask::Accept { bid, value } => {
                out.push(2);
                bid.encode(out);
                value.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Ask, DecodeError> {
        versioned(bytes, |reader| match reader.u8()? {
            0 => Ok(Ask::Look),
            1 => Bid::decode(reader).map(Ask::Prepare),
            2 => Ok(Ask::Accept { bid: Bid::decode(reader)?, value: Value::decode(reader)? }),
            _ => Err(DecodeError::Invalid("question to a register")),
        })
    }
}

/// `version:u8 (0 accepted | 1 bid accepted | 2 bid | 3 bid promised)`
impl Wire for Told {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Told::Seen(accepted) => {
                out.push(0);
                put_accepted(out, accepted.as_ref().map(|(bid, value)| (*bid, value)));
            }
            Told::Promised { bid, accepted } => {
                out.push(1);
                bid.encode(out);
                put_accepted(out, accepted.as_ref().map(|(bid, value)| (*bid, value)));
            }
            Told::Accepted(bid) => {
                out.push(2);
                bid.encode(out);
            }
            Told::Refused { bid, promised } => {
                out.push(3);
                bid.encode(out);
                promised.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Told, DecodeError> {
        versioned(bytes, |reader| match reader.u8()? {
            0 => read_accepted(reader).map(Told::Seen),
            1 => Ok(Told::Promised { bid: Bid::decode(reader)?, accepted: read_accepted(reader)? }),
            2 => Bid::decode(reader).map(Told::Accepted),
            3 => Ok(Told::Refused { bid: Bid::decode(reader)?, promised: Bid::decode(reader)? }),
            _ => Err(DecodeError::Invalid("answer of a register")),
        })
    }
}

#[cfg(test)]
mod tests;
