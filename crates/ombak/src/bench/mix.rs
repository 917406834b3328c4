//! The load that is measured: which operation on which key comes next.

use std::time::{Duration, Instant};

use super::frames::{Kind, Operation};
use super::latest::Latest;
use super::load::{Answer, Load};
use super::open_loop::{Arrivals, Counts};
use super::options::{BenchArgs, Distribution};
use super::rng::Rng;
use super::tally::Tally;
use super::zipf::Scrambled;

/// Operations by their shares, on keys by their distribution, counted and timed.
pub(super) struct Mix {
    rng: Rng,
    /// Kinds and their percent; together 100.
    shares: Vec<(Kind, u32)>,
    keys: Keys,
    tally: Tally,
    /// In an open loop, when to ask.
    arrivals: Option<Arrivals>,
}

impl Mix {
    /// A mix that the seed repeats.
    pub(super) fn new(args: &BenchArgs) -> Mix {
        Mix {
            rng: Rng::new(args.seed),
            shares: args.shares(),
            keys: Keys::new(args),
            tally: Tally::new(),
            arrivals: None,
        }
    }

    /// Asks from now on when something arrives, and no sooner.
    pub(super) fn open(&mut self, arrivals: Arrivals) {
        self.arrivals = Some(arrivals);
    }

    /// What has arrived so far; nothing in a closed loop.
    pub(super) fn arrivals(&self) -> Counts {
        self.arrivals.as_ref().map(Arrivals::counts).unwrap_or_default()
    }

    /// What has ended since the last [`Mix::take_tally`].
    pub(super) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Call it every now and then in a window of `length`.
    pub(super) fn tick(&mut self, now: Duration, length: Duration) {
        self.tally.timeline.tick(now, length);
    }

    /// Begins counting anew.
    pub(super) fn take_tally(&mut self) -> Tally {
        std::mem::replace(&mut self.tally, Tally::new())
    }

    fn draw_kind(&mut self) -> Kind {
        let mut place = self.rng.below(100);
        for (kind, percent) in &self.shares {
            if place < *percent {
                return *kind;
            }
            place -= percent;
        }
        Kind::Get
    }
}

impl Load for Mix {
    fn next(&mut self, now: Instant) -> Option<(Operation, Instant)> {
        let since = match &mut self.arrivals {
            Some(arrivals) => arrivals.take()?,
            None => now,
        };
        let kind = self.draw_kind();
        let key = match kind {
            Kind::Insert => self.keys.insert(&mut self.rng),
            _ => self.keys.draw(&mut self.rng),
        };
        Some((Operation { kind, key }, since))
    }

    fn waits(&self) -> bool {
        self.arrivals().waiting > 0
    }

    fn ended(&mut self, operation: Operation, latency: Duration, answer: Answer) {
        if let (Kind::Insert, Keys::Latest(latest)) = (operation.kind, &mut self.keys) {
            latest.inserted(operation.key, answer == Answer::Done);
        }
        self.tally.ended(operation, latency, answer);
    }
}

/// Which key.
enum Keys {
    Uniform(u32),
    Zipf(Scrambled),
    Latest(Latest),
}

impl Keys {
    fn new(args: &BenchArgs) -> Keys {
        match args.keys_distribution {
            Distribution::Uniform => Keys::Uniform(args.keys),
            Distribution::Zipf => Keys::Zipf(Scrambled::new(args.keys)),
            Distribution::Latest => Keys::Latest(Latest::new(args.keys)),
        }
    }

    fn draw(&self, rng: &mut Rng) -> u32 {
        match self {
            Keys::Uniform(keys) => rng.below(*keys),
            Keys::Zipf(scrambled) => scrambled.draw(rng),
            Keys::Latest(latest) => latest.draw(rng),
        }
    }

    /// A key for an insert; only where the newest are popular does the number of keys grow.
    fn insert(&mut self, rng: &mut Rng) -> u32 {
        match self {
            Keys::Latest(latest) => latest.insert(),
            _ => self.draw(rng),
        }
    }
}

#[cfg(test)]
mod tests;
