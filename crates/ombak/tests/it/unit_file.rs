//! The systemd unit that the documentation offers.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use crate::support::process::{ombak, run, spawn, succeeds};
use crate::support::skipped;

const UNIT: &str = include_str!("../../../../docs/operate/ombak.service");

/// The keys of each section, and their values.
fn sections(unit: &str) -> BTreeMap<&str, BTreeMap<&str, &str>> {
    let mut sections: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut section = "";
    for line in unit.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let (key, value) = line.split_once('=').unwrap();
                let before = sections.entry(section).or_default().insert(key, value);
                assert_eq!(before, None, "{key} comes twice");
            }
        }
    }
    sections
}

#[test]
fn it_has_what_a_node_needs() {
    let unit = sections(UNIT);
    for (section, key, value) in [
        ("Unit", "After", "network-online.target"),
        ("Unit", "Wants", "network-online.target"),
        ("Service", "User", "ombak"),
        // Where `ombak lock` looks for the socket, and where the data is: both writable in spite of ProtectSystem.
        ("Service", "RuntimeDirectory", "ombak"),
        ("Service", "StateDirectory", "ombak"),
        ("Service", "ProtectSystem", "strict"),
        ("Service", "Restart", "on-failure"),
        ("Service", "KillSignal", "SIGTERM"),
        ("Install", "WantedBy", "multi-user.target"),
    ] {
        assert_eq!(unit[section].get(key), Some(&value), "[{section}] {key}");
    }
    assert_eq!(unit.keys().copied().collect::<Vec<_>>(), ["Install", "Service", "Unit"]);
}

/// The options are those that this version has, and lead to where the unit's directories are.
#[test]
fn it_starts_this_program() {
    let start = sections(UNIT)["Service"]["ExecStart"];
    let words: Vec<&str> = start.split_whitespace().collect();
    assert_eq!(words[..2], ["/usr/bin/ombak", "start"]);
    let options: BTreeMap<&str, &str> = words[2..].chunks(2).map(|two| (two[0], two[1])).collect();
    assert_eq!(options["--dir"], "/var/lib/ombak");
    assert_eq!(options["--socket"], "/run/ombak/socket");
    let help = run(["start", "--help"]).out;
    for option in options.keys() {
        assert!(help.contains(option), "{option} is no option of `ombak start`");
    }
}

/// As systemd itself reads it, where there is one; the program is the one that is tested.
#[test]
fn systemd_has_nothing_to_say_against_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ombak.service");
    let program = ombak().get_program().to_str().unwrap().to_string();
    fs::write(&path, UNIT.replace("/usr/bin/ombak", &program)).unwrap();
    let analyze = || Command::new("systemd-analyze");
    if !succeeds(analyze().arg("--version").stdout(Stdio::null())) {
        return skipped("there is no systemd-analyze");
    }
    let mut verify = analyze();
    verify.arg("verify").arg(&path).stderr(Stdio::piped());
    let verified = spawn(&mut verify).wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("ombak.service"), "{said}");
}
