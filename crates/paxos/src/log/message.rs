//! What replicas of a group say to each other, and how it is written.
//!
//! ```text
//! message  = version:u8 kind:u8 ballot rest                     ballot = round:varint proposer:varint
//! canvass  1  committed                                         (numbers are varints)
//! support  2
//! prepare  3  committed
//! promise  4  committed count (slot ballot entry)*
//! refuse   5  promised
//! accept   6  committed first question count entry*
//! accepted 7  through question
//! forward  8  life ticket floor ask                             ballot: of the leader that is asked
//! answer   9  life ticket outcome
//! state   10  through offset total length-and-bytes             a piece of a snapshot
//! resign   11 successor:u8
//! enquire  12 committed
//! chosen   13 first count (ballot entry)*
//! lease    14 number ms
//! granted  15 number
//! took     16 through offset
//! skip     17 place                                             to a witness: place = through members-at members
//! ```

use std::collections::BTreeSet;

use bytes::Bytes;
use ombak_base::{DecodeError, NodeId, Reader, Wire, put_bytes, put_varint};
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::stored::Place;
use super::{Outcome, Slot};
use crate::ballot::Ballot;
use crate::members::{LEARNERS_MAX, VOTERS_MAX, decode_nodes, encode_nodes};
use crate::synod::Accepted;

#[cfg(doc)]
use crate::Voters;

const VERSION: u8 = 1;

/// What replicas of a group say to each other. Each message names a ballot.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Whose doing it is.
    pub ballot: Ballot,
    /// What.
    pub body: Body,
}

/// See [`Message`].
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Body {
    /// Would you promise this ballot? Nothing is promised yet.
    Canvass {
        /// The candidate knows what was chosen up to here.
        committed: Slot,
    },
    /// I would.
    Support,
    /// Phase 1, for all slots above.
    Prepare {
        /// The candidate knows what was chosen up to here.
        committed: Slot,
    },
    /// The answer: what I have accepted above what the candidate knows.
    Promise {
        /// I know what was chosen up to here.
        committed: Slot,
        /// Without gaps, from the first slot that the candidate does not know.
        tail: Vec<(Slot, Accepted<Entry>)>,
    },
    /// I have promised a higher ballot.
    Refuse {
        /// That one.
        promised: Ballot,
    },
    /// Phase 2, for consecutive slots; none: a sign of life, and what is chosen.
    Accept {
        /// What is chosen up to here.
        committed: Slot,
        /// Where the entries begin.
        first: Slot,
        /// What is proposed.
        entries: Vec<Entry>,
        /// To be said again in the answer.
        question: u64,
    },
    /// The answer. All up to `through` is on my disk: accepted in this ballot, or known to be chosen.
    Accepted {
        /// Without gaps up to here.
        through: Slot,
        /// The last question that I heard in this ballot.
        question: u64,
    },
    /// A client of mine asks this of the leader.
    Forward {
        /// Who asks, since it was started.
        life: u64,
        /// Names it, to the one who asks. They grow.
        ticket: u64,
        /// Everything below was answered: if it comes again, it is a message that was late.
        floor: u64,
        /// What.
        ask: Ask,
    },
    /// What became of it.
    Answer {
        /// See `Forward`. Who was started again has given out the same tickets before.
        life: u64,
        /// See `Forward`.
        ticket: u64,
        /// What.
        outcome: Outcome,
    },
    /// A piece of the state after a slot, for who lacks what was forgotten.
    State {
        /// After this slot.
        through: Slot,
        /// Where the piece begins.
        offset: u64,
        /// Bytes of the whole.
        total: u64,
        /// The piece.
        piece: Bytes,
    },
    /// I don't lead in this ballot any more, or hand over.
    Resign {
        /// Stand, without waiting. You have everything.
        successor: bool,
    },
    /// What has been chosen, and do you lead in this ballot, if it is yours?
    Enquire {
        /// I know what was chosen up to here.
        committed: Slot,
    },
    /// This has been chosen: a fact, whoever tells it.
    Chosen {
        /// From this slot on.
        first: Slot,
        /// Each in a ballot in which it was proposed.
        entries: Vec<Accepted<Entry>>,
    },
    /// Let nobody else lead for so long. Only who reads are asked of asks for it, see `lease.rs`.
    Lease {
        /// To be said again in the answer. They grow.
        number: u64,
        /// By true time.
        ms: u64,
    },
    /// I do.
    Granted {
        /// See `Lease`.
        number: u64,
    },
    /// So much of the state after a slot is here.
    Took {
        /// After this slot.
        through: Slot,
        /// Bytes, without gaps. The next piece is to begin here.
        offset: u64,
    },
    /// To a witness: go on from here if you are behind, and forget the entries up to here.
    Skip(Box<Place>),
}

