use super::*;
use crate::{record_plan, run_plan, run_script};

#[test]
fn a_plan_is_shown_as_arguments() {
    let forks = vec!["6500000:17".parse().unwrap()];
    let plan =
        Plan { seed: 42, faults: "disk,crash".parse().unwrap(), forks, backend: Backend::Btree };
    assert_eq!(plan.to_string(), "--seed 42 --fork 6500000:17 --faults crash,disk --backend btree");
    assert_eq!(Plan::of_seed(7).to_string(), "--seed 7");
    for wrong in ["", "17", "x:17", "6.5:17", "1:2:3"] {
        assert!(wrong.parse::<Fork>().is_err(), "{wrong}");
    }
}

/// Up to the fork it does what the seed does, and then something else; and it is recorded as any other.
#[test]
fn a_fork_leaves_the_seed_where_it_says() {
    let at = Tick(6_000_000);
    let plan = Plan { forks: vec![Fork { at, seed: 9 }], ..Plan::of_seed(3) };
    let (stem, branch) = (record_plan(&Plan::of_seed(3)).unwrap(), record_plan(&plan).unwrap());
    let before = |script: &crate::Script| {
        let actions = script.actions.iter().take_while(|(time, _)| *time < at);
        actions.cloned().collect::<Vec<_>>()
    };
    assert_eq!(before(&stem), before(&branch));
    assert_ne!(stem.actions, branch.actions);
    assert_eq!(run_script(&branch).unwrap().trace_hash, run_plan(&plan, 0).unwrap().trace_hash);
}
