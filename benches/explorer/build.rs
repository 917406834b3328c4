//! Takes the models out of stateright's examples, as the registry has them: all that stands before their tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

fn main() {
    let examples = stateright().join("examples");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    for name in ["2pc.rs", "paxos.rs"] {
        let text = fs::read_to_string(examples.join(name)).expect("the crate ships its examples");
        let model = text.split("#[cfg(test)]").next().expect("split gives one");
        // Documentation of a whole file cannot be included in the middle of another.
        let lines = model.lines().filter(|line| !line.starts_with("//!"));
        fs::write(out.join(name), lines.collect::<Vec<_>>().join("\n"))
            .expect("OUT_DIR is writable");
    }
    println!("cargo::rerun-if-changed=Cargo.lock");
}

/// Where cargo has unpacked the crate.
fn stateright() -> PathBuf {
    let cargo = env::var_os("CARGO").expect("cargo sets it");
    let metadata =
        Command::new(cargo).args(["metadata", "--format-version", "1", "--offline"]).output();
    let text = String::from_utf8(metadata.expect("cargo runs").stdout).expect("JSON is UTF-8");
    let paths =
        text.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let mut manifests = paths.filter(|path| path.contains("/stateright-"));
    let manifest = manifests.next().expect("it is a dependency");
    Path::new(manifest).parent().expect("a manifest is in a directory").to_owned()
}
