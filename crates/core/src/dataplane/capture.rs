//! Copies of packets for whoever watches: all that enter routing, from the device or from a peer (spec: cli C.4).

use crate::packet::ETHERNET_HEADER;

/// Copies that may wait to be taken; more are lost.
const MAX_WAITING: usize = 256;
/// EtherType of IPv4.
const V4: [u8; 2] = [0x08, 0x00];
/// EtherType of IPv6.
const V6: [u8; 2] = [0x86, 0xdd];

/// Copies of packets as Ethernet frames. Nothing is copied unless somebody watches.
#[derive(Debug, Default)]
pub struct Capture {
    on: bool,
    frames: Vec<Box<[u8]>>,
}

impl Capture {
    /// Starts copying, or stops it.
    pub fn set(&mut self, on: bool) {
        self.on = on;
        if !on {
            self.frames = Vec::new();
        }
    }

    /// What was copied since this was asked last.
    pub fn take(&mut self) -> impl Iterator<Item = Box<[u8]>> {
        self.frames.drain(..)
    }

    /// Takes a copy; an IP packet without Ethernet header gets one without addresses.
    pub(super) fn note(&mut self, payload: &[u8], has_header: bool) {
        if !self.on || self.frames.len() >= MAX_WAITING {
            return;
        }
        let mut frame = Vec::with_capacity(ETHERNET_HEADER + payload.len());
        if !has_header {
            let kind = if payload.first().is_some_and(|byte| byte >> 4 == 6) { V6 } else { V4 };
            frame.extend_from_slice(&[0; ETHERNET_HEADER - 2]);
            frame.extend_from_slice(&kind);
        }
        frame.extend_from_slice(payload);
        self.frames.push(frame.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_copied_unless_somebody_watches() {
        let mut capture = Capture::default();
        capture.note(&[0x45; 20], false);
        assert_eq!(capture.take().count(), 0);

        capture.set(true);
        capture.note(&[0x45; 20], false);
        capture.set(false);

        assert_eq!(capture.take().count(), 0);
    }

    #[test]
    fn an_ip_packet_gets_an_ethernet_header_and_a_frame_keeps_its_own() {
        let mut capture = Capture::default();
        capture.set(true);
        capture.note(&[0x60; 40], false);
        capture.note(&[7; 60], true);

        let frames: Vec<_> = capture.take().collect();

        assert_eq!((frames[0].len(), &frames[0][..15]), (54, [&[0; 12][..], &V6, &[0x60]].concat().as_slice()));
        assert_eq!(*frames[1], [7; 60]);
    }

    #[test]
    fn copies_that_nobody_takes_are_bounded() {
        let mut capture = Capture::default();
        capture.set(true);
        (0..1_000).for_each(|_| capture.note(&[0x45; 20], false));
        assert_eq!(capture.take().count(), MAX_WAITING);
    }
}
