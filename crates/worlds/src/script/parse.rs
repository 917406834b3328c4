//! A script from its text. Every error names the line.

mod asks;

use std::str::FromStr;

use ombak_base::{Address, NodeId, ShardId, Tick};
use ombak_node::{Bounds, DeleteMode};
use ombak_sim::{Decisions, Point, SyncFault, What};

use super::show::{HEAD, HEAD_1};
use super::{Action, Asked, Boot, Part, Script};
use crate::cluster::Shape;
use crate::keys::{BUCKETS, keys};
use crate::storage::Backend;
use asks::ask_of;

/// Bounds of what a script may ask for: more is a mistake of whoever wrote it.
const NODES_MAX: u32 = 16;
const SHARDS_MAX: u16 = 8;
const RING_MAX: u32 = 64;
const CLIENTS_MAX: usize = 64;
const SECONDS_MAX: u64 = 3_600;
/// Half as fast, or half as fast again.
const RATE_PPM_MAX: u64 = 500_000;

/// A text that is no script.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct ScriptError {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub reason: String,
}

pub(crate) type Parsed<T> = Result<T, String>;

impl FromStr for Script {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Script, ScriptError> {
        let mut lines = text.lines().zip(1..);
        let mut reading = match lines.next() {
            Some((HEAD, _)) => Reading::default(),
            // Nothing tells whether one of these was cut short after "healed".
            Some((HEAD_1, _)) => Reading { is_first_version: true, ..Reading::default() },
            Some((head, line)) if head.starts_with("ombak schedule") => {
                let reason = format!("this is \"{head}\"; this program reads \"{HEAD}\"");
                return Err(ScriptError { line, reason });
            }
            _ => {
                let reason = format!("a schedule begins with \"{HEAD}\"");
                return Err(ScriptError { line: 1, reason });
            }
        };
        let mut last = 1;
        for (text, line) in lines {
            last = line;
            let words = words(text);
            if !words.is_empty() {
                reading.line(&words).map_err(|reason| ScriptError { line, reason })?;
            }
        }
        reading.finish().map_err(|reason| ScriptError { line: last, reason })
    }
}

/// What a file holds, if it is text.
pub(crate) fn text_of(bytes: &[u8]) -> Result<&str, ScriptError> {
    std::str::from_utf8(bytes).map_err(|error| ScriptError {
        line: 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count(),
        reason: "this is no text: its bytes are no UTF-8".into(),
    })
}

/// The words of a line; what follows `--` is a comment.
pub(crate) fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().take_while(|word| *word != "--").collect()
}

#[derive(Default)]
struct Reading {
    /// Which had no last line.
    is_first_version: bool,
    has_ended: bool,
    seed: Option<u64>,
    shape: Option<Shape>,
    delete_mode: Option<DeleteMode>,
    bounds: Option<Bounds>,
    backend: Option<Backend>,
    root: Option<()>,
    partitions_lose: Option<()>,
    wrong_clocks: Option<()>,
    new_epoch: Option<()>,
    until: Option<Tick>,
    actions: Vec<(Tick, Action)>,
    decisions: Decisions,
}

impl Reading {
    fn line(&mut self, words: &[&str]) -> Parsed<()> {
        if self.has_ended {
            return Err("nothing follows \"end\"".into());
        }
        match words {
            ["end"] if !self.is_first_version => self.has_ended = true,
            ["seed", seed] => once(&mut self.seed, number(seed)?, "seed")?,
            ["nodes", nodes, "shards", shards, "partitions", partitions] => {
                let shape = shape(number(nodes)?, number(shards)?, number(partitions)?)?;
                once(&mut self.shape, shape, "nodes")?;
            }
            ["tombstones", mode] => {
                once(&mut self.delete_mode, delete_mode(mode)?, "tombstones")?;
            }
            ["room", "ops", ops, "unsynced", unsynced, "waiting", waiting] => {
                once(&mut self.bounds, bounds(ops, unsynced, waiting)?, "room")?;
            }
            ["backend", backend] => {
                let backend = backend.parse::<Backend>().map_err(|error| error.to_string())?;
                once(&mut self.backend, backend, "backend")?;
            }
            [flag @ "root-group"] => once(&mut self.root, (), flag)?,
            [flag @ "partitions-lose"] => once(&mut self.partitions_lose, (), flag)?,
            [flag @ "wrong-clocks"] => once(&mut self.wrong_clocks, (), flag)?,
            [flag @ "new-epoch"] => once(&mut self.new_epoch, (), flag)?,
            [_, "healed"] if self.until.is_some() => return Err(said_twice("healed")),
            [time, "healed"] => self.until = Some(self.next_time(time)?),
            [at, count, rest @ ..] if count.starts_with('#') => {
                self.decision(at, number(&count[1..])?, rest)?;
            }
            [at, of, _, ..] if self.until.is_some() && of.starts_with('n') => {
                self.decision(at, 1, &words[1..])?;
            }
            [time, rest @ ..] if time.starts_with(|first: char| first.is_ascii_digit()) => {
                let at = self.next_time(time)?;
                let action = self.action(rest)?;
                self.actions.push((at, action));
            }
            _ => return Err(format!("\"{}\" is no line of a schedule", words.join(" "))),
        }
        Ok(())
    }

