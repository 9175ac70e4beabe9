//! Packets for clients that watch them: copies of the workers and of the node (spec: cli C.4).

use std::sync::atomic::Ordering::Relaxed;

use crate::daemon::control_loop::ControlLoop;

/// Copies handed on before others get their turn.
const TURN: usize = 256;

impl ControlLoop {
    /// Hands copies of packets to those who watch, and tells whether there is anyone.
    pub(super) fn publish_frames(&mut self) {
        for count in 0..=TURN {
            if count == TURN {
                self.shared.control.wake();
                break;
            }
            let Ok(frame) = self.frames.try_recv() else { break };
            self.control.publish_frame(&frame, &self.poller);
        }
        for frame in self.node.capture().take() {
            self.control.publish_frame(&frame, &self.poller);
        }
        let watched = self.control.is_watched();
        self.node.capture().set(watched);
        self.shared.watched.store(watched, Relaxed);
    }
}
