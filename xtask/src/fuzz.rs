//! `cargo xtask fuzz TARGET [SECONDS]`: one fuzz target for a while.

use anyhow::{Context, Result, bail};

use crate::shell::{command, found, root, run, say};

/// How long, if not told otherwise.
const SECONDS: u32 = 60;

/// Runs `target`, for as many seconds as the first word of `rest` says.
pub(crate) fn run_one(target: &str, rest: &[&str]) -> Result<()> {
    if !found("cargo-fuzz") {
        bail!(
            "install cargo-fuzz and a nightly compiler first: cargo install cargo-fuzz; rustup toolchain add nightly"
        );
    }
    let seconds = rest.first().map_or(Ok(SECONDS), |word| word.parse()).context("SECONDS is a number")?;
    say(&format!("{target} for {seconds} s; what it finds goes to fuzz/artifacts"));
    let limit = format!("-max_total_time={seconds}");
    let args = ["+nightly", "fuzz", "run", "--fuzz-dir", "fuzz", target, "--", &limit, "-rss_limit_mb=1024"];
    run(command("cargo", &args).current_dir(root()).env_remove("RUSTUP_TOOLCHAIN"))
}
