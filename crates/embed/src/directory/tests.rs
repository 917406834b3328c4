use proptest::prelude::*;

use super::*;

#[test]
fn a_directory_is_one_process_and_one_members() {
    let dir = tempfile::tempdir().unwrap();
    let first = Directory::open(dir.path()).unwrap();
    assert!(matches!(Directory::open(dir.path()), Err(StartError::Locked(_))));
    let id = first.identify("g", NodeId(1)).unwrap();
    let golden = format!("format=1\ngroup=g\nid=1\ndirectory={:016x}\n", id.0);
    assert_eq!(first.read().unwrap(), Some(golden));
    drop(first);
    let again = Directory::open(dir.path()).unwrap();
    assert_eq!(again.identify("g", NodeId(1)).unwrap(), id);
    let text = again.identify("g", NodeId(2)).unwrap_err().to_string();
    assert!(text.contains("belongs to member 1 of group \"g\", not to member 2"), "{text}");
    let text = again.identify("h", NodeId(1)).unwrap_err().to_string();
    assert!(text.contains("not to member 1 of group \"h\""), "{text}");
}

#[test]
fn what_is_not_understood_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    for (text, says) in [
        ("", "no `format`"),
        ("format=x\n", "damaged"),
        ("format=2\n", "use a newer one"),
        ("format=1\nid=1\ngroup=g\n", "no `directory`"),
        ("format=1\nid=x\ngroup=g\ndirectory=0\n", "`id` is no number"),
    ] {
        directory.write(text).unwrap();
        let error = directory.identify("g", NodeId(1)).unwrap_err().to_string();
        assert!(error.contains(says), "{text:?}: {error}");
    }
}

#[test]
fn data_without_a_name_is_nobodys() {
    let dir = tempfile::tempdir().unwrap();
    let directory = Directory::open(dir.path()).unwrap();
    let file = directory.disk.open("vnodes/0", OpenMode::Cached).unwrap();
    file.write_at(&[IoSlice::new(b"x")], 0).unwrap();
    let error = directory.identify("g", NodeId(1)).unwrap_err().to_string();
    assert!(error.contains("give an empty directory"), "{error}");
}

/// Lines that stand in such a file, and others.
fn likely_identity() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        3 => Just("format=1".to_string()),
        1 => "format=[0-9]{0,3}",
        3 => "group=[ -~]{0,4}",
        3 => "id=[0-9]{0,11}",
        3 => "directory=[0-9a-g]{0,18}",
        1 => "[ -~]{0,10}",
    ];
    prop::collection::vec(line, 0..7).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_an_identity(bytes in prop_oneof![likely_identity().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..60)]) {
        fuzz::identity(&bytes);
    }
}
