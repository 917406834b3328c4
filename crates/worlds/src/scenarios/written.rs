//! Scenarios in the language of schedules: what is in `crates/worlds/scenarios`.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Ended, Kept, Schedule, broken_name, run_script};

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

fn read(file: &Path) -> (String, Schedule) {
    let text = fs::read_to_string(file).unwrap();
    let schedule = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (text, schedule)
}

/// What a schedule breaks by name, and what was seen. A way through an exploration that cannot be taken breaks that.
fn broken(schedule: &Schedule) -> Option<(String, String)> {
    match schedule {
        Schedule::Script(script) => {
            run_script(script).err().map(|failure| (failure.broken().into(), failure.to_string()))
        }
        Schedule::Route(route) => match route.take(Kept::default()).unwrap().ended {
            Ended::Holds(_) => None,
            Ended::Broken(broken) => Some((broken_name(&broken).into(), broken)),
            Ended::Stuck(error) => Some(("it can be taken".into(), error.to_string())),
        },
    }
}

#[test]
fn schedules_hold() {
    let broken: Vec<String> = files()
        .iter()
        .filter_map(|file| Some(format!("{}: {}", file.display(), broken(&read(file).1)?.1)))
        .collect();
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

/// A schedule that a bug does not break tests nothing of what it was written for.
#[cfg(debug_assertions)]
#[test]
fn schedules_are_broken_by_what_is_planted() {
    let mut wrong = Vec::new();
    for file in files() {
        let (text, schedule) = read(&file);
        let Some(planted) = text.lines().find_map(|line| line.strip_prefix(PLANTED)) else {
            continue;
        };
        let (bug, rule) = planted.split_once(": ").unwrap_or((planted, ""));
        let planted = crate::PLANTED.iter().find(|planted| planted.name == bug);
        let planted = planted.unwrap_or_else(|| panic!("{}: no bug \"{bug}\"", file.display()));
        ombak_base::property::plant(planted.name);
        let broken = broken(&schedule);
        ombak_base::property::plant("");
        // What an exploration expects has names of its own.
        let may_break = planted.breaks.contains(&rule) || matches!(schedule, Schedule::Route(_));
        if !may_break || broken.as_ref().is_none_or(|(name, _)| name != rule) {
            wrong.push(format!("{}: {broken:?}", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
