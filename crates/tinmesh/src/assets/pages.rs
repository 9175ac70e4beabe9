//! Manual pages: those of `tinmesh` from its definition, those of `tinc` and `tincd` from their usage, and `tinc.conf`
//! from the table of variables.

use std::io;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, italic, roman};

use super::Asset;
use crate::cli::tinmesh::Cli;
use crate::cli::usage::{Entry, entries};
use crate::cli::{tinc, tincd};
use crate::config::variables::{VARIABLES, Variable};
use crate::tinc::describe;

/// What the pages are a part of.
const MANUAL: &str = "tinmesh";

pub(super) fn all() -> io::Result<Vec<Asset>> {
    let mut all = commands()?;
    all.push(page("tinc", 8, tinc_page()));
    all.push(page("tincd", 8, tincd_page()));
    all.push(page("tinc.conf", 5, variables_page()));
    Ok(all)
}

fn page(name: &str, section: u8, roff: Roff) -> Asset {
    Asset::new(format!("man/man{section}/{name}.{section}"), roff.render())
}

/// `tinmesh`, and each of its commands.
fn commands() -> io::Result<Vec<Asset>> {
    let mut cli = Cli::command();
    cli.build();
    let shown = cli.get_subcommands().filter(|command| !command.is_hide_set()).cloned();
    let all: Vec<Command> = std::iter::once(cli.clone()).chain(shown).collect();
    all.into_iter().map(command_page).collect()
}

fn command_page(command: Command) -> io::Result<Asset> {
    let after = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let about = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    let has_commands = command.has_subcommands();
    let man = Man::new(command).manual(MANUAL).source(source());
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    let mut description = Roff::new();
    description.control("SH", ["DESCRIPTION"]);
    as_it_is(&mut description, &about);
    description.to_writer(&mut text)?;
    man.render_options_section(&mut text)?;
    if has_commands {
        man.render_subcommands_section(&mut text)?;
    }
    let mut notes = Roff::new();
    if !after.is_empty() {
        notes.control("SH", ["NOTES"]);
        as_it_is(&mut notes, &after);
    }
    see_also(&mut notes, &[("tinmesh", 1), ("tinc", 8), ("tinc.conf", 5)]);
    notes.to_writer(&mut text)?;
    Ok(Asset::new(format!("man/man1/{}", man.get_filename()), with_one_preamble(&String::from_utf8_lossy(&text))))
}

/// Each part begins with the same lines, which say what an apostrophe is.
fn with_one_preamble(text: &str) -> String {
    let preamble = Roff::new().render();
    format!("{preamble}{}", text.replace(&preamble, ""))
}

fn source() -> String {
    format!("tinmesh {}", env!("CARGO_PKG_VERSION"))
}

fn head(name: &str, section: &str, about: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("TH", [name, section, "", &source(), MANUAL]);
    roff.control("SH", ["NAME"]);
    roff.text([roman(format!("{name} - {about}"))]);
    roff
}

/// Lines whose breaks and blanks count.
fn as_it_is(roff: &mut Roff, text: &str) {
    roff.control("nf", []);
    text.lines().for_each(|line| {
        roff.text([roman(line)]);
    });
    roff.control("fi", []);
}

fn paragraphs(roff: &mut Roff, text: &str) {
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph.replace('\n', " "))]);
    }
}

fn described(roff: &mut Roff, term: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(term)]);
    roff.text([roman(about)]);
}

fn list(roff: &mut Roff, heading: &str, entries: &[Entry]) {
    roff.control("SH", [heading]);
    let mut inner = false;
    for entry in entries {
        if entry.nested != inner {
            roff.control(if entry.nested { "RS" } else { "RE" }, []);
            inner = entry.nested;
        }
        described(roff, &entry.term, &entry.about);
    }
    if inner {
        roff.control("RE", []);
    }
}

fn see_also(roff: &mut Roff, pages: &[(&str, u8)]) {
    roff.control("SH", ["SEE ALSO"]);
    for (number, (name, section)) in pages.iter().enumerate() {
        let comma = if number + 1 < pages.len() { "," } else { "" };
        roff.text([bold(*name), roman(format!("({section}){comma}"))]);
    }
}

fn tinc_page() -> Roff {
    let mut roff = head("tinc", "8", "control of a tinc daemon and its files");
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("tinc"), roman(" ["), italic("options"), roman("] ["), italic("command"), roman("]")]);
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, TINC);
    let (options, commands): (Vec<_>, Vec<_>) =
        entries(&tinc::usage("tinc")).into_iter().partition(|entry| entry.option().is_some());
    list(&mut roff, "OPTIONS", &options);
    list(&mut roff, "COMMANDS", &commands);
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman("0 if all was done, 1 for every failure.")]);
    files(&mut roff);
    see_also(&mut roff, &[("tincd", 8), ("tinc.conf", 5), ("tinmesh", 1)]);
    roff
}

