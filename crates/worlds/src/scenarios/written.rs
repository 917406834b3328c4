//! Scenarios in the language of schedules: what is in `crates/worlds/scenarios`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Script, run_script};

/// Behind it in a file's comments: a bug of [`PLANTED`](crate::PLANTED), and the rule that breaks with it.
#[cfg(debug_assertions)]
const PLANTED: &str = "-- planted: ";

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let mut files: Vec<PathBuf> = files.collect();
    files.sort();
    files
}

fn read(file: &Path) -> (String, Script) {
    let text = fs::read_to_string(file).unwrap();
    let script = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (text, script)
}

#[test]
fn schedules_hold() {
    let broken: Vec<String> = files()
        .iter()
        .filter_map(|file| {
            Some(format!("{}: {}", file.display(), run_script(&read(file).1).err()?))
        })
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A schedule that a bug does not break tests nothing of what it was written for.
#[cfg(debug_assertions)]
#[test]
fn schedules_are_broken_by_what_is_planted() {
    let mut wrong = Vec::new();
    for file in files() {
        let (text, script) = read(&file);
        let Some(planted) = text.lines().find_map(|line| line.strip_prefix(PLANTED)) else {
            continue;
        };
        let (bug, rule) = planted.split_once(": ").unwrap_or((planted, ""));
        let planted = crate::PLANTED.iter().find(|planted| planted.name == bug);
        let planted = planted.unwrap_or_else(|| panic!("{}: no bug \"{bug}\"", file.display()));
        ombak_base::property::plant(planted.name);
        let ended = run_script(&script);
        ombak_base::property::plant("");
        let is_meant =
            |failure: &crate::Failure| planted.breaks.contains(&rule) && failure.broken() == rule;
        if !ended.as_ref().is_err_and(is_meant) {
            wrong.push(format!("{}: {ended:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
