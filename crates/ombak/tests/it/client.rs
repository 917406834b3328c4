//! The Rust client against a cluster of real processes, one of which is killed or hangs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ombak_client::{Client, Error, Object, Options};
use rustix::process::Signal;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::support::cluster::Cluster;

const WRITERS: u32 = 8;
/// No request may take longer, whatever becomes of a node.
const PATIENCE: Duration = Duration::from_secs(4);

/// What writers have seen.
#[derive(Default)]
struct Seen {
    acknowledged: Vec<String>,
    /// Writes of which nobody can say whether they were done.
    unknown: u32,
    /// Requests for which a node saw too few replicas, as one does that has just been woken.
    refused: u32,
    wrong: Vec<String>,
    slowest: Duration,
}

/// Writers that write keys of their own and read each back, until they are told to stop.
struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU32>,
    writers: JoinSet<Seen>,
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

async fn connect(cluster: &Cluster) -> Client {
    let addrs = [0, 1, 2].map(|node| cluster.pb_address(node).to_string());
    let options = Options { timeout_ms: 3_000, attempt_ms: 500, ..Options::default() };
    Client::connect_with(addrs, options).await.unwrap()
}

impl Load {
    fn start(client: &Client) -> Load {
        let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            writers.spawn(write(client.clone(), writer, stop.clone(), done.clone()));
        }
        Load { stop, done, writers }
    }

    /// Waits until so many more have been done.
    async fn work(&self, more: u32) {
        let (until, deadline) = (self.done() + more, Instant::now() + 5 * PATIENCE);
        while self.done() < until {
            assert!(Instant::now() < deadline, "{} of {until}", self.done());
            tokio::task::yield_now().await;
        }
    }

    fn done(&self) -> u32 {
        self.done.load(Ordering::Relaxed)
    }

    async fn finish(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        while let Some(seen) = self.writers.join_next().await {
            let seen = seen.unwrap();
            all.acknowledged.extend(seen.acknowledged);
            all.unknown += seen.unknown;
            all.refused += seen.refused;
            all.wrong.extend(seen.wrong);
            all.slowest = all.slowest.max(seen.slowest);
        }
        println!(
            "{} acknowledged, {} unknown, {} refused, slowest {:?}",
            all.acknowledged.len(),
            all.unknown,
            all.refused,
            all.slowest
        );
        all
    }
}

async fn write(client: Client, writer: u32, stop: Arc<AtomicBool>, done: Arc<AtomicU32>) -> Seen {
    let mut seen = Seen::default();
    for round in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (key, begin) = (format!("{writer}.{round}"), Instant::now());
        match client.put(&Object::new("b", key.as_str(), key.as_str())).await {
            Ok(_) => {
                read_back(&client, &key, &mut seen).await;
                seen.acknowledged.push(key);
            }
            Err(Error::Unknown(_)) => seen.unknown += 1,
            Err(Error::Replicas(_)) => seen.refused += 1,
            Err(error) => seen.wrong.push(format!("put {key}: {error}")),
        }
        seen.slowest = seen.slowest.max(begin.elapsed());
        done.fetch_add(1, Ordering::Relaxed);
    }
    seen
}

async fn read_back(client: &Client, key: &str, seen: &mut Seen) {
    match client.get("b", key).await {
        Ok(Some(object)) if object.value().is_ok_and(|value| value.text() == Some(key)) => {}
        Err(Error::Replicas(_)) => seen.refused += 1,
        other => seen.wrong.push(format!("get {key}: {other:?}")),
    }
}

/// What may go wrong when a node is lost: requests that it had, and no others.
async fn judge(client: &Client, seen: Seen) {
    assert_eq!(seen.wrong, [""; 0]);
    assert!(seen.unknown <= WRITERS, "{} at once were under way", seen.unknown);
    assert!(seen.refused * 20 <= seen.acknowledged.len() as u32, "{} refused", seen.refused);
    assert!(seen.slowest < PATIENCE, "{:?}", seen.slowest);
    for key in &seen.acknowledged {
        let object = client.get("b", key.as_str()).await.unwrap();
        let object = object.unwrap_or_else(|| panic!("{key} is lost"));
        assert_eq!(object.value().unwrap().text(), Some(key.as_str()));
    }
}

#[test]
fn a_killed_node_costs_the_requests_that_it_had() {
    let mut cluster = Cluster::start();
    runtime().block_on(async {
        let client = connect(&cluster).await;
        let load = Load::start(&client);
        load.work(500).await;
        cluster.kill(1);
        load.work(1_000).await;
        cluster.start_node(1);
        cluster.wait_ready();
        load.work(1_000).await;
        judge(&client, load.finish().await).await;
        let nodes = client.nodes();
        assert!(nodes.iter().all(|node| node.lent == 0 && node.waiting == 0), "{nodes:?}");
    });
}

#[test]
fn a_node_that_hangs_is_gone_around() {
    let mut cluster = Cluster::start();
    runtime().block_on(async {
        let client = connect(&cluster).await;
        let load = Load::start(&client);
        load.work(300).await;
        cluster.process(2).signal(Signal::STOP);
        load.work(500).await;
        cluster.process(2).signal(Signal::CONT);
        cluster.wait_ready();
        load.work(300).await;
        judge(&client, load.finish().await).await;
    });
}
