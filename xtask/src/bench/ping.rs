//! Round trips, by ping: the kernel answers, and the time of arrival is the kernel's, so only the way is measured.

use std::process::Stdio;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::daemon::{Running, output_within};
use super::wires::Site;

/// How long the first ping may take to come through.
const PATIENCE: Duration = Duration::from_secs(20);
/// How much longer than its pings ping may take.
const GRACE: Duration = Duration::from_secs(5);

/// Waits until `site` reaches `to`.
pub(super) fn until_first(site: &Site, to: &str) -> Result<()> {
    let started = Instant::now();
    let one = || {
        let mut ping = site.namespace.command("ping");
        ping.args(["-n", "-c", "1", "-W", "0.2", to]).stdin(Stdio::null());
        output_within(&mut ping, GRACE)
    };
    while one().is_err() {
        if started.elapsed() > PATIENCE {
            bail!("no ping came through within {} s", PATIENCE.as_secs());
        }
        sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Pings that run.
#[derive(Debug)]
pub(super) struct Pings {
    running: Running,
    count: u32,
}

/// Round trips in ms, in ascending order; at least one.
#[derive(Debug)]
pub(super) struct Trips {
    trips: Vec<f64>,
    count: u32,
}

impl Pings {
    /// Starts `count` pings, `interval` seconds apart.
    pub(super) fn start(site: &Site, to: &str, count: u32, interval: f64) -> Result<Self> {
        let mut ping = site.namespace.command("ping");
        ping.args(["-n", "-c", &count.to_string(), "-i", &interval.to_string(), "-W", "1", to]);
        ping.stdin(Stdio::null());
        let limit = Duration::from_secs_f64(f64::from(count) * interval) + GRACE;
        Ok(Self { running: Running::start(&mut ping, limit)?, count })
    }

    pub(super) fn finish(self) -> Result<Trips> {
        Trips::parse(&self.running.finish()?, self.count)
    }
}

impl Trips {
    fn parse(text: &str, count: u32) -> Result<Self> {
        let times = text.lines().filter_map(|line| line.split("time=").nth(1)?.split_whitespace().next()?.parse().ok());
        let mut trips: Vec<f64> = times.collect();
        if trips.is_empty() {
            bail!("no ping was answered");
        }
        trips.sort_by(f64::total_cmp);
        Ok(Self { trips, count })
    }

    /// The time that this share of the pings did not exceed.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let last = self.trips.len() - 1;
        self.trips[((self.trips.len() as f64 * share) as usize).min(last)]
    }

    pub(super) fn average(&self) -> f64 {
        self.trips.iter().sum::<f64>() / self.trips.len() as f64
    }

    /// Pings without an answer, in percent.
    pub(super) fn lost(&self) -> f64 {
        (1.0 - self.trips.len() as f64 / f64::from(self.count)) * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_missing_answers_counted() {
        let line = |time: &str| format!("64 bytes from 10.9.0.2: icmp_seq=1 ttl=64 time={time} ms\n");
        let trips = Trips::parse(&[line("0.30"), line("0.10"), line("0.200")].concat(), 4).unwrap();
        assert_eq!((trips.percentile(0.5), trips.percentile(0.99)), (0.2, 0.3));
        assert!((trips.average() - 0.2).abs() < 1e-9);
        assert!((trips.lost() - 25.0).abs() < 1e-9);
        assert!(Trips::parse("5 packets transmitted, 0 received\n", 5).is_err());
    }
}
