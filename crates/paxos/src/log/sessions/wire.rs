//! How commands, answers and snapshots of [`Sessions`](super::Sessions) are written.
//!
//! ```text
//! command  = version:u8 kind                                     (numbers are varints)
//! open       1
//! numbered   2 session number through command
//! unnumbered 3 command
//! answer   = 1 answer | 2 session | 3 (lost) | 4 (past) | 5 (full) | 6 (unreadable)
//! snapshot = version:u8 sessions-max window answer-bytes-max opened uses count session* state
//! session  = id used through count (number length-and-bytes)*
//! ```

use std::collections::BTreeMap;

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, put_bytes, put_varint};

use super::{Limits, Session, SessionId, Sessions};
use crate::log::StateMachine;

const VERSION: u8 = 1;
/// No log opens or uses sessions so often: there would be no room above.
const COUNT_MAX: u64 = 1 << 62;

/// What is proposed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::log) enum Command {
    Open,
    Numbered { session: SessionId, number: u64, through: u64, command: Bytes },
    Unnumbered(Bytes),
}

/// What became of a command.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Answer {
    /// It was applied, now or when it came first; this is what the state machine said then.
    Applied(Bytes),
    /// There is a session. Who asks for one twice has two.
    Opened(SessionId),
    /// There is no such session, or not any more. The command was not applied now; it may have been before.
    SessionLost,
    /// The client has said that it has the answer.
    Past,
    /// Too many commands are under way in this session. It was not applied: [again](super::Client::again), later.
    Full,
    /// It is no command that this version knows.
    Unreadable,
}

/// What is to be proposed to open a session.
pub fn open() -> Bytes {
    Bytes::from_static(&[VERSION, 1])
}

/// What is to be proposed for a command of no session: it is applied as often as it is decided.
pub fn unnumbered(command: &[u8]) -> Bytes {
    Bytes::from([&[VERSION, 3], command].concat())
}

pub(in crate::log) fn numbered(
    session: SessionId,
    number: u64,
    through: u64,
    command: &[u8],
) -> Bytes {
    let mut out = Vec::with_capacity(command.len() + 16);
    out.extend_from_slice(&[VERSION, 2]);
    [session.0, number, through].into_iter().for_each(|number| put_varint(&mut out, number));
    out.extend_from_slice(command);
    Bytes::from(out)
}

fn check_version(reader: &mut Reader) -> Result<(), DecodeError> {
    match reader.u8()? {
        VERSION => Ok(()),
        other => Err(DecodeError::Version(other.into())),
    }
}

impl Command {
    pub(in crate::log) fn decode(bytes: Bytes) -> Result<Command, DecodeError> {
        let mut reader = Reader::new(bytes);
        check_version(&mut reader)?;
        match reader.u8()? {
            1 => reader.finish().map(|()| Command::Open),
            2 => Ok(Command::Numbered {
                session: SessionId(reader.varint()?),
                number: reader.varint()?,
                through: reader.varint()?,
                command: reader.rest(),
            }),
            3 => Ok(Command::Unnumbered(reader.rest())),
            _ => Err(DecodeError::Invalid("kind of command")),
        }
    }
}

impl Answer {
    /// The encoding.
    pub fn encode(&self) -> Bytes {
        match self {
            Answer::Applied(answer) => Bytes::from([&[1], &answer[..]].concat()),
            Answer::Opened(session) => {
                let mut out = vec![2];
                put_varint(&mut out, session.0);
                Bytes::from(out)
            }
            Answer::SessionLost => Bytes::from_static(&[3]),
            Answer::Past => Bytes::from_static(&[4]),
            Answer::Full => Bytes::from_static(&[5]),
            Answer::Unreadable => Bytes::from_static(&[6]),
        }
    }

