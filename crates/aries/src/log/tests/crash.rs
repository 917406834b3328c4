//! The power goes at every operation, and every part of what was not synced survives or does not.

use std::collections::BTreeMap;

use ombak_sim::{Part, Rng, Unsynced};
use proptest::prelude::*;

use super::*;
use crate::seeds::seeds;
use crate::survivors::Survivors;

#[derive(Clone, Debug)]
enum Step {
    Append {
        stream: u32,
        len: usize,
    },
    Sync,
    /// All streams but for the last `keep` records.
    Mark {
        keep: u64,
    },
    Tidy,
}

/// A disk, and what must and may be on it.
struct World {
    disk: SimDisk,
    log: Option<Log>,
    /// Every record that may be replayed.
    history: BTreeMap<Lsn, (StreamId, Vec<u8>)>,
    /// Every record up to here must be...
    durable: Lsn,
    /// ...from here on.
    floor: Lsn,
    /// Makes each process' records its own.
    life: u64,
}

impl World {
    fn new() -> World {
        let disk = SimDisk::new();
        let (history, durable, floor) = (BTreeMap::new(), Lsn(0), Lsn(0));
        World { disk, log: None, history, durable, floor, life: 0 }
    }

    /// Recovers and checks. An error is a power cut.
    fn start(&mut self) -> Result<(), LogError> {
        self.life += 1;
        let (log, recovery, records) = open_with(&self.disk, SMALL)?;
        assert_eq!(recovery.damaged, [], "a crash is not damage");
        assert!(recovery.end > self.durable, "{recovery:?} but {:?} was durable", self.durable);
        let mut found = BTreeMap::new();
        for (stream, lsn, bytes) in records {
            assert_eq!(self.history.get(&lsn), Some(&(stream, bytes.clone())), "{lsn:?}");
            assert!(found.insert(lsn, (stream, bytes)).is_none());
        }
        let first = found.keys().next().copied().unwrap_or(recovery.end);
        assert!(first <= self.floor.max(Lsn(1)) || self.floor >= recovery.end);
        assert_eq!(found.len() as u64, recovery.end.0 - first.0, "no holes");
        self.history = found;
        self.durable = Lsn(recovery.end.0 - 1);
        self.log = Some(log);
        Ok(())
    }

    fn step(&mut self, step: &Step) -> Result<(), LogError> {
        let log = self.log.as_mut().unwrap();
        match *step {
            Step::Append { stream, len } => {
                let lsn = log.next_lsn();
                let mut bytes = vec![lsn.0 as u8; len];
                let life = self.life.to_le_bytes();
                bytes
                    .iter_mut()
                    .rev()
                    .zip(life.iter().cycle())
                    .for_each(|(byte, life)| *byte ^= life);
                match log.append(StreamId(stream), &[&bytes]) {
                    Err(LogError::Full) => {}
                    other => {
                        assert_eq!(other?, lsn);
                        self.history.insert(lsn, (StreamId(stream), bytes));
                    }
                }
            }
            Step::Sync => self.durable = log.sync()?,
            Step::Mark { keep } => {
                let mark = Lsn((log.durable().0 + 1).saturating_sub(keep));
                (0..3).for_each(|stream| log.set_mark(StreamId(stream), mark));
                self.floor = self.floor.max(mark);
            }
            Step::Tidy => {
                log.tidy()?;
            }
        }
        self.durable = self.durable.max(self.log.as_ref().unwrap().durable());
        Ok(())
    }

    /// One process' life: until the power goes or the steps end.
    fn live(&mut self, steps: &[Step]) -> Result<(), LogError> {
        self.start()?;
        steps.iter().try_for_each(|step| self.step(step))
    }

    fn crash(&mut self, keep: impl FnMut(&Unsynced) -> bool) {
        self.log = None;
        self.disk.crash_with(keep);
    }
}

/// Two segments, then recycled ones; batches of one block and of two.
fn script() -> Vec<Step> {
    use Step::*;
    let small = Append { stream: 1, len: 150 };
    let large = Append { stream: 2, len: 1900 };
    let first =
        [small.clone(), Sync, large.clone(), small.clone(), large.clone(), small.clone(), Sync];
    let again = [Tidy, Mark { keep: 2 }, large, small, Sync];
    [&first[..], &again, &again, &again, &again].concat()
}

/// Runs `steps` with the power cut at operation `n`; `None` when it takes fewer.
fn cut_at(steps: &[Step], n: u64) -> Option<World> {
    let mut world = World::new();
    world.disk.cut_power(n);
    world.live(steps).is_err().then_some(world)
}

