//! Which disasters befall a run, and how often: each run draws its own, as it draws its weather.

use ombak_sim::Rng;

/// What can be drawn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Crash,
    CrashAll,
    /// Also while it starts.
    CutPower,
    Start,
    Pause,
    Resume,
    Cut,
    OneWay,
    Slow,
    Heal,
    Reset,
    /// A disk is lost, older, rotten, or writes elsewhere.
    Spoil,
    /// The node answers reads, and refuses writes until it is started again.
    FailSync,
    Fill,
    Room,
    Clock,
}

/// What goes wrong, how likely it is beside the others, and what makes it good again.
const HARMS: [(Kind, usize, Option<Kind>); 12] = [
    (Kind::Crash, 2, Some(Kind::Start)),
    (Kind::CrashAll, 1, Some(Kind::Start)),
    (Kind::CutPower, 2, Some(Kind::Start)),
    (Kind::FailSync, 1, Some(Kind::Start)),
    (Kind::Pause, 1, Some(Kind::Resume)),
    (Kind::Cut, 1, Some(Kind::Heal)),
    (Kind::OneWay, 1, Some(Kind::Heal)),
    (Kind::Slow, 2, Some(Kind::Heal)),
    (Kind::Fill, 2, Some(Kind::Room)),
    (Kind::Reset, 1, None),
    (Kind::Spoil, 1, None),
    (Kind::Clock, 1, None),
];

/// How likely that is, whatever it is needed for.
const REMEDIES: [(Kind, usize); 4] =
    [(Kind::Start, 3), (Kind::Resume, 1), (Kind::Heal, 1), (Kind::Room, 1)];

/// Those of one run.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Disasters {
    /// What is likelier stands there more often.
    kinds: Vec<Kind>,
    /// One comes after so many pauses.
    one_in: u64,
}

impl Disasters {
    /// A swarm's member: each harm is there or not, and where it is, what makes it good is as well. Where all come together, few
    /// of them come often, and one can hide another.
    pub(super) fn random(rng: &mut Rng) -> Disasters {
        let one_in = rng.pick(&[10, 20, 20, 40, 80]).copied().unwrap_or(20);
        let harms: Vec<_> = HARMS.into_iter().filter(|_| rng.chance(1, 2)).collect();
        let is_needed = |remedy: Kind| harms.iter().any(|(_, _, needs)| *needs == Some(remedy));
        let remedies = REMEDIES.into_iter().filter(|(kind, _)| is_needed(*kind));
        let harms = harms.iter().map(|(kind, weight, _)| (*kind, *weight));
        let often = |(kind, weight)| std::iter::repeat_n(kind, weight);
        Disasters { kinds: harms.chain(remedies).flat_map(often).collect(), one_in }
    }

    /// The next, if there is one now.
    pub(super) fn draw(&self, rng: &mut Rng) -> Option<Kind> {
        if rng.chance(1, self.one_in) { rng.pick(&self.kinds).copied() } else { None }
    }
}

#[cfg(test)]
mod tests;
