//! Many values, a node that loses them, and its repair.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ombak_wire::{Request, Response, RpbGetReq, RpbPutReq};

use super::cluster::Cluster;
use super::pb::{Pb, PbError, found, get_req, put_req, values};
use super::process::run;

pub const MANY: usize = 500;

fn value(at: usize) -> String {
    format!("value-{at}-")
}

/// How many of the values are there; any other answer than the value or a refusal is a lie.
pub fn count_values(answers: Vec<Result<Response, PbError>>) -> usize {
    let answers = answers.into_iter().enumerate();
    let answered = answers.filter_map(|(at, answer)| Some((at, values(&found(answer.ok()?)))));
    answered.inspect(|(at, values)| assert_eq!(*values, [value(*at)])).count()
}

pub fn put_many(pb: &mut Pb) {
    let put = |at| {
        let put = put_req("b", &format!("k{at}"), &value(at));
        Request::Put(RpbPutReq { w: Some(3), dw: Some(3), ..put })
    };
    let puts: Vec<Request> = (0..MANY).map(put).collect();
    pb.pipeline(&puts, 16).unwrap().into_iter().for_each(|answer| drop(answer.unwrap()));
}

pub fn get_many(r: u32) -> Vec<Request> {
    let get = |at| RpbGetReq { r: Some(r), ..get_req("b", &format!("k{at}")) };
    (0..MANY).map(|at| Request::Get(get(at))).collect()
}

/// `ombak repair`, as often as it says that somebody cannot be reached yet.
pub fn repair(cluster: &mut Cluster, node: usize) {
    let address = cluster.http_address(node).to_string();
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let repaired = run(["repair", "--node", &address]);
        if repaired.code == Some(0) {
            break;
        }
        assert!(Instant::now() < deadline, "{repaired:?}");
    }
    cluster.wait_ready();
}

pub fn alone_it_has_all(mut cluster: Cluster, node: usize) {
    for other in (0..3).filter(|other| *other != node) {
        cluster.kill(other);
    }
    assert_eq!(count_values(cluster.pb(node).pipeline(&get_many(1), 8).unwrap()), MANY);
}

/// Turns a byte over wherever one of the values stands on the node's disk; says where that was.
pub fn damage_a_value(dir: &Path) -> Vec<PathBuf> {
    let value = value(MANY / 2);
    let mut damaged = Vec::new();
    let mut dirs = vec![dir.to_path_buf()];
    while let Some(dir) = dirs.pop() {
        for path in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                dirs.push(path);
                continue;
            }
            let mut bytes = fs::read(&path).unwrap();
            let places = bytes.windows(value.len()).position(|window| window == value.as_bytes());
            if let Some(at) = places {
                bytes[at] ^= 0xff;
                fs::write(&path, bytes).unwrap();
                damaged.push(path);
            }
        }
    }
    assert!(!damaged.is_empty(), "the value stands nowhere");
    damaged
}
