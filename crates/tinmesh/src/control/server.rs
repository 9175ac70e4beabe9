//! The daemon's end of one control connection: bytes in, requests out; holds no socket.
//!
//! ```text
//!  Greeting ── right cookie ──► Open ── anything but a request ──► Closed
//!     └────── anything else ──► Dead (no answer, stays open)
//! ```
//!
//! Source: spec cli C.1, C.2.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::request::ControlRequest;

/// Longest line of a client, in bytes.
const MAX_LINE: usize = 2048;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Greeting,
    Open,
    Dead,
    Closed,
}

/// One client, as the daemon sees it.
pub struct ControlSession {
    cookie: Zeroizing<String>,
    state: State,
    line: Vec<u8>,
}

impl std::fmt::Debug for ControlSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlSession").field("state", &self.state).finish_non_exhaustive()
    }
}

impl ControlSession {
    /// A client that has said nothing yet; `cookie` is that of the pid file.
    pub fn new(cookie: &str) -> Self {
        Self { cookie: Zeroizing::new(cookie.to_owned()), state: State::Greeting, line: Vec::new() }
    }

    /// Takes bytes, cut anywhere, and tells what they ask for, in order. Look at [`is_closed`](Self::is_closed) after
    /// having answered.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<ControlRequest> {
        let mut requests = Vec::new();
        for &byte in bytes {
            match self.state {
                State::Dead | State::Closed => break,
                State::Greeting | State::Open => {}
            }
            if byte == b'\n' {
                let line = std::mem::take(&mut self.line);
                requests.extend(self.on_line(&String::from_utf8_lossy(&line)));
            } else if self.line.len() < MAX_LINE {
                self.line.push(byte);
            } else {
                self.fail();
            }
        }
        requests
    }

    /// Whether the cookie was shown: only such clients count, and only they are listed.
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether the connection is to be closed once all answers are written.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    fn fail(&mut self) {
        self.line = Vec::new();
        self.state = if self.state == State::Greeting { State::Dead } else { State::Closed };
    }

    fn on_line(&mut self, line: &str) -> Option<ControlRequest> {
        if self.state == State::Greeting {
            return self.on_greeting(line);
        }
        let request = ControlRequest::parse(line).ok();
        if request.is_none() {
            self.fail();
        }
        request
    }

    fn on_greeting(&mut self, line: &str) -> Option<ControlRequest> {
        let words: Vec<&str> = line.split_ascii_whitespace().take(3).collect();
        let [first, shown, version] = words[..] else {
            self.fail();
            return None;
        };
        let shown = shown.strip_prefix('^').unwrap_or_default();
        let known = bool::from(shown.as_bytes().ct_eq(self.cookie.as_bytes()));
        let (major, minor) = version.split_once('.').map_or((version, None), |(major, minor)| (major, Some(minor)));
        if first != "0" || !known || self.cookie.is_empty() || major.parse::<u32>().is_err() {
            self.fail();
            return None;
        }
        // A version with a minor part is a peer's, not a client's: tinc answers it and hangs up.
        self.state = if minor.is_none() { State::Open } else { State::Closed };
        Some(ControlRequest::Greeting)
    }
}

/// The answer to a right cookie.
pub fn greeting_reply(name: &str, pid: u32) -> String {
    format!("0 {name} 17.7\n4 0 {pid}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COOKIE: &str = "59EF65D5CC59EF65D5CC59EF65D5CC59EF65D5CC59EF65D5CC59EF65D5CCD5CC";

    fn open() -> ControlSession {
        let mut session = ControlSession::new(COOKIE);
        assert_eq!(session.feed(format!("0 ^{COOKIE} 0\n").as_bytes()), [ControlRequest::Greeting]);
        session
    }

    #[test]
    fn the_right_cookie_opens_the_session() {
        assert!(open().is_open());
        assert_eq!(greeting_reply("alice", 4789), "0 alice 17.7\n4 0 4789\n");
    }

    #[test]
    fn requests_are_read_from_bytes_that_are_cut_anywhere() {
        let mut session = ControlSession::new(COOKIE);
        let bytes = format!("0 ^{COOKIE} 0\n18 3\n18 12 bob\n");

        let requests: Vec<_> = bytes.as_bytes().chunks(3).flat_map(|chunk| session.feed(chunk)).collect();

        let bob = ControlRequest::Disconnect(Some("bob".to_owned()));
        assert_eq!(requests, [ControlRequest::Greeting, ControlRequest::Nodes, bob]);
    }

    #[test]
    fn a_wrong_greeting_is_met_with_silence_for_ever() {
        let lines = [
            "0 ^00 0".to_owned(),
            format!("0 {COOKIE} 0"),
            format!("1 ^{COOKIE} 0"),
            format!("0 ^{COOKIE}"),
            format!("0 ^{COOKIE} x"),
            "18 3".to_owned(),
            "0 ^ 0".to_owned(),
        ];
        for line in lines {
            let mut session = ControlSession::new(COOKIE);
            assert_eq!(session.feed(format!("{line}\n0 ^{COOKIE} 0\n18 3\n").as_bytes()), [], "{line}");
            assert_eq!(session.state, State::Dead, "{line}");
        }
    }

    #[test]
    fn a_daemon_without_a_cookie_lets_nobody_in() {
        let mut session = ControlSession::new("");
        assert_eq!(session.feed(b"0 ^ 0\n18 0\n"), []);
        assert_eq!(session.state, State::Dead);
    }

    #[test]
    fn a_minor_version_is_answered_and_closed() {
        let mut session = ControlSession::new(COOKIE);
        assert_eq!(session.feed(format!("0 ^{COOKIE} 17.7\n18 3\n").as_bytes()), [ControlRequest::Greeting]);
        assert!(session.is_closed());
    }

    #[test]
    fn garbage_after_the_greeting_closes_the_session() {
        let mut session = open();
        assert_eq!(session.feed(b"18 3\nhello\n18 4\n"), [ControlRequest::Nodes]);
        assert!(session.is_closed());
    }

    #[test]
    fn a_line_without_an_end_closes_the_session_and_is_forgotten() {
        let mut session = open();
        assert_eq!(session.feed(&vec![b'1'; 10_000]), []);
        assert!(session.is_closed());
        assert_eq!(session.line.capacity(), 0);
    }

    proptest! {
        #[test]
        fn no_bytes_make_a_session_panic_or_grow(chunks: Vec<Vec<u8>>, greeted: bool) {
            let mut session = if greeted { open() } else { ControlSession::new(COOKIE) };
            for chunk in chunks {
                let _ = session.feed(&chunk);
                prop_assert!(session.line.len() <= MAX_LINE);
            }
        }
    }
}