    fn decision(&mut self, at: &str, n: u64, words: &[&str]) -> Parsed<()> {
        let at = time(at)?;
        let (what, value) = decision(words)?;
        match self.decisions.insert(Point { at, what, n }, value) {
            None => Ok(()),
            Some(_) => Err("this is decided in a line above already".into()),
        }
    }

    fn next_time(&self, text: &str) -> Parsed<Tick> {
        let at = time(text)?;
        if self.until.is_some() {
            return Err("nothing is done after \"healed\": only decisions follow".into());
        }
        match self.actions.last() {
            Some((last, _)) if *last > at => Err(format!("{text} is before the line above it")),
            _ => Ok(at),
        }
    }

    fn finish(self) -> Parsed<Script> {
        let missing = |what: &str| format!("the schedule ends here, and has no \"{what}\"");
        if !self.has_ended && !self.is_first_version {
            return Err(missing("end") + ": it was cut short");
        }
        Ok(Script {
            seed: self.seed.ok_or_else(|| missing("seed …"))?,
            shape: self.shape.ok_or_else(|| missing("nodes … shards … partitions …"))?,
            delete_mode: self.delete_mode.unwrap_or(DeleteMode::Immediate),
            bounds: self.bounds.unwrap_or_default(),
            backend: self.backend.unwrap_or_default(),
            root: self.root.is_some(),
            partitions_lose: self.partitions_lose.is_some(),
            wrong_clocks: self.wrong_clocks.is_some(),
            new_epoch: self.new_epoch.is_some(),
            until: self.until.ok_or_else(|| missing("… healed"))?,
            actions: self.actions,
            decisions: self.decisions,
        })
    }

    fn action(&self, words: &[&str]) -> Parsed<Action> {
        Ok(match words {
            ["crash", "all"] => Action::CrashAll,
            ["crash", node] => Action::Crash(self.node(node)?),
            ["cut-power", node, n] => Action::CutPower(self.node(node)?, number(n)?),
            ["start", node, boot @ ..] => Action::Start(self.node(node)?, boot_of(boot)?),
            ["wipe", node, boot @ ..] => Action::Wipe(self.node(node)?, boot_of(boot)?),
            ["older", node, boot @ ..] => Action::Older(self.node(node)?, boot_of(boot)?),
            ["rot", node, seed] => Action::Rot(self.node(node)?, Part::Vnodes, number(seed)?),
            ["rot", node, part, seed] => {
                Action::Rot(self.node(node)?, part_of(part)?, number(seed)?)
            }
            ["misdirect", node, n, seed] => {
                Action::Misdirect(self.node(node)?, Part::Vnodes, number(n)?, number(seed)?)
            }
            ["misdirect", node, part, n, seed] => {
                Action::Misdirect(self.node(node)?, part_of(part)?, number(n)?, number(seed)?)
            }
            ["pause", node] => Action::Pause(self.node(node)?),
            ["resume"] => Action::Resume,
            ["cut", left, right] => Action::Cut(self.nodes(left)?, self.nodes(right)?),
            ["one-way", from, to] => Action::OneWay(self.node(from)?, self.node(to)?),
            ["slow", from, to, us] => Action::Slow(self.node(from)?, self.node(to)?, micros(us)?),
            ["clock", node, us] => Action::Clock(self.node(node)?, offset(us)?),
            ["heal"] => Action::Heal,
            ["reset", a, b] => Action::Reset(self.node(a)?, self.node(b)?),
            ["fail-sync", node, n, "keeps"] => {
                Action::FailSync(self.node(node)?, number(n)?, SyncFault::Keeps)
            }
            ["fail-sync", node, n, "drops"] => {
                Action::FailSync(self.node(node)?, number(n)?, SyncFault::Drops)
            }
            ["fill", node, left] => Action::Fill(self.node(node)?, number(left)?),
            ["room"] => Action::Room,
            ["turn", bucket, place] => {
                let at = self.place(place)?;
                Action::Turn(bucket_of(bucket)?, at.node, at.shard)
            }
            ["client", client, place, ask @ ..] => {
                let (client, at) = (bounded(client, CLIENTS_MAX)?, self.place(place)?);
                let (node, shard, ask) = (at.node, at.shard, ask_of(ask)?);
                Action::Ask(Asked { client, node, shard, ask })
            }
            _ => return Err(format!("\"{}\" is nothing that can be done", words.join(" "))),
        })
    }

