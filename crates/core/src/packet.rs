//! One packet: a buffer with room on both sides, so that headers and tags go in place.
//!
//! ```text
//!  HEADROOM                      payload                        TAILROOM
//! ┌──────────────────────────┬───────────────────────────────┬───────────┐
//! │ ids 12 · seq 4 · type 1  │ IP packet, or frame on TAP    │  tag 16   │
//! └──────────────────────────┴───────────────────────────────┴───────────┘
//! ```

/// Bytes kept free in front of a payload: ids 12, sequence number 4, type 1, and before them the 48
/// bytes by which an IPv6 packet grows that becomes an ICMPv6 error.
pub const HEADROOM: usize = 80;
/// Bytes kept free behind a payload: the tag.
pub const TAILROOM: usize = 32;
/// Largest frame the mesh carries, in bytes, counted from the Ethernet header (spec: datagrams 1).
pub const MAX_FRAME: usize = 1518;
/// Length of an Ethernet header, which all MTU figures of tinc include, in bytes.
pub const ETHERNET_HEADER: usize = 14;
/// Largest payload that a buffer receives, in bytes; a longer datagram is cut and then refused.
pub const CAPACITY: usize = 2048;

/// A packet and the room around it.
#[derive(Clone)]
pub struct Packet {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    unsummed: bool,
}

impl Default for Packet {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Packet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Packet").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Packet {
    /// An empty packet with [`CAPACITY`] bytes of space.
    pub fn new() -> Self {
        let buffer = vec![0; HEADROOM + CAPACITY + TAILROOM].into_boxed_slice();
        Self { buffer, start: HEADROOM, end: HEADROOM, unsummed: false }
    }

    /// A packet that holds a copy of `payload`, cut at [`CAPACITY`].
    pub fn from_payload(payload: &[u8]) -> Self {
        let mut packet = Self::new();
        packet.fill(payload);
        packet
    }

    /// Replaces the payload by a copy of `payload`, cut at [`CAPACITY`].
    pub fn fill(&mut self, payload: &[u8]) {
        let len = payload.len().min(CAPACITY);
        self.space()[..len].copy_from_slice(&payload[..len]);
        self.set_len(len);
    }

    /// Empties the packet and lends its [`CAPACITY`] bytes for reading into.
    pub fn space(&mut self) -> &mut [u8] {
        self.start = HEADROOM;
        self.end = HEADROOM;
        self.unsummed = false;
        &mut self.buffer[HEADROOM..HEADROOM + CAPACITY]
    }

    /// Says that the first `len` bytes of the space are the payload.
    pub fn set_len(&mut self, len: usize) {
        self.end = self.start + len.min(CAPACITY);
    }

    /// The payload.
    pub fn payload(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The payload, to change.
    pub fn payload_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.start..self.end]
    }

    /// Whether the checksum of TCP or UDP is still to be made: its field holds the sum of the pseudo header. Filling a packet
    /// makes it one with a whole checksum.
    pub const fn is_unsummed(&self) -> bool {
        self.unsummed
    }

    /// Says whether the checksum is still to be made.
    pub(crate) const fn set_unsummed(&mut self, unsummed: bool) {
        self.unsummed = unsummed;
    }

    /// Length of the payload in bytes.
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Whether there is no payload.
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Grows the payload at the front by `bytes`; `false`, and no change, without the room.
    #[must_use]
    pub fn push_front(&mut self, bytes: &[u8]) -> bool {
        let Some(start) = self.start.checked_sub(bytes.len()) else {
            return false;
        };
        self.buffer[start..self.start].copy_from_slice(bytes);
        self.start = start;
        true
    }

    /// Grows the payload at the back by `bytes`; `false`, and no change, without the room.
    #[must_use]
    pub fn push_back(&mut self, bytes: &[u8]) -> bool {
        let end = self.end + bytes.len();
        if end > self.buffer.len() {
            return false;
        }
        self.buffer[self.end..end].copy_from_slice(bytes);
        self.end = end;
        true
    }

    /// Drops the first `count` bytes of the payload, or all of it.
    pub fn drop_front(&mut self, count: usize) {
        self.start += count.min(self.len());
    }

    /// Cuts the payload to `len` bytes if it is longer.
    pub fn truncate(&mut self, len: usize) {
        self.end = self.end.min(self.start + len);
    }
}
