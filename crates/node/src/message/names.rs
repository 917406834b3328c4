//! What a log calls questions and answers.

use super::{Ask, Told};

impl Ask {
    /// As a log says it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Ask::Get(..) => "get",
            Ask::Merge(..) => "merge",
            Ask::Reap(..) => "reap",
            Ask::List { .. } => "list",
            Ask::Export(_) => "export",
        }
    }
}

impl Told {
    /// As a log says it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Told::Value(..) => "value",
            Told::Same(_) => "same",
            Told::Absent(_) => "absent",
            Told::Taken => "taken",
            Told::Durable(_) => "durable",
            Told::Reaped(_) => "reaped",
            Told::Listed { .. } => "listed",
            Told::Exported { .. } => "exported",
            Told::Fenced(_) => "fenced off",
            Told::PropsDiffer(_) => "other properties",
            Told::Overload => "overload",
            Told::Full => "disk full",
            Told::Failed => "failed",
        }
    }
}
