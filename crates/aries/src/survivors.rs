//! Which parts of what was not synced a crash leaves, for tests: every choice where there are few parts, and else the first ones, the
//! last ones, and some at random.

use ombak_sim::Rng;

use crate::seeds::seeds;

/// As many parts as this are few: a block of the log has eight.
const FEW: u32 = 9;

/// A choice among the parts.
#[derive(Clone, Copy, Debug)]
pub enum Survivors {
    /// Those of which the number has a bit.
    Bits(u64),
    First(u32),
    /// All but the first ones.
    Behind(u32),
    AtRandom(u64),
}

impl Survivors {
    /// Of so many parts: every choice, or every `step`-th of the ends, and so many others.
    pub fn of(parts: u32, step: u32, others: u64) -> Vec<Survivors> {
        if parts <= FEW {
            return (0..1 << parts).map(Survivors::Bits).collect();
        }
        let ends = (0..=parts).step_by(step as usize);
        let ends = ends.flat_map(|len| [Survivors::First(len), Survivors::Behind(len)]);
        let others = seeds(others).map(|seed| Survivors::AtRandom(seed << 32 | u64::from(parts)));
        ends.chain(others).collect()
    }

    /// Says of one part after the other whether it is left.
    pub fn judge(self) -> impl FnMut() -> bool {
        let (mut part, mut rng) = (0, Rng::new(0));
        if let Survivors::AtRandom(seed) = self {
            rng = Rng::new(seed);
        }
        move || {
            part += 1;
            match self {
                Survivors::Bits(bits) => bits >> (part - 1) & 1 == 1,
                Survivors::First(len) => part <= len,
                Survivors::Behind(len) => part > len,
                Survivors::AtRandom(_) => rng.chance(1, 2),
            }
        }
    }
}
