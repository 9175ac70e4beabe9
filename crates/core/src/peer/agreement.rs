//! `Agreement`: what this node and a peer use of what goes beyond tinc.

use std::time::Duration;

use crate::time::Instant;
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
    /// What both use.
    pub features: Features,
    sent: u8,
}

impl Agreement {
    /// Whether a hello is due now; then it counts as sent.
    pub fn take_turn(&mut self, now: Instant) -> bool {
        let waits = self.last.is_some_and(|last| now.since(last) < PATIENCE);
        if self.done || waits || self.sent >= MOST_HELLOS {
            return false;
        }
        self.sent += 1;
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hellos_are_repeated_a_few_times_and_not_after_the_agreement() {
        let mut agreement = Agreement::default();
        let at = |seconds: u64| Instant::from_micros(seconds * 1_000_000);
        let sent = (0..60).filter(|second| agreement.take_turn(at(*second))).count();
        assert_eq!(sent, usize::from(MOST_HELLOS));

        let mut agreed = Agreement { done: true, ..Agreement::default() };
        assert!(!agreed.take_turn(at(1)));
    }
}
