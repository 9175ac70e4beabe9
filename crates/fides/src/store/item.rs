//! What is passed on, and how it is found.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::ledger::Evidence;
use crate::statement::{Statement, StatementId};

/// Something that is passed on as a whole. Its `Display` is what [`crate::Store::accept`] takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A statement: a line.
    Statement(Arc<Statement>),
    /// Evidence: two lines.
    Evidence(Evidence),
}

impl Item {
    /// Its name.
    pub fn id(&self) -> StatementId {
        match self {
            Self::Statement(statement) => statement.id(),
            Self::Evidence(evidence) => {
                let mut hash = Sha256::new();
                evidence.statements().iter().for_each(|statement| hash.update(statement.id().0));
                StatementId(hash.finalize().into())
            }
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Statement(statement) => write!(f, "{statement}"),
            Self::Evidence(evidence) => {
                let [one, other] = evidence.statements();
                write!(f, "{one}\n{other}")
            }
        }
    }
}

/// The text is no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a pattern is ISSUER SIGN VERB WORDS…, with * for any of them, and may end early")]
pub struct PatternError;

/// What to look for: the words ISSUER SIGN VERB WORDS… of a statement, `*` for any word; what is left out is any.
///
/// ```
/// let pattern: fides::Pattern = "* + allow * edit".parse().unwrap();
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(Vec<Option<String>>);

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Self, PatternError> {
        if text.len() > crate::statement::MAX_LINE {
            return Err(PatternError);
        }
        let words = text.split_whitespace().map(|word| (word != "*").then(|| word.to_owned()));
        Ok(Self(words.collect()))
    }
}

impl Pattern {
    /// Whether a statement is looked for.
    pub fn matches(&self, statement: &Statement) -> bool {
        let text = format!("{} {}", statement.issuer(), statement.claim());
        let mut words = text.split(' ');
        self.0.iter().all(|wanted| words.next().is_some_and(|word| wanted.as_ref().is_none_or(|wanted| wanted == word)))
    }
}
