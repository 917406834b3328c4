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
//! next ballot, which is its phase 1 ([`Hold`]). A read is a phase 1, if a quorum reports the same value, else a change
//! that changes nothing.
//!
//! # What the caller does
//!
//! An [`Operation`] is one client's, and has no clock and no network: send what it asks for to all voters, give it what they
//! answer, begin again after a while when it is refused ([`Step::Refused`]; longer each time, by chance, or two can refuse each other
//! for ever). An acceptor stores its cell before it answers.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{DecodeError, NodeId, Reader, Wire, put_bytes, put_varint};

use crate::ballot::{Ballot, Voters};
use crate::synod::{Accepted, Acceptor, Outbid, Proposer};

const VERSION: u8 = 1;
/// A register's bytes.
pub const REGISTER_BYTES_MAX: usize = 1024 * 1024;

/// What is in a register.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Value {
    /// How many changes led to it; 0: it was never written.
    pub version: u64,
    /// Whose change the last one was: the operation's number.
    pub writer: u128,
    /// What; `None`: it was removed, or never written.
    pub bytes: Option<Bytes>,
}

/// An acceptor's part of a register: what it keeps on its disk.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cell(Acceptor<Value>);

/// What an operation asks of an acceptor.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ask {
    /// Phase 1.
    Prepare(Ballot),
    /// Phase 2, and phase 1 of the proposer's next ballot.
    Accept {
        /// In this ballot.
        ballot: Ballot,
        /// This.
        value: Value,
    },
}

/// What an acceptor answers.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    /// It has promised, and this is what it has accepted last.
    Promised {
        /// The ballot that was asked for.
        ballot: Ballot,
        /// With the ballot.
        accepted: Option<(Ballot, Value)>,
    },
    /// It has accepted.
    Accepted(Ballot),
    /// It has promised a higher ballot.
    Refused {
        /// The ballot that was asked for.
        ballot: Ballot,
        /// That one.
        promised: Ballot,
    },
}

impl Cell {
    /// Answers. The cell must be on the disk before the answer leaves.
    pub fn answer(&mut self, ask: Ask) -> Told {
        match ask {
            Ask::Prepare(ballot) => match self.0.prepare(ballot) {
                Ok(accepted) => {
                    let accepted = accepted.map(|last| (last.ballot, last.value));
                    Told::Promised { ballot, accepted }
                }
                Err(Outbid { promised }) => Told::Refused { ballot, promised },
            },
            Ask::Accept { ballot, value } => match self.0.accept(ballot, value) {
                Ok(()) => {
                    // Of its own next ballot a proposer knows by this what it would be told.
                    let promised = self.0.prepare(ballot.next(ballot.proposer));
                    debug_assert!(promised.is_ok());
                    Told::Accepted(ballot)
                }
                Err(Outbid { promised }) => Told::Refused { ballot, promised },
            },
        }
    }

    /// Invariant of the state; panics if it is broken.
    pub fn check(&self) {
        self.0.check();
    }
}

/// What a client wants.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
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
    /// Somebody else has a higher ballot: [`Operation::begin`] again, after a while.
    Refused,
    /// It is over.
    Done(Outcome),
}

/// What a proposer knows of a register that it changed last: its next change takes one round trip.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Hold {
    ballot: Ballot,
    promised: BTreeSet<NodeId>,
    value: Value,
}

/// One client's operation on one register.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Operation {
    me: NodeId,
    number: u128,
    wish: Wish,
    voters: Voters,
    proposer: Proposer<Value>,
    /// What each has promised with, while it is a read that may end there.
    reported: BTreeMap<NodeId, Option<(Ballot, Value)>>,
    /// Who has accepted.
    accepted: BTreeSet<NodeId>,
    /// What the proposal says when it is chosen.
    verdict: Option<Outcome>,
    /// An earlier proposal of it may be chosen, and made this version.
    tried: Option<u64>,
    is_over: bool,
}

