//! One way through a cluster, step by step: a counterexample that is looked at again, or a schedule that somebody wrote.

use super::act::{Action, What};
use super::picture::Picture;
use super::state::ClusterState;
use super::step::Step;
use super::turn::Way;
use super::{Cluster, Explorable, History};
use crate::explore::Model;
use crate::explore::expect::Expected;

/// Why a step was not taken. Nothing has changed then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotTaken {
    /// It cannot happen now; these can.
    NotNow(Vec<Step>),
    /// It can, but not with these choices; so it can.
    Choices(Vec<Step>),
}

/// A cluster on its way. It begins in the state in which an exploration begins, and knows what is expected.
pub struct Walk<'a, M: Explorable, H: History<M>> {
    cluster: &'a Cluster<M, H>,
    expected: Expected<ClusterState<M, H>>,
    state: ClusterState<M, H>,
    missing: u32,
    steps: Vec<Step>,
    lines: Vec<String>,
    broken: Option<String>,
    picture: Option<Picture>,
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// A way through this cluster, from its beginning.
    ///
    /// Panics if it can begin in several ways, or if messages overtake each other: then steps have no names.
    pub fn walk(&self) -> Walk<'_, M, H> {
        assert!(self.is_ordered, "where messages overtake each other, steps have no names");
        let mut begins = self.initial();
        let (Some(state), true) = (begins.pop(), begins.is_empty()) else {
            panic!("a cluster that is walked through begins in one way")
        };
        let expected = Expected::new(self.properties.clone());
        let missing = expected.all_missing();
        let (steps, lines) = (Vec::new(), Vec::new());
        let mut walk = Walk {
            cluster: self,
            expected,
            state,
            missing,
            steps,
            lines,
            broken: None,
            picture: None,
        };
        walk.judge();
        walk
    }

    /// The names of what was done, from the beginning on.
    ///
    /// Panics where [`walk`](Cluster::walk) does, and if this is no way through this cluster.
    pub fn named(&self, actions: &[Action<M>]) -> Vec<Step> {
        let mut walk = self.walk();
        actions.iter().for_each(|action| walk.go(action));
        walk.steps
    }
}

impl<M: Explorable, H: History<M>> Walk<'_, M, H> {
    /// From now on keeps the last `events_max` events for [`diagram`](Walk::diagram); 0: none.
    pub fn keep_diagram(&mut self, events_max: usize) {
        self.picture = (events_max > 0).then(|| Picture::new(&self.state, events_max));
    }

    /// Takes a step, if it can be taken now.
    pub fn take(&mut self, step: &Step) -> Result<(), NotTaken> {
        let (cluster, state) = (self.cluster, &self.state);
        let mut found = None;
        cluster.possible(state, &mut |what| {
            if cluster.name_of(state, &what) == step.what {
                found.get_or_insert(what);
            }
        });
        let Some(what) = found else { return Err(NotTaken::NotNow(self.possible())) };
        let ways = self.steps_of(&what);
        if !ways.contains(step) {
            return Err(NotTaken::Choices(ways));
        }
        self.go(&Action { what, choices: step.choices.clone() });
        Ok(())
    }

    /// Every step that can be taken now.
    pub fn possible(&self) -> Vec<Step> {
        let mut all = Vec::new();
        self.cluster.possible(&self.state, &mut |what| all.extend(self.steps_of(&what)));
        all
    }

    /// The property that does not hold here, or what the last step broke.
    pub fn broken(&self) -> Option<&str> {
        self.broken.as_deref()
    }

    /// What was done so far, in words.
    pub fn lines(&self) -> &[String] {
        &self.lines
    }

    /// Where it has come to.
    pub fn state(&self) -> &ClusterState<M, H> {
        &self.state
    }

    /// The way as a space-time diagram, as [`World::diagram`](crate::World::diagram) draws one. Its time is the number of steps.
    pub fn diagram(&self, title: &str) -> String {
        let nodes = self.cluster.nodes as usize;
        let nothing = Picture::new(&self.state, 0);
        self.picture.as_ref().unwrap_or(&nothing).page(title, nodes, self.steps.len() as u64)
    }

    /// A step, once for all choices within it.
    fn steps_of(&self, what: &What<M>) -> Vec<Step> {
        let named = |choices: &[u64]| Step {
            what: self.cluster.name_of(&self.state, what),
            choices: choices.to_vec(),
        };
        match self.cluster.ways_of(&self.state, what) {
            None => vec![named(&[])],
            Some((_, ways)) => ways.all.iter().map(|way| named(&way.choices)).collect(),
        }
    }

    fn go(&mut self, action: &Action<M>) {
        let (cluster, before) = (self.cluster, self.state.clone());
        let is_it = |way: &&Way<M>| way.choices[..] == action.choices[..];
        let ways = cluster.ways_of(&before, &action.what);
        let way =
            ways.map(|(node, ways)| (node, ways.all.iter().find(is_it).expect("a way of it")));
        let after = match way {
            Some((node, way)) => cluster.after_way(&before, &action.what, node, way),
            None => cluster.after(&before, &action.what, None),
        };
        let what = cluster.name_of(&before, &action.what);
        self.steps.push(Step { what, choices: action.choices.clone() });
        self.lines.push(cluster.describe(&before, action));
        if let Some(picture) = &mut self.picture {
            let then = way.and_then(|(node, way)| Some((node, way.then.as_ref().ok()?)));
            picture.step(cluster, &before, &action.what, then, after.as_ref().ok());
        }
        match after {
            Ok(after) => self.state = after,
            Err(message) => return self.broken = Some(message),
        }
        self.judge();
    }

    fn judge(&mut self) {
        self.missing = self.expected.still_missing(&self.state, self.missing);
        let mut can_go_on = false;
        self.cluster.possible(&self.state, &mut |_| can_go_on = true);
        let at_end = || self.expected.broken_at_end(self.missing).filter(|_| !can_go_on);
        self.broken = self.expected.broken_in(&self.state).or_else(at_end);
    }
}
