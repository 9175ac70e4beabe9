//! `Requests`: one question to the kernel and its answer, over a blocking netlink socket.

use std::io;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

/// The kernel never sends more at once.
pub(super) const BUFFER: usize = 65_536;
/// Length, type, flags, sequence number, port.
const HEADER_LEN: usize = 16;
/// How often a list is asked for again, because it changed while it was read.
const ATTEMPTS: usize = 4;

/// A socket for questions.
#[derive(Debug)]
pub(super) struct Requests {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Requests {
    pub(super) fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind_auto()?;
        socket.connect(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, sequence: 0, buffer: vec![0; BUFFER] })
    }

    /// Asks for a change.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(message, NLM_F_ACK | flags).map(|_| ())
    }

    /// Asks for one thing.
    pub(super) fn ask(&mut self, message: RouteNetlinkMessage) -> io::Result<RouteNetlinkMessage> {
        let (mut replies, _) = self.exchange(message, NLM_F_ACK)?;
        replies.pop().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    /// Asks for all things of a kind.
    pub(super) fn list(&mut self, message: &RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let (replies, changed) = self.exchange(message.clone(), NLM_F_DUMP)?;
            if !changed || attempts == ATTEMPTS {
                return Ok(replies);
            }
        }
    }

    fn exchange(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<(Vec<RouteNetlinkMessage>, bool)> {
        self.send(message, NLM_F_REQUEST | flags)?;
        let mut replies = Vec::new();
        let mut changed = false;
        loop {
            let len = receive(&self.socket, &mut self.buffer)?;
            let datagram = self.buffer.get(..len).unwrap_or_default();
            for (header, payload) in messages(datagram).filter(|(header, _)| header.sequence_number == self.sequence) {
                changed |= header.flags & NLM_F_DUMP_INTR != 0;
                if let NetlinkPayload::InnerMessage(reply) = payload {
                    replies.push(reply);
                } else if let Some(code) = end(&payload) {
                    return if code == 0 { Ok((replies, changed)) } else { Err(io::Error::from_raw_os_error(code)) };
                }
            }
        }
    }

    fn send(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        self.socket.send(&bytes, 0)?;
        Ok(())
    }
}

/// The error code, 0 for success, if this is the end of an answer.
const fn end<I>(payload: &NetlinkPayload<I>) -> Option<i32> {
    if let NetlinkPayload::Error(error) = payload {
        return Some(match error.code {
            Some(code) => code.get().saturating_neg(),
            None => 0,
        });
    }
    if let NetlinkPayload::Done(done) = payload { Some(done.code.saturating_neg()) } else { None }
}

/// Reads one datagram.
pub(super) fn receive(socket: &Socket, mut buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match socket.recv(&mut buffer, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// The messages of a datagram. One that the library cannot read is left out: kernels know more than it does.
pub(super) fn messages(
    datagram: &[u8],
) -> impl Iterator<Item = (NetlinkHeader, NetlinkPayload<RouteNetlinkMessage>)> + '_ {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        let (message, after) = split(rest)?;
        rest = after;
        Some(message)
    })
    .filter_map(|message| NetlinkMessage::deserialize(message).ok().map(NetlinkMessage::into_parts))
}

/// The first message and what is behind it.
fn split(datagram: &[u8]) -> Option<(&[u8], &[u8])> {
    let len = u32::from_ne_bytes(*datagram.first_chunk()?) as usize;
    if len < HEADER_LEN {
        return None;
    }
    let message = datagram.get(..len)?;
    Some((message, datagram.get(len.next_multiple_of(4)..).unwrap_or_default()))
}

/// Puts what was being done in front of an error.
pub(super) fn failed(doing: impl FnOnce() -> String) -> impl FnOnce(io::Error) -> io::Error {
    move |error| {
        let missing = error.raw_os_error() == Some(libc::ENODEV);
        let kind = if missing { io::ErrorKind::NotFound } else { error.kind() };
        io::Error::new(kind, format!("{}: {error}", doing()))
    }
}
