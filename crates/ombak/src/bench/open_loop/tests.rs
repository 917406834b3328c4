use mio::{Poll, Token};

use super::*;

#[test]
fn distances_are_those_of_a_poisson_process() {
    let start = Instant::now();
    let mut schedule = Schedule::new(1000, 1, start);
    let mut last = start;
    let distances: Vec<f64> = (0..50_000)
        .map(|_| {
            let distance = (schedule.next - last).as_secs_f64() * 1000.0;
            last = schedule.next;
            schedule.advance();
            distance
        })
        .collect();
    let mean = distances.iter().sum::<f64>() / 50_000.0;
    let variance = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 50_000.0;
    assert!((mean - 1.0).abs() < 0.02 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    let long = distances.iter().filter(|d| **d > 2.0).count() as f64 / 50_000.0;
    assert!((long - (-2.0f64).exp()).abs() < 0.01, "{long}");
}

#[test]
fn the_queue_is_bounded_and_its_overflow_counted() {
    let start = Instant::now();
    let (sender, queue) = sync_channel(10);
    let (mut schedule, shared) = (Schedule::new(1000, 1, start), Shared::default());
    assert!(!arrive(&mut schedule, &sender, &shared, start));
    assert!(arrive(&mut schedule, &sender, &shared, start + Duration::from_secs(1)));
    let came = shared.came.load(Ordering::Relaxed);
    assert!((800..1200).contains(&came), "{came}");
    assert_eq!(shared.overflowed.load(Ordering::Relaxed), came - 10);
    let times: Vec<_> = queue.try_iter().collect();
    assert!(times.len() == 10 && times.is_sorted() && times[0] > start);
}

#[test]
fn arrivals_wake_the_driver_and_end_with_their_owner() {
    let mut poll = Poll::new().unwrap();
    let waker = Waker::new(poll.registry(), Token(1)).unwrap();
    let mut arrivals = Arrivals::start(1000, 1, waker).unwrap();
    let mut events = mio::Events::with_capacity(4);
    poll.poll(&mut events, Some(Duration::from_secs(10))).unwrap();
    assert_eq!(events.iter().next().unwrap().token(), Token(1));
    assert!(arrivals.take().unwrap() <= Instant::now());
    let counts = arrivals.counts();
    assert!(counts.came > counts.waiting && counts.overflowed == 0, "{counts:?}");
}

#[test]
fn a_rate_is_held_if_nearly_nothing_waits() {
    let at = |came, overflowed, waiting| Counts { came, overflowed, waiting };
    let of = |after| OpenLoop::of(100, at(1000, 5, 0), after);
    assert!(of(at(2000, 5, 10)).held);
    assert!(!of(at(2000, 5, 11)).held);
    assert!(!of(at(2000, 6, 0)).held);
    assert_eq!(of(at(2000, 5, 3)).arrivals, 1000);
    assert!(of(at(2000, 6, 0)).text().contains("Lower --rate"));
    assert_eq!(of(at(2000, 5, 3)).text(), "held: 100/s wanted, 1000 came, 3 waiting at the end");
}
