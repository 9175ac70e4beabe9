//! Options of the daemon, `tincd` (spec: configuration 6).

use std::path::PathBuf;

use super::getopt::{self, Argument, OptionSpec, Order};

/// What `tincd` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DaemonCall {
    /// Be the daemon.
    Run(Box<DaemonOptions>),
    /// Print [`usage`].
    Help,
    /// Print the version.
    Version,
}

/// How to be the daemon.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DaemonOptions {
    /// Configuration directory (`-c`).
    pub config: Option<PathBuf>,
    /// Name of the network (`-n`).
    pub net: Option<String>,
    /// Stay in the foreground (`-D`).
    pub no_detach: bool,
    /// Debug level (`-d`); `None`: as configured.
    pub debug: Option<i32>,
    /// Keep all memory out of swap (`-L`).
    pub mlock: bool,
    /// Where messages go.
    pub log: LogTarget,
    /// Pid file (`--pidfile`), from which the socket follows.
    pub pid_file: Option<PathBuf>,
    /// Neither authentication nor encryption (`--bypass-security`).
    pub bypass_security: bool,
    /// Extra settings (`-o`), each as a line of configuration.
    pub settings: Vec<String>,
    /// Make the configuration directory the root (`-R`).
    pub chroot: bool,
    /// Become this user (`-U`).
    pub user: Option<String>,
}

/// Where the daemon's messages go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// To standard error in the foreground, else to the system's log.
    #[default]
    Automatic,
    /// To the system's log (`-s`).
    Syslog,
    /// To the usual file (`--logfile`).
    DefaultFile,
    /// To this file (`--logfile=FILE`).
    File(PathBuf),
}

#[derive(Clone, Copy)]
enum Key {
    Config,
    Net,
    NoDetach,
    Debug,
    Mlock,
    LogFile,
    Syslog,
    PidFile,
    BypassSecurity,
    Setting,
    Chroot,
    User,
    Help,
    Version,
}

const fn spec(key: Key, short: Option<char>, long: &'static str, argument: Argument) -> OptionSpec<Key> {
    OptionSpec { key, short, long, argument }
}

const SPECS: &[OptionSpec<Key>] = &[
    spec(Key::Config, Some('c'), "config", Argument::Required),
    spec(Key::Net, Some('n'), "net", Argument::Required),
    spec(Key::NoDetach, Some('D'), "no-detach", Argument::None),
    spec(Key::Debug, Some('d'), "debug", Argument::Optional),
    spec(Key::Mlock, Some('L'), "mlock", Argument::None),
    spec(Key::LogFile, None, "logfile", Argument::Optional),
    spec(Key::Syslog, Some('s'), "syslog", Argument::None),
    spec(Key::PidFile, None, "pidfile", Argument::Required),
    spec(Key::BypassSecurity, None, "bypass-security", Argument::None),
    spec(Key::Setting, Some('o'), "option", Argument::Required),
    spec(Key::Chroot, Some('R'), "chroot", Argument::None),
    spec(Key::User, Some('U'), "user", Argument::Required),
    spec(Key::Help, None, "help", Argument::None),
    spec(Key::Version, None, "version", Argument::None),
];

/// Reads the words after the program's name. The error is the whole text for standard error, with lines ended.
///
/// # Errors
/// If an option is wrong, or there is a word that is none.
pub fn parse(program: &str, words: &[String]) -> Result<DaemonCall, String> {
    let try_line = format!("Try `{program} --help' for more information.\n");
    let parsed =
        getopt::parse(SPECS, words, Order::Mixed).map_err(|error| format!("{program}: {error}\n{try_line}"))?;
    if let Some(word) = parsed.rest.first() {
        return Err(format!("{program}: unrecognized argument '{word}'\n{try_line}"));
    }
    let mut options = DaemonOptions::default();
    let (mut help, mut version) = (false, false);
    for (key, argument) in parsed.options {
        match key {
            Key::Help => help = true,
            Key::Version => version = true,
            Key::Debug => options.debug = Some(debug_level(options.debug, argument.as_deref())),
            Key::Setting => options.settings.extend(argument),
            Key::LogFile => {
                options.log = argument.map_or(LogTarget::DefaultFile, |file| LogTarget::File(file.into()));
            }
            Key::Syslog => options.log = LogTarget::Syslog,
            Key::NoDetach => options.no_detach = true,
            Key::Mlock => options.mlock = true,
            Key::BypassSecurity => options.bypass_security = true,
            Key::Chroot => options.chroot = true,
            Key::Config => options.config = argument.map(PathBuf::from),
            Key::Net => options.net = argument,
            Key::PidFile => options.pid_file = argument.map(PathBuf::from),
            Key::User => options.user = argument,
        }
    }
    Ok(match (version, help) {
        (true, _) => DaemonCall::Version,
        (false, true) => DaemonCall::Help,
        (false, false) => DaemonCall::Run(Box::new(options)),
    })
}