impl Operation {
    /// `number`: the operation's own, the same for no other. `above`: a ballot that is known to have been promised; higher ones
    /// save a refusal. No ballot of `me` may be used by two operations on a register: give them what the last one
    /// ended with ([`ballot`](Operation::ballot)), and never two at once.
    pub fn new(me: NodeId, number: u128, wish: Wish, voters: Voters, above: Ballot) -> Operation {
        Operation {
            me,
            number,
            wish,
            voters,
            proposer: Proposer::new(above),
            reported: BTreeMap::new(),
            accepted: BTreeSet::new(),
            verdict: None,
            tried: None,
            is_over: false,
        }
    }

    /// The highest ballot that it knows of.
    pub fn ballot(&self) -> Ballot {
        self.proposer.ballot()
    }

    /// Begins, or begins again, with a higher ballot: send this to all voters.
    pub fn begin(&mut self) -> Ask {
        let ballot = self.ballot().next(self.me);
        self.try_with(ballot);
        Ask::Prepare(ballot)
    }

    /// Begins from what the last change of this proposer left: phase 1 is done.
    pub fn begin_from(&mut self, hold: Hold) -> Step {
        self.try_with(hold.ballot);
        // All of them report the same: in which ballot is of no account.
        let last = Accepted { ballot: Ballot::NONE.next(self.me), value: hold.value };
        let mut step = None;
        for node in hold.promised {
            step = step.or(self.promise(node, Some(last.clone())));
        }
        step.unwrap_or_else(|| Step::Send(self.begin()))
    }

    fn try_with(&mut self, ballot: Ballot) {
        self.proposer = Proposer::new(ballot);
        self.reported.clear();
        self.accepted.clear();
        self.verdict = None;
    }

    /// What a voter answers. `None`: nothing is to be done.
    pub fn hear(&mut self, from: NodeId, told: Told) -> Option<Step> {
        let (Told::Promised { ballot, .. } | Told::Accepted(ballot) | Told::Refused { ballot, .. }) =
            &told;
        if *ballot != self.ballot() || self.is_over || !self.voters.members().contains(&from) {
            return None; // Of an earlier try.
        }
        match told {
            Told::Promised { accepted, .. } => {
                self.reported.entry(from).or_insert_with(|| accepted.clone());
                let accepted = accepted.map(|(ballot, value)| Accepted { ballot, value });
                self.promise(from, accepted)
            }
            Told::Accepted(_) => self.accept(from),
            Told::Refused { promised, .. } => {
                // The next try is above that one; this one is given up, and nothing more is heard of it.
                self.proposer = Proposer::new(promised.max(self.ballot()));
                Some(Step::Refused)
            }
        }
    }

    fn promise(&mut self, from: NodeId, accepted: Option<Accepted<Value>>) -> Option<Step> {
        let (wish, number, tried) = (self.wish.clone(), self.number, self.tried);
        let mut verdict = None;
        let next = self.proposer.hear_promise(&self.voters, from, accepted, |found| {
            let (value, outcome) = change(&wish, number, tried, found.unwrap_or_default());
            verdict = Some(outcome);
            value
        })?;
        self.verdict = verdict;
        if let Some(outcome) = self.seen_by_all() {
            return Some(self.end(outcome));
        }
        if next.writer == self.number {
            self.tried = Some(next.version);
        }
        Some(Step::Send(Ask::Accept { ballot: self.ballot(), value: next }))
    }

    /// Of a read: a quorum has accepted the same in the same ballot, so it is chosen already.
    fn seen_by_all(&self) -> Option<Outcome> {
        let reporters = self.reported.keys().copied().collect();
        let mut reported = self.reported.values();
        let first = reported.next()?;
        let same = reported.all(|other| other == first);
        let chosen = same && self.voters.have_chosen(&reporters);
        (self.wish == Wish::Read && chosen).then(|| self.verdict.clone()).flatten()
    }

