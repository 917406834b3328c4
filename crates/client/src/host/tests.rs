//! The host alone, where one order of things is the point.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use ombak_sim::Rng;
use ombak_wire::Request as WireRequest;

use super::*;
use crate::model::{FakeNet, Mood, Scheduler};

#[derive(Default)]
struct Count(AtomicU32);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A pool of one connection, and what runs its tasks.
fn pool() -> (PoolHost<FakeNet>, Scheduler) {
    let net = FakeNet::new(Rng::new(1));
    let scheduler = Scheduler::new(net.handle.clone(), Rng::new(2));
    let options = PoolOptions { connections_max: 1, ..PoolOptions::default() };
    (PoolHost::new(net, "node:1", options), scheduler)
}

fn poll<F: Future>(future: std::pin::Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

#[test]
fn a_request_that_is_dropped_in_the_middle_closes_its_connection() {
    let (pool, mut scheduler) = pool();
    let mut run = || scheduler.run_until(Tick::from_ms(50), &mut |_| {}).unwrap();
    let mut checkout = pin!(pool.lease(Tick::from_ms(100)));
    assert!(poll(checkout.as_mut(), Waker::noop()).is_pending());
    run();
    let Poll::Ready(Ok(mut lease)) = poll(checkout, Waker::noop()) else { panic!() };
    {
        let ask = pin!(lease.connection().ask(&WireRequest::Ping));
        assert!(poll(ask, Waker::noop()).is_pending());
    }
    drop(lease);
    assert_eq!(pool.look(|pool| (pool.lent(), pool.connections())), (0, 0));
    assert!(pool.shared.lock().parked.is_empty());
}

#[test]
fn a_caller_that_moves_to_another_task_is_woken_there() {
    let (pool, mut scheduler) = pool();
    let (before, after) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut checkout = pin!(pool.lease(Tick::from_ms(100)));
    assert!(poll(checkout.as_mut(), &before.clone().into()).is_pending());
    assert!(poll(checkout.as_mut(), &after.clone().into()).is_pending());
    scheduler.run_until(Tick::from_ms(50), &mut |_| {}).unwrap();
    let woken = |count: &Count| count.0.load(Ordering::Relaxed);
    assert_eq!((woken(&before), woken(&after)), (0, 1));
}

/// Cutting such connections off without blame would open one after the other, as fast as they come.
#[test]
fn a_node_that_closes_what_it_accepts_is_left_alone() {
    let (pool, mut scheduler) = pool();
    pool.shared.net.set_mood("node:1", Mood::Full);
    let mut checkout = pin!(pool.lease(Tick::from_ms(1_000)));
    for ms in 1..=60 {
        if let Poll::Ready(told) = poll(checkout.as_mut(), Waker::noop()) {
            assert!(matches!(told, Err(Refusal::Down(_))));
            assert!(pool.is_down());
            return;
        }
        scheduler.run_until(Tick::from_ms(ms), &mut |_| {}).unwrap();
    }
    panic!("it is still tried");
}

#[test]
fn a_dropped_pool_leaves_no_task_behind() {
    let (pool, mut scheduler) = pool();
    scheduler.run_until(Tick::from_ms(10), &mut |_| {}).unwrap();
    assert_eq!(scheduler.tasks(), 1, "the keeper");
    {
        let checkout = pin!(pool.lease(Tick::from_ms(1_000)));
        assert!(poll(checkout, Waker::noop()).is_pending());
    }
    drop(pool);
    scheduler.run_until(Tick::from_ms(5_000), &mut |_| {}).unwrap();
    assert_eq!(scheduler.tasks(), 0);
}
