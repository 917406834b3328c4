//! What callers do and what goes wrong, in a form that shrinks.

use proptest::collection::vec;
use proptest::prelude::*;

use super::world::{End, Mood};
use crate::pool::PoolOptions;

/// Nothing goes wrong after this.
pub const FAULTS_MS_MAX: u64 = 600;

/// One run. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Decides the order in which tasks are polled, and how slow everything is.
    pub schedule: u64,
    pub connections_max: usize,
    pub waiters_max: usize,
    pub callers: Vec<Caller>,
    pub faults: Vec<Fault>,
}

/// Somebody who wants a connection.
#[derive(Clone, Debug)]
pub struct Caller {
    pub at_ms: u64,
    pub within_ms: u64,
    /// How many requests it makes with it.
    pub asks: u32,
    /// How long it waits for each answer.
    pub answer_ms: u64,
    /// How long it thinks after each.
    pub think_ms: u64,
    /// It is dropped after so many polls.
    pub polls: Option<u32>,
}

/// Something that goes wrong, or well again.
#[derive(Clone, Debug)]
pub struct Fault {
    pub at_ms: u64,
    pub mood: Mood,
    /// What becomes of the connections that there are.
    pub end: Option<End>,
}

impl Plan {
    pub fn options(&self) -> PoolOptions {
        PoolOptions {
            connections_max: self.connections_max,
            waiters_max: self.waiters_max,
            ..small_times()
        }
    }
}

/// So that everything meets everything.
pub fn small_times() -> PoolOptions {
    PoolOptions {
        connect_ms: 30,
        check_after_ms: 60,
        check_ms: 20,
        idle_ms_max: 400,
        backoff_ms: 10,
        backoff_ms_max: 100,
        ..PoolOptions::default()
    }
}

/// Any plan. Shrinks to fewer callers that do less, and to no faults.
pub fn any_plan() -> impl Strategy<Value = Plan> {
    let callers = vec(any_caller(), 1..24);
    (any::<u64>(), 1usize..4, 1usize..8, callers, vec(any_fault(), 0..6)).prop_map(
        |(schedule, connections_max, waiters_max, callers, faults)| Plan {
            schedule,
            connections_max,
            waiters_max,
            callers,
            faults,
        },
    )
}

fn any_caller() -> impl Strategy<Value = Caller> {
    // Half of them come in crowds.
    let at_ms = prop_oneof![0u64..600, (0u64..4).prop_map(|crowd| crowd * 150)];
    let polls = prop_oneof![2 => Just(None), 1 => (0u32..14).prop_map(Some)];
    (at_ms, 1u64..200, 0u32..4, 1u64..80, 0u64..40, polls).prop_map(
        |(at_ms, within_ms, asks, answer_ms, think_ms, polls)| Caller {
            at_ms,
            within_ms,
            asks,
            answer_ms,
            think_ms,
            polls,
        },
    )
}

pub fn any_fault() -> impl Strategy<Value = Fault> {
    let mood = prop_oneof![
        4 => Just(Mood::Well),
        1 => Just(Mood::Down),
        1 => Just(Mood::Silent),
        1 => Just(Mood::Torn),
        1 => Just(Mood::Busy),
        1 => Just(Mood::Full),
    ];
    let end = prop_oneof![Just(None), Just(Some(End::Closed)), Just(Some(End::Forgotten))];
    (0..FAULTS_MS_MAX, mood, end).prop_map(|(at_ms, mood, end)| Fault { at_ms, mood, end })
}
