//! A script as text.
//!
//! ```text
//! ombak schedule 2
//! seed 42
//! nodes 3 shards 1 partitions 8
//! 0.900000 crash n1
//! 1.200000 client 2 n0.s0 put k3 after-read w=2
//! 2.000000 healed
//! 1.200000 n0.s0>n2.s0 drop
//! end
//! ```
//!
//! Times are seconds since the world began. What stands in no line does not happen; a decision that stands in none is
//! that nothing goes wrong, and takes as short a time as it can. A decision is of the first of its kind at its time or
//! later: above, the first message from n0.s0 to n2.s0 that is sent at 1.2 s. (`#2` after the time: the second at that
//! time.) Without the last line it was cut short.

use std::fmt::{self, Display, Formatter};

use ombak_base::{Address, NodeId, ShardId, Tick};
use ombak_kv::{Quorum, Quorums};
use ombak_node::{Bounds, DeleteMode};
use ombak_sim::{Point, SyncFault, What};

use super::{Action, Ask, Asked, Boot, Condition, Locking, Part, Script};
use crate::storage::Backend;

/// The first line of every script of this version.
pub(crate) const HEAD: &str = "ombak schedule 2";
/// That of the version before, which is read as well: it has no last line.
pub(super) const HEAD_1: &str = "ombak schedule 1";

impl Display for Script {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}")?;
        writeln!(f, "seed {}", self.seed)?;
        let shape = self.shape;
        writeln!(
            f,
            "nodes {} shards {} partitions {}",
            shape.nodes, shape.shards, shape.ring_size
        )?;
        match self.delete_mode {
            DeleteMode::Immediate => {}
            DeleteMode::Keep => writeln!(f, "tombstones keep")?,
            DeleteMode::AfterMs(ms) => writeln!(f, "tombstones {ms}")?,
        }
        if self.backend != Backend::default() {
            writeln!(f, "backend {}", self.backend)?;
        }
        if self.bounds != Bounds::default() {
            let Bounds { ops_max, unsynced_max, waiting_max } = self.bounds;
            writeln!(f, "room ops {ops_max} unsynced {unsynced_max} waiting {waiting_max}")?;
        }
        let flags = [
            (self.root, "root-group"),
            (self.partitions_lose, "partitions-lose"),
            (self.wrong_clocks, "wrong-clocks"),
            (self.new_epoch, "new-epoch"),
        ];
        for (_, flag) in flags.iter().filter(|(is_set, _)| *is_set) {
            writeln!(f, "{flag}")?;
        }
        for (at, action) in &self.actions {
            writeln!(f, "{} {action}", Seconds(*at))?;
        }
        writeln!(f, "{} healed", Seconds(self.until))?;
        for (point, value) in &self.decisions {
            writeln!(f, "{}", Decision(*point, *value))?;
        }
        writeln!(f, "end")
    }
}

struct Seconds(Tick);

impl Display for Seconds {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0.0 / 1_000_000, self.0.0 % 1_000_000)
    }
}

struct Place(NodeId, ShardId);

impl Display for Place {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "n{}.s{}", self.0.0, self.1.0)
    }
}

struct Nodes<'a>(&'a [NodeId]);

impl Display for Nodes<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .enumerate()
            .try_for_each(|(at, node)| write!(f, "{}n{}", if at == 0 { "" } else { "," }, node.0))
    }
}

/// A word with a space before it; nothing, if it is the usual part.
impl Display for Part {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Part::Vnodes => "",
            Part::Log => " log",
            Part::Pages => " pages",
        })
    }
}

impl Display for Action {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Action::Crash(node) => write!(f, "crash n{}", node.0),
            Action::CrashAll => write!(f, "crash all"),
            Action::CutPower(node, n) => write!(f, "cut-power n{} {n}", node.0),
            Action::Start(node, boot) => write!(f, "start n{}{boot}", node.0),
            Action::Wipe(node, boot) => write!(f, "wipe n{}{boot}", node.0),
            Action::Older(node, boot) => write!(f, "older n{}{boot}", node.0),
            Action::Rot(node, part, seed) => write!(f, "rot n{}{part} {seed}", node.0),
            Action::Misdirect(node, part, n, seed) => {
                write!(f, "misdirect n{}{part} {n} {seed}", node.0)
            }
            Action::Pause(node) => write!(f, "pause n{}", node.0),
            Action::Resume => write!(f, "resume"),
            Action::Cut(left, right) => write!(f, "cut {} {}", Nodes(left), Nodes(right)),
            Action::OneWay(from, to) => write!(f, "one-way n{} n{}", from.0, to.0),
            Action::Slow(from, to, us) => write!(f, "slow n{} n{} {us}", from.0, to.0),
            Action::Clock(node, us) => write!(f, "clock n{} {us}", node.0),
            Action::Heal => write!(f, "heal"),
            Action::Reset(a, b) => write!(f, "reset n{} n{}", a.0, b.0),
            Action::FailSync(node, n, fault) => {
                let fault = if *fault == SyncFault::Keeps { "keeps" } else { "drops" };
                write!(f, "fail-sync n{} {n} {fault}", node.0)
            }
            Action::Fill(node, left) => write!(f, "fill n{} {left}", node.0),
            Action::Room => write!(f, "room"),
            Action::Ask(asked) => write!(f, "{asked}"),
            Action::Turn(bucket, node, shard) => {
                write!(f, "turn b{bucket} {}", Place(*node, *shard))
            }
        }
    }
}

