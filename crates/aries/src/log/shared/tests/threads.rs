//! Real threads.

use std::thread;

use super::*;

#[test]
fn what_threads_forced_is_there() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes: 128 * 1024, segments_max: 64 };
    let (log, _) = open_with(&disk, options).unwrap();
    let forced = thread::scope(|scope| {
        let writer = |number: u8| {
            let log = &log;
            move || -> Vec<Record> {
                let record = |i: u8| {
                    let bytes = vec![number, i];
                    let stream = StreamId(number.into());
                    let lsn = log.append(stream, &[&bytes]).unwrap();
                    if !i.is_multiple_of(3) {
                        log.force(lsn).unwrap();
                        assert!(log.durable() >= lsn);
                    }
                    assert_eq!(log.read(lsn).unwrap().1, bytes);
                    (lsn, stream, bytes)
                };
                (0..=200).map(record).collect()
            }
        };
        let writers: Vec<_> = (0..8).map(|number| scope.spawn(writer(number))).collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<_>>()
    });
    disk.crash_with(|_| false);
    let (_, found) = open_with(&disk, options).unwrap();
    for record in forced.iter().filter(|record| !record.2[1].is_multiple_of(3)) {
        assert!(found.contains(record), "{record:?}");
    }
}

/// Each thread keeps a mark at its last record: that one must be there, however often the log goes round.
#[test]
fn what_threads_still_need_is_not_used_again() {
    let disk = SimDisk::new();
    let options = Options { segment_bytes: 8 * 1024, segments_max: 24 };
    let (log, _) = open_with(&disk, options).unwrap();
    let write = |number: u32| {
        let stream = StreamId(number);
        for i in 0..300u32 {
            let lsn = loop {
                match log.append(stream, &[&i.to_le_bytes()]) {
                    Err(LogError::Full) => log.set_mark(stream, log.next_lsn()),
                    lsn => break lsn.unwrap(),
                }
                thread::yield_now(); // Another's mark is old.
            };
            log.force(lsn).unwrap();
            assert_eq!(log.read(lsn).unwrap().1, i.to_le_bytes().as_slice());
            // Now and then nothing at all is needed.
            log.set_mark(stream, Lsn(lsn.0 + u64::from(i % 2)));
            log.tidy().unwrap();
        }
    };
    thread::scope(|scope| {
        (0..4).for_each(|number| drop(scope.spawn(move || write(number))));
    });
    assert_eq!(log.durable(), Lsn(1200));
    assert!(log.read(Lsn(1)).is_err(), "it went round");
}

#[test]
fn a_failed_sync_is_everybodys() {
    let gate = GateDisk::new(SimDisk::new());
    let (log, _) = SharedLog::open(gate.clone(), "wal", SMALL, |_, _, _| {}).unwrap();
    gate.close();
    let results = thread::scope(|scope| {
        let write = || put(&log, A, b"unsure");
        let leader = scope.spawn(write);
        gate.wait_for_sync();
        let others: Vec<_> = (0..4).map(|_| scope.spawn(write)).collect();
        while log.next_lsn() < Lsn(6) {
            thread::yield_now();
        }
        gate.disk.fail_sync(1, ErrorKind::Other, SyncFault::Drops);
        gate.open_gate();
        let all = [leader].into_iter().chain(others);
        all.map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(matches!(results[0], Err(LogError::Io { .. })));
    assert!(results[1..].iter().all(|result| matches!(result, Err(LogError::Poisoned))));
    assert!(matches!(put(&log, A, b"later"), Err(LogError::Poisoned)));
    assert!(matches!(log.sync(), Err(LogError::Poisoned)));
    assert!(matches!(log.poll(Lsn(1)), Some(Err(LogError::Poisoned))));
    assert_eq!(log.durable(), Lsn(0));
}

/// While somebody writes, segments that a mark has freed can't be counted: that is no reason to refuse.
#[test]
fn a_log_is_not_called_full_while_somebody_writes() {
    let gate = GateDisk::new(SimDisk::new());
    let (log, _) = SharedLog::open(gate.clone(), "wal", SMALL, |_, _, _| {}).unwrap();
    for i in 0..8 {
        put(&log, A, &[i; 100]).unwrap();
    }
    gate.close();
    thread::scope(|scope| {
        let leader = scope.spawn(|| put(&log, A, b"the last that fits"));
        gate.wait_for_sync();
        log.set_mark(A, Lsn(7));
        let next = scope.spawn(|| put(&log, A, b"goes where the first was"));
        gate.open_gate();
        assert_eq!(leader.join().unwrap().unwrap(), Lsn(9));
        assert_eq!(next.join().unwrap().unwrap(), Lsn(10));
    });
}

/// A future behind a thread's batch: the thread wakes it when it is done, and the round that follows serves it.
#[test]
fn a_future_behind_a_thread_is_woken_to_be_served() {
    let gate = GateDisk::new(SimDisk::new());
    let (log, _) = SharedLog::open(gate.clone(), "wal", SMALL, |_, _, _| {}).unwrap();
    let (waker, woken) = counting();
    let mut context = Context::from_waker(&waker);
    gate.close();
    thread::scope(|scope| {
        let leader = scope.spawn(|| put(&log, A, b"a thread's"));
        gate.wait_for_sync();
        let mut wait = pin!(log.wait(log.append(B, &[b"a task's"]).unwrap()));
        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert!(!log.serve().unwrap(), "somebody writes");
        gate.open_gate();
        leader.join().unwrap().unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(wait.as_mut().poll(&mut context).is_pending());
        assert!(log.serve().unwrap());
        assert!(matches!(wait.as_mut().poll(&mut context), Poll::Ready(Ok(()))));
    });
}
