//! tinmesh: daemon and command line in one program, which behaves as it is called: `tinmesh`, `tinc` or `tincd`.
//!
//! ```text
//!  program                       what it is called decides what it is
//!   ├─ cli  assets               what was typed; manual pages and completions from the same definitions
//!   ├─ user                      `tinmesh`: up, join, invite, down, status
//!   ├─ tinc  tinc_daemon         `tinc`: commands on files; commands that need the daemon
//!   ├─ daemon                    `tincd`: threads, sockets, scripts around a `Node`
//!   ├─ control                   the control socket's lines, both ends
//!   ├─ config  files             settings; keys, invitations, founding, joining
//!   └─ paths                     where an instance's files are
//! ```
#![forbid(unsafe_code)]
#![expect(unreachable_pub, reason = "`pub` in a program says what a module offers to the others")]

mod assets;
mod cli;
mod config;
mod control;
#[cfg(test)]
mod corpora;
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
