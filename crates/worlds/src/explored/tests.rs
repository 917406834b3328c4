use ombak_sim::explore::Explorer;

use super::*;

#[test]
fn small_clusters_hold_in_every_schedule() {
    for each in EXPLORATIONS {
        let report = Explorer::new(&each.cluster().unwrap()).threads(2).states_max(2_000_000).run();
        println!("{}: {report}", each.name);
    }
}
