use ombak_base::ActorId;
use proptest::prelude::*;

use super::*;

/// Three replicas of one key, and clients that read from and write to them: the histories that can really happen.
#[derive(Clone, Debug)]
enum Op {
    /// Write at a replica with the context of an earlier read at another (or with none).
    Write { at: usize, seen: Option<usize> },
    /// One replica takes over another's state.
    Merge { from: usize, to: usize },
}

fn any_op() -> impl Strategy<Value = Op> {
    prop_oneof![
        (0..3usize, proptest::option::of(0..3usize)).prop_map(|(at, seen)| Op::Write { at, seen }),
        (0..3usize, 0..3usize).prop_map(|(from, to)| Op::Merge { from, to }),
    ]
}

fn run(ops: &[Op]) -> [Versioned<u32>; 3] {
    let mut copies: [Versioned<u32>; 3] = Default::default();
    for (value, op) in ops.iter().enumerate() {
        match *op {
            Op::Write { at, seen } => {
                let seen = seen.map(|from| copies[from].context().clone()).unwrap_or_default();
                let actor = ActorId(at as u64);
                let n =
                    copies.iter().map(|copy| copy.context().count(actor)).max().unwrap_or(0) + 1;
                copies[at].write(&seen, Dot { actor, n }, value as u32);
            }
            Op::Merge { from, to } => {
                let from = copies[from].clone();
                copies[to].merge(&from);
            }
        }
    }
    copies
}

fn merged(a: &Versioned<u32>, b: &Versioned<u32>) -> Versioned<u32> {
    let mut out = a.clone();
    out.merge(b);
    out
}

proptest! {
    #[test]
    fn merge_is_commutative_associative_and_idempotent(ops in proptest::collection::vec(any_op(), 0..20)) {
        let [a, b, c] = run(&ops);
        prop_assert_eq!(merged(&a, &b), merged(&b, &a));
        prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
        prop_assert_eq!(merged(&a, &a), a);
    }

    #[test]
    fn the_invariants_hold(ops in proptest::collection::vec(any_op(), 0..20)) {
        for copy in run(&ops) {
            let parts = Versioned::from_parts(copy.context().clone(), copy.values().to_vec());
            prop_assert_eq!(parts, Some(copy));
        }
    }

    #[test]
    fn includes_says_whether_a_merge_changes_anything(ops in proptest::collection::vec(any_op(), 0..20)) {
        let [a, b, _] = run(&ops);
        prop_assert_eq!(a.includes(&b), merged(&a, &b) == a);
    }

    /// The one promise: a write disappears only when somebody wrote who had seen it.
    #[test]
    fn only_what_was_seen_is_replaced(ops in proptest::collection::vec(any_op(), 0..20)) {
        let copies = run(&ops);
        let all = copies.iter().fold(Versioned::default(), |all, copy| merged(&all, copy));
        let mut replaced = VersionVector::new();
        let mut written = Vec::new();
        let mut replay: Vec<Op> = Vec::new();
        for (value, op) in ops.iter().enumerate() {
            if let Op::Write { seen, .. } = op {
                if let Some(from) = seen {
                    replaced.join(run(&replay)[*from].context());
                }
                written.push(value as u32);
            }
            replay.push(op.clone());
        }
        let kept: Vec<u32> = all.values().iter().map(|(_, value)| *value).collect();
        let dots = run_dots(&ops);
        for value in written {
            let dot = dots.iter().find(|(_, v)| *v == value).map(|(dot, _)| *dot).expect("every write has a dot");
            prop_assert_eq!(kept.contains(&value), !replaced.covers(dot));
        }
    }
}

/// The dot that each write of `run` got.
fn run_dots(ops: &[Op]) -> Vec<(Dot, u32)> {
    let mut dots = Vec::new();
    for upto in 0..ops.len() {
        if let Op::Write { at, .. } = ops[upto] {
            let copies = run(&ops[..=upto]);
            let found = copies[at].values().iter().find(|(_, value)| *value == upto as u32);
            dots.push((found.expect("just written").0, upto as u32));
        }
    }
    dots
}
