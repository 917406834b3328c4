//! The program as its users see it: options, errors, exit codes, the demo, and the commands that talk to nodes.

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::alone::{start_alone, stop, wait_up};
use crate::support::demo::{Demo, is_gone, port_options};
use crate::support::pb::{Pb, put_req};
use crate::support::ports::Ports;
use crate::support::process::{Finished, Output, PATIENCE, Process, ombak, run, spawn, succeeds};

/// One line that begins with the program's name.
fn one_line(finished: &Finished, code: i32) -> &str {
    assert_eq!(finished.code, Some(code), "{finished:?}");
    assert_eq!(finished.out, "");
    assert_eq!(finished.err.lines().count(), 1, "{}", finished.err);
    finished.err.strip_prefix("ombak: ").unwrap()
}

#[test]
fn wrong_usage_is_exit_code_2_and_says_what_is_right() {
    for (line, says) in [
        ("", "demo"),
        ("nonsense", "nonsense"),
        ("start --nonsense", "--nonsense"),
        ("demo --nodes 0", "--nodes"),
        ("demo --ring-size 7 --nodes 0", "--nodes"),
        ("put users alice", "VALUE"),
        ("get users alice --r most", "one, quorum, all"),
        ("sim run", "--seed"),
        ("sim run --seeds 0", "a whole number from 1"),
        ("sim run --minutes 1.5", "a whole number from 1"),
        ("sim explore write-read --memory-max 0", "a whole number from 1"),
        ("sim explore write-read --states-max 0", "a whole number from 1"),
        ("sim explore --plant list", "a merge that trusts any tag"),
        ("sim --trace 5", "--replay"),
        ("sim --replay f run --seed 1", "'run' cannot be used with '--replay"),
        ("sim --conform f --skew-ms 86400001", "up to 86400000"),
        ("bench --gets 101", "--gets"),
    ] {
        let finished = run(line.split_whitespace());
        assert_eq!(finished.code, Some(2), "{line}: {finished:?}");
        assert!(finished.err.contains(says), "{line}: {finished:?}");
    }
    for (line, says) in [
        ("start", "--dir"),
        ("start --dir d --ring-size 7", "power of two"),
        ("start --dir d --delete-mode soon", "milliseconds"),
        ("start --dir d --pb 0.0.0.0:8087", "--insecure"),
        ("start --dir d --http 192.0.2.1:8098", "--insecure"),
        ("start --dir d --members n2=127.0.0.1:1", "--name"),
        ("start --dir d --name n1 --members n1=10.0.0.1:29099", "--insecure"),
        ("start --dir d --name n1 --members n1=127.0.0.1:1,n2=127.0.0.1:1", "n1 and n2"),
        ("start --dir d --name n1 --members n1=127.0.0.1:1,n2=127.0.0.1:8099", "--peer"),
        ("start --config /no/such/file", "--print-config"),
        ("start --dir d --log ,=,", "--log"),
        ("demo --ring-size 7", "power of two"),
        ("demo --pb-port 65530", "65535"),
        ("demo --backend memory --dir d", "--backend memory"),
        ("get / alice", "cannot be empty"),
        ("bench --keys 0", "--keys"),
        ("sim explore write-reed", "there is no \"write-reed\" to explore, but write-read, "),
        ("sim run --seed 1 --fork 9:1 --fork 3:1", "--fork 3:1 is before --fork 9:1"),
        ("sim --replay f --html f", "take the place of the schedule"),
    ] {
        let finished = run(line.split_whitespace());
        assert!(one_line(&finished, 2).contains(says), "{line}: {finished:?}");
    }
    assert!(!Path::new("d").exists(), "nothing was made");
}

#[test]
fn help_teaches() {
    let all = "demo start status top ring repair get put del bench";
    let inner =
        "sim run,sim explore,store stat,store verify,bucket list,bucket props,bench compare";
    for command in all.split(' ').chain(inner.split(',')) {
        let finished = run(command.split(' ').chain(["--help"]));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        assert!(finished.out.contains("Examples:"), "{command}: {}", finished.out);
    }
}

