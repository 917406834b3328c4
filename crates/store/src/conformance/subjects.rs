//! The backends, each with a way to crash it.

use std::io::{self, ErrorKind};
use std::num::NonZeroU32;

use ombak_base::{Device, ShardId, Writer};
use ombak_sim::{Rng, SimDisk, SyncFault};

use super::ops::Fault;
use crate::btree::{self, BtreeDevice, BtreeOptions, BtreeWriter};
use crate::log::{self, LogDevice, LogWriter, Options};
use crate::memory::{Memory, MemoryWriter};
use crate::{Store, StoreWriter};

/// What a writer hands back.
type Notices<S> = Vec<(ShardId, <<S as Subject>::Device as Device>::Notice)>;

/// A backend that can be started again and again.
pub trait Subject {
    type Device: Device;
    type Writer: Writer<Commit = <Self::Device as Device>::Commit, Notice = <Self::Device as Device>::Notice>;
    /// Whether anything outlives the process.
    const SURVIVES: bool;
    /// Whether keys may outgrow memory: then a peek may not know, and a read may have to make room in memory by a write,
    /// and so fail after one has.
    const READS_PAGES: bool = false;

    /// `None`: this start failed, and another may not.
    fn open(&mut self, shards: u16) -> Option<(Vec<Self::Device>, Self::Writer)>;
    fn crash(&mut self, seed: u64);
    fn inject(&mut self, fault: Fault);
    fn checkpoint(writer: &mut Self::Writer, notices: &mut Notices<Self>) -> io::Result<()>;
}

pub struct MemorySubject;

impl Subject for MemorySubject {
    type Device = Memory;
    type Writer = MemoryWriter;
    const SURVIVES: bool = false;

    fn open(&mut self, shards: u16) -> Option<(Vec<Memory>, MemoryWriter)> {
        Some(((0..shards).map(|_| Memory::new()).collect(), MemoryWriter))
    }

    fn crash(&mut self, _: u64) {}

    fn inject(&mut self, _: Fault) {}

    fn checkpoint(_: &mut MemoryWriter, _: &mut Notices<Self>) -> io::Result<()> {
        Ok(())
    }
}

/// Small enough for everything to happen: files roll, the log fills, tails are flushed.
pub fn small_options() -> Options {
    Options {
        log_segment_bytes: 144 * 1024,
        log_segments_max: 2,
        file_bytes: 8 * 1024,
        large_bytes: 4096,
        flush_bytes: 2048,
        memory_bytes_max: 8 * 1024,
        checkpoint_bytes: 64 * 1024,
        reserve_bytes: 32 * 1024,
    }
}

pub struct LogSubject {
    disk: SimDisk,
}

impl LogSubject {
    pub fn new() -> LogSubject {
        LogSubject { disk: SimDisk::new() }
    }
}

fn crash(disk: &SimDisk, seed: u64) {
    disk.set_capacity(None);
    disk.crash(&mut Rng::new(seed));
}

fn inject(disk: &SimDisk, fault: Fault) {
    match fault {
        Fault::Write(n) => disk.fail_write(n, ErrorKind::Other),
        Fault::NoRoom(n) => disk.fail_write(n, ErrorKind::StorageFull),
        Fault::Sync(n, true) => disk.fail_sync(n, ErrorKind::StorageFull, SyncFault::Drops),
        Fault::Sync(n, false) => disk.fail_sync(n, ErrorKind::Other, SyncFault::Keeps),
        Fault::CutPower(n) => disk.cut_power(n),
        Fault::Cold(cold) => disk.set_cold(cold),
        Fault::Full(true) => disk.fill_after(0),
        Fault::Full(false) => disk.set_capacity(None),
    }
}

impl Subject for LogSubject {
    type Device = LogDevice<SimDisk>;
    type Writer = LogWriter<SimDisk>;
    const SURVIVES: bool = true;

    fn open(&mut self, shards: u16) -> Option<(Vec<Self::Device>, Self::Writer)> {
        let (devices, writer, recovered) =
            log::open(self.disk.mount(), shards, small_options()).ok()?;
        assert_eq!(recovered.damage, [], "a crash damages nothing");
        Some((devices, writer))
    }

