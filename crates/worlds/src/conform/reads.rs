//! What clients were told.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use ombak_base::{Address, ClientId, Event, RequestId};
use ombak_crdt::{Context, VersionVector};
use ombak_kv::{Answer, Operation, storage_key};
use ombak_node::{Needs, Reply, Request, Shard};

use super::stored::Stored;
use super::{Effect, Nonconformity, Step};

/// Clients that wait, and what was acknowledged.
pub(super) struct Clients {
    /// What was asked before is not judged: its beginning may be in no window.
    begins_us: u64,
    skew_us: u64,
    waiting: BTreeMap<(Address, ClientId), Waiting>,
    /// Acknowledged writes by their time, until all clocks are past it.
    acknowledged: VecDeque<(u64, Bytes, VersionVector)>,
    /// Under each key, what a read that begins now must have seen.
    must_see: BTreeMap<Bytes, VersionVector>,
    writes: u64,
    reads: u64,
}

struct Waiting {
    operation: Operation,
    needs: Option<Needs>,
    request: Option<RequestId>,
    /// What a read must have seen.
    must_see: Option<VersionVector>,
}

/// The operation that a client asks for, if that is what happens.
pub(super) fn asked(event: &Event<Shard>) -> Option<&Operation> {
    match event {
        Event::Request { request: Request::Kv(ombak_kv::Request::Key(operation)), .. } => {
            Some(operation)
        }
        _ => None,
    }
}

impl Clients {
    pub fn new(begins_us: u64, skew_us: u64) -> Clients {
        Clients {
            begins_us,
            skew_us,
            waiting: BTreeMap::new(),
            acknowledged: VecDeque::new(),
            must_see: BTreeMap::new(),
            writes: 0,
            reads: 0,
        }
    }

    /// Writes and reads that were judged.
    pub fn judged(&self) -> (u64, u64) {
        (self.writes, self.reads)
    }

    pub fn note(&mut self, step: &Step, stored: &Stored) -> Result<(), Nonconformity> {
        self.let_pass(step.now.wall_us);
        if step.now.wall_us >= self.begins_us
            && let (Event::Request { client, .. }, Some(operation)) =
                (&step.event, asked(&step.event))
        {
            let key = storage_key(operation.bucket(), operation.key());
            let must_see = operation.is_get().then(|| self.must_see.get(&key).cloned()).flatten();
            let waiting = Waiting {
                operation: operation.clone(),
                needs: step.needs,
                request: None,
                must_see,
            };
            self.waiting.insert((step.at, *client), waiting);
        }
        for effect in &step.effects {
            match effect {
                Effect::Named(client, request) => {
                    if let Some(waiting) = self.waiting.get_mut(&(step.at, *client)) {
                        waiting.request = Some(*request);
                    }
                }
                Effect::Reply(client, Reply::Kv(answer), _) => {
                    if let Some(waiting) = self.waiting.remove(&(step.at, *client)) {
                        self.answered(step, &waiting, answer, stored)?;
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What was acknowledged so long ago that it was before now on every node's clock.
    fn let_pass(&mut self, now_us: u64) {
        let skew_us = self.skew_us;
        while let Some((_, key, seen)) =
            self.acknowledged.pop_front_if(|(at, ..)| *at + skew_us < now_us)
        {
            self.must_see.entry(key).or_default().join(&seen);
        }
    }

    fn answered(
        &mut self,
        step: &Step,
        waiting: &Waiting,
        answer: &Answer,
        stored: &Stored,
    ) -> Result<(), Nonconformity> {
        match (&waiting.operation, answer) {
            (Operation::Get(_), Answer::Object(_) | Answer::NotFound(_)) => {
                self.read(step, waiting, answer, stored)
            }
            (Operation::Put(_), Answer::Object(_) | Answer::Written(_))
            | (Operation::Delete(_), Answer::Written(_)) => self.written(step, waiting, stored),
            _ => Ok(()),
        }
    }

    /// A write is acknowledged.
    fn written(
        &mut self,
        step: &Step,
        waiting: &Waiting,
        stored: &Stored,
    ) -> Result<(), Nonconformity> {
        let (Some(needs), Some(request)) = (waiting.needs, waiting.request) else { return Ok(()) };
        let Some((key, dots)) = stored.done(request) else {
            // A retry of what was done, replaced and reaped before the window began; or it was deleted meanwhile.
            return Ok(());
        };
        let holders = || dots.iter().map(|dot| (*dot, stored.holders(key, *dot)));
        let enough = |(_, (taken, durable)): &(_, (usize, usize))| {
            *taken >= needs.taken && *durable >= needs.durable
        };
        let Some((dot, _)) = holders().find(enough) else {
            let rule = "an acknowledged write is where it was said to be";
            let held: Vec<_> = holders().map(|(_, held)| held).collect();
            let detail = format!(
                "{request:?} of {key:?} needs {} nodes, {} of them durable, and has {held:?}",
                needs.taken, needs.durable
            );
            return Err(step.broken(rule, detail));
        };
        self.writes += 1;
        if needs.taken.max(needs.durable) > needs.replicas / 2 {
            let mut seen = VersionVector::new();
            seen.observe(dot);
            self.acknowledged.push_back((step.now.wall_us, key.clone(), seen));
        }
        Ok(())
    }

    /// A read is answered.
    fn read(
        &mut self,
        step: &Step,
        waiting: &Waiting,
        answer: &Answer,
        stored: &Stored,
    ) -> Result<(), Nonconformity> {
        let meets = waiting.needs.is_some_and(|needs| needs.read > needs.replicas / 2);
        let Some(must_see) = waiting.must_see.as_ref().filter(|_| meets) else { return Ok(()) };
        let key = storage_key(waiting.operation.bucket(), waiting.operation.key());
        let context = match answer {
            Answer::Object(object) => &object.context,
            Answer::NotFound(Some(context)) => context,
            // Deleted, and reaped: nothing is left that could be seen.
            _ if stored.was_removed(&key) => return Ok(()),
            _ => &Bytes::new(),
        };
        let seen = if context.is_empty() {
            VersionVector::new()
        } else {
            Context::decode(context).map(|context| context.seen).unwrap_or_default()
        };
        if !seen.descends(must_see) && !stored.was_removed(&key) {
            let rule = "a read shows what was acknowledged before";
            let detail = format!("{key:?}: {seen:?} has not seen all of {must_see:?}");
            return Err(step.broken(rule, detail));
        }
        self.reads += 1;
        Ok(())
    }
}
