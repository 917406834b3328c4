//! The embedding that the documentation promises: short, and the one that runs.

use std::fs;
use std::path::Path;

fn text(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn examples_are_shorter_than_100_lines() {
    let c = |example| format!("../capi/examples/c/{example}.c");
    let rust = |example| format!("examples/{example}.rs");
    for path in [rust("counter"), rust("leader"), c("counter"), c("leader")] {
        let lines = text(&path).lines().count();
        assert!(lines < 100, "{path}: {lines}");
    }
}

#[test]
fn the_readme_of_paxos_has_the_counter_as_it_is() {
    let example = text("examples/counter.rs");
    let code = &example[example.find("use std::error").expect("where the code begins")..];
    assert!(text("../paxos/README.md").contains(&format!("```rust\n{code}```\n")));
}