#[test]
fn a_wrong_config_file_names_file_line_and_word() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("node.toml");
    fs::write(&file, "name = \"n1\"\nprot = 8087\n").unwrap();
    let finished = run(["start".as_ref(), "--config".as_ref(), file.as_os_str()]);
    let line = one_line(&finished, 2);
    assert!(line.contains("node.toml: line 2") && line.contains("prot"), "{line}");
}

#[test]
fn a_node_runs_from_the_file_that_print_config_writes() {
    let ports = Ports::take();
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data").display().to_string();
    let pb = ports.address(1).to_string();
    let http = ports.address(2).to_string();
    let printed = run([
        "start",
        "--print-config",
        "--dir",
        &data,
        "--name",
        "solo",
        "--pb",
        &pb,
        "--http",
        &http,
    ]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let file = dir.path().join("node.toml");
    fs::write(&file, &printed.out).unwrap();
    // The command line wins.
    let mut node = Process::ombak([
        "start".as_ref(),
        "--config".as_ref(),
        file.as_os_str(),
        "--ring-size".as_ref(),
        "8".as_ref(),
    ]);
    wait_up(&mut node);
    let status = run(["status", "--json", "--node", &http]);
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["node"], "solo");
    assert_eq!(status["ring_size"], 8);
    stop(node, Signal::INT);
}

#[test]
fn a_taken_port_is_found_before_anything_starts() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("demo").display().to_string();
    for (number, option) in [(20, "--pb-port"), (31, "--http-port"), (12, "--http-port")] {
        let ports = Ports::take();
        let _taken = ports.hold(number);
        let options = port_options(&ports);
        let arguments =
            ["demo", "--dir", &root].into_iter().chain(options.iter().map(String::as_str));
        let finished = run(arguments);
        let line = one_line(&finished, 3);
        assert!(
            line.contains(&ports.address(number).to_string()) && line.contains(option),
            "{line}"
        );
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0, "nothing was started");
    }
    let ports = Ports::take();
    let _taken = ports.hold(1);
    let mut node = start_alone(&ports, dir.path(), &["--log", "error"]);
    assert_eq!(node.wait().code(), Some(3));
    let text = node.text(Output::Err);
    assert!(text.contains(&ports.address(1).to_string()) && text.contains("--pb"), "{text}");
}

#[test]
fn a_directory_that_is_held_or_newer_is_refused() {
    let (ports, others) = (Ports::take(), Ports::take());
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("dev1");
    let mut node = start_alone(&ports, &data, &[]);
    wait_up(&mut node);
    let mut second = start_alone(&others, &data, &["--log", "error"]);
    assert_eq!(second.wait().code(), Some(3));
    assert!(
        second.text(Output::Err).contains("in use by another process"),
        "{}",
        second.all_text()
    );
    let root = dir.path().display().to_string();
    let options = port_options(&others);
    let demo = |more: &[&str]| {
        let options = options.iter().map(String::as_str);
        run(["demo", "--dir", &root].into_iter().chain(options).chain(more.iter().copied()))
    };
    let held = demo(&[]);
    assert!(one_line(&held, 3).contains("in use by another process"), "{held:?}");
    stop(node, Signal::TERM);
    // Free now, but it was made by a node that was alone, with another ring.
    let other = demo(&[]);
    assert!(one_line(&other, 3).contains("--ring-size 8"), "{other:?}");
    let identity = data.join("node.toml");
    let text = fs::read_to_string(&identity).unwrap();
    assert!(text.contains("format = 1\n"), "the demo knows this format: {text}");
    fs::write(&identity, text.replace("format = 1\n", "format = 99\n")).unwrap();
    let newer = demo(&[]);
    assert!(one_line(&newer, 3).contains("newer version"), "{newer:?}");
    // Now the store alone is newer.
    fs::write(&identity, text).unwrap();
    let store = data.join("format");
    assert!(
        fs::read_to_string(&store).unwrap().starts_with("ombak-log "),
        "the demo knows this file"
    );
    fs::write(&store, "ombak-log 99\n").unwrap();
    let newer = demo(&["--ring-size", "8", "--nodes", "1"]);
    assert!(one_line(&newer, 3).contains("newer version"), "{newer:?}");
    assert!(!dir.path().join("dev1.log").exists(), "nothing was started");
    assert!(!dir.path().join("dev2").exists(), "nothing was started");
}

