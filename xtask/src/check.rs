//! `cargo xtask check`: everything that can be said about the code without running it.

mod house;
mod layers;
mod licences;

use anyhow::{Result, bail};

use crate::shell::{cargo, run, say};

/// Runs all checks.
pub(crate) fn run_all() -> Result<()> {
    say("format");
    run(&mut cargo(&["fmt", "--all", "--check"]))?;
    say("lints");
    run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))?;
    say("documentation");
    run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))?;
    say("house rules");
    refuse(house::breaches()?)?;
    say("layers: what each crate may depend on");
    refuse(layers::breaches()?)?;
    say("licences of all dependencies");
    refuse(licences::breaches()?)
}

fn refuse(breaches: Vec<String>) -> Result<()> {
    for breach in &breaches {
        println!("  {breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        count => bail!("{count} rules broken"),
    }
}
