//! What is measured: a row of the report is a program at each end, and its settings.
//!
//! To measure tinmesh with another setting, add a row.

use std::path::PathBuf;

use super::super::{peers, shell};

/// A program that makes a private network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Tinmesh,
    Tinc11,
    Tinc10,
    WireguardGo,
    Boringtun,
    Nebula,
}

/// A row of the report.
#[derive(Debug)]
pub(super) struct Row {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// Its name in the report.
    pub(super) title: &'static str,
    /// The programs of a and b.
    pub(super) ends: [Program; 2],
    /// Lines of `tinc.conf` of the ends that are tinmesh.
    pub(super) settings: &'static [&'static str],
    /// Variables of the environment of its daemons.
    pub(super) environment: &'static [(&'static str, &'static str)],
    /// Whether it shows what a part of tinmesh is worth, and is no program to compare with others.
    pub(super) variant: bool,
}

const fn both(name: &'static str, program: Program) -> Row {
    Row { name, title: name, ends: [program, program], settings: &[], environment: &[], variant: false }
}

const fn with(name: &'static str, title: &'static str, settings: &'static [&'static str]) -> Row {
    Row { name, title, ends: [Program::Tinmesh, Program::Tinmesh], settings, environment: &[], variant: true }
}

/// tinc's wire format, with the instructions that the environment names.
const fn with_cipher(
    name: &'static str,
    title: &'static str,
    environment: &'static [(&'static str, &'static str)],
) -> Row {
    Row { environment, ..with(name, title, IN_TINC_FORMAT) }
}

/// AES-256-GCM, the cipher between tinmesh nodes, obeys a variable of its library: bits of leaf 7 of `cpuid` (EBX) to be left out,
/// here AVX-512 F, DQ, IFMA, CD, BW and VL.
const NO_AVX512: &[(&str, &str)] = &[("OPENSSL_ia32cap", "~0x0:~0xd0230000"), ("TINMESH_CIPHER", "AVX2")];

const IN_TINC_FORMAT: &[&str] = &["Extensions = no"];

/// All rows, in the order of the report and of each round.
pub(super) const ROWS: &[Row] = &[
    both("tinmesh", Program::Tinmesh),
    Row {
        name: "tinmesh-tinc-format",
        title: "tinmesh, tinc’s wire format",
        ends: [Program::Tinmesh, Program::Tinmesh],
        settings: IN_TINC_FORMAT,
        environment: &[],
        variant: false,
    },
    Row {
        name: "tinmesh-tinc-1.1",
        title: "tinmesh – tinc 1.1",
        ends: [Program::Tinmesh, Program::Tinc11],
        settings: &[],
        environment: &[],
        variant: false,
    },
    both("tinc-1.1", Program::Tinc11),
    both("tinc-1.0", Program::Tinc10),
    both("wireguard-go", Program::WireguardGo),
    both("boringtun", Program::Boringtun),
    both("nebula", Program::Nebula),
    with("tinmesh-no-device-offload", "DeviceOffload = no", &["DeviceOffload = no"]),
    with("tinmesh-no-send-offload", "SendOffload = no", &["SendOffload = no"]),
    with("tinmesh-no-receive-offload", "ReceiveOffload = no", &["ReceiveOffload = no"]),
    with(
        "tinmesh-no-offloads",
        "none of the three",
        &["DeviceOffload = no", "SendOffload = no", "ReceiveOffload = no"],
    ),
    with("tinmesh-two-workers", "Workers = 2", &["Workers = 2"]),
    Row { environment: NO_AVX512, ..with("tinmesh-no-avx512", "without AVX-512", &[]) },
    with_cipher("tinmesh-avx2", "tinc’s wire format with AVX2", &[("TINMESH_CIPHER", "AVX2")]),
    with_cipher("tinmesh-portable", "tinc’s wire format, portable cipher", &[("TINMESH_CIPHER", "portable")]),
];

impl Row {
    /// Its programs, each once.
    pub(super) fn programs(&self) -> Vec<Program> {
        let mut programs = self.ends.to_vec();
        programs.dedup();
        programs
    }
}

impl Program {
    /// Its directory below `target/peers`; ours has none.
    pub(super) fn dir(self) -> Option<&'static str> {
        match self {
            Self::Tinmesh => None,
            Self::Tinc11 => Some("tinc-1.1"),
            Self::Tinc10 => Some("tinc-1.0"),
            Self::WireguardGo => Some("wireguard-go"),
            Self::Boringtun => Some("boringtun"),
            Self::Nebula => Some("nebula"),
        }
    }

    /// The daemon's file.
    pub(super) fn daemon(self, profile: &str) -> PathBuf {
        let Some(dir) = self.dir() else { return shell::target().join(profile).join("tinmesh") };
        let name = match self {
            Self::Tinmesh | Self::Tinc11 | Self::Tinc10 => "tincd",
            Self::WireguardGo => "wireguard-go",
            Self::Boringtun => "boringtun-cli",
            Self::Nebula => "nebula",
        };
        peers::programs(dir).join(name)
    }

    /// The first line of what it says about its version.
    pub(super) fn version(self, profile: &str) -> String {
        let option = if self == Self::Nebula { "-version" } else { "--version" };
        let said = shell::output(std::process::Command::new(self.daemon(profile)).arg(option));
        let line = said.unwrap_or_default().lines().find(|line| !line.trim().is_empty()).map(str::to_owned);
        line.unwrap_or_else(|| "of unknown version".to_owned())
    }
}

/// The row of this name.
#[cfg(test)]
pub(super) fn named(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
