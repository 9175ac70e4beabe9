//! TCP streams, by iperf3.

use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::daemon::{Running, has_socket};
use super::wires::Site;

/// iperf3's own.
const PORT: u16 = 5201;
/// The state of a listening socket in `/proc/net/tcp`.
const LISTENING: &str = "0A";
/// How much longer than the stream its program may take.
const GRACE: Duration = Duration::from_secs(10);

/// The server of all streams towards and from one machine.
#[derive(Debug)]
pub(super) struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    pub(super) fn start(site: &Site) -> Result<Self> {
        let mut command = site.namespace.command("iperf3");
        command.arg("-s").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let server = Self(command.spawn().context("cannot start iperf3")?);
        let started = Instant::now();
        while !has_socket(server.0.id(), "tcp", PORT, LISTENING) {
            if started.elapsed() > GRACE {
                bail!("iperf3 does not listen");
            }
            sleep(Duration::from_millis(10));
        }
        Ok(server)
    }
}

/// A stream that runs.
#[derive(Debug)]
pub(super) struct Stream(Running);

/// What arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrived {
    pub(super) gigabits_per_second: f64,
    pub(super) gigabytes: f64,
}

impl Stream {
    /// Starts `count` streams between `site` and the server at `to`: towards the server, or back from it.
    pub(super) fn start(site: &Site, to: &str, count: u32, seconds: u32, is_back: bool) -> Result<Self> {
        let mut command = site.namespace.command("iperf3");
        command.args(["-J", "-c", to, "-P", &count.to_string(), "-t", &seconds.to_string()]);
        command.args(["--connect-timeout", "3000"]).stdin(Stdio::null());
        if is_back {
            command.arg("-R");
        }
        Ok(Self(Running::start(&mut command, Duration::from_secs(seconds.into()) + GRACE)?))
    }

    pub(super) fn finish(self) -> Result<Arrived> {
        let text = self.0.finish()?;
        let said: serde_json::Value = serde_json::from_str(&text).context("iperf3 did not print JSON")?;
        if let Some(error) = said["error"].as_str() {
            bail!("iperf3: {error}");
        }
        let number = |name: &str| said["end"]["sum_received"][name].as_f64().context("iperf3 gave no result");
        Ok(Arrived { gigabits_per_second: number("bits_per_second")? / 1e9, gigabytes: number("bytes")? / 1e9 })
    }
}
