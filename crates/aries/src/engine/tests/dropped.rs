//! Trees that are dropped: nobody finds them, nobody is shown another tree instead, and their pages come back, whatever happens
//! in between.

use ombak_sim::Rng;

use super::world::abandon;
use super::*;
use crate::error::Error;
use crate::log::Options;
use crate::seeds::seeds;
use crate::tree::Tree;
use crate::tree::node::Node;

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    Engine::open(disk.mount(), "db", small()).map(|(engine, _)| engine)
}

/// Large rows, and keys that differ late, so that there are many pages: a node has some ten children.
fn fill(engine: &Engine, tree: Tree, rows: u32) -> Result<(), Error> {
    let key = |row: u32| [&[b'k'; 800][..], &row.to_be_bytes()].concat();
    (0..rows).try_for_each(|row| tree.put_now(engine, &key(row), &[7; 700]).map(drop))
}

fn tidy(engine: &Engine) -> Result<(), Error> {
    while engine.tidy()? {}
    Ok(())
}

/// The free pages, and those that nothing leads to.
fn free_and_lost(engine: &Engine) -> (usize, usize) {
    let space = space::walk(engine).unwrap();
    (space.free, space.lost.len())
}

#[test]
fn a_tree_that_was_dropped_is_gone_and_its_pages_are_used_again() {
    for rows in [0, 3, 60, 700] {
        let disk = SimDisk::new();
        let engine = open(&disk).unwrap();
        let (kept, tree) = (engine.tree("kept").unwrap(), engine.tree("a").unwrap());
        kept.put_now(&engine, b"x", b"1").unwrap();
        fill(&engine, tree, rows).unwrap();
        let pages = engine.0.pages().unwrap();
        assert!(engine.drop_tree("a").unwrap());
        assert!(!engine.drop_tree("a").unwrap(), "once");
        assert_eq!(engine.names().unwrap(), ["kept"]);
        assert_eq!(engine.find_tree("a").unwrap(), None);
        let told = Error::Dropped { root: tree.root() }.to_string();
        let is_told = |error: Error| assert_eq!(error.to_string(), told);
        is_told(tree.get_latest(&engine, b"k").unwrap_err());
        is_told(tree.put_now(&engine, b"k", b"v").unwrap_err());
        is_told(tree.put(&mut engine.begin(), b"k", b"v").unwrap_err());
        is_told(tree.range(&engine.begin(), &[], None).next().unwrap_err());
        assert_eq!(tree.get_resident(&engine, b"k"), None);
        tidy(&engine).unwrap();
        is_told(tree.get_latest(&engine, b"k").unwrap_err());
        // All but the root, of which somebody may have a handle.
        assert_eq!(free_and_lost(&engine), (pages as usize - 4, 0), "{rows} rows");
        engine.sync().unwrap();
        drop(engine);
        let engine = open(&disk).unwrap();
        tidy(&engine).unwrap();
        assert_eq!(free_and_lost(&engine), (pages as usize - 3, 0), "{rows} rows");
        assert_eq!(crate::catalog::dropped(&engine).unwrap(), []);
        let again = engine.tree("a").unwrap();
        assert_eq!(again.get_latest(&engine, b"k").unwrap(), None, "it is another one");
        fill(&engine, again, rows).unwrap();
        assert!(engine.0.pages().unwrap() <= pages, "its pages are used again");
        again.check(&engine).unwrap();
        assert_eq!(kept.get_latest(&engine, b"x").unwrap().as_deref(), Some(&b"1"[..]));
    }
}

#[test]
fn a_tree_is_not_dropped_while_a_transaction_may_take_something_of_it_back() {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let (tree, other) = (engine.tree("a").unwrap(), engine.tree("b").unwrap());
    fill(&engine, tree, 20).unwrap();
    let refused = |engine: &Engine, holder| {
        let told = engine.drop_tree("a").unwrap_err();
        assert!(matches!(told, Error::Locked { holder: it } if it == holder), "{told}");
        assert_eq!(engine.names().unwrap(), ["a", "b"]);
        tree.check(engine).unwrap();
    };
    let mut changes = engine.begin();
    tree.put(&mut changes, b"row", b"1").unwrap();
    refused(&engine, changes.id());
    changes.rollback().unwrap();
    let mut reads = engine.begin();
    tree.get_locked(&mut reads, b"row").unwrap();
    refused(&engine, reads.id());
    let mut elsewhere = engine.begin();
    other.put(&mut elsewhere, b"row", b"1").unwrap();
    // It waits through a restart.
    let id = reads.id();
    tree.put(&mut reads, b"row", b"2").unwrap();
    drop(reads.prepare(b"p").unwrap());
    refused(&engine, id);
    abandon(elsewhere);
    drop(engine);
    let (engine, mut restart) = Engine::open(disk.mount(), "db", small()).unwrap();
    refused(&engine, id);
    restart.prepared.pop().unwrap().commit().unwrap();
    let snapshot = engine.begin();
    assert!(engine.drop_tree("a").unwrap());
    // Outside of isolation, as it says: it is told, and not shown something else.
    assert!(matches!(tree.get(&snapshot, b"row"), Err(Error::Dropped { .. })));
    assert_eq!(other.get(&snapshot, b"row").unwrap(), None);
}

