//! Clients that write and read while things go wrong, and remember what they were told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::pb::{Pb, PbError, get_req, put_req, values};
use super::process;

const BUCKET: &str = "load";
/// Who has no answer by then has been forgotten.
const PATIENCE: Duration = Duration::from_secs(5);

/// What one client, or all of them, saw.
#[derive(Default, Debug)]
pub struct Seen {
    /// Keys whose put was acknowledged; the value is the key.
    pub acknowledged: Vec<String>,
    /// Reads of acknowledged keys that were answered with the value.
    pub reads: usize,
    /// Acknowledged keys that were answered "not found", or with another value.
    pub false_answers: Vec<String>,
    /// What the server said no to.
    pub refused: Vec<String>,
    /// Requests that were given up because no answer came.
    pub unanswered: Vec<String>,
    /// Connections that broke.
    pub broken: usize,
    /// The longest request that was answered, and which it was.
    pub slowest: (Duration, String),
}

impl Seen {
    /// In one line.
    pub fn summary(&self) -> String {
        let mut kinds: Vec<&str> =
            self.refused.iter().filter_map(|line| line.split(": ").nth(1)).collect();
        kinds.sort();
        kinds.dedup();
        format!(
            "{} acknowledged, {} reads, {} refused {kinds:?}, {} unanswered, {} broken, slowest {:?}",
            self.acknowledged.len(),
            self.reads,
            self.refused.len(),
            self.unanswered.len(),
            self.broken,
            self.slowest
        )
    }
}

/// Acknowledged keys of all clients.
#[derive(Default)]
struct Known {
    keys: Mutex<Vec<String>>,
    one_more: Condvar,
}

/// Client threads, each with a connection to one node at a time; it goes to the next when that breaks.
pub struct Load {
    stop: Arc<AtomicBool>,
    known: Arc<Known>,
    clients: Vec<JoinHandle<Seen>>,
}

impl Load {
    pub fn start(clients: usize, nodes: &[SocketAddr]) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let known = Arc::new(Known::default());
        let client = |number| {
            let client = Client {
                number,
                nodes: nodes.to_vec(),
                at: number,
                connection: None,
                known: Arc::clone(&known),
                seen: Seen::default(),
            };
            let stop = Arc::clone(&stop);
            thread::spawn(move || client.run(&stop))
        };
        let clients = (0..clients).map(client).collect();
        Load { stop, known, clients }
    }

    /// Waits until so many more puts are acknowledged.
    pub fn work(&self, puts: usize) {
        let keys = self.known.keys.lock().unwrap();
        let enough = keys.len() + puts;
        let waited = self
            .known
            .one_more
            .wait_timeout_while(keys, process::PATIENCE, |keys| keys.len() < enough);
        let (keys, waited) = waited.unwrap();
        assert!(!waited.timed_out(), "the load is stuck: {} of {enough} acknowledged", keys.len());
    }

    /// Ends all clients and adds up what they saw.
    pub fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut all = Seen::default();
        for client in self.clients {
            let seen = client.join().unwrap();
            all.acknowledged.extend(seen.acknowledged);
            all.reads += seen.reads;
            all.false_answers.extend(seen.false_answers);
            all.refused.extend(seen.refused);
            all.unanswered.extend(seen.unanswered);
            all.broken += seen.broken;
            all.slowest = all.slowest.max(seen.slowest);
        }
        all
    }
}

struct Client {
    number: usize,
    nodes: Vec<SocketAddr>,
    at: usize,
    connection: Option<Pb>,
    known: Arc<Known>,
    seen: Seen,
}

impl Client {
    fn run(mut self, stop: &AtomicBool) -> Seen {
        for count in 0.. {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let key = format!("c{}-{count}", self.number);
            let put = put_req(BUCKET, &key, &key);
            if self.timed(&format!("put {key}"), |pb| pb.put(put)).is_some() {
                self.seen.acknowledged.push(key.clone());
                self.known.keys.lock().unwrap().push(key);
                self.known.one_more.notify_all();
            }
            self.read(count);
        }
        self.seen
    }

    /// Reads one of the keys that somebody was told are there.
    fn read(&mut self, count: usize) {
        let some = {
            let known = self.known.keys.lock().unwrap();
            // Now an old one, now the newest.
            let at = if count.is_multiple_of(2) {
                known.len().wrapping_sub(1)
            } else {
                count * 7919 % known.len().max(1)
            };
            known.get(at).cloned()
        };
        let Some(key) = some else { return };
        let node = self.nodes[self.at % self.nodes.len()];
        let get = get_req(BUCKET, &key);
        match self.timed(&format!("get {key}"), |pb| pb.get(get)) {
            Some(answer) if values(&answer) == [key.as_str()] => self.seen.reads += 1,
            Some(answer) => {
                self.seen
                    .false_answers
                    .push(format!("{key} through {node}: {:?}", values(&answer)));
            }
            None => {}
        }
    }

    fn timed<T>(
        &mut self,
        what: &str,
        call: impl FnOnce(&mut Pb) -> Result<T, PbError>,
    ) -> Option<T> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let begin = Instant::now();
        let answer = call(&mut connection);
        let took = begin.elapsed();
        if !matches!(answer, Err(PbError::Broken(_))) {
            self.seen.slowest =
                std::mem::take(&mut self.seen.slowest).max((took, what.to_string()));
        }
        match answer {
            Ok(answer) => {
                self.connection = Some(connection);
                Some(answer)
            }
            Err(PbError::Refused(text)) => {
                self.connection = Some(connection);
                self.seen.refused.push(format!("{what}: {text}"));
                None
            }
            Err(PbError::Broken(error)) if is_timeout(&error) => {
                self.seen.unanswered.push(format!("{what}: nothing within {took:?}"));
                None
            }
            Err(PbError::Broken(_)) => {
                self.seen.broken += 1;
                None
            }
        }
    }

    fn connect(&mut self) -> Option<Pb> {
        self.at += 1;
        Pb::connect_patient(self.nodes[self.at % self.nodes.len()], PATIENCE).ok()
    }
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Reads all acknowledged keys through one node; says which are not there as they should be.
pub fn missing(pb: &mut Pb, keys: &[String]) -> Vec<String> {
    let requests: Vec<_> =
        keys.iter().map(|key| ombak_wire::Request::Get(get_req(BUCKET, key))).collect();
    let answers = pb.pipeline(&requests, 64).unwrap();
    let wrong = keys.iter().zip(answers).filter_map(|(key, answer)| match answer {
        Ok(answer) => {
            let values = values(&super::pb::found(answer));
            (values != [key.as_str()]).then(|| format!("{key}: {values:?}"))
        }
        Err(error) => Some(format!("{key}: {error:?}")),
    });
    wrong.collect()
}
