//! The whole state as bytes: what a replica that comes late begins with, instead of the log's beginning.
//!
//! Written is only what has to be remembered: the counters, the sessions with their answers and locks, and the value blocks.
//! The rest are indexes, and are made again. Equal states have equal bytes, so replicas can compare a checksum of them.
//!
//! What is read is believed in nothing. After the parts are in order, the whole is held against the invariants that
//! [`LockManager::check`](super::LockManager::check) asks of a living one: a snapshot that passes is a state that commands can
//! be applied to, whoever made it.

use std::collections::BTreeMap;

use ombak_base::{DecodeError, Reader, put_varint};

use super::check::INVARIANTS;
use super::resource::Place;
use super::session::{Held, Lock, Session, Wanted};
use super::wire::{Part, fields};
use super::{LockManager, Path, SessionId, ValueBlock};

/// No counter gets there by counting. From here on it could overflow.
const COUNTER_MAX: u64 = 1 << 62;

fields!(Held { mode, token, since });
fields!(Wanted { mode, number, since, until, place });
fields!(Place { 0 });

impl Part for Lock {
    fn put(&self, out: &mut Vec<u8>) {
        let Lock { path, under, children: _, notify, held, wanted } = self;
        path.put(out);
        under.put(out);
        notify.put(out);
        held.put(out);
        wanted.put(out);
    }

    fn take(from: &mut Reader) -> Result<Lock, DecodeError> {
        let mut lock = Lock::new(Part::take(from)?, Part::take(from)?, Part::take(from)?);
        lock.held = Part::take(from)?;
        lock.wanted = Part::take(from)?;
        Ok(lock)
    }
}

impl Part for Session {
    fn put(&self, out: &mut Vec<u8>) {
        let Session { lease_us, about, until, have, answers, locks, pending: _ } = self;
        lease_us.put(out);
        about.put(out);
        until.put(out);
        have.put(out);
        answers.put(out);
        locks.put(out);
    }

    fn take(from: &mut Reader) -> Result<Session, DecodeError> {
        let mut session = Session::new(Part::take(from)?, Part::take(from)?, Part::take(from)?);
        session.have = Part::take(from)?;
        session.answers = Part::take(from)?;
        session.locks = Part::take(from)?;
        Ok(session)
    }
}

impl<K: Part + Ord, V: Part> Part for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        put_varint(out, self.len() as u64);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn take(from: &mut Reader) -> Result<BTreeMap<K, V>, DecodeError> {
        let mut map = BTreeMap::new();
        for _ in 0..from.count(2)? {
            let key = K::take(from)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(DecodeError::Invalid("order of entries"));
            }
            map.insert(key, V::take(from)?);
        }
        Ok(map)
    }
}

impl Part for LockManager {
    fn put(&self, out: &mut Vec<u8>) {
        let LockManager { now, tokens, places, sessions, resources, .. } = self;
        now.put(out);
        tokens.put(out);
        places.put(out);
        sessions.put(out);
        let written = resources.iter().filter(|(_, each)| each.value != ValueBlock::default());
        let values: BTreeMap<_, _> =
            written.map(|(path, each)| (path.clone(), each.value.clone())).collect();
        values.put(out);
    }

    fn take(from: &mut Reader) -> Result<LockManager, DecodeError> {
        let counters = LockManager {
            now: Part::take(from)?,
            tokens: Part::take(from)?,
            places: Part::take(from)?,
            ..LockManager::default()
        };
        let sessions: BTreeMap<SessionId, Session> = Part::take(from)?;
        let values: BTreeMap<Path, ValueBlock> = Part::take(from)?;
        if counters.tokens > COUNTER_MAX || counters.places > COUNTER_MAX {
            return Err(DecodeError::Invalid("counter"));
        }
        if values.values().any(|value| *value == ValueBlock::default()) {
            return Err(DecodeError::Invalid("value block"));
        }
        let whole =
            LockManager::assemble(counters, sessions, values).map_err(DecodeError::Invalid)?;
        let broken = INVARIANTS.iter().find(|(_, holds)| holds(&whole).is_err());
        broken.map_or(Ok(whole), |(name, _)| Err(DecodeError::Invalid(name)))
    }
}
