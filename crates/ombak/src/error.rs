//! How a command ends badly: one line that says what to do next, and an exit code.

use std::fmt;
use std::process::ExitCode;

/// Why a command did not do what it was asked.
///
/// Scripts tell the kinds apart by exit code: 1 not found or damaged, 2 usage, 3 error. (0 is success; clap exits with 2 as well.)
#[derive(Debug, PartialEq, Eq)]
pub enum CliError {
    /// There is no such object.
    NotFound(String),
    /// What was to be verified is not as it should be; the output says how.
    Damaged(String),
    /// Options that contradict each other, or that cannot be meant.
    Usage(String),
    /// Anything else.
    Failed(String),
    /// As a command documents for itself.
    Coded(u8, String),
    /// A command that was run ended so, and has said why.
    Ended(u8),
    /// Nobody reads our output any more: no fault, and nothing to say.
    StdoutClosed,
}

impl CliError {
    /// An error of kind 3.
    pub fn failed(message: impl fmt::Display) -> CliError {
        CliError::Failed(message.to_string())
    }

    /// An error of kind 2.
    pub fn usage(message: impl fmt::Display) -> CliError {
        CliError::Usage(message.to_string())
    }

    /// What scripts see.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            CliError::StdoutClosed => ExitCode::SUCCESS,
            CliError::NotFound(_) | CliError::Damaged(_) => ExitCode::from(1),
            CliError::Usage(_) => ExitCode::from(2),
            CliError::Failed(_) => ExitCode::from(3),
            CliError::Coded(code, _) | CliError::Ended(code) => ExitCode::from(*code),
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::NotFound(what)
            | CliError::Damaged(what)
            | CliError::Usage(what)
            | CliError::Failed(what)
            | CliError::Coded(_, what) => f.write_str(what),
            CliError::Ended(code) => write!(f, "the command ended with {code}"),
            CliError::StdoutClosed => f.write_str("the output is closed"),
        }
    }
}
