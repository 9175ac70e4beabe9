//! What is measured: a row of the report is a program at each end, and its settings.
//!
//! To measure tinmesh with another setting, add a row.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::super::{peers, shell};
use super::MTU;
use super::refused::{self, Refused};
use super::wires::Site;

/// A program that makes a private network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Program {
    Tinmesh,
    Tinc11,
    Tinc10,
    WireguardGo,
    Boringtun,
    Nebula,
    /// No network, but the system calls of one (`pipe.rs`).
    Pipe,
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
    /// What its programs must do without.
    pub(super) refused: Option<Refused>,
    /// Whether it shows what a part is worth, or what the limit is, and is no program as it comes.
    pub(super) variant: bool,
}

const fn both(name: &'static str, program: Program) -> Row {
    Row { name, title: name, ends: [program, program], settings: &[], environment: &[], refused: None, variant: false }
}

const fn with(name: &'static str, title: &'static str, settings: &'static [&'static str]) -> Row {
    Row { title, settings, variant: true, ..both(name, Program::Tinmesh) }
}

const fn without(name: &'static str, title: &'static str, program: Program, refused: Refused) -> Row {
    Row { title, refused: Some(refused), variant: true, ..both(name, program) }
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
        settings: IN_TINC_FORMAT,
        ..both("", Program::Tinmesh)
    },
    Row {
        name: "tinmesh-tinc-1.1",
        title: "tinmesh – tinc 1.1",
        ends: [Program::Tinmesh, Program::Tinc11],
        ..both("", Program::Tinmesh)
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
    without("tinmesh-refused-udp", "tinmesh, UDP offloads refused", Program::Tinmesh, Refused::Udp),
    without("wireguard-go-refused-udp", "wireguard-go, UDP offloads refused", Program::WireguardGo, Refused::Udp),
    without("tinmesh-refused-device", "tinmesh, large packets refused", Program::Tinmesh, Refused::Device),
    without(
        "wireguard-go-refused-device",
        "wireguard-go, large packets refused",
        Program::WireguardGo,
        Refused::Device,
    ),
    without("tinmesh-refused-both", "tinmesh, both refused", Program::Tinmesh, Refused::Both),
    without("wireguard-go-refused-both", "wireguard-go, both refused", Program::WireguardGo, Refused::Both),
    Row { title: "a mere pipe", variant: true, ..both("pipe", Program::Pipe) },
];

impl Row {
    /// Its programs, each once.
    pub(super) fn programs(&self) -> Vec<Program> {
        let mut programs = self.ends.to_vec();
        programs.dedup();
        programs
    }

    /// Whether it is of other people's programs.
    pub(super) fn is_of_others(&self) -> bool {
        !self.ends.iter().any(|program| matches!(program, Program::Tinmesh | Program::Pipe))
    }

    /// How a program of this row is started on a machine.
    pub(super) fn command(&self, site: &Site, program: PathBuf) -> Result<Command> {
        refused::command(self.refused, site, &program)
    }

    /// The lines of a shell that set up a machine's interface in the private network.
    pub(super) fn interface_up(&self, site: &Site, interface: &str) -> String {
        let refused = refused::device_line(self.refused, interface);
        let address = site.inner();
        format!("ip address add {address}/24 dev {interface}\n{refused}ip link set {interface} up mtu {MTU}\n")
    }
}

impl Program {
    /// Its directory below `target/peers`; ours have none.
    pub(super) fn dir(self) -> Option<&'static str> {
        match self {
            Self::Tinmesh | Self::Pipe => None,
            Self::Tinc11 => Some("tinc-1.1"),
            Self::Tinc10 => Some("tinc-1.0"),
            Self::WireguardGo => Some("wireguard-go"),
            Self::Boringtun => Some("boringtun"),
            Self::Nebula => Some("nebula"),
        }
    }

    /// The daemon's file.
    pub(super) fn daemon(self, profile: &str) -> PathBuf {
        let built = shell::target().join(profile);
        let file = match self {
            Self::Tinmesh => "tinmesh",
            Self::Tinc11 | Self::Tinc10 => "tincd",
            Self::WireguardGo => "wireguard-go",
            Self::Boringtun => "boringtun-cli",
            Self::Nebula => "nebula",
            Self::Pipe => "examples/pipe",
        };
        self.dir().map_or(built, peers::programs).join(file)
    }

    /// The first line of what it says about its version.
    pub(super) fn version(self, profile: &str) -> String {
        if self == Self::Pipe {
            return "`crates/os/examples/pipe.rs`".to_owned();
        }
        let option = if self == Self::Nebula { "-version" } else { "--version" };
        let said = shell::output(Command::new(self.daemon(profile)).arg(option));
        let line = said.unwrap_or_default().lines().find(|line| !line.trim().is_empty()).map(str::to_owned);
        line.unwrap_or_else(|| "of unknown version".to_owned())
    }
}

/// The row of this name.
#[cfg(test)]
pub(super) fn named(name: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.name == name)
}
