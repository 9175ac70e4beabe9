//! What people type: `tinmesh up`, `join`, `invite`, `down`, `status`, and `tinmesh` alone.
//!
//! Each command says what it did and what to type next; an error says what to do about it.

mod down;
pub mod exchange;
mod invite;
mod join;
mod list;
pub mod outside;
mod overview;
mod place;
mod start;
pub mod status;
mod units;
mod up;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};

use anyhow::Result;
use clap::Parser as _;

use self::place::Place;
use crate::cli::tinmesh::{Cli, Command, DumpOptions};
use crate::tinc;
use crate::tinc_daemon::{self, Tool};

/// Exit code of misuse.
const USAGE: u8 = 2;

/// Carries out `tinmesh` with these words, of which the first is the program's name; gives the exit code.
pub fn run(words: Vec<OsString>) -> u8 {
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) => {
            // Nobody to tell it to if this fails.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(USAGE);
        }
    };
    let mut out = io::stdout().lock();
    let outcome = dispatch(&cli, &mut out).and_then(|code| Ok(out.flush().map(|()| code)?));
    outcome.unwrap_or_else(|error| {
        if is_broken_pipe(&error) {
            return 0;
        }
        tinc::report(&error);
        1
    })
}

/// Whether whoever read the output went away: that is no failure of this program.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn dispatch(cli: &Cli, out: &mut dyn Write) -> Result<u8> {
    let network = &cli.network;
    match &cli.command {
        None => overview::run(&Place::find(network)?, out)?,
        Some(Command::Up(options)) => up::run(&Place::find(network)?, options, out)?,
        Some(Command::Join(options)) => join::run(&Place::named(network)?, options, out)?,
        Some(Command::Invite(options)) => invite::run(&Place::find(network)?, options, out)?,
        Some(Command::Down) => down::run(&Place::find(network)?, out)?,
        Some(Command::Status(options)) => watch::run(&Place::find(network)?, options, out)?,
        Some(Command::Dump(DumpOptions { what, json: true })) => list::run(&Place::find(network)?, what, out)?,
        Some(Command::Dump(DumpOptions { what, json: false })) => {
            let words: Vec<String> = ["dump".to_owned()].into_iter().chain(what.iter().cloned()).collect();
            return run_tinc(&Place::find(network)?, &words, out);
        }
        Some(Command::Tinc(words)) => return run_tinc(&Place::find(network)?, words, out),
    }
    Ok(0)
}

/// A command of tinc, under this program's name.
fn run_tinc(place: &Place, words: &[String], out: &mut dyn Write) -> Result<u8> {
    let tool = Tool::new("tinmesh", &place.options, &place.paths);
    if let Some(outcome) = tinc_daemon::run(&tool, words, out).or_else(|| tinc::run(&tool, words, out)) {
        return outcome.map(|()| 0);
    }
    let command = words.first().map_or("", String::as_str);
    eprintln!("{}", tinc_daemon::unknown_command("tinmesh", command));
    Ok(USAGE)
}

/// Whether this user wants colours at all; ask also whether the output is a terminal.
pub fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Whether to colour what goes to standard output.
fn colour_on_stdout() -> bool {
    io::stdout().is_terminal() && colour_wanted()
}
