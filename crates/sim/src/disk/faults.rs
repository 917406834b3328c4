//! What can be made to go wrong on a disk, counted down to the very operation.

use std::io::{self, ErrorKind};

/// Something that happens at the n-th operation of a kind.
#[derive(Clone, Copy, Debug)]
struct Countdown<T> {
    left: u64,
    then: T,
}

impl<T: Copy> Countdown<T> {
    /// `n` counts from 1: the next one.
    fn new(n: u64, then: T) -> Option<Countdown<T>> {
        Some(Countdown { left: n.max(1), then })
    }

    /// One operation passes. Fires once.
    fn pass(slot: &mut Option<Countdown<T>>) -> Option<T> {
        let countdown = slot.as_mut()?;
        countdown.left -= 1;
        let due = (countdown.left == 0).then_some(countdown.then)?;
        *slot = None;
        Some(due)
    }
}

/// What a change meets.
pub enum Verdict {
    /// It is done.
    Done,
    /// It fails, and part of it may have happened.
    Fails(io::Error),
    /// It is done, but nobody hears of it: the power goes.
    PowerCut,
}

/// How a failing sync leaves the data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SyncFault {
    /// Still waiting: a later sync, or luck in a crash, may bring it to the disk.
    Keeps,
    /// Marked as written, although it is not: it can be read until the crash, later syncs succeed,
    /// and the crash brings back the old content. Linux does this.
    Drops,
}

#[derive(Clone, Default, Debug)]
pub struct Faults {
    write: Option<Countdown<ErrorKind>>,
    sync: Option<Countdown<(ErrorKind, SyncFault)>>,
    read: Option<Countdown<ErrorKind>>,
    power: Option<Countdown<()>>,
    /// Below which directory a write goes astray, when, and the seed of where to.
    stray: Option<Countdown<u64>>,
    stray_below: String,
    broken: Option<ErrorKind>,
    pub capacity_bytes: Option<u64>,
    pub cold: bool,
    pub powerless: bool,
}

impl Faults {
    pub fn fail_write(&mut self, n: u64, kind: ErrorKind) {
        self.write = Countdown::new(n, kind);
    }

    pub fn fail_sync(&mut self, n: u64, kind: ErrorKind, fault: SyncFault) {
        self.sync = Countdown::new(n, (kind, fault));
    }

    pub fn fail_read(&mut self, n: u64, kind: ErrorKind) {
        self.read = Countdown::new(n, kind);
    }

    pub fn misdirect_write(&mut self, below: &str, n: u64, seed: u64) {
        (self.stray, self.stray_below) = (Countdown::new(n, seed), below.to_owned());
    }

    /// Whether somebody wants to know of writes under what name they are.
    pub fn misdirects(&self) -> bool {
        self.stray.is_some()
    }

    /// Where it goes astray.
    pub fn stray_below(&self) -> &str {
        &self.stray_below
    }

    /// A write to `path`: the seed of where it goes instead.
    pub fn on_write_to(&mut self, path: &str) -> Option<u64> {
        let is_meant = path.starts_with(&self.stray_below);
        if is_meant { Countdown::pass(&mut self.stray) } else { None }
    }

    pub fn cut_power(&mut self, n: u64) {
        self.power = Countdown::new(n, ());
    }

    pub fn set_broken(&mut self, kind: Option<ErrorKind>) {
        self.broken = kind;
    }

    /// The machine starts again: the power is back, and what was planned for the old process is off.
    pub fn power_on(&mut self) {
        let (broken, capacity_bytes, cold) = (self.broken, self.capacity_bytes, self.cold);
        *self = Faults { broken, capacity_bytes, cold, ..Faults::default() };
    }

    /// What fails everything.
    pub fn usable(&self) -> io::Result<()> {
        if self.powerless {
            return Err(error(ErrorKind::Other, "the power is cut"));
        }
        self.broken.map_or(Ok(()), |kind| Err(error(kind, "the disk is broken")))
    }

    pub fn on_read(&mut self) -> io::Result<()> {
        let due = Countdown::pass(&mut self.read);
        due.map_or(Ok(()), |kind| Err(error(kind, "a read failed")))
    }

    pub fn on_write(&mut self) -> Verdict {
        if self.power_goes() {
            return Verdict::PowerCut;
        }
        let due = Countdown::pass(&mut self.write);
        due.map_or(Verdict::Done, |kind| Verdict::Fails(error(kind, "a write failed")))
    }

    /// The error, and what becomes of the data. A power cut keeps it: any part may have arrived.
    pub fn on_sync(&mut self) -> Result<(), (io::Error, SyncFault)> {
        if self.power_goes() {
            return Err((power_cut(), SyncFault::Keeps));
        }
        match Countdown::pass(&mut self.sync) {
            Some((kind, fault)) => Err((error(kind, "a sync failed"), fault)),
            None => Ok(()),
        }
    }

    /// After a change of names: only the power can go.
    pub fn on_name(&mut self) -> io::Result<()> {
        if self.power_goes() { Err(power_cut()) } else { Ok(()) }
    }

    fn power_goes(&mut self) -> bool {
        self.powerless |= Countdown::pass(&mut self.power).is_some();
        self.powerless
    }
}

pub fn power_cut() -> io::Error {
    error(ErrorKind::Other, "the power is cut")
}

pub fn error(kind: ErrorKind, what: &'static str) -> io::Error {
    io::Error::new(kind, format!("simulated: {what}"))
}
