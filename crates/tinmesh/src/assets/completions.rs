//! Completions for bash, zsh and fish.

use clap::{Arg, ArgAction, Command, CommandFactory as _, ValueHint};
use clap_complete::Shell;

use super::Asset;
use crate::cli::getopt::Argument;
use crate::cli::tinmesh::Cli;
use crate::cli::usage::entries;
use crate::cli::{tinc, tincd};

pub(super) fn all() -> Vec<Asset> {
    let programs = [("tinmesh", Cli::command()), ("tinc", tinc_command()), ("tincd", tincd_command())];
    let shells = [
        (Shell::Bash, "bash-completion/completions/", ""),
        (Shell::Zsh, "zsh/vendor-completions/_", ""),
        (Shell::Fish, "fish/vendor_completions.d/", ".fish"),
    ];
    let mut all = Vec::new();
    for (name, command) in programs {
        for (shell, before, after) in shells {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut command.clone(), name, &mut text);
            all.push(Asset::new(format!("{before}{name}{after}"), text));
        }
    }
    all
}

/// `tinc`: its own options; what follows its commands is known from `tinmesh`.
fn tinc_command() -> Command {
    let ours = Cli::command();
    let commands = tinc::commands().map(|name| {
        let like = ours.find_subcommand(name).cloned().unwrap_or_default();
        let plain = Command::new(name).about(like.get_about().cloned().unwrap_or_default());
        plain.args(like.get_positionals().map(positional)).disable_help_flag(true)
    });
    program("tinc", &tinc::usage("tinc")).subcommands(commands).disable_help_subcommand(true)
}

/// A word after a command, without what binds it to options that tinc has not.
fn positional(like: &Arg) -> Arg {
    let arg = Arg::new(like.get_id().clone()).value_parser(like.get_value_parser().clone());
    let arg = arg.value_hint(like.get_value_hint()).required(like.is_required_set());
    like.get_num_args().into_iter().fold(arg, Arg::num_args)
}

fn tincd_command() -> Command {
    program("tincd", &tincd::usage("tincd"))
}

fn program(name: &'static str, usage: &str) -> Command {
    let options = entries(usage).into_iter().filter_map(|entry| Some((entry.option()?, entry.about)));
    let args = options.map(|(option, about)| {
        let hint = match option.long.as_str() {
            "config" => ValueHint::DirPath,
            "pidfile" | "logfile" => ValueHint::FilePath,
            "user" => ValueHint::Username,
            _ => ValueHint::Other,
        };
        let arg = Arg::new(option.long.clone()).long(option.long).help(about);
        let arg = option.short.into_iter().fold(arg, Arg::short);
        match option.argument {
            Argument::None => arg.action(ArgAction::SetTrue),
            Argument::Required => arg.action(ArgAction::Set).value_name(option.value).value_hint(hint),
            Argument::Optional => arg.num_args(0..=1).require_equals(true).value_name(option.value).value_hint(hint),
        }
    });
    Command::new(name).disable_help_flag(true).disable_version_flag(true).args(args)
}
