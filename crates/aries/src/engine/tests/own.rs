//! A structure of somebody's own: counters to which many add, with no lock, since additions commute.

use std::collections::BTreeMap;

use ombak_sim::Rng;

use super::pairs::refused_as;
use super::world::abandon;
use super::*;
use crate::error::Error;
use crate::manager::{ResourceManager, Undo};
use crate::page::{ManagerId, Page, PageId};
use crate::txn::Transaction;

const OWN: ManagerId = ManagerId(16);
const COUNTERS: u64 = 5;

struct Counters;

fn parse(change: &[u8]) -> Option<(usize, i64)> {
    let (counter, amount) = change.split_first()?;
    Some((8 * usize::from(*counter), i64::from_le_bytes(amount.try_into().ok()?)))
}

fn value(page: &Page, at: usize) -> i64 {
    page.body()[at..].first_chunk().map_or(0, |bytes| i64::from_le_bytes(*bytes))
}

impl ResourceManager for Counters {
    fn id(&self) -> ManagerId {
        OWN
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        let (at, amount) = parse(change).ok_or("no change of a counter")?;
        let sum = value(page, at) + amount;
        page.body_mut()[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        Ok(())
    }

    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let Some((at, amount)) = parse(change) else { return Ok(()) };
        let mut page = undo.write(page)?;
        undo.apply(&mut page, OWN, &[&[(at / 8) as u8], &(-amount).to_le_bytes()]).map(drop)
    }

    fn describe(&self, change: &[u8]) -> String {
        format!("add {:?}", parse(change))
    }
}

fn open(disk: &SimDisk) -> Result<Engine, Error> {
    let options = EngineOptions { managers: vec![Box::new(Counters)], ..small() };
    Engine::open(disk.mount(), "db", options).map(|(engine, _)| engine)
}

/// What the counters say, all together, after each commit; the last is the one that must be there, or the one after it.
type Sums = BTreeMap<u64, i64>;

/// Several at once add to all counters, and commit or are taken back. What must be there, and what may be.
fn live(engine: &Engine, page: PageId, rng: &mut Rng, sums: &mut [Sums; 2]) -> Result<(), Error> {
    let mut running: Vec<(Transaction, Sums)> = Vec::new();
    for _ in 0..250 {
        if running.len() < 3 {
            running.push((engine.begin(), Sums::new()));
        }
        let who = rng.below(running.len() as u64) as usize;
        if rng.chance(1, 5) {
            let (txn, added) = running.swap_remove(who);
            if rng.chance(1, 3) {
                txn.rollback()?;
                continue;
            }
            added
                .iter()
                .for_each(|(counter, amount)| *sums[1].entry(*counter).or_default() += amount);
            txn.commit()?;
            sums[0] = sums[1].clone();
            continue;
        }
        let (counter, amount) = (rng.below(COUNTERS), rng.below(100) as i64);
        let (txn, added) = &mut running[who];
        let mut page = txn.write(page)?;
        txn.apply(&mut page, OWN, &[&[counter as u8], &amount.to_le_bytes()])?;
        *added.entry(counter).or_default() += amount;
    }
    running.into_iter().for_each(|(txn, _)| abandon(txn));
    Ok(())
}

#[test]
fn somebodys_own_structure_survives_a_crash_at_any_operation() {
    let mut cut = 0;
    for n in 1.. {
        let mut rng = Rng::new(n);
        let disk = SimDisk::new();
        let make =
            |engine: &Engine| engine.structure("own", OWN, 1, |pages| pages[0].set_kind(OWN, 0));
        make(&open(&disk).unwrap()).unwrap();
        disk.cut_power(n);
        let mut sums = [Sums::new(), Sums::new()];
        let lived =
            open(&disk).and_then(|engine| live(&engine, make(&engine)?, &mut rng, &mut sums));
        let is_over = lived.is_ok();
        disk.cut_power(u64::MAX);
        disk.crash_with(|_| rng.chance(1, 2));
        let engine = open(&disk).unwrap();
        let page = engine.0.pool.read(make(&engine).unwrap()).unwrap();
        let found: Sums =
            (0..COUNTERS).map(|counter| (counter, value(&page, 8 * counter as usize))).collect();
        let is =
            |sums: &Sums| found.iter().all(|(counter, sum)| sums.get(counter).unwrap_or(&0) == sum);
        assert!(sums.iter().any(is), "operation {n}: {found:?}, and not one of {sums:?}");
        if is_over {
            break;
        }
        cut += 1;
    }
    assert!(cut > 60, "{cut}");
}

/// What it has logged can't be done again or taken back by a program without its manager. Where nothing is to be done, that one can do
/// without.
#[test]
fn a_structure_of_ones_own_is_needed_by_a_restart_that_has_to_do_with_it() {
    let disk = SimDisk::new();
    let add = |engine: &Engine, ends: bool| {
        let own = engine.structure("own", OWN, 1, |pages| pages[0].set_kind(OWN, 0)).unwrap();
        engine.checkpoint().unwrap();
        let txn = engine.begin();
        let lsn = txn.apply(&mut txn.write(own).unwrap(), OWN, &[&[1], &7i64.to_le_bytes()]);
        if ends {
            txn.commit().unwrap()
        } else {
            abandon(txn)
        }
        lsn.unwrap()
    };
    let is_refused = |lsn: crate::Lsn| {
        disk.crash_with(|_| true);
        let told = refused_as(&disk, small()).to_string();
        let why = format!("record {} is of manager16, which this program does not have", lsn.0);
        assert!(told.starts_with("db/wal/") && told.contains(&why), "{told}");
    };
    is_refused(add(&open(&disk).unwrap(), true));
    // Of one that has not ended, and all pages have it.
    let engine = open(&disk).unwrap();
    let lsn = add(&engine, false);
    engine.checkpoint().unwrap();
    drop(engine);
    is_refused(lsn);
    open(&disk).unwrap().checkpoint().unwrap();
    let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
    assert_eq!(engine.names().unwrap(), ["own"]);
}

/// A restart reads what was logged since the checkpoint before the last one, however long a life was.
#[test]
fn the_work_of_a_restart_is_bounded_by_the_checkpoint_interval() {
    for steps in [5_000u32, 20_000] {
        let disk = SimDisk::new();
        let (engine, _) = Engine::open(disk.mount(), "db", small()).unwrap();
        let tree = engine.tree("rows").unwrap();
        for step in 0..steps {
            tree.put_now(&engine, &(step % 700).to_be_bytes(), &[7; 300]).unwrap();
            engine.tidy().unwrap();
        }
        engine.sync().unwrap();
        drop(engine);
        disk.crash_with(|_| false);
        let (_, restart) = Engine::open(disk.mount(), "db", small()).unwrap();
        let interval = small().checkpoint_bytes;
        let redone = (restart.log.end.0 - restart.redo_from.0) * 700;
        assert!(
            redone <= 3 * interval,
            "{steps} steps: {redone} bytes from {:?}",
            restart.redo_from
        );
    }
}
