//! The Internet of the demonstration: a public hub, and two machines behind NATs.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::lab::machine::Machine;
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Nat, Segment, nat};

/// A machine, and how it speaks to the spectator.
pub(crate) struct Stage {
    machine: Machine,
}

/// All machines.
pub(crate) struct World {
    pub(crate) hub: Stage,
    pub(crate) alice: Stage,
    pub(crate) bob: Stage,
    /// Space for files that all machines see.
    pub(crate) scratch: PathBuf,
    _routers: [Arc<Namespace>; 2],
}

impl World {
    /// Starts the machines, with `program` as their `tinmesh`.
    pub(crate) fn new(scratch: &Path, program: &Path) -> Result<Self> {
        let bin = scratch.join("bin");
        std::fs::create_dir_all(&bin).context("cannot make a directory for the demonstration")?;
        std::os::unix::fs::symlink(program, bin.join("tinmesh")).context("cannot link the program")?;
        let (internet, home, office) = (Segment::new("internet"), Segment::new("home"), Segment::new("office"));
        let routers = [
            nat("nat", (&home, "192.168.1.1/24"), (&internet, "192.0.2.11/24"), Nat::PortPreserving),
            nat("nat", (&office, "192.168.1.1/24"), (&internet, "192.0.2.12/24"), Nat::PortPreserving),
        ];
        let stage = |name, host| Stage { machine: Machine::new(name, &host, scratch, &bin) };
        Ok(Self {
            hub: stage("hub", internet.host("hub", &["192.0.2.1/24"])),
            alice: stage("alice", home.host_behind("alice", "192.168.1.100/24", "192.168.1.1")),
            bob: stage("bob", office.host_behind("bob", "192.168.1.100/24", "192.168.1.1")),
            scratch: scratch.to_owned(),
            _routers: routers,
        })
    }

    /// Shows what is where.
    pub(crate) fn draw(&self) {
        println!(
            "
                          hub 192.0.2.1
                               │
          ┌────────────────────┴────────────────────┐
    NAT 192.0.2.11                            NAT 192.0.2.12
          │                                         │
  alice 192.168.1.100                       bob 192.168.1.100
"
        );
    }
}

impl Stage {
    /// The machine itself.
    pub(crate) const fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Runs a line on the machine and shows it, with what it prints; fails if it fails.
    pub(crate) fn shows(&self, line: &str) -> Result<String> {
        println!("\n  {}# {line}", self.machine.name());
        let (success, printed) = self.run(line)?;
        for line in printed.lines() {
            println!("  {line}");
        }
        println!();
        if !success {
            bail!("`{line}` failed on {}", self.machine.name());
        }
        Ok(printed)
    }

    /// Runs a line on the machine; fails if it fails.
    pub(crate) fn quietly(&self, line: &str) -> Result<String> {
        let (success, printed) = self.run(line)?;
        if !success {
            bail!("`{line}` failed on {}:\n{printed}", self.machine.name());
        }
        Ok(printed)
    }

    /// True if the status says that `name` is reached directly.
    pub(crate) fn is_direct(&self, name: &str) -> bool {
        let status = self.quietly("tinmesh status").unwrap_or_default();
        status.lines().any(|line| line.starts_with(name) && line.contains("direct"))
    }

    fn run(&self, line: &str) -> Result<(bool, String)> {
        let output = self.machine.command("sh").args(["-c", &format!("{line} 2>&1")]).output();
        let output = output.with_context(|| format!("cannot run `{line}`"))?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}
