//! Three production nodes record what they do; the code plays it, and the monitors look at all of it together.

use std::net::TcpListener;
use std::sync::Arc;

use ombak_aries::OsDisk;
use ombak_base::property::plant;
use ombak_base::{Event, NodeId, Now, ShardId};
use ombak_kv::Operation;
use ombak_node::{Reply, Request, Shard};
use ombak_paxos::locks::{
    self, Answer, Command, LockAsk, LockReply, Mode, Path, SessionId, SessionState, Token, Value,
    Wait,
};
use ombak_sim::Rng;
use ombak_tape::{Effect, Recorder, Recording, Reel, Reels, Tape};
use ombak_worlds::{Nonconformity, conform};
use tempfile::TempDir;

use crate::both_hosts::recorded::DEADLINE;
use crate::both_hosts::requests::{
    LATEST, SIBLINGS, deleting, is_last, keep_siblings, key, reading, writing,
};
use crate::both_hosts::site::{Node, Site};
use crate::both_hosts::window::Window;

const NODES: u32 = 3;
const SHARDS: u16 = 2;
/// Clocks are the same: all nodes are here.
const SKEW_US: u64 = 0;

/// Records what a shard does with a bug in it: it is called on the shard's thread.
struct Planted {
    tape: Tape<Shard>,
    bug: &'static str,
}

impl Recorder<Shard> for Planted {
    fn begin(&mut self, shard: &Shard, now: Now, event: &Event<Shard>) {
        plant(self.bug);
        self.tape.begin(shard, now, event);
    }

    fn effect(&mut self, effect: Effect<Shard>) {
        self.tape.effect(effect);
    }

    fn end(&mut self) {
        self.tape.end();
    }
}

struct Three {
    nodes: Vec<Node<Shard>>,
    reels: Vec<Vec<Reels>>,
    _dirs: Vec<TempDir>,
}

impl Three {
    /// With rings of so many bytes.
    fn start(bytes_max: usize) -> Three {
        Three::start_planted(bytes_max, "")
    }

