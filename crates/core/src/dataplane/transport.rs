//! Where TCP and UDP headers have what (RFC 9293, 768), in bytes from their start.

/// Length of a TCP header without options.
pub(super) const TCP_HEADER: usize = 20;
/// Where a TCP header has its sequence number.
pub(super) const TCP_SEQUENCE: usize = 4;
/// Where a TCP header has its length, in the upper four bits.
pub(super) const TCP_OFFSET: usize = 12;
/// Where a TCP header has its flags.
pub(super) const TCP_FLAGS: usize = 13;
/// Where a TCP header has its checksum.
pub(super) const TCP_CHECKSUM: usize = 16;
/// TCP flag: nothing follows.
pub(super) const FIN: u8 = 0x01;
/// TCP flag: a connection begins.
pub(super) const SYN: u8 = 0x02;
/// TCP flag: the receiver is to be told at once.
pub(super) const PSH: u8 = 0x08;
/// Length of a UDP header.
pub(super) const UDP_HEADER: usize = 8;
/// Where a UDP header has the length of itself and its data.
pub(super) const UDP_LENGTH: usize = 4;
/// Where a UDP header has its checksum; 0: there is none.
pub(super) const UDP_CHECKSUM: usize = 6;
