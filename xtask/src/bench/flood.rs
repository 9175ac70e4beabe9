//! Datagrams at a steady rate, and the search for the highest rate of which hardly any are lost.
//!
//! The sender sleeps and sends what is due; the receiver sleeps and takes what has come. Both run before others, so that
//! what is lost is lost on the way. Each datagram is a system call of its own, as with most programs.

use std::net::UdpSocket;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::daemon::{Running, has_socket, output_within};
use super::wires::Site;

/// The share that may be lost.
const TOLERATED: f64 = 0.01;
/// The first rate, the step upwards, and where the search ends whatever happens; in datagrams per second.
const FIRST: f64 = 20_000.0;
const STEP: f64 = 1.6;
const HIGHEST: f64 = 5_000_000.0;
/// A sender that reaches less than this share of what is due is the limit itself.
const REACHED: f64 = 0.9;
/// The state of an unconnected socket in `/proc/net/udp`.
const UNCONNECTED: &str = "07";
/// How long the sender and the receiver sleep.
const NAP: Duration = Duration::from_micros(50);
const DRAIN: Duration = Duration::from_micros(200);
/// A sender that was kept waiting does not send more than this at once; it leaves out the rest.
const BURST: f64 = 64.0;
/// The receiver ends when it has heard nothing for so long after the sender's end.
const QUIET: Duration = Duration::from_millis(100);
/// Room for what arrives while the receiver sleeps, in bytes.
const ROOM: usize = 8 << 20;
/// How much longer than the flood its programs may take.
const GRACE: Duration = Duration::from_secs(5);

/// What became of a rate.
#[derive(Clone, Copy, Debug)]
struct Outcome {
    /// Datagrams per second.
    sent: f64,
    arrived: f64,
}

impl Outcome {
    fn is_good(self) -> bool {
        self.arrived >= self.sent * (1.0 - TOLERATED)
    }
}

/// A flood from one machine to another.
#[derive(Debug)]
pub(super) struct Flood<'a> {
    pub(super) from: &'a Site,
    pub(super) to: &'a Site,
    /// Bytes of payload.
    pub(super) size: usize,
    pub(super) duration: Duration,
    /// How often the search halves what is left.
    pub(super) halvings: u32,
    /// A rate that has lost too many gets another chance: machines hiccup.
    pub(super) tries: u32,
}

impl Flood<'_> {
    /// The highest rate, in datagrams per second that arrived, of which at most 1 % were lost.
    pub(super) fn highest(&self) -> Result<f64> {
        // Each try has a port of its own, so that stragglers of another are not counted.
        let mut port = 30_000;
        let mut attempt = |rate: f64| {
            let mut outcome = Outcome { sent: rate, arrived: 0.0 };
            for _ in 0..self.tries {
                port += 1;
                outcome = self.attempt(rate, port)?;
                if outcome.is_good() {
                    break;
                }
            }
            Ok(outcome)
        };
        search(&mut attempt, self.halvings)
    }

    fn attempt(&self, rate: f64, port: u16) -> Result<Outcome> {
        let limit = self.duration + GRACE;
        let mut count = hurried(self.to)?;
        count.args(["bench-count", &port.to_string()]).stdin(Stdio::piped());
        let mut receiver = Running::start(&mut count, limit)?;
        let started = Instant::now();
        while !has_socket(receiver.pid(), "udp", port, UNCONNECTED) {
            if started.elapsed() > GRACE {
                bail!("the receiver of datagrams did not start");
            }
            sleep(Duration::from_millis(2));
        }
        let mut blast = hurried(self.from)?;
        blast.args(["bench-send", &format!("{}:{port}", self.to.inner()), &self.size.to_string()]);
        blast.args([&rate.to_string(), &self.duration.as_millis().to_string()]).stdin(Stdio::null());
        let said = output_within(&mut blast, limit)?;
        receiver.close_input();
        let arrived: f64 = receiver.finish()?.trim().parse().context("the receiver of datagrams counted nothing")?;
        let mut numbers = said.split_whitespace().map(str::parse::<f64>);
        let mut number = || numbers.next().and_then(Result::ok).context("the sender of datagrams said nothing");
        let (sent, seconds) = (number()?, number()?);
        Ok(Outcome { sent: sent / seconds, arrived: arrived / seconds })
    }
}

