//! Following the daemon: its log and the packets that it routes (spec: cli B.7).

use std::io::{self, IsTerminal as _, Write};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Result;
use tinmesh_os::signals::Interrupts;

use super::Tool;
use crate::cli::tincd::lenient_number;
use crate::control::request::ControlRequest;

/// Snapshot length that the header of a capture names when none was asked for, in bytes.
const DEFAULT_SNAP_LEN: u32 = 9018;

/// Copies log lines until the daemon ends, the user interrupts or nobody reads.
pub(super) fn log(tool: &Tool<'_>, level: Option<&str>, out: &mut dyn Write) -> Result<()> {
    let request = ControlRequest::Log {
        level: level.map_or(-1, lenient_number),
        colour: tool.colour.unwrap_or_else(|| io::stdout().is_terminal() && crate::user::colour_wanted()),
    };
    let print = |line: &[u8]| out.write_all(&[line, b"\n"].concat()).and_then(|()| out.flush()).is_ok();
    let mut client = tool.connect()?;
    let interrupts = Interrupts::hold()?;
    if client.follow(&request, Some(&interrupts), print)? {
        eprintln!();
    }
    Ok(())
}

/// Copies packets, as a capture file, until the daemon ends or nobody reads; each is written out at once, so that an
/// interrupt may end the program anywhere.
pub(super) fn pcap(tool: &Tool<'_>, snap_len: Option<&str>, out: &mut dyn Write) -> Result<()> {
    let snap_len = snap_len.and_then(|text| u32::try_from(lenient_number(text)).ok()).unwrap_or(0);
    let mut client = tool.connect()?;
    out.write_all(&capture_header(if snap_len == 0 { DEFAULT_SNAP_LEN } else { snap_len }))?;
    out.flush()?;
    // Whole packets are asked for and cut here: a daemon does not tell how long they were.
    client.follow(&ControlRequest::Pcap { snap_len: 0 }, None, |packet| {
        let arrival = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let record = capture_record(packet, snap_len, arrival);
        out.write_all(&record).and_then(|()| out.flush()).is_ok()
    })?;
    Ok(())
}

/// A packet with its record header: time, length here, length on its way.
fn capture_record(packet: &[u8], snap_len: u32, arrival: Duration) -> Vec<u8> {
    let limit = if snap_len == 0 { DEFAULT_SNAP_LEN } else { snap_len };
    let shown = packet.get(..usize::try_from(limit).unwrap_or(usize::MAX)).unwrap_or(packet);
    let seconds = u32::try_from(arrival.as_secs()).unwrap_or(u32::MAX);
    let [kept, whole] = [shown, packet].map(|bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    let mut record = [seconds, arrival.subsec_micros(), kept, whole].map(u32::to_ne_bytes).concat();
    record.extend_from_slice(shown);
    record
}

/// Magic number, version 2.4, no zone, no accuracy, snapshot length, Ethernet.
fn capture_header(snap_len: u32) -> Vec<u8> {
    let version = [2_u16, 4].map(u16::to_ne_bytes).concat();
    let mut header = 0xa1b2_c3d4_u32.to_ne_bytes().to_vec();
    header.extend_from_slice(&version);
    header.extend_from_slice(&[0, 0, snap_len, 1].map(u32::to_ne_bytes).concat());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capture_starts_with_the_header_of_an_ethernet_capture() {
        let header = capture_header(96);
        assert_eq!(header.len(), 24);
        assert_eq!(header[16..20], 96_u32.to_ne_bytes());
        assert_eq!(header[20..], 1_u32.to_ne_bytes());
    }

    #[test]
    fn a_record_keeps_the_length_that_the_packet_had() {
        let record = capture_record(&[7; 100], 60, Duration::from_micros(5_000_001));
        let head = [5_u32, 1, 60, 100].map(u32::to_ne_bytes).concat();
        assert_eq!((&record[..16], record.len()), (&head[..], 76));
        assert_eq!(capture_record(&[7; 100], 0, Duration::ZERO).len(), 116);
    }
}
