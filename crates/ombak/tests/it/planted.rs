//! `ombak sim run --plant` and `ombak sim explore --plant`: a bug that is planted is found, and played again.

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
fn a_planted_bug_is_found_by_the_explorer_and_played() {
    let dir = tempfile::tempdir().unwrap();
    let explored = run_in(dir.path(), ["sim", "explore", "write-write-read", "--plant", BUG]);
    assert_eq!(explored.code, Some(3), "{explored:?}");
    let broken = "always \"a read finds what was acknowledged before it\"";
    assert!(explored.out.contains(&format!("broken after 10 steps: {broken}")), "{explored:?}");
    let name = "ombak-explore-write-write-read";
    let (file, page) = (format!("{name}.schedule"), format!("{name}.html"));
    let advice =
        format!("play it with `ombak sim --replay {file} --plant \"{BUG}\"`; {page} draws");
    assert!(explored.err.contains(&advice), "{explored:?}");
    assert_eq!(names_in(dir.path()), [page.as_str(), &file]);

    let replay = ["sim", "--replay", &file];
    let options = ["--plant", BUG, "--trace", "2", "--html", "again.html"];
    let planted = run_in(dir.path(), replay.iter().chain(&options));
    assert_eq!(planted.code, Some(3), "{planted:?}");
    assert!(planted.err.contains(&format!("{file}: after 10 steps: {broken}")), "{planted:?}");
    assert!(planted.out.starts_with("n1 hears from n2: "), "{planted:?}");
    assert_eq!(planted.out.lines().count(), 3, "two steps, and where the page is: {planted:?}");
    let drawn = |page: &str| fs::read_to_string(dir.path().join(page)).unwrap();
    assert_eq!(drawn("again.html"), drawn(&page));
    assert!(drawn(&page).contains("10 steps: all "));

    let sound = run_in(dir.path(), replay);
    assert_eq!(sound.code, Some(0), "{sound:?}");
    assert!(sound.out.contains("it holds: 10 steps, "), "{sound:?}");

    // By hand: with two more steps behind it, with a step that cannot be taken, and cut short.
    let text = drawn(&file);
    let longer = text.replace("\nend\n", "\nn1 sync\nn2 sync\nend\n");
    for (changed, says) in [
        (longer, "2 more are not taken"),
        (text.replace("n2 sync\n", "n2 sync\nn2 sync\n"), "line 9: \"n2 sync\" cannot happen here"),
        (text.replace("\nend\n", "\n"), "has no \"end\": it was cut short"),
        (text.replace("client 1", "client 3"), "line 6: client 3: there are 3, from 0 on"),
    ] {
        fs::write(dir.path().join(&file), changed).unwrap();
        let told = run_in(dir.path(), replay.iter().chain(&["--plant", BUG]));
        assert_eq!(told.code, Some(3), "{told:?}");
        assert!(told.err.contains(says) && told.err.lines().count() == 1, "{told:?}");
    }
}

#[test]
fn an_unknown_bug_names_those_there_are() {
    let explore = ["sim", "explore", "write-read", "--plant"];
    for (name, command) in [("list", &["sim", "run", "--plant"][..]), ("something else", &explore)]
    {
        let refused = run_in(Path::new("."), command.iter().chain(&[name]));
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains(BUG) && refused.err.contains(name), "{refused:?}");
    }
}
