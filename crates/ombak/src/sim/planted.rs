//! A bug that is planted, to see it found.

use std::fmt::{self, Display, Formatter};

use clap::builder::PossibleValuesParser;
use ombak_base::property;
use ombak_worlds::PLANTED;

use crate::error::CliError;

/// One that is asked for, or none.
#[derive(Clone, Copy)]
pub(super) struct Plant(&'static str);

/// Their names.
pub(super) fn names() -> PossibleValuesParser {
    PossibleValuesParser::new(PLANTED.iter().map(|planted| planted.name))
}

impl Plant {
    /// That of this name.
    pub(super) fn named(name: Option<&str>) -> Result<Plant, CliError> {
        let found = PLANTED.iter().find(|planted| Some(planted.name) == name);
        match found {
            Some(_) if !cfg!(debug_assertions) => Err(CliError::usage(
                "--plant: no bug is planted in a release build; `cargo run -p ombak -- sim …` makes one in which they are",
            )),
            Some(planted) => Ok(Plant(planted.name)),
            None => Ok(Plant("")),
        }
    }

    /// Whether there is one.
    pub(super) fn is_some(self) -> bool {
        !self.0.is_empty()
    }

    /// Bugs are planted in one thread at a time.
    pub(super) fn in_this_thread(self) {
        property::plant(self.0);
    }

    /// The comment with which a schedule is a scenario of `crates/worlds/scenarios`.
    pub(super) fn comment(self, broken: &str) -> String {
        match self.0 {
            "" => String::new(),
            name => format!("-- planted: {name}: {broken}\n"),
        }
    }
}

/// As an argument behind others.
impl Display for Plant {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            "" => Ok(()),
            name => write!(f, " --plant \"{name}\""),
        }
    }
}