const TINC: &str = "The control tool of tinc 1.1, as tinmesh has it. It makes and changes the files of a network, starts and \
                    stops its daemon, and asks that daemon.\n\n\
                    Without a command, commands are read from standard input, one per line; on a terminal with editing, \
                    history and completion.\n\n\
                    tinmesh(1) has the same commands with help for each, and JSON for programs.";

fn tincd_page() -> Roff {
    let mut roff = head("tincd", "8", "the daemon of a private network between machines");
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("tincd"), roman(" ["), italic("options"), roman("]")]);
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, TINCD);
    let options = entries(&tincd::usage("tincd"));
    list(&mut roff, "OPTIONS", &options);
    roff.control("SH", ["SIGNALS"]);
    for (signal, about) in SIGNALS {
        described(&mut roff, signal, about);
    }
    roff.control("SH", ["EXIT STATUS"]);
    roff.text([roman(
        "0 after a requested stop, and for the process that started a daemon in the background; else 1.",
    )]);
    files(&mut roff);
    see_also(&mut roff, &[("tinc", 8), ("tinc.conf", 5), ("tinmesh", 1)]);
    roff
}

const TINCD: &str = "The daemon of tinc 1.1, as tinmesh has it. It connects this machine with the others of its network, \
                     finds direct paths to them, and carries packets between them and a virtual network interface.\n\n\
                     --bypass-security is refused: with it anybody who reaches the port could be any node.";

const SIGNALS: [(&str, &str); 3] = [
    ("HUP", "Read the files again."),
    ("ALRM", "Try all connections now that wait for another attempt."),
    ("INT, QUIT, TERM", "Stop."),
];

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    for (path, about) in FILES {
        described(roff, path, about);
    }
}

const FILES: [(&str, &str); 6] = [
    ("/etc/tinc/NET/tinc.conf", "Settings of this node; without a netname directly in /etc/tinc."),
    ("/etc/tinc/NET/hosts/NAME", "What is known of node NAME; also of this one."),
    ("/etc/tinc/NET/ed25519_key.priv, rsa_key.priv", "Private keys."),
    ("/etc/tinc/NET/tinc-up, tinc-down, host-up, ...", "Scripts."),
    ("/run/tinc.NET.pid, /run/tinc.NET.socket", "Of the running daemon."),
    ("/var/log/tinc.NET.log", "The log, with --logfile."),
];

fn variables_page() -> Roff {
    let mut roff = head("tinc.conf", "5", "configuration of a tinc daemon");
    roff.control("SH", ["SYNOPSIS"]);
    as_it_is(&mut roff, "/etc/tinc/NET/tinc.conf\n/etc/tinc/NET/conf.d/*.conf\n/etc/tinc/NET/hosts/NAME");
    roff.control("SH", ["DESCRIPTION"]);
    paragraphs(&mut roff, CONF);
    let section = |roff: &mut Roff, heading: &str, chosen: fn(&Variable) -> bool| {
        roff.control("SH", [heading]);
        for variable in VARIABLES.iter().filter(|variable| chosen(variable)) {
            let text = describe(variable);
            let text = text.split_once(": ").map_or(text.as_str(), |(_, about)| about);
            let words: Vec<&str> = text.split_whitespace().collect();
            described(roff, variable.name, &words.join(" "));
        }
    };
    section(&mut roff, "VARIABLES OF TINC.CONF", |variable| variable.tinc && variable.class.server);
    section(&mut roff, "VARIABLES OF HOST FILES", |variable| variable.tinc && variable.class.host);
    section(&mut roff, "VARIABLES OF TINMESH", |variable| !variable.tinc);
    see_also(&mut roff, &[("tincd", 8), ("tinc", 8), ("tinmesh", 1)]);
    roff
}

const CONF: &str = "A line is a variable, an equals sign that may be left out, and a value. Names of variables are read in any \
                    case. Lines that begin with # are comments; so is what stands between -----BEGIN and -----END lines, \
                    which are keys.\n\n\
                    A host file says how node NAME is reached and what it owns, and holds its public keys. Those of other \
                    nodes are copies of their own.\n\n\
                    Change them with tinc set, add and del: they check values, and let the daemon read its files again.";

#[cfg(test)]
mod tests;
