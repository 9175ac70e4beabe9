//! Which instructions do the work.

use crate::{Record, portable};
#[cfg(target_arch = "x86_64")]
use crate::{avx2::Avx2, avx512::Avx512, many};

/// One implementation. A value exists only if this processor can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
        })
    }
}

impl Backend {
    /// The one that runs everywhere.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The one with the instructions of AVX2 and BMI2, if this processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn avx2() -> Option<Self> {
        Avx2::new().map(|vectors| Self(Kind::Avx2(vectors)))
    }

    /// The one with the instructions of AVX-512 (F, BW, IFMA) and BMI2, if this processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn avx512() -> Option<Self> {
        Avx512::new().map(|vectors| Self(Kind::Avx512(vectors)))
    }

    /// None: these are instructions of x86-64.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn avx2() -> Option<Self> {
        None
    }

    /// None: these are instructions of x86-64.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn avx512() -> Option<Self> {
        None
    }

    /// The fastest on this processor.
    pub fn best() -> Self {
        Self::avx512().or_else(Self::avx2).unwrap_or(Self::PORTABLE)
    }

    /// All that this processor can run.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Self::PORTABLE), Self::avx2(), Self::avx512()].into_iter().flatten()
    }

    pub(crate) fn seal(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::seal(records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(vectors) => many::seal(vectors, records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) => many::seal(vectors, records),
        }
    }

    pub(crate) fn open(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::open(records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(vectors) => many::open(vectors, records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) => many::open(vectors, records),
        }
    }
}
