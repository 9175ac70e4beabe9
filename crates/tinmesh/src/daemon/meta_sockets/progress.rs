//! Connections whose segments have become too long for their path, which says nothing of it.
//!
//! The system sends what is lost again in segments as long as before, without end. Connections that are made then, also by
//! those who call, have segments that fit wherever IP works.

use std::time::Duration;

use tinmesh_core::name::ConnId;
use tinmesh_core::time::Instant;
use tinmesh_os::tcp;

use super::{MetaSockets, Stream};

/// Sent again in vain so often: stuck. The first two pauses are at least 0.2 and 0.4 seconds (RFC 6298, in Linux).
const REPEATED: u8 = 2;
/// Segments in bytes on a path that may be narrow: packets of IPv4 then have less than 560.
const SHORT_SEGMENT: u32 = 480;
/// How long new connections have short segments after one was stuck.
const CAUTION: Duration = Duration::from_secs(600);

/// What was found out of all connections.
#[derive(Debug, Default)]
pub struct Progress {
    /// Those that have become stuck.
    pub stuck: Vec<ConnId>,
    /// Whether any waits for a confirmation.
    pub waits: bool,
}

impl MetaSockets {
    /// Looks how what was sent gets on.
    pub fn look(&mut self, now: Instant) -> Progress {
        let mut found = Progress::default();
        for (&conn, meta) in self.metas.iter_mut().filter(|(_, meta)| !meta.connecting) {
            let Stream::Tcp(stream) = &meta.stream else { continue };
            let Ok(progress) = tcp::progress(stream) else { continue };
            let stuck = progress.repeated >= REPEATED;
            if stuck && !meta.stuck {
                found.stuck.push(conn);
            }
            meta.stuck = stuck;
            found.waits |= progress.waits;
        }
        if self.narrow.take_if(|until| *until <= now).is_some() {
            self.limit(0);
        }
        found
    }

    /// Connections that are made in the next ten minutes have short segments.
    pub fn be_cautious(&mut self, now: Instant) {
        self.narrow = Some(now + CAUTION);
        self.limit(SHORT_SEGMENT);
    }

    /// Gives connections from now on segments of at most so many bytes; 0: no limit.
    fn limit(&mut self, segment: u32) {
        self.outgoing.options.segment = Some(segment).filter(|&segment| segment != 0);
        for listener in &self.listeners {
            // A system that cannot do this has nothing better either.
            tcp::limit_segments(listener, segment).ok();
        }
    }
}
