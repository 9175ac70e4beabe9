//! `Agreement`: what this node and a peer use of what goes beyond tinc.

use std::time::Duration;

use crate::time::Instant;
use crate::wire::endpoint::Endpoints;
use crate::wire::hello::{Features, Hello};

/// A hello that is not answered is repeated after so long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Hellos of one session; without an answer it goes on as with tinc.
const MOST_HELLOS: u8 = 4;

/// Where the agreement with a peer stands, for one session.
#[derive(Debug, Default)]
pub struct Agreement {
    /// The hello that waits for its answer.
    pub asked: Option<Hello>,
    /// When one was last sent or heard.
    pub last: Option<Instant>,
    /// Whether both sides agreed.
    pub done: bool,
    /// On what.
    pub features: Features,
    /// Where routers pass datagrams on to the peer, as it has said since.
    pub mapped: Endpoints,
    /// How long the peer lets the path be silent, as it has said since.
    pub keepalive: Option<Duration>,
    sent: u8,
}

impl Agreement {
    /// Whether a hello is due now.
    pub fn is_due(&self, now: Instant) -> bool {
        let waits = self.last.is_some_and(|last| now.since(last) < PATIENCE);
        !self.done && !waits && self.sent < MOST_HELLOS
    }

    /// A hello that is not answered is due at once.
    pub fn ask_again(&mut self) {
        if !self.done {
            self.last = None;
        }
    }

    /// A hello is sent, and waits for its answer.
    pub fn note_asked(&mut self, hello: Hello, now: Instant) {
        self.sent += 1;
        self.last = Some(now);
        self.asked = Some(hello);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::base64;

    #[test]
    fn hellos_are_repeated_a_few_times_and_not_after_the_agreement() {
        let mut agreement = Agreement::default();
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
        let hello = Hello::decode(&base64::encode(&[&[1], &[0; 64][..]].concat())).unwrap();
        let mut sent = 0;
        for second in (0..60).map(at) {
            if agreement.is_due(second) {
                agreement.note_asked(hello.clone(), second);
                sent += 1;
            }
        }
        assert_eq!(sent, MOST_HELLOS);

        let agreed = Agreement { done: true, ..Agreement::default() };
        assert!(!agreed.is_due(at(1)));
    }
}
