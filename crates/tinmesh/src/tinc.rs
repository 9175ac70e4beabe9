//! Commands of `tinc` that work on files: settings, keys, host files, invitations.
//!
//! Results go to `out`; a failure is an error whose text is for standard error, in tinc's words. Source: spec cli A, B.

mod edit;
mod exchange;
mod fsck;
mod help;
mod init;
mod invite;
mod join;
mod keys;
mod line_editor;
mod lists;
mod settings;
mod shell;
mod sign;

use std::fmt::Display;
use std::io::{self, BufRead, IsTerminal, Read, Write};

use anyhow::{Result, anyhow, bail};
use tinmesh_core::name::NodeName;

pub use self::fsck::findings;
pub use self::help::{describe, describe_variables};

use crate::cli::tinc::{self, TincCall, TincOptions};
use crate::config::{self, ConfigError};
use crate::control::client::{Client, ConnectError};
use crate::control::request::ControlRequest;
use crate::files;
use crate::paths::Paths;
use crate::tinc_daemon::{self, Tool};

/// Longest answer to a question, in bytes.
const MAX_ANSWER: u64 = 4096;

/// Behaves as `tinc`; gives the exit code.
pub fn main(program: &str, words: &[String]) -> u8 {
    let mut out = io::stdout().lock();
    let done = match tinc::parse(program, words) {
        Ok(TincCall::Help) => print(&mut out, tinc::usage(program)).map(|()| 0),
        Ok(TincCall::Version) => print(&mut out, version()).map(|()| 0),
        Ok(TincCall::Run(options)) => run_command(program, &options, &mut out),
        Err(message) => Err(anyhow!("{}", message.trim_end())),
    };
    match done.and_then(|code| Ok(out.flush().map(|()| code)?)) {
        Ok(code) => code,
        Err(error) => {
            report(&error);
            1
        }
    }
}

/// A failure of which everything is told already.
#[derive(Debug, thiserror::Error)]
#[error("failed")]
pub struct Told;

/// Tells why a command failed, unless it did so itself.
pub fn report(error: &anyhow::Error) {
    if !error.is::<Told>() {
        tell(format_args!("{error:#}"));
    }
}

/// The protocol that is spoken with other nodes.
pub const PROTOCOL: &str = "17.7";
/// What the version tells of, in tinc's words.
pub const FEATURES: [&str; 5] = ["comp_lzo", "comp_zlib", "comp_lz4", "sandbox", "watchdog"];

/// The text of `--version`.
pub fn version() -> String {
    let (version, features) = (env!("CARGO_PKG_VERSION"), FEATURES.join(" "));
    format!(
        "tinc version tinmesh-{version} (protocol {PROTOCOL})\nFeatures: {features}\n\n\
         tinmesh is free software under the MIT or the Apache-2.0 licence, and comes WITHOUT ANY WARRANTY.\n"
    )
}

fn run_command(program: &str, options: &TincOptions, out: &mut dyn Write) -> Result<u8> {
    let paths = Paths::for_control(&options.path_options())?;
    paths.notices.iter().for_each(tell);
    let Some(command) = options.command.first() else { return shell::run(program, options, paths, out) };
    let tool = Tool::new(program, options, &paths);
    let done = dispatch(&tool, &options.command, out);
    done.unwrap_or_else(|| Err(tinc_daemon::unknown_command(program, command))).map(|()| 0)
}

/// Carries out any command of tinc, or says with `None` that there is none of this name.
fn dispatch(tool: &Tool<'_>, words: &[String], out: &mut dyn Write) -> Option<Result<()>> {
    tinc_daemon::run(tool, words, out).or_else(|| run(tool, words, out))
}

