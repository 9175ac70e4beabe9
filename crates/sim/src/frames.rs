//! Frames that stations on the wires of switches send each other, and the account of where they came.
//!
//! A test frame has an Ethernet type that is set apart for experiments (IEEE 802, 0x88b5), the mark that may not be read
//! on the Internet, and its number.

use crate::internet::HostId;
use crate::traffic::MARK;

/// The address of a station.
pub type Mac = [u8; 6];

/// The address of every station.
pub const EVERYONE: Mac = [0xff; 6];
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const HEADER: usize = 14;
/// Shorter frames are not sent, in bytes.
const SHORTEST: usize = 60;
/// A frame that comes to one wire so often goes in a circle, whatever else happens.
const TOO_OFTEN: usize = 8;

/// A frame that somebody sent, and the wires on which it came out, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    from: HostId,
    source: Mac,
    destination: Mac,
    pub(crate) arrivals: Vec<HostId>,
}

impl Frame {
    /// One that has come nowhere yet.
    pub(crate) const fn new(from: HostId, source: Mac, destination: Mac) -> Self {
        Self { from, source, destination, arrivals: Vec::new() }
    }

    /// Its bytes, if it has this number.
    pub(crate) fn encode(&self, number: u32) -> Vec<u8> {
        let mut bytes = [self.destination, self.source].concat();
        bytes.extend_from_slice(&ETHERTYPE);
        bytes.extend_from_slice(MARK);
        bytes.extend_from_slice(&number.to_be_bytes());
        bytes.resize(SHORTEST, number.to_le_bytes()[0]);
        bytes
    }

    /// Notes that a wire was given this frame.
    ///
    /// # Panics
    /// If the frame is not as it was sent, came back to its own wire, or goes in a circle.
    pub(crate) fn arrive(&mut self, number: u32, host: HostId, bytes: &[u8]) {
        assert_eq!(bytes, self.encode(number), "frame {number} was damaged on its way to {host:?}");
        assert_ne!(host, self.from, "frame {number} came back to its own wire");
        self.arrivals.push(host);
        let times = self.arrivals.iter().filter(|wire| **wire == host).count();
        assert!(times < TOO_OFTEN, "frame {number} came to {host:?} {times} times");
    }
}

/// The number of a test frame; `None`: it is something else.
pub(crate) fn number(bytes: &[u8]) -> Option<u32> {
    let content = bytes.get(HEADER..)?.strip_prefix(MARK)?;
    if bytes[12..HEADER] != ETHERTYPE {
        return None;
    }
    content.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_frame_tells_its_number_and_others_have_none() {
        let frame = Frame::new(HostId(1), [2, 0, 0, 0, 0, 1], EVERYONE);
        assert_eq!(number(&frame.encode(70_000)), Some(70_000));
        for other in [&[0; 60][..], &[], &frame.encode(1)[..20]] {
            assert_eq!(number(other), None);
        }
    }

    #[test]
    #[should_panic(expected = "came back")]
    fn a_frame_that_comes_back_is_noticed() {
        let mut frame = Frame::new(HostId(1), [2, 0, 0, 0, 0, 1], EVERYONE);
        let bytes = frame.encode(0);
        frame.arrive(0, HostId(1), &bytes);
    }
}
