//! `join [URL]` (spec: cli B.11, invitations 4, 5).

use std::fs;

use anyhow::{Context as _, Result, anyhow, bail};
use tinmesh_core::invite::InviteError;
use tinmesh_core::invite::url::InviteUrl;

use super::{ask, ask_unless_end, edit, is_interactive, tell};
use crate::files;
use crate::files::join::{self, Form, Joined, Received};
use crate::files::script;
use crate::paths::{Netname, Paths};
use crate::tinc_daemon::Tool;
use crate::user::exchange::{Exchange, ExchangeError, Progress};

const CANCELLED: &str =
    "Invitation cancelled. Please try again and contact the inviter for assistance if this error persists.";

pub(super) fn run(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    let text = match arguments {
        [url] => url.clone(),
        [] => ask_unless_end(if is_interactive(tool) { "Enter invitation URL: " } else { "" })?
            .context("Error while reading stdin: Broken pipe")?,
        [_, _, ..] => bail!("Too many arguments!"),
    };
    let paths = tool.paths;
    let chosen = paths.explicit || paths.netname.is_some();
    if chosen && paths.tinc_conf().exists() {
        bail!("Configuration file {} already exists!", paths.tinc_conf().display());
    }
    let url = InviteUrl::parse(&text).map_err(|_| anyhow!("Invalid invitation URL."))?;
    let joined = become_member(tool, &url)?;
    joined.notes.iter().for_each(tell);
    offer_script(tool, &joined)?;
    let joined = if joined.netname_is_random { choose_netname(tool, joined)? } else { joined };
    tell(format!("Configuration stored in: {}", joined.paths.confbase.display()));
    tell("Invitation successfully accepted.");
    Ok(())
}

fn become_member(tool: &Tool<'_>, url: &InviteUrl) -> Result<Joined> {
    let (mut exchange, invitation) = Exchange::open(url, &mut tell_progress).map_err(explain)?;
    let received = Received { text: &invitation.file, name: None, form: Form::Script, force: tool.options.force };
    let prepared = join::prepare(tool.paths, &received, &mut files::rng()?)?;
    exchange.send_key(prepared.public_key()).map_err(explain)?;
    Ok(prepared.commit()?)
}

fn tell_progress(progress: Progress<'_>) {
    match progress {
        Progress::Connected(to) => tell(format!("Connected to {} port {}...", to.ip(), to.port())),
        Progress::Failed { to, reason } => {
            tell(format!("Could not connect to {} port {}: {reason}", to.ip(), to.port()))
        }
        Progress::Resolving(_) | Progress::Connecting(_) => {}
    }
}

fn explain(error: ExchangeError) -> anyhow::Error {
    match error {
        ExchangeError::Protocol(InviteError::WrongInviter) => {
            anyhow!("Peer has an invalid key. Please make sure you're using the correct URL.")
        }
        ExchangeError::NoConnection | ExchangeError::Resolve { .. } => error.into(),
        ExchangeError::Closed
        | ExchangeError::Silent
        | ExchangeError::Refused
        | ExchangeError::Protocol(_)
        | ExchangeError::Io(_) => anyhow!("{error}\n{CANCELLED}"),
    }
}

/// A script of the inviter runs only if somebody here says so.
fn offer_script(tool: &Tool<'_>, joined: &Joined) -> Result<()> {
    if !joined.has_script {
        return Ok(());
    }
    let paths = &joined.paths;
    let wanted = if is_interactive(tool) { review(paths)? } else { tool.options.force };
    if wanted {
        script::enable(paths)?;
        tell("tinc-up enabled.");
    } else if is_interactive(tool) {
        tell("tinc-up has been left disabled.");
    } else {
        tell("A tinc-up script was generated, but has been left disabled.");
    }
    Ok(())
}

/// The netname of the invitation is in use here: somebody may know a better one than that which was made up.
fn choose_netname(tool: &Tool<'_>, joined: Joined) -> Result<Joined> {
    tell("The netname of the invitation is in use here; another one was made up.");
    while is_interactive(tool) {
        let answer = ask("Enter a new netname: ")?;
        if answer.is_empty() {
            break;
        }
        let paths = joined.paths.with_netname(&answer);
        if Netname::judge(&answer) != Netname::Safe {
            tell("Invalid character in netname!");
        } else if paths.confbase.exists() {
            tell(format_args!("{} already exists!", paths.confbase.display()));
        } else {
            fs::rename(&joined.paths.confbase, &paths.confbase)
                .with_context(|| format!("Could not rename the directory to {}", paths.confbase.display()))?;
            return Ok(Joined { paths, ..joined });
        }
    }
    Ok(joined)
}

fn review(paths: &Paths) -> Result<bool> {
    let path = script::waiting(paths);
    tell("Please review the following tinc-up script:\n");
    tell(String::from_utf8_lossy(&files::read(&path)?));
    loop {
        match ask("Do you want to use this script [y]es/[n]o/[e]dit? ")?.to_ascii_lowercase().as_str() {
            "y" | "yes" => return Ok(true),
            "n" | "no" | "" => return Ok(false),
            "e" | "edit" => return Ok(edit::edit(&path)?.success()),
            _ => {}
        }
    }
}
