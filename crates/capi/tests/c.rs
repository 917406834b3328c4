//! The library as C sees it: the header against what is built, and C programs that are compiled and run.

#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

#[path = "../../embed/tests/it/support.rs"]
mod support;

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use ombak_capi::{CODES, LAYOUT};
use support::{
    a_counter_keeps_what_was_acknowledged, a_leader_is_replaced, built, three_addresses,
};

const HEADER: &str = include_str!("../include/ombak.h");
/// What `rustc --print native-static-libs` names, and `cc` does not link by itself.
const STATIC_NEEDS: [&str; 3] = ["-lpthread", "-ldl", "-lm"];

enum Link {
    Static,
    Shared,
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Runs a program. `None`: there is no such program, which is said aloud.
fn run(command: &mut Command) -> Option<String> {
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            // What `println!` prints is not shown of a test that passes.
            let told = format!("\nSKIPPED, and nothing was tested: {command:?}: {error}\n");
            io::stdout().write_all(told.as_bytes()).unwrap();
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{command:?}: {}: {said}", output.status);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn cc() -> Command {
    let mut cc = Command::new(std::env::var_os("CC").unwrap_or("cc".into()));
    cc.args(["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-O1", "-I"]);
    cc.arg(here("include"));
    cc
}

/// Compiles a program into `dir`. `None`: there is no compiler.
fn compile(source: &Path, dir: &Path, link: Link) -> Option<PathBuf> {
    let program = dir.join(source.file_stem().unwrap());
    let libraries = built("deps");
    let mut cc = cc();
    cc.arg(source).arg("-o").arg(&program);
    match link {
        Link::Static => cc.arg(libraries.join("libombak_capi.a")).args(STATIC_NEEDS),
        Link::Shared => {
            cc.arg(libraries.join("libombak_capi.so")).arg("-lpthread");
            cc.arg(format!("-Wl,-rpath,{}", libraries.display()))
        }
    };
    run(&mut cc).map(|_| program)
}

/// The functions that the header declares: what a `(` follows, outside of comments.
fn declared() -> BTreeSet<String> {
    let mut rest = HEADER;
    let mut code = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        code += before;
        rest = after.split_once("*/").unwrap().1;
    }
    code += rest;
    let calls = code.split('(').filter_map(|before| before.split_whitespace().last());
    let names = calls.map(|name| name.trim_start_matches('*'));
    names.filter(|name| name.starts_with("ombak_")).map(str::to_string).collect()
}

fn exported(arguments: &[&str], library: &str) -> Option<BTreeSet<String>> {
    let symbols = run(Command::new("nm").args(arguments).arg(built("deps").join(library)))?;
    let names = symbols.lines().filter_map(|line| line.split_whitespace().next());
    Some(names.map(str::to_string).collect())
}

#[test]
fn the_shared_library_exports_what_the_header_declares_and_nothing_else() {
    let arguments = ["-D", "--defined-only", "--format=posix"];
    let Some(exported) = exported(&arguments, "libombak_capi.so") else { return };
    assert_eq!(exported, declared());
    assert!(declared().len() > 5);
}

#[test]
fn the_header_and_the_library_mean_the_same_codes() {
    let lines = HEADER.lines().filter_map(|line| line.strip_prefix("#define OMBAK_"));
    let pairs = lines.filter_map(|line| line.split_once(' '));
    let numbers = pairs.filter_map(|(name, number)| Some((name, number.parse::<i64>().ok()?)));
    let (sizes, codes): (Vec<_>, Vec<_>) = numbers.partition(|(name, _)| name.ends_with("_MAX"));
    let own = CODES
        .iter()
        .map(|(name, code, _)| (name.strip_prefix("OMBAK_").unwrap(), i64::from(code.0)));
    assert_eq!(codes, own.collect::<Vec<_>>());
    let max = ombak_embed::COMMAND_BYTES_MAX as i64;
    let voters = ombak_embed::VOTERS_MAX as i64;
    assert_eq!(sizes, [("COMMAND_BYTES_MAX", max), ("VOTERS_MAX", voters)]);
}

#[test]
fn the_header_and_the_library_mean_the_same_layout() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("layout.c");
    let print = |(what, _): &(&str, usize)| format!("    printf(\"%zu\\n\", {what});\n");
    let prints: String = LAYOUT.iter().map(print).collect();
    let text = format!(
        "#include <stdio.h>\n#include <stddef.h>\n#include \"ombak.h\"\nint main(void) {{\n{prints}    return 0;\n}}\n"
    );
    std::fs::write(&source, text).unwrap();
    let Some(program) = compile(&source, dir.path(), Link::Shared) else { return };
    let said = run(&mut Command::new(program)).unwrap();
    let theirs: Vec<usize> = said.lines().map(|line| line.parse().unwrap()).collect();
    let ours: Vec<usize> = LAYOUT.iter().map(|(_, size)| *size).collect();
    assert_eq!(theirs, ours, "{LAYOUT:?}");
}

#[test]
fn the_header_is_cpp_too() {
    let mut cpp = Command::new("c++");
    cpp.args([
        "-std=c++11",
        "-Wall",
        "-Wextra",
        "-Wpedantic",
        "-Werror",
        "-fsyntax-only",
        "-x",
        "c++",
    ]);
    let _ = run(cpp.arg(here("include/ombak.h")).arg("-Wno-pragma-once-outside-header"));
}

#[test]
fn a_caller_that_does_wrong_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    for link in [Link::Shared, Link::Static] {
        let data = tempfile::tempdir().unwrap();
        let source = here("tests/c/border.c");
        let Some(program) = compile(&source, dir.path(), link) else { return };
        run(Command::new(program).arg(data.path())).unwrap();
    }
}

#[test]
fn a_witness_a_learner_a_lease_and_a_quorum_of_all() {
    let dir = tempfile::tempdir().unwrap();
    let source = here("tests/c/members.c");
    let Some(program) = compile(&source, dir.path(), Link::Static) else { return };
    run(Command::new(program).args(three_addresses())).unwrap();
}

#[test]
fn the_counter_in_c_keeps_what_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let source = here("examples/c/counter.c");
    if let Some(program) = compile(&source, dir.path(), Link::Shared) {
        a_counter_keeps_what_was_acknowledged(program);
    }
}

#[test]
fn the_leader_in_c_is_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let source = here("examples/c/leader.c");
    if let Some(program) = compile(&source, dir.path(), Link::Static) {
        a_leader_is_replaced(program);
    }
}
