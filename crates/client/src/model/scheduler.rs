//! One thread, one seed, and a clock that jumps.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use ombak_base::Tick;
use ombak_sim::Rng;

pub type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Polls of one run; a run that needs more will never end.
const POLLS_MAX: u32 = 1_000_000;

/// What tasks share with the scheduler.
#[derive(Clone, Default)]
pub struct Handle {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    now: Tick,
    /// Who wakes when. The number keeps equal times apart.
    sleepers: BTreeMap<(Tick, u64), Waker>,
    newest: u64,
    spawned: Vec<Task>,
}

impl Handle {
    fn with<T>(&self, f: impl FnOnce(&mut Shared) -> T) -> T {
        f(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn now(&self) -> Tick {
        self.with(|shared| shared.now)
    }

    pub fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.with(|shared| shared.spawned.push(Box::pin(task)));
    }

    pub fn sleep_until(&self, at: Tick) -> Sleep {
        Sleep { handle: self.clone(), at, number: None }
    }
}

/// Until a moment.
pub struct Sleep {
    handle: Handle,
    at: Tick,
    number: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (at, known) = (self.at, self.number);
        let number = self.handle.with(|shared| {
            if shared.now >= at {
                return None;
            }
            shared.newest += u64::from(known.is_none());
            let number = known.unwrap_or(shared.newest);
            shared.sleepers.insert((at, number), cx.waker().clone());
            Some(number)
        });
        self.number = number.or(known);
        if number.is_some() { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let (at, number) = (self.at, self.number);
        self.handle.with(|shared| number.map(|number| shared.sleepers.remove(&(at, number))));
    }
}

#[derive(Default)]
struct Ready(AtomicBool);

impl Wake for Ready {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Running {
    task: Task,
    ready: Arc<Ready>,
    /// For a caller that will be cancelled: after so many more polls.
    polls_left: Option<u32>,
    is_caller: bool,
}

/// Polls tasks in random order; drops callers when their polls are used up; lets time pass when nobody can run.
pub struct Scheduler {
    pub handle: Handle,
    tasks: Vec<Running>,
    rng: Rng,
    polls: u32,
}

impl Scheduler {
    pub fn new(handle: Handle, rng: Rng) -> Scheduler {
        Scheduler { handle, tasks: Vec::new(), rng, polls: 0 }
    }

    /// A task that the run waits for. It is dropped in place of the poll after so many.
    pub fn add_caller(
        &mut self,
        task: impl Future<Output = ()> + Send + 'static,
        polls: Option<u32>,
    ) {
        self.add(Box::pin(task), polls, true);
    }

    fn add(&mut self, task: Task, polls_left: Option<u32>, is_caller: bool) {
        let ready = Arc::new(Ready(AtomicBool::new(true)));
        self.tasks.push(Running { task, ready, polls_left, is_caller });
    }

    /// Runs until all callers are over. `passed` is called whenever time passes.
    pub fn run_callers(&mut self, passed: &mut impl FnMut(Tick)) -> Result<(), String> {
        while self.tasks.iter().any(|task| task.is_caller) {
            if !self.poll_one() && !self.pass(None, passed) {
                return Err("callers wait, and nothing will happen".into());
            }
            if self.polls > POLLS_MAX {
                return Err("callers wait, and no end is in sight".into());
            }
        }
        Ok(())
    }

    /// Runs everything that happens until `until`.
    pub fn run_until(&mut self, until: Tick, passed: &mut impl FnMut(Tick)) -> Result<(), String> {
        while self.poll_one() || self.pass(Some(until), passed) {
            if self.polls > POLLS_MAX {
                return Err("the pool is busy for ever".into());
            }
        }
        self.handle.with(|shared| shared.now = until);
        passed(until);
        Ok(())
    }

    /// Tasks that are not over.
    pub fn tasks(&self) -> usize {
        self.tasks.len()
    }

    /// Polls one task that can run, or, now and then, one that says it cannot: a future must bear that.
    fn poll_one(&mut self) -> bool {
        for task in self.handle.with(|shared| std::mem::take(&mut shared.spawned)) {
            self.add(task, None, false);
        }
        let is_ready = |at: &usize| self.tasks[*at].ready.0.load(Ordering::Relaxed);
        let ready: Vec<usize> = (0..self.tasks.len()).filter(is_ready).collect();
        let Some(&at) = self.rng.pick(&ready) else { return false };
        let at = match self.rng.chance(1, 16) {
            true => self.rng.below(self.tasks.len() as u64) as usize,
            false => at,
        };
        self.poll(at);
        true
    }

    fn poll(&mut self, at: usize) {
        self.polls += 1;
        let running = &mut self.tasks[at];
        if running.polls_left == Some(0) {
            // What a drop does may spawn and wake; the list must be whole by then.
            drop(self.tasks.swap_remove(at));
            return;
        }
        running.polls_left = running.polls_left.map(|left| left - 1);
        // Only the waker of the last poll counts: a future may have moved to another task since the one before.
        running.ready = Arc::new(Ready::default());
        let waker = Waker::from(running.ready.clone());
        if running.task.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            drop(self.tasks.swap_remove(at));
        }
    }

    /// To the next moment at which somebody wakes.
    fn pass(&mut self, until: Option<Tick>, passed: &mut impl FnMut(Tick)) -> bool {
        let next = self.handle.with(|shared| {
            let (&(at, number), _) = shared.sleepers.first_key_value()?;
            if until.is_some_and(|until| at > until) {
                return None;
            }
            shared.now = shared.now.max(at);
            Some((shared.now, shared.sleepers.remove(&(at, number))?))
        });
        let Some((now, waker)) = next else { return false };
        passed(now);
        waker.wake();
        true
    }
}
