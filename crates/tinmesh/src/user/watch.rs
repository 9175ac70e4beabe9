//! `tinmesh status`, once or again and again.

use std::io::{IsTerminal as _, Write};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::ColorChoice;
use tinmesh_os::clock::unix_seconds;

use super::place::Place;
use super::status::{Rates, Status, render};
use crate::cli::tinmesh::StatusOptions;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// Clears a terminal.
const CLEAR: &str = "\x1b[H\x1b[2J";

pub(super) fn run(place: &Place, options: &StatusOptions, out: &mut dyn Write) -> Result<()> {
    let mut last: Option<(Instant, Status)> = None;
    loop {
        let status = read(place);
        let time = Instant::now();
        if options.watch && std::io::stdout().is_terminal() && !options.form.json {
            write!(out, "{CLEAR}")?;
        }
        match status {
            Ok(status) => {
                let rates = last.take().map(|(before, old)| Rates::between(&old, &status, time - before));
                show(&status, options, rates.as_ref(), place.color, out)?;
                last = Some((time, status));
            }
            Err(error) if options.watch && !options.form.json => writeln!(out, "{error:#}")?,
            Err(error) => return Err(error),
        }
        if !options.watch {
            return Ok(());
        }
        out.flush()?;
        sleep(INTERVAL);
    }
}

/// The state of the network's daemon.
///
/// # Errors
/// If it cannot be asked, with what to do about it.
pub(super) fn read(place: &Place) -> Result<Status> {
    Ok(Status::read(&mut place.connect()?, place.paths.netname.as_deref())?)
}

fn show(
    status: &Status,
    options: &StatusOptions,
    rates: Option<&Rates>,
    color: ColorChoice,
    out: &mut dyn Write,
) -> Result<()> {
    let text = if options.form.json && options.watch {
        serde_json::to_string(status)?
    } else if options.form.json {
        serde_json::to_string_pretty(status)?
    } else {
        render(status, unix_seconds(), rates, super::colour_on_stdout(color))
    };
    Ok(writeln!(out, "{}", text.trim_end())?)
}
