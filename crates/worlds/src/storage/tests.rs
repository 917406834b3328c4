use super::*;
use crate::plan::Plan;
use crate::script::Script;
use crate::{record_plan, run_plan, run_script};

fn on_a_tree(seed: u64) -> Plan {
    Plan { backend: Backend::Btree, ..Plan::of_seed(seed) }
}

#[test]
fn nodes_that_keep_their_data_in_a_tree_hold() {
    for seed in 1..=12 {
        let report = run_plan(&on_a_tree(seed), 0).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.succeeded > 100, "seed {seed}: {report:?}");
    }
}

/// It goes by the same draws as one on the other backend, and a schedule says on which it was.
#[test]
fn a_schedule_says_on_what_it_was() {
    let (log, tree) = (Plan::of_seed(3), on_a_tree(3));
    let script = record_plan(&tree).unwrap();
    let text = script.to_string();
    assert!(text.contains("\nbackend btree\n"), "{text}");
    assert_eq!(text.parse::<Script>().as_ref(), Ok(&script));
    assert!(!record_plan(&log).unwrap().to_string().contains("backend"));
    let hash = |plan: &Plan| run_plan(plan, 0).unwrap().trace_hash;
    assert_eq!(run_script(&script).unwrap().trace_hash, hash(&tree));
    assert_ne!(hash(&log), hash(&tree));
    let other = text.replace("backend btree", "backend paper").parse::<Script>();
    let line = text.lines().position(|line| line == "backend btree").unwrap() + 1;
    let told = format!("line {line}: \"paper\" is no backend: log or btree");
    assert_eq!(other.unwrap_err().to_string(), told);
}

/// What is planted in the engine below the tree loses data of clusters.
#[cfg(debug_assertions)]
#[test]
fn a_tree_that_forgets_is_found_out() {
    for name in [
        "a torn record is accepted",
        "pages written once",
        "a checkpoint forgets a dirty page",
        "redo without the page LSN",
    ] {
        ombak_base::property::plant(name);
        let found = (1..=40).find_map(|seed| run_plan(&on_a_tree(seed), 0).err());
        ombak_base::property::plant("");
        assert!(found.is_some(), "{name} was not found");
    }
}
