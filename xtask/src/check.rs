//! `cargo xtask check`: everything that can be said about the code without running it.

mod house;
mod layers;
mod licences;

use anyhow::{Result, bail};

use crate::shell::{cargo, run, say};

/// One check; what it finds wrong it prints.
type Check = fn() -> Result<()>;

/// Runs the checks whose names begin with one of `wanted`, or all without any; also after one that failed, and fails
/// with the names of those.
pub(crate) fn run_all(wanted: &[&str]) -> Result<()> {
    let checks: [(&str, Check); 6] = [
        ("format", || run(&mut cargo(&["fmt", "--all", "--check"]))),
        ("lints", || run(&mut cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))),
        ("documentation", || {
            run(cargo(&["doc", "--workspace", "--no-deps", "--quiet"]).env("RUSTDOCFLAGS", "-D warnings"))
        }),
        ("house rules", || refuse(&house::breaches()?)),
        ("layers: what each crate may depend on", || refuse(&layers::breaches()?)),
        ("licences of all dependencies", || refuse(&licences::breaches()?)),
    ];
    let mut failed = Vec::new();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|word| name.starts_with(word));
    for (name, check) in checks.into_iter().filter(|(name, _)| is_wanted(name)) {
        say(name);
        if let Err(error) = check() {
            println!("  {error:#}");
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("checks that did not pass: {}", failed.join("; "));
    }
    Ok(())
}

fn refuse(breaches: &[String]) -> Result<()> {
    for breach in breaches {
        println!("  {breach}");
    }
    match breaches.len() {
        0 => Ok(()),
        count => bail!("broken {count} times"),
    }
}