    /// Reads what [`encode`](Answer::encode) wrote.
    pub fn decode(bytes: Bytes) -> Result<Answer, DecodeError> {
        let mut reader = Reader::new(bytes);
        let answer = match reader.u8()? {
            1 => return Ok(Answer::Applied(reader.rest())),
            2 => Answer::Opened(SessionId(reader.varint()?)),
            3 => Answer::SessionLost,
            4 => Answer::Past,
            5 => Answer::Full,
            6 => Answer::Unreadable,
            _ => return Err(DecodeError::Invalid("kind of answer")),
        };
        reader.finish().map(|()| answer)
    }
}

impl<S: StateMachine> Sessions<S> {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        let Limits { sessions, window, answer_bytes } = self.limits;
        out.push(VERSION);
        let head = [sessions.into(), window.into(), answer_bytes, self.opened.0, self.uses];
        head.into_iter().for_each(|number| put_varint(out, number));
        put_varint(out, self.sessions.len() as u64);
        for (id, session) in &self.sessions {
            put_varint(out, id.0);
            session.encode(out);
        }
        out.extend_from_slice(&self.state.snapshot());
    }

    pub(super) fn decode(snapshot: Bytes) -> Result<Sessions<S>, DecodeError> {
        let mut reader = Reader::new(snapshot);
        check_version(&mut reader)?;
        let small = |number: u64| u32::try_from(number).map_err(|_| DecodeError::Invalid("limit"));
        let limits = Limits {
            sessions: small(reader.varint()?)?,
            window: small(reader.varint()?)?,
            answer_bytes: reader.varint()?,
        };
        let (opened, uses) = (SessionId(reader.varint()?), reader.varint()?);
        if opened.0.max(uses) > COUNT_MAX {
            return Err(DecodeError::Invalid("count of sessions"));
        }
        let sessions = decode_sessions(&mut reader, limits, opened)?;
        let mut used: Vec<u64> = sessions.values().map(|session| session.used).collect();
        used.sort_unstable();
        let are_distinct = used.windows(2).all(|pair| pair[0] < pair[1]);
        if !are_distinct || used.last().is_some_and(|last| *last > uses) {
            return Err(DecodeError::Invalid("order of sessions"));
        }
        let answer_bytes = sessions.values().map(Session::bytes).sum();
        if answer_bytes > limits.answer_bytes {
            return Err(DecodeError::Invalid("bytes of answers"));
        }
        let state = S::restore(reader.rest())?;
        Ok(Sessions { state, limits, opened, sessions, uses, answer_bytes })
    }
}

fn decode_sessions(
    reader: &mut Reader,
    limits: Limits,
    opened: SessionId,
) -> Result<BTreeMap<SessionId, Session>, DecodeError> {
    let count = reader.count(4)?;
    if count > limits.sessions.max(1) as usize {
        return Err(DecodeError::Invalid("number of sessions"));
    }
    let mut sessions = BTreeMap::new();
    let mut last = SessionId(0);
    for _ in 0..count {
        let id = SessionId(reader.varint()?);
        if id <= last || id > opened {
            return Err(DecodeError::Invalid("order of sessions"));
        }
        sessions.insert(id, Session::decode(reader, limits.window)?);
        last = id;
    }
    Ok(sessions)
}

impl Session {
    fn encode(&self, out: &mut Vec<u8>) {
        put_varint(out, self.used);
        put_varint(out, self.through);
        put_varint(out, self.answers.len() as u64);
        for (number, answer) in &self.answers {
            put_varint(out, *number);
            put_bytes(out, answer);
        }
    }

    fn decode(reader: &mut Reader, window: u32) -> Result<Session, DecodeError> {
        let (used, through) = (reader.varint()?, reader.varint()?);
        let mut answers = Vec::new();
        let mut last = through;
        for _ in 0..reader.count(2)? {
            let number = reader.varint()?;
            if number <= last || number - through > window.into() {
                return Err(DecodeError::Invalid("number of a command"));
            }
            answers.push((number, reader.bytes(usize::MAX)?));
            last = number;
        }
        Ok(Session { used, through, answers })
    }
}
