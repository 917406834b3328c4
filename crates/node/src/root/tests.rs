use super::*;

fn cluster_of(nodes: usize) -> Members {
    let names: Vec<String> = (0..nodes).map(|node| format!("n{node}")).collect();
    founders(&Topology::fixed(&names, 64).unwrap())
}

#[test]
fn an_odd_number_votes_and_seven_at_most() {
    let voters = |nodes| cluster_of(nodes).voters().len();
    assert_eq!([1, 2, 3, 4, 5, 6, 7, 8, 12].map(voters), [1, 2, 3, 3, 5, 5, 7, 7, 7]);
    let twelve = cluster_of(12);
    assert_eq!(twelve.everybody().len(), 12);
    assert_eq!(twelve.learners.len(), 5);
}

#[test]
fn tickets_of_vnodes_and_scans_are_not_the_root_groups() {
    assert_eq!(Shard::root_ticket(Ticket(TICKETS | 3)), Some(Ticket(3)));
    assert_eq!(Shard::root_ticket(Ticket(3)), None);
    assert_eq!(Shard::root_ticket(Ticket(1 << 63 | 3)), None);
    assert_eq!(Shard::root_ticket(Ticket(1 << 63 | TICKETS | 3)), None);
}
