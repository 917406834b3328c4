use super::*;
use crate::{Plan, record_plan, run_plan, run_seed};

#[test]
fn families_are_read_as_they_are_shown() {
    for bits in 0..1 << ALL.len() {
        let families = Families(bits);
        assert_eq!(families.to_string().parse(), Ok(families));
    }
    assert_eq!("disk,network".parse::<Families>().unwrap().to_string(), "network,disk");
    for wrong in ["", "disc", "network,,disk", "network, disk", "all,disk"] {
        let error = wrong.parse::<Families>().unwrap_err();
        assert!(
            error.to_string().contains("network, order, crash, disk, clock, overload"),
            "{error}"
        );
    }
}

fn plan(seed: u64, faults: Families) -> Plan {
    Plan { faults, ..Plan::of_seed(seed) }
}

#[test]
fn all_families_are_what_a_seed_is() {
    assert_eq!(run_plan(&plan(3, Families::ALL), 0), run_seed(3, 0));
}

/// Nothing that is done is of another family, and some of it is of this one.
#[test]
fn a_run_of_one_family_has_no_fault_of_another() {
    for (family, name) in ALL {
        let mut own = 0;
        for seed in 0..6 {
            let script = record_plan(&plan(seed, Families::NONE.with(family))).unwrap();
            let of = script.actions.iter().filter_map(|(_, action)| family_of(action));
            let of: Vec<Family> = of.collect();
            assert!(of.iter().all(|of| *of == family), "{name}, seed {seed}: {of:?}");
            own += of.len() + usize::from(script.bounds != Default::default());
            own += script.decisions.len();
        }
        assert!(own > 0, "{name}");
    }
}

#[test]
fn without_faults_requests_succeed() {
    for seed in 0..5 {
        let report = run_plan(&plan(seed, Families::NONE), 0).unwrap();
        assert!(report.succeeded * 10 > report.operations * 8, "{report:?}");
    }
}
