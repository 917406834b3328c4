//! Backups under load, and databases that come back from them.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::thread;

use ombak_base::{Disk, DiskFile, OpenMode};
use ombak_sim::{Rng, SimDisk};

use super::world::{Rows, abandon};
use super::*;
use crate::log::archive::{Archive, ArchiveError};
use crate::seeds::seeds;
use crate::tree::Tree;
use crate::txn::Transaction;

fn archived() -> EngineOptions {
    EngineOptions { archived: true, ..small() }
}

fn archive(disk: &SimDisk) -> Archive {
    Archive::new(disk.mount(), "archive")
}

/// An engine, and what it must hold after each commit.
struct Load {
    engine: Engine,
    tree: Tree,
    archive: Archive,
    archived: bool,
    rng: Rng,
    rows: Rows,
    /// After the record at which it became durable.
    states: BTreeMap<Lsn, Rows>,
    /// Never commits, and has keys of its own.
    open: Option<Transaction>,
    /// That one is never replaced by another.
    patient: bool,
    keys: u64,
}

impl Load {
    fn new(disk: &SimDisk, seed: u64) -> Load {
        Load::with(disk, seed, archived())
    }

    fn with(disk: &SimDisk, seed: u64, options: EngineOptions) -> Load {
        let archived = options.archived;
        let (engine, _) = Engine::open(disk.mount(), "db", options).unwrap();
        let tree = engine.tree("rows").unwrap();
        let open = Some(engine.begin());
        let (rows, states) = (Rows::new(), BTreeMap::new());
        Load {
            engine,
            tree,
            archive: archive(disk),
            archived,
            rng: Rng::new(seed),
            rows,
            states,
            open,
            patient: false,
            keys: 300,
        }
    }

    /// A transaction of a few rows; now and then another that is taken back, and one that goes on.
    fn step(&mut self) {
        if self.archived {
            while self.engine.archive(&self.archive).unwrap() {}
        }
        let mut txn = self.engine.begin();
        for _ in 0..1 + self.rng.below(6) {
            let key = format!("{:04}", self.rng.below(self.keys)).into_bytes();
            if self.rng.chance(1, 3) {
                let there = self.tree.delete(&mut txn, &key).unwrap();
                assert_eq!(there, self.rows.remove(&key).is_some());
            } else {
                let value = vec![self.rng.below(250) as u8; self.rng.below(900) as usize];
                self.tree.put(&mut txn, &key, &value).unwrap();
                self.rows.insert(key, value);
            }
        }
        txn.commit().unwrap();
        self.states.insert(self.engine.durable(), self.rows.clone());
        let key = format!("uncommitted {}", self.rng.below(20)).into_bytes();
        let mut back = self.engine.begin();
        self.tree.put(&mut back, format!("back {}", self.rng.below(9)).as_bytes(), &key).unwrap();
        back.rollback().unwrap();
        let Some(open) = &mut self.open else { return };
        self.tree.put(open, &key, &[1; 300]).unwrap();
        if !self.patient && self.rng.chance(1, 6) {
            std::mem::replace(open, self.engine.begin()).rollback().unwrap();
        }
    }

    /// What must be there when everything up to here is.
    fn at(&self, lsn: Lsn) -> Rows {
        self.states.range(..=lsn).next_back().map(|(_, rows)| rows.clone()).unwrap_or_default()
    }

    fn stop(&mut self) {
        self.open.take().into_iter().for_each(abandon);
    }
}

/// A disk on which something happens before each write.
#[derive(Clone)]
struct Eventful {
    disk: SimDisk,
    event: Arc<dyn Fn() + Send + Sync>,
}

struct EventfulFile(<SimDisk as Disk>::File, Arc<dyn Fn() + Send + Sync>);

impl Disk for Eventful {
    type File = EventfulFile;

    fn open(&self, path: &str, mode: OpenMode) -> io::Result<EventfulFile> {
        Ok(EventfulFile(self.disk.open(path, mode)?, self.event.clone()))
    }
    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        self.disk.list(path)
    }
    fn remove(&self, path: &str) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn link(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.link(from, to)
    }
    fn sync_dir(&self, path: &str) -> io::Result<()> {
        self.disk.sync_dir(path)
    }
    fn free_bytes(&self) -> io::Result<u64> {
        self.disk.free_bytes()
    }
}