    fn accept(&mut self, from: NodeId) -> Option<Step> {
        self.accepted.insert(from);
        self.proposer.hear_accepted(&self.voters, from)?;
        let verdict = self.verdict.take()?;
        Some(self.end(verdict))
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.is_over = true;
        Step::Done(outcome)
    }

    /// After a change that is done: for the next operation on the same register, by the same proposer.
    pub fn hold(&self) -> Option<Hold> {
        let value = self.proposer.value().filter(|_| self.is_over)?;
        let ballot = self.ballot().next(self.me);
        let promised = self.accepted.clone();
        let enough = self.voters.can_propose(&promised);
        enough.then(|| Hold { ballot, promised, value: value.clone() })
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

fn put_accepted(out: &mut Vec<u8>, accepted: Option<(Ballot, &Value)>) {
    out.push(u8::from(accepted.is_some()));
    if let Some((ballot, value)) = accepted {
        ballot.encode(out);
        value.encode(out);
    }
}

fn read_accepted(reader: &mut Reader) -> Result<Option<(Ballot, Value)>, DecodeError> {
    match reader.u8()? {
        0 => Ok(None),
        1 => Ok(Some((Ballot::decode(reader)?, Value::decode(reader)?))),
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
/// cell = version:u8 promised accepted          ballot = round:varint proposer:varint
/// accepted = 0 | 1 ballot value                value = version:varint writer:u128 (0 | 1 length-and-bytes)
/// ```
impl Wire for Cell {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        self.0.promised().encode(out);
        put_accepted(out, self.0.accepted().map(|last| (last.ballot, &last.value)));
    }

    fn decode(bytes: Bytes) -> Result<Cell, DecodeError> {
        versioned(bytes, |reader| {
            let promised = Ballot::decode(reader)?;
            let accepted = read_accepted(reader)?;
            if accepted.as_ref().is_some_and(|(ballot, _)| *ballot > promised) {
                return Err(DecodeError::Invalid("promise below what was accepted"));
            }
            let accepted = accepted.map(|(ballot, value)| Accepted { ballot, value });
            Ok(Cell(Acceptor::restored(promised, accepted)))
        })
    }
}

/// `version:u8 (1 ballot | 2 ballot value)`
impl Wire for Ask {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Ask::Prepare(ballot) => {
                out.push(1);
                ballot.encode(out);
            }
            Ask::Accept { ballot, value } => {
                out.push(2);
                ballot.encode(out);
                value.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Ask, DecodeError> {
        versioned(bytes, |reader| match reader.u8()? {
            1 => Ballot::decode(reader).map(Ask::Prepare),
            2 => {
                let ballot = Ballot::decode(reader)?;
                Ok(Ask::Accept { ballot, value: Value::decode(reader)? })
            }
            _ => Err(DecodeError::Invalid("question to a register")),
        })
    }
}

/// `version:u8 (1 ballot accepted | 2 ballot | 3 ballot promised)`
impl Wire for Told {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        match self {
            Told::Promised { ballot, accepted } => {
                out.push(1);
                ballot.encode(out);
                put_accepted(out, accepted.as_ref().map(|(ballot, value)| (*ballot, value)));
            }
            Told::Accepted(ballot) => {
                out.push(2);
                ballot.encode(out);
            }
            Told::Refused { ballot, promised } => {
                out.push(3);
                ballot.encode(out);
                promised.encode(out);
            }
        }
    }

    fn decode(bytes: Bytes) -> Result<Told, DecodeError> {
        versioned(bytes, |reader| match reader.u8()? {
            1 => {
                let ballot = Ballot::decode(reader)?;
                Ok(Told::Promised { ballot, accepted: read_accepted(reader)? })
            }
            2 => Ballot::decode(reader).map(Told::Accepted),
            3 => {
                let ballot = Ballot::decode(reader)?;
                Ok(Told::Refused { ballot, promised: Ballot::decode(reader)? })
            }
            _ => Err(DecodeError::Invalid("answer of a register")),
        })
    }
}

#[cfg(test)]
mod tests;
