//! Three members with many groups that have nothing to do: what a heartbeat costs, and what the death of a member does.
//!
//! `cargo run --release -p ombak-paxos --example idle_groups -- [groups] [simulated seconds]`
//!
//! The members are those of production; network, disk and clock are not there, so that what is measured is theirs alone.

#![expect(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use ombak_base::{
    Address, Chunk, ClientId, ClusterId, DecodeError, DirectoryId, Effects, Entry, Event, Machine,
    NodeId, Now, Partition, Peek, Refused, Scan, ShardId, Stamp, Tick, Ticket, Wire,
};
use ombak_paxos::log::{Outcome, Slot, StateMachine};
use ombak_paxos::{Group, Member, Members, Setup, Telling, Timer, Voters};

const NODES: u32 = 3;

/// Nothing is replicated.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
struct Nothing;

impl StateMachine for Nothing {
    fn apply(&mut self, _: Slot, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn read(&self, _: &Bytes) -> Bytes {
        Bytes::new()
    }

    fn snapshot(&self) -> Bytes {
        Bytes::new()
    }

    fn restore(_: Bytes) -> Result<Nothing, DecodeError> {
        Ok(Nothing)
    }
}

/// What a member asks of its host.
#[derive(Default)]
struct Desk {
    id: NodeId,
    sent: VecDeque<(NodeId, Telling)>,
    timers: BTreeMap<Timer, Tick>,
    due: BTreeMap<(Tick, Timer), ()>,
    stored: u64,
    synced: u64,
    scans: u64,
    drawn: u64,
}

impl Effects<Member<Nothing>> for Desk {
    fn send(&mut self, to: Address, message: Telling, _: Stamp) -> Result<(), Refused> {
        self.sent.push_back((to.node, message));
        Ok(())
    }

    fn reply(&mut self, _: ClientId, _: Outcome, _: Stamp) {}

    fn arm(&mut self, timer: Timer, at: Tick) {
        self.disarm(timer);
        self.timers.insert(timer, at);
        self.due.insert((at, timer), ());
    }

    fn disarm(&mut self, timer: Timer) {
        if let Some(at) = self.timers.remove(&timer) {
            self.due.remove(&(at, timer));
        }
    }

    fn choose(&mut self, n: u64) -> u64 {
        self.drawn = self.drawn.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.drawn >> 33) % n
    }

    fn load(&mut self, _: Ticket, _: Partition, _: &Bytes) {}

    fn peek(&mut self, _: Partition, _: &Bytes) -> Peek {
        Peek::Absent
    }

    fn store(&mut self, _: Partition, _: &Bytes, _: Option<Entry>) -> Stamp {
        self.stored += 1;
        Stamp(self.stored)
    }

    fn await_durable(&mut self, _: Stamp) {}

    fn scan(&mut self, _: Ticket, _: Scan) {
        self.scans += 1;
    }

    fn probe(&mut self, _: &'static str) {}
}

struct Town {
    members: Vec<(Member<Nothing>, Desk)>,
    dead: Vec<usize>,
    now: Tick,
    messages: u64,
}

impl Town {
    fn new(groups: u32) -> Town {
        let founders = Members::new(Voters::majority((0..NODES).map(NodeId)));
        let groups: Vec<_> = (0..groups).map(|group| (Group(group), founders.clone())).collect();
        let member = |id| {
            let (id, groups) = (NodeId(id), groups.clone());
            let (cluster, disk) = (ClusterId(1), DirectoryId(id.0.into()));
            let (home, snapshot_every, beats) = (Partition(0), 1 << 20, true);
            let setup = Setup {
                id,
                cluster,
                disk,
                home,
                groups,
                damaged: false,
                snapshot_every,
                lease: None,
                beats,
                watch: false,
            };
            let drawn = u64::from(id.0);
            (Member::new(setup, Nothing), Desk { id, drawn, ..Desk::default() })
        };
        let members = (0..NODES).map(member).collect();
        let mut town = Town { members, dead: Vec::new(), now: Tick(1), messages: 0 };
        for at in 0..NODES as usize {
            town.step(at, Event::Start);
        }
        for (at, node) in (0..NODES as usize).flat_map(|at| (0..NODES).map(move |to| (at, to))) {
            if at != node as usize {
                let hello = Bytes::new();
                town.step(at, Event::PeerUp { node: NodeId(node), shards: 1, hello });
            }
        }
        town
    }

