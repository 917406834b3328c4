//! A route from its text, and any schedule from its file. Every error names the line.

use std::str::FromStr;

use ombak_base::{ClientId, NodeId, ShardId};
use ombak_sim::explore::{Named, Step};

use super::{Route, Schedule};
use crate::explored::{EXPLORATIONS, Exploration};
use crate::script::parse::{Parsed, node, number, place, said_twice, words};
use crate::script::{HEAD, ScriptError, text_of};

impl Schedule {
    /// A schedule from what a file holds.
    pub fn read(bytes: &[u8]) -> Result<Schedule, ScriptError> {
        text_of(bytes)?.parse()
    }
}

impl FromStr for Schedule {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Schedule, ScriptError> {
        // What is explored is said before all else.
        let first = text.lines().skip(1).map(words).find(|words| !words.is_empty());
        match first.as_deref() {
            Some(["explore", ..]) => text.parse().map(Schedule::Route),
            _ => text.parse().map(|script| Schedule::Script(Box::new(script))),
        }
    }
}

impl FromStr for Route {
    type Err = ScriptError;

    fn from_str(text: &str) -> Result<Route, ScriptError> {
        if text.lines().next() != Some(HEAD) {
            let reason = format!("the way through an exploration begins with \"{HEAD}\"");
            return Err(ScriptError { line: 1, reason });
        }
        let (mut reading, mut last) = (Reading::default(), 1);
        for (text, line) in text.lines().zip(1..).skip(1) {
            last = line;
            let words = words(text);
            if !words.is_empty() {
                reading.line(&words, line).map_err(|reason| ScriptError { line, reason })?;
            }
        }
        reading.finish().map_err(|reason| ScriptError { line: last, reason })
    }
}

#[derive(Default)]
struct Reading {
    exploration: Option<Exploration>,
    steps: Vec<(usize, Step)>,
    has_ended: bool,
}

impl Reading {
    fn line(&mut self, words: &[&str], line: usize) -> Parsed<()> {
        if self.has_ended {
            return Err("nothing follows \"end\"".into());
        }
        match words {
            ["end"] => self.has_ended = true,
            ["explore", ..] if self.exploration.is_some() => return Err(said_twice("explore")),
            ["explore", name] => self.exploration = Some(exploration(name)?),
            words => {
                let step = self.step(words)?;
                self.steps.push((line, step));
            }
        }
        Ok(())
    }

    fn step(&self, words: &[&str]) -> Parsed<Step> {
        let (words, choices) = match words {
            [words @ .., "choosing", choices] => (words, choices_of(choices)?),
            words => (words, Vec::new()),
        };
        let what = match words {
            ["client", client] => {
                let (client, clients) = (number(client)?, self.exploration()?.clients());
                if client >= u64::from(clients) {
                    return Err(format!("client {client}: there are {clients}, from 0 on"));
                }
                Named::Ask(ClientId(client))
            }
            ["crash", node] => Named::Crash(self.node(node)?),
            ["start", node] => Named::Start(self.node(node)?),
            ["reset", a, b] => Named::Reset(self.node(a)?, self.node(b)?),
            [node, "sync"] => Named::Sync(self.node(node)?),
            [node, "fire", timer @ ..] if !timer.is_empty() => {
                Named::Fire(self.node(node)?, timer.join(" "))
            }
            [link, word] if link.contains('>') => self.on_link(link, word)?,
            _ => return Err(format!("\"{}\" is no step", words.join(" "))),
        };
        Ok(Step { what, choices })
    }

    fn on_link(&self, link: &str, word: &str) -> Parsed<Named> {
        let named = match word {
            "arrive" => Named::Arrive,
            "repeat" => Named::Repeat,
            "drop" => Named::Drop,
            _ => {
                return Err(format!("\"{word}\": what is on its way can arrive, repeat or drop"));
            }
        };
        let wrong = || format!("\"{link}\" is no link: n0.s0>n1.s0, …");
        let (from, to) = link.split_once('>').ok_or_else(wrong)?;
        Ok(named(self.place(from)?, self.place(to)?))
    }

    fn exploration(&self) -> Parsed<Exploration> {
        self.exploration.ok_or_else(|| "\"explore …\" must come first".into())
    }

    fn node(&self, text: &str) -> Parsed<NodeId> {
        let (node, nodes) = (node(text)?, self.exploration()?.nodes());
        if node.0 < nodes { Ok(node) } else { Err(format!("{text}: there are {nodes} nodes")) }
    }

    fn place(&self, text: &str) -> Parsed<NodeId> {
        let at = place(text)?;
        if at.shard != ShardId(0) {
            return Err(format!("{text}: explored nodes have one shard, s0"));
        }
        self.node(&format!("n{}", at.node.0))
    }

    fn finish(self) -> Parsed<Route> {
        match (self.has_ended, self.exploration) {
            (true, Some(exploration)) => Ok(Route { exploration, steps: self.steps }),
            (true, None) => Err("the schedule ends here, and has no \"explore …\"".into()),
            (false, _) => {
                Err("the schedule ends here, and has no \"end\": it was cut short".into())
            }
        }
    }
}

fn choices_of(text: &str) -> Parsed<Vec<u64>> {
    text.split(',').map(number).collect()
}

fn exploration(name: &str) -> Parsed<Exploration> {
    Exploration::named(name).ok_or_else(|| {
        let names: Vec<&str> = EXPLORATIONS.iter().map(|each| each.name).collect();
        format!("there is no \"{name}\" to explore, but {}", names.join(", "))
    })
}
