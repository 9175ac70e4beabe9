//! `tinc` without a command: commands from standard input, one a line (spec: cli A.3).

use std::io::{self, BufRead, Read, Write};

use anyhow::{Result, anyhow, bail};

use super::line_editor::LineEditor;
use super::{is_interactive, tell};
use crate::cli::tinc::{TincOptions, is_command};
use crate::paths::{Netname, PathError, Paths};
use crate::tinc_daemon::{Kept, Tool};

/// Longest line, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// Commands after which the connection to the daemon is not what it was.
const LAST_ON_CONNECTION: [&str; 6] = ["log", "pcap", "restart", "start", "stop", "top"];

/// A shell, and what its commands change.
struct Shell<'a> {
    program: &'a str,
    options: TincOptions,
    paths: Paths,
    kept: Kept,
}

/// Where the lines come from.
enum Source {
    Terminal(Box<LineEditor>),
    Pipe,
}

/// Reads commands until the end; the result is the exit code: all those of the commands together.
///
/// # Errors
/// If nothing can be read.
pub(super) fn run(program: &str, options: &TincOptions, paths: Paths, out: &mut dyn Write) -> Result<u8> {
    let mut shell = Shell { program, options: options.clone(), paths, kept: Kept::default() };
    let mut source = match is_interactive(&shell.tool()) {
        true => Source::Terminal(Box::new(LineEditor::new()?)),
        false => Source::Pipe,
    };
    let mut code = 0;
    while let Some(line) = shell.next_line(&mut source, out)? {
        let words: Vec<String> = line.split_ascii_whitespace().map(str::to_owned).collect();
        let Some(command) = words.first().filter(|_| !line.starts_with('#')) else { continue };
        let command = command.to_ascii_lowercase();
        if command == "exit" || command == "quit" {
            break;
        }
        if let (Source::Terminal(editor), true) = (&mut source, is_command(&command)) {
            editor.remember(&line);
        }
        code |= shell.carry_out(&command, &words, out);
    }
    Ok(code)
}

impl Shell<'_> {
    fn tool(&self) -> Tool<'_> {
        Tool { kept: Some(&self.kept), ..Tool::new(self.program, &self.options, &self.paths) }
    }

    /// The next line, or nothing at the end of the input.
    fn next_line(&self, source: &mut Source, out: &mut dyn Write) -> Result<Option<String>> {
        match source {
            Source::Terminal(editor) => {
                let line = editor.read_line(&format!("{}> ", self.paths.ident), &self.paths)?;
                if line.is_none() {
                    writeln!(out)?;
                }
                Ok(line)
            }
            Source::Pipe => read_line(),
        }
    }

    /// Does what a line says; gives its exit code.
    fn carry_out(&mut self, command: &str, words: &[String], out: &mut dyn Write) -> u8 {
        let done = match words {
            [_, netname] if command == "network" => self.switch(netname),
            _ => super::dispatch(&self.tool(), words, out).unwrap_or_else(|| {
                Err(anyhow!("Unknown command `{}'.", words.first().map(String::as_str).unwrap_or_default()))
            }),
        };
        let done = done.and_then(|()| Ok(out.flush()?));
        if done.is_err() || LAST_ON_CONNECTION.contains(&command) {
            self.kept.close();
        }
        match done {
            Ok(()) => 0,
            Err(error) => {
                super::report(&error);
                1
            }
        }
    }

    /// From now on, commands are about another network. A directory or pid file that was chosen does not count there.
    fn switch(&mut self, netname: &str) -> Result<()> {
        let is_none = netname == ".";
        match if is_none { Netname::Safe } else { Netname::judge(netname) } {
            Netname::Invalid => bail!(PathError::Netname),
            Netname::Unsafe => tell("Warning: unsafe character in netname!"),
            Netname::Safe => {}
        }
        let net = if is_none { String::new() } else { netname.to_owned() };
        let options = TincOptions { net: Some(net), config: None, pid_file: None, ..self.options.clone() };
        self.paths = Paths::for_control(&options.path_options())?;
        self.options = options;
        self.kept.close();
        Ok(())
    }
}

fn read_line() -> Result<Option<String>> {
    let mut line = Vec::new();
    // Commands read from the same input, so it is not kept locked.
    io::stdin().lock().take(MAX_LINE).read_until(b'\n', &mut line)?;
    let is_end = line.is_empty();
    Ok((!is_end).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']).to_owned()))
}
