use super::super::tests::args;
use super::legs::{GET, Legs, PUT, requests};
use super::*;

#[test]
fn the_servers_are_divided_by_the_floor() {
    let floor = FloorReport {
        operations_per_cpu_second: 40_000.0,
        operations_per_node_cpu_second: 50_000.0,
        ..FloorReport::default()
    };
    let beside = floor.beside(Some(20_000.0), Some(30_000.0));
    assert_eq!((beside.ratio, beside.server_ratio), (Some(0.5), Some(0.6)));
    assert!(beside.text().contains("50 % and 60 %"), "{}", beside.text());
    assert!(!floor.beside(None, None).text().contains('%'));
    assert_eq!(FloorReport::default().beside(Some(1.0), Some(1.0)).ratio, None);
}

#[test]
fn requests_are_as_long_as_the_real_ones_and_as_often_gets() {
    for (line, gets) in [("", 50), ("--gets 0", 0), ("--gets 95", 95), ("--gets 100", 100)] {
        let requests = requests(&args(&format!("{line} --value-bytes 300")));
        let is_get = |request: &&Vec<u8>| request[4] == GET;
        assert_eq!(requests.iter().filter(is_get).count(), gets, "{line}");
        for request in requests {
            let length = u32::from_be_bytes(*request.first_chunk().unwrap()) as usize + 4;
            assert_eq!(request.len(), length);
            assert_eq!(request.len() > 300, request[4] == PUT);
        }
    }
}

#[test]
fn a_value_travels_to_the_replicas_of_a_put_and_to_the_client_of_a_get() {
    let (put, get) = (Legs::of(PUT, 1000), Legs::of(GET, 1000));
    assert!(put.copy > 1000 && put.ack < 100 && put.answer < 100);
    assert!(get.copy < 200 && get.ack < 100 && get.answer > 1000);
}
