//! A leader with a lease, and one who wants to lead, explored: every order of their messages, of syncs and of moments. The clocks are as
//! wrong as was declared: the leader's is too slow, those of the others are too fast.

use bytes::Bytes;
use ombak_base::{ClientId, NodeId};
use ombak_sim::explore::{Explorer, Model, Outcome as Ended, Property, Steps};

use super::script::{A, B, C, Cast};
use crate::log::{Ask, Lease, Outcome, Timer};

const DRIFT_PPM: u32 = 200_000;
const LEASE: Lease = Lease { ms: 1_000, drift_ppm: DRIFT_PPM };
/// Time passes by so much, by a clock that is right: to the middle of the lease, to its end, and behind it.
const MOMENT_MS: u64 = 500;

/// So often each happens.
const MOMENTS: u32 = 3;
const STANDS: u32 = 2;
const READS: u32 = 2;

#[derive(Clone, Hash)]
struct State {
    cast: Cast,
    moments: u32,
    stands: u32,
    reads: u32,
    has_written: bool,
    /// A read that has no answer, and whether anybody had been told of the line when it was asked.
    open: Option<bool>,
    is_stale: bool,
}

#[derive(Clone, Debug)]
enum Act {
    TimePasses,
    Stands,
    Writes,
    Reads,
    Syncs(NodeId),
    Hears(NodeId, NodeId),
}

struct Rivals;

/// A leads, and B has granted it a lease. A and C don't hear of each other, and B and C take A for dead.
fn leased() -> Cast {
    let drift = i64::from(DRIFT_PPM);
    let mut cast = Cast::with_drifts(LEASE, [(A, -drift), (B, drift), (C, drift)].into());
    cast.pass_ms(2 * LEASE.ms);
    cast.elect_a();
    cast.exchange(A, B);
    cast.forget_sent();
    cast.with(A, |replica, now, desk| {
        replica.request(now, ClientId(0), Ask::Read(Bytes::new()), desk);
    });
    cast.exchange(A, B);
    assert_eq!(answers(&cast).len(), 1);
    for node in [B, C] {
        cast.with(node, |replica, now, desk| replica.peer_down(now, A, desk));
    }
    cast.forget_sent();
    cast
}

/// What was read at A.
fn answers(cast: &Cast) -> Vec<&Bytes> {
    let outcomes = cast.answered(A).iter();
    let read = outcomes.filter_map(|outcome| match outcome {
        Outcome::Read { answer, .. } => Some(answer),
        _ => None,
    });
    read.collect()
}

/// Whether a client was told of the line that C writes.
fn is_told(cast: &Cast) -> bool {
    cast.answered(C).iter().any(|outcome| matches!(outcome, Outcome::Applied { .. }))
}

impl State {
    fn act(&self, act: &Act) -> State {
        let mut next = self.clone();
        let before = answers(&self.cast).len();
        let cast = &mut next.cast;
        match *act {
            Act::TimePasses => {
                next.moments += 1;
                cast.pass_ms(MOMENT_MS);
            }
            Act::Stands => {
                next.stands += 1;
                cast.with(C, |replica, now, desk| replica.timer(now, Timer::Election, desk));
            }
            Act::Writes => {
                next.has_written = true;
                cast.write(C, 1);
            }
            Act::Reads => {
                next.reads += 1;
                next.open = Some(is_told(cast));
                let ask = Ask::Read(Bytes::new());
                cast.with(A, |replica, now, desk| replica.request(now, ClientId(0), ask, desk));
            }
            Act::Syncs(node) => cast.sync(node),
            Act::Hears(from, to) => cast.pass_first(from, to),
        }
        next.cast.cut(A, C);
        if let Some(answer) = answers(&next.cast).get(before)
            && let Some(was_told) = next.open.take()
        {
            next.is_stale |= was_told && answer.is_empty();
        }
        next
    }

    fn acts(&self) -> Vec<Act> {
        let is_idle = self.open.is_none();
        let budgets = [
            (self.moments < MOMENTS, Act::TimePasses),
            (self.stands < STANDS && !self.cast.leads(C), Act::Stands),
            (!self.has_written && self.cast.leads(C), Act::Writes),
            (self.reads < READS && is_idle && self.cast.leads(A), Act::Reads),
        ];
        let own = budgets.into_iter().filter_map(|(may, act)| may.then_some(act));
        let syncs = [A, B, C].into_iter().filter(|node| !self.cast.is_synced(*node));
        let heard = self.cast.talks().into_iter().map(|(from, to)| Act::Hears(from, to));
        own.chain(syncs.map(Act::Syncs)).chain(heard).collect()
    }
}

impl Model for Rivals {
    type State = State;
    type Action = Act;

    fn initial(&self) -> Vec<State> {
        let (moments, stands, reads) = (0, 0, 0);
        let (has_written, open, is_stale) = (false, None, false);
        vec![State { cast: leased(), moments, stands, reads, has_written, open, is_stale }]
    }

    fn next(&self, state: &State, steps: &mut impl Steps<Rivals>) {
        for act in state.acts() {
            let next = state.act(&act);
            if answers(&next.cast).len() > answers(&state.cast).len() && matches!(act, Act::Reads) {
                steps.reached("it reads by its lease");
            }
            steps.step(act, next);
        }
    }

    fn properties(&self) -> Vec<Property<State>> {
        vec![
            Property::always("what was told of is read", |state: &State| !state.is_stale),
            Property::sometimes("another has written, and it does not know", |state: &State| {
                is_told(&state.cast) && state.cast.leads(A)
            }),
            Property::reached("it reads by its lease"),
        ]
    }
}

#[test]
fn a_leader_with_a_lease_and_one_who_wants_to_lead() {
    let report = Explorer::new(&Rivals).threads(2).run();
    assert_eq!(report.outcome, Ended::Complete, "{report}");
    assert_eq!(report.unreached().collect::<Vec<_>>(), [""; 0]);
    assert_eq!(report.states, 14_601);
}