/// Carries out a command, or says with `None` that it is none of these.
pub fn run(tool: &Tool<'_>, words: &[String], out: &mut dyn Write) -> Option<Result<()>> {
    let (command, arguments) = words.split_first()?;
    let command = command.to_ascii_lowercase();
    Some(match command.as_str() {
        "init" => init::run(tool, arguments),
        "get" | "set" | "add" | "del" | "config" => settings::run(tool, &command, arguments, out),
        "generate-keys" => keys::both(tool, arguments),
        "generate-rsa-keys" => keys::rsa(tool, arguments),
        "generate-ed25519-keys" => none(arguments).and_then(|()| keys::ed25519(tool)),
        "export" => none(arguments).and_then(|()| exchange::export(tool, out)),
        "export-all" => none(arguments).and_then(|()| exchange::export_all(tool, out)),
        "import" => none(arguments).and_then(|()| exchange::import(tool)),
        "exchange" => none(arguments).and_then(|()| exchange::export(tool, out)).and_then(|()| exchange::import(tool)),
        "exchange-all" => {
            none(arguments).and_then(|()| exchange::export_all(tool, out)).and_then(|()| exchange::import(tool))
        }
        "invite" => invite::run(tool, arguments, out),
        "join" => join::run(tool, arguments),
        "dump" | "list" if tinc_daemon::dump::is_of_files(arguments) => lists::invitations(tool, out),
        "network" => lists::network(tool, arguments, out),
        "edit" => edit::run(tool, arguments),
        "fsck" => fsck::run(tool, arguments),
        "sign" => sign::sign(tool, arguments, out),
        "verify" => sign::verify(tool, arguments, out),
        "help" => help::run(tool, arguments, out),
        "version" => none(arguments).and_then(|()| print(out, version())),
        _ => return None,
    })
}

fn none(arguments: &[String]) -> Result<()> {
    if arguments.is_empty() { Ok(()) } else { bail!("Too many arguments!") }
}

fn print(out: &mut dyn Write, text: impl Display) -> Result<()> {
    Ok(write!(out, "{text}")?)
}

/// Says something that is no result.
fn tell(text: impl Display) {
    eprintln!("{text}");
}

/// Whether somebody is there to answer questions.
fn is_interactive(tool: &Tool<'_>) -> bool {
    !tool.options.batch && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Asks; the answer has no line end, and is empty at the end of the input.
fn ask(question: &str) -> Result<String> {
    Ok(ask_unless_end(question)?.unwrap_or_default())
}

/// Asks; there is no answer at the end of the input.
fn ask_unless_end(question: &str) -> Result<Option<String>> {
    eprint!("{question}");
    let mut answer = Vec::new();
    let length = io::stdin().lock().take(MAX_ANSWER).read_until(b'\n', &mut answer)?;
    let answer = String::from_utf8_lossy(&answer).trim_end_matches(['\n', '\r']).to_owned();
    Ok((length > 0).then_some(answer))
}

/// The name of this node, or what tinc says of a configuration without one.
fn own_name(paths: &Paths) -> Result<NodeName> {
    config::own_name(paths).map_err(|error| match error {
        ConfigError::Missing(path) => anyhow!("Could not open {}: No such file or directory", path.display()),
        ConfigError::Unreadable { path, cause } => {
            anyhow!("Could not open {}: {}", path.display(), files::reason(&cause))
        }
        ConfigError::NoName(path) => anyhow!("Could not find Name in {}.", path.display()),
        ConfigError::BadName(..) => anyhow!("Invalid name for myself!"),
        ConfigError::Unusable { .. }
        | ConfigError::Syntax(_)
        | ConfigError::NoVariable(_)
        | ConfigError::Invalid { .. }
        | ConfigError::NoRsaKey
        | ConfigError::NoRandomness(_)
        | ConfigError::Key(_) => error.into(),
    })
}

/// The error for a file that cannot be opened.
fn cannot_open(path: &std::path::Path, cause: &io::Error) -> anyhow::Error {
    // It can be opened, as tinc notices.
    let failure = match cause.kind() == io::ErrorKind::IsADirectory {
        true => "Error while reading from",
        false => "Could not open",
    };
    anyhow!("{failure} configuration file {}: {}", path.display(), files::reason(cause))
}

/// Tells a running daemon to read its files anew; says whether there is one that did not.
fn reload(paths: &Paths) -> Result<(), ()> {
    let mut client = match Client::connect(paths) {
        Ok(client) => client,
        Err(error) => {
            // tinc says this, and only this, also where it was not asked for the daemon.
            if let ConnectError::NotRunning(_) = error {
                tell(error);
            }
            return Ok(());
        }
    };
    match client.ask(&ControlRequest::Reload) {
        Ok(0) => Ok(()),
        Ok(_) | Err(_) => Err(()),
    }
}
