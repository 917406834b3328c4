//! From a fingerprint back to a path: parents lead to the beginning, and the model leads forward again.

use super::report::Path;
use super::run::{Found, Run, Then};
use super::table::{Id, NOBODY, id_of};
use super::{Model, Steps};

/// A shortest way to what was found.
///
/// Panics if the model is not deterministic: then the states that were seen do not come again.
pub fn path<M: Model>(run: &Run<'_, M>, found: &Found) -> Path<M> {
    let ids = ancestry(run, found.at);
    let mut way: Vec<Wanted<'_>> = ids[1..].iter().map(|id| Wanted::State(*id)).collect();
    match &found.then {
        Then::Nothing => {}
        Then::Passes(name) => way.push(Wanted::Place(name)),
        Then::Breaks(message) => way.push(Wanted::Break(message)),
    }
    let walker = walk(run, begin(run, ids[0]), &way);
    let walker = walker.expect("the same state gives the same steps, so paths can be found again");
    Path { actions: walker.actions, lines: walker.lines, end: walker.state }
}

/// The first walker who gets to the end of the way. With symmetry, states that differ by names only have one
/// fingerprint; if the model chooses badly among them, only some lead on, and the others must be tried.
fn walk<M: Model>(
    run: &Run<'_, M>,
    mut walkers: Vec<Walker<M>>,
    way: &[Wanted<'_>],
) -> Option<Walker<M>> {
    while let Some(walker) = walkers.pop() {
        match way.get(walker.actions.len()) {
            None => return Some(walker),
            Some(wanted) => walkers.extend(walker.follow(run, *wanted).into_iter().rev()),
        }
    }
    None
}

/// A state and those before it, the initial one first.
fn ancestry<M: Model>(run: &Run<'_, M>, at: Id) -> Vec<Id> {
    let next = |id: &Id| run.table.parent(*id).filter(|parent| *parent != NOBODY);
    let mut ids: Vec<Id> = std::iter::successors(Some(at), next).collect();
    ids.reverse();
    ids
}

fn begin<M: Model>(run: &Run<'_, M>, id: Id) -> Vec<Walker<M>> {
    let walkers = run.model.initial().into_iter().map(|state| {
        let missing = run.expected.still_missing(&state, run.all_missing);
        Walker { state, missing, actions: Vec::new(), lines: Vec::new() }
    });
    walkers.filter(|walker| walker.id(run) == id).collect()
}

/// Someone on the way.
struct Walker<M: Model> {
    state: M::State,
    missing: u32,
    actions: Vec<M::Action>,
    lines: Vec<String>,
}

#[derive(Clone, Copy)]
enum Wanted<'a> {
    State(Id),
    Place(&'static str),
    Break(&'a str),
}

impl<M: Model> Walker<M> {
    fn id(&self, run: &Run<'_, M>) -> Id {
        id_of(run.fingerprint(&self.state, self.missing))
    }

    /// The distinct ways on that lead to what is wanted.
    fn follow(&self, run: &Run<'_, M>, wanted: Wanted<'_>) -> Vec<Walker<M>> {
        let mut search = Search { run, from: self, wanted, passed: Vec::new(), found: Vec::new() };
        run.model.next(&self.state, &mut search);
        search.found
    }

    fn then(&self, run: &Run<'_, M>, action: M::Action, state: M::State) -> Walker<M> {
        let missing = run.expected.still_missing(&state, self.missing);
        let (mut actions, mut lines) = (self.actions.clone(), self.lines.clone());
        lines.push(run.model.describe(&self.state, &action));
        actions.push(action);
        Walker { state, missing, actions, lines }
    }
}

/// Looks through the steps from a state.
struct Search<'a, 'b, M: Model> {
    run: &'a Run<'b, M>,
    from: &'a Walker<M>,
    wanted: Wanted<'a>,
    passed: Vec<&'static str>,
    found: Vec<Walker<M>>,
}

impl<M: Model> Search<'_, '_, M> {
    fn is_wanted(&mut self, state: &M::State) -> bool {
        let passed = std::mem::take(&mut self.passed);
        match self.wanted {
            Wanted::State(id) => {
                let missing = self.run.expected.still_missing(state, self.from.missing);
                id_of(self.run.fingerprint(state, missing)) == id
            }
            Wanted::Place(name) => passed.contains(&name),
            Wanted::Break(_) => false,
        }
    }

    /// Two steps that give the very same state need no two walkers.
    fn is_known(&self, state: &M::State) -> bool {
        let print = super::Digest::of(state);
        self.found.iter().any(|walker| super::Digest::of(&walker.state) == print)
    }
}

impl<M: Model> Steps<M> for Search<'_, '_, M> {
    fn step(&mut self, action: M::Action, state: M::State) {
        if self.is_wanted(&state) && !self.is_known(&state) {
            self.found.push(self.from.then(self.run, action, state));
        }
    }

    fn broken(&mut self, action: M::Action, message: String) {
        let passed = std::mem::take(&mut self.passed);
        let is_wanted = match self.wanted {
            Wanted::State(_) => false,
            Wanted::Place(name) => passed.contains(&name),
            Wanted::Break(wanted) => wanted == message,
        };
        if is_wanted {
            let state = self.from.state.clone();
            self.found.push(self.from.then(self.run, action, state));
        }
    }

    fn reached(&mut self, name: &'static str) {
        self.passed.push(name);
    }
}
