//! What people type: `tinmesh up`, `join`, `invite`, `down`, `status`, `doctor`, and `tinmesh` alone.
//!
//! Each command says what it did and what to type next; an error says what to do about it.

pub mod auth;
mod doctor;
mod down;
pub mod exchange;
mod help;
mod invite;
mod join;
mod json;
mod list;
mod mapping;
pub mod outside;
mod overview;
mod place;
mod reasons;
mod start;
pub mod status;
mod units;
mod up;
mod watch;

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result};
use clap::{ColorChoice, CommandFactory as _, FromArgMatches as _};

use self::place::Place;
use crate::assets;
use crate::cli::tinmesh::commands::TincCommand;
use crate::cli::tinmesh::{Cli, Command, DumpOptions, Network};
use crate::tinc;
use crate::tinc_daemon::dump::{What, is_of_files};
use crate::tinc_daemon::{self, Tool};

/// Exit code of misuse.
const USAGE: u8 = 2;

/// Carries out `tinmesh` with these words, of which the first is the program's name; gives the exit code.
pub fn run(words: Vec<OsString>) -> u8 {
    let parser = Cli::command().color(color_in(&words));
    let cli = match parser.try_get_matches_from(words).and_then(|matches| Cli::from_arg_matches(&matches)) {
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

/// The choice of colours among words that are not read yet, for what is told about the words.
fn color_in(words: &[OsString]) -> ColorChoice {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let joined = words.iter().find_map(|word| word.strip_prefix("--color="));
    let next = words.windows(2).find_map(|pair| if let ["--color", choice] = pair { Some(*choice) } else { None });
    joined.or(next).and_then(|choice| choice.parse().ok()).unwrap_or_default()
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
        Some(Command::Auth(auth)) => auth::run(&Place::find(network)?, auth, out)?,
        Some(Command::Down) => down::run(&Place::find(network)?, out)?,
        Some(Command::Doctor(form)) => return doctor::run(&Place::find(network)?, *form, out),
        Some(Command::Status(options)) => watch::run(&Place::find(network)?, options, out)?,
        Some(Command::Dump(options)) => dump(&Place::find(network)?, options, out)?,
        Some(Command::Daemon(options)) => {
            let words: Vec<&str> =
                ["--no-detach"].into_iter().chain(options.words.iter().map(String::as_str)).collect();
            let mut daemon = Place::find(network)?.launch(&words)?.command();
            return Err(daemon.exec()).context("Could not become the daemon");
        }
        Some(Command::Help { topic }) => help::run(topic.as_deref(), network.color, out)?,
        Some(Command::Assets { directory }) => assets::write(directory)?,
        Some(Command::Tinc(command)) => run_tinc_command(&place_for(command, network)?, command, out)?,
    }
    Ok(0)
}

fn dump(place: &Place, options: &DumpOptions, out: &mut dyn Write) -> Result<()> {
    let what = &options.what;
    if options.form.json {
        return list::run(place, what, out);
    }
    if !is_of_files(what) {
        // For failures that say what to do.
        let _ = What::parse("tinmesh", what)?;
        place.connect()?;
    }
    run_tinc(place, &[&["dump".to_owned()], what.as_slice()].concat(), out)
}

/// The network that a command of tinc is for; some are for no network in particular.
fn place_for(command: &TincCommand, network: &Network) -> Result<Place> {
    if command.needs_network() { Place::find(network) } else { Place::named(network) }
}

fn run_tinc_command(place: &Place, command: &TincCommand, out: &mut dyn Write) -> Result<()> {
    if let TincCommand::Question(question) = command
        && question.json()
    {
        return json::run(place, question, out);
    }
    if command.needs_daemon() {
        // For a failure that says what to do.
        place.connect()?;
    }
    run_tinc(place, &command.words(), out)
}

/// A command of tinc, under this program's name.
fn run_tinc(place: &Place, words: &[String], out: &mut dyn Write) -> Result<()> {
    let colour = Some(colour_on_stdout(place.color));
    let tool = Tool { colour, ..Tool::new("tinmesh", &place.options, &place.paths) };
    let outcome = tinc_daemon::run(&tool, words, out).or_else(|| tinc::run(&tool, words, out));
    let command = words.first().map_or("", String::as_str);
    outcome.unwrap_or_else(|| Err(tinc_daemon::unknown_command("tinmesh", command)))
}

/// Whether this user wants colours at all; ask also whether the output is a terminal.
pub fn colour_wanted() -> bool {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    set("NO_COLOR").is_none() && set("TERM").is_some_and(|term| term != "dumb")
}

/// Whether to colour what goes to standard output.
fn colour_on_stdout(choice: ColorChoice) -> bool {
    match choice {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => io::stdout().is_terminal() && colour_wanted(),
    }
}
