//! What a run is drawn from, and how it is named on a command line.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

use ombak_base::Tick;

use crate::families::Families;
use crate::storage::Backend;

/// From here on what is done is drawn from another seed. (What chance decides of a message is still the first seed's.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Fork {
    /// When.
    pub at: Tick,
    /// From which.
    pub seed: u64,
}

/// A run that is going to be drawn.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Plan {
    /// From which seed.
    pub seed: u64,
    /// With which faults.
    pub faults: Families,
    /// Where it leaves what the seed does, in the order of time.
    pub forks: Vec<Fork>,
    /// Where nodes keep their data. All else of a seed is drawn alike.
    pub backend: Backend,
}

/// A text that is no fork.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("\"{0}\" is no fork: a time in µs and a seed, like 6500000:17")]
pub struct ForkError(pub String);

impl Plan {
    /// All that a seed does.
    pub fn of_seed(seed: u64) -> Plan {
        Plan { seed, faults: Families::ALL, forks: Vec::new(), backend: Backend::default() }
    }
}

impl FromStr for Fork {
    type Err = ForkError;

    fn from_str(text: &str) -> Result<Fork, ForkError> {
        let parts = text.split_once(':');
        let parts = parts.and_then(|(at, seed)| Some((at.parse().ok()?, seed.parse().ok()?)));
        let (at, seed) = parts.ok_or_else(|| ForkError(text.to_owned()))?;
        Ok(Fork { at: Tick(at), seed })
    }
}

impl Display for Fork {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.at.0, self.seed)
    }
}

/// As arguments of `ombak sim run`.
impl Display for Plan {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "--seed {}", self.seed)?;
        self.forks.iter().try_for_each(|fork| write!(f, " --fork {fork}"))?;
        if self.faults != Families::ALL {
            write!(f, " --faults {}", self.faults)?;
        }
        match self.backend {
            Backend::Log => Ok(()),
            backend => write!(f, " --backend {backend}"),
        }
    }
}

#[cfg(test)]
mod tests;
