//! The daemon's life: start, stop, and the requests that have a number for an answer (spec: cli B.6).

use std::io::Write;

use anyhow::{Context as _, Result, bail};
use tinmesh_core::name::NodeName;
use tinmesh_os::process;
use tinmesh_os::signals::Signal;

use super::launch::Launch;
use super::{ClientError, Tool, print_line};
use crate::cli::tincd::lenient_number;
use crate::control::client::{Client, ConnectError, is_daemon};
use crate::control::request::ControlRequest;

/// Starts the daemon unless it runs.
pub(super) fn start(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    if let Ok(client) = Client::connect(tool.paths) {
        let net = tool.paths.netname.as_ref().map(|net| format!("for net `{net}' ")).unwrap_or_default();
        eprintln!("A tincd is already running {net}with pid {}.", client.pid);
        return Ok(());
    }
    let mut words = tool.options.daemon_words();
    words.extend_from_slice(arguments);
    // Where tinc is installed beside tinmesh, its daemon is not ours.
    let launch = if tool.program == "tinmesh" { Launch::own(words) } else { Launch::beside(tool.program, words) };
    launch?.run(&mut std::io::stderr())
}

/// Stops the daemon and waits until it is gone.
pub(super) fn stop(tool: &Tool<'_>) -> Result<()> {
    match Client::connect(tool.paths) {
        Ok(client) => Ok(client.stop()?),
        Err(error) => stop_by_signal(&error).unwrap_or_else(|| Err(error.into())),
    }
}

/// Stops a daemon that has a pid file but does not answer; `None` if there is no such process.
fn stop_by_signal(error: &ConnectError) -> Option<Result<()>> {
    let pid = error.silent_pid().filter(|pid| is_daemon(*pid)).and_then(|pid| i32::try_from(pid).ok())?;
    eprintln!("{error}");
    let sent = process::send_signal(pid, Signal::Terminate)
        .with_context(|| format!("Could not send TERM signal to process with PID {pid}"));
    if sent.is_ok() {
        eprintln!("Sent TERM signal to process with PID {pid}.");
    }
    Some(sent)
}

pub(super) fn restart(tool: &Tool<'_>, arguments: &[String]) -> Result<()> {
    if let Err(error) = stop(tool) {
        eprintln!("{error:#}");
    }
    start(tool, arguments)
}

pub(super) fn reload(tool: &Tool<'_>) -> Result<()> {
    expect_zero(tool, &ControlRequest::Reload, "Could not reload configuration.")
}

pub(super) fn retry(tool: &Tool<'_>) -> Result<()> {
    expect_zero(tool, &ControlRequest::Retry, "Could not retry outgoing connections.")
}

pub(super) fn purge(tool: &Tool<'_>) -> Result<()> {
    expect_zero(tool, &ControlRequest::Purge, "Could not purge old information.")
}

pub(super) fn disconnect(tool: &Tool<'_>, name: &str) -> Result<()> {
    check_name(name)?;
    let request = ControlRequest::Disconnect(Some(name.to_owned()));
    expect_zero(tool, &request, &format!("Could not disconnect {name}."))
}

/// tinc's daemon does not do this, so there is nothing that could be asked for.
pub(super) fn connect(tool: &Tool<'_>, name: &str) -> Result<()> {
    check_name(name)?;
    let _ = tool.connect()?;
    bail!("Could not connect to {name}.")
}

fn check_name(name: &str) -> Result<()> {
    if NodeName::parse(name).is_err() {
        bail!("Invalid name for node.");
    }
    Ok(())
}

fn expect_zero(tool: &Tool<'_>, request: &ControlRequest, failure: &str) -> Result<()> {
    match tool.connect()?.ask(request) {
        Ok(0) => Ok(()),
        Ok(_) => bail!("{failure}"),
        Err(error @ ClientError::Timeout) => bail!("{error}\n{failure}"),
        Err(_) => bail!("{failure}"),
    }
}

pub(super) fn debug(tool: &Tool<'_>, level: &str) -> Result<()> {
    let level = lenient_number(level);
    let old = tool.connect()?.ask(&ControlRequest::Debug(level)).context("Could not set debug level.")?;
    eprintln!("Old level {old}, new level {level}.");
    Ok(())
}

pub(super) fn pid(tool: &Tool<'_>, out: &mut dyn Write) -> Result<()> {
    print_line(out, tool.connect()?.pid)
}
