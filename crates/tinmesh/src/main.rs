//! tinmesh: daemon and command line in one program, which behaves as it is called: `tinmesh`,
//! `tinc` or `tincd`.
#![forbid(unsafe_code)]
#![expect(unreachable_pub, reason = "`pub` in a program says what a module offers to the others")]

mod cli;
mod config;
mod control;
mod daemon;
mod files;
mod paths;
mod program;
mod tinc;
mod tinc_daemon;
mod user;

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    let program = words.next().unwrap_or_else(|| "tinmesh".to_owned());
    program::run(&program, &words.collect::<Vec<_>>())
}