    fn shape(&self) -> Parsed<Shape> {
        self.shape.ok_or_else(|| "\"nodes … shards … partitions …\" must come first".into())
    }

    fn node(&self, text: &str) -> Parsed<NodeId> {
        let node = node(text)?;
        let nodes = self.shape()?.nodes;
        if node.0 < nodes { Ok(node) } else { Err(format!("{text}: there are {nodes} nodes")) }
    }

    fn nodes(&self, text: &str) -> Parsed<Vec<NodeId>> {
        text.split(',').map(|node| self.node(node)).collect()
    }

    fn place(&self, text: &str) -> Parsed<Address> {
        let at = place(text)?;
        self.node(&format!("n{}", at.node.0))?;
        let shards = self.shape()?.shards;
        if at.shard.0 < shards { Ok(at) } else { Err(format!("{text}: there are {shards} shards")) }
    }
}

/// What is said once in a schedule; said twice, one of the two would not count.
fn once<T>(place: &mut Option<T>, value: T, what: &str) -> Parsed<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(said_twice(what)),
    }
}

pub(crate) fn said_twice(what: &str) -> String {
    format!("\"{what}\" is said in a line above already")
}

fn delete_mode(text: &str) -> Parsed<DeleteMode> {
    match text {
        "keep" => Ok(DeleteMode::Keep),
        ms => number(ms).map(DeleteMode::AfterMs),
    }
}

fn shape(nodes: u32, shards: u16, ring_size: u32) -> Parsed<Shape> {
    if !(1..=NODES_MAX).contains(&nodes) || !(1..=SHARDS_MAX).contains(&shards) {
        return Err(format!("1 to {NODES_MAX} nodes of 1 to {SHARDS_MAX} shards, please"));
    }
    if !ring_size.is_power_of_two() || ring_size > RING_MAX {
        return Err(format!("{ring_size} partitions: a power of two up to {RING_MAX}, please"));
    }
    Ok(Shape { nodes, shards, ring_size })
}

fn bounds(ops: &str, unsynced: &str, waiting: &str) -> Parsed<Bounds> {
    let (ops_max, unsynced_max, waiting_max) = (number(ops)?, number(unsynced)?, number(waiting)?);
    let found = Bounds { ops_max, unsynced_max, waiting_max };
    let most = Bounds::default();
    let fits = (1..=most.ops_max).contains(&ops_max)
        && (1..=most.unsynced_max).contains(&unsynced_max)
        && (1..=most.waiting_max).contains(&waiting_max);
    let Bounds { ops_max, unsynced_max, waiting_max } = most;
    let why = || format!("room for 1 to {ops_max}, {unsynced_max} and {waiting_max}, please");
    if fits { Ok(found) } else { Err(why()) }
}

pub(crate) fn number<T: FromStr>(text: &str) -> Parsed<T> {
    text.parse().map_err(|_| format!("\"{text}\" is no number that fits here"))
}

fn bounded(text: &str, end: usize) -> Parsed<usize> {
    let found: usize = number(text)?;
    if found < end { Ok(found) } else { Err(format!("{text} is too large: up to {}", end - 1)) }
}

fn time(text: &str) -> Parsed<Tick> {
    let wrong = || format!("\"{text}\" is no time: seconds, like 1.250000");
    let (seconds, micros) = text.split_once('.').ok_or_else(wrong)?;
    if micros.len() != 6 {
        return Err(wrong());
    }
    let seconds: u64 = seconds.parse().map_err(|_| wrong())?;
    let micros: u64 = micros.parse().map_err(|_| wrong())?;
    if seconds > SECONDS_MAX {
        return Err(format!("{text}: a run takes {SECONDS_MAX} s at most"));
    }
    Ok(Tick(seconds * 1_000_000 + micros))
}

/// A span that ends some time.
fn micros(text: &str) -> Parsed<u64> {
    bounded_span(number(text)?)
}

fn bounded_span(us: u64) -> Parsed<u64> {
    if us > SECONDS_MAX * 1_000_000 {
        return Err(format!("{us} µs: nothing takes longer than {SECONDS_MAX} s"));
    }
    Ok(us)
}

