use crate::run_seed;

/// The seeds of every build. More: `ombak sim run --seeds N`.
const SEEDS: u64 = 60;

#[test]
fn the_first_seeds_hold() {
    let run = |seed| run_seed(seed, 0).unwrap_or_else(|failure| panic!("{failure}"));
    let grants: Vec<usize> = (0..SEEDS).map(|seed| run(seed).grants).collect();
    let lock = grants.iter().filter(|grants| **grants > 0).count() as u64;
    assert!((SEEDS / 5..SEEDS / 2).contains(&lock), "locks in {lock} of them");
    assert!(grants.iter().sum::<usize>() > 500, "{grants:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 2, 3] {
        let (first, second) = (run_seed(seed, 0), run_seed(seed, 0));
        assert_eq!(first, second);
        assert_ne!(
            first.map(|run| run.trace_hash),
            run_seed(seed + 100, 0).map(|run| run.trace_hash)
        );
    }
}

/// The crates that run in simulated clusters. The client's pool does not: what is planted and probed there belongs to the
/// tests of that crate.
const CRATES: [&str; 5] = ["base", "cluster", "crdt", "kv", "node"];

/// What stands in quotes behind `opens` in the production code, in order.
fn named_in_the_code(opens: &str) -> Vec<String> {
    let all: std::collections::BTreeSet<String> =
        CRATES.iter().flat_map(|name| named_in(name, opens)).collect();
    all.into_iter().collect()
}

/// The same of one crate.
fn named_in(name: &str, opens: &str) -> std::collections::BTreeSet<String> {
    let crates = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = std::collections::BTreeSet::new();
    let mut folders = vec![crates.join(name).join("src")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let names = text.split(opens).skip(1).filter_map(|rest| rest.split_once('"'));
                found.extend(names.map(|(name, _)| name.to_owned()));
            }
        }
    }
    found
}

#[test]
fn every_planted_bug_is_listed() {
    let mut listed: Vec<_> = crate::PLANTED.iter().map(|planted| planted.name).collect();
    listed.sort_unstable();
    assert_eq!(named_in_the_code("planted!(\""), listed);
}

#[test]
fn every_place_that_is_to_be_reached_is_listed() {
    let is_of_consensus = |name: &&str| name.starts_with("paxos: ") || name.starts_with("locks: ");
    let (of_consensus, own): (Vec<&str>, Vec<&str>) =
        crate::SOMETIMES.iter().copied().partition(is_of_consensus);
    assert_eq!(named_in_the_code(SOMETIMES), own);
    let (all, must) = (named_in("paxos", "probe(\""), named_in("paxos", SOMETIMES));
    for name in &of_consensus {
        assert!(all.contains(*name) || must.contains(*name), "{name} is not in the code");
    }
    assert!(must.iter().all(|name| of_consensus.contains(&name.as_str())), "{must:?}");
}

const SOMETIMES: &str = "sometimes!(fx, \"";

/// Each planted bug is found within so many seeds, by a rule that it is meant to break.
#[cfg(debug_assertions)]
#[test]
#[expect(clippy::disallowed_methods, reason = "how long a search takes is shown")]
fn every_planted_bug_is_found() {
    let mut found_names = Vec::new();
    for planted in crate::PLANTED {
        ombak_base::property::plant(planted.name);
        let begun = std::time::Instant::now();
        let (found, took) = (find(planted.name), begun.elapsed());
        ombak_base::property::plant("");
        let failure = found.unwrap_or_else(|| panic!("{} was not found", planted.name));
        let meant = |rule: &&str| failure.rule == **rule || failure.detail.contains(*rule);
        println!("{}: seed {}, {took:.1?}, {}", planted.name, failure.plan.seed, failure.rule);
        assert!(
            planted.breaks.iter().any(meant),
            "{} broke something else: {failure}",
            planted.name
        );
        found_names.push(planted.name);
    }
    CRATES.iter().for_each(|name| tell_score(name, &found_names));
}

/// How many of the bugs that are planted in a crate were found. One may stand in two.
#[cfg(debug_assertions)]
fn tell_score(name: &str, found: &[&str]) {
    use std::io::{Write, stdout};

    let planted = named_in(name, "planted!(\"");
    let count = planted.iter().filter(|bug| found.contains(&bug.as_str())).count();
    if !planted.is_empty() {
        // What `println!` prints is not shown of a test that passes.
        writeln!(stdout(), "score: {name}: {count} of {} planted bugs found", planted.len())
            .unwrap();
    }
}

/// One of them needs a coordinator that crashes in the few milliseconds between the others' sync and its own, and that names
/// the next write of the same key: one seed in thousands, and most runs of its scenario.
#[cfg(debug_assertions)]
fn find(name: &str) -> Option<crate::Failure> {
    if name == FOUND_BY_ITS_SCENARIO {
        let seed = *crate::scenarios::found::lost_by_their_coordinator().first()?;
        let detail = "a write that its coordinator lost".into();
        let plan = crate::Plan::of_seed(seed);
        return Some(crate::Failure { plan, rule: "nothing is lost".into(), detail });
    }
    (0..3_000).find_map(|seed| run_seed(seed, 0).err())
}

#[cfg(debug_assertions)]
const FOUND_BY_ITS_SCENARIO: &str = "one name for all boots";

#[cfg(debug_assertions)]
const MADE_SMALL_EVERY_TIME: &str = "quorum counted by messages instead of nodes";

/// What breaks a planted bug is made small enough to be read: at most twice what a person would need. `WORLDS_SHRINK=all`, as
/// `.ci/deep` sets it, does so for each of them, which takes minutes.
#[cfg(debug_assertions)]
#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "who runs it says how many; how long it takes is shown"
)]
fn planted_bugs_are_made_small() {
    let mut large = Vec::new();
    let all = std::env::var("WORLDS_SHRINK").is_ok_and(|which| which == "all");
    let is_asked =
        |name| if all { name != FOUND_BY_ITS_SCENARIO } else { name == MADE_SMALL_EVERY_TIME };
    for planted in crate::PLANTED.iter().filter(|planted| is_asked(planted.name)) {
        ombak_base::property::plant(planted.name);
        let begun = std::time::Instant::now();
        let smallest = smallest(planted);
        ombak_base::property::plant("");
        let smallest = smallest.unwrap_or_else(|| panic!("{} was not found", planted.name));
        let (steps, took) = (smallest.steps(), begun.elapsed());
        println!("{}: {steps} steps, {took:.0?}\n{}", planted.name, smallest.script);
        if steps > 2 * planted.steps {
            large.push(format!("{}: {steps}, where {} would do", planted.name, planted.steps));
        }
    }
    assert!(large.is_empty(), "{large:?}");
}

/// The smallest run of the first few seeds that break something.
#[cfg(debug_assertions)]
fn smallest(planted: &crate::Planted) -> Option<crate::Shrunk> {
    let mut best: Option<crate::Shrunk> = None;
    for seed in (0..3_000).filter(|seed| run_seed(*seed, 0).is_err()).take(5) {
        let shrunk = crate::shrink_script(&crate::record_seed(seed).ok()?, 500, |_| {}).ok()?;
        if best.as_ref().is_none_or(|best| shrunk.steps() < best.steps()) {
            best = Some(shrunk);
        }
        if best.as_ref().is_some_and(|best| best.steps() <= 2 * planted.steps) {
            break;
        }
    }
    best
}
