//! All that is measured of one row in one round.

use std::fs;

use anyhow::{Context, Result};

use super::daemon::{self, Daemon};
use super::figures::Sample;
use super::flood::Flood;
use super::options::Options;
use super::ping::{self, Pings};
use super::rows::{Program, Row};
use super::stream::{Server, Stream};
use super::wires::Wires;
use super::{Place, nebula, pipe, tinc, wireguard};

/// Seconds between pings whose times count.
const INTERVAL: f64 = 0.01;

/// Starts the row's daemons on two machines that can talk to each other at full size.
pub(super) fn ready(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<Vec<Daemon>> {
    prepare(place, row, wires)?;
    let daemons = start(place, row, wires)?;
    ping::until_first(wires.a(), &wires.b().inner())?;
    settle(row, wires)?;
    Ok(daemons)
}

/// Measures two machines; what is in `sample` stays if something fails.
pub(super) fn pair(place: &Place<'_>, options: &Options, row: &Row, wires: &Wires, sample: &mut Sample) -> Result<()> {
    prepare(place, row, wires)?;
    let started = std::time::Instant::now();
    let daemons = start(place, row, wires)?;
    let (a, b) = (wires.a(), wires.b());
    ping::until_first(a, &b.inner())?;
    sample.insert("start", started.elapsed().as_secs_f64());
    settle(row, wires)?;
    let idle = Pings::start(a, &b.inner(), options.pings(), INTERVAL)?.finish()?;
    sample.insert("idle-p50", idle.percentile(0.5));
    let before = daemon::busy(&daemons)?;
    std::thread::sleep(options.idle());
    let used = daemon::busy(&daemons)? - before;
    sample.insert("idle-cpu", used / options.idle().as_secs_f64() / daemons.len() as f64 * 100.0);
    let server = Server::start(b)?;
    streams(options, wires, &daemons, sample).context("TCP")?;
    load(options, wires, sample).context("pings under load")?;
    drop(server);
    for (key, size) in [("udp64", 64), ("udp1300", 1300)] {
        let (duration, halvings, tries) = (options.flood(), options.halvings(), options.tries());
        let flood = Flood { from: a, to: b, size, duration, halvings, tries };
        sample.insert(key, flood.highest().context("datagrams")? / 1e3);
    }
    let memory = daemons.iter().map(Daemon::peak_memory).collect::<Result<Vec<f64>>>()?;
    sample.insert("memory", memory.into_iter().fold(0.0, f64::max));
    Ok(())
}

/// Measures a stream between two machines that see only a third.
pub(super) fn relayed(
    place: &Place<'_>,
    options: &Options,
    row: &Row,
    wires: &Wires,
    sample: &mut Sample,
) -> Result<()> {
    let daemons = ready(place, row, wires)?;
    let (a, b) = (wires.a(), wires.b());
    let _server = Server::start(b)?;
    let relay = &daemons[..1];
    let before = daemon::busy(relay)?;
    let arrived = Stream::start(a, &b.inner(), 1, options.stream_seconds(), false)?.finish()?;
    sample.insert("relay", arrived.gigabits_per_second);
    sample.insert("relay-cpu", (daemon::busy(relay)? - before) / arrived.gigabytes);
    Ok(())
}

/// True if the row's programs relay for each other by themselves.
pub(super) fn can_relay(row: &Row) -> bool {
    row.ends.iter().all(|program| match program {
        Program::Tinmesh | Program::Tinc11 | Program::Tinc10 => true,
        Program::WireguardGo | Program::Boringtun | Program::Nebula | Program::Pipe => false,
    })
}

/// Writes the files of the row's daemons, unless an earlier round did.
fn prepare(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<()> {
    if place.dir.exists() {
        return Ok(());
    }
    fs::create_dir_all(place.dir)?;
    match row.ends[0] {
        Program::Tinmesh | Program::Tinc11 | Program::Tinc10 => tinc::prepare(place, row, wires),
        Program::WireguardGo | Program::Boringtun | Program::Pipe => Ok(()),
        Program::Nebula => nebula::prepare(place, wires),
    }
}

/// Starts the row's daemons; with tinc's kind the one that is called is the first of them.
fn start(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<Vec<Daemon>> {
    match row.ends[0] {
        Program::Tinmesh | Program::Tinc11 | Program::Tinc10 => tinc::start(place, row, wires),
        Program::WireguardGo | Program::Boringtun => wireguard::start(place, row, wires),
        Program::Nebula => nebula::start(place, wires),
        Program::Pipe => pipe::start(place, row, wires),
    }
}

/// The search of the path MTU goes on for a while, with pings to keep it going; tinc 1.0 sends few probes a second.
fn settle(row: &Row, wires: &Wires) -> Result<()> {
    let pings = row.ends.map(|program| match program {
        Program::Tinc10 => 120,
        Program::Tinmesh | Program::Tinc11 => 20,
        Program::WireguardGo | Program::Boringtun | Program::Nebula | Program::Pipe => 3,
    });
    let most = pings.into_iter().max().unwrap_or_default();
    Pings::start(wires.a(), &wires.b().inner(), most, 0.1)?.finish().map(|_| ())
}

/// One stream and four, there and back, and the daemons' processor time for them.
fn streams(options: &Options, wires: &Wires, daemons: &[Daemon], sample: &mut Sample) -> Result<()> {
    for (count, keys, cpu) in [(1, ["tcp1", "tcp1-back"], "cpu"), (4, ["tcp4", "tcp4-back"], "cpu4")] {
        let before = daemon::busy(daemons)?;
        let mut gigabytes = 0.0;
        for (key, is_back) in keys.into_iter().zip([false, true]) {
            let stream = Stream::start(wires.a(), &wires.b().inner(), count, options.stream_seconds(), is_back)?;
            let arrived = stream.finish()?;
            sample.insert(key, arrived.gigabits_per_second);
            gigabytes += arrived.gigabytes;
        }
        sample.insert(cpu, (daemon::busy(daemons)? - before) / gigabytes);
    }
    Ok(())
}

/// Pings while a stream takes all it can get.
fn load(options: &Options, wires: &Wires, sample: &mut Sample) -> Result<()> {
    let (a, to) = (wires.a(), wires.b().inner());
    let seconds = (f64::from(options.pings()) * INTERVAL).ceil() as u32 + 1;
    let stream = Stream::start(a, &to, 1, seconds, false)?;
    // The stream is at full speed by then.
    std::thread::sleep(std::time::Duration::from_millis(500));
    let trips = Pings::start(a, &to, options.pings(), INTERVAL)?.finish()?;
    stream.finish()?;
    sample.insert("load-average", trips.average());
    sample.insert("load-p99", trips.percentile(0.99));
    sample.insert("load-lost", trips.lost());
    Ok(())
}