#[test]
fn what_is_no_tree_is_not_dropped() {
    let engine = open(&SimDisk::new()).unwrap();
    engine.queue("mail").unwrap();
    assert!(matches!(engine.drop_tree("mail"), Err(Error::Name { .. })));
    assert!(!engine.drop_tree("").unwrap());
    assert_eq!(engine.names().unwrap(), ["mail"]);
    assert_eq!(crate::catalog::dropped(&engine).unwrap(), []);
}

#[test]
fn a_damaged_page_costs_what_is_below_it_and_stops_nobody() {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let tree = engine.tree("a").unwrap();
    fill(&engine, tree, 25).unwrap();
    assert!(engine.drop_tree("a").unwrap());
    engine.checkpoint().unwrap();
    let root = engine.0.pool.read(tree.root()).unwrap();
    let (count, spoilt) = (Node::of(&root).count(), Node::of(&root).child(2));
    drop(root);
    drop(engine);
    let double = disk.open("db/pages.double", ombak_base::OpenMode::Cached).unwrap();
    ombak_base::DiskFile::set_len(&double, 0).unwrap();
    disk.flip_bit("db/pages", u64::from(spoilt.0) * 8192 + 100, 1);
    let engine = open(&disk).unwrap();
    tidy(&engine).unwrap();
    assert_eq!(free_and_lost(&engine), (count, 1), "all children but one, and the root");
}

/// The power went after the first half of what gives a root back.
#[test]
fn a_root_that_was_given_back_and_not_forgotten_may_be_another_trees() {
    let disk = SimDisk::new();
    let engine = open(&disk).unwrap();
    let tree = engine.tree("a").unwrap();
    assert!(engine.drop_tree("a").unwrap());
    let mut scope = engine.single();
    let page = scope.write(tree.root()).unwrap();
    let mut rewrites = scope.free(vec![page]).unwrap();
    scope.nested(&mut rewrites).unwrap();
    drop(rewrites);
    engine.sync().unwrap();
    drop(engine);
    let engine = open(&disk).unwrap();
    let other = engine.tree("b").unwrap();
    assert_eq!(other.root(), tree.root(), "it is used again");
    fill(&engine, other, 20).unwrap();
    // Before anything was tidied.
    assert!(engine.drop_tree("b").unwrap());
    tidy(&engine).unwrap();
    let told = other.get_latest(&engine, b"k").unwrap_err();
    assert!(matches!(told, Error::Dropped { .. }), "{told}");
    assert_eq!(free_and_lost(&engine).1, 0);
}

