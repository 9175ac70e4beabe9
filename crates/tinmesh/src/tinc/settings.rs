//! `get`, `set`, `add`, `del` and their hidden synonym `config` (spec: cli B.2).

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use tinmesh_core::name::NodeName;

use super::{cannot_open, print, reload, tell};
use crate::config::edit::{self, Edit};
use crate::config::kind::{self, Kind, SubnetFault};
use crate::config::syntax;
use crate::config::variables::Variable;
use crate::control::client::Client;
use crate::files;
use crate::tinc_daemon::Tool;

/// Longest command, in bytes.
const MAX_LEN: usize = 4095;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Get,
    Set,
    Add,
    Del,
}

impl Action {
    fn parse(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "get" => Self::Get,
            "set" | "replace" | "change" => Self::Set,
            "add" => Self::Add,
            "del" => Self::Del,
            _ => return None,
        })
    }

    const fn writes(self) -> bool {
        match self {
            Self::Set | Self::Add => true,
            Self::Get | Self::Del => false,
        }
    }
}

/// What was asked for.
#[derive(Debug)]
struct Wish {
    action: Action,
    node: Option<String>,
    variable: String,
    value: Option<String>,
}

impl Wish {
    fn parse(command: &str, arguments: &[String]) -> Result<Self> {
        let (action, words) = match (command, arguments) {
            ("config", [first, rest @ ..]) => match Action::parse(first) {
                Some(action) => (action, rest),
                None => (Action::Get, arguments),
            },
            _ => (Action::parse(command).unwrap_or(Action::Get), arguments),
        };
        if words.is_empty() {
            bail!("Invalid number of arguments.");
        }
        let line: String = words.join(" ").chars().filter(|c| *c != '\n' && *c != '\r').collect();
        let line = line.get(..MAX_LEN).unwrap_or(&line);
        let (word, value) = syntax::split(line);
        let (node, variable) = word.split_once('.').map_or((None, word), |(node, name)| (Some(node), name));
        let value = Some(value).filter(|value| !value.is_empty()).map(str::to_owned);
        if variable.is_empty() {
            bail!("No variable given.");
        }
        // tinc does so, and scripts may rely on it.
        let action = if action == Action::Get && value.is_some() { Action::Set } else { action };
        if action.writes() && value.is_none() {
            bail!("No value for variable given.");
        }
        Ok(Self { action, node: node.map(str::to_owned), variable: variable.to_owned(), value })
    }

    /// Refuses or complains about what makes no sense.
    fn check(&self, known: Option<&Variable>, force: bool) -> Result<()> {
        let value = self.value.as_deref().unwrap_or_default();
        if known.is_some_and(|known| known.name == "Subnet") && self.value.is_some() {
            match kind::subnet(value) {
                Err(SubnetFault::Malformed) => bail!("Malformed subnet definition {value}"),
                Err(SubnetFault::HostBits) => bail!("Network address and prefix length do not match: {value}"),
                Ok(_) => {}
            }
        }
        if let (Some(known), true) = (known, self.action.writes()) {
            let name = known.name;
            if known.class.obsolete {
                objection(force, &format!("{name} is an obsolete variable!"))?;
            }
            if self.node.is_some() && !known.class.host {
                objection(force, &format!("{name} is not a host configuration variable!"))?;
            }
            if known.kind != Kind::Text && known.kind.canonical(value).is_none() {
                tell(format!("Warning: {value} is not a valid value for {name}!"));
            }
        }
        if self.node.as_deref().is_some_and(|node| NodeName::parse(node).is_err()) {
            bail!("Invalid name for node.");
        }
        if known.is_none() {
            self.complain_of_unknown(force)?;
        }
        Ok(())
    }

    fn complain_of_unknown(&self, force: bool) -> Result<()> {
        let name = &self.variable;
        let hint = Variable::like(name).map(|like| format!("\nDid you mean {}?", like.name)).unwrap_or_default();
        if self.action.writes() && !force {
            bail!("{name}: is not a known configuration variable! Use --force to use it anyway.{hint}");
        }
        tell(format!("Warning: {name} is not a known configuration variable!{hint}"));
        Ok(())
    }

    fn file(&self, known: Option<&Variable>, tool: &Tool<'_>) -> Result<PathBuf> {
        if let Some(node) = &self.node {
            return Ok(tool.paths.hosts().join(node));
        }
        if known.is_none_or(|known| known.class.server) {
            return Ok(tool.paths.tinc_conf());
        }
        Ok(tool.paths.host_file(&super::own_name(tool.paths)?))
    }
}

/// A refusal, or a warning if the operator insists.
fn objection(force: bool, text: &str) -> Result<()> {
    if !force {
        bail!("{text} Use --force to use it anyway.");
    }
    tell(format!("Warning: {text}"));
    Ok(())
}

pub(super) fn run(tool: &Tool<'_>, command: &str, arguments: &[String], out: &mut dyn Write) -> Result<()> {
    let wish = Wish::parse(command, arguments)?;
    if wish.action == Action::Get && wish.node.is_none() && wish.variable.eq_ignore_ascii_case("Port") {
        // The port in use may be another than the configured one, which may be 0.
        if let Ok(client) = Client::connect(tool.paths) {
            return print(out, format_args!("{}\n", client.port));
        }
        tell("Could not get port from the pidfile.");
    }
    let known = Variable::find(&wish.variable);
    wish.check(known, tool.options.force)?;
    let path = wish.file(known, tool)?;
    // Two changes at the same time must not undo each other.
    let alone = if wish.action == Action::Get { None } else { files::lock_directory_of(&path).ok() };
    let text = files::read(&path).map_err(|cause| cannot_open(&path, &cause))?;
    if wish.action == Action::Get {
        let values = edit::values(&text, &wish.variable);
        if values.is_empty() {
            bail!("No matching configuration variables found.");
        }
        return values.iter().try_for_each(|value| print(out, format_args!("{value}\n")));
    }
    change(&wish, known, &text, &path)?;
    drop(alone);
    if reload(tool.paths).is_err() {
        tell("Warning: the daemon could not read its configuration anew.");
    }
    Ok(())
}

fn change(wish: &Wish, known: Option<&Variable>, text: &[u8], path: &std::path::Path) -> Result<()> {
    if let (true, Some(line)) = (wish.action.writes(), syntax::unclosed_block(text)) {
        let path = path.display();
        bail!(
            "The block that begins on line {line} of {path} has no end, and a setting behind it would not count. Add its \
             line -----END ...-----, or remove it."
        );
    }
    let value = wish.value.as_deref();
    let edit = match wish.action {
        Action::Get | Action::Del => Edit::Del(value),
        Action::Set => Edit::Set(value.unwrap_or_default()),
        Action::Add => Edit::Add(value.unwrap_or_default()),
    };
    let edited = edit::apply(text, &wish.variable, edit);
    if wish.action == Action::Del && edited.removed.is_empty() {
        bail!("No configuration variables deleted.");
    }
    let is_loss = wish.action == Action::Add || known.is_some_and(|known| known.class.multiple);
    if wish.action != Action::Del && is_loss {
        let name = known.map_or(wish.variable.as_str(), |known| known.name);
        edited.removed.iter().for_each(|old| tell(format!("Warning: removing {name} = {old}")));
    }
    if edited.changed {
        files::replace(path, ".config.tmp", &edited.text, 0o644).map_err(|cause| cannot_open(path, &cause))?;
    }
    Ok(())
}