    /// The same, with a bug in them.
    fn start_planted(bytes_max: usize, bug: &'static str) -> Three {
        let doors: Vec<_> = (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
        let address =
            |(node, door): (usize, &TcpListener)| (NodeId(node as u32), door.local_addr().unwrap());
        let peers: Vec<_> = doors.iter().enumerate().map(address).collect();
        let (mut nodes, mut reels, mut dirs) = (Vec::new(), Vec::new(), Vec::new());
        for (node, door) in doors.into_iter().enumerate() {
            let site = Site::new(node as u32, NODES, SHARDS).with_root();
            let dir = tempfile::tempdir().unwrap();
            let tapes = (0..SHARDS).map(|shard| ombak_tape::tape(site.address(shard), bytes_max));
            let (tapes, kept): (Vec<_>, Vec<_>) = tapes.unzip();
            let planted = |tape| Box::new(Planted { tape, bug }) as _;
            let recorders = tapes.into_iter().map(planted).collect();
            let opened = site.open_as_it_is(OsDisk::open(dir.path()).unwrap());
            let window = Window::new(is_last);
            nodes.push(Node::start(&site, opened, window, &peers, Some(door), recorders));
            reels.push(kept);
            dirs.push(dir);
        }
        Three { nodes, reels, _dirs: dirs }
    }

    /// Waits until every shard can name writes.
    fn wait_ready(&self) {
        for node in &self.nodes {
            for shard in (0..SHARDS).map(ShardId) {
                let status = || node.handle().call(shard, Request::Status, DEADLINE);
                let ready = |reply: &Reply| match reply {
                    Reply::Status(status) => status.vnodes.iter().all(|vnode| vnode.ready),
                    _ => false,
                };
                while !status().as_ref().is_ok_and(ready) {
                    std::thread::yield_now();
                }
            }
        }
    }

    /// So many requests, through all nodes in turn.
    fn live(&self, requests: u32) {
        let mut rng = Rng::new(1);
        let mut clients: Vec<_> = self.nodes.iter().map(Node::client).collect();
        clients[0].ask(keep_siblings());
        for n in 0..requests {
            let (at, of) = (rng.below(3) as usize, format!("k{}", rng.below(20)));
            let bucket = if rng.chance(1, 2) { SIBLINGS } else { LATEST };
            let operation = match rng.below(10) {
                0..=4 => Operation::Get(reading(bucket, &of)),
                5..=8 => Operation::Put(writing(bucket, &of, &format!("value {n}"))),
                _ => Operation::Delete(deleting(bucket, "deleted", None)),
            };
            clients[at].ask(key(operation));
        }
    }

    /// A client of locks asks through a node.
    fn ask(&self, node: usize, command: Command) -> LockReply {
        let request = Request::Locks(LockAsk::Command(command));
        let reply = self.nodes[node].handle().call(ShardId(0), request, DEADLINE);
        let Ok(Reply::Locks(reply)) = reply else { panic!("{reply:?}") };
        reply
    }

    /// The same, until the group has begun.
    fn open(&self, node: usize, session: SessionId) {
        let open = Command::Open { session, lease_us: 60_000_000, about: Value::default() };
        let is_open = |reply| matches!(reply, LockReply::Session(SessionState::Live { .. }));
        while !is_open(self.ask(node, open.clone())) {
            std::thread::yield_now();
        }
    }

    fn call(
        &self,
        node: usize,
        session: SessionId,
        number: u64,
        request: locks::Request,
    ) -> Answer {
        let have = (number - 1).into();
        match self.ask(node, Command::Call { session, number, have, request }) {
            LockReply::Answer(answer) => answer,
            other => panic!("{other:?}"),
        }
    }

    /// Two sessions, through two nodes, take the same lock in turn, each first together with others and then alone. The tokens.
    fn lock(&self, rounds: u64) -> Vec<Token> {
        let mut tokens = Vec::new();
        for session in [1, 2] {
            self.open(session, SessionId(session as u128));
        }
        for number in (0..rounds).map(|round| 3 * round + 1) {
            for node in [1, 2] {
                let path = Path::new(["door"]).unwrap();
                let (mode, wait, lock) = (Mode::PR, Wait::No, number);
                for (number, request) in (number..).zip([
                    locks::Request::Lock { path, under: None, mode, wait, notify: false },
                    locks::Request::Convert { lock, mode: Mode::EX, wait, value: None },
                    locks::Request::Unlock { lock, value: None },
                ]) {
                    match self.call(node, SessionId(node as u128), number, request) {
                        Answer::Granted { token, .. } => tokens.push(token),
                        answer => assert_eq!(answer, Answer::Unlocked),
                    }
                }
            }
        }
        tokens
    }

    fn take(&self, node: usize) -> Vec<Arc<Reel>> {
        self.reels[node].iter().flat_map(|shard| shard.take(DEADLINE).unwrap()).collect()
    }

    fn recordings(&self) -> Vec<Recording> {
        let recording =
            |node: usize| Recording::new(format!("n{node}"), self.take(node)).to_bytes();
        let read = |node: usize| Recording::read(recording(node).into()).unwrap();
        (0..self.nodes.len()).map(read).collect()
    }
}

#[test]
fn what_three_nodes_recorded_is_what_the_code_does_and_fits_together() {
    let three = Three::start(64 << 20);
    three.wait_ready();
    three.live(600);
    let tokens = three.lock(10);
    assert!(tokens.is_sorted_by(|one, next| one < next), "{tokens:?}");
    let recordings = three.recordings();
    let mut seen = 0;
    let found = conform(&recordings, SKEW_US, |_| seen += 1).unwrap();
    assert_eq!(found.steps.len(), 6, "{found:?}");
    assert_eq!(found.steps.values().sum::<u64>(), seen);
    assert!(found.is_whole && found.messages > 1_000, "{found:?}");
    assert!(found.writes > 200 && found.dots > 200 && found.reads > 100, "{found:?}");
    assert!(found.decided > 60 && found.grants == 40, "{found:?}");

    let one = conform(&recordings[..1], SKEW_US, |_| ()).unwrap();
    assert!(!one.is_whole && one.steps.len() == 2 && one.writes == 0, "{one:?}");
    assert!(one.decided > 60 && one.grants == 0, "what it took for decided: {one:?}");
    let twice = conform(&[recordings[0].clone(), recordings[0].clone()], SKEW_US, |_| ());
    assert!(matches!(twice, Err(Nonconformity::Twice(_))));
}

/// A ring that has forgotten the beginning says so, and what it has fits together all the same.
#[test]
fn windows_of_what_happened_fit_together_too() {
    let three = Three::start(150_000);
    three.wait_ready();
    three.live(600);
    let found = conform(&three.recordings(), SKEW_US, |_| ()).unwrap();
    assert!(found.is_whole && found.messages > 500 && found.writes > 30, "{found:?}");
}

/// Each node does what its code says, and so does the recording. What does not hold, only all of them together show.
#[test]
fn a_bug_that_all_nodes_have_is_found_out_by_what_they_did_together() {
    const BUG: &str = "a grant before its predecessor's fence";
    let three = Three::start_planted(64 << 20, BUG);
    three.wait_ready();
    three.lock(1);
    let recordings = three.recordings();
    let played = conform(&recordings, SKEW_US, |_| ());
    assert!(matches!(played, Err(Nonconformity::Differs(_))), "by code without it: {played:?}");
    plant(BUG);
    let played = conform(&recordings, SKEW_US, |_| ());
    plant("");
    match played {
        Err(Nonconformity::Clients { rule: "tokens grow", .. }) => {}
        other => panic!("{other:?}"),
    }
}

/// As if a node had done what it has not: a stretch of its life is cut out, in which it had sent this and that.
#[test]
fn a_message_that_nobody_sent_is_found_out() {
    let three = Three::start(150_000);
    three.wait_ready();
    three.live(600);
    let mut recordings = three.recordings();
    let [first, second] = recordings[0].addresses()[..] else { panic!("two shards") };
    let (mut cut, whole) = (recordings[0].of(first), recordings[0].of(second));
    assert!(cut.len() > 4, "{}", cut.len());
    cut.remove(cut.len() - 3);
    recordings[0] = Recording::new("n0", [cut, whole.clone()].concat());
    match conform(&recordings, SKEW_US, |_| ()) {
        Err(Nonconformity::Broken { rule: "what is received was sent", .. }) => {}
        other => panic!("{other:?}"),
    }
    recordings[0] = Recording::new("n0", whole);
    let found = conform(&recordings, SKEW_US, |_| ()).unwrap();
    assert!(!found.is_whole && found.writes == 0, "a shard is missing: {found:?}");
}
