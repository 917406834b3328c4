//! The copies in `pages.double`, with something wrong in them.

use ombak_base::{Disk, DiskFile, OpenMode};

use super::*;
use crate::named::NamedFile;
use crate::page::PAGE_BYTES;
use crate::pool::{DOUBLE_FILE, Kept, PAGES_FILE};

const DOUBLE: &str = "db/pages.double";

/// A database that was closed, and what its copies are of.
fn closed() -> (SimDisk, Kept) {
    let mut world = World::new(8);
    assert!(world.live(200));
    world.engine.as_ref().unwrap().checkpoint().unwrap();
    world.stop();
    let file = NamedFile::open(&world.disk, DOUBLE.to_string(), OpenMode::Read).unwrap();
    let kept = Kept::read(&file).unwrap().unwrap();
    assert!(kept.pages.len() > 2, "{kept:?}");
    (world.disk.clone(), kept)
}

fn findings(disk: &SimDisk) -> Vec<Finding> {
    inspect(disk).verify().unwrap().findings
}

#[test]
fn each_bit_of_the_copies_is_missed_and_by_itself_no_damage() {
    let (disk, kept) = closed();
    assert_eq!(findings(&disk), []);
    let mut rng = Rng::new(1);
    for _ in 0..300 {
        let header = rng.chance(1, 3);
        let copy = rng.below(kept.pages.len() as u64) as usize;
        let (start, len) = if header {
            (0, Kept::offset_of(0))
        } else {
            (Kept::offset_of(copy), PAGE_BYTES as u64)
        };
        let (offset, bit) = (start + rng.below(len), rng.below(8) as u8);
        assert!(disk.flip_bit(DOUBLE, offset, bit));
        let found = inspect(&disk).verify_files().unwrap().findings;
        let [finding] = found.as_slice() else { panic!("bit {bit} of {offset}: {found:?}") };
        assert_eq!((finding.file.as_str(), finding.offset), (DOUBLE, start));
        assert_eq!(finding.severity, Severity::Mended);
        let page = format!("page {}", kept.pages[copy].0.0);
        assert!(header || finding.what.contains(&page), "{finding:?}");
        disk.flip_bit(DOUBLE, offset, bit);
    }
}

#[test]
fn copies_that_are_cut_off_are_named() {
    let (disk, kept) = closed();
    let file = disk.open(DOUBLE, OpenMode::Cached).unwrap();
    let cut = kept.pages.len() - 2;
    file.set_len(Kept::offset_of(cut) + 100).unwrap();
    let places: Vec<u64> = findings(&disk).iter().map(|finding| finding.offset).collect();
    assert_eq!(places, [Kept::offset_of(cut), Kept::offset_of(cut + 1)]);
    file.set_len(100).unwrap();
    let found = findings(&disk);
    assert_eq!((found.len(), found[0].offset), (1, 0), "{found:?}");
    assert!(found[0].what.contains("header"), "{found:?}");
    file.set_len(0).unwrap();
    assert_eq!(findings(&disk), [], "no copies were ever kept");
}

/// The page and its copy: now it is damage, and both places are named.
#[test]
fn a_page_that_is_torn_and_has_a_damaged_copy_is_lost() {
    let (disk, kept) = closed();
    let (id, _) = kept.pages[1];
    let torn = u64::from(id.0) * PAGE_BYTES as u64;
    disk.flip_bit("db/pages", torn + 4000, 1);
    let found = inspect(&disk).verify_files().unwrap().findings;
    assert_eq!((found.len(), found[0].severity), (1, Severity::Mended), "{found:?}");
    disk.flip_bit(DOUBLE, Kept::offset_of(1) + 4000, 1);
    let found = inspect(&disk).verify_files().unwrap().findings;
    let places: Vec<_> =
        found.iter().map(|found| (found.severity, found.file.as_str(), found.offset)).collect();
    let expected = [(PAGES_FILE, torn), (DOUBLE_FILE, Kept::offset_of(1))];
    assert_eq!(places.len(), 2, "{found:?}");
    for (place, (file, offset)) in places.iter().zip(expected) {
        assert_eq!(*place, (Severity::Damage, format!("db/{file}").as_str(), offset));
    }
}

#[test]
fn copies_of_another_database_are_told() {
    let (disk, _) = closed();
    let other = SimDisk::new();
    let options = crate::EngineOptions { identity: 9, ..small() };
    drop(Engine::open(other.mount(), "db", options).unwrap());
    let bytes = other.contents(DOUBLE).unwrap();
    let file = disk.open(DOUBLE, OpenMode::Cached).unwrap();
    file.write_at(&[std::io::IoSlice::new(&bytes)], 0).unwrap();
    let found = inspect(&disk).verify_files().unwrap().findings;
    let [finding] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(finding.what, "it is of database 9, and the pages are of 7");
    assert_eq!(finding.severity, Severity::Damage);
}
