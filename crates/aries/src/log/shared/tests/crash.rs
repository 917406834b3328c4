//! The power goes at every operation.

use super::*;
use crate::survivors::Survivors;

/// Appends and forces, so that both batches are used, segments are full in the middle, and used again. Answers what was
/// appended, and up to where it was durable.
fn live(disk: &SimDisk, before: &mut Vec<Record>) -> Result<Lsn, (Lsn, LogError)> {
    let (log, found) = open_with(disk, SMALL).map_err(|error| (Lsn(0), error))?;
    *before = found;
    let failed = |error| (log.durable(), error);
    for i in 0..14u8 {
        for len in [100, 1900, 30].into_iter().take(1 + usize::from(i % 3)) {
            let bytes = vec![i; len];
            let stream = StreamId(u32::from(i % 2));
            let lsn = log.next_lsn();
            // Before, for it may be written on the way.
            before.push((lsn, stream, bytes.clone()));
            log.append(stream, &[&bytes]).map_err(failed)?;
        }
        log.sync().map_err(failed)?;
        log.tidy().map_err(failed)?;
        let mark = Lsn(log.durable().0.saturating_sub(2));
        (0..2).for_each(|stream| log.set_mark(StreamId(stream), mark));
    }
    Ok(log.durable())
}

/// What is there is what was appended, as far as it was durable at least, without holes.
fn check(disk: &SimDisk, written: &[Record], durable: Lsn) {
    let (log, found) = open(disk);
    assert!(log.durable() >= durable, "{:?} but {durable:?}", log.durable());
    let place = found.first().and_then(|first| written.iter().position(|it| it == first));
    let rest = written.get(place.unwrap_or(written.len())..).unwrap_or_default();
    assert!(found.len() <= rest.len() && found == rest[..found.len()]);
    assert_eq!(put(&log, A, b"goes on").unwrap(), Lsn(log.durable().0));
    assert_eq!(forward(&log, Lsn(1)).len(), found.len() + 1);
    assert_eq!(backward(&log, Lsn(u64::MAX)).len(), found.len() + 1);
}

#[test]
fn any_operation_may_be_the_last() {
    let mut cut = 0;
    for n in 1.. {
        let disk = SimDisk::new();
        disk.cut_power(n);
        if live(&disk, &mut Vec::new()).is_ok() {
            break;
        }
        let parts = disk.unsynced().len() as u32;
        for survivors in Survivors::of(parts, 4, 40) {
            let disk = SimDisk::new();
            disk.cut_power(n);
            let mut written = Vec::new();
            let Err((durable, _)) = live(&disk, &mut written) else { panic!("it was cut") };
            let mut is_left = survivors.judge();
            disk.crash_with(|_| is_left());
            check(&disk, &written, durable);
        }
        cut += 1;
    }
    assert!(cut > 40, "only {cut} operations were cut");
}
