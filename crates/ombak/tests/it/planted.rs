//! `ombak sim run --plant`: a bug that is planted is found, made small, and played again.

use std::fs;
use std::path::Path;

use crate::support::process::run_in;

const BUG: &str = "read repair writing the older value";

fn names_in(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap().map(|file| file.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_planted_bug_is_found_made_small_and_played() {
    let dir = tempfile::tempdir().unwrap();
    let few = ["--seeds", "1", "--from", "0", "--shrink-runs", "40", "--plant", BUG];
    let first = run_in(dir.path(), ["sim", "run"].iter().chain(&few));
    assert_eq!(first.code, Some(3), "{first:?}");
    assert!(first.err.contains(&format!("again: ombak sim run --seed 0 --plant \"{BUG}\"")));
    let (file, page) = ("ombak-seed-0.schedule", "ombak-seed-0.html");
    let advice =
        format!("play it with `ombak sim --replay {file} --plant \"{BUG}\"`; {page} draws");
    assert!(first.err.contains(&advice), "{first:?}");
    assert_eq!(names_in(dir.path()), [page, file]);

    let text = fs::read_to_string(dir.path().join(file)).unwrap();
    let comment = text.lines().find_map(|line| line.strip_prefix("-- planted: ")).unwrap();
    let rule = comment.strip_prefix(&format!("{BUG}: ")).unwrap();
    let planted = run_in(dir.path(), ["sim", "--replay", file, "--plant", BUG]);
    assert_eq!(planted.code, Some(3), "{planted:?}");
    assert!(planted.err.contains(rule), "{rule}: {planted:?}");
    let sound = run_in(dir.path(), ["sim", "--replay", file]);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.out.contains("it holds"), "{sound:?}");
}

#[test]
fn an_unknown_bug_names_those_there_are() {
    for name in ["list", "something else"] {
        let refused = run_in(Path::new("."), ["sim", "run", "--plant", name]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(BUG) && refused.err.contains(name), "{refused:?}");
    }
}