/// What a life has come to: of each tree what it must be like, and may be like.
#[derive(Clone, Default)]
struct Known {
    /// Trees that are there, and how many rows of theirs are durable at least.
    there: Vec<(&'static str, u32)>,
    /// What is under way.
    begun: Option<&'static str>,
    /// Trees that were begun, of which a crash may leave a page that nothing leads to.
    made: usize,
}

fn make(engine: &Engine, name: &'static str, rows: u32, known: &mut Known) -> Result<(), Error> {
    known.begun = Some(name);
    known.made += 1;
    let tree = engine.tree(name)?;
    known.there.push((name, 0));
    known.begun = None;
    fill(engine, tree, rows)?;
    engine.sync()?;
    known.there.iter_mut().filter(|(it, _)| *it == name).for_each(|(_, sure)| *sure = rows);
    Ok(())
}

fn remove(engine: &Engine, name: &'static str, known: &mut Known) -> Result<(), Error> {
    known.begun = Some(name);
    known.there.retain(|(it, _)| *it != name);
    assert!(engine.drop_tree(name)?);
    known.begun = None;
    Ok(())
}

fn live(disk: &SimDisk, known: &mut Known) -> Result<(), Error> {
    let engine = open(disk)?;
    make(&engine, "a", 30, known)?;
    make(&engine, "b", 45, known)?;
    remove(&engine, "a", known)?;
    engine.tidy()?;
    make(&engine, "c", 10, known)?;
    engine.checkpoint()?;
    remove(&engine, "b", known)?;
    tidy(&engine)?;
    drop(engine);
    let engine = open(disk)?;
    tidy(&engine)?;
    make(&engine, "a", 20, known)?;
    remove(&engine, "c", known)
}

/// What must be there is, and what must not be is not; nothing is lost; and the next process goes on.
fn check(disk: &SimDisk, known: &Known) {
    for life in 0..2 {
        let engine = open(disk).unwrap();
        for (name, sure) in &known.there {
            let tree = engine.find_tree(name).unwrap();
            let tree = tree.unwrap_or_else(|| panic!("{name} is gone"));
            tree.check(&engine).unwrap();
            assert!(rows(&engine, name).len() as u32 >= *sure, "{name}");
        }
        for name in engine.names().unwrap() {
            let may = known.there.iter().any(|(it, _)| *it == name) || known.begun == Some(&name);
            assert!(may, "{name} is there");
            engine.find_tree(&name).unwrap().unwrap().check(&engine).unwrap();
        }
        let (_, lost) = free_and_lost(&engine);
        assert!(lost <= usize::from(known.begun.is_some()), "{lost} pages are lost");
        tidy(&engine).unwrap();
        assert_eq!(free_and_lost(&engine).1, lost);
        assert_eq!(crate::catalog::dropped(&engine).unwrap(), [], "life {life}");
        engine.sync().unwrap();
    }
}

#[test]
fn any_operation_may_be_the_last() {
    let mut cut = 0;
    for n in 1.. {
        let mut ended = false;
        // Of what was not synced nothing is left, all, or some.
        for seed in seeds(3) {
            let mut rng = Rng::new(seed << 32 | n);
            let disk = SimDisk::new();
            let mut known = Known::default();
            disk.cut_power(n);
            ended = live(&disk, &mut known).is_ok();
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| rng.chance([0, 2].get(seed as usize).copied().unwrap_or(1), 2));
            check(&disk, &known);
        }
        if ended {
            break;
        }
        cut += 1;
    }
    assert!(cut > 60, "only {cut} operations were cut");
}

#[test]
fn a_restart_that_gives_pages_back_may_be_cut_again_and_again() {
    for seed in seeds(4) {
        let mut rng = Rng::new(seed);
        let disk = SimDisk::new();
        let engine = open(&disk).unwrap();
        let mut known = Known::default();
        make(&engine, "a", 60, &mut known).unwrap();
        make(&engine, "b", 30, &mut known).unwrap();
        remove(&engine, "a", &mut known).unwrap();
        remove(&engine, "b", &mut known).unwrap();
        drop(engine);
        for n in 1.. {
            disk.cut_power(n);
            let done = open(&disk).and_then(|engine| tidy(&engine).and_then(|()| engine.sync()));
            disk.cut_power(u64::MAX);
            disk.crash_with(|_| rng.chance(1, 2));
            if done.is_ok() {
                break;
            }
        }
        check(&disk, &known);
    }
}

#[test]
fn threads_use_a_tree_while_it_is_dropped() {
    let disk = SimDisk::new();
    let log = Options { segment_bytes: 64 * 1024, segments_max: 200 };
    let options = EngineOptions { waits: Waits::Block, pool_bytes: 2 << 20, log, ..small() };
    let (engine, _) = Engine::open(disk.mount(), "db", options).unwrap();
    for round in 0..20u32 {
        let tree = engine.tree("a").unwrap();
        fill(&engine, tree, 40).unwrap();
        let told = |result: Result<(), Error>| match result {
            Ok(()) => false,
            Err(Error::Dropped { .. }) => true,
            Err(error) => panic!("{error}"),
        };
        std::thread::scope(|scope| {
            for thread in 0..3u32 {
                let engine = &engine;
                scope.spawn(move || {
                    for row in 0..400u32 {
                        let key = [thread.to_be_bytes(), (row % 50).to_be_bytes()].concat();
                        let done = match thread {
                            0 => tree.put_now(engine, &key, &[1; 900]).map(drop),
                            1 => tree.range(&engine.begin(), &[], None).next().map(drop),
                            _ => {
                                let mut txn = engine.begin();
                                let put = tree.put(&mut txn, &key, &[2; 900]);
                                put.and_then(|()| txn.commit_lazily().map(drop))
                            }
                        };
                        if told(done) {
                            return;
                        }
                    }
                });
            }
            loop {
                match engine.drop_tree("a") {
                    Ok(dropped) => break assert!(dropped),
                    Err(Error::Locked { .. }) => std::thread::yield_now(),
                    Err(error) => panic!("{error}"),
                }
            }
            tidy(&engine).unwrap();
        });
        assert_eq!(engine.names().unwrap(), Vec::<String>::new(), "round {round}");
    }
    tidy(&engine).unwrap();
    assert_eq!(free_and_lost(&engine).1, 0);
}
