//! How a command ends: as it should, with a difference, or with a failure of one line.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use clap::error::ErrorKind;

/// How a command ended that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Good,
    /// Two images differ, or something has faults.
    Bad,
    /// A program that this one started has said what went wrong.
    Trouble,
}

impl Outcome {
    /// `Bad` if there was anything to report.
    pub(crate) fn bad_if(found: bool) -> Self {
        if found { Self::Bad } else { Self::Good }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Good => Self::SUCCESS,
            Outcome::Bad => Self::from(1),
            Outcome::Trouble => Self::from(TROUBLE),
        }
    }
}

/// Why a command could not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A line of what went wrong, and maybe one of what to do about it.
    Trouble { message: String, hint: Option<String> },
    /// What clap prints as it is: help and version.
    Help(clap::Error),
    /// Whoever read the output has enough.
    OutputClosed,
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Usage and trouble, as diff(1) and grep(1) say it.
const TROUBLE: u8 = 2;

impl Failure {
    pub(crate) fn new(message: impl fmt::Display) -> Self {
        Self::Trouble { message: message.to_string(), hint: None }
    }

    /// What failed outside of the library, with the object that it was about and its cause.
    pub(crate) fn about(what: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::new(format_args!("{what}: {}", with_causes(cause)))
    }

    /// The same with advice, unless it has some.
    pub(crate) fn hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Trouble { message, hint } => {
                Self::Trouble { message, hint: hint.or(Some(text.into())) }
            }
            other => other,
        }
    }

    /// Says it, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        let (message, hint) = match self {
            Self::OutputClosed => return ExitCode::SUCCESS,
            Self::Help(help) => {
                // To standard output; a reader that has enough of it is no failure.
                return help.print().map_or(ExitCode::SUCCESS, |()| ExitCode::SUCCESS);
            }
            Self::Trouble { message, hint } => (message, hint),
        };
        let hint = hint.map(|hint| format!("hint: {}\n", one_line(&hint))).unwrap_or_default();
        let text = format!("stratafs: {}\n{hint}", one_line(&message));
        // Nobody is left to tell that there is nobody to tell.
        drop(io::stderr().lock().write_all(text.as_bytes()));
        ExitCode::from(TROUBLE)
    }
}

impl From<stratafs::Error> for Failure {
    fn from(error: stratafs::Error) -> Self {
        Self::new(with_causes(&error))
    }
}

/// Of writing the output, and of nothing else: what else fails has a name that the message needs.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::about("write the output", &error),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        match error.io_error_kind() {
            Some(kind) => io::Error::from(kind).into(),
            None => Self::about("write JSON", &error),
        }
    }
}

impl From<clap::Error> for Failure {
    fn from(error: clap::Error) -> Self {
        if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
            return Self::Help(error);
        }
        if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
            return Self::new("no command was given").hint("`stratafs help` shows the commands");
        }
        // The first paragraph says what is wrong; usage and advice follow after a blank line.
        let text = error.to_string();
        let mut paragraphs = text.trim_start_matches("error: ").split("\n\n");
        let message = paragraphs.next().unwrap_or_default();
        let tip = paragraphs.find_map(|rest| rest.trim_start().strip_prefix("tip: "));
        match (tip, error.kind()) {
            (Some(tip), _) => Self::new(message).hint(tip),
            // These say what would do.
            (None, ErrorKind::ValueValidation) => Self::new(message),
            (None, _) => Self::new(message).hint("`stratafs help COMMAND` shows what it takes"),
        }
    }
}

/// An error, and why, down to the first cause.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let reason = error.to_string();
        // The host's own words for what the message says already, such as "No such file or directory (os error 2)".
        let reason = reason.split(" (os error").next().unwrap_or_default();
        if !text.to_lowercase().contains(&reason.to_lowercase()) {
            text.push_str(": ");
            text.push_str(reason);
        }
        cause = error.source();
    }
    text
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