    fn step(&mut self, at: usize, event: Event<Member<Nothing>>) {
        let (member, desk) = &mut self.members[at];
        let now = Now { tick: self.now, ..Now::default() };
        member.step(now, event, desk);
        while desk.scans > 0 {
            desk.scans -= 1;
            let chunk = Ok(Chunk { entries: Vec::new(), next: None });
            member.step(now, Event::Scanned { ticket: Ticket(0), chunk }, desk);
        }
    }

    /// Syncs, and passes messages on, until there is nothing more to do.
    fn settle(&mut self) {
        let mut is_quiet = false;
        while !is_quiet {
            is_quiet = true;
            for at in (0..NODES as usize).filter(|at| !self.dead.contains(at)).collect::<Vec<_>>() {
                let desk = &mut self.members[at].1;
                if desk.synced < desk.stored {
                    desk.synced = desk.stored;
                    let stamp = Stamp(desk.synced);
                    self.step(at, Event::Durable(stamp));
                }
                is_quiet &= !self.pass_on(at);
            }
        }
    }

    /// Messages are written and read, as a host does.
    fn pass_on(&mut self, at: usize) -> bool {
        let from = Address { node: self.members[at].1.id, shard: ShardId(0) };
        let sent = std::mem::take(&mut self.members[at].1.sent);
        let any = !sent.is_empty();
        for (to, telling) in sent {
            self.messages += 1;
            let mut bytes = Vec::new();
            telling.encode(&mut bytes);
            let message = Telling::decode(Bytes::from(bytes)).expect("it was written just now");
            if !self.dead.contains(&(to.0 as usize)) {
                self.step(to.0 as usize, Event::Message { from, message });
            }
        }
        any
    }

    fn run_for(&mut self, us: u64) {
        let until = Tick(self.now.0 + us);
        loop {
            self.settle();
            let alive = (0..NODES as usize).filter(|at| !self.dead.contains(at));
            let first = alive.filter_map(|at| {
                self.members[at]
                    .1
                    .due
                    .first_key_value()
                    .map(|((tick, timer), ())| (*tick, at, *timer))
            });
            let Some((tick, at, timer)) = first.min().filter(|(tick, ..)| *tick <= until) else {
                self.now = until;
                return;
            };
            self.now = self.now.max(tick);
            self.members[at].1.disarm(timer);
            self.step(at, Event::Timer(timer));
        }
    }

    fn led(&self) -> usize {
        let alive = (0..NODES as usize).filter(|at| !self.dead.contains(at));
        alive.map(|at| self.members[at].0.replicas().filter(|(_, r)| r.leads()).count()).sum()
    }
}

fn main() {
    let mut args = std::env::args().skip(1).map_while(|text| text.parse().ok());
    let (groups, seconds) = (args.next().unwrap_or(10_000), args.next().unwrap_or(600));
    let timed = |what: &str, f: &mut dyn FnMut()| -> Duration {
        let started = Instant::now();
        f();
        println!("{what}: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
        started.elapsed()
    };
    println!("{NODES} members with {groups} groups, one thread");
    let mut town = Town::new(0);
    timed("start, and a leader for each", &mut || {
        town = Town::new(groups);
        town.run_for(5_000_000);
    });
    assert_eq!(town.led(), groups as usize, "groups with a leader");
    let before = town.messages;
    let took = timed(&format!("{seconds} s with nothing to do"), &mut || {
        town.run_for(u64::from(seconds) * 1_000_000);
    });
    let messages = (town.messages - before) as f64 / f64::from(seconds);
    let share = took.as_secs_f64() / f64::from(seconds) * 100.0;
    println!("  {messages:.0} messages a second; {share:.5} % of a core for all three");
    let timers: usize = town.members.iter().map(|(_, desk)| desk.timers.len()).sum();
    println!("  {timers} timers");
    timed("a member dies, and others lead its groups after at most 2 s", &mut || {
        town.dead.push(0);
        town.run_for(2_000_000);
    });
    assert_eq!(town.led(), groups as usize, "groups with a leader");
}