/// Who is to belong to a group.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub struct Membership {
    /// They vote.
    pub voters: BTreeSet<NodeId>,
    /// They are told everything, and do not vote.
    pub learners: BTreeSet<NodeId>,
    /// Those among the voters that keep the log and no state, so that they can't lead. Who was one before is one in any case. They are fewer
    /// than decide, so that somebody with the state is always among these.
    pub witnesses: BTreeSet<NodeId>,
    /// So many voters decide, and as many as that takes elect a leader ([`Voters::flexible`]): with 2 of 5 a leader needs one other for each
    /// command, and its successor needs all but one of them to be elected. `None`: as it is now, so that a majority stays one.
    pub accept: Option<usize>,
}

/// What can be asked of a group.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// Decide this command, apply it, and answer with what the state machine says. It is kept where it is, if it is alone or large, until
    /// the snapshot after the next: a small slice of something large keeps all of that.
    Propose(Bytes),
    /// Answer this from a state that is not older than the question.
    Read(Bytes),
    /// From now on, these are to belong to the group.
    Members(Box<Membership>),
    /// This voter is to lead.
    Lead(NodeId),
    /// Answer this from the state of whoever is asked, once it has applied this slot. Nobody else is asked.
    ReadAt(Slot, Bytes),
}

impl Ask {
    /// Whether it comes to the same if it is asked twice.
    pub(super) fn is_repeatable(&self) -> bool {
        matches!(self, Ask::Read(_) | Ask::Lead(_) | Ask::ReadAt(..))
    }

    /// Bytes of the command or of the query.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Ask::Propose(bytes) | Ask::Read(bytes) | Ask::ReadAt(_, bytes) => bytes.len(),
            Ask::Members(_) | Ask::Lead(_) => 0,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Ask::Propose(command) => {
                out.push(1);
                put_bytes(out, command);
            }
            Ask::Read(query) => {
                out.push(2);
                put_bytes(out, query);
            }
            Ask::Members(members) => members.encode(out),
            Ask::Lead(node) => {
                out.push(4);
                put_varint(out, node.0.into());
            }
            Ask::ReadAt(slot, query) => {
                out.push(5);
                put_varint(out, slot.0);
                put_bytes(out, query);
            }
        }
    }

    fn decode(reader: &mut Reader) -> Result<Ask, DecodeError> {
        Ok(match reader.u8()? {
            1 => Ask::Propose(reader.bytes(usize::MAX)?),
            2 => Ask::Read(reader.bytes(usize::MAX)?),
            kind @ (3 | 6 | 7 | 8) => Ask::Members(Box::new(Membership::decode(kind, reader)?)),
            4 => Ask::Lead(read_node(reader)?),
            5 => Ask::ReadAt(read_slot(reader)?, reader.bytes(usize::MAX)?),
            _ => return Err(DecodeError::Invalid("kind of question")),
        })
    }
}

impl Membership {
    /// Whether there are witnesses and a number is said by the first byte: before these, there were neither.
    fn encode(&self, out: &mut Vec<u8>) {
        let Membership { voters, learners, witnesses, accept } = self;
        out.push(match (accept, witnesses.is_empty()) {
            (None, true) => 3,
            (Some(_), true) => 6,
            (None, false) => 7,
            (Some(_), false) => 8,
        });
        encode_nodes(voters, out);
        encode_nodes(learners, out);
        accept.iter().for_each(|accept| put_varint(out, *accept as u64));
        if !witnesses.is_empty() {
            encode_nodes(witnesses, out);
        }
    }

    fn decode(kind: u8, reader: &mut Reader) -> Result<Membership, DecodeError> {
        let voters = decode_nodes(reader, VOTERS_MAX)?;
        let learners = decode_nodes(reader, LEARNERS_MAX)?;
        let accept = matches!(kind, 6 | 8).then(|| reader.varint()).transpose()?;
        let mut witnesses = BTreeSet::new();
        if matches!(kind, 7 | 8) {
            witnesses = decode_nodes(reader, VOTERS_MAX)?;
            if witnesses.is_empty() {
                return Err(DecodeError::Invalid("witnesses"));
            }
        }
        Ok(Membership { voters, learners, witnesses, accept: accept.map(|accept| accept as usize) })
    }
}

