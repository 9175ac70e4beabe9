//! Commands of `tinc` that speak with the daemon, start it or stop it; `tinmesh` calls the same functions.
//!
//! Results go to `out`; a failure is an error whose text is for standard error. Source: spec cli B.4 to B.7.

pub mod dump;
pub mod graph;
pub mod info;
mod kept;
pub mod launch;
mod run;
mod stream;
mod top;

use std::io::Write;

use anyhow::{Result, anyhow, bail};

use crate::cli::tinc::{TincOptions, try_line};
use crate::control::client::{Client, ClientError};
use crate::paths::Paths;

pub use self::kept::Kept;
use self::kept::Lent;

/// What every command needs to know of how it was called.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// The program's name, for messages.
    pub program: &'a str,
    /// The options in front of the command.
    pub options: &'a TincOptions,
    /// Where everything is.
    pub paths: &'a Paths,
    /// In a shell: the connection that outlives a command.
    pub kept: Option<&'a Kept>,
    /// Whether the user chose colours, or none; otherwise a terminal gets them.
    pub colour: Option<bool>,
}

impl<'a> Tool<'a> {
    /// A tool for one command.
    pub const fn new(program: &'a str, options: &'a TincOptions, paths: &'a Paths) -> Self {
        Self { program, options, paths, kept: None, colour: None }
    }

    /// Connects to the daemon, or takes the connection of the last command.
    fn connect(&self) -> Result<Lent<'a>> {
        let client = match self.kept.and_then(Kept::take) {
            Some(client) if client.is_quiet() => client,
            Some(_) => {
                eprintln!("Previous connection to tincd lost, reconnecting.");
                Client::connect(self.paths)?
            }
            None => Client::connect(self.paths)?,
        };
        Ok(Lent { client: Some(client), kept: self.kept })
    }
}

/// Carries out a command, or says with `None` that it is none of these.
pub fn run(tool: &Tool<'_>, words: &[String], out: &mut dyn Write) -> Option<Result<()>> {
    let (command, arguments) = words.split_first()?;
    Some(match command.to_ascii_lowercase().as_str() {
        "start" => run::start(tool, arguments),
        "stop" => without_arguments(arguments).and_then(|()| run::stop(tool)),
        "restart" => run::restart(tool, arguments),
        "reload" => without_arguments(arguments).and_then(|()| run::reload(tool)),
        "retry" => without_arguments(arguments).and_then(|()| run::retry(tool)),
        "purge" => without_arguments(arguments).and_then(|()| run::purge(tool)),
        "debug" => one_argument(arguments).and_then(|level| run::debug(tool, level)),
        "disconnect" => one_argument(arguments).and_then(|name| run::disconnect(tool, name)),
        "connect" => one_argument(arguments).and_then(|name| run::connect(tool, name)),
        "pid" => without_arguments(arguments).and_then(|()| run::pid(tool, out)),
        "dump" | "list" if !dump::is_of_files(arguments) => dump::run(tool, arguments, out),
        "info" => one_argument(arguments).and_then(|item| info::run(tool, item, out)),
        "log" => at_most_one(arguments).and_then(|level| stream::log(tool, level, out)),
        "pcap" => at_most_one(arguments).and_then(|length| stream::pcap(tool, length, out)),
        "top" => without_arguments(arguments).and_then(|()| top::run(tool, out)),
        _ => return None,
    })
}

/// The message about a command that does not exist.
pub fn unknown_command(program: &str, command: &str) -> anyhow::Error {
    anyhow!("Unknown command `{command}'.\n{}", try_line(program).trim_end())
}

fn without_arguments(arguments: &[String]) -> Result<()> {
    if arguments.is_empty() { Ok(()) } else { bail!("Too many arguments!") }
}

fn one_argument(arguments: &[String]) -> Result<&str> {
    match arguments {
        [argument] => Ok(argument),
        _ => bail!("Invalid number of arguments."),
    }
}

fn at_most_one(arguments: &[String]) -> Result<Option<&str>> {
    match arguments {
        [] => Ok(None),
        [argument] => Ok(Some(argument)),
        _ => bail!("Too many arguments!"),
    }
}

/// Writes a line for the user, and tells whether anybody still reads.
fn print_line(out: &mut dyn Write, line: impl std::fmt::Display) -> Result<()> {
    Ok(writeln!(out, "{line}")?)
}

#[cfg(test)]
mod tests;
