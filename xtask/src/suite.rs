//! `cargo xtask test`: everything that can be shown, in the order of what is quick to fail.

use std::time::Instant;

use anyhow::Result;

use crate::shell::{cargo, run, say};
use crate::{apt, bench, check, deb, instructions, peers, scoreboard};

/// End-to-end tests mostly wait: more of them at once than there are processors.
const E2E_THREADS: &str = "--test-threads=6";

/// Runs everything.
pub(crate) fn run_all() -> Result<()> {
    let start = Instant::now();
    apt::need_root()?;
    step("1 of 7: what the tests need from the system");
    apt::need(apt::LAB)?;
    peers::fetch()?;
    step("2 of 7: format, lints, documentation, house rules, licences (cargo xtask check)");
    check::run_all(&[])?;
    step("3 of 7: unit, golden and scenario tests, fuzz corpora");
    run(&mut cargo(&["test", "--workspace"]))?;
    step("4 of 7: real daemons in network namespaces, alone and with tinc 1.1");
    run(&mut cargo(&["test", "--package", "tinmesh", "--test", "e2e", "--", E2E_THREADS]))?;
    step("5 of 7: the Debian package, alone, over tinc and under it");
    deb::try_out()?;
    step("6 of 7: instructions of the steps of a packet, within their limits");
    instructions::run_all()?;
    step("7 of 7: a quick laboratory and a quick benchmark, to see that they work");
    scoreboard::run_all(&["--quick", "--simulated"])?;
    bench::run_all(&["--quick", "--debug", "--only", "tinmesh"])?;
    say(&format!("everything passed, in {} s", start.elapsed().as_secs()));
    Ok(())
}

fn step(text: &str) {
    println!();
    say(text);
}