impl DiskFile for EventfulFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(buffer, offset)
    }
    fn write_at(&self, buffers: &[IoSlice<'_>], offset: u64) -> io::Result<()> {
        (self.1)();
        self.0.write_at(buffers, offset)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
}

/// A database with a backup, in `backup` of its disk, that was taken while transactions ran, and more of these since.
fn backed_up(disk: &SimDisk, seed: u64) -> (Load, Backup) {
    let mut load = Load::new(disk, seed);
    (0..60).for_each(|_| load.step());
    let engine = load.engine.clone();
    let load = Arc::new(Mutex::new(load));
    let during = load.clone();
    let event = Arc::new(move || (0..3).for_each(|_| during.lock().step()));
    let eventful = Eventful { disk: disk.mount(), event };
    let backup = engine.backup(&eventful, "backup").unwrap();
    drop(eventful);
    let mut load = Arc::into_inner(load).unwrap().into_inner();
    (0..40).for_each(|_| load.step());
    (load, backup)
}

/// What is there, in a database of its own that is restored up to `until`.
fn restored(source: &SimDisk, until: Option<Lsn>) -> Result<(Rows, Lsn, Restart), Error> {
    let disk = SimDisk::new();
    let archive = archive(source);
    let mount = source.mount();
    let last = Engine::restore(&mount, "backup", &[&archive], &disk, "db", until)?;
    let (engine, restart) = Engine::open(disk.mount(), "db", small())?;
    engine.tree("rows")?.check(&engine)?;
    let found: Rows = rows(&engine, "rows").into_iter().collect();
    // And it is a database like any other.
    drop(engine);
    disk.crash_with(|_| false);
    let (engine, _) = Engine::open(disk.mount(), "db", small())?;
    assert!(found == rows(&engine, "rows").into_iter().collect());
    let tree = engine.tree("rows")?;
    for i in 0..200u8 {
        let mut txn = engine.begin();
        tree.put(&mut txn, &[i % 50], &[i; 500])?;
        txn.commit()?;
    }
    Ok((found, last, restart))
}

#[test]
fn a_page_file_that_was_lost_comes_back_from_a_backup_under_load() {
    let (mut redone, mut losers) = (0, 0);
    for seed in seeds(6) {
        let disk = SimDisk::new();
        let (mut load, backup) = backed_up(&disk, seed);
        assert!(backup.redo_from < backup.end);
        let last = load.engine.archive_durable(&load.archive).unwrap();
        load.stop();
        let (found, to, restart) = restored(&disk, None).unwrap();
        assert!(found == load.rows, "seed {seed}");
        assert_eq!((to, restart.redo_from), (last, backup.redo_from));
        losers += restart.losers.len();
        redone += restart.redone;
    }
    assert!(redone > 1000 && losers > 2, "{redone} changes redone, {losers} losers");
}

#[test]
fn a_database_is_restored_to_any_time_since_its_backup() {
    for seed in seeds(3) {
        let disk = SimDisk::new();
        let (mut load, backup) = backed_up(&disk, 10 + seed);
        let last = load.engine.archive_durable(&load.archive).unwrap();
        load.stop();
        for until in (backup.end.0..=last.0).step_by(13) {
            let (found, to, _) = restored(&disk, Some(Lsn(until))).unwrap();
            assert_eq!(to, Lsn(until));
            assert!(found == load.at(Lsn(until)), "seed {seed}, {until}");
        }
        let early = Lsn(backup.end.0 - 1);
        let refused = restored(&disk, Some(early));
        assert!(matches!(refused, Err(Error::TooEarly { earliest, .. }) if earliest == backup.end));
        let late = restored(&disk, Some(Lsn(last.0 + 1)));
        assert!(
            matches!(late, Err(Error::Archive(ArchiveError::Missing { first, .. })) if first.0 == last.0 + 1)
        );
    }
}

#[test]
fn a_backup_is_enough_for_the_time_when_it_ended() {
    let disk = SimDisk::new();
    let (mut load, backup) = backed_up(&disk, 20);
    load.stop();
    let target = SimDisk::new();
    let last = Engine::restore(&disk.mount(), "backup", &[], &target, "db", None).unwrap();
    assert!(last >= backup.end);
    let (engine, _) = Engine::open(target.mount(), "db", small()).unwrap();
    assert!(rows(&engine, "rows").into_iter().collect::<Rows>() == load.at(last));
    let again = Engine::restore(&disk.mount(), "backup", &[], &target, "db", None);
    assert!(matches!(again, Err(Error::Occupied { .. })), "there is a database");
}

/// The older of two backups is given up, and what of the archive only it needed.
#[test]
fn a_newer_backup_is_restored_to_any_time_from_what_is_left_of_the_archive() {
    for seed in seeds(3) {
        let disk = SimDisk::new();
        let (mut load, older) = backed_up(&disk, 40 + seed);
        let newer = load.engine.backup(&disk.mount(), "newer").unwrap();
        (0..60).for_each(|_| load.step());
        let last = load.engine.archive_durable(&load.archive).unwrap();
        load.stop();
        let removed = load.archive.remove_below(newer.redo_from).unwrap();
        assert!(removed > 2, "{removed} removed");
        for until in (newer.end.0..=last.0).step_by(29).chain([last.0]).map(Lsn) {
            let target = SimDisk::new();
            let kept = [&load.archive];
            let to = Engine::restore(&disk, "newer", &kept, &target, "db", Some(until)).unwrap();
            assert_eq!(to, until);
            let (engine, _) = Engine::open(target.mount(), "db", small()).unwrap();
            let found: Rows = rows(&engine, "rows").into_iter().collect();
            assert!(found == load.at(until), "seed {seed}, {until:?}");
        }
        // The older one still reaches its own end, and is told to reach no further.
        let lost = restored(&disk, Some(last));
        assert!(matches!(lost, Err(Error::Archive(ArchiveError::Missing { .. }))));
        let target = SimDisk::new();
        let to = Engine::restore(&disk, "backup", &[], &target, "db", None).unwrap();
        assert!(to >= older.end);
    }
}

/// So much is logged meanwhile that what the backup needs would be used again.
#[test]
fn the_log_is_kept_while_a_backup_is_taken() {
    for patient in [false, true] {
        let disk = SimDisk::new();
        let mut load = Load::with(&disk, 21, small());
        (load.patient, load.keys) = (patient, 2000);
        (0..if patient { 60 } else { 300 }).for_each(|_| load.step());
        if !patient {
            load.open.take().unwrap().rollback().unwrap();
        }
        let engine = load.engine.clone();
        let load = Arc::new(Mutex::new(load));
        let during = load.clone();
        let steps = if patient { 3 } else { 10 };
        let event = Arc::new(move || (0..steps).for_each(|_| during.lock().step()));
        engine.backup(&Eventful { disk: disk.mount(), event }, "backup").unwrap();
        let mut load = Arc::into_inner(load).unwrap().into_inner();
        load.stop();
        let target = SimDisk::new();
        let last = Engine::restore(&disk, "backup", &[], &target, "db", None).unwrap();
        let (restored, _) = Engine::open(target.mount(), "db", small()).unwrap();
        assert!(rows(&restored, "rows").into_iter().collect::<Rows>() == load.at(last));
    }
}

/// Pages are copied that have changes whose records nobody has made durable.
#[test]
fn what_the_copies_have_is_in_the_log() {
    let disk = SimDisk::new();
    // Nothing else makes them durable: no page is written, no checkpoint is taken.
    let log = crate::log::Options { segment_bytes: 64 * 1024, segments_max: 64 };
    let options = EngineOptions { pool_bytes: 2 << 20, log, checkpoint_bytes: 4 << 20, ..small() };
    let mut load = Load::with(&disk, 22, options);
    load.keys = 2000;
    (0..300).for_each(|_| load.step());
    let (engine, tree, must) = (load.engine.clone(), load.tree, load.rows.clone());
    let keys: Vec<_> = must.keys().step_by(40).cloned().collect();
    load.stop();
    let open = Mutex::new(engine.begin());
    let event = Arc::new(move || {
        for key in &keys {
            tree.put(&mut open.lock(), key, b"uncommitted").unwrap();
        }
    });
    let backup = engine.backup(&Eventful { disk: disk.mount(), event }, "backup").unwrap();
    let target = SimDisk::new();
    Engine::restore(&disk, "backup", &[], &target, "db", Some(backup.end)).unwrap();
    let (restored, restart) = Engine::open(target.mount(), "db", small()).unwrap();
    assert!(!restart.losers.is_empty());
    assert!(rows(&restored, "rows").into_iter().collect::<Rows>() == must);
}

#[test]
fn a_backup_that_was_not_finished_is_none() {
    for n in (1..40).step_by(3) {
        let disk = SimDisk::new();
        let mut load = Load::new(&disk, n);
        (0..20).for_each(|_| load.step());
        let other = SimDisk::new();
        other.cut_power(n);
        if load.engine.backup(&other.mount(), "b").is_ok() {
            break;
        }
        let mut rng = Rng::new(n);
        other.cut_power(u64::MAX);
        other.crash_with(|_| rng.chance(1, 2));
        if Backup::read(&other, "b").is_err() {
            let refused = Engine::restore(&other, "b", &[], &SimDisk::new(), "db", None);
            assert!(matches!(refused, Err(Error::Foreign { .. })));
        }
        // Nothing is pinned any more.
        (0..60).for_each(|_| load.step());
        load.stop();
    }
}

#[test]
fn restoring_may_be_cut_at_any_operation() {
    let source = SimDisk::new();
    let (mut load, _) = backed_up(&source, 30);
    load.engine.archive_durable(&load.archive).unwrap();
    load.stop();
    let kept = archive(&source);
    let mut cut = 0;
    for n in (1..).step_by(7) {
        let mut rng = Rng::new(n);
        let disk = SimDisk::new();
        let restore = || Engine::restore(&source, "backup", &[&kept], &disk, "db", None);
        disk.cut_power(n);
        let ended = restore().is_ok() && Engine::open(disk.mount(), "db", small()).is_ok();
        disk.cut_power(u64::MAX);
        disk.crash_with(|_| rng.chance(1, 2));
        let there = disk.files().iter().any(|(path, len)| path.starts_with("db") && *len > 0);
        let opened = match Engine::open(disk.mount(), "db", small()) {
            Ok(opened) if there => opened,
            Ok(_) | Err(Error::Foreign { .. }) => {
                if !there {
                    disk.wipe();
                }
                restore().unwrap();
                Engine::open(disk.mount(), "db", small()).unwrap()
            }
            Err(error) => panic!("{n}: {error}"),
        };
        assert!(rows(&opened.0, "rows").into_iter().collect::<Rows>() == load.rows, "{n}");
        if ended {
            break;
        }
        cut += 1;
    }
    assert!(cut > 10, "only {cut} operations were cut");
}

#[test]
fn threads_write_while_a_backup_is_taken() {
    let disk = SimDisk::new();
    let options = || EngineOptions { waits: Waits::Block, ..archived() };
    let (engine, _) = Engine::open(disk.mount(), "db", options()).unwrap();
    let kept = archive(&disk);
    let tree = engine.tree("rows").unwrap();
    let write = |thread: u8, round: u8| {
        for i in 0..60u8 {
            let mut txn = engine.begin();
            let key = [thread, i % 30, round];
            match tree.put(&mut txn, &key, &[i; 400]) {
                Ok(()) => txn.commit().unwrap(),
                Err(Error::LogFull { .. }) => txn.rollback().unwrap(),
                Err(error) => panic!("{error}"),
            }
        }
    };
    for round in 0..4 {
        thread::scope(|scope| {
            let writers: Vec<_> =
                (0..3).map(|thread| scope.spawn(move || write(thread, round))).collect();
            engine.backup(&disk, &format!("backup{round}")).unwrap();
            while !writers.iter().all(|writer| writer.is_finished()) {
                engine.archive(&kept).unwrap();
                thread::yield_now();
            }
        });
    }
    engine.archive_durable(&kept).unwrap();
    let must = rows(&engine, "rows");
    assert!(must.len() > 100);
    for round in 0..4 {
        let target = SimDisk::new();
        let backup = format!("backup{round}");
        Engine::restore(&disk, &backup, &[&kept], &target, "db", None).unwrap();
        let (restored, _) = Engine::open(target.mount(), "db", small()).unwrap();
        assert!(rows(&restored, "rows") == must, "round {round}");
    }
}
