//! A daemon for tests of clients: a socket, a pid file, and replies that were written down.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread;

use super::client::Client;
use super::request::ControlRequest;
use super::server::{ControlSession, greeting_reply};
use crate::paths::{PathOptions, Paths};

pub(crate) const COOKIE: &str = "59EF65D5CC";

/// A daemon that accepts one client and answers each request with the next reply; without one it hangs up.
pub(crate) struct FakeDaemon {
    dir: tempfile::TempDir,
    thread: Option<thread::JoinHandle<Vec<ControlRequest>>>,
}

impl FakeDaemon {
    pub(crate) fn answering(replies: &[&str]) -> Self {
        Self::start(replies, false)
    }

    pub(crate) fn ending_after(replies: &[&str]) -> Self {
        Self::start(replies, true)
    }

    fn start(replies: &[&str], ends: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(paths_in(dir.path()).socket).unwrap();
        let pid_file = format!("{} {COOKIE} 127.0.0.1 port 655\n", std::process::id());
        std::fs::write(dir.path().join("pid"), pid_file).unwrap();
        let replies: Vec<String> = replies.iter().map(|reply| (*reply).to_owned()).collect();
        let thread = thread::spawn(move || serve(&listener, replies, ends));
        Self { dir, thread: Some(thread) }
    }

    pub(crate) fn paths(&self) -> Paths {
        paths_in(self.dir.path())
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(&self.paths()).unwrap()
    }

    pub(crate) fn requests(&mut self) -> Vec<ControlRequest> {
        self.thread.take().map(|thread| thread.join().unwrap()).unwrap_or_default()
    }
}

fn serve(listener: &UnixListener, replies: Vec<String>, ends: bool) -> Vec<ControlRequest> {
    let (mut stream, _) = listener.accept().unwrap();
    let mut session = ControlSession::new(COOKIE);
    let mut seen = Vec::new();
    let mut replies = replies.into_iter();
    let mut bytes = [0; 100];
    loop {
        let count = stream.read(&mut bytes).unwrap();
        if count == 0 {
            return seen;
        }
        for request in session.feed(&bytes[..count]) {
            let greeting = request == ControlRequest::Greeting;
            let reply = if greeting { Some(greeting_reply("alice", std::process::id())) } else { replies.next() };
            seen.push(request);
            let Some(reply) = reply else { return seen };
            stream.write_all(reply.as_bytes()).unwrap();
            if ends && replies.len() == 0 {
                return seen;
            }
        }
    }
}

pub(crate) fn paths_in(dir: &Path) -> Paths {
    let options = PathOptions {
        config: Some(dir.to_owned()),
        net: Some(String::new()),
        pidfile: Some(dir.join("pid")),
        logfile: None,
    };
    Paths::for_control(&options).unwrap()
}
