//! Whole requests, through three nodes of which some are ill: what callers are told is what has happened.

use std::sync::Arc;

use bytes::Bytes;
use ombak_base::Tick;
use ombak_cluster::hash::key_point;
use ombak_sim::Rng;
use ombak_wire::{Request, Response, RpbContent, RpbPutReq};
use proptest::collection::vec;
use proptest::prelude::*;

use super::plan::{FAULTS_MS_MAX, Fault, any_fault, small_times};
use super::rules::{ANSWERED, BUDGET, ON_TIME, ONCE, OWN_ANSWER};
use super::run::{Failure, Report, broken_if, catch_broken, get, is_answer, judge, start_fault};
use super::scheduler::Scheduler;
use super::tests::{Scheduled, cases, fewer, search, seeds};
use super::world::{FakeNet, Mood};
use crate::calls::{Ask, Core};
use crate::net::Net;
use crate::pool::PoolOptions;
use crate::{Error, Options};

const NODES: [&str; 3] = ["one:8087", "two:8087", "three:8087"];

/// One run. Times are in milliseconds.
#[derive(Clone, Debug)]
struct Plan {
    schedule: u64,
    connections_max: usize,
    retries_max: u32,
    callers: Vec<Caller>,
    /// The number says which node.
    faults: Vec<(usize, Fault)>,
}

/// Somebody who makes one request.
#[derive(Clone, Debug)]
struct Caller {
    at_ms: u64,
    timeout_ms: u32,
    kind: Kind,
    polls: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Get,
    Put,
    /// A put that may be done twice.
    Repeatable,
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let kind = prop_oneof![Just(Kind::Get), Just(Kind::Put), Just(Kind::Repeatable)];
    let polls = prop_oneof![3 => Just(None), 1 => (0u32..20).prop_map(Some)];
    let caller = (0u64..600, 1u32..200, kind, polls)
        .prop_map(|(at_ms, timeout_ms, kind, polls)| Caller { at_ms, timeout_ms, kind, polls });
    let faults = vec((0..NODES.len(), any_fault()), 0..8);
    (any::<u64>(), 1usize..4, 0u32..6, vec(caller, 1..30), faults).prop_map(
        |(schedule, connections_max, retries_max, callers, faults)| Plan {
            schedule,
            connections_max,
            retries_max,
            callers,
            faults,
        },
    )
}

fn options(plan: &Plan) -> Options {
    let (connections_max, waiters_max) = (plan.connections_max, 4);
    let pool = PoolOptions { connections_max, waiters_max, ..small_times() };
    Options {
        pool,
        timeout_ms: 200,
        attempt_ms: 40,
        checkout_ms: 30,
        retries_max: plan.retries_max,
        retries_per_thousand: 100,
        rows_ms: 150,
    }
}

impl Scheduled for Plan {
    fn run(&self) -> Result<(), Failure> {
        run(self)
    }

    fn schedule(&mut self) -> &mut u64 {
        &mut self.schedule
    }

    fn smaller(&self) -> Vec<Plan> {
        let fewer = fewer(&self.callers, &self.faults);
        fewer.map(|(callers, faults)| Plan { callers, faults, ..self.clone() }).collect()
    }
}

fn run(plan: &Plan) -> Result<(), Failure> {
    catch_broken();
    let mut rng = Rng::new(plan.schedule);
    let net = FakeNet::new(rng.fork());
    let options = options(plan);
    NODES.iter().for_each(|node| net.watch(node, options.pool));
    let mut scheduler = Scheduler::new(net.handle.clone(), rng);
    let core = Core::new(net.clone(), NODES.map(String::from).into(), options);
    let report = Report::default();
    for (number, caller) in plan.callers.iter().enumerate() {
        let task = call(core.clone(), caller.clone(), number, report.clone());
        scheduler.add_caller(task, caller.polls);
    }
    plan.faults.iter().for_each(|(node, fault)| start_fault(&net, NODES[*node], fault.clone()));
    let watch = net.clone();
    let mut passed = move |now| watch.time_passed(now);
    let ended = scheduler.run_callers(&mut passed);
    judge(&net, &report, ended)?;
    bounded(&net, plan)?;

    let ended = scheduler.run_until(Tick::from_ms(FAULTS_MS_MAX), &mut passed);
    judge(&net, &report, ended)?;
    NODES.iter().for_each(|node| net.set_mood(node, Mood::Well));
    let ended = scheduler.run_until(net.now().plus_ms(200), &mut passed);
    judge(&net, &report, ended)?;
    let before = report.tally().answers;
    let last = Caller { at_ms: 0, timeout_ms: 200, kind: Kind::Get, polls: None };
    scheduler.add_caller(call(core, last, 999, report.clone()), None);
    let ended = scheduler.run_callers(&mut passed);
    judge(&net, &report, ended)?;
    let answered = report.tally().answers > before;
    broken_if(!answered, ANSWERED, "all nodes are well, and a read got nothing")
}

