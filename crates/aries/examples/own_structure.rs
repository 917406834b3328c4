//! A structure of your own, made crash-safe: counters that many transactions may add to.
//!
//! `cargo run -p ombak-aries --example own_structure`
//!
//! What it takes is a number, and three functions: `redo` does a change to a page, `undo` takes it back, `describe` is for
//! people. Everything else (the log, the pool, commit, rollback, recovery) is the engine's.

use ombak_aries::{
    Engine, EngineOptions, Error, ManagerId, OsDisk, Page, PageId, ResourceManager, Transaction,
    Undo,
};

const COUNTERS: ManagerId = ManagerId(16);

/// A page of 64-bit counters. A change is `counter:u16 amount:i64`, added with wrapping.
struct Counters;

/// The counter's place on the page, and the amount.
fn parse(change: &[u8]) -> Option<(usize, i64)> {
    let (counter, amount) = change.split_first_chunk::<2>()?;
    let at = 8 * usize::from(u16::from_le_bytes(*counter));
    Some((at, i64::from_le_bytes(amount.try_into().ok()?)))
}

fn value(page: &Page, at: usize) -> Option<i64> {
    Some(i64::from_le_bytes(page.body().get(at..at + 8)?.try_into().ok()?))
}

impl ResourceManager for Counters {
    fn id(&self) -> ManagerId {
        COUNTERS
    }

    fn redo(&self, page: &mut Page, change: &[u8]) -> Result<(), &'static str> {
        let (at, amount) = parse(change).ok_or("not a change of a counter")?;
        let sum = value(page, at).ok_or("no such counter")?.wrapping_add(amount);
        page.body_mut()[at..at + 8].copy_from_slice(&sum.to_le_bytes());
        Ok(())
    }

    // Logical: others may have added meanwhile, so what is taken back is the amount, not the old value.
    fn undo(&self, undo: &mut Undo<'_>, page: PageId, change: &[u8]) -> Result<(), Error> {
        let Some((at, amount)) = parse(change) else { return Ok(()) };
        let mut page = undo.write(page)?;
        undo.apply(
            &mut page,
            COUNTERS,
            &[&(at as u16 / 8).to_le_bytes(), &(-amount).to_le_bytes()],
        )?;
        Ok(())
    }

    fn describe(&self, change: &[u8]) -> String {
        format!("add {:?}", parse(change).map(|(at, amount)| (at / 8, amount)))
    }
}

/// Adds to a counter. No lock: additions commute.
fn add(txn: &Transaction, page: PageId, counter: u16, amount: i64) -> Result<(), Error> {
    let mut page = txn.write(page)?;
    txn.apply(&mut page, COUNTERS, &[&counter.to_le_bytes(), &amount.to_le_bytes()])?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let disk = OsDisk::open(directory.path())?;
    let open = || {
        let options =
            EngineOptions { managers: vec![Box::new(Counters)], ..EngineOptions::default() };
        Engine::open(disk.clone(), "", options)
    };
    let (engine, _) = open()?;
    let page = engine.structure("visits", COUNTERS, 1, |pages| pages[0].set_kind(COUNTERS, 0))?;
    let (one, other) = (engine.begin(), engine.begin());
    add(&one, page, 3, 100)?;
    add(&other, page, 3, 5)?; // on top of what is not committed
    one.commit()?;
    std::mem::forget(other); // The process dies here,
    drop(engine);

    let (engine, restart) = open()?; // and starts again.
    println!("taken back: {:?}, done again: {} changes", restart.losers, restart.redone);
    let reader = engine.begin();
    let counter = value(&*reader.read(page)?, 3 * 8);
    println!("counter 3 is {counter:?}");
    assert_eq!(counter, Some(100));
    Ok(())
}