/// By how much a clock is wrong.
fn offset(text: &str) -> Parsed<i64> {
    let us: i64 = number(text)?;
    bounded_span(us.unsigned_abs())?;
    Ok(us)
}

/// By how many millionths a clock is too fast.
fn rate(text: &str) -> Parsed<i64> {
    let ppm: i64 = number(text)?;
    if ppm.unsigned_abs() > RATE_PPM_MAX {
        return Err(format!("{text}: a clock is wrong by {RATE_PPM_MAX} millionths at most"));
    }
    Ok(ppm)
}

fn after<T: FromStr>(text: &str, letter: char, what: &str) -> Parsed<T> {
    let number = text.strip_prefix(letter).and_then(|number| number.parse().ok());
    number.ok_or_else(|| format!("\"{text}\" is no {what}: {letter}0, {letter}1, …"))
}

pub(crate) fn node(text: &str) -> Parsed<NodeId> {
    after(text, 'n', "node").map(NodeId)
}

pub(crate) fn place(text: &str) -> Parsed<Address> {
    let parts = text.split_once('.').ok_or_else(|| format!("\"{text}\" is no shard: n0.s0, …"))?;
    Ok(Address { node: node(parts.0)?, shard: ShardId(after(parts.1, 's', "shard")?) })
}

fn key_of(text: &str) -> Parsed<usize> {
    let key: usize = after(text, 'k', "key")?;
    let known = keys().count();
    if key < known { Ok(key) } else { Err(format!("{text}: there are {known} keys")) }
}

fn part_of(text: &str) -> Parsed<Part> {
    match text {
        "log" => Ok(Part::Log),
        "pages" => Ok(Part::Pages),
        _ => Err(format!("\"{text}\" is no part of a disk: log or pages")),
    }
}

fn bucket_of(text: &str) -> Parsed<usize> {
    let bucket: usize = after(text, 'b', "bucket")?;
    let known = BUCKETS.len();
    if bucket < known { Ok(bucket) } else { Err(format!("{text}: there are {known} buckets")) }
}

fn boot_of(words: &[&str]) -> Parsed<Boot> {
    let mut boot = Boot::default();
    for word in words {
        match word.split_once('=') {
            Some(("clock", us)) => boot.skew_us = Some(offset(us)?),
            Some(("rate", ppm)) => boot.rate_ppm = Some(rate(ppm)?),
            None if *word == "new-epoch" => boot.new_epoch = true,
            _ => return Err(format!("\"{word}\" is nothing that a start can have")),
        }
    }
    Ok(boot)
}

fn decision(words: &[&str]) -> Parsed<(What, u64)> {
    let (at, word, value) = match words {
        [at, word] => (*at, *word, 1),
        [at, word, value] => (*at, *word, number(value)?),
        _ => return Err("a decision is like: 1.250000 n0.s0>n1.s0 delay 500".into()),
    };
    let what = match at.split_once('>') {
        Some((from, to)) if from.contains('.') => between(word, place(from)?, place(to)?),
        Some((from, to)) => match word {
            "connect" => Some(What::Connect(node(from)?, node(to)?)),
            "hear" => Some(What::Hear(node(from)?, node(to)?)),
            _ => None,
        },
        None if at.contains('.') => match word {
            "late-load" => Some(What::LateLoad(place(at)?)),
            "load-delay" => Some(What::LoadDelay(place(at)?)),
            "timer-delay" => Some(What::TimerDelay(place(at)?)),
            _ => None,
        },
        None => match word {
            "write" => Some(What::Write(node(at)?)),
            "notice" => Some(What::Notice(node(at)?)),
            "tidy" => Some(What::Tidy(node(at)?)),
            "survive" => Some(What::Survive(node(at)?)),
            _ => None,
        },
    };
    let what = what.ok_or_else(|| format!("\"{word}\" is nothing that is decided of {at}"))?;
    if !matches!(what, What::Survive(_)) {
        bounded_span(value)?;
    }
    Ok((what, value))
}

fn between(word: &str, from: Address, to: Address) -> Option<What> {
    Some(match word {
        "drop" => What::Drop(from, to),
        "repeat" => What::Repeat(from, to),
        "astray" => What::Astray(from, to),
        "refuse" => What::Refuse(from, to),
        "delay" => What::Delay(from, to),
        "astray-delay" => What::AstrayDelay(from, to),
        "repeat-delay" => What::RepeatDelay(from, to),
        _ => return None,
    })
}