impl Message {
    pub(crate) fn new(ballot: Ballot, body: Body) -> Message {
        Message { ballot, body }
    }
}

fn read_node(reader: &mut Reader) -> Result<NodeId, DecodeError> {
    let node = u32::try_from(reader.varint()?).map_err(|_| DecodeError::Invalid("node"))?;
    Ok(NodeId(node))
}

fn read_slot(reader: &mut Reader) -> Result<Slot, DecodeError> {
    reader.varint().map(Slot)
}

impl Wire for Message {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        out.push(self.body.kind());
        self.ballot.encode(out);
        self.body.encode(out);
    }

    fn decode(bytes: Bytes) -> Result<Message, DecodeError> {
        let mut reader = Reader::new(bytes);
        match reader.u8()? {
            VERSION => {}
            other => return Err(DecodeError::Version(other.into())),
        }
        let kind = reader.u8()?;
        let ballot = Ballot::decode(&mut reader)?;
        let body = Body::decode(kind, &mut reader)?;
        reader.finish()?;
        Ok(Message { ballot, body })
    }
}

impl Body {
    fn kind(&self) -> u8 {
        match self {
            Body::Canvass { .. } => 1,
            Body::Support => 2,
            Body::Prepare { .. } => 3,
            Body::Promise { .. } => 4,
            Body::Refuse { .. } => 5,
            Body::Accept { .. } => 6,
            Body::Accepted { .. } => 7,
            Body::Forward { .. } => 8,
            Body::Answer { .. } => 9,
            Body::State { .. } => 10,
            Body::Resign { .. } => 11,
            Body::Enquire { .. } => 12,
            Body::Chosen { .. } => 13,
            Body::Lease { .. } => 14,
            Body::Granted { .. } => 15,
            Body::Took { .. } => 16,
            Body::Skip(_) => 17,
        }
    }

    /// Whether it counts towards a quorum.
    pub(crate) fn is_vote(&self) -> bool {
        matches!(
            self,
            Body::Support | Body::Promise { .. } | Body::Accepted { .. } | Body::Granted { .. }
        )
    }

    /// The highest ballot that it names, beside the message's own.
    pub(super) fn highest_ballot(&self) -> Ballot {
        match self {
            Body::Refuse { promised } => *promised,
            Body::Chosen { entries, .. } => {
                entries.iter().map(|entry| entry.ballot).max().unwrap_or_default()
            }
            Body::Promise { tail, .. } => {
                tail.iter().map(|(_, entry)| entry.ballot).max().unwrap_or_default()
            }
            _ => Ballot::NONE,
        }
    }

    /// The highest slot that it names, as far as slots are not counted on from it.
    pub(super) fn highest_slot(&self) -> Slot {
        match self {
            Body::Canvass { committed }
            | Body::Prepare { committed }
            | Body::Enquire { committed } => *committed,
            Body::Promise { committed, tail } => {
                tail.last().map_or(*committed, |(slot, _)| *slot.max(committed))
            }
            Body::Accept { committed, first, .. } => *committed.max(first),
            Body::Accepted { through, .. }
            | Body::State { through, .. }
            | Body::Took { through, .. } => *through,
            Body::Chosen { first, .. } => *first,
            Body::Skip(place) => place.through,
            _ => Slot(0),
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Body::Canvass { committed }
            | Body::Prepare { committed }
            | Body::Enquire { committed } => put_varint(out, committed.0),
            Body::Support => {}
            Body::Resign { successor } => out.push(u8::from(*successor)),
            Body::Promise { committed, tail } => {
                put_varint(out, committed.0);
                put_varint(out, tail.len() as u64);
                for (slot, accepted) in tail {
                    put_varint(out, slot.0);
                    put_accepted(out, accepted);
                }
            }
            Body::Refuse { promised } => promised.encode(out),
            Body::Accept { committed, first, entries, question } => {
                put_varint(out, committed.0);
                put_varint(out, first.0);
                put_varint(out, *question);
                put_varint(out, entries.len() as u64);
                entries.iter().for_each(|entry| entry.encode(out));
            }
            Body::Accepted { through, question } => {
                put_varint(out, through.0);
                put_varint(out, *question);
            }
            Body::Forward { life, ticket, floor, ask } => {
                put_varint(out, *life);
                put_varint(out, *ticket);
                put_varint(out, *floor);
                ask.encode(out);
            }
            Body::Answer { life, ticket, outcome } => {
                put_varint(out, *life);
                put_varint(out, *ticket);
                outcome.encode(out);
            }
            Body::Chosen { first, entries } => {
                put_varint(out, first.0);
                put_varint(out, entries.len() as u64);
                entries.iter().for_each(|entry| put_accepted(out, entry));
            }
            Body::Lease { number, ms } => {
                put_varint(out, *number);
                put_varint(out, *ms);
            }
            Body::Granted { number } => put_varint(out, *number),
            Body::Skip(place) => place.encode(out),
            Body::Took { through, offset } => {
                put_varint(out, through.0);
                put_varint(out, *offset);
            }
            Body::State { through, offset, total, piece } => {
                put_varint(out, through.0);
                put_varint(out, *offset);
                put_varint(out, *total);
                put_bytes(out, piece);
            }
        }
    }

