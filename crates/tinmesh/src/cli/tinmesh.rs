//! Options and commands of `tinmesh` itself, with help that teaches.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use super::tinc::TincOptions;

/// What was typed after `tinmesh`.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "tinmesh",
    version,
    about = "A private network between your machines, wherever they are.",
    long_about = "A private network between your machines, wherever they are.\n\n\
        First machine:    sudo tinmesh up          makes a network and prints one line\n\
        Other machines:   sudo tinmesh join …      that line\n\
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

const AFTER_HELP: &str = "Commands of tinc work too:\n  \
    start stop restart reload retry purge debug disconnect pid info log          the daemon\n  \
    init get set add del generate-keys export import exchange network            the files\n\n\
    Called as `tinc` or `tincd` (by a symbolic link), this program behaves as those.";

/// Which network of this machine.
#[derive(Args, Clone, Debug, Default)]
pub struct Network {
    /// Network to work on, if this machine is in several.
    #[arg(short, long, global = true, value_name = "NET")]
    pub net: Option<String>,
    /// Configuration directory, instead of /etc/tinc/NET.
    #[arg(short, long, global = true, value_name = "DIR")]
    pub config: Option<PathBuf>,
    /// Pid file of the daemon.
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub pidfile: Option<PathBuf>,
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
    /// Stop the daemon and take the interface down.
    Down,
    /// Show who is reachable, by which path, how fast.
    Status(StatusOptions),
    /// List what the daemon knows: nodes, edges, subnets, connections, graph, digraph, invitations.
    Dump(DumpOptions),
    /// A command of tinc.
    #[command(external_subcommand)]
    Tinc(Vec<String>),
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
pub struct JoinOptions {
    /// The invitation: HOST, perhaps :PORT, a slash and 48 characters.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Name that this node would like to have, if the invitation leaves the choice.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Take settings from the invitation that could run programs here. Only if you trust the inviter with this machine.
    #[arg(long)]
    pub force: bool,
}

/// Options of `tinmesh invite`.
#[derive(Args, Clone, Debug, Default)]
#[command(after_help = "Whoever has the line can join once, within a week. Send it by a way that you trust.")]
pub struct InviteOptions {
    /// Name of the new node; without it the joining machine chooses.
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Where the new node reaches this machine, from outside.
    #[arg(long, value_name = "HOST[:PORT]")]
    pub address: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    pub json: bool,
}

/// Options of `tinmesh status`.
#[derive(Args, Clone, Debug, Default)]
pub struct StatusOptions {
    /// Print JSON (docs/guide.md says which) instead of text.
    #[arg(long)]
    pub json: bool,
    /// Show it again every second, with rates, until interrupted.
    #[arg(short, long)]
    pub watch: bool,
}

/// Options of `tinmesh dump`.
#[derive(Args, Clone, Debug, Default)]
pub struct DumpOptions {
    /// What to list, with `reachable` in front of `nodes` if only those are wanted.
    #[arg(value_name = "WHAT", required = true)]
    pub what: Vec<String>,
    /// Print a JSON array instead of text.
    #[arg(long)]
    pub json: bool,
}

impl Network {
    /// The same, as `tinc` would have been called with it.
    pub fn tinc_options(&self, command: Vec<String>) -> TincOptions {
        TincOptions {
            config: self.config.clone(),
            net: self.net.clone(),
            pid_file: self.pidfile.clone(),
            command,
            ..TincOptions::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn read(text: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(text.split_ascii_whitespace())
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn nothing_but_the_name_is_a_call() {
        assert!(read("tinmesh").unwrap().command.is_none());
    }

    #[test]
    fn the_network_may_stand_before_or_after_the_command() {
        for text in ["tinmesh -n vpn status --json", "tinmesh status --net vpn --json"] {
            let cli = read(text).unwrap();
            assert_eq!(cli.network.net.as_deref(), Some("vpn"));
            assert!(matches!(cli.command, Some(Command::Status(StatusOptions { json: true, watch: false }))));
        }
    }

    #[test]
    fn other_words_are_commands_of_tinc() {
        let Some(Command::Tinc(words)) = read("tinmesh -n vpn info bob").unwrap().command else {
            panic!("tinc's command");
        };
        assert_eq!(words, ["info", "bob"]);
    }

    #[test]
    fn misuse_is_told_from_failure_by_its_exit_code() {
        assert_eq!(read("tinmesh join").unwrap_err().exit_code(), 2);
        assert_eq!(read("tinmesh up --json --foreground").unwrap_err().exit_code(), 2);
    }
}
