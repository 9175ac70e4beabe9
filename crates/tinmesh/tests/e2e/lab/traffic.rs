//! Packets through the overlay, and threads that live in a namespace.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use sha2::{Digest, Sha256};

use super::namespace::Namespace;
use super::{run, succeeds};

/// Sends one echo request and says whether it was answered within a second.
pub(crate) fn ping(from: &Namespace, to: &str) -> bool {
    succeeds(from.command("ping").args(["-n", "-q", "-c1", "-W1", to]))
}

/// Sends echo requests about ten times a second until one is answered; false if `limit` passes before that.
pub(crate) fn answers_within(from: &Namespace, to: &str, limit: Duration) -> bool {
    let start = Instant::now();
    while start.elapsed() < limit {
        if succeeds(from.command("ping").args(["-n", "-q", "-c1", "-W0.1", to])) {
            return true;
        }
        // Without interface or route ping gives up at once.
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

/// Sends `count` echo requests 20 ms apart and returns how many were answered; none where there is no route yet.
pub(crate) fn ping_many(from: &Namespace, to: &str, count: u32) -> u32 {
    let args = ["-n", "-q", "-i", "0.02", "-W", "2", "-c", &count.to_string(), to];
    let output = from.command("ping").args(args).output().expect("ping is there");
    if output.stdout.is_empty() && String::from_utf8_lossy(&output.stderr).contains("unreachable") {
        return 0;
    }
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let received = text.split(", ").find_map(|part| part.strip_suffix(" received"));
    received.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("ping says: {text}"))
}

/// Sends `count` echo requests 50 ms apart and returns how long the answers took, the quickest first.
pub(crate) fn ping_times(from: &Namespace, to: &str, count: u32) -> Vec<Duration> {
    let args = ["-n", "-i", "0.05", "-W", "2", "-c", &count.to_string(), to];
    let output = from.command("ping").args(args).output().expect("ping is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let times = text.lines().filter_map(|line| line.split("time=").nth(1)?.strip_suffix(" ms")?.parse().ok());
    let mut times: Vec<Duration> = times.map(|ms: f64| Duration::from_secs_f64(ms / 1000.0)).collect();
    times.sort_unstable();
    times
}

/// Sends an echo request of an IPv4 packet of `size` bytes that may not be cut.
pub(crate) fn ping_whole(from: &Namespace, to: &str, size: usize) -> bool {
    let payload = (size - 28).to_string();
    succeeds(from.command("ping").args(["-n", "-q", "-c1", "-W1", "-M", "do", "-s", &payload, to]))
}

/// Runs `work` on a thread that lives in the namespace.
pub(crate) fn inside<T: Send>(namespace: &Namespace, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        scope
            .spawn(|| {
                let path = format!("/run/netns/{}", namespace.name());
                let file = std::fs::File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
                move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).expect("we are root");
                work()
            })
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// How a transfer went.
#[derive(Debug)]
pub(crate) struct Transfer {
    pub(crate) sent: [u8; 32],
    pub(crate) received: [u8; 32],
    pub(crate) bytes: u64,
    pub(crate) took: Duration,
}

impl Transfer {
    /// Fails unless every byte arrived as it was sent.
    #[track_caller]
    pub(crate) fn assert_intact(&self, bytes: u64) {
        assert_eq!(self.bytes, bytes, "bytes arrived");
        assert_eq!(self.sent, self.received, "SHA-256 of what was sent and of what arrived");
    }
}

/// Sends `bytes` pseudo-random bytes over TCP from one namespace to `address` in another. A transfer that stands still
/// for 20 seconds fails.
pub(crate) fn transfer(from: &Namespace, to: &Namespace, address: &str, bytes: u64) -> Transfer {
    let start = Instant::now();
    let listener = inside(to, || TcpListener::bind((address, 0))).expect("the address is the host's");
    let target = listener.local_addr().expect("it is bound");
    let sink = std::thread::spawn(move || receive(&listener));
    let sent = inside(from, || send(target, bytes));
    let (received, bytes) = sink.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    Transfer { sent, received, bytes, took: start.elapsed() }
}

const STALL: Option<Duration> = Some(Duration::from_secs(20));

fn send(target: SocketAddr, bytes: u64) -> [u8; 32] {
    let mut stream = TcpStream::connect_timeout(&target, Duration::from_secs(10)).expect("the tunnel carries a SYN");
    stream.set_write_timeout(STALL).expect("a valid time");
    stream.set_read_timeout(STALL).expect("a valid time");
    let (mut hash, mut state, mut left) = (Sha256::new(), 0x9e37_79b9_7f4a_7c15_u64, bytes);
    let mut block = vec![0; 1 << 16];
    while left > 0 {
        let len = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
        for chunk in block[..len].chunks_mut(8) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
        }
        hash.update(&block[..len]);
        stream.write_all(&block[..len]).expect("the transfer goes on");
        left -= len as u64;
    }
    stream.shutdown(Shutdown::Write).expect("the connection is open");
    stream.read_exact(&mut [0]).expect("the receiver says that it has all");
    hash.finalize().into()
}

fn receive(listener: &TcpListener) -> ([u8; 32], u64) {
    let (mut stream, _) = listener.accept().expect("the sender comes");
    stream.set_read_timeout(STALL).expect("a valid time");
    let (mut hash, mut total, mut block) = (Sha256::new(), 0, vec![0; 1 << 16]);
    loop {
        let len = match stream.read(&mut block) {
            Ok(0) => break,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            read => read.expect("the transfer goes on"),
        };
        hash.update(&block[..len]);
        total += len as u64;
    }
    let _ = stream.write_all(&[1]);
    (hash.finalize().into(), total)
}

/// A ping that goes on until it is stopped, ten times a second.
pub(crate) struct Pinging {
    child: std::process::Child,
    log: std::path::PathBuf,
}

impl Pinging {
    /// Starts it.
    pub(crate) fn start(lab: &super::Lab, from: &Namespace, to: &str) -> Self {
        Self::start_of(lab, from, to, 84)
    }

    /// Starts it with IPv4 packets of `size` bytes, or IPv6 packets of 20 more.
    pub(crate) fn start_of(lab: &super::Lab, from: &Namespace, to: &str, size: usize) -> Self {
        let log = lab.path(&format!("ping-{to}.log").replace(':', "_"));
        let payload = (size - 28).to_string();
        let file = std::fs::File::create(&log).expect("the directory is there");
        let child = from.command("ping").args(["-n", "-q", "-i", "0.1", "-s", &payload, to]).stdout(file).spawn();
        Self { child: child.expect("ping is there"), log }
    }

    /// Stops it and returns how many requests were sent and how many were answered.
    pub(crate) fn stop(mut self) -> (u32, u32) {
        run(Command::new("kill").args(["-INT", &self.child.id().to_string()]));
        let _ = self.child.wait();
        let text = std::fs::read_to_string(&self.log).expect("ping wrote it");
        let number = |suffix: &str| {
            let mut parts = text.split(['\n', ',']).map(str::trim);
            parts.find_map(|part| part.strip_suffix(suffix)).and_then(|number| number.parse().ok())
        };
        let counts = number(" packets transmitted").zip(number(" received"));
        counts.unwrap_or_else(|| panic!("ping says: {text}"))
    }
}

impl Drop for Pinging {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts to count datagrams that arrive at a host.
pub(crate) fn count_udp(host: &Namespace) {
    host.nft(
        "table inet lab {
            counter datagrams { }
            chain in { type filter hook input priority 0; iifname \"eth*\" meta l4proto udp counter name datagrams; }
        }",
    );
}

/// How many datagrams have arrived since [`count_udp`].
pub(crate) fn udp_packets(host: &Namespace) -> u64 {
    let text = run(host.command("nft").args(["list", "counter", "inet", "lab", "datagrams"]));
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("nft says: {text}"))
}
