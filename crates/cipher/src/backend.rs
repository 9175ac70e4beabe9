//! Which instructions do the work.

use crate::{Record, portable};

/// One implementation. A value exists only if this processor can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
        })
    }
}

impl Backend {
    /// The one that runs everywhere.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The fastest on this processor.
    pub fn best() -> Self {
        Self::PORTABLE
    }

    /// All that this processor can run.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::PORTABLE].into_iter()
    }

    pub(crate) fn seal(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::seal(records),
        }
    }

    pub(crate) fn open(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::open(records),
        }
    }
}