    fn crash(&mut self, seed: u64) {
        crash(&self.disk, seed);
    }

    fn inject(&mut self, fault: Fault) {
        inject(&self.disk, fault);
    }

    fn checkpoint(writer: &mut Self::Writer, notices: &mut Notices<Self>) -> io::Result<()> {
        writer.checkpoint(notices).map(|_| ())
    }
}

/// The `log` backend behind the choice.
pub struct EitherSubject {
    disk: SimDisk,
}

impl EitherSubject {
    pub fn new() -> EitherSubject {
        EitherSubject { disk: SimDisk::new() }
    }
}

impl Subject for EitherSubject {
    type Device = Store<SimDisk>;
    type Writer = StoreWriter<SimDisk>;
    const SURVIVES: bool = true;

    fn open(&mut self, shards: u16) -> Option<(Vec<Self::Device>, Self::Writer)> {
        let opened = Store::log(self.disk.mount(), shards, small_options());
        let (devices, writer, recovered) = opened.ok()?;
        assert_eq!(recovered.damage, [], "a crash damages nothing");
        Some((devices, writer))
    }

    fn crash(&mut self, seed: u64) {
        crash(&self.disk, seed);
    }

    fn inject(&mut self, fault: Fault) {
        inject(&self.disk, fault);
    }

    fn checkpoint(writer: &mut Self::Writer, notices: &mut Notices<Self>) -> io::Result<()> {
        writer.checkpoint(notices).map(|_| ())
    }
}

/// So few pages that most are read from the disk again and again.
pub fn small_btree() -> BtreeOptions {
    BtreeOptions {
        identity: 9,
        pool_bytes: 32 * 8192,
        log_segment_bytes: 64 * 1024,
        log_segments_max: 16,
        checkpoint_bytes: 128 * 1024,
        reserve_bytes: 32 * 1024,
        redo_threads: NonZeroU32::MIN,
    }
}

pub struct BtreeSubject {
    disk: SimDisk,
}

impl BtreeSubject {
    pub fn new() -> BtreeSubject {
        BtreeSubject { disk: SimDisk::new() }
    }
}

impl Subject for BtreeSubject {
    type Device = BtreeDevice;
    type Writer = BtreeWriter<SimDisk>;
    const SURVIVES: bool = true;
    const READS_PAGES: bool = true;

    fn open(&mut self, shards: u16) -> Option<(Vec<Self::Device>, Self::Writer)> {
        let opened = btree::open(self.disk.mount(), shards, small_btree());
        let opened = opened.inspect_err(|error| println!("a start failed: {error}"));
        let (devices, writer, _) = opened.ok()?;
        Some((devices, writer))
    }

    fn crash(&mut self, seed: u64) {
        crash(&self.disk, seed);
    }

    fn inject(&mut self, fault: Fault) {
        inject(&self.disk, fault);
    }

    fn checkpoint(writer: &mut Self::Writer, notices: &mut Notices<Self>) -> io::Result<()> {
        writer.checkpoint(notices).map(|_| ())
    }
}

/// The `btree` backend behind the choice.
pub struct EitherBtreeSubject {
    disk: SimDisk,
}

impl EitherBtreeSubject {
    pub fn new() -> EitherBtreeSubject {
        EitherBtreeSubject { disk: SimDisk::new() }
    }
}

impl Subject for EitherBtreeSubject {
    type Device = Store<SimDisk>;
    type Writer = StoreWriter<SimDisk>;
    const SURVIVES: bool = true;
    const READS_PAGES: bool = true;

    fn open(&mut self, shards: u16) -> Option<(Vec<Self::Device>, Self::Writer)> {
        let opened = Store::btree(self.disk.mount(), shards, small_btree());
        let (devices, writer, _) = opened.ok()?;
        Some((devices, writer))
    }

    fn crash(&mut self, seed: u64) {
        crash(&self.disk, seed);
    }

    fn inject(&mut self, fault: Fault) {
        inject(&self.disk, fault);
    }

    fn checkpoint(writer: &mut Self::Writer, notices: &mut Notices<Self>) -> io::Result<()> {
        writer.checkpoint(notices).map(|_| ())
    }
}