/// What arrived is what was asked, and the retries that were saved up or earned.
fn bounded(net: &FakeNet, plan: &Plan) -> Result<(), Failure> {
    // Asking for rows is a request of the client's own, which earns nothing and is not tried again.
    let asked = plan.callers.len() as u64;
    let allowed = asked + u64::from(plan.retries_max) + asked / 10;
    let arrived = net.requests();
    let detail = format!("{arrived} requests arrived, {allowed} were allowed");
    broken_if(arrived > allowed, BUDGET, &detail)
}

async fn call(core: Arc<Core<FakeNet>>, plan: Caller, number: usize, report: Report) {
    let net = core.net.clone();
    net.sleep_until(Tick::from_ms(plan.at_ms)).await;
    let start = net.now();
    let key = Bytes::from(format!("{number}"));
    let told = core.call(ask(&plan, &key), Ok).await;
    if net.now() > start.plus_ms(u64::from(plan.timeout_ms) + 1) {
        report.note(|tally| tally.wrong.push(format!("{ON_TIME}: {number} since {start:?}")));
    }
    if let Some(wrong) = verdict(&plan, &told, &key, net.puts(&key)) {
        report.note(|tally| tally.wrong.push(format!("{wrong}: {plan:?} was told {told:?}")));
    }
    match told {
        Ok(_) => report.note(|tally| tally.answers += 1),
        Err(_) => report.note(|tally| tally.refusals += 1),
    }
}

fn ask(plan: &Caller, key: &Bytes) -> Ask {
    let (point, timeout_ms) = (Some(key_point(b"", b"b", key)), Some(plan.timeout_ms));
    if plan.kind == Kind::Get {
        return Ask { point, timeout_ms, ..Ask::read(get(key.clone())) };
    }
    let put = RpbPutReq {
        bucket: Some(Bytes::from_static(b"b")),
        key: Some(key.clone()),
        content: Some(RpbContent { value: Some(Bytes::new()), ..RpbContent::default() }),
        ..RpbPutReq::default()
    };
    let repeatable = plan.kind == Kind::Repeatable;
    Ask { point, repeatable, timeout_ms, ..Ask::write(Request::Put(put)) }
}

/// What is wrong with what the caller was told, given how often its write was done.
fn verdict(
    plan: &Caller,
    told: &Result<Response, Error>,
    key: &Bytes,
    puts: u32,
) -> Option<&'static str> {
    let honest = match (plan.kind, told) {
        (Kind::Get, Ok(answer)) => return (!is_answer(answer, key)).then_some(OWN_ANSWER),
        (Kind::Get, Err(Error::Unknown(_))) => false,
        (Kind::Get, Err(_)) => true,
        (Kind::Put, Ok(_)) => puts == 1,
        (Kind::Put, Err(Error::Unknown(_))) => puts <= 1,
        // Whatever else it says, it says that nothing was done.
        (Kind::Put, Err(_)) => puts == 0,
        (Kind::Repeatable, Ok(_)) => puts >= 1,
        (Kind::Repeatable, Err(_)) => true,
    };
    (!honest).then_some(ONCE)
}

#[test]
fn callers_are_told_what_has_happened() {
    for seed in seeds() {
        if let Some((plan, failure)) = search(seed, cases(), &any_plan()) {
            panic!("seed {seed}: {failure}\nsmallest plan: {plan:#?}");
        }
    }
}
