//! What the program is called decides what it does.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::tincd::{self, DaemonCall, LogTarget};
use crate::config::Override;
use crate::daemon::log::Target;
use crate::daemon::{self, DaemonOptions};
use crate::paths::{PathOptions, Paths};
use crate::tinc;
use crate::user;

/// Runs as the program that `program` names.
pub fn run(program: &str, words: &[String]) -> ExitCode {
    match Path::new(program).file_name().and_then(|name| name.to_str()) {
        Some("tincd") => run_daemon(program, words),
        Some("tinc") => ExitCode::from(tinc::main(program, words)),
        _ => {
            let all = std::iter::once(program.to_owned()).chain(words.iter().cloned()).map(Into::into).collect();
            ExitCode::from(user::run(all))
        }
    }
}

fn fail(message: &str) -> ExitCode {
    eprintln!("{}", message.trim_end());
    ExitCode::FAILURE
}

fn show(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Behaves as `tincd`.
pub fn run_daemon(program: &str, words: &[String]) -> ExitCode {
    let options = match tincd::parse(program, words) {
        Ok(DaemonCall::Run(options)) => *options,
        Ok(DaemonCall::Help) => return show(&tincd::usage(program)),
        Ok(DaemonCall::Version) => return show(&tinc::version()),
        Err(message) => return fail(&message),
    };
    match start_daemon(options) {
        Ok(code) => code,
        Err(cause) => fail(&format!("{cause:#}")),
    }
}

fn start_daemon(options: tincd::DaemonOptions) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        !options.bypass_security,
        "--bypass-security is refused: tinmesh always authenticates and encrypts. `tinc log 4` shows what is said on \
         meta connections"
    );
    let (logfile, log) = match options.log {
        LogTarget::Automatic => (None, None),
        LogTarget::Syslog => (None, Some(Target::Syslog)),
        LogTarget::DefaultFile => (None, Some(Target::File("".into()))),
        LogTarget::File(file) => (Some(file), Some(Target::File("".into()))),
    };
    let path_options = PathOptions { config: options.config, net: options.net, pidfile: options.pid_file, logfile };
    let mut paths = Paths::for_daemon(&path_options)?;
    // What is about the command line is for whoever typed it, not for the log.
    paths.notices.extract_if(.., |notice| notice.starts_with("Warning: ")).for_each(|notice| eprintln!("{notice}"));
    let log = log.map(|target| if target == Target::Syslog { target } else { Target::File(paths.log_file.clone()) });
    let overrides =
        (1..).zip(&options.settings).map(|(number, text)| Override::parse(text, number)).collect::<Result<_, _>>()?;
    let options = DaemonOptions {
        foreground: options.no_detach,
        debug: options.debug,
        lock_memory: options.mlock,
        log,
        chroot: options.chroot,
        user: options.user,
        overrides,
    };
    daemon::run(&paths, &options)
}
