//! A client that speaks the meta protocol line by line, so that a test decides every word.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{Params, Role, meta_label};
use tinmesh_core::name::NodeName;

use super::Daemon;
use super::traffic::inside;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that is a test.
pub(crate) struct RawNode {
    pub(crate) name: String,
    stream: TcpStream,
    sptps: Stream,
    rng: Rng,
    input: Vec<u8>,
    /// The other end's ACK, as it came.
    pub(crate) ack: String,
}

/// A connection on which nothing has been said.
pub(crate) fn dial(daemon: &Daemon) -> TcpStream {
    let stream = inside(&daemon.namespace, || TcpStream::connect("127.0.0.1:655")).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a valid time");
    stream
}

/// What comes within half a second.
pub(crate) fn hear(stream: &mut TcpStream) -> Vec<u8> {
    let (start, mut heard) = (Instant::now(), Vec::new());
    let mut buffer = [0; 4096];
    while start.elapsed() < Duration::from_millis(500) {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => heard.extend_from_slice(&buffer[..len]),
            Err(error) if is_passing(&error) => {}
            Err(_) => break,
        }
    }
    heard
}

fn key_of(name: &str) -> SecretKey {
    SecretKey::from_seed(&[name.as_bytes()[0]; 32])
}

/// Makes a daemon accept raw nodes of this name.
pub(crate) fn introduce(daemon: &Daemon, name: &str) {
    let line = format!("Ed25519PublicKey = {}\n", key_of(name).public().to_base64());
    fs::write(daemon.host_file(name), line).expect("the directory is there");
}

impl RawNode {
    /// Logs in as `name`; its ACK is `4 WORDS`. Nothing more has been said then.
    pub(crate) fn log_in(daemon: &Daemon, name: &str, words: &str) -> Self {
        let mut stream = dial(daemon);
        stream.write_all(format!("0 {name} 17.7\n").as_bytes()).expect("it reads");
        let mut input = Vec::new();
        let start = Instant::now();
        let id = loop {
            if let Some(end) = input.iter().position(|&byte| byte == b'\n') {
                break input.drain(..=end).collect::<Vec<u8>>();
            }
            assert!(start.elapsed() < PATIENCE, "no ID came");
            read_more(&mut stream, &mut input);
        };
        assert_eq!(String::from_utf8_lossy(&id), format!("0 {} 17.7\n", daemon.name));
        let host = fs::read_to_string(daemon.host_file(&daemon.name)).expect("it was made");
        let public = host.lines().find_map(|line| line.strip_prefix("Ed25519PublicKey = ")).expect("it has a key");
        let node = |name: &str| NodeName::parse(name).expect("a name");
        let params = Params {
            role: Role::Initiator,
            key: key_of(name),
            peer: PublicKey::from_base64(public).expect("a key"),
            label: meta_label(&node(name), &node(&daemon.name)),
        };
        let mut rng = Rng::from_seed([7; 32]);
        let (sptps, output) = Stream::new(params, &mut rng);
        stream.write_all(&output).expect("it reads");
        let mut raw = Self { name: name.to_owned(), stream, sptps, rng, input, ack: String::new() };
        raw.ack = raw.expect("4 ");
        raw.say(&format!("4 {words}"));
        raw
    }

    /// Logs in, and makes itself reachable.
    pub(crate) fn join(daemon: &Daemon, name: &str) -> Self {
        let mut raw = Self::log_in(daemon, name, "655 1 700000c");
        raw.say(&format!("12 e {name} {} 127.0.0.1 655 700000c 1", daemon.name));
        raw
    }

    /// Sends one request.
    pub(crate) fn say(&mut self, text: &str) {
        self.say_record(format!("{text}\n").as_bytes());
    }

    /// Sends one record.
    pub(crate) fn say_record(&mut self, record: &[u8]) {
        let bytes = self.sptps.seal(0, record).expect("the handshake is done");
        // Whether it is still read is what the test finds out.
        let _ = self.stream.write_all(&bytes);
    }

    /// Sends bytes outside the records.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// The next request; `None` if nothing comes in time, or the connection is over.
    fn next(&mut self, patience: Duration) -> Option<String> {
        let start = Instant::now();
        loop {
            while !self.input.is_empty() {
                let (used, event) = self.sptps.feed(&self.input, &mut self.rng).expect("it speaks SPTPS");
                let output = self.sptps.take_output();
                let _ = self.stream.write_all(&output);
                self.input.drain(..used);
                match event {
                    Some(StreamEvent::Record { data, .. }) => {
                        return Some(String::from_utf8_lossy(&data).trim_end_matches('\n').to_owned());
                    }
                    None if used == 0 => break,
                    None | Some(StreamEvent::Handshake | StreamEvent::Done) => {}
                }
            }
            if start.elapsed() > patience || !read_more(&mut self.stream, &mut self.input) {
                return None;
            }
        }
    }

    /// Reads until a request begins so.
    #[track_caller]
    pub(crate) fn expect(&mut self, start: &str) -> String {
        self.until(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("{} hears nothing like {start:?}", self.name))
    }

    /// Reads until a request has these words behind its nonce.
    #[track_caller]
    pub(crate) fn expect_fact(&mut self, kind: &str, words: &str) -> String {
        let told = self.until(|line| fact(line) == Some((kind, words)));
        told.unwrap_or_else(|| panic!("{} is not told {kind} {words}", self.name))
    }

    /// All that comes up to and without this very request.
    #[track_caller]
    pub(crate) fn all_before(&mut self, marker: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.next(PATIENCE) {
                Some(line) if line == marker => return lines,
                Some(line) => lines.push(line),
                None => panic!("{} does not hear {marker:?}, but {lines:?}", self.name),
            }
        }
    }

    fn until(&mut self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            let line = self.next(PATIENCE)?;
            if fits(&line) {
                return Some(line);
            }
        }
        None
    }

    /// Whether the other end closes the connection.
    pub(crate) fn is_ended(&mut self) -> bool {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            if !read_more(&mut self.stream, &mut self.input) {
                return true;
            }
            self.input.clear();
        }
        false
    }

    /// Whether requests are still answered.
    pub(crate) fn lives(&mut self) -> bool {
        self.say("8");
        self.until(|line| line == "9").is_some()
    }
}

/// Kind and words of a request with a nonce.
fn fact(line: &str) -> Option<(&str, &str)> {
    let (kind, rest) = line.split_once(' ')?;
    Some((kind, rest.split_once(' ')?.1))
}

/// False if the connection is over.
fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>) -> bool {
    let mut buffer = [0; 4096];
    match stream.read(&mut buffer) {
        Ok(0) => false,
        Ok(len) => {
            input.extend_from_slice(&buffer[..len]);
            true
        }
        Err(error) => is_passing(&error),
    }
}

/// Nothing came in time, or a signal did.
pub(super) fn is_passing(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