    fn decode(kind: u8, reader: &mut Reader) -> Result<Body, DecodeError> {
        Ok(match kind {
            1 => Body::Canvass { committed: read_slot(reader)? },
            2 => Body::Support,
            3 => Body::Prepare { committed: read_slot(reader)? },
            4 => Body::Promise { committed: read_slot(reader)?, tail: read_tail(reader)? },
            5 => Body::Refuse { promised: Ballot::decode(reader)? },
            6 => Body::Accept {
                committed: read_slot(reader)?,
                first: read_slot(reader)?,
                question: reader.varint()?,
                entries: read_many(reader, 1, Entry::decode)?,
            },
            7 => Body::Accepted { through: read_slot(reader)?, question: reader.varint()? },
            8 => Body::Forward {
                life: reader.varint()?,
                ticket: reader.varint()?,
                floor: reader.varint()?,
                ask: Ask::decode(reader)?,
            },
            9 => Body::Answer {
                life: reader.varint()?,
                ticket: reader.varint()?,
                outcome: Outcome::decode(reader)?,
            },
            10 => Body::State {
                through: read_slot(reader)?,
                offset: reader.varint()?,
                total: reader.varint()?,
                piece: reader.bytes(usize::MAX)?,
            },
            11 => match reader.u8()? {
                successor @ 0..=1 => Body::Resign { successor: successor == 1 },
                _ => return Err(DecodeError::Invalid("successor")),
            },
            12 => Body::Enquire { committed: read_slot(reader)? },
            13 => Body::Chosen {
                first: read_slot(reader)?,
                entries: read_many(reader, 3, read_accepted)?,
            },
            14 => Body::Lease { number: reader.varint()?, ms: reader.varint()? },
            15 => Body::Granted { number: reader.varint()? },
            16 => Body::Took { through: read_slot(reader)?, offset: reader.varint()? },
            17 => Body::Skip(Box::new(Place::decode(reader)?)),
            _ => return Err(DecodeError::Invalid("kind of message")),
        })
    }
}

fn put_accepted(out: &mut Vec<u8>, accepted: &Accepted<Entry>) {
    accepted.ballot.encode(out);
    accepted.value.encode(out);
}

fn read_accepted(reader: &mut Reader) -> Result<Accepted<Entry>, DecodeError> {
    Ok(Accepted { ballot: Ballot::decode(reader)?, value: Entry::decode(reader)? })
}

fn read_tail(reader: &mut Reader) -> Result<Vec<(Slot, Accepted<Entry>)>, DecodeError> {
    let tail = read_many(reader, 4, |reader| Ok((read_slot(reader)?, read_accepted(reader)?)))?;
    let dense = tail.windows(2).all(|pair| pair[0].0.next() == pair[1].0);
    dense.then_some(tail).ok_or(DecodeError::Invalid("order of slots"))
}

/// A count, and so many of something that takes `least_bytes` at least.
fn read_many<T>(
    reader: &mut Reader,
    least_bytes: usize,
    one: impl Fn(&mut Reader) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    let count = reader.count(least_bytes)?;
    (0..count).map(|_| one(reader)).collect()
}
