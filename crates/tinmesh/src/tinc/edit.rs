//! `edit FILE`: a file of the configuration in the user's editor (spec: cli B.8).

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use anyhow::{Context as _, Result, bail};
use tinmesh_core::name::NodeName;

use super::{reload, tell};
use crate::paths::Paths;
use crate::tinc_daemon::Tool;

/// Files beside the directory `hosts`.
const MAIN: [&str; 7] = ["tinc.conf", "tinc-up", "tinc-down", "subnet-up", "subnet-down", "host-up", "host-down"];

pub(super) fn run(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    let [name] = arguments else { bail!("Invalid number of arguments.") };
    let path = file(tool.paths, name).context("Invalid configuration filename.")?;
    let status = edit(&path)?;
    if !status.success() {
        bail!("The editor failed ({status}): the daemon was not told to reload.");
    }
    if reload(tool.paths).is_err() {
        tell("Warning: the daemon could not read its configuration anew.");
    }
    Ok(())
}

/// The file that a name means: one of the main files, or one of a node.
fn file(paths: &Paths, name: &str) -> Option<PathBuf> {
    if MAIN.contains(&name) {
        return Some(paths.confbase.join(name));
    }
    let name = name.strip_prefix("hosts/").unwrap_or(name);
    let node = match name.split_once('-') {
        None => name,
        Some((node, "up" | "down")) => node,
        Some(_) => return None,
    };
    NodeName::parse(node).is_ok().then(|| paths.hosts().join(name))
}

/// Lets the user edit a file, with the editor of the environment.
pub(super) fn edit(path: &Path) -> Result<ExitStatus> {
    let wanted = ["VISUAL", "EDITOR"].iter().filter_map(std::env::var_os).find(|editor| !editor.is_empty());
    let editor = wanted.unwrap_or_else(|| "vi".into());
    let mut command = match Path::new(&editor).exists() {
        true => Command::new(&editor),
        // An editor may come with options.
        false => {
            let mut shell = Command::new("/bin/sh");
            shell.arg("-c").arg(format!("exec {} \"$1\"", editor.to_string_lossy())).arg("sh");
            shell
        }
    };
    command.arg(path).status().with_context(|| format!("Could not run the editor {}", editor.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::PathOptions;

    #[test]
    fn names_lead_to_files_of_the_configuration_and_nowhere_else() {
        let paths = Paths::for_control(&PathOptions { config: Some("/x".into()), ..PathOptions::default() }).unwrap();
        let file = |name| file(&paths, name);
        assert_eq!(file("tinc.conf"), Some("/x/tinc.conf".into()));
        assert_eq!(file("host-up"), Some("/x/host-up".into()));
        for (name, path) in [("bob", "bob"), ("hosts/bob", "bob"), ("bob-up", "bob-up"), ("hosts/bob-down", "bob-down")]
        {
            assert_eq!(file(name), Some(format!("/x/hosts/{path}").into()), "{name}");
        }
        for name in ["bob-x", "a-b-up", "../x", "hosts/../x", "", "hosts/", "hosts/tinc.conf", "../x-up", "-up"] {
            assert_eq!(file(name), None, "{name:?}");
        }
    }
}
