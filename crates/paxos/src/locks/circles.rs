//! Whether anybody waits in a circle, for [`check`](super::check): the whole graph at once, by another way than the search that
//! is made when a request comes to wait.
//!
//! A crowd that waits for a crowd has as many edges as one times the other. Between them stands a node for "what holds this
//! resource in the way of that mode", and the edges are as many as one and the other.

use std::collections::{BTreeMap, BTreeSet};

use super::{LockManager, Mode, Path, SessionId};

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node<'a> {
    Session(SessionId),
    /// The holders of a resource that do not go together with a mode.
    Holders(&'a Path, Mode),
}

#[derive(Default)]
struct Graph<'a> {
    /// For how many each waits. Who waits for nobody is not here.
    waits: BTreeMap<Node<'a>, usize>,
    waited_for: BTreeMap<Node<'a>, Vec<Node<'a>>>,
}

impl<'a> Graph<'a> {
    fn edge(&mut self, waiter: Node<'a>, blocker: Node<'a>) {
        *self.waits.entry(waiter).or_default() += 1;
        self.waited_for.entry(blocker).or_default().push(waiter);
    }

    /// Takes away who waits for nobody, then who waited only for such, and so on. What is left waits in a circle, or for one.
    fn left(mut self) -> impl Iterator<Item = Node<'a>> {
        let idle = self.waited_for.keys().filter(|node| !self.waits.contains_key(node));
        let mut done: Vec<_> = idle.copied().collect();
        while let Some(node) = done.pop() {
            for waiter in self.waited_for.remove(&node).into_iter().flatten() {
                let left = self.waits.entry(waiter).or_default();
                *left -= 1;
                if *left == 0 {
                    self.waits.remove(&waiter);
                    done.push(waiter);
                }
            }
        }
        self.waits.into_keys()
    }
}

impl LockManager {
    /// A session that waits in a circle or for one, if there is any.
    pub(super) fn waits_in_a_circle(&self) -> Option<SessionId> {
        let mut graph = Graph::default();
        let (mut crowds, mut converting) = (BTreeSet::new(), BTreeSet::new());
        let sessions = self.sessions.keys().flat_map(|session| self.pending_of(*session));
        for (path, place, queued) in sessions.filter_map(|id| self.pending(id)) {
            let waiter = Node::Session(queued.lock.session);
            let Some(resource) = self.resources.get(path) else { continue };
            if let Some(ahead) = resource.ahead_of(place, queued) {
                graph.edge(waiter, Node::Session(ahead.lock.session));
            }
            let holders = resource.in_the_way(queued).map(|(lock, _)| Node::Session(lock.session));
            match queued.held.filter(|held| !held.compatible(queued.mode)) {
                // It would be in its own way, and so has holders of its own. Two that want the same are in each other's.
                Some(held) => {
                    if !converting.insert((path, held, queued.mode)) {
                        return Some(queued.lock.session);
                    }
                    holders.for_each(|holder| graph.edge(waiter, holder));
                }
                None => {
                    let crowd = Node::Holders(path, queued.mode);
                    graph.edge(waiter, crowd);
                    if crowds.insert(crowd) {
                        holders.for_each(|holder| graph.edge(crowd, holder));
                    }
                }
            }
        }
        graph.left().find_map(|node| match node {
            Node::Session(session) => Some(session),
            Node::Holders(..) => None,
        })
    }
}
