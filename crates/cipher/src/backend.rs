//! Which instructions do the work.

#[cfg(target_arch = "x86_64")]
use crate::avx2;
use crate::{Record, portable};

/// One implementation. A value exists only if this processor can run it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backend(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
        })
    }
}

impl Backend {
    /// The one that runs everywhere.
    pub const PORTABLE: Self = Self(Kind::Portable);

    /// The one with the instructions of AVX2 and BMI2, if this processor has them.
    #[cfg(target_arch = "x86_64")]
    pub fn avx2() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")).then_some(Self(Kind::Avx2))
    }

    /// None: these are instructions of x86-64.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn avx2() -> Option<Self> {
        None
    }

    /// The fastest on this processor.
    pub fn best() -> Self {
        Self::avx2().unwrap_or(Self::PORTABLE)
    }

    /// All that this processor can run.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Self::PORTABLE), Self::avx2()].into_iter().flatten()
    }

    pub(crate) fn seal(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::seal(records),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: there is such a value only on a processor with the instructions that `seal` needs.
            Kind::Avx2 => unsafe { avx2::seal(records) },
        }
    }

    pub(crate) fn open(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::open(records),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: there is such a value only on a processor with the instructions that `open` needs.
            Kind::Avx2 => unsafe { avx2::open(records) },
        }
    }
}
