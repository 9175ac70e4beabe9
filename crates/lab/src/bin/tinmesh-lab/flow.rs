//! Datagrams through the mesh, each of which is answered, and when the answers came.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tinmesh_lab::netns;

const PORT: u16 = 7_000;
const PACE: Duration = Duration::from_millis(50);
const READING: Duration = Duration::from_millis(100);
const LONGEST: usize = 2_000;

/// A flow, while its value lives.
pub(crate) struct Flow {
    replies: Arc<Mutex<Vec<Instant>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    pub(crate) started: Instant,
}

impl Flow {
    /// Starts to send datagrams of `len` bytes from one namespace and address to another.
    pub(crate) fn start(from: (&str, Ipv4Addr), to: (&str, Ipv4Addr), len: usize) -> io::Result<Self> {
        let echo = netns::within(to.0, || UdpSocket::bind((to.1, PORT)))?;
        let socket = netns::within(from.0, || UdpSocket::bind((from.1, PORT)))?;
        echo.set_read_timeout(Some(READING))?;
        socket.set_read_timeout(Some(READING))?;
        let (replies, over) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (sender, target) = (socket.try_clone()?, SocketAddr::from((to.1, PORT)));
        let (end, ends, ending) = (Arc::clone(&over), Arc::clone(&over), Arc::clone(&over));
        let list = Arc::clone(&replies);
        let threads = vec![
            std::thread::spawn(move || answer(&echo, &end)),
            std::thread::spawn(move || listen(&socket, &list, &ends)),
            std::thread::spawn(move || send(&sender, target, len, &ending)),
        ];
        Ok(Self { replies, over, threads, started: Instant::now() })
    }

    fn times(&self) -> Vec<Instant> {
        self.replies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long the first answer took.
    pub(crate) fn first(&self) -> Option<Duration> {
        self.times().first().map(|at| at.duration_since(self.started))
    }

    /// How many of the datagrams of the last `span` were answered by now, in per cent.
    pub(crate) fn answered(&self, span: Duration) -> f64 {
        let sent = span.as_secs_f64() / PACE.as_secs_f64();
        let count = self.times().iter().filter(|at| at.elapsed() < span).count();
        (100.0 * count as f64 / sent).min(100.0)
    }

    /// The longest time without an answer since `since`.
    pub(crate) fn silence(&self, since: Instant) -> Duration {
        let times = self.times();
        let later = times.iter().copied().filter(|at| *at >= since);
        let all: Vec<Instant> = [since].into_iter().chain(later).chain([Instant::now()]).collect();
        all.windows(2).map(|pair| pair[1].duration_since(pair[0])).max().unwrap_or_default()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn answer(socket: &UdpSocket, over: &AtomicBool) -> io::Result<()> {
    let mut space = [0; LONGEST];
    while !over.load(Ordering::Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut space) {
            // A device that is down, or too narrow, loses the answer.
            let _ = socket.send_to(&space[..len], from);
        }
    }
    Ok(())
}

fn listen(socket: &UdpSocket, replies: &Mutex<Vec<Instant>>, over: &AtomicBool) -> io::Result<()> {
    let mut space = [0; LONGEST];
    while !over.load(Ordering::Relaxed) {
        if socket.recv_from(&mut space).is_ok() {
            replies.lock().unwrap_or_else(PoisonError::into_inner).push(Instant::now());
        }
    }
    Ok(())
}

fn send(socket: &UdpSocket, to: SocketAddr, len: usize, over: &AtomicBool) -> io::Result<()> {
    let packet = vec![7; len];
    while !over.load(Ordering::Relaxed) {
        let _ = socket.send_to(&packet, to);
        std::thread::sleep(PACE);
    }
    Ok(())
}
