//! Every schedule of a small cluster of machines.
//!
//! The machines are those of production, as they are. What the host around them does is up to the explorer: which
//! message arrives next, whether one is lost or doubled, which timer fires, when storage is synced, who crashes and
//! when it is started again, when clients ask, and what `choose` answers. Each of these is a step. Budgets bound what
//! goes wrong, or runs would never end.
//!
//! # The host
//!
//! - **Nodes** have one shard each, and start in order before anything else happens.
//! - **Connections** are heard of if [`Cluster::connected`] says so: all are up after the start; each death and each
//!   reset is heard of in its turn. Without it, a message to any node is taken, and lost if that node is down.
//! - **Messages** are encoded and decoded. They keep their order between two nodes, unless [`Cluster::unordered`] says
//!   that they overtake each other.
//! - **Turns** are those of production: one event, then the loads and scans that it asked for.
//! - **Storage** shows what was stored at once. A sync makes all of it durable, lets out what waited for it, and tells
//!   the machine. A crash loses what was not synced, what was held, the timers, and messages on their way to the node;
//!   what it had sent may still arrive.
//! - **Time** stands still until a timer fires, and then is what the timer asked for, if that is later. Of one node's
//!   timers the earliest fires first; those of different nodes fire in any order, as if clocks and threads were late.
//! - **Properties.** `check` is called after every step. A panic, of `always!` above all, is a violation.
//!
//! Time is part of a state, for machines may remember moments: see [`Cluster::relative`].
//!
//! # What it costs
//!
//! What an event does to a node depends on that node, on the time and on what its machine chooses, and a node is the same
//! in very many states. So a machine takes each event once for each way that it ever was; in all other states it is known
//! what becomes of it, and a step is a few numbers that change. A machine that is not deterministic is not noticed: the
//! simulator is there for that. Nodes are kept to the end, and count for [`Explorer::bytes_max`](super::Explorer::bytes_max).
//!
//! # What is left out, and what is not
//!
//! - *States that differ by names* count as one if [`Cluster::symmetric`] says which nodes are alike. Nodes of a ring are
//!   not: a partition has its owners in order, and the first of them coordinates.
//! - *Messages that change nothing* stay where they are if messages overtake each other: see [`Cluster::unordered`].
//! - *Steps that commute*: of two that happen to different nodes, take no time and are not both seen by clients, one order
//!   is enough to come to where both lead. The other is left out, as the [explorer](super#what-is-left-out) allows it: that leaves out
//!   steps, and no state. Not where nodes are alike, for the order of steps goes by their numbers.
//! - *States between steps that commute* are all visited, though some need not be: if from each of the other nodes a message
//!   to some is on its way already, those can go first, for it is known what they hear next. But properties would have to
//!   look at nothing but the history, and what is put off must not be put off for ever, in a circle. Tried on three
//!   production nodes, without a guard against circles, this left 144,967 of 157,766 states (`write-write-read`) and
//!   1,467,764 of 1,966,976 (`write-crash`), and took as long. Where messages overtake each other it never applies. It
//!   is not worth two conditions that nobody checks.
//!
//! ```
//! # use bytes::Bytes;
//! # use ombak_base::*;
//! use ombak_sim::explore::{Budget, Cluster, Explorer};
//!
//! /// Leads as soon as the other has been silent for a second: a bad idea.
//! #[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
//! struct Hasty {
//!     leads: bool,
//! }
//!
//! # #[derive(Clone, Debug)]
//! # enum Nothing {}
//! # impl Wire for Nothing {
//! #     fn encode(&self, _: &mut Vec<u8>) {}
//! #     fn decode(_: Bytes) -> Result<Nothing, DecodeError> {
//! #         Err(DecodeError::Invalid("message"))
//! #     }
//! # }
//! impl Machine for Hasty {
//! #     type Message = Nothing;
//! #     type Request = ();
//! #     type Reply = ();
//! #     type Timer = ();
//!     fn step<E: Effects<Hasty>>(&mut self, now: Now, event: Event<Hasty>, fx: &mut E) {
//!         match event {
//!             Event::Start => fx.arm((), now.tick.plus_ms(1_000)),
//!             Event::Timer(()) => self.leads = true,
//!             _ => {}
//!         }
//!     }
//! }
//!
//! let cluster = Cluster::new(2, |_| Hasty::default())
//!     .budget(Budget { timers: 2, ..Budget::default() })
//!     .sometimes("somebody leads", |state| state.machines().any(|(_, hasty)| hasty.leads))
//!     .always("one leads", |state| state.machines().filter(|(_, hasty)| hasty.leads).count() < 2);
//! let report = Explorer::new(&cluster).threads(2).states_max(1_000_000).run();
//! let violation = report.violation.unwrap();
//! assert_eq!(violation.broken, "always \"one leads\"");
//! assert_eq!(violation.path.lines, ["n0: timer () fires", "n1: timer () fires"]);
//! ```

mod act;
mod commute;
mod kept;
mod links;
mod picture;
mod state;
mod step;
mod storage;
mod symmetry;
mod turn;
mod walk;