impl Display for Boot {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.new_epoch {
            write!(f, " new-epoch")?;
        }
        self.skew_us.iter().try_for_each(|us| write!(f, " clock={us}"))?;
        self.rate_ppm.iter().try_for_each(|ppm| write!(f, " rate={ppm}"))
    }
}

impl Display for Asked {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "client {} {} ", self.client, Place(self.node, self.shard))?;
        match &self.ask {
            Ask::Get { key, quorums, basic_quorum, notfound_ok } => {
                write!(f, "get k{key}")?;
                basic_quorum.iter().try_for_each(|is| write!(f, " basic-quorum={is}"))?;
                notfound_ok.iter().try_for_each(|is| write!(f, " notfound-ok={is}"))?;
                show_quorums(f, quorums)
            }
            Ask::Put { key, quorums, after_read, condition, is_large } => {
                write!(f, "put k{key}")?;
                let words = [
                    (*after_read, " after-read"),
                    (*condition == Condition::NoneMatch, " none-match"),
                    (*condition == Condition::NotModified, " not-modified"),
                    (*is_large, " large"),
                ];
                show_words(f, &words)?;
                show_quorums(f, quorums)
            }
            Ask::Delete { key, quorums, after_read } => {
                write!(f, "delete k{key}")?;
                show_words(f, &[(*after_read, " after-read")])?;
                show_quorums(f, quorums)
            }
            Ask::List(Some(bucket)) => write!(f, "list b{bucket}"),
            Ask::List(None) => write!(f, "list buckets"),
            Ask::Lock(locking) => write!(f, "{locking}"),
        }
    }
}

impl Display for Locking {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Locking::Session { lease_ms } => write!(f, "session {lease_ms}"),
            Locking::Lock { printer, mode, wait_ms, writes } => {
                write!(f, "lock p{printer} {mode}")?;
                wait_ms.iter().try_for_each(|ms| write!(f, " wait={ms}"))?;
                show_words(f, &[(*writes, " writes")])
            }
            Locking::Unlock { printer, writes } => {
                write!(f, "unlock p{printer}")?;
                show_words(f, &[(*writes, " writes")])
            }
            Locking::Use(printer) => write!(f, "use p{printer}"),
            Locking::Again => write!(f, "again"),
        }
    }
}

fn show_words(f: &mut Formatter<'_>, words: &[(bool, &str)]) -> fmt::Result {
    words.iter().filter(|(is_set, _)| *is_set).try_for_each(|(_, word)| f.write_str(word))
}

fn show_quorums(f: &mut Formatter<'_>, quorums: &Quorums) -> fmt::Result {
    let Quorums { r, pr, w, dw, pw, rw, node_confirms, .. } = quorums;
    let all = [("r", r), ("pr", pr), ("w", w), ("dw", dw), ("pw", pw), ("rw", rw)];
    for (name, quorum) in all {
        match quorum {
            Quorum::Default => {}
            Quorum::One => write!(f, " {name}=one")?,
            Quorum::Quorum => write!(f, " {name}=quorum")?,
            Quorum::All => write!(f, " {name}=all")?,
            Quorum::Count(count) => write!(f, " {name}={count}")?,
        }
    }
    node_confirms.iter().try_for_each(|count| write!(f, " node-confirms={count}"))
}

/// One that is given, as its line has it.
pub(crate) struct Decision(pub(crate) Point, pub(crate) u64);

impl Display for Decision {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Decision(Point { at, what, n }, value) = *self;
        write!(f, "{} ", Seconds(at))?;
        if n > 1 {
            write!(f, "#{n} ")?;
        }
        let shard = |at: Address| Place(at.node, at.shard);
        let link = |from, to| format!("{}>{}", shard(from), shard(to));
        let pair = |a: NodeId, b: NodeId| format!("n{}>n{}", a.0, b.0);
        let (of, word) = match what {
            What::Drop(from, to) => return write!(f, "{} drop", link(from, to)),
            What::Repeat(from, to) => return write!(f, "{} repeat", link(from, to)),
            What::Astray(from, to) => return write!(f, "{} astray", link(from, to)),
            What::Refuse(from, to) => return write!(f, "{} refuse", link(from, to)),
            What::LateLoad(at) => return write!(f, "{} late-load", shard(at)),
            What::Delay(from, to) => (link(from, to), "delay"),
            What::AstrayDelay(from, to) => (link(from, to), "astray-delay"),
            What::RepeatDelay(from, to) => (link(from, to), "repeat-delay"),
            What::Choice(at) => (shard(at).to_string(), "choice"),
            What::LoadDelay(at) => (shard(at).to_string(), "load-delay"),
            What::TimerDelay(at) => (shard(at).to_string(), "timer-delay"),
            What::Connect(a, b) => (pair(a, b), "connect"),
            What::Hear(a, b) => (pair(a, b), "hear"),
            What::Write(node) => (format!("n{}", node.0), "write"),
            What::Notice(node) => (format!("n{}", node.0), "notice"),
            What::Tidy(node) => (format!("n{}", node.0), "tidy"),
            What::Boot(node) => (format!("n{}", node.0), "boot"),
            What::Survive(node) => (format!("n{}", node.0), "survive"),
        };
        write!(f, "{of} {word} {value}")
    }
}
