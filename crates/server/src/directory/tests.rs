use ombak_base::DirectoryId;

use super::*;

fn identity() -> Identity {
    Identity {
        node: "a@b".into(),
        ring_size: 64,
        cluster: ClusterId(0xabc),
        members: vec!["a@b".into(), "c@d".into()],
        directory: DirectoryId(u64::MAX),
    }
}

#[test]
fn an_identity_reads_as_it_was_written() {
    let text = identity().to_text();
    assert_eq!(Identity::from_text(&text), Ok(identity()));
    assert_eq!(identity::format_of(&text), Ok(1));
}

#[test]
fn a_damaged_identity_says_what_is_missing() {
    let text = identity().to_text();
    for field in ["node", "ring_size", "members", "cluster", "directory"] {
        let without: Vec<&str> =
            text.lines().filter(|line| !line.starts_with(&format!("{field} "))).collect();
        let error = Identity::from_text(&without.join("\n")).unwrap_err();
        assert!(error.contains(field), "{error}");
    }
    assert!(identity::format_of("").is_err());
    assert!(identity::format_of("format = 0").is_err());
}

#[test]
fn the_first_to_come_names_the_directory() {
    let dir = tempfile::tempdir().unwrap();
    let opened = Directory::open(dir.path()).unwrap();
    assert_eq!(opened.identify(identity()).unwrap(), identity());
    let later = Identity { directory: DirectoryId(1), ..identity() };
    assert_eq!(opened.identify(later).unwrap().directory, DirectoryId(u64::MAX), "it keeps its id");
    assert!(matches!(Directory::open(dir.path()), Err(StartError::Locked(_))));
    drop(opened);
    assert!(Directory::open(dir.path()).is_ok(), "the lock goes with its owner");
}
