//! `tinmesh down`: stops the daemon, and waits until it is gone with all that it made.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use tinmesh_os::process;
use tinmesh_os::signals::Signal;

use super::place::Place;
use super::start::patiently;
use crate::control::client::{Client, is_daemon};

/// How long the daemon may take to end once it has said goodbye.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often to look.
const INTERVAL: Duration = Duration::from_millis(20);

pub(super) fn run(place: &Place, out: &mut dyn Write) -> Result<()> {
    let pid = match Client::connect(&place.paths) {
        Ok(client) => {
            let pid = client.pid;
            patiently("Stopping the daemon…", || client.stop())?;
            pid
        }
        Err(error) if error.is_absence() => return Ok(writeln!(out, "Already down.")?),
        Err(error) => match error.silent_pid().filter(|pid| is_daemon(*pid)) {
            Some(pid) if process::is_root() => {
                eprintln!("The daemon does not answer ({error}): sending it the signal to stop.");
                process::send_signal(i32::try_from(pid)?, Signal::Terminate)?;
                pid
            }
            Some(_) | None => return place.connect().map(drop),
        },
    };
    wait_for_end(pid)?;
    Ok(writeln!(out, "Down.")?)
}

fn wait_for_end(pid: u32) -> Result<()> {
    let end = Instant::now() + PATIENCE;
    while still_runs(pid) {
        if Instant::now() > end {
            bail!("The daemon still runs, as process {pid}: see its log, or end it with `sudo kill -9 {pid}`");
        }
        sleep(INTERVAL);
    }
    Ok(())
}

/// Whether the process does anything still; one that only waits for its parent to take notice of its end does not.
fn still_runs(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:"));
    state.is_some_and(|state| !state.trim_start().starts_with(['Z', 'X']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_process_whose_parent_does_not_look_has_ended_all_the_same() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        assert!(still_runs(pid));

        drop(child.stdin.take());
        wait_for_end(pid).unwrap();

        assert!(process::process_exists(i32::try_from(pid).unwrap()), "it is a zombie now");
        child.wait().unwrap();
        assert!(!still_runs(pid));
    }
}
