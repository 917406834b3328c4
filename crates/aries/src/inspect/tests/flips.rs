//! Single wrong bits: every one that means something is found, and none that does not is taken for damage.

use std::collections::BTreeSet;

use super::*;
use crate::page::PAGE_BYTES;

/// A database that has lived, and was closed or has crashed.
fn lived(seed: u64, closed: bool) -> World {
    let mut rng = Rng::new(seed);
    let mut world = World::new(seed);
    for life in 0..3 {
        world.start().unwrap();
        (0..150).for_each(|_| world.step().unwrap());
        if closed && life == 2 {
            world.engine.as_ref().unwrap().checkpoint().unwrap();
        }
        world.crash(|_| rng.chance(1, 2));
    }
    world
}

/// The bytes that mean something: the log's live bytes, and pages that are used.
struct Meaning {
    log: Vec<Extent>,
    pages: BTreeSet<u64>,
}

impl Meaning {
    fn of(disk: &SimDisk) -> Meaning {
        let inspection = inspect(disk);
        let file = inspection.pages().unwrap();
        let used = inspection.used(&file, None).unwrap();
        let all = 0..file.length / PAGE_BYTES as u64;
        let pages = all.filter(|page| used.has(PageId(*page as u32))).collect();
        Meaning { log: inspection.log().live_bytes(), pages }
    }

    fn has(&self, file: &str, offset: u64) -> bool {
        if file == "db/pages" {
            return self.pages.contains(&(offset / PAGE_BYTES as u64));
        }
        self.log.iter().any(|extent| extent.file == file && extent.bytes.contains(&offset))
    }
}

/// A place in the log or the pages: any, or one that means something.
fn place(rng: &mut Rng, disk: &SimDisk, meaning: &Meaning, any: bool) -> (String, u64) {
    let files: Vec<(String, u64)> = disk.files();
    let in_log = rng.chance(1, 2);
    let wanted = |file: &&(String, u64)| file.0.starts_with("db/wal/") == in_log;
    let files: Vec<_> =
        files.iter().filter(|file| file.0 != "db/pages.double").filter(wanted).collect();
    if !any && in_log {
        let extent = rng.pick(&meaning.log).unwrap();
        let Extent { file, bytes } = extent;
        return (file.clone(), rng.between(bytes.start, bytes.end - 1));
    }
    if !any {
        let pages: Vec<u64> = meaning.pages.iter().copied().collect();
        let page = rng.pick(&pages).unwrap() * PAGE_BYTES as u64;
        return (files[0].0.clone(), page + rng.below(PAGE_BYTES as u64));
    }
    let (file, len) = rng.pick(&files).unwrap();
    (file.clone(), rng.below(*len))
}

fn worst(disk: &SimDisk) -> Severity {
    let findings = inspect(disk).verify_files().unwrap().findings;
    findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Harmless)
}

#[test]
fn every_bit_that_means_something_is_missed() {
    for (seed, closed) in [(1, true), (2, false)] {
        let world = lived(seed, closed);
        let disk = &world.disk;
        let mut rng = Rng::new(seed);
        let meaning = Meaning::of(disk);
        let sound = inspect(disk).verify_files().unwrap();
        assert!(sound.findings.is_empty(), "{:?}", sound.findings);
        let (mut damage, mut mended) = (0, 0);
        for _ in 0..500 {
            let ((file, offset), bit) =
                (place(&mut rng, disk, &meaning, false), rng.below(8) as u8);
            assert!(disk.flip_bit(&file, offset, bit));
            match worst(disk) {
                Severity::Damage => damage += 1,
                Severity::Mended => mended += 1,
                Severity::Harmless => panic!("bit {bit} of {file}, offset {offset} is not missed"),
            }
            disk.flip_bit(&file, offset, bit);
        }
        assert!(damage > 200, "{damage} damaged, {mended} mended");
    }
}

#[test]
fn a_bit_that_means_nothing_is_no_damage() {
    let world = lived(3, true);
    let disk = &world.disk;
    let mut rng = Rng::new(3);
    let meaning = Meaning::of(disk);
    let mut tried = 0;
    while tried < 300 {
        let ((file, offset), bit) = (place(&mut rng, disk, &meaning, true), rng.below(8) as u8);
        if meaning.has(&file, offset) {
            continue;
        }
        tried += 1;
        disk.flip_bit(&file, offset, bit);
        assert_eq!(worst(disk), Severity::Harmless, "bit {bit} of {file}, offset {offset}");
        disk.flip_bit(&file, offset, bit);
    }
}

/// Whether the dry run says that a restart would fail, or fails itself.
fn is_refused(inspection: &Inspection<SimDisk>) -> bool {
    let redo = |inspection: &Inspection<SimDisk>| inspection.redo(|_| Ok(()));
    inspection.refusal().is_some()
        || redo(inspection).is_ok_and(|totals| totals.unreadable > 0)
        || inspection.dry_run(u64::MAX, |_| Ok(())).is_err()
}

#[test]
fn a_damaged_database_is_refused_by_the_dry_run_if_the_restart_refuses_it() {
    let (mut refused, mut opened) = (0, 0);
    for seed in 4..6 {
        let world = lived(seed, false);
        let disk = &world.disk;
        let image = disk.snapshot();
        let mut rng = Rng::new(seed);
        let meaning = Meaning::of(disk);
        for _ in 0..100 {
            let ((file, offset), bit) =
                (place(&mut rng, disk, &meaning, false), rng.below(8) as u8);
            disk.flip_bit(&file, offset, bit);
            let told = is_refused(&inspect(disk));
            let result = Engine::open(disk.mount(), "db", small()).map(drop);
            match (told, result) {
                (true, Err(_)) => refused += 1,
                (false, Ok(())) => opened += 1,
                // Undo met it on its way down a tree. Only verifying looks at such pages.
                (false, Err(Error::Damaged { .. })) => {}
                (_, result) => {
                    panic!("bit {bit} of {file}, offset {offset}: told {told}, came {result:?}")
                }
            }
            disk.restore(&image);
        }
    }
    assert!(refused > 20 && opened > 20, "{refused} refused, {opened} opened");
}
