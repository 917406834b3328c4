//! One plan, to its end.

use std::cell::RefCell;
use std::fmt;
use std::sync::{Arc, Mutex, Once, PoisonError};

use bytes::Bytes;
use ombak_base::Tick;
use ombak_base::property::{Broken, on_broken};
use ombak_sim::Rng;
use ombak_wire::{Request, Response, RpbGetReq};

use super::plan::{Caller, FAULTS_MS_MAX, Fault, Plan};
use super::rules::{ANSWERED, FRESH, NO_LEAK, TOLD};
use super::scheduler::Scheduler;
use super::world::{FakeNet, Mood};
use crate::host::PoolHost;
use crate::net::{Net, within};

/// The only node of a run of the pool.
const NODE: &str = "node:8087";

/// A rule that was broken, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    pub rule: String,
    pub detail: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is broken: {}", self.rule, self.detail)
    }
}

/// How often a run did what it is there for.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tally {
    pub answers: u32,
    pub refusals: u32,
    pub cuts: u32,
    pub wrong: Vec<String>,
}

/// What callers report to.
#[derive(Clone, Default)]
pub struct Report(Arc<Mutex<Tally>>);

impl Report {
    pub fn note(&self, note: impl FnOnce(&mut Tally)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub fn tally(&self) -> Tally {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Runs a plan; the same plan gives the same run.
pub fn run(plan: &Plan) -> Result<Tally, Failure> {
    catch_broken();
    let mut rng = Rng::new(plan.schedule);
    let net = FakeNet::new(rng.fork());
    net.watch(NODE, plan.options());
    let mut scheduler = Scheduler::new(net.handle.clone(), rng);
    let pool = PoolHost::new(net.clone(), NODE, plan.options());
    let report = Report::default();
    for (number, caller) in plan.callers.iter().enumerate() {
        let task = call(net.clone(), pool.clone(), caller.clone(), number, report.clone());
        scheduler.add_caller(task, caller.polls);
    }
    plan.faults.iter().for_each(|fault| start_fault(&net, NODE, fault.clone()));
    let watch = net.clone();
    let mut passed = move |now| watch.time_passed(now);
    let ended = scheduler.run_callers(&mut passed);
    judge(&net, &report, ended)?;
    settle(&net, &pool, &mut scheduler, &mut passed, &report)?;
    Ok(report.tally())
}

/// Somebody checks a connection out, asks, and gives it back.
async fn call(net: FakeNet, pool: PoolHost<FakeNet>, plan: Caller, number: usize, report: Report) {
    net.sleep_until(Tick::from_ms(plan.at_ms)).await;
    let Ok(mut lease) = pool.lease(net.now().plus_ms(plan.within_ms)).await else {
        return report.note(|tally| tally.refusals += 1);
    };
    if lease.connection().stream().is_closed() {
        report.note(|tally| tally.wrong.push(format!("{FRESH}: {number} got one that was closed")));
    }
    for ask in 0..plan.asks {
        let key = Bytes::from(format!("{number}.{ask}"));
        let deadline = net.now().plus_ms(plan.answer_ms);
        let request = get(key.clone());
        let answer = within(&net, deadline, lease.connection().ask(&request)).await;
        let Some(Ok(answer)) = answer else {
            report.note(|tally| tally.cuts += 1);
            return lease.broken();
        };
        lease.connection().close_exchange();
        report.note(|tally| tally.answers += 1);
        if !is_answer(&answer, &key) {
            report.note(|tally| tally.wrong.push(format!("{key:?} was answered {answer:?}")));
        }
        net.sleep_until(net.now().plus_ms(plan.think_ms)).await;
    }
}

pub fn get(key: Bytes) -> Request {
    let bucket = Some(Bytes::from_static(b"b"));
    Request::Get(RpbGetReq { bucket, key: Some(key), ..RpbGetReq::default() })
}

/// A node gives each key as its value, or refuses.
pub fn is_answer(answer: &Response, key: &Bytes) -> bool {
    match answer {
        Response::Get(got) => got.content.first().is_some_and(|c| c.value.as_ref() == Some(key)),
        Response::Error(_) => true,
        _ => false,
    }
}

pub fn start_fault(net: &FakeNet, node: &'static str, fault: Fault) {
    let world = net.clone();
    net.handle.spawn(async move {
        world.sleep_until(Tick::from_ms(fault.at_ms)).await;
        world.set_mood(node, fault.mood);
        if let Some(end) = fault.end {
            world.end(node, end);
        }
    });
}

/// All is well again: nothing is left over, and the next caller is served.
fn settle(
    net: &FakeNet,
    pool: &PoolHost<FakeNet>,
    scheduler: &mut Scheduler,
    passed: &mut impl FnMut(Tick),
    report: &Report,
) -> Result<(), Failure> {
    let ended = scheduler.run_until(Tick::from_ms(FAULTS_MS_MAX), passed);
    judge(net, report, ended)?;
    net.set_mood(NODE, Mood::Well);
    nothing_is_left(net, pool, scheduler, passed, report)?;
    let before = report.tally().answers;
    let next =
        Caller { at_ms: 0, within_ms: 200, asks: 1, answer_ms: 200, think_ms: 0, polls: None };
    scheduler.add_caller(call(net.clone(), pool.clone(), next, 999, report.clone()), None);
    let ended = scheduler.run_callers(passed);
    judge(net, report, ended)?;
    broken_if(
        report.tally().answers != before + 1,
        ANSWERED,
        "the node is well, the next caller got nothing",
    )?;
    nothing_is_left(net, pool, scheduler, passed, report)
}

/// Once everything that idles has been let go.
fn nothing_is_left(
    net: &FakeNet,
    pool: &PoolHost<FakeNet>,
    scheduler: &mut Scheduler,
    passed: &mut impl FnMut(Tick),
    report: &Report,
) -> Result<(), Failure> {
    let ended = scheduler.run_until(net.now().plus_ms(2_000), passed);
    judge(net, report, ended)?;
    let left = pool.look(|pool| (pool.lent(), pool.waiting(), pool.connections()));
    let (live, unsettled) = (net.live(NODE), net.unsettled(NODE));
    let detail = format!("lent, waiting, connections: {left:?}; sockets: {live}; {unsettled}");
    broken_if(left != (0, 0, 0) || live + unsettled != 0, NO_LEAK, &detail)
}

pub fn judge(net: &FakeNet, report: &Report, ended: Result<(), String>) -> Result<(), Failure> {
    if let Some((rule, detail)) = net.broken() {
        return broken_if(true, rule, &detail);
    }
    if let Some(broken) = BROKEN.take() {
        return broken_if(true, broken.name, &broken.to_string());
    }
    if let Some(wrong) = report.tally().wrong.first() {
        return broken_if(true, TOLD, wrong);
    }
    ended.or_else(|text| broken_if(true, ANSWERED, &text))
}

pub fn broken_if(broken: bool, rule: &str, detail: &str) -> Result<(), Failure> {
    if broken { Err(Failure { rule: rule.into(), detail: detail.into() }) } else { Ok(()) }
}

thread_local! {
    /// The first property of the production code that was broken in this thread's run.
    static BROKEN: RefCell<Option<Broken>> = const { RefCell::new(None) };
    static RUNS: RefCell<bool> = const { RefCell::new(false) };
}

/// A broken `always!` ends a run as a broken rule does, so that it shrinks without a backtrace for each attempt.
pub fn catch_broken() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        on_broken(|broken| match RUNS.with_borrow(|runs| *runs) {
            true => BROKEN.with_borrow_mut(|first| *first = first.take().or(Some(broken.clone()))),
            false => panic!("{broken}"),
        });
    });
    RUNS.set(true);
    BROKEN.set(None);
}
