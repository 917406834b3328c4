use ombak_sim::{Rng, SimDisk};

use super::*;
use crate::log::{Options, StreamId};
use crate::survivors::Survivors;

const STREAM: StreamId = StreamId(1);
const PAGES: u64 = 60;

/// A record: page, slot, and the byte that goes there.
fn set(page: &mut Page, record: &[u8]) {
    page.body_mut()[usize::from(record[1])] = record[2];
}

type Opened = (SharedLog<SimDisk>, BufferPool);

fn open(disk: &SimDisk) -> Result<Opened, Error> {
    let options = Options { segment_bytes: 64 * 1024, segments_max: 8 };
    let (log, _) = SharedLog::open(disk.mount(), "wal", options, |_, _, _| {})?;
    let options = BufferOptions { identity: 3, bytes: 0 };
    let (pool, _) = BufferPool::open(&disk.mount(), "", options, log.clone())?;
    log.scan(Lsn(0), |lsn, _, record| {
        let mut page = pool.write(PageId(record[0].into()))?;
        if page.lsn() < lsn {
            pool.change(&mut page, lsn, |page| set(page, record));
        }
        Ok::<(), Error>(())
    })?;
    Ok((log, pool))
}

/// Changes pages, more than the pool has frames, and says up to where that is durable: by a sync, or by a flush after which the log
/// forgets.
fn live(
    (log, pool): &Opened,
    rng: &mut Rng,
    done: &mut Vec<[u8; 3]>,
    durable: &mut usize,
) -> Result<(), Error> {
    for _ in 0..300 {
        let record = [rng.below(PAGES) as u8, rng.below(200) as u8, rng.below(256) as u8];
        let mut page = pool.write(PageId(record[0].into()))?;
        let lsn = log.append(STREAM, &[&record])?;
        done.push(record);
        pool.change(&mut page, lsn, |page| set(page, &record));
        drop(page);
        match rng.below(40) {
            0..4 => log.force(lsn)?,
            4 => {
                pool.flush()?;
                log.set_mark(STREAM, Lsn(lsn.0 + 1));
            }
            5 => {
                let oldest = pool.dirty_pages().iter().map(|(_, lsn)| *lsn).min();
                log.set_mark(STREAM, oldest.unwrap_or(lsn));
                continue;
            }
            _ => continue,
        }
        *durable = done.len();
    }
    Ok(())
}

fn expected(done: &[[u8; 3]]) -> Vec<Vec<u8>> {
    let mut pages = vec![vec![0; 200]; PAGES as usize];
    done.iter().for_each(|[page, slot, byte]| {
        pages[usize::from(*page)][usize::from(*slot)] = *byte;
    });
    pages
}

#[test]
fn pages_survive_a_crash_at_any_operation() {
    let mut cut = 0;
    for n in 1.. {
        let life = |survivors: Option<Survivors>| {
            let disk = SimDisk::new();
            let (mut done, mut durable) = (Vec::new(), 0);
            disk.cut_power(n);
            let lived =
                open(&disk).and_then(|it| live(&it, &mut Rng::new(1), &mut done, &mut durable));
            let parts = disk.unsynced().len() as u32;
            if let Some(survivors) = survivors {
                let mut is_left = survivors.judge();
                disk.crash_with(|_| is_left());
                let (_, pool) = open(&disk).unwrap();
                let page = |id| pool.read(PageId(id)).unwrap().body()[..200].to_vec();
                let found: Vec<Vec<u8>> = (0..PAGES as u32).map(page).collect();
                // A record may be in the log and its change not have been made: one more.
                let is_there = (durable..=done.len()).any(|len| expected(&done[..len]) == found);
                assert!(is_there, "operation {n}, {survivors:?}");
            }
            (lived.is_ok(), parts)
        };
        let (is_over, parts) = life(None);
        if is_over {
            break;
        }
        for survivors in Survivors::of(parts, parts / 3 + 1, 3).into_iter().take(16) {
            life(Some(survivors));
        }
        cut += 1;
    }
    assert!(cut > 60, "{cut}");
}

#[test]
fn pages_of_another_number_and_a_log_that_ends_before_them_are_refused() {
    let disk = SimDisk::new();
    let opened = open(&disk).unwrap();
    live(&opened, &mut Rng::new(1), &mut Vec::new(), &mut 0).unwrap();
    opened.1.flush().unwrap();
    let log = opened.0.clone();
    let options = BufferOptions { identity: 4, bytes: 0 };
    let other = BufferPool::open(&disk.mount(), "", options, log).map(drop).unwrap_err();
    assert_eq!(
        other.to_string(),
        "pages.double at offset 16: it is of database 3, not 4; nothing was changed"
    );
    let fresh = SimDisk::new();
    let (short, _) =
        SharedLog::open(fresh.mount(), "wal", Options::default(), |_, _, _| {}).unwrap();
    let options = BufferOptions { identity: 3, bytes: 0 };
    let told = BufferPool::open(&disk.mount(), "", options, short).map(drop).unwrap_err();
    let place = "wal/segment-000001 is damaged at offset 4096: records 1 up to ";
    assert!(told.to_string().starts_with(place), "{told}");
}