#[test]
fn a_demo_serves_all_clients_and_ctrl_c_stops_all_of_it() {
    let mut demo = Demo::start(&[]);
    let temporary = demo.directory();
    assert_eq!(
        demo.process.text(Output::Out).lines().filter(|l| l.starts_with("ready")).count(),
        1
    );

    // The commands that it proposes work as they stand.
    let ready = demo.process.text(Output::Out).lines().last().unwrap().to_string();
    let commands: Vec<&str> = ready.split('`').skip(1).step_by(2).collect();
    assert_eq!(commands.len(), 3, "{ready}");
    for command in commands {
        let finished = run(command.split(' ').skip(1));
        assert_eq!(finished.code, Some(0), "{command}: {finished:?}");
    }
    let got = demo.run(1, &["get", "users", "alice"]);
    assert_eq!((got.code, got.out.trim_end()), (Some(0), "hello"), "{got:?}");
    let url = format!("http://{}/buckets/users/keys/alice", demo.http(2));
    assert_eq!(ureq::get(&url).call().unwrap().body_mut().read_to_string().unwrap(), "hello");
    ureq::put(&url).header("Content-Type", "text/plain").send("curled").unwrap();
    assert_eq!(demo.run(0, &["get", "users", "alice"]).out.trim_end(), "curled");
    let json: Value =
        serde_json::from_str(&demo.run(0, &["get", "users", "alice", "--json"]).out).unwrap();
    assert_eq!(json["siblings"][0]["value"], "curled");
    assert!(json["context"].is_string(), "{json}");
    assert_eq!(demo.run(1, &["del", "users", "alice"]).code, Some(0));
    for command in ["get", "del"] {
        let gone = demo.run(2, &[command, "users", "alice"]);
        assert!(one_line(&gone, 1).contains("users/alice is not found"), "{gone:?}");
    }
    let refused = demo.run(0, &["put", "users", "alice", "x", "--w", "4"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");

    let pids: Vec<i32> = (0..3).map(|node| demo.pid(node)).collect();
    demo.process.signal(Signal::INT);
    assert!(demo.process.wait().success(), "{}", demo.process.all_text());
    assert_eq!(demo.process.text(Output::Err), "", "nobody had to be killed");
    assert!(pids.iter().all(|pid| is_gone(*pid)), "{pids:?}");
    assert!(!Path::new(&temporary).exists(), "{temporary}");
}

#[test]
fn what_is_put_into_a_demo_with_a_directory_is_there_next_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::in_dir(dir.path());
    for at in 0..20 {
        let key = format!("k{at}");
        let mut pb = Pb::connect(demo.pb(at % 3)).unwrap();
        pb.put(put_req("b", &key, &format!("v{at}"))).unwrap();
    }
    demo.process.signal(Signal::TERM);
    assert!(demo.process.wait().success(), "{}", demo.process.all_text());
    drop(demo);
    let demo = Demo::in_dir(dir.path());
    for at in 0..20 {
        let got = demo.run(at % 3, &["get", "b", &format!("k{at}")]);
        assert_eq!(got.out.trim_end(), format!("v{at}"), "{got:?}");
    }
}

#[test]
fn a_node_that_dies_is_reported_and_the_others_go_on() {
    let mut demo = Demo::start(&[]);
    demo.run(0, &["put", "users", "alice", "hello"]);
    kill_process(Pid::from_raw(demo.pid(1)).unwrap(), Signal::KILL).unwrap();
    let line = demo.process.wait_line("report", |output, _| output == Output::Err);
    assert!(line.contains("dev2@127.0.0.1") && line.contains("signal: 9"), "{line}");
    assert_eq!(demo.run(2, &["get", "users", "alice"]).out.trim_end(), "hello");
    let status = demo.run(0, &["status"]);
    assert!(status.out.contains("no connection to dev2@127.0.0.1"), "{}", status.out);
    demo.process.signal(Signal::INT);
    assert!(demo.process.wait().success());
}

#[test]
fn nodes_do_not_outlive_a_demo_that_is_killed() {
    // Not a temporary directory of the demo's own, which nobody would remove.
    let dir = tempfile::tempdir().unwrap();
    let mut demo = Demo::in_dir(dir.path());
    let connections: Vec<TcpStream> = (0..3).map(|node| connect(demo.pb(node))).collect();
    demo.process.kill();
    for mut connection in connections {
        let mut rest = Vec::new();
        // The end of the node, or its reset; anything but the timeout.
        match connection.read_to_end(&mut rest) {
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn tables_and_json_say_how_a_cluster_is() {
    let demo = Demo::start(&["--nodes", "2"]);
    let status = demo.run(0, &["status"]);
    assert!(status.out.contains("dev2@127.0.0.1") && status.out.contains("up"), "{}", status.out);
    let status: Value = serde_json::from_str(&demo.run(1, &["status", "--json"]).out).unwrap();
    assert_eq!(status["vnodes"].as_array().unwrap().len(), 16);
    let ring = demo.run(0, &["ring"]);
    assert_eq!(ring.out.lines().filter(|line| line.contains("dev1@")).count(), 16, "{}", ring.out);
    let ring: Value = serde_json::from_str(&demo.run(0, &["ring", "--json"]).out).unwrap();
    assert_eq!(ring["rows"][15].as_array().unwrap().len(), 2);
    let repaired = demo.run(0, &["repair"]);
    assert_eq!((repaired.code, repaired.err.as_str()), (Some(0), ""), "{repaired:?}");
    let repaired: Value = serde_json::from_str(&demo.run(0, &["repair", "--json"]).out).unwrap();
    assert_eq!(repaired["incomplete"], Value::Array(vec![]));

    Pb::connect(demo.pb(0)).unwrap().allow_mult("many", true).unwrap();
    for value in ["one", "two"] {
        assert_eq!(demo.run(0, &["put", "many", "k", value]).code, Some(0));
    }
    let listed = demo.run(1, &["get", "many", "k"]);
    assert_eq!(listed.code, Some(0), "{listed:?}");
    assert!(listed.err.contains("2 concurrent values"), "{}", listed.err);
    assert!(listed.out.contains("one") && listed.out.contains("two"), "{}", listed.out);
    let all: Value =
        serde_json::from_str(&demo.run(1, &["get", "many", "k", "--json"]).out).unwrap();
    let vtag = all["siblings"][0]["vtag"].as_str().unwrap();
    let one = demo.run(0, &["get", "many", "k", "--sibling", vtag]);
    assert_eq!(Value::from(one.out.trim_end()), all["siblings"][0]["value"]);
    let context = all["context"].as_str().unwrap();
    let put = demo.run(0, &["put", "many", "k", "merged", "--context", context, "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&put.out).unwrap()["bytes"], 6, "{put:?}");
    assert_eq!(demo.run(1, &["get", "many", "k"]).out.trim_end(), "merged");
}

#[test]
fn values_are_bytes_from_files_and_standard_input() {
    let demo = Demo::start(&["--nodes", "1", "--backend", "memory"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("value");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    fs::write(&file, &bytes).unwrap();
    let path = file.display().to_string();
    assert_eq!(demo.run(0, &["put", "default/a/b", "k/ü", "--file", &path]).code, Some(0));
    let node = demo.http(0).to_string();
    let get = |json: &[&str]| {
        let arguments = [&["get", "default/a/b", "k/ü", "--node", &node], json].concat();
        let child = spawn(ombak().args(arguments).stdout(Stdio::piped()));
        child.wait_with_output().unwrap().stdout
    };
    assert!(get(&[]) == bytes, "the bytes come back as they were");
    let json: Value = serde_json::from_slice(&get(&["--json"])).unwrap();
    assert_eq!(json["siblings"][0]["headers"]["content-type"], "application/octet-stream");
    assert!(json["siblings"][0]["value_base64"].is_string());
    let file = fs::File::open(&file).unwrap();
    assert!(succeeds(ombak().args(["put", "b", "stdin", "-", "--node", &node]).stdin(file)));
    let other = demo.run(0, &["get", "nosuchtype/b", "k"]);
    assert!(one_line(&other, 3).contains("nosuchtype"), "{other:?}");
}

#[test]
fn a_bench_in_which_requests_fail_is_an_error_after_its_report() {
    let demo = Demo::start(&["--nodes", "1", "--backend", "memory"]);
    let address = demo.pb(0).to_string();
    let bench = |more: &str| {
        let line = format!("bench --addr {address} --keys 20 --warmup 0s --duration 200ms {more}");
        run(line.split_whitespace())
    };
    let fine = bench("--bucket a --preload");
    assert_eq!((fine.code, fine.err.as_str()), (Some(0), ""), "{fine:?}");
    let empty = bench("--bucket b --gets 100");
    assert_eq!(empty.code, Some(0), "nobody said that there is something: {empty:?}");
    assert!(empty.out.contains("not found"), "{empty:?}");
    let refused = bench("--bucket a --r 4");
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.out.contains("n_val_violation"), "{refused:?}");
    assert!(
        refused.err.starts_with("ombak: ") && refused.err.contains("were refused"),
        "{refused:?}"
    );
    assert_eq!(refused.err.lines().count(), 1, "{refused:?}");
}

#[test]
fn a_bench_is_measured_beside_the_floor() {
    let demo = Demo::start(&["--nodes", "1", "--backend", "memory"]);
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("result.json").display().to_string();
    let (address, pid) = (demo.pb(0), demo.pid(0));
    let line = format!(
        "bench --addr {address} --keys 20 --preload --warmup 0s --duration 500ms --floor --pid {pid} --json {json}"
    );
    let finished = run(line.split_whitespace());
    assert_eq!((finished.code, finished.err.as_str()), (Some(0), ""), "{finished:?}");
    assert!(finished.out.contains("of all its processes"), "{finished:?}");
    let result: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let floor = &result["floor"];
    assert!(floor["operations"].as_u64().unwrap() > 100, "{floor}");
    assert!(floor["operations_per_cpu_second"].as_f64().unwrap() > 0.0, "{floor}");
    assert!((0.4..5.0).contains(&floor["seconds"].as_f64().unwrap()), "{floor}");
    assert!((0.4..5.0).contains(&result["seconds"].as_f64().unwrap()), "{result}");
    for bad in ["--rate 5", "--deletes 1", "--mix f"] {
        let finished = run(format!("bench --floor {bad}").split_whitespace());
        assert!(finished.err.contains("--floor") && finished.code == Some(2), "{finished:?}");
    }
}

#[test]
fn nobody_there_is_one_line_with_the_next_step() {
    let ports = Ports::take();
    let node = ports.address(1).to_string();
    for command in ["status", "ring", "repair", "get b k", "put b k v", "del b k"] {
        let finished = run(command.split(' ').chain(["--node", &node]));
        assert!(one_line(&finished, 3).contains("ombak demo"), "{finished:?}");
    }
}

#[test]
fn a_closed_output_ends_us_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = ombak();
    command.args(["start", "--print-config"]).stdin(Stdio::null()).stdout(writer);
    let output = spawn(command.stderr(Stdio::piped())).wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}

#[test]
fn a_seed_gives_the_same_trace_in_every_process() {
    let last = |arguments: &[&str]| {
        let finished = run(["sim", "run"].iter().chain(arguments));
        assert_eq!(finished.code, Some(0), "{finished:?}");
        finished.out.lines().last().unwrap().to_string()
    };
    let hash = last(&["--seed", "7", "--trace-hash"]);
    assert_eq!(hash.len(), 32, "{hash}");
    assert_eq!(last(&["--seed", "7", "--trace-hash"]), hash);
    assert_ne!(last(&["--seed", "8", "--trace-hash"]), hash);
    assert!(last(&["--seeds", "2"]).contains("2 held, 0 failed"));
    assert_eq!(last(&["--seed", "7", "--trace-hash", "--faults", "all"]), hash);
    assert_ne!(last(&["--seed", "7", "--trace-hash", "--faults", "crash,disk"]), hash);
    assert_ne!(last(&["--seed", "7", "--trace-hash", "--faults", "none"]), hash);
    assert_ne!(last(&["--seed", "7", "--trace-hash", "--fork", "6000000:1"]), hash);
    let guided =
        ["--seeds", "4", "--guided", "--from", "60", "--faults", "network", "--trace-hash"];
    assert_eq!(last(&guided), last(&guided), "whoever is done first");
    let refused = run(["sim", "run", "--seed", "7", "--faults", "crash,disc"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(
        refused.err.contains("\"disc\" names no faults: network, order, crash, disk"),
        "{refused:?}"
    );
}

#[test]
fn a_recorded_seed_is_played_and_a_broken_schedule_names_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seed.schedule");
    let path = file.display().to_string();
    let recorded = run(["sim", "run", "--seed", "7", "--record", &path]);
    assert_eq!(recorded.code, Some(0), "{recorded:?}");
    let summary = recorded.out.lines().last().unwrap().strip_prefix("seed 7: ").unwrap();
    let played = run(["sim", "--replay", &path, "--trace", "3"]);
    assert_eq!(played.code, Some(0), "{played:?}");
    assert_eq!(played.out.lines().count(), 4, "three events, and how it ended: {played:?}");
    assert!(played.out.contains(&format!("it holds: {summary}")), "{played:?}");
    let text = fs::read_to_string(&file).unwrap();
    for (from, to, error) in [
        ("ombak schedule 2", "ombak schedule 3", "line 1: this is \"ombak schedule 3\""),
        ("seed 7", "seed seven", "line 2: \"seven\" is no number"),
        ("seed 7", "seed 7\nseed 7", "line 3: \"seed\" is said in a line above already"),
        ("\nend\n", "\n", "and has no \"end\": it was cut short"),
    ] {
        fs::write(&file, text.replace(from, to)).unwrap();
        let refused = run(["sim", "--replay", &path]);
        assert!(one_line(&refused, 3).contains(error), "{refused:?}");
    }
    let cut: String = text.lines().take(9).map(|line| format!("{line}\n")).collect();
    fs::write(&file, cut).unwrap();
    let refused = run(["sim", "--replay", &path]);
    assert!(one_line(&refused, 3).contains("line 9: the schedule ends here"), "{refused:?}");
    fs::write(&file, b"ombak schedule 2\nseed \xff\n").unwrap();
    let refused = run(["sim", "--replay", &path]);
    assert!(one_line(&refused, 3).contains("line 2: this is no text"), "{refused:?}");
    let late = "3000.000000 n0.s0>n1.s0 drop";
    fs::write(&file, text.replace("\nend\n", &format!("\n{late}\nend\n"))).unwrap();
    let told = run(["sim", "--replay", &path]);
    let line = format!("nothing came to 1 of its decisions, as to: {late}");
    assert!(told.code == Some(0) && told.out.contains(&line), "{told:?}");
    assert!(one_line(&run(["sim", "--replay", "nowhere"]), 3).contains("nowhere"));
    let both = run(["sim", "run", "--seed", "1", "--minutes", "1"]);
    assert_eq!(both.code, Some(2), "{both:?}");
}

#[test]
fn a_second_signal_is_not_needed_but_harmless() {
    let ports = Ports::take();
    let dir = tempfile::tempdir().unwrap();
    let mut node = start_alone(&ports, dir.path(), &[]);
    wait_up(&mut node);
    // A client that stays connected does not hold the node up.
    let _idle = connect(ports.address(1));
    let begin = std::time::Instant::now();
    stop(node, Signal::TERM);
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
}
