//! Starting the daemon of a network for a person: quiet if all is well, with the daemon's own words if not.

use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::place::Place;
use super::status::{Peer, Status};
use super::watch;

/// Between two looks at the state of the mesh.
const INTERVAL: Duration = Duration::from_millis(50);
/// When waiting is worth a word.
const SOON: Duration = Duration::from_secs(1);

/// Starts the daemon and waits until it is ready.
///
/// # Errors
/// If it did not get ready, with what it said.
pub(super) fn daemon(place: &Place) -> Result<()> {
    let mut talk = Vec::new();
    let launch = place.launch(&[])?;
    let outcome = patiently("Starting the daemon…", || launch.run(&mut talk));
    let talk = String::from_utf8_lossy(&talk);
    if outcome.is_err() && talk.trim().is_empty() {
        bail!("The daemon did not start; what it says stands above.");
    }
    if outcome.is_err() {
        bail!("The daemon did not start. It said:\n\n{}", talk.trim_end());
    }
    for line in talk.lines().filter(|line| is_worth_reading(line)) {
        eprintln!("{line}");
    }
    Ok(())
}

/// Does something, and says so if it takes longer than a moment.
pub(super) fn patiently<T>(text: &str, work: impl FnOnce() -> T) -> T {
    scope(|threads| {
        let (done, waiting) = channel::<()>();
        threads.spawn(move || {
            if waiting.recv_timeout(SOON) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{text}");
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// Whether a line of the daemon is a warning or worse.
fn is_worth_reading(line: &str) -> bool {
    let priority = line.split_ascii_whitespace().nth(2).unwrap_or_default();
    ["WARNING", "ERROR"].iter().any(|bad| priority.contains(bad))
}

/// Waits until a node is reachable, and gives the state of the mesh then, or when `patience` is over.
///
/// # Errors
/// If the daemon does not answer any more.
pub(super) fn wait_for(place: &Place, node: &str, patience: Duration) -> Result<(Status, bool)> {
    let begin = Instant::now();
    let mut told = false;
    loop {
        let status = watch::read(place)?;
        let there = |peer: &Peer| peer.name == node && peer.reachable && !peer.addresses.is_empty();
        let reached = status.peers.iter().any(there);
        if reached || begin.elapsed() > patience {
            return Ok((status, reached));
        }
        if !told && begin.elapsed() > SOON {
            eprintln!("Waiting for {node}…");
            told = true;
        }
        sleep(INTERVAL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_warnings_and_errors_of_a_daemon_that_started_are_shown() {
        assert!(is_worth_reading("2026-11-25 19:41:15 WARNING Can't bind to ::1 port 655"));
        assert!(is_worth_reading("\x1b[90m2026-11-25 19:41:15 \x1b[33;1mWARNING\x1b[0m Can't bind"));
        assert!(!is_worth_reading("2026-11-25 19:41:15 NOTICE  Ready"));
        assert!(!is_worth_reading("ERROR"));
    }
}
