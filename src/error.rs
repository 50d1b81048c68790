//! The one error that reaches `main`: what failed, where, why, and what to do next.
//!
//! Each room has its own error type that says what a caller may conclude. Here they
//! become a [`Failure`], which is rendered in one place and decides the exit code.

use std::fmt;

/// Exit codes, as documented for scripts and cron jobs.
pub mod exit {
    /// Every row read is acknowledged.
    pub const OK: u8 = 0;
    /// Failed for good: the same command will fail again.
    pub const FAILED: u8 = 1;
    /// Wrong usage.
    pub const USAGE: u8 = 2;
    /// Finished, but rows were rejected, within `--max-errors`.
    pub const REJECTS: u8 = 3;
    /// Stopped: more rows rejected than `--max-errors`.
    pub const TOO_MANY_REJECTS: u8 = 4;
    /// Service unavailable, time-out or lock: trying later may succeed.
    pub const UNAVAILABLE: u8 = 5;
    /// Interrupted by SIGINT.
    pub const SIGINT: u8 = 130;
    /// Interrupted by SIGTERM.
    pub const SIGTERM: u8 = 143;
}

/// What kind of thing failed. The name stands in the JSON summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The command line contradicts itself or lacks something.
    Usage,
    /// A setting is missing or unusable.
    Settings,
    /// The .proto or the table's schema.
    Schema,
    /// An input cannot be found or read.
    Input,
    /// An output cannot be written.
    Output,
    /// More bad rows than tolerated.
    BadRow,
    /// Credentials or permissions were refused.
    Credentials,
    /// The table does not exist.
    NotFound,
    /// The service refused for good.
    Refused,
    /// The service cannot be reached, or not any more.
    Unavailable,
    /// Another process holds a lock.
    Locked,
    /// SIGINT.
    Interrupted,
    /// SIGTERM.
    Terminated,
}

impl Kind {
    /// The name used in the JSON summary.
    pub fn name(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::Settings => "settings",
            Self::Schema => "schema",
            Self::Input => "input",
            Self::Output => "output",
            Self::BadRow => "bad_row",
            Self::Credentials => "credentials",
            Self::NotFound => "not_found",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Locked => "locked",
            Self::Interrupted => "interrupted",
            Self::Terminated => "terminated",
        }
    }

    /// The exit code of a command that ends with this kind of failure.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Usage => exit::USAGE,
            Self::Settings
            | Self::Schema
            | Self::Input
            | Self::Output
            | Self::Credentials
            | Self::NotFound
            | Self::Refused => exit::FAILED,
            Self::BadRow => exit::TOO_MANY_REJECTS,
            Self::Unavailable | Self::Locked => exit::UNAVAILABLE,
            Self::Interrupted => exit::SIGINT,
            Self::Terminated => exit::SIGTERM,
        }
    }
}

/// A place in a source: a file (or `-`), and a line where one is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file's path as given, or `-`.
    pub source: String,
    /// The line, counted from 1.
    pub line: Option<u64>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)?;
        match self.line {
            Some(line) => write!(f, ":{line}"),
            None => Ok(()),
        }
    }
}

/// A command's failure. `Display` writes it as users see it.
#[derive(Debug)]
pub struct Failure {
    /// What kind of thing failed.
    pub kind: Kind,
    /// One line: what, with field and value where they are known.
    pub message: String,
    /// Where, if it is a place in a source.
    pub place: Option<Place>,
    /// What caused it, outermost first.
    pub causes: Vec<String>,
    /// What to do next.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure with nothing but its kind and message.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            place: None,
            causes: Vec::new(),
            hint: None,
        }
    }

    /// Says where.
    #[must_use]
    pub fn at(mut self, source: impl Into<String>, line: impl Into<Option<u64>>) -> Self {
        self.place = Some(Place {
            source: source.into(),
            line: line.into(),
        });
        self
    }

    /// Says why: the error and all that it was caused by.
    #[must_use]
    pub fn caused_by(mut self, error: impl Into<anyhow::Error>) -> Self {
        for cause in error.into().chain().map(ToString::to_string) {
            // Many libraries repeat the inner error's text in the outer one.
            if !self.causes.last().is_some_and(|last| last.contains(&cause)) {
                self.causes.push(cause);
            }
        }
        self
    }

    /// Adds a line to what to do next: a statement to paste, the settings in use.
    pub fn add_to_hint(&mut self, line: &str) {
        let hint = self.hint.get_or_insert_default();
        hint.push_str("\n  ");
        hint.push_str(line);
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("error: ")?;
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)?;
        for cause in &self.causes {
            write!(f, "\n  caused by: {cause}")?;
        }
        if let Some(hint) = &self.hint {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

impl From<crate::schema::SchemaError> for Failure {
    fn from(error: crate::schema::SchemaError) -> Self {
        let mut failure = match error.file {
            Some(file) => Self::new(Kind::Schema, error.message).at(file, error.line),
            None => Self::new(Kind::Usage, error.message),
        };
        failure.hint = error.hint;
        failure
    }
}
