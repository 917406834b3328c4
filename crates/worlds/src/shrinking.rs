//! Makes a failing run small: as few actions and decisions as still break the same rule.
//!
//! Actions first, then decisions of chance, since most of them are delays that do not matter; then again, until nothing
//! can be left out; then the times and the nodes that are left.

use ombak_base::Tick;
use ombak_node::Bounds;
use ombak_sim::{Decisions, Point, What, shrink, shrink_number};

use crate::run::{Failure, run_script};
use crate::script::{Action, Script};

/// What is known of a run that is being made smaller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shrunk {
    /// The smallest run so far that fails like the first.
    pub script: Script,
    /// How it fails.
    pub failure: Failure,
    /// How many runs that took.
    pub runs: usize,
}

impl Shrunk {
    /// What somebody would have to write down: actions and decisions.
    pub fn steps(&self) -> usize {
        self.script.actions.len() + self.script.decisions.len()
    }
}

/// Makes `script` smaller, with at most `runs_max` runs; `seen` hears of every smaller one. `Err`: it does not fail.
pub fn shrink_script(
    script: &Script,
    runs_max: usize,
    mut seen: impl FnMut(&Shrunk),
) -> Result<Shrunk, String> {
    let Err(failure) = run_script(script) else {
        return Err("the script fails no more when it is played".into());
    };
    let best = Shrunk { script: script.clone(), failure, runs: 1 };
    let mut shrinking = Shrinking { best, runs_max, seen: &mut seen };
    shrinking.go();
    Ok(shrinking.best)
}

struct Shrinking<'a> {
    best: Shrunk,
    runs_max: usize,
    seen: &'a mut dyn FnMut(&Shrunk),
}

impl Shrinking<'_> {
    fn go(&mut self) {
        self.leave_out();
        self.nodes();
        self.root();
        self.room();
        self.end();
        self.spans();
        self.words();
    }

    /// Until nothing can be left out any more.
    fn leave_out(&mut self) {
        self.decisions();
        loop {
            let before = self.best.steps();
            self.actions();
            self.decisions();
            if self.best.steps() == before || self.left() == 0 {
                return;
            }
        }
    }

    fn left(&self) -> usize {
        self.runs_max.saturating_sub(self.best.runs)
    }

    /// Whether this one fails as the best does; if so, it is the best.
    fn fails(&mut self, script: Script) -> bool {
        if self.left() == 0 {
            return false;
        }
        self.best.runs += 1;
        match run_script(&script) {
            Err(failure) if is_alike(&failure, &self.best.failure) => {
                (self.best.script, self.best.failure) = (script, failure);
                (self.seen)(&self.best);
                true
            }
            _ => false,
        }
    }

    fn actions(&mut self) {
        let actions = self.best.script.actions.clone();
        shrink(actions, self.left(), |actions| {
            let script = Script { actions: actions.to_vec(), ..self.best.script.clone() };
            self.fails(script)
        });
    }

    fn decisions(&mut self) {
        let decisions: Vec<(Point, u64)> =
            self.best.script.decisions.iter().map(|(point, value)| (*point, *value)).collect();
        shrink(decisions, self.left(), |decisions| {
            let decisions: Decisions = decisions.iter().copied().collect();
            self.fails(Script { decisions, ..self.best.script.clone() })
        });
    }

    /// Fewer nodes, as long as nothing is said of the last one.
    fn nodes(&mut self) {
        loop {
            let mut script = self.best.script.clone();
            script.shape.nodes -= 1;
            if script.shape.nodes < 3 || script.to_string().parse() != Ok(script.clone()) {
                return;
            }
            if !self.fails(script) {
                return;
            }
        }
    }

    /// No root group.
    fn root(&mut self) {
        if self.best.script.root {
            self.fails(Script { root: false, ..self.best.script.clone() });
        }
    }

    /// As much room as usual.
    fn room(&mut self) {
        if self.best.script.bounds != Bounds::default() {
            self.fails(Script { bounds: Bounds::default(), ..self.best.script.clone() });
        }
    }

    /// The storm ends as soon as it can.
    fn end(&mut self) {
        let last = self.best.script.actions.last().map_or(0, |(at, _)| at.0);
        let until = self.best.script.until.0;
        shrink_number(until, last, |until| {
            self.fails(Script { until: Tick(until), ..self.best.script.clone() })
        });
    }

    /// Delays are as short as they can be.
    fn spans(&mut self) {
        let points: Vec<Point> = self.best.script.decisions.keys().copied().collect();
        for point in points {
            // A seed is not better for being smaller.
            if matches!(point.what, What::Survive(_)) {
                continue;
            }
            let value = self.best.script.decisions.get(&point).copied().unwrap_or_default();
            shrink_number(value, 0, |value| {
                let mut script = self.best.script.clone();
                script.decisions.insert(point, value);
                self.fails(script)
            });
        }
    }

    /// Requests say as little as they can.
    fn words(&mut self) {
        for at in 0..self.best.script.actions.len() {
            let Action::Ask(asked) = &self.best.script.actions[at].1 else { continue };
            for ask in asked.ask.plainer() {
                let mut script = self.best.script.clone();
                if let Action::Ask(asked) = &mut script.actions[at].1 {
                    // Another word may have gone meanwhile.
                    asked.ask = ask;
                }
                if script.to_string().len() < self.best.script.to_string().len() {
                    self.fails(script);
                }
            }
        }
    }
}

/// Whether two runs break the same rule; of properties in the code, the same property.
fn is_alike(a: &Failure, b: &Failure) -> bool {
    let property = |failure: &Failure| failure.detail.split(':').next().map(str::to_owned);
    a.rule == b.rule && (a.rule != crate::run::PROPERTY || property(a) == property(b))
}
