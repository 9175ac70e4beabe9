//! A running daemon: its processor time, its memory, and its end.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::super::shell::{command, output};

/// The kernel counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;
/// How long a daemon may take to end when it is asked to.
const FAREWELL: Duration = Duration::from_secs(3);

/// A daemon of ours to end; the programs before it on the command line have become it.
#[derive(Debug)]
pub(super) struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = output(&mut command("kill", &[&self.0.id().to_string()]));
        let asked = Instant::now();
        while matches!(self.0.try_wait(), Ok(None)) && asked.elapsed() < FAREWELL {
            sleep(Duration::from_millis(10));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Daemon {
    /// Starts it; what it says goes to `log`.
    pub(super) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = fs::File::create(log).with_context(|| log.display().to_string())?;
        let command = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        Ok(Self(command.spawn().context("cannot start a daemon")?))
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Processor time used by all its threads, in seconds.
    pub(super) fn busy(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid())).context("a daemon has ended")?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).context("no processor time");
        Ok((ticks(11)? + ticks(12)?) / TICKS)
    }

    /// The most resident memory it had, in MiB.
    pub(super) fn peak_memory(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid())).context("a daemon has ended")?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("a daemon has ended")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

/// Processor time of all of them, in seconds.
pub(super) fn busy(daemons: &[Daemon]) -> Result<f64> {
    daemons.iter().map(Daemon::busy).sum()
}

/// What a program prints within `limit`; it is ended if it takes longer.
pub(super) fn output_within(command: &mut Command, limit: Duration) -> Result<String> {
    Running::start(command, limit)?.finish()
}

/// True if the process `pid` sees a socket on this local port in that state, both as `/proc/net/TABLE` shows them.
pub(super) fn has_socket(pid: u32, table: &str, port: u16, state: &str) -> bool {
    let port = format!(":{port:04X}");
    [table, &format!("{table}6")].iter().any(|table| {
        let text = fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default();
        text.lines().any(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            matches!(fields.as_slice(), [_, local, _, seen, ..] if local.ends_with(&port) && *seen == state)
        })
    })
}

/// A program that runs beside us and prints something in the end.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    name: String,
    deadline: Instant,
    said: Option<JoinHandle<String>>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, unless what ran beside it failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Running {
    /// Starts it; it may take up to `limit`.
    pub(super) fn start(command: &mut Command, limit: Duration) -> Result<Self> {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
        let name = words.join(" ");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        let mut pipe = child.stdout.take().context("no pipe to read from")?;
        let said = std::thread::spawn(move || {
            let mut text = Vec::new();
            // What was said before a broken end counts.
            let _ = pipe.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        Ok(Self { child, name, deadline: Instant::now() + limit, said: Some(said) })
    }

    /// Its number.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Tells the program that no more comes from us.
    pub(super) fn close_input(&mut self) {
        self.child.stdin.take();
    }

    /// Waits for its end.
    pub(super) fn finish(mut self) -> Result<String> {
        let status = loop {
            if let Some(status) = self.child.try_wait()? {
                break status;
            }
            if Instant::now() > self.deadline {
                bail!("took too long: {}", self.name);
            }
            sleep(Duration::from_millis(5));
        };
        let said = self.said.take().and_then(|said| said.join().ok()).unwrap_or_default();
        if !status.success() {
            bail!("{} ended with {status}: {}", self.name, said.trim());
        }
        Ok(said)
    }
}
