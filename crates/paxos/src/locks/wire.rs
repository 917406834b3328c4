//! Commands and notices as bytes. A log is read by later versions than the one that wrote it, so each begins with the version
//! of its format; the bytes of every version are golden in the tests.

use bytes::Bytes;
use ombak_base::{DecodeError, Reader, Wire, put_bytes, put_varint};

use super::limits::{PATH_BYTES_MAX, VALUE_BYTES_MAX};
use super::{
    Answer, Bound, Command, Have, LockId, LogTime, Mode, Notice, Path, Refused, Request, SessionId,
    SessionState, Token, Value, ValueBlock, Wait, WaitsFor, Why,
};

/// The format of commands, notices and snapshots.
const VERSION: u64 = 1;

/// Something that is encoded within something else.
pub(super) trait Part: Sized {
    fn put(&self, out: &mut Vec<u8>);
    fn take(from: &mut Reader) -> Result<Self, DecodeError>;
}

/// The version, the parts, and nothing after them.
pub(super) fn encode(whole: &impl Part, out: &mut Vec<u8>) {
    put_varint(out, VERSION);
    whole.put(out);
}

/// See [`encode`].
pub(super) fn decode<P: Part>(bytes: Bytes) -> Result<P, DecodeError> {
    let mut from = Reader::new(bytes);
    match from.varint()? {
        VERSION => (),
        other => return Err(DecodeError::Version(other)),
    }
    let whole = P::take(&mut from)?;
    from.finish()?;
    Ok(whole)
}

macro_rules! wire {
    ($whole:ty) => {
        impl Wire for $whole {
            fn encode(&self, out: &mut Vec<u8>) {
                encode(self, out);
            }

            fn decode(bytes: Bytes) -> Result<Self, DecodeError> {
                decode(bytes)
            }
        }
    };
}

wire!(Command);
wire!(Notice);
wire!(super::LockManager);

/// One field after the other.
macro_rules! fields {
    ($type:ident { $($field:tt),* }) => {
        impl Part for $type {
            fn put(&self, out: &mut Vec<u8>) {
                $(self.$field.put(out);)*
            }

            fn take(from: &mut Reader) -> Result<$type, DecodeError> {
                Ok($type { $($field: Part::take(from)?),* })
            }
        }
    };
}
pub(super) use fields;

/// A byte that says which variant, and its fields. A number once given to a variant stays with it.
macro_rules! variants {
    ($type:ident, $what:literal, $(
        $number:literal => $variant:ident $({ $($field:ident),* })? $(($inner:ident))?,
    )*) => {
        impl Part for $type {
            fn put(&self, out: &mut Vec<u8>) {
                match self {
                    $($type::$variant $({ $($field),* })? $(($inner))? => {
                        out.push($number);
                        $($($field.put(out);)*)?
                        $($inner.put(out);)?
                    })*
                }
            }

            fn take(from: &mut Reader) -> Result<$type, DecodeError> {
                match from.u8()? {
                    $($number => {
                        $($(let $field = Part::take(from)?;)*)?
                        $(let $inner = Part::take(from)?;)?
                        Ok($type::$variant $({ $($field),* })? $(($inner))?)
                    })*
                    _ => Err(DecodeError::Invalid($what)),
                }
            }
        }
    };
}

fields!(LockId { session, number });
fields!(LogTime { 0 });
fields!(Token { 0 });
fields!(ValueBlock { valid, value });
fields!(WaitsFor { waiter, blocker, why });

variants!(Mode, "mode",
    0 => NL,
    1 => CR,
    2 => CW,
    3 => PR,
    4 => PW,
    5 => EX,
);

variants!(Wait, "wait",
    0 => No,
    1 => Us(us),
    2 => Forever,
);

variants!(Request, "request",
    0 => Lock { path, under, mode, wait, notify },
    1 => Convert { lock, mode, wait, value },
    2 => Unlock { lock, value },
    3 => Cancel { lock },
);

