//! Options of the control tool, `tinc` (spec: cli A.1).

use std::path::PathBuf;

use crate::paths::PathOptions;

use super::getopt::{self, Argument, OptionSpec, Order};

/// What `tinc` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TincCall {
    /// Carry out the command in [`TincOptions::command`]; without one, read commands from standard input.
    Run(TincOptions),
    /// Print [`usage`].
    Help,
    /// Print the version.
    Version,
}

/// What stood on the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TincOptions {
    /// Never ask (`-b`).
    pub batch: bool,
    /// Configuration directory (`-c`).
    pub config: Option<PathBuf>,
    /// Name of the network (`-n`).
    pub net: Option<String>,
    /// Pid file of the daemon (`--pidfile`).
    pub pid_file: Option<PathBuf>,
    /// Override refusals (`--force`).
    pub force: bool,
    /// The command and its arguments.
    pub command: Vec<String>,
}

impl TincOptions {
    /// Where files are, according to these options.
    pub fn path_options(&self) -> PathOptions {
        PathOptions {
            config: self.config.clone(),
            net: self.net.clone(),
            pidfile: self.pid_file.clone(),
            logfile: None,
        }
    }

    /// The options that the daemon shares, for starting it: all but `-b` and `--force`.
    pub fn daemon_words(&self) -> Vec<String> {
        let mut words = Vec::new();
        words.extend(self.config.as_ref().map(|dir| format!("--config={}", dir.display())));
        words.extend(self.net.as_ref().map(|net| format!("--net={net}")));
        words.extend(self.pid_file.as_ref().map(|file| format!("--pidfile={}", file.display())));
        words
    }
}

#[derive(Clone, Copy)]
enum Key {
    Batch,
    Config,
    Net,
    PidFile,
    Force,
    Help,
    Version,
}

const fn spec(key: Key, short: Option<char>, long: &'static str, argument: Argument) -> OptionSpec<Key> {
    OptionSpec { key, short, long, argument }
}

const SPECS: &[OptionSpec<Key>] = &[
    spec(Key::Batch, Some('b'), "batch", Argument::None),
    spec(Key::Config, Some('c'), "config", Argument::Required),
    spec(Key::Net, Some('n'), "net", Argument::Required),
    spec(Key::PidFile, None, "pidfile", Argument::Required),
    spec(Key::Force, None, "force", Argument::None),
    spec(Key::Help, None, "help", Argument::None),
    spec(Key::Version, None, "version", Argument::None),
];

/// Reads the words after the program's name. The error is the whole text for standard error, with lines ended.
///
/// # Errors
/// If an option is wrong, or the network's name cannot be one.
pub fn parse(program: &str, words: &[String]) -> Result<TincCall, String> {
    let parsed = getopt::parse(SPECS, words, Order::OptionsFirst)
        .map_err(|error| format!("{program}: {error}\n{}", try_line(program)))?;
    let mut options = TincOptions { command: parsed.rest, ..TincOptions::default() };
    let (mut help, mut version) = (false, false);
    for (key, argument) in parsed.options {
        match key {
            Key::Batch => options.batch = true,
            Key::Force => options.force = true,
            Key::Config => options.config = argument.map(PathBuf::from),
            Key::Net => options.net = argument,
            Key::PidFile => options.pid_file = argument.map(PathBuf::from),
            Key::Help => help = true,
            Key::Version => version = true,
        }
    }
    Ok(match (version, help) {
        (true, _) => TincCall::Version,
        (false, true) => TincCall::Help,
        (false, false) => TincCall::Run(options),
    })
}

/// The line that follows messages about options and unknown commands.
pub fn try_line(program: &str) -> String {
    format!("Try `{program} --help' for more information.\n")
}

/// The text of `--help`.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [options] command

Valid options are:
  -b, --batch                Don't ask for anything (non-interactive mode).
  -c, --config=DIR           Read configuration options from DIR.
  -n, --net=NETNAME          Connect to net NETNAME.
      --pidfile=FILENAME     Read control cookie from FILENAME.
      --force                Force some commands to work despite warnings.
      --help                 Display this help and exit.
      --version              Output version information and exit.

