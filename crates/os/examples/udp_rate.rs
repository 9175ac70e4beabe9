//! Datagrams per second over loopback, on one thread: `cargo run --release -p tinmesh-os --example udp_rate`.
//!
//! One destination lets runs go as single messages; two destinations in turn leave no runs.
#![expect(clippy::print_stdout, reason = "a measurement is printed")]

use std::io;
use std::time::{Duration, Instant};

use tinmesh_os::udp::{BATCH, Inbox, UdpOptions, UdpSocket};

const DURATION: Duration = Duration::from_secs(2);

fn main() -> io::Result<()> {
    println!("{:>6} {:>12} {:>14} {:>14}", "bytes", "destinations", "sent, M/s", "received, M/s");
    for len in [64, 512, 1_400] {
        for destinations in [1, 2] {
            let (sent, received) = measure(len, destinations)?;
            println!("{len:>6} {destinations:>12} {sent:>14.2} {received:>14.2}");
        }
    }
    Ok(())
}

/// Millions per second of sending time and of receiving time.
fn measure(len: usize, destinations: usize) -> io::Result<(f64, f64)> {
    let options = UdpOptions { rcvbuf: 8 << 20, sndbuf: 8 << 20, dont_fragment: true, ..UdpOptions::default() };
    let bind = || UdpSocket::bind(([127, 0, 0, 1], 0).into(), &options);
    let sender = bind()?;
    let receivers: Vec<_> = (0..destinations).map(|_| bind()).collect::<io::Result<_>>()?;
    let targets: Vec<_> = receivers.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
    let datagram = vec![0; len];
    let mut inbox = Inbox::new();
    let (mut sending, mut receiving) = ((Duration::ZERO, 0), (Duration::ZERO, 0));
    let start = Instant::now();
    while start.elapsed() < DURATION {
        let before = Instant::now();
        let batch = targets.iter().cycle().map(|to| (datagram.as_slice(), *to)).take(BATCH);
        sending.1 += sender.send_batch(batch, |_, _| ());
        sending.0 += before.elapsed();
        for receiver in &receivers {
            let before = Instant::now();
            if receiver.receive(&mut inbox).is_ok() {
                receiving.1 += inbox.datagrams().count();
            }
            receiving.0 += before.elapsed();
        }
    }
    Ok((rate(sending), rate(receiving)))
}

fn rate((time, count): (Duration, usize)) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a count of seconds is far below 2^53")]
    let count = count as f64;
    count / time.as_secs_f64() / 1e6
}