/// As [`variants`] has it, but for calls: those of a client that has all answers up to a number are as they were before there
/// were others.
impl Part for Command {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Command::Open { session, lease_us, about } => {
                out.push(0);
                session.put(out);
                lease_us.put(out);
                about.put(out);
            }
            Command::KeepAlive { session } => {
                out.push(1);
                session.put(out);
            }
            Command::Close { session } => {
                out.push(2);
                session.put(out);
            }
            Command::Call { session, number, have: Have { all_to, but }, request } => {
                out.push(if but.is_empty() { 3 } else { 6 });
                session.put(out);
                number.put(out);
                all_to.put(out);
                if !but.is_empty() {
                    put_varint(out, but.len() as u64);
                    but.iter().for_each(|number| number.put(out));
                }
                request.put(out);
            }
            Command::Tick => out.push(4),
            Command::NewLeader => out.push(5),
        }
    }

    fn take(from: &mut Reader) -> Result<Command, DecodeError> {
        let kind = from.u8()?;
        Ok(match kind {
            0 => Command::Open {
                session: Part::take(from)?,
                lease_us: Part::take(from)?,
                about: Part::take(from)?,
            },
            1 => Command::KeepAlive { session: Part::take(from)? },
            2 => Command::Close { session: Part::take(from)? },
            3 | 6 => Command::Call {
                session: Part::take(from)?,
                number: Part::take(from)?,
                have: take_have(from, kind == 6)?,
                request: Part::take(from)?,
            },
            4 => Command::Tick,
            5 => Command::NewLeader,
            _ => return Err(DecodeError::Invalid("command")),
        })
    }
}

fn take_have(from: &mut Reader, with_others: bool) -> Result<Have, DecodeError> {
    let all_to = u64::take(from)?;
    let but: Vec<u64> = if with_others { Part::take(from)? } else { return Ok(all_to.into()) };
    match but.is_empty() || !but.is_sorted_by(|one, next| one < next) {
        true => Err(DecodeError::Invalid("order of numbers")),
        false => Ok(Have::all_but(all_to, but)),
    }
}

variants!(Bound, "bound",
    0 => Sessions,
    1 => SessionLocks,
    2 => Locks,
    3 => Waiters,
);

variants!(Refused, "refusal",
    0 => NoSession,
    1 => Lease,
    2 => Forgotten,
    3 => TooFarAhead,
    4 => Full(bound),
    5 => NoLock,
    6 => NoParent,
    7 => HasChildren,
    8 => Pending,
    9 => NotPending,
    10 => Value,
    11 => WouldWait,
    12 => TimedOut,
    13 => Cancelled,
    14 => Deadlock,
);

variants!(Answer, "answer",
    0 => Granted { mode, token, value },
    1 => Waiting,
    2 => Unlocked,
    3 => Cancelled,
    4 => Refused(why),
);

variants!(SessionState, "state of a session",
    0 => Live { until },
    1 => Closed,
    2 => Expired,
    3 => Refused(why),
);

variants!(Why, "reason to wait",
    0 => Held,
    1 => Ahead,
);

variants!(Notice, "notice",
    0 => Answer { session, number, answer },
    1 => Session { session, state },
    2 => Blocking { lock, waiter, wanted },
    3 => Deadlock { victim, cycle },
);

impl Part for u64 {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, *self);
    }

    fn take(from: &mut Reader) -> Result<u64, DecodeError> {
        from.varint()
    }
}

impl Part for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn take(from: &mut Reader) -> Result<bool, DecodeError> {
        match from.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(DecodeError::Invalid("flag")),
        }
    }
}

impl<P: Part> Part for Option<P> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        self.iter().for_each(|part| part.put(out));
    }

    fn take(from: &mut Reader) -> Result<Option<P>, DecodeError> {
        bool::take(from)?.then(|| P::take(from)).transpose()
    }
}

impl<P: Part> Part for Vec<P> {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        self.iter().for_each(|part| part.put(out));
    }

    fn take(from: &mut Reader) -> Result<Vec<P>, DecodeError> {
        // No part is shorter than a byte. The vector grows as parts come, not as they are announced.
        (0..from.count(1)?).map(|_| P::take(from)).collect()
    }
}

impl Part for SessionId {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_le_bytes());
    }

    fn take(from: &mut Reader) -> Result<SessionId, DecodeError> {
        from.u128().map(SessionId)
    }
}

impl Part for Path {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }

    fn take(from: &mut Reader) -> Result<Path, DecodeError> {
        let bytes = from.bytes(PATH_BYTES_MAX)?;
        Path::from_bytes(&bytes).map_err(|_| DecodeError::Invalid("path"))
    }
}

impl Part for Value {
    fn put(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }

    fn take(from: &mut Reader) -> Result<Value, DecodeError> {
        let bytes = from.bytes(VALUE_BYTES_MAX)?;
        Value::new(&bytes).map_err(|_| DecodeError::Invalid("value block"))
    }
}
