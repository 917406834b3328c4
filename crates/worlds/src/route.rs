//! One way through an explored cluster as data: what the explorer found, or what somebody wants to see. It can be written
//! down, read, changed by hand and taken again, as a [`Script`] can.
//!
//! ```text
//! ombak schedule 2
//! explore write-crash
//! client 0 -- c0 asks n0: Kv(Key(Put(…)))
//! n0.s0>n1.s0 arrive
//! n1 sync
//! crash n0
//! end
//! ```
//!
//! It is not a script, for an explored cluster is another world: it begins with nodes that know each other, and has no
//! time and no chance in it. Messages wait on their links until a step says that the first of one arrives, is lost
//! (`drop`), or arrives and stays (`repeat`); nodes sync, and their timers fire, when a step says so. What goes wrong is
//! bounded as the exploration bounds it.

mod comment;
mod parse;

use std::fmt::{self, Display, Formatter};

use ombak_base::NodeId;
use ombak_sim::explore::{Named, NotTaken, Step, Violation};

use crate::explored::{Exploration, Explored};
use crate::run::Kept;
use crate::script::{HEAD, Script, ScriptError};
use comment::comment;

/// What is in a file that can be played.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Schedule {
    /// A run of a simulated cluster.
    Script(Box<Script>),
    /// A way through an explored one.
    Route(Route),
}

/// A way through an explored cluster.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// Which.
    pub exploration: Exploration,
    /// Each step, and the line in which it stands.
    steps: Vec<(usize, Step)>,
}

/// A route as it was taken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// How it ended.
    pub ended: Ended,
    /// How many steps were taken.
    pub steps: usize,
    /// The last of them, in words.
    pub trace: Vec<String>,
    /// A page that draws them, if it was asked for.
    pub diagram: Option<String>,
}

/// How a route ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ended {
    /// At its end, and nothing is broken. So many steps could come next.
    Holds(usize),
    /// The last step that was taken broke this, or led to where it does not hold.
    Broken(String),
    /// At a step that cannot be taken there.
    Stuck(ScriptError),
}

/// The property of that name, if one is named: `always "a value stands once"` names one.
pub fn broken_name(broken: &str) -> &str {
    broken.split('"').nth(1).unwrap_or(broken)
}

/// The first two lines of a route name its version and its exploration.
const STEPS_FROM: usize = 3;

impl Route {
    /// The way to what an exploration has found.
    pub fn to(exploration: Exploration, violation: &Violation<Explored>) -> Result<Route, String> {
        let named = exploration.cluster()?.named(&violation.path.actions);
        Ok(Route { exploration, steps: (STEPS_FROM..).zip(named).collect() })
    }

    /// Its steps.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().map(|(_, step)| step)
    }

    /// Takes its steps, up to the first that breaks something. `Err`: there is no such cluster.
    pub fn take(&self, kept: Kept) -> Result<Taken, String> {
        let cluster = self.exploration.cluster()?;
        let mut walk = cluster.walk();
        walk.keep_diagram(kept.diagram_events);
        let mut stuck = None;
        for (line, step) in &self.steps {
            if walk.broken().is_some() {
                break;
            }
            if let Err(not_taken) = walk.take(step) {
                stuck = Some(ScriptError { line: *line, reason: why(step, &not_taken) });
                break;
            }
        }
        let ended = match (stuck, walk.broken()) {
            (Some(error), _) => Ended::Stuck(error),
            (None, Some(broken)) => Ended::Broken(broken.to_owned()),
            (None, None) => Ended::Holds(walk.possible().len()),
        };
        let (name, lines) = (self.exploration.name, walk.lines());
        let trace = lines[lines.len().saturating_sub(kept.trace_lines)..].to_vec();
        let diagram = (kept.diagram_events > 0).then(|| walk.diagram(&format!("explored: {name}")));
        Ok(Taken { ended, steps: lines.len(), trace, diagram })
    }

    /// As text. Behind what clients ask and what is on its way stands what that is, as far as the steps can be taken.
    pub fn commented(&self) -> Result<String, String> {
        let cluster = self.exploration.cluster()?;
        let mut walk = cluster.walk();
        let mut lines = Vec::new();
        for step in self.steps() {
            let said = walk.take(step).ok().and_then(|()| walk.lines().last());
            let comment = match (said, &step.what) {
                (None, _) => String::new(),
                (_, Named::Sync(_) | Named::Fire(..) | Named::Reset(..)) => String::new(),
                (_, Named::Crash(_) | Named::Start(_)) => String::new(),
                (Some(said), _) => format!(" -- {}", comment(said)),
            };
            lines.push(format!("{}{comment}", StepLine(step)));
        }
        Ok(self.text(&lines))
    }

    fn text(&self, steps: &[String]) -> String {
        let steps: String = steps.iter().map(|step| format!("{step}\n")).collect();
        format!("{HEAD}\nexplore {}\n{steps}end\n", self.exploration.name)
    }
}

impl Display for Route {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let lines: Vec<String> = self.steps().map(|step| StepLine(step).to_string()).collect();
        f.write_str(&self.text(&lines))
    }
}

fn why(step: &Step, not_taken: &NotTaken) -> String {
    let listed = |steps: &[Step]| {
        let lines: Vec<String> = steps.iter().map(|step| StepLine(step).to_string()).collect();
        lines.join("; ")
    };
    let step = StepLine(step);
    match not_taken {
        NotTaken::NotNow(can) if can.is_empty() => {
            format!("\"{step}\" cannot happen here, and nothing else can")
        }
        NotTaken::NotNow(can) => {
            format!("\"{step}\" cannot happen here; what can: {}", listed(can))
        }
        NotTaken::Choices(can) => {
            format!("\"{step}\" does not say what is chosen; it can be: {}", listed(can))
        }
    }
}

/// A step as its line has it.
struct StepLine<'a>(&'a Step);

impl Display for StepLine<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Step { what, choices } = self.0;
        let on = |f: &mut Formatter<'_>, from: &NodeId, to: &NodeId, word| {
            write!(f, "n{}.s0>n{}.s0 {word}", from.0, to.0)
        };
        match what {
            Named::Arrive(from, to) => on(f, from, to, "arrive"),
            Named::Repeat(from, to) => on(f, from, to, "repeat"),
            Named::Drop(from, to) => on(f, from, to, "drop"),
            Named::Ask(client) => write!(f, "client {}", client.0),
            Named::Fire(node, timer) => write!(f, "n{} fire {timer}", node.0),
            Named::Sync(node) => write!(f, "n{} sync", node.0),
            Named::Crash(node) => write!(f, "crash n{}", node.0),
            Named::Start(node) => write!(f, "start n{}", node.0),
            Named::Reset(a, b) => write!(f, "reset n{} n{}", a.0, b.0),
        }?;
        match choices[..] {
            [] => Ok(()),
            _ => {
                let choices: Vec<String> = choices.iter().map(u64::to_string).collect();
                write!(f, " choosing {}", choices.join(","))
            }
        }
    }
}

#[cfg(test)]
mod tests;