/// After the crash: recovery holds what it must, and twice the same; then life goes on.
fn check_recovery(mut world: World, steps: &[Step]) {
    world.start().unwrap();
    let first = world.history.clone();
    world.crash(|_| false);
    world.start().unwrap();
    assert_eq!(world.history, first, "recovery is repeatable");
    steps.iter().for_each(|step| world.step(step).unwrap());
    world.step(&Step::Sync).unwrap();
    world.crash(|_| false);
    world.start().unwrap();
}

#[test]
fn any_operation_may_be_the_last() {
    let steps = script();
    let mut operations = 0;
    for n in 1.. {
        let Some(world) = cut_at(&steps, n) else { break };
        let parts = world.disk.unsynced().len() as u32;
        drop(world);
        for survivors in Survivors::of(parts, 1, 40) {
            let mut world = cut_at(&steps, n).unwrap();
            let mut is_left = survivors.judge();
            world.crash(|_| is_left());
            check_recovery(world, &steps[..8]);
        }
        operations = n;
    }
    assert!(operations > 25, "only {operations} operations were cut");
}

#[test]
fn recovery_itself_may_be_cut_at_any_operation() {
    let steps = script();
    let operations = (1..).take_while(|n| cut_at(&steps, *n).is_some()).count() as u64;
    for seed in seeds(100) {
        for n in 1.. {
            let mut rng = Rng::new(seed);
            let mut world = cut_at(&steps, 1 + seed % operations).unwrap();
            world.crash(|_| rng.chance(1, 2));
            world.disk.cut_power(n);
            if world.start().is_ok() {
                break;
            }
            world.crash(|_| rng.chance(1, 2));
            check_recovery(world, &steps[..8]);
        }
    }
}

/// The same batch twice, at the same place with the same lengths, torn once in front and once behind: the
/// halves must not be taken for a whole.
#[test]
fn a_batch_is_not_completed_by_an_earlier_life() {
    let disk = SimDisk::new();
    for (life, keeps_front) in [(1, false), (2, true)] {
        let (mut log, recovery, _) = open(&disk);
        assert_eq!(recovery.end, Lsn(1));
        // Each record ends where a sector does.
        for len in [460, 500, 500, 500] {
            log.append(A, &[&vec![life; len]]).unwrap();
        }
        disk.fail_sync(1, ErrorKind::Other, SyncFault::Keeps);
        log.sync().unwrap_err();
        disk.crash_with(|what| (what.part == Part::Sector(8)) == keeps_front);
    }
    let (_, recovery, records) = open(&disk);
    assert_eq!(records, [(A, Lsn(1), vec![2; 460])]);
    assert!(recovery.torn_tail.is_some());
}

#[test]
fn a_file_whose_name_was_not_durable_is_made_so() {
    let disk = SimDisk::new();
    let (mut log, ..) = open(&disk);
    disk.fail_sync(1, ErrorKind::Other, SyncFault::Keeps);
    assert!(log.tidy().is_err());
    // The process stops, the machine does not.
    let (mut log, ..) = open(&disk);
    let count = (0..6).map(|_| put(&mut log, A, b"durable").unwrap()).count();
    disk.crash_with(|_| false);
    assert_eq!(open(&disk).2.len(), count);
}

fn step() -> impl Strategy<Value = Step> {
    // Few lengths, so that records of different lives come to stand at the same places.
    let len = prop::sample::select(vec![0, 30, 150, 500, 500, 500, 1900, 5000]);
    prop_oneof![
        6 => (0..3u32, len).prop_map(|(stream, len)| Step::Append { stream, len }),
        3 => Just(Step::Sync),
        1 => (0..6u64).prop_map(|keep| Step::Mark { keep }),
        1 => Just(Step::Tidy),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    /// Life after life, each ended by a power cut or by a plain stop. Nothing of a life that was cut off
    /// comes back in a later one.
    #[test]
    fn many_lives(lives in prop::collection::vec((prop::collection::vec(step(), 1..25), 1..60u64, any::<u64>()), 1..8)) {
        let mut world = World::new();
        for (steps, n, seed) in lives {
            world.disk.cut_power(n);
            let mut rng = Rng::new(seed);
            match world.live(&steps) {
                Ok(()) if seed % 2 == 0 => {
                    world.disk.cut_power(u64::MAX);
                    world.log = None;
                }
                _ => world.crash(|_| rng.chance(1, 2)),
            }
        }
        check_recovery(world, &[]);
    }
}
