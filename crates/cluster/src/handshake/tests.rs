use proptest::prelude::*;

use super::*;

fn topology() -> Topology {
    Topology::fixed(&["a".into(), "b".into(), "c".into()], 64).expect("a valid ring")
}

fn hello() -> Hello {
    Hello {
        versions: (VERSION, VERSION),
        cluster: topology().cluster,
        node: NodeId(1),
        directory: DirectoryId(7),
        epoch: Epoch(1),
        shard: ShardId(0),
        shards: 2,
    }
}

#[test]
fn the_bytes_of_versions_2_and_3_are_kept_for_ever() {
    for version in [2, 3] {
        let versions = (version, version);
        let golden = Hello { versions, cluster: ClusterId(0x0807_0605_0403_0201), ..hello() };
        let v = version as u8;
        let bytes = [v, v, 1, 2, 3, 4, 5, 6, 7, 8, 1, 7, 0, 0, 0, 0, 0, 0, 0, 1, 0, 2];
        assert_eq!(golden.encode(), bytes);
        let read = if version == VERSION { Ok(golden) } else { Err(HandshakeError::Version(2, 2)) };
        assert_eq!(Hello::decode(&bytes), read);
    }
}

#[test]
fn a_member_of_the_same_cluster_is_let_in() {
    assert_eq!(Hello::admit(&hello().encode(), &topology(), NodeId(0)), Ok(hello()));
}

#[test]
fn strangers_are_told_why_not() {
    let admit = |hello: Hello| Hello::admit(&hello.encode(), &topology(), NodeId(0));
    let other = ClusterId(1);
    assert_eq!(
        admit(Hello { cluster: other, ..hello() }),
        Err(HandshakeError::Cluster(other, topology().cluster))
    );
    assert_eq!(admit(Hello { node: NodeId(3), ..hello() }), Err(HandshakeError::Member(NodeId(3))));
    assert_eq!(admit(Hello { node: NodeId(0), ..hello() }), Err(HandshakeError::Self_));
    assert_eq!(admit(Hello { versions: (1, 1), ..hello() }), Err(HandshakeError::Version(1, 1)));
    assert_eq!(admit(Hello { versions: (2, 2), ..hello() }), Err(HandshakeError::Version(2, 2)));
    assert_eq!(admit(Hello { versions: (4, 5), ..hello() }), Err(HandshakeError::Version(4, 5)));
}

#[test]
fn a_namesake_of_another_cluster_is_a_stranger() {
    let elsewhere = topology().named("elsewhere").cluster;
    let refused = Hello::admit(
        &Hello { cluster: elsewhere, ..hello() }.encode(),
        &topology().named("here"),
        NodeId(0),
    );
    let here = topology().named("here").cluster;
    assert_eq!(refused, Err(HandshakeError::Cluster(elsewhere, here)));
    assert_eq!(topology().named(""), topology());
}

#[test]
fn fields_of_a_later_version_are_passed_over() {
    let mut bytes = Hello { versions: (VERSION, VERSION + 1), ..hello() }.encode();
    bytes.extend_from_slice(b"more");
    assert_eq!(Hello::decode(&bytes).map(|hello| hello.node), Ok(NodeId(1)));
}

proptest! {
    #[test]
    fn any_bytes_are_admitted_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Hello::admit(&bytes, &topology(), NodeId(0));
    }
}
