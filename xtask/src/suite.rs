//! `cargo xtask test`: everything that can be shown, in the order of what is quick to fail.

use std::time::Instant;

use anyhow::Result;

use crate::shell::{cargo, run, say};
use crate::{apt, arm, bench, check, deb, peers, scoreboard};

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
    step("4 of 7: the cipher for 64-bit ARM, in an emulator");
    let not_run = on_arm()?;
    step("5 of 7: real daemons in network namespaces, alone and with tinc 1.1");
    run(&mut cargo(&["test", "--package", "tinmesh", "--test", "e2e", "--", E2E_THREADS]))?;
    step("6 of 7: the Debian package, alone, over tinc and under it");
    deb::try_out()?;
    step("7 of 7: a quick laboratory and a quick benchmark, to see that they work");
    scoreboard::run_all(&["--quick", "--simulated"])?;
    bench::run_all(&["--quick", "--debug", "--only", "tinmesh"])?;
    let seconds = start.elapsed().as_secs();
    match not_run {
        None => say(&format!("everything passed, in {seconds} s")),
        Some(what) => say(&format!("{what}\n==> everything else passed, in {seconds} s")),
    }
    Ok(())
}

/// Runs the cipher's tests for ARM. Not every machine can fetch what they need: without it, returns what did not run, and why.
fn on_arm() -> Result<Option<String>> {
    if cfg!(target_arch = "aarch64") {
        say("this machine is one: the tests before were for it");
        return Ok(None);
    }
    if let Err(error) = arm::fetch() {
        let what = format!("NOT RUN: the cipher’s tests for 64-bit ARM: {error:#}");
        say(&what);
        return Ok(Some(what));
    }
    arm::test()?;
    Ok(None)
}

fn step(text: &str) {
    println!();
    say(text);
}