fn debug_level(before: Option<i32>, argument: Option<&str>) -> i32 {
    argument.map_or_else(|| before.unwrap_or(0).saturating_add(1), lenient_number)
}

/// A number as C's `atoi` reads it: leading digits, 0 without any.
pub fn lenient_number(text: &str) -> i32 {
    let text = text.trim_start();
    let sign = usize::from(text.starts_with(['-', '+']));
    let digits = text.bytes().skip(sign).take_while(u8::is_ascii_digit).count();
    text.get(..sign + digits).and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// The text of `--help`.
pub fn usage(program: &str) -> String {
    format!(
        "Usage: {program} [option]...

  -c, --config=DIR              Read configuration options from DIR.
  -D, --no-detach               Don't fork and detach.
  -d, --debug[=LEVEL]           Increase debug level or set it to LEVEL.
  -n, --net=NETNAME             Connect to net NETNAME.
  -L, --mlock                   Lock all memory, so that nothing is swapped out.
      --logfile[=FILENAME]      Write log entries to a logfile.
  -s, --syslog                  Use syslog instead of stderr with --no-detach.
      --pidfile=FILENAME        Write PID and control socket cookie to FILENAME.
      --bypass-security         Disables meta protocol security, for debugging.
  -o, --option=[HOST.]KEY=VALUE Set a configuration option.
  -R, --chroot                  chroot to the configuration directory at startup.
  -U, --user=USER               Become USER at startup.
      --help                    Display this help and exit.
      --version                 Output version information and exit.
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::usage::entries;
    use std::collections::HashMap;

    #[test]
    fn the_options_that_are_read_are_those_of_the_help() {
        let read = SPECS.iter().map(|spec| (spec.long.to_owned(), (spec.short, spec.argument)));
        let told = entries(&usage("tincd")).into_iter().filter_map(|entry| entry.option());
        let told = told.map(|option| (option.long, (option.short, option.argument)));
        assert_eq!(told.collect::<HashMap<_, _>>(), read.collect());
    }

    fn call(text: &str) -> Result<DaemonCall, String> {
        parse("tincd", &text.split_ascii_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn options(text: &str) -> DaemonOptions {
        match call(text).unwrap() {
            DaemonCall::Run(options) => *options,
            DaemonCall::Help | DaemonCall::Version => panic!("{text}"),
        }
    }

    #[test]
    fn everything_can_be_set() {
        let text = "-c /etc/x -n vpn -D -d5 -L --logfile=/tmp/log --pidfile /tmp/pid --bypass-security -o Port=1 \
                    --option=bob.Weight=3 -R -U nobody";
        let expected = DaemonOptions {
            config: Some("/etc/x".into()),
            net: Some("vpn".to_owned()),
            no_detach: true,
            debug: Some(5),
            mlock: true,
            log: LogTarget::File("/tmp/log".into()),
            pid_file: Some("/tmp/pid".into()),
            bypass_security: true,
            settings: vec!["Port=1".to_owned(), "bob.Weight=3".to_owned()],
            chroot: true,
            user: Some("nobody".to_owned()),
        };
        assert_eq!(options(text), expected);
    }

    #[test]
    fn debug_counts_up_or_is_set() {
        let levels = ["", "-d", "-d -d", "-dd", "-d3 -d", "-d 5", "--debug 5", "--debug=7", "-d=", "--debug=-1"];
        let expected = [None, Some(1), Some(2), Some(0), Some(4), Some(5), Some(5), Some(7), Some(0), Some(-1)];
        assert_eq!(levels.map(|text| options(text).debug), expected);
    }

    #[test]
    fn the_last_of_logfile_and_syslog_wins() {
        assert_eq!(options("--logfile -s").log, LogTarget::Syslog);
        assert_eq!(options("-s --logfile").log, LogTarget::DefaultFile);
        assert_eq!(options("--logfile FILE -D").log, LogTarget::File("FILE".into()));
    }

    #[test]
    fn version_wins_over_help_and_errors_over_both() {
        assert_eq!(call("--help --version").unwrap(), DaemonCall::Version);
        assert_eq!(call("--he -D").unwrap(), DaemonCall::Help);
        assert!(call("--help -x").is_err());
    }

    #[test]
    fn errors_are_those_of_tincd() {
        let try_line = "Try `tincd --help' for more information.\n";
        assert_eq!(call("foo -D").unwrap_err(), format!("tincd: unrecognized argument 'foo'\n{try_line}"));
        assert_eq!(call("-x").unwrap_err(), format!("tincd: invalid option -- 'x'\n{try_line}"));
    }

    #[test]
    fn numbers_are_read_leniently() {
        assert_eq!(["12", "3x", "x", "", "-4", "99999999999"].map(lenient_number), [12, 3, 0, 0, -4, 0]);
    }
}
