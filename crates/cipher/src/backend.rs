//! Which instructions do the work.

use std::sync::OnceLock;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::many;
#[cfg(target_arch = "aarch64")]
use crate::neon::Neon;
use crate::{Record, portable};
#[cfg(target_arch = "x86_64")]
use crate::{
    avx2::Avx2,
    avx512::{self, Avx512},
};

/// The variable of the environment that names the backend to use, as it is written, in upper or lower case: to measure one
/// on a processor that has a faster one.
pub const LIMIT: &str = "TINMESH_CIPHER";

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
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
}

impl std::fmt::Display for Backend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.0 {
            Kind::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(_) => "AVX2",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(_) => "AVX-512",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(_) => "NEON",
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

    /// The one with the instructions of NEON, if this processor has them.
    #[cfg(target_arch = "aarch64")]
    pub fn neon() -> Option<Self> {
        Neon::new().map(|vectors| Self(Kind::Neon(vectors)))
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

    /// None: these are instructions of 64-bit ARM.
    #[cfg(not(target_arch = "aarch64"))]
    pub fn neon() -> Option<Self> {
        None
    }

    /// The fastest on this processor, or the one that the environment names (see [`LIMIT`]).
    pub fn best() -> Self {
        static BEST: OnceLock<Backend> = OnceLock::new();
        *BEST.get_or_init(|| Self::limited(std::env::var(LIMIT).ok().as_deref()))
    }

    /// The one of this name, or the fastest if this processor has none of the name.
    fn limited(name: Option<&str>) -> Self {
        let named = Self::all().find(|backend| name.is_some_and(|name| backend.to_string().eq_ignore_ascii_case(name)));
        named.or_else(|| Self::all().last()).unwrap_or(Self::PORTABLE)
    }

    /// All that this processor can run, the fastest last.
    pub fn all() -> impl Iterator<Item = Self> {
        [Some(Self::PORTABLE), Self::neon(), Self::avx2(), Self::avx512()].into_iter().flatten()
    }

    pub(crate) fn seal(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::seal(records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(vectors) => many::seal(vectors, records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) if records.len() >= avx512::MANY => many::seal(avx512::Double(vectors), records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) => many::seal(vectors, records),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(vectors) => many::seal(vectors, records),
        }
    }

    pub(crate) fn open(self, records: &mut [Record<'_>]) {
        match self.0 {
            Kind::Portable => portable::open(records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2(vectors) => many::open(vectors, records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) if records.len() >= avx512::MANY => many::open(avx512::Double(vectors), records),
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512(vectors) => many::open(vectors, records),
            #[cfg(target_arch = "aarch64")]
            Kind::Neon(vectors) => many::open(vectors, records),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without it, the tests that go through all backends would pass and have compared nothing.
    #[test]
    #[cfg(target_arch = "aarch64")]
    fn a_64_bit_arm_has_neon() {
        let names: Vec<String> = Backend::all().map(|backend| backend.to_string()).collect();
        assert_eq!(names, ["portable", "NEON"]);
    }

    #[test]
    fn the_fastest_is_used_unless_another_is_named() {
        let fastest = Backend::avx512().or_else(Backend::avx2).or_else(Backend::neon).unwrap_or(Backend::PORTABLE);
        assert_eq!((Backend::limited(None), Backend::limited(Some("abacus"))), (fastest, fastest));
        for backend in Backend::all() {
            assert_eq!(Backend::limited(Some(&backend.to_string().to_lowercase())), backend);
        }
    }
}
