use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn greeter(group: &str, id: u32, directory: u64) -> Greeter {
    let peers = (1..4).filter(|peer| *peer != id).map(NodeId).collect();
    let (group, directory) = (group.into(), DirectoryId(directory));
    Greeter { group, id: NodeId(id), directory, peers, turned: Turned::default() }
}

fn says(one: &Greeter, other: &Greeter) -> String {
    one.admit(&other.hello(ShardId(0))).map_or_else(|why| why, |peer| peer.node.to_string())
}

#[test]
fn members_of_a_group_meet_and_others_are_refused_by_name() {
    let one = greeter("g", 1, 11);
    assert_eq!(says(&one, &greeter("g", 2, 12)), "n2");
    assert_eq!(one.turned.last(), None);
    let refusal = says(&one, &greeter("h", 2, 12));
    assert!(refusal.starts_with("peer is member 2 of group \"h\", and this is member 1 of"));
    assert_eq!(one.turned.last(), Some(refusal));
    assert!(says(&one, &greeter("g", 1, 12)).ends_with("two processes have one id"));
    assert!(says(&one, &greeter("g", 9, 12)).contains("not among the peers of member 1"));
    assert_eq!(says(&one, &greeter("g", 2, 13)), "n2", "on another disk");
}

#[test]
fn the_bytes_are_these_and_no_others_are_taken() {
    let hello = greeter("g", 2, 0x0102).hello(ShardId(0));
    assert_eq!(hello, [1, 1, 1, b'g', 2, 2, 1, 0, 0, 0, 0, 0, 0]);
    let one = greeter("g", 1, 11);
    for end in 0..hello.len() {
        assert!(one.admit(&hello[..end]).unwrap_err().starts_with("not the greeting"));
    }
    let later = [&[1, 2][..], &hello[2..], b"more"].concat();
    assert!(one.admit(&later).is_ok());
    let newer = [&[2, 3][..], &hello[2..]].concat();
    assert!(one.admit(&newer).unwrap_err().contains("upgrade the older one"));
}

fn likely_hello() -> impl Strategy<Value = Vec<u8>> {
    let group = prop_oneof![4 => Just(b"g".to_vec()), 1 => vec(any::<u8>(), 0..4)];
    let node = prop::sample::select(vec![1u64, 2, 300, 7, 9, u64::MAX]);
    (0..3u64, 0..4u64, group, node, vec(any::<u8>(), 0..12)).prop_map(
        |(first, last, group, node, rest)| {
            let mut out = Vec::new();
            put_varint(&mut out, first);
            put_varint(&mut out, last);
            put_bytes(&mut out, &group);
            put_varint(&mut out, node);
            out.extend_from_slice(&rest);
            out
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_hello(input in prop_oneof![3 => likely_hello(), 1 => vec(any::<u8>(), 0..40)]) {
        fuzz::hello(&input);
    }
}
