//! `Timers` and `Wake`: every reason for which a node wakes.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{ConnId, PeerId};
use crate::time::Instant;

/// A reason to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wake {
    /// A connection must be pinged, or has been silent or unfinished for too long.
    Check(ConnId),
    /// An outgoing connection is tried again.
    Retry(PeerId),
    /// AutoConnect and the watch for a second node of our name.
    Periodic,
    /// Received requests are forgotten.
    ForgetSeen,
    /// Edges of ours that changed twice are told again.
    Repeat,
    /// Routes are computed that had to wait.
    Routes,
    /// What members may send is compiled, which had to wait.
    Gate,
    /// Stations that are silent are forgotten.
    Ageing,
    /// Sessions are rekeyed.
    KeyExpire,
    /// A tunnel needs keys, probes or keep-alives.
    Attend(PeerId),
    /// An attempt to get through NATs goes on.
    Punch,
    /// An attempt to open a connection from both ends goes on.
    Meet,
    /// Others have had time to say where they see this node.
    Examined,
    /// Statements begin or end.
    Trust,
    /// Statements are to be said again, or reconciled.
    Statements,
    /// Statements are to be kept on disk.
    KeepStatements,
    /// A peer wants an answer now that it asked for earlier.
    Late(PeerId),
    /// UDP to a peer has not been answered for too long.
    UdpSilent(PeerId),
}

/// When to wake, and why; each reason has at most one time.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Instant, Wake)>,
    due: BTreeMap<Wake, Instant>,
}

impl Timers {
    /// Sets or moves the time of `wake`.
    pub(crate) fn set(&mut self, wake: Wake, at: Instant) {
        self.cancel(wake);
        self.due.insert(wake, at);
        self.queue.insert((at, wake));
    }

    /// Sets the time of `wake` unless it is due earlier anyway.
    pub(crate) fn set_earlier(&mut self, wake: Wake, at: Instant) {
        if self.due.get(&wake).is_none_or(|&due| due > at) {
            self.set(wake, at);
        }
    }

    /// Forgets `wake`.
    pub(crate) fn cancel(&mut self, wake: Wake) {
        if let Some(at) = self.due.remove(&wake) {
            self.queue.remove(&(at, wake));
        }
    }

    /// Whether `wake` has a time.
    pub(crate) fn is_set(&self, wake: Wake) -> bool {
        self.due.contains_key(&wake)
    }

    /// The next time.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.queue.first().map(|&(at, _)| at)
    }

    /// Takes the first reason that is due.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Wake> {
        let &(at, wake) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.cancel(wake);
        Some(wake)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_fires_once_at_its_last_time() {
        let mut timers = Timers::default();
        timers.set(Wake::Periodic, Instant::from_micros(5));
        timers.set(Wake::Periodic, Instant::from_micros(9));
        timers.set_earlier(Wake::Periodic, Instant::from_micros(12));
        assert_eq!(timers.next(), Some(Instant::from_micros(9)));
        assert_eq!(timers.pop(Instant::from_micros(8)), None);
        assert_eq!(timers.pop(Instant::from_micros(9)), Some(Wake::Periodic));
        assert_eq!(timers.pop(Instant::from_micros(99)), None);
        assert!(!timers.is_set(Wake::Periodic));
    }
}
