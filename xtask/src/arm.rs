//! The cipher's tests for 64-bit ARM on a machine that is none, in the emulator of qemu: its instructions are right or wrong
//! there as on a processor, only their speed cannot be measured.

use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Tool};
use crate::shell::{cargo, command, found, output, run, say};

const TARGET: &str = "aarch64-unknown-linux-gnu";
/// Where Debian's packages put headers and libraries for ARM.
const SYSTEM: &str = "/usr/aarch64-linux-gnu";

/// A linker and compiler of C, headers of C, the emulator.
const TOOLS: &[Tool] = &[
    ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    ("/usr/aarch64-linux-gnu/include/stdio.h", "libc6-dev-arm64-cross"),
    ("qemu-aarch64-static", "qemu-user-static"),
];

/// Fetches what is missing and runs the tests.
pub(crate) fn run_all() -> Result<()> {
    fetch()?;
    test()
}

/// Makes sure that there are a compiler, its libraries and an emulator.
pub(crate) fn fetch() -> Result<()> {
    apt::need(TOOLS)?;
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".into());
    let libraries = output(&mut command(&rustc, &["--print", "target-libdir", "--target", TARGET]))?;
    if Path::new(libraries.trim()).is_dir() {
        return Ok(());
    }
    if !found("rustup") {
        bail!("Rust’s standard library for {TARGET} is missing, and there is no rustup to add it");
    }
    say(&format!("adding Rust’s standard library for {TARGET}"));
    run(&mut command("rustup", &["target", "add", TARGET])).context("Rust’s standard library for ARM is missing")
}

/// Runs the tests; everything must be there.
pub(crate) fn test() -> Result<()> {
    let mut tests = cargo(&["test", "--package", "tinmesh-cipher", "--tests", "--target", TARGET]);
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc");
    tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER", format!("qemu-aarch64-static -L {SYSTEM}"));
    run(&mut tests)
}
