//! `fsck`: looks for mistakes in the files of an instance, and mends what can be mended (spec: cli B.13).

mod keys;
mod report;
mod scripts;
mod variables;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use rustix::process::geteuid;
use tinmesh_core::name::NodeName;

use self::report::{Finding, Report};
use super::{Told, ask, is_interactive, own_name};
use crate::cli::tinc::TincOptions;
use crate::config::edit;
use crate::config::syntax::{self, Setting};
use crate::files;
use crate::tinc_daemon::Tool;

/// A check that is under way.
struct Check<'a> {
    tool: &'a Tool<'a>,
    name: NodeName,
    report: &'a mut Report,
    /// Whether something keeps the node from working.
    failed: bool,
}

pub(super) fn run(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    if !arguments.is_empty() {
        bail!("Too many arguments!");
    }
    examine(tool, &mut Report::Told)
}

/// The same for programs, without questions: what was found, and whether the node can work.
pub fn findings(tool: &Tool<'_>) -> (Vec<Finding>, Result<()>) {
    let options = TincOptions { batch: true, ..tool.options.clone() };
    let mut report = Report::Kept(Vec::new());
    let outcome = examine(&Tool { options: &options, ..*tool }, &mut report);
    match report {
        Report::Kept(findings) => (findings, outcome),
        Report::Told => (Vec::new(), outcome),
    }
}

fn examine(tool: &Tool<'_>, report: &mut Report) -> Result<()> {
    require_configuration(tool, report)?;
    let Some(name) = name(tool, report) else {
        report.error("tinc cannot run without a valid Name.");
        bail!(Told);
    };
    let mut check = Check { tool, name, report, failed: false };
    if let Some(own) = check.own_settings() {
        keys::check(&mut check, &own);
    }
    scripts::check(&mut check);
    variables::check(&mut check);
    if check.failed { bail!(Told) } else { Ok(()) }
}

/// Without a main file there is nothing to check, but something to say.
fn require_configuration(tool: &Tool<'_>, report: &mut Report) -> Result<()> {
    let path = tool.paths.tinc_conf();
    let Err(cause) = File::open(&path) else { return Ok(()) };
    report.error(format_args!("cannot read {}: {}", path.display(), files::reason(&cause)));
    if cause.kind() == io::ErrorKind::NotFound {
        report.note(format_args!("No tinc configuration found. Create a new one with:\n\n{}", command(tool, "init")));
    } else if cause.kind() == io::ErrorKind::PermissionDenied && geteuid().is_root() {
        report.note(format_args!("Check the permissions of each component of the path {}.", path.display()));
    } else if cause.kind() == io::ErrorKind::PermissionDenied {
        report.note("You are currently not running tinc as root. Use sudo?");
    }
    bail!(Told)
}

/// This node's name. A mistake elsewhere in the files is not its fault.
fn name(tool: &Tool<'_>, report: &mut Report) -> Option<NodeName> {
    let path = tool.paths.tinc_conf();
    let text = files::read(&path).ok()?;
    let written = edit::values(&text, "Name");
    let name = match written.first() {
        Some(name) if !name.starts_with('$') => {
            NodeName::parse(name).map_err(|_| "Invalid name for myself!".to_owned())
        }
        Some(_) => own_name(tool.paths).map_err(|error| format!("{error:#}")),
        None => own_name(tool.paths).map_err(|_| format!("Could not find Name in {}.", path.display())),
    };
    name.map_err(|problem| report.note(problem)).ok()
}

impl Check<'_> {
    /// The settings of this node, in order of files; nothing if one of the files has a mistake.
    fn own_settings(&mut self) -> Option<Vec<Setting>> {
        let files = self.server_files().into_iter().chain([self.tool.paths.host_file(&self.name)]);
        let read: Vec<_> = files.map(|path| self.parse(&path)).collect();
        let whole: Option<Vec<_>> = read.into_iter().collect();
        self.failed |= whole.is_none();
        whole.map(|settings| settings.into_iter().flatten().collect())
    }

    /// The main file and those of `conf.d`.
    fn server_files(&mut self) -> Vec<PathBuf> {
        let mut files = vec![self.tool.paths.tinc_conf()];
        let directory = self.tool.paths.conf_d();
        if directory.exists() {
            let further = self.entries(&directory).into_iter();
            files.extend(further.filter(|path| path.extension().is_some_and(|extension| extension == "conf")));
        }
        files
    }

    /// Everything in a directory, in order.
    fn entries(&mut self, directory: &Path) -> Vec<PathBuf> {
        let entries = fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let mut paths: Vec<_> = match entries {
            Ok(entries) => entries.into_iter().map(|entry| entry.path()).collect(),
            Err(cause) => {
                self.report.note(format_args!(
                    "Could not read directory {}: {}",
                    directory.display(),
                    files::reason(&cause)
                ));
                self.failed = true;
                Vec::new()
            }
        };
        paths.sort();
        paths
    }

    /// Reads another node's host file, or tells what is wrong with it; the daemon can run without it.
    fn parse_of_other(&mut self, path: &Path) -> Option<Vec<Setting>> {
        if let Err(cause) = files::read(path) {
            self.report.error(format_args!("cannot read {}: {}", path.display(), files::reason(&cause)));
            return None;
        }
        self.parse(path)
    }

    /// Reads a file, or tells what is wrong with it. A file that cannot be read at all has no settings.
    fn parse(&mut self, path: &Path) -> Option<Vec<Setting>> {
        let Ok(text) = files::read(path) else { return Some(Vec::new()) };
        let parsed = syntax::parse(&text, path);
        if let Err(mistake) = &parsed {
            self.report.error(mistake);
        }
        if let Some(line) = syntax::unclosed_block(&text) {
            let path = path.display();
            self.report.error(format_args!(
                "the block that begins on line {line} of {path} has no end: what follows is ignored."
            ));
            return None;
        }
        parsed.ok()
    }

    /// Whether to mend what was told last.
    fn may_fix(&self) -> bool {
        if self.tool.options.force || !is_interactive(self.tool) {
            return self.tool.options.force;
        }
        loop {
            match ask("Fix y/n? ").unwrap_or_default().to_ascii_lowercase().as_str() {
                "y" | "yes" => return true,
                "n" | "no" | "" => return false,
                _ => {}
            }
        }
    }
}

/// A command line for this instance.
fn command(tool: &Tool<'_>, command: &str) -> String {
    let program = tool.program;
    match (&tool.paths.netname, tool.paths.explicit) {
        (_, true) => format!("{program} -c {} {command}", tool.paths.confbase.display()),
        (Some(netname), false) => format!("{program} -n {netname} {command}"),
        (None, false) => format!("{program} {command}"),
    }
}
