//! What a check found: told to people at once, or kept for programs.

use std::fmt::Display;

use serde::Serialize;

use crate::tinc::tell;

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The node may not work.
    Error,
    /// Something is odd.
    Warning,
    /// What can be done, or was done.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What it is.
    pub text: String,
}

/// Where findings go.
#[derive(Debug)]
pub(super) enum Report {
    /// To a person, as they come.
    Told,
    /// To a program, in the end.
    Kept(Vec<Finding>),
}

impl Report {
    pub(super) fn error(&mut self, text: impl Display) {
        self.add(Level::Error, "ERROR: ", &text);
    }

    pub(super) fn warning(&mut self, text: impl Display) {
        self.add(Level::Warning, "WARNING: ", &text);
    }

    pub(super) fn note(&mut self, text: impl Display) {
        self.add(Level::Note, "", &text);
    }

    fn add(&mut self, level: Level, word: &str, text: &dyn Display) {
        match self {
            Self::Told => tell(format_args!("{word}{text}")),
            Self::Kept(findings) => findings.push(Finding { level, text: text.to_string() }),
        }
    }
}
