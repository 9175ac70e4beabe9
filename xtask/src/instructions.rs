//! `cargo xtask instructions`: how many instructions the steps of a packet take, counted by callgrind, with a limit for each.
//!
//! A count does not depend on what else the machine does, so that a limit can be near: whoever makes a step dearer sees it at once.
//! The work is in `crates/core/benches/instructions.rs`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::shell::{cargo, command, output, say};

/// How often a case is done while it is counted.
const TIMES: u64 = 100;
/// By how much, in percent, a count may be above the figure below: compilers differ.
const MARGIN: u64 = 10;
/// The compiler that they were counted with; another one may do better or worse.
const COMPILER: &str = "rustc 1.95.";
/// The simulated processor has no AVX-512: this is the same wherever there is AVX2, which it uses.
const CIPHER: (&str, &str) = ("TINMESH_CIPHER", "portable");

/// Instructions of each case, as they were counted when it was last changed on purpose.
const FIGURES: &[(&str, u64)] = &[
    ("cut-tcp-v4", 53_528),
    ("cut-tcp-v6", 48_117),
    ("cut-udp-v4", 52_194),
    ("join-tcp-v4", 64_764),
    ("join-tcp-v6", 60_407),
    ("join-udp-v4", 60_827),
    ("join-eight-flows", 113_986),
    ("outbound-64", 3030),
    ("outbound-1400", 11_222),
    ("seal-and-open-64", 3479),
    ("outbound-10-subnets", 3019),
    ("outbound-1000-subnets", 3019),
    ("outbound-100000-subnets", 3019),
    ("pieces-out", 132_865),
    ("flow-in", 263_189),
    ("relay-10-nodes", 63_798),
    ("relay-1000-nodes", 63_918),
    ("relay-50000-nodes", 63_798),
];

/// Counts all cases and fails if one is above its limit.
pub(crate) fn run_all() -> Result<()> {
    if !has_avx2() {
        say("INSTRUCTIONS ARE NOT COUNTED: the figures are for x86-64 with AVX2");
        return Ok(());
    }
    apt::need(&[("valgrind", "valgrind")])?;
    say("building what is counted");
    let program = build()?;
    check_names(&output(&mut command(&program.to_string_lossy(), &[]))?)?;
    println!("| case | instructions | figure | |\n| --- | ---: | ---: | --- |");
    let mut dearer = Vec::new();
    for (case, figure) in FIGURES {
        let counted = count(&program, case)?;
        let verdict = Verdict::of(counted, *figure);
        println!("| {case} | {counted} | {figure} | {} |", verdict.words());
        if verdict == Verdict::Dearer {
            dearer.push(*case);
        }
    }
    let compiler = output(&mut command("rustc", &["--version"]))?;
    if !compiler.starts_with(COMPILER) {
        say(&format!("INSTRUCTIONS ARE NOT JUDGED: the figures are of {COMPILER}x, this is {}", compiler.trim()));
        return Ok(());
    }
    if !dearer.is_empty() {
        bail!("dearer than their figure by more than {MARGIN} %: {}", dearer.join(", "));
    }
    Ok(())
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
const fn has_avx2() -> bool {
    false
}

/// Builds the cases as they are for users, and tells where the program is.
fn build() -> Result<PathBuf> {
    let words = ["build", "--release", "--package", "tinmesh-core", "--bench", "instructions", "--message-format=json"];
    let said = output(&mut cargo(&words))?;
    let mut messages = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = messages.find_map(|message| {
        (message["target"]["name"] == "instructions").then(|| message["executable"].as_str().map(PathBuf::from))?
    });
    program.context("cargo does not tell where it built the cases")
}

/// Fails unless the program has the cases that have a figure, and no others.
fn check_names(said: &str) -> Result<()> {
    if said.lines().ne(FIGURES.iter().map(|(case, _)| *case)) {
        bail!("the cases have no figures, or the figures no cases: {said}");
    }
    Ok(())
}

/// Instructions of one case.
fn count(program: &Path, case: &str) -> Result<u64> {
    let mut valgrind = command("valgrind", &["--tool=callgrind", "--toggle-collect=*counted*"]);
    valgrind.args(["--callgrind-out-file=/dev/null", "--log-fd=1"]).env(CIPHER.0, CIPHER.1);
    valgrind.arg(program).args([case, &TIMES.to_string()]);
    parse(&output(&mut valgrind)?).with_context(|| format!("callgrind does not tell what {case} took"))
}

/// What callgrind says at the end, for each time.
fn parse(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected : "))?;
    let sum: u64 = line.1.trim().parse().ok()?;
    (sum > TIMES).then_some(sum / TIMES)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Cheaper,
    Dearer,
}

impl Verdict {
    fn of(counted: u64, figure: u64) -> Self {
        let within = figure * MARGIN / 100;
        match counted {
            _ if counted > figure + within => Self::Dearer,
            _ if counted + within < figure => Self::Cheaper,
            _ => Self::Good,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::Good => "",
            Self::Cheaper => "cheaper: lower the figure",
            Self::Dearer => "**dearer**",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_good_within_a_tenth_of_its_figure() {
        assert_eq!(Verdict::of(1_100, 1_000), Verdict::Good);
        assert_eq!(Verdict::of(1_101, 1_000), Verdict::Dearer);
        assert_eq!(Verdict::of(900, 1_000), Verdict::Good);
        assert_eq!(Verdict::of(899, 1_000), Verdict::Cheaper);
    }

    #[test]
    fn the_sum_is_read_and_nothing_counted_is_no_sum() {
        assert_eq!(parse("==1== Events    : Ir\n==1== Collected : 12345678\n"), Some(123_456));
        assert_eq!(parse("==1== Collected : 0\n"), None);
        assert_eq!(parse("valgrind: no such file\n"), None);
    }

    #[test]
    fn every_case_needs_a_figure() {
        let names: String = FIGURES.iter().map(|(case, _)| format!("{case}\n")).collect();
        assert!(check_names(&names).is_ok());
        assert!(check_names(&format!("{names}one-more\n")).is_err());
    }
}
