//! `cargo xtask lab`: the whole laboratory, simulated and with real daemons, as a page and a picture.

mod figures;
mod marks;
mod page;
mod picture;

use std::fs;
use std::os::unix::fs::symlink;

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, command, output, root, say, target};
use crate::{apt, peers};

use figures::Figures;

const PAGE: &str = "docs/lab.md";
const PICTURE: &str = "docs/lab.svg";
const OURS: &str = "tinmesh";

/// What the user asked for.
#[derive(Debug, Default)]
struct Options {
    quick: bool,
    only: Option<String>,
    json: bool,
    simulated: bool,
    /// Directories below `target/peers` whose programs are put into the same cells.
    peers: Vec<String>,
}

impl Options {
    fn parse(words: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        let mut rest = words.iter();
        while let Some(word) = rest.next() {
            match *word {
                "--quick" => options.quick = true,
                "--json" => options.json = true,
                "--simulated" => options.simulated = true,
                "--only" => options.only = Some((*rest.next().context("--only needs a text")?).to_owned()),
                "--peer" => options.peers.push((*rest.next().context("--peer needs a name")?).to_owned()),
                other => bail!("the laboratory does not know {other}"),
            }
        }
        if options.peers.is_empty() && !options.quick {
            options.peers.push("tinc-1.1".to_owned());
        }
        Ok(options)
    }

    /// Only a run of everything is worth keeping.
    fn is_whole(&self) -> bool {
        !self.quick && !self.simulated && self.only.is_none()
    }
}

/// Runs the laboratory, prints the scoreboard and, after a whole run, keeps it in docs.
pub(crate) fn run_all(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let mut lines = simulate(&options)?;
    if !options.simulated {
        lines.push_str(&real(&options)?);
    }
    let figures = Figures::parse(&lines);
    if options.json {
        println!("{}", serde_json::to_string_pretty(&figures.json())?);
    } else {
        println!("{}", page::write(&figures));
    }
    if options.is_whole() {
        fs::write(root().join(PAGE), page::write(&figures))?;
        fs::write(root().join(PICTURE), picture::draw(&figures))?;
        say(&format!("{PAGE} and {PICTURE} have the new figures"));
    }
    if !figures.broken.is_empty() {
        bail!("the simulator's promises were broken in {}", figures.broken.join(", "));
    }
    Ok(())
}

fn simulate(options: &Options) -> Result<String> {
    say("cells and scenes in virtual time");
    let mut command = cargo(&["run", "--quiet", "--package", "tinmesh-sim", "--bin", "lab"]);
    if options.quick {
        command.args(["--", "--quick"]);
    } else {
        // To optimise it takes minutes, and saves more of them.
        command.args(["--release", "--", "--seeds", "3"]);
    }
    if let Some(only) = &options.only {
        command.args(["--only", only]);
    }
    output(&mut command)
}

fn real(options: &Options) -> Result<String> {
    apt::need_root()?;
    apt::need(apt::LAB)?;
    say("real daemons in the same network, some minutes");
    output(&mut cargo(&["build", "--quiet", "--package", "tinmesh", "--package", "tinmesh-lab"]))?;
    let built = target().join("debug");
    let programs = target().join("lab-programs");
    fs::create_dir_all(&programs)?;
    for name in ["tinc", "tincd"] {
        let _ = fs::remove_file(programs.join(name));
        symlink(built.join("tinmesh"), programs.join(name)).context("cannot name our program")?;
    }
    let mut command = command(&built.join("tinmesh-lab").to_string_lossy(), &[]);
    match (&options.only, options.quick) {
        (Some(only), _) => drop(command.args(["--only", only])),
        (None, true) => drop(command.args(["--only", "cones"])),
        (None, false) => {}
    }
    command.arg(format!("{OURS}={}", programs.display()));
    if !options.peers.is_empty() {
        peers::fetch()?;
    }
    for peer in &options.peers {
        command.arg(format!("{peer}={}", peers::programs(peer).display()));
    }
    output(&mut command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_run_is_kept() {
        assert!(Options::parse(&[]).unwrap().is_whole());
        for part in [&["--quick"][..], &["--simulated"], &["--only", "G8"]] {
            assert!(!Options::parse(part).unwrap().is_whole(), "{part:?}");
        }
        assert!(Options::parse(&["--only"]).is_err() && Options::parse(&["nonsense"]).is_err());
    }

    #[test]
    fn a_whole_run_compares_with_tinc() {
        assert_eq!(Options::parse(&[]).unwrap().peers, ["tinc-1.1"]);
        assert!(Options::parse(&["--quick"]).unwrap().peers.is_empty());
    }
}
