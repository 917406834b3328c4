use super::*;

fn report(probes: &[(&'static str, u64)]) -> Report {
    let probes = probes.iter().copied().collect();
    Report { seed: 1, trace_hash: 0, virtual_us: 0, operations: 0, succeeded: 0, grants: 0, probes }
}

#[test]
fn a_batch_is_the_same_again_and_begins_with_seeds() {
    let batch = || {
        let mut guide = Guide::new(5, Families::ALL, Backend::Log);
        let mut rounds = Vec::new();
        for _ in 0..5 {
            let round = guide.round();
            for plan in &round {
                guide.learn(plan, &report(&[("a", 1 + plan.seed % 40)]));
            }
            rounds.push(round);
        }
        rounds
    };
    assert_eq!(batch(), batch());
    let first: Vec<Plan> = (5..5 + ROUND as u64).map(Plan::of_seed).collect();
    assert_eq!(batch()[0], first);
    let forked = batch()[4].iter().filter(|plan| !plan.forks.is_empty()).count();
    assert_eq!(forked, ROUND / 2);
}

/// What one run of a thousand has is forked in most of the next.
#[test]
fn what_is_rare_is_looked_for_again() {
    let mut guide = Guide::new(1, Families::ALL, Backend::Log);
    for seed in 0..1_000 {
        let rare = report(&[("often", 1), ("rare", 1)]);
        let usual = report(&[("often", 1)]);
        guide.learn(&Plan::of_seed(seed), if seed == 777 { &rare } else { &usual });
    }
    assert_eq!(guide.features(), 2);
    let forked = guide.round().into_iter().filter(|plan| !plan.forks.is_empty());
    let rare = forked.filter(|plan| plan.seed == 777).count();
    assert!(rare > ROUND / 4, "{rare} of {}", ROUND / 2);
}

#[test]
fn forks_are_in_the_order_of_time() {
    let mut guide = Guide::new(1, Families::ALL, Backend::Log);
    for _ in 0..20 {
        for plan in guide.round() {
            assert!(plan.forks.is_sorted_by_key(|fork| fork.at), "{plan}");
            guide.learn(&plan, &report(&[("a", 1 << (plan.forks.len() % 60))]));
        }
    }
}