/// This program, inside a namespace and before others.
fn hurried(site: &Site) -> Result<Command> {
    let itself = std::env::current_exe().context("cannot find this program")?;
    let mut command = site.namespace.command("nice");
    command.args(["-n", "-10"]).arg(itself);
    Ok(command)
}

/// Goes up by steps until too many are lost, then halves the ratio between what was good and what was not.
fn search(attempt: &mut impl FnMut(f64) -> Result<Outcome>, halvings: u32) -> Result<f64> {
    let (mut good, mut bad) = (FIRST / STEP, FIRST);
    let mut best = 0.0_f64;
    while bad < HIGHEST {
        let outcome = attempt(bad)?;
        if !outcome.is_good() {
            break;
        }
        best = best.max(outcome.arrived);
        (good, bad) = (bad, bad * STEP);
        if outcome.sent < good * REACHED {
            return Ok(best);
        }
    }
    for _ in 0..halvings {
        let middle = (good * bad).sqrt();
        let outcome = attempt(middle)?;
        if outcome.is_good() {
            best = best.max(outcome.arrived);
            good = middle;
        } else {
            bad = middle;
        }
    }
    Ok(best)
}

/// `bench-send`: sends datagrams of `size` bytes at `rate` for a while; prints how many, and in how many seconds.
pub(crate) fn sender(to: &str, size: &str, rate: &str, milliseconds: &str) -> Result<()> {
    let payload = vec![0x5a_u8; size.parse()?];
    let rate: f64 = rate.parse()?;
    let duration = Duration::from_millis(milliseconds.parse()?);
    let socket = UdpSocket::bind(("0.0.0.0", 0))?;
    socket.connect(to)?;
    let start = Instant::now();
    let (mut sent, mut left_out) = (0.0, 0.0);
    while start.elapsed() < duration {
        let due = start.elapsed().as_secs_f64() * rate - sent - left_out;
        if due < 1.0 {
            sleep(NAP);
            continue;
        }
        left_out += (due - BURST).max(0.0);
        for _ in 0..due.min(BURST) as u32 {
            // What the system refuses for want of room is lost like any other.
            let _ = socket.send(&payload);
            sent += 1.0;
        }
    }
    println!("{sent} {}", start.elapsed().as_secs_f64());
    Ok(())
}

/// `bench-count`: counts datagrams until its input ends and no more come; prints how many.
pub(crate) fn receiver(port: &str) -> Result<()> {
    let socket = UdpSocket::bind(("0.0.0.0", port.parse::<u16>()?))?;
    socket.set_nonblocking(true)?;
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, ROOM)?;
    let is_over = Arc::new(AtomicBool::new(false));
    let tells = Arc::clone(&is_over);
    std::thread::spawn(move || {
        // Whatever the input's end looks like, it is the end.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        tells.store(true, Ordering::Relaxed);
    });
    let mut buffer = [0; 2048];
    let mut count = 0_u64;
    let mut heard = Instant::now();
    loop {
        while socket.recv(&mut buffer).is_ok() {
            count += 1;
            heard = Instant::now();
        }
        if !is_over.load(Ordering::Relaxed) {
            // Until then the sender may be about to send.
            sleep(DRAIN);
        } else if heard.elapsed() > QUIET {
            break;
        } else {
            sleep(DRAIN);
        }
    }
    println!("{count}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A way that carries so much and loses the rest.
    fn way(limit: f64) -> impl FnMut(f64) -> Result<Outcome> {
        move |rate| Ok(Outcome { sent: rate, arrived: rate.min(limit) })
    }

    #[test]
    fn the_search_finds_what_a_way_can_carry() {
        for limit in [21_000.0, 100_000.0, 333_000.0, 1_500_000.0] {
            let found = search(&mut way(limit), 5).unwrap();
            assert!(found <= limit && found > limit * 0.95, "{found} of {limit}");
        }
    }

    #[test]
    fn the_search_ends_where_the_sender_is_the_limit() {
        let mut tries = 0;
        let found = search(
            &mut |rate: f64| {
                tries += 1;
                let sent = rate.min(250_000.0);
                Ok(Outcome { sent, arrived: sent })
            },
            4,
        );
        assert_eq!((found.unwrap(), tries), (250_000.0, 7));
    }

    #[test]
    fn a_way_that_carries_nothing_gives_nothing() {
        assert_eq!(search(&mut way(0.0), 3).unwrap(), 0.0);
    }
}
