//! Copies of packets for whoever watches them (spec: routing 1, cli C.4).

use crate::dataplane::ethernet;
use crate::dataplane::fib::Mode;
use crate::dataplane::ip::Family;

/// Copies that wait to be taken; more are not made.
const ROOM: usize = 256;

/// The packets that entered routing while somebody watches. Nothing is copied while nobody does.
#[derive(Debug, Default)]
pub struct Capture {
    wanted: bool,
    frames: Vec<Box<[u8]>>,
}

impl Capture {
    /// Whether copies are wanted from now on.
    pub fn want(&mut self, wanted: bool) {
        self.wanted = wanted;
    }

    /// Whether copies are wanted.
    pub(super) const fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// The frames copied since the last time, in order.
    pub fn take(&mut self) -> Vec<Box<[u8]>> {
        std::mem::take(&mut self.frames)
    }

    /// Copies a packet, in router mode with a header in front whose addresses are zero.
    pub(super) fn note(&mut self, mode: Mode, packet: &[u8]) {
        if !self.wanted || self.frames.len() >= ROOM {
            return;
        }
        self.frames.push(match mode {
            Mode::Switch | Mode::Hub => packet.into(),
            Mode::Router => {
                let kind = match Family::of(packet) {
                    Some(Family::V6) => [0x86, 0xdd],
                    Some(Family::V4) | None => [0x08, 0x00],
                };
                [&ethernet::header([0; 6], [0; 6], kind), packet].concat().into()
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_copied_unless_wanted_and_no_more_than_there_is_room_for() {
        let mut capture = Capture::default();
        capture.note(Mode::Switch, &[1; 60]);
        assert!(capture.take().is_empty());

        capture.want(true);
        for _ in 0..ROOM + 1 {
            capture.note(Mode::Router, &[0x60; 40]);
        }
        let frames = capture.take();
        assert_eq!((frames.len(), frames[0].len(), &frames[0][12..15]), (ROOM, 54, &[0x86, 0xdd, 0x60][..]));
    }
}
