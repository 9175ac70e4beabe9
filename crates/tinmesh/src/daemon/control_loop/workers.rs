//! What workers tell the loop.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering::Relaxed;

use tinmesh_core::node::io::Input;

use super::{ControlLoop, now};
use crate::daemon::shared::{CAPTURE_QUEUE, FromWorker};

/// Words of workers handled before sockets get their turn: fewer bytes than may wait on a connection.
const WORDS_TURN: usize = 64;

impl ControlLoop {
    /// Takes what workers told, a bounded number of words in one turn.
    pub(super) fn hear_workers(&mut self) -> io::Result<()> {
        if let Some(cause) = self.shared.failure.get() {
            return Err(io::Error::new(cause.kind(), format!("the network device failed: {cause}")));
        }
        for _ in 0..CAPTURE_QUEUE {
            let Ok(frames) = self.captured.try_recv() else { break };
            self.show(&frames);
        }
        for count in 0..=WORDS_TURN {
            if count == WORDS_TURN {
                self.shared.control.wake();
                break;
            }
            match self.words.try_recv() {
                Ok(word) => self.on_word(&word),
                Err(_) => break,
            }
        }
        // Once for all: what many packets add to a connection is written together.
        self.drain(VecDeque::new());
        Ok(())
    }

    fn on_word(&mut self, word: &FromWorker) {
        let input = match word {
            FromWorker::Punt { punt, payload } => Input::Punt { punt: *punt, payload },
            FromWorker::Learnt(mac) => Input::Learnt(*mac),
            FromWorker::TooBig { to, datagram } => Input::TooBig { to: *to, datagram, missed: true },
        };
        self.node.handle(now(), input);
    }

    /// Shows frames to the clients that watch packets.
    pub(super) fn show(&mut self, frames: &[Box<[u8]>]) {
        for frame in frames {
            self.control.publish_packet(frame, &self.poller);
        }
    }

    /// Has packets copied while somebody watches.
    pub(super) fn follow_packets(&mut self) {
        let wanted = self.control.captures();
        if self.shared.captures.swap(wanted, Relaxed) != wanted {
            self.tell(Input::Capture(wanted));
        }
    }
}
