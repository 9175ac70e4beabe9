//! Options and commands of `tinmesh` itself, with help that teaches.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand, ValueHint};

use super::tinc::TincOptions;

pub mod auth;
pub mod commands;

use self::commands::{DaemonWords, Form, TincCommand};

/// What was typed after `tinmesh`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tinmesh",
    version,
    about = "A private network between your machines, wherever they are.",
    long_about = "A private network between your machines, wherever they are.\n\n\
        First machine:    sudo tinmesh up          makes a network and prints one line\n\
        Other machines:   sudo tinmesh join URL    with that line\n\
        Any time:         tinmesh status           who is reachable, and how",
    after_help = AFTER_HELP,
    disable_help_subcommand = true,
    subcommand_value_name = "COMMAND"
)]
pub struct Cli {
    #[command(flatten)]
    /// Which network of this machine.
    pub network: Network,
    /// What to do; without one, the state of this machine is told.
    #[command(subcommand)]
    pub command: Option<Command>,
}

const AFTER_HELP: &str = "Help for a command:    tinmesh COMMAND --help\n\
    Help for a variable:   tinmesh help VARIABLE\n\
    From the beginning:    the guide, docs/guide.md\n\n\
    Called as `tinc` or `tincd` (by a symbolic link), this program behaves as those.\n\
    Exit codes: 0 done, 1 failed, 2 wrong usage.";

/// What every command takes: which network of this machine, and how to behave.
#[derive(Args, Clone, Debug, Default)]
pub struct Network {
    /// Network to work on, if this machine is in several.
    #[arg(short, long, global = true, value_name = "NET")]
    pub net: Option<String>,
    /// Configuration directory, instead of /etc/tinc/NET.
    #[arg(short, long, global = true, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub config: Option<PathBuf>,
    /// Pid file of the daemon.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub pidfile: Option<PathBuf>,
    /// Never ask.
    #[arg(short, long, global = true)]
    pub batch: bool,
    /// Do what is refused without it: each command's help says what.
    #[arg(long, global = true)]
    pub force: bool,
    /// Whether to use colours.
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    pub color: ColorChoice,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Bring this machine's network up; the first time, make one.
    Up(UpOptions),
    /// Become a member of a network, with the line that `tinmesh invite` printed there.
    Join(JoinOptions),
    /// Print a line with which one other machine can join.
    Invite(InviteOptions),
    /// Say who may do what in this network, and ask.
    Auth(auth::Auth),
    /// Stop the daemon and take the interface down.
    Down,
    /// Show who is reachable, by which path, how fast.
    Status(StatusOptions),
    /// Look for what is wrong, and say what to change.
    #[command(
        after_help = "Asks the daemon, and other nodes where they see this one: what NAT there is, by which path each node is\n\
        reached, why not by a better one, and what you could do. What is not known is said to be not known.\n\n\
        Exit codes: 0 nothing to change, 1 something to change."
    )]
    Doctor(Form),
    /// List what the daemon knows: nodes, edges, subnets, connections, graph, digraph, invitations.
    #[command(visible_alias = "list")]
    Dump(DumpOptions),
    /// Be the daemon, in the foreground.
    #[command(after_help = "For service units and containers. Options of tincd may follow.\n\n\
        Example:  sudo tinmesh -n vpn daemon -d1")]
    Daemon(DaemonWords),
    /// A command that tinc has too.
    #[command(flatten)]
    Tinc(TincCommand),
    /// Tell what a command, or a variable of the configuration, is for.
    Help {
        /// Command, variable, or `variables` for all of them.
        topic: Option<String>,
    },
    /// Write manual pages and completions below a directory.
    #[command(hide = true)]
    Assets {
        /// The directory.
        directory: PathBuf,
    },
}

/// Options of `tinmesh up`.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "With a configuration in place nothing is changed: the daemon is started unless it runs.")]
pub struct UpOptions {
    /// Name of this node in a new network; otherwise the host's name.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where others reach this machine from outside.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub address: Option<String>,
    /// Stay in the foreground, and log to the terminal.
    #[arg(long)]
    pub foreground: bool,
    /// Print one JSON object instead of text.
    #[arg(long, conflicts_with = "foreground")]
    pub json: bool,
}

/// Options of `tinmesh join`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "With --force, settings that could run programs here are taken from the invitation: only if you trust \
                  the inviter with this machine.\n\nAfterwards: tinmesh status"
)]
pub struct JoinOptions {
    /// The invitation: HOST, perhaps :PORT, a slash and 48 characters.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Name that this node would like to have, if the invitation leaves the choice.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
}

/// Options of `tinmesh invite`.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "Whoever has the line can join once, within a week. Send it by a way that you trust.\n\n\
    In a network that was founded (tinmesh auth), say what the new node may do, besides joining with its addresses:\n\n  \
    sudo tinmesh invite bob --for 7d --own 10.1.0.0/16")]
pub struct InviteOptions {
    /// Name of the new node; without it the joining machine chooses.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where the new node reaches this machine, from outside.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub address: Option<String>,
    #[command(flatten)]
    pub rights: InviteRights,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// What an invited node may do.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub struct InviteRights {
    /// For how long it may do so: 30m, 12h, 7d; otherwise 90 days.
    #[arg(long = "for", value_name = "DURATION")]
    pub duration: Option<String>,
    /// Addresses behind it, that it may announce.
    #[arg(long, value_name = "PREFIX")]
    pub own: Vec<String>,
    /// Let it use and be a relay, where not everybody may.
    #[arg(long)]
    pub relay: bool,
    /// How much it may send, for example 2000 (kbit/s) or 2mbit.
    #[arg(long, value_name = "RATE")]
    pub rate: Option<String>,
    /// Groups that it is in.
    #[arg(long, value_name = "GROUP")]
    pub tag: Vec<String>,
    /// Let it invite others.
    #[arg(long)]
    pub can_invite: bool,
}

/// Options of `tinmesh status`.
#[derive(Args, Clone, Debug, Default)]
pub struct StatusOptions {
    #[command(flatten)]
    pub form: Form,
    /// Show it again every second, with rates, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
}

/// What can be listed.
const LISTS: [&str; 8] = ["nodes", "reachable", "edges", "subnets", "connections", "graph", "digraph", "invitations"];

/// Options of `tinmesh dump`.
#[derive(Args, Clone, Debug, Default)]
#[command(
    after_help = "Examples:  tinmesh dump reachable nodes\n           tinmesh dump graph | dot -Tsvg > mesh.svg\n\n\
    One of them in detail: tinmesh info NODE"
)]
pub struct DumpOptions {
    /// What to list, with `reachable` in front of `nodes` if only those are wanted.
    #[arg(value_name = "WHAT", required = true, ignore_case = true, value_parser = LISTS)]
    pub what: Vec<String>,
    #[command(flatten)]
    pub form: Form,
}

impl Network {
    /// The same, as `tinc` would have been called with it.
    pub fn tinc_options(&self, command: Vec<String>) -> TincOptions {
        TincOptions {
            config: self.config.clone(),
            net: self.net.clone(),
            pid_file: self.pidfile.clone(),
            batch: self.batch,
            force: self.force,
            command,
        }
    }
}

#[cfg(test)]
mod tests;