Valid commands are:
  init [name]                Create initial configuration files.
  get VARIABLE               Print current value of VARIABLE
  set VARIABLE VALUE         Set VARIABLE to VALUE
  add VARIABLE VALUE         Add VARIABLE with the given VALUE
  del VARIABLE [VALUE]       Remove VARIABLE [only ones with matching VALUE]
  start [tincd options]      Start tincd.
  stop                       Stop tincd.
  restart [tincd options]    Restart tincd.
  reload                     Partially reload configuration of running tincd.
  pid                        Show PID of currently running tincd.
  generate-keys [bits]       Generate new RSA and Ed25519 public/private key pairs.
  generate-rsa-keys [bits]   Generate a new RSA public/private key pair.
  generate-ed25519-keys      Generate a new Ed25519 public/private key pair.
  dump | list                Dump a list of one of the following things:
    [reachable] nodes        - all known nodes in the VPN
    edges                    - all known connections in the VPN
    subnets                  - all known subnets in the VPN
    connections              - all meta connections with ourself
    [di]graph                - graph of the VPN in dotty format
    invitations              - outstanding invitations
  info NODE|SUBNET|ADDRESS   Give information about a particular NODE, SUBNET or ADDRESS.
  purge                      Purge unreachable nodes
  debug N                    Set debug level
  retry                      Retry all outgoing connections
  disconnect NODE            Close meta connection with NODE
  top                        Show real-time statistics
  pcap [snaplen]             Dump traffic in pcap format [up to snaplen bytes per packet]
  log [level]                Dump log output [up to the specified level]
  export                     Export host configuration of local node to standard output
  export-all                 Export all host configuration files to standard output
  import                     Import host configuration file(s) from standard input
  exchange                   Same as export followed by import
  exchange-all               Same as export-all followed by import
  invite NODE                Generate an invitation for NODE
  join INVITATION            Join a VPN using an INVITATION
  network [NETNAME]          List all known networks, or switch to the one named NETNAME.
  edit FILE                  Edit tinc.conf, a script, or the host file or script of a node.
  fsck                       Check the configuration files for problems.
  sign [FILE]                Generate a signed version of a file.
  verify NODE [FILE]         Verify that a file was signed by the given NODE.
  help [VARIABLE]            Display this help, or tell what a variable is for.
  version                    Output version information.

Without a command, commands are read from standard input, one per line.
"
    )
}

/// The names of all commands, in the order of [`usage`]; not the hidden synonym `config`.
pub fn commands() -> impl Iterator<Item = &'static str> {
    COMMANDS.iter().copied()
}

/// Whether a word is a command, in lower case.
pub fn is_command(word: &str) -> bool {
    word == "config" || COMMANDS.contains(&word)
}

/// Commands of `tinc`.
const COMMANDS: [&str; 38] = [
    "init",
    "get",
    "set",
    "add",
    "del",
    "start",
    "stop",
    "restart",
    "reload",
    "pid",
    "generate-keys",
    "generate-rsa-keys",
    "generate-ed25519-keys",
    "dump",
    "list",
    "info",
    "purge",
    "debug",
    "retry",
    "connect",
    "disconnect",
    "top",
    "pcap",
    "log",
    "export",
    "export-all",
    "import",
    "exchange",
    "exchange-all",
    "invite",
    "join",
    "network",
    "edit",
    "fsck",
    "sign",
    "verify",
    "help",
    "version",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage::entries;
    use std::collections::HashMap;

    #[test]
    fn the_options_that_are_read_are_those_of_the_help() {
        let read = SPECS.iter().map(|spec| (spec.long.to_owned(), (spec.short, spec.argument)));
        let told = entries(&usage("tinc")).into_iter().filter_map(|entry| entry.option());
        let told = told.map(|option| (option.long, (option.short, option.argument)));
        assert_eq!(told.collect::<HashMap<_, _>>(), read.collect());
    }

    fn call(text: &str) -> Result<TincCall, String> {
        parse("tinc", &text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn every_command_is_in_the_help() {
        let told: Vec<String> = entries(&usage("tinc")).into_iter().map(|entry| entry.term).collect();
        // `connect` always fails.
        for command in commands().filter(|command| *command != "connect") {
            assert!(told.iter().any(|term| term.split([' ', '|']).any(|word| word == command)), "{command}");
        }
    }

    #[test]
    fn options_end_at_the_command() {
        let TincCall::Run(options) = call("-n vpn -b --force --pidfile=/tmp/pid start -D -c x").unwrap() else {
            panic!("a command was given");
        };

        assert!(options.batch && options.force);
        assert_eq!(options.command, ["start", "-D", "-c", "x"]);
        assert_eq!(options.daemon_words(), ["--net=vpn", "--pidfile=/tmp/pid"]);
    }

    #[test]
    fn help_and_version_belong_to_the_tool_only_in_front_of_the_command() {
        assert_eq!(call("--help").unwrap(), TincCall::Help);
        assert_eq!(call("--help --version dump").unwrap(), TincCall::Version);
        assert!(matches!(call("dump --help").unwrap(), TincCall::Run(_)));
    }

    #[test]
    fn a_wrong_option_is_named() {
        let expected = "tinc: unrecognized option '--foo'\nTry `tinc --help' for more information.\n";
        assert_eq!(call("--foo").unwrap_err(), expected);
    }
}
