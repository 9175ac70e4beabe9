//! A client that speaks the protocol of tinc 1.0 line by line, so that a test decides every word.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::Role;
use tinmesh_core::legacy::link::{Link, Proof};
use tinmesh_core::legacy::rsa::{PrivateKey, PublicKey};

use super::Daemon;
use super::raw::dial;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A node that is a test. Nothing but the greetings was said at first.
pub(crate) struct RawOld {
    stream: TcpStream,
    link: Link,
    key: PrivateKey,
    rng: Rng,
    /// Bytes that came and were not yet read.
    input: Vec<u8>,
    /// The METAKEY request that this node has for the daemon.
    pub(crate) own_meta_key: Vec<u8>,
    /// The daemon's.
    pub(crate) meta_key: String,
}

fn key_of(name: &str) -> PrivateKey {
    PrivateKey::generate(1024, &mut Rng::from_seed([name.as_bytes()[0]; 32])).expect("a proper size")
}

/// Makes a daemon accept raw nodes of this name.
pub(crate) fn introduce(daemon: &Daemon, name: &str) {
    fs::write(daemon.host_file(name), key_of(name).public().to_file()).expect("the directory is there");
}

impl RawOld {
    /// Says its name, and hears the daemon's, and METAKEY.
    pub(crate) fn greet(daemon: &Daemon, name: &str) -> Self {
        let mut stream = dial(daemon);
        stream.write_all(format!("0 {name} 17\n").as_bytes()).expect("it reads");
        let host = fs::read_to_string(daemon.host_file(&daemon.name)).expect("it was made");
        let peer = PublicKey::parse_file(&host).expect("it has an RSA key");
        let mut rng = Rng::from_seed([7; 32]);
        let (link, own_meta_key) = Link::start(Role::Initiator, peer, false, &mut rng).expect("the key is long enough");
        let (input, meta_key) = (Vec::new(), String::new());
        let mut raw = Self { stream, link, key: key_of(name), rng, input, own_meta_key, meta_key };
        assert_eq!(raw.clear_line(), format!("0 {} 17.7", daemon.name));
        raw.meta_key = raw.clear_line();
        raw
    }

    /// Proves who it is, and says `4 WORDS`.
    pub(crate) fn log_in(daemon: &Daemon, name: &str, words: &str) -> Self {
        let mut raw = Self::greet(daemon, name);
        raw.exchange_challenges();
        let challenge = raw.next(PATIENCE).expect("a challenge");
        raw.prove(&challenge);
        let reply = raw.next(PATIENCE).expect("a reply");
        raw.prove(&reply);
        raw.expect("4 ");
        raw.say(&format!("4 {words}"));
        raw
    }

    /// Sends METAKEY and CHALLENGE.
    pub(crate) fn exchange_challenges(&mut self) {
        let meta_key = std::mem::take(&mut self.own_meta_key);
        self.say_raw(&meta_key);
        let theirs = self.meta_key.clone();
        self.prove(&theirs);
    }

    /// Takes a line of the authentication and sends what answers it.
    pub(crate) fn prove(&mut self, line: &str) {
        let proof = Proof { key: &self.key, weak: false, rng: &mut self.rng };
        let progress = self.link.on_request(line.as_bytes(), proof).expect("the daemon is right");
        self.say_raw(&progress.send);
    }

    /// Sends one request, encrypted.
    pub(crate) fn say(&mut self, text: &str) {
        let sealed = self.link.seal(format!("{text}\n").as_bytes()).expect("little was said");
        self.say_raw(&sealed);
    }

    /// Sends bytes as they are. Whether they are still read is what the test finds out.
    pub(crate) fn say_raw(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    fn clear_line(&mut self) -> String {
        let start = Instant::now();
        loop {
            if let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.input.drain(..=end).collect();
                return String::from_utf8_lossy(&line).trim_end().to_owned();
            }
            assert!(start.elapsed() < PATIENCE, "no line came");
            self.read();
        }
    }

    /// The next line, without the packet that may follow it; `None` if none comes in time, or the connection is over.
    pub(crate) fn next(&mut self, patience: Duration) -> Option<String> {
        let start = Instant::now();
        loop {
            if self.link.is_encrypted() && !self.input.is_empty() {
                self.link.receive(&std::mem::take(&mut self.input)).expect("little was said");
            }
            if let Some(line) = self.take_line() {
                return Some(line);
            }
            if start.elapsed() > patience || !self.read() {
                return None;
            }
        }
    }

    fn take_line(&mut self) -> Option<String> {
        let rest = self.link.rest();
        let end = rest.iter().position(|&byte| byte == b'\n')?;
        let line = String::from_utf8_lossy(&rest[..end]).into_owned();
        let packet: usize = line.strip_prefix("17 ").map_or(0, |len| len.parse().expect("a length"));
        if rest.len() < end + 1 + packet {
            return None;
        }
        self.link.take(end + 1 + packet);
        Some(line)
    }

    /// Reads until a request begins so.
    #[track_caller]
    pub(crate) fn expect(&mut self, start: &str) -> String {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            match self.next(PATIENCE) {
                Some(line) if line.starts_with(start) => return line,
                Some(_) => {}
                None => break,
            }
        }
        panic!("it hears nothing like {start:?}")
    }

    /// What comes within half a second after the greetings, as it comes.
    pub(crate) fn hear(&mut self) -> Vec<u8> {
        let mut heard = std::mem::take(&mut self.input);
        heard.extend(super::raw::hear(&mut self.stream));
        heard
    }

    /// False if the connection is over.
    fn read(&mut self) -> bool {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(len) => {
                self.input.extend_from_slice(&buffer[..len]);
                true
            }
            Err(error) => super::raw::is_passing(&error),
        }
    }
}