use std::fmt::Debug;
use std::hash::Hash;

use bytes::Bytes;
use ombak_base::{ClientId, Machine, NodeId, Tick};

use super::{Digest, Model, Property, Steps, quietly};
use symmetry::Symmetry;

pub use act::{Action, What};
pub use state::ClusterState;
pub use step::{Named, Step};
pub use storage::Storage;
pub use symmetry::{Names, Renaming};
pub use walk::{NotTaken, Walk};

/// A machine that threads can share: nothing else is asked of it.
pub trait Explorable:
    Machine<Timer: Send + Sync, Request: Send + Sync, Reply: Send + Sync> + Send + Sync
{
}

impl<M> Explorable for M where
    M: Machine<Timer: Send + Sync, Request: Send + Sync, Reply: Send + Sync> + Send + Sync
{
}

/// What clients saw, as far as properties want to know it. It is part of a state: the less it remembers, the fewer
/// states there are.
pub trait History<M: Machine>: Clone + Hash + Debug + Send + Sync {
    /// A client asks.
    fn asked(&mut self, _client: ClientId, _request: &M::Request) {}
    /// A client hears.
    fn replied(&mut self, _client: ClientId, _reply: &M::Reply) {}
}

impl<M: Machine> History<M> for () {}

/// How much may go wrong, in all. `u32::MAX` is without bound. By default, nothing, and no timer fires.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Budget {
    /// Messages lost.
    pub drops: u32,
    /// Messages that arrive and stay, to arrive again.
    pub duplicates: u32,
    /// Timers that fire.
    pub timers: u32,
    /// Nodes that crash. Each may be started again.
    pub crashes: u32,
    /// Connections that break and come again.
    pub resets: u32,
}

type Boot<M> = Box<dyn Fn(NodeId, &Storage) -> M + Send + Sync>;

type Hello = Box<dyn Fn(NodeId) -> Bytes + Send + Sync>;

/// What the allocator takes for itself.
const HEAP_BYTES: usize = 16;

type RelativeHash<M> = fn(&M, Tick, &mut Digest);

/// A cluster to explore: see the [module](self).
pub struct Cluster<M: Machine, H = ()> {
    nodes: u32,
    boot: Boot<M>,
    requests: Vec<(NodeId, M::Request)>,
    budget: Budget,
    /// What nodes say of themselves in a handshake; `None`: there are no connections to hear of.
    hello: Option<Hello>,
    is_ordered: bool,
    begins_at_rest: bool,
    choices_max: u64,
    relative: Option<RelativeHash<M>>,
    symmetry: Option<Symmetry<M>>,
    history: H,
    properties: Vec<Property<ClusterState<M, H>>>,
}

impl<M: Explorable> Cluster<M> {
    /// So many nodes, at most 64. `boot` makes a machine for a node that starts, the first time and after each crash.
    pub fn new(nodes: u32, boot: impl Fn(NodeId) -> M + Send + Sync + 'static) -> Cluster<M> {
        Cluster::with_storage(nodes, move |node, _| boot(node))
    }

    /// The same for machines that are made from what their nodes have stored.
    pub fn with_storage(
        nodes: u32,
        boot: impl Fn(NodeId, &Storage) -> M + Send + Sync + 'static,
    ) -> Cluster<M> {
        assert!(nodes <= 64, "at most 64 nodes");
        Cluster {
            nodes,
            boot: Box::new(boot),
            requests: Vec::new(),
            budget: Budget::default(),
            hello: None,
            is_ordered: true,
            begins_at_rest: false,
            choices_max: 8,
            relative: None,
            symmetry: None,
            history: (),
            properties: Vec::new(),
        }
    }

    /// Keeps a history of what clients see. Comes before the properties.
    pub fn history<H: History<M>>(self, history: H) -> Cluster<M, H> {
        assert!(self.properties.is_empty(), "the history comes before the properties that see it");
        Cluster {
            nodes: self.nodes,
            boot: self.boot,
            requests: self.requests,
            budget: self.budget,
            hello: self.hello,
            is_ordered: self.is_ordered,
            begins_at_rest: self.begins_at_rest,
            choices_max: self.choices_max,
            relative: self.relative,
            symmetry: self.symmetry,
            history,
            properties: Vec::new(),
        }
    }
}

impl<M: Explorable, H: History<M>> Cluster<M, H> {
    /// A client that may ask this of `node` at any time, once. Clients are numbered from 0, up to 64 of them.
    pub fn request(mut self, node: NodeId, request: M::Request) -> Self {
        assert!(self.requests.len() < 64, "at most 64 requests");
        self.requests.push((node, request));
        self
    }

