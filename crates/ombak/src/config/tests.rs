use super::template::template;
use super::*;

fn given() -> NodeOptions {
    NodeOptions { dir: Some("d".into()), ..NodeOptions::default() }
}

fn usage(result: Result<Settings, CliError>) -> String {
    match result {
        Err(CliError::Usage(text)) => text,
        other => panic!("not a usage error: {other:?}"),
    }
}

#[test]
fn a_directory_is_all_that_must_be_given() {
    let settings = given().settle().unwrap();
    assert_eq!(settings.pb.to_string(), DEFAULT_PB);
    assert_eq!(settings.http.to_string(), DEFAULT_HTTP);
    assert_eq!(settings.members, [(DEFAULT_NAME.to_string(), settings.peer)]);
    assert_eq!(settings.ring_size, 64);
    assert!(usage(NodeOptions::default().settle()).contains("--dir"));
    let memory = NodeOptions { backend: Some(BackendName::Memory), ..NodeOptions::default() };
    assert_eq!(memory.settle().unwrap().dir, None, "memory needs no directory");
}

#[test]
fn the_first_source_wins_and_the_second_fills() {
    let file = NodeOptions::parse("name = \"file\"\nring_size = 8\ninsecure = true").unwrap();
    let command = NodeOptions { name: Some("command".into()), ..NodeOptions::default() };
    let both = command.or(file);
    assert_eq!(both.name.as_deref(), Some("command"));
    assert_eq!((both.ring_size, both.insecure), (Some(8), Some(true)));
}

#[test]
fn the_written_file_has_every_option_and_says_the_defaults() {
    let written = template(&NodeOptions::default());
    assert_eq!(NodeOptions::parse(&written).unwrap(), NodeOptions::default(), "all are comments");
    let all: String = written
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(['#', ' ']) && line.contains(" = "))
        .map(|line| format!("{line}\n"))
        .collect();
    let all = NodeOptions::parse(&all).unwrap();
    // Whoever adds an option must add it to the file: the pattern has no `..`.
    let NodeOptions {
        dir,
        name,
        pb,
        http,
        socket,
        peer,
        members,
        cluster,
        ring_size,
        delete_mode,
        backend,
        shards,
        record_mib,
        insecure,
        log,
    } = all.clone();
    assert!(dir.is_some() && name.is_some() && pb.is_some() && http.is_some() && peer.is_some());
    assert!(members.is_some() && ring_size.is_some() && backend.is_some() && shards.is_some());
    assert!(insecure.is_some() && log.is_some() && cluster.is_some());
    assert!(delete_mode.is_some() && record_mib.is_some() && socket.is_some());
    let plain = NodeOptions { dir, shards, ..NodeOptions::default() };
    assert_eq!(all.settle().unwrap(), plain.settle().unwrap(), "the comments are the defaults");
}

#[test]
fn options_that_are_given_are_written_and_read_back() {
    let options = NodeOptions {
        name: Some("a \"b\"".into()),
        members: Some(vec!["n1=127.0.0.1:1".into(), "n2=127.0.0.1:2".into()]),
        backend: Some(BackendName::Memory),
        shards: Some(2),
        insecure: Some(true),
        ..given()
    };
    assert_eq!(NodeOptions::parse(&template(&options)).unwrap(), options);
}

#[test]
fn a_wrong_file_names_the_line() {
    let error = NodeOptions::parse("name = \"x\"\nport = 3\n").unwrap_err();
    assert!(error.starts_with("line 2") && error.contains("port"), "{error}");
    assert!(!error.contains('\n'), "{error}");
    assert!(NodeOptions::parse("ring_size = \"x\"").unwrap_err().contains("line 1"));
}

#[test]
fn members_are_names_with_addresses_and_this_node_among_them() {
    let members = |name: &str, members: &[&str]| {
        let members = Some(members.iter().map(|text| text.to_string()).collect());
        NodeOptions { name: Some(name.into()), members, ..given() }.settle()
    };
    let settings = members("n1", &["n1=127.0.0.1:1", "n2=127.0.0.1:2"]).unwrap();
    assert_eq!(settings.members[1], ("n2".to_string(), "127.0.0.1:2".parse().unwrap()));
    assert!(usage(members("n3", &["n1=127.0.0.1:1"])).contains("--name n3"));
    assert!(usage(members("n1", &["n1"])).contains("NAME=HOST:PORT"));
    assert!(usage(members("n1", &["n1=127.0.0.1:1", "n1=127.0.0.1:2"])).contains("twice"));
    assert!(usage(members("n1", &["n1=nowhere"])).contains("--members"));
}

#[test]
fn an_address_belongs_to_one_member() {
    let settle = |name: &str, peer: &str, members: &str| {
        let members = members.split(',').map(str::to_string).collect();
        let (name, peer) = (Some(name.into()), Some(peer.into()));
        NodeOptions { name, peer, members: Some(members), ..given() }.settle()
    };
    let both = usage(settle("n1", "127.0.0.1:1", "n1=127.0.0.1:1,n2=127.0.0.1:1"));
    assert!(both.contains("n1 and n2") && both.contains("127.0.0.1:1"), "{both}");
    let swapped = usage(settle("n1", "127.0.0.1:2", "n1=127.0.0.1:1,n2=127.0.0.1:2"));
    assert!(swapped.contains("n2 is at 127.0.0.1:2") && swapped.contains("--peer"), "{swapped}");
    for nowhere in ["0.0.0.0:2", "[::]:2", "127.0.0.1:0"] {
        let error = usage(settle("n1", "127.0.0.1:1", &format!("n1=127.0.0.1:1,n2={nowhere}")));
        assert!(error.contains(&format!("n2={nowhere}")), "{error}");
    }
    // A proxy stands in front of this node.
    assert!(settle("n1", "127.0.0.1:11", "n1=127.0.0.1:1,n2=127.0.0.1:2").is_ok());
}

#[test]
fn numbers_out_of_range_are_refused() {
    let ring = |size| NodeOptions { ring_size: Some(size), ..given() }.settle();
    assert!(ring(1).is_ok() && ring(1024).is_ok());
    assert!([0, 3, 2048].iter().all(|size| usage(ring(*size)).contains("power of two")));
    let shards = |shards| NodeOptions { shards: Some(shards), ..given() }.settle();
    assert!(usage(shards(0)).contains("--shards"));
}

#[test]
fn strangers_are_kept_out() {
    let open = NodeOptions { pb: Some("0.0.0.0:8087".into()), ..given() };
    assert!(usage(open.clone().settle()).contains("--insecure"));
    assert!(NodeOptions { insecure: Some(true), ..open }.settle().is_ok());
    let members = vec!["n1=127.0.0.1:8099".into(), "n2=10.0.0.2:8099".into()];
    let named = NodeOptions { name: Some("n1".into()), members: Some(members), ..given() };
    let error = usage(named.clone().settle());
    assert!(error.contains("--members 10.0.0.2:8099") && error.contains("--insecure"), "{error}");
    assert!(NodeOptions { insecure: Some(true), ..named }.settle().is_ok());
    // It listens where all can reach it, and others are told where that is.
    let all = NodeOptions {
        name: Some("n1".into()),
        peer: Some("0.0.0.0:8099".into()),
        members: Some(vec!["n1=10.0.0.1:8099".into(), "n2=10.0.0.2:8099".into()]),
        insecure: Some(true),
        ..given()
    };
    assert!(all.settle().is_ok());
}
