//! What a machine may rely on, whatever its host is: [`ombak_base::Event`] and [`ombak_base::Effects`] say so in words.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ombak_base::{Entry, Event, Partition, Peek, Stamp, Tick, Ticket};
use ombak_node::{Shard, Timer};

use crate::both_hosts::recorded::{Effect, Log, Step};

/// Panics with the first step that no host may take.
pub fn assert_lawful(log: &Log) {
    let mut books = Books::default();
    for (at, step) in log.steps.iter().enumerate() {
        let started = matches!(step.event, Event::Start);
        assert_eq!(started, at == 0, "the start comes first and once, not as step {at}");
        if let Err(why) = books.event(step) {
            panic!("step {at}, {:?} at {:?}: {why}", step.event, step.now);
        }
        step.effects.iter().for_each(|effect| books.effect(effect));
    }
}

/// What the machine has asked for and not got yet, and what it has stored.
#[derive(Default)]
struct Books {
    tick: Tick,
    timers: BTreeMap<Timer, Tick>,
    /// With what a load must find, where that was stored in this life.
    loads: BTreeMap<Ticket, Option<Option<Entry>>>,
    scans: BTreeSet<Ticket>,
    stored: BTreeMap<(Partition, Bytes), Option<Entry>>,
    last: Stamp,
    durable: Stamp,
}

type Lawful = Result<(), &'static str>;

fn must(lawful: bool, why: &'static str) -> Lawful {
    if lawful { Ok(()) } else { Err(why) }
}

impl Books {
    fn event(&mut self, step: &Step) -> Lawful {
        must(step.now.tick >= self.tick, "time went back")?;
        self.tick = step.now.tick;
        match &step.event {
            Event::Timer(timer) => self.timer(*timer),
            Event::Loaded { .. } | Event::Scanned { .. } => self.read(&step.event),
            Event::Durable(stamp) => self.durable(*stamp),
            _ => Ok(()),
        }
    }

    fn timer(&mut self, timer: Timer) -> Lawful {
        let at = self.timers.remove(&timer).ok_or("it was not armed")?;
        must(at <= self.tick, "it came too early")
    }

    fn read(&mut self, event: &Event<Shard>) -> Lawful {
        match event {
            Event::Loaded { ticket, entry } => {
                let expected = self.loads.remove(ticket).ok_or("nobody waits for it")?;
                let differs = expected.is_some_and(|expected| *entry != Ok(expected));
                must(!differs, "it is not what was stored last")
            }
            Event::Scanned { ticket, .. } => must(self.scans.remove(ticket), "nobody waits for it"),
            _ => Ok(()),
        }
    }

    fn durable(&mut self, stamp: Stamp) -> Lawful {
        must(stamp > self.durable, "it is no news")?;
        must(stamp <= self.last, "nothing has that stamp yet")?;
        self.durable = stamp;
        Ok(())
    }

    fn effect(&mut self, effect: &Effect) {
        match effect {
            Effect::Arm(timer, at) => drop(self.timers.insert(*timer, *at)),
            Effect::Disarm(timer) => drop(self.timers.remove(timer)),
            Effect::Load(ticket, partition, key) => {
                let expected = self.stored.get(&(*partition, key.clone())).cloned();
                self.loads.insert(*ticket, expected);
            }
            Effect::Peek(partition, key, seen) => self.peek(*partition, key, *seen),
            Effect::Scan(ticket, _) => drop(self.scans.insert(*ticket)),
            Effect::Store(partition, key, entry, stamp) => {
                assert!(*stamp > self.last, "every store has a stamp of its own");
                self.last = *stamp;
                self.stored.insert((*partition, key.clone()), entry.clone());
            }
            Effect::Choose(n, chosen) => assert!(chosen < n, "{chosen} is not below {n}"),
            _ => {}
        }
    }

    /// What is not in memory may be unknown; what is said of it may not be wrong.
    fn peek(&self, partition: Partition, key: &Bytes, seen: Peek) {
        let Some(entry) = self.stored.get(&(partition, key.clone())) else { return };
        let right = entry.as_ref().map_or(Peek::Absent, |entry| Peek::Tag(entry.tag));
        assert!(
            seen == Peek::Unknown || seen == right,
            "{key:?} in {partition} is {right:?}, not {seen:?}"
        );
    }
}