    /// How much may go wrong.
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = budget;
        self
    }

    /// Machines hear of connections, with what `hello` says of a node.
    pub fn connected(mut self, hello: impl Fn(NodeId) -> Bytes + Send + Sync + 'static) -> Self {
        assert!(self.is_ordered, "connections keep messages in order");
        self.hello = Some(Box::new(hello));
        self
    }

    /// Messages overtake each other.
    ///
    /// Then one whose arrival would change nothing, and do nothing, is left where it is: whatever can happen without it
    /// can happen with it too. This leaves out states, and no behaviour of the machines.
    pub fn unordered(mut self) -> Self {
        assert!(self.hello.is_none(), "connections keep messages in order");
        self.is_ordered = false;
        self
    }

    /// Begins when the nodes have started, heard all that they had to say to each other, and synced: in one order of many.
    /// What happens before clients ask is not explored then.
    pub fn begins_at_rest(mut self) -> Self {
        self.begins_at_rest = true;
        self
    }

    /// `choose(n)` is explored for `n` up to this. Above it the answers are numbers that come from the node and from how
    /// often it chose: names, as a rule, which must be different. 8 unless said otherwise.
    pub fn choices_max(mut self, n: u64) -> Self {
        self.choices_max = n;
        self
    }

    /// Says that it does not matter what time it is, only how far away other moments are: states that differ by a
    /// shift of time count as one. `hash` takes in a machine with the moments that it remembers counted from the tick
    /// that it is given. For a machine that remembers none it is `|machine, _, digest| machine.hash(digest)`.
    pub fn relative(mut self, hash: fn(&M, Tick, &mut Digest)) -> Self {
        self.relative = Some(hash);
        self
    }

    /// Says that these nodes, 5 at most, are alike: states that differ only by which of them is which count as one.
    ///
    /// No client asks them, they choose no names, and their timers, replies and stores name none of them: see
    /// [`Renaming`]. That they do the same under each other's names is checked at each step, and broken if not.
    pub fn symmetric(mut self, alike: &[NodeId], renaming: Renaming<M>) -> Self {
        self.symmetry = Some(Symmetry::new(self.nodes, alike, renaming));
        self
    }

    /// Holds in every state.
    pub fn always(
        self,
        name: &'static str,
        holds: impl Fn(&ClusterState<M, H>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.expect(Property::always(name, holds))
    }

    /// Holds in some state.
    pub fn sometimes(
        self,
        name: &'static str,
        holds: impl Fn(&ClusterState<M, H>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.expect(Property::sometimes(name, holds))
    }

    /// Has been true by the time a run ends.
    pub fn eventually(
        self,
        name: &'static str,
        holds: impl Fn(&ClusterState<M, H>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.expect(Property::eventually(name, holds))
    }

    /// Some step comes past the [`probe`](ombak_base::Effects::probe) of this name.
    pub fn reached(self, name: &'static str) -> Self {
        self.expect(Property::reached(name))
    }

    fn expect(mut self, property: Property<ClusterState<M, H>>) -> Self {
        self.properties.push(property);
        self
    }

    /// All ways of one step, by all choices within it.
    fn branch(&self, state: &ClusterState<M, H>, what: &What<M>, steps: &mut impl Steps<Self>) {
        let action = |choices: &[u64]| Action { what: what.clone(), choices: choices.to_vec() };
        let give = |action, result, steps: &mut _| match result {
            Ok(next) => Steps::<Self>::step(steps, action, next),
            Err(message) => Steps::<Self>::broken(steps, action, message),
        };
        let Some((node, ways)) = self.ways_of(state, what) else {
            return give(action(&[]), self.after(state, what, None), steps);
        };
        // One that may as well arrive later: see `unordered`.
        if ways.is_idle && !self.is_ordered && matches!(what, What::Deliver(_)) {
            return;
        }
        for way in &ways.all {
            let commutes = |then| self.comes_before_last(state, what, node, then);
            if way.then.as_ref().is_ok_and(commutes) && steps.may_leave_out() {
                continue;
            }
            way.places.iter().for_each(|name| steps.reached(name));
            give(action(&way.choices), self.after_way(state, what, node, way), steps);
        }
    }
}

impl<M: Explorable, H: History<M>> Model for Cluster<M, H> {
    type State = ClusterState<M, H>;
    type Action = Action<M>;

    fn initial(&self) -> Vec<Self::State> {
        let states = self.start();
        match self.begins_at_rest {
            true => states.into_iter().map(|state| self.rest(state)).collect(),
            false => states,
        }
    }

    fn next(&self, state: &Self::State, steps: &mut impl Steps<Self>) {
        self.possible(state, &mut |what| self.branch(state, &what, steps));
    }

    fn properties(&self) -> Vec<Property<Self::State>> {
        self.properties.clone()
    }

    fn fingerprint(&self, state: &Self::State) -> u128 {
        match &self.symmetry {
            None => state.print(self.relative),
            Some(symmetry) => self.least_print(state, symmetry),
        }
    }

    fn state_bytes(&self, state: &Self::State) -> usize {
        size_of::<Self::State>() + state.parts.capacity() * size_of::<kept::Id>() + HEAP_BYTES
    }

    fn shared_bytes(&self, state: &Self::State) -> usize {
        state.shared.bytes()
    }

    fn describe(&self, state: &Self::State, action: &Action<M>) -> String {
        let what = self.describe_what(state, &action.what);
        if action.choices.is_empty() {
            what
        } else {
            format!("{what}, choosing {:?}", action.choices)
        }
    }
}
