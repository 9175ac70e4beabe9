//! `Connection`: cuts the bytes of one meta connection into units.
//!
//! Plain lines first, SPTPS records from then on, with raw packets between them; with tinc 1.0 an encrypted stream of
//! lines and packets (spec: meta-protocol 4).

use std::net::SocketAddr;

use crate::crypto::rng::Rng;
use crate::crypto::sptps::stream::{Stream, StreamEvent};
use crate::invite::inviter::Inviter;
use crate::legacy::link::Link;
use crate::meta::backlog::Backlog;
use crate::meta::error::PeerError;
use crate::meta::proxy::{Prelude, Progress};
use crate::meta::queue::{AtHand, Form, Queue};
use crate::name::{ConnId, NodeName, PeerId};
use crate::packet::MAX_FRAME;
use crate::time::Instant;
use crate::wire::meet::Token;
use crate::wire::options::Options;
use crate::wire::request::Request;

/// Longest line before encryption starts, in bytes with its end (spec: meta-protocol 1).
pub const MAX_LINE: usize = Request::MAX_LEN + 1;
/// Longest raw packet between records, in bytes.
const MAX_RAW: usize = MAX_LINE;
/// Bytes of unread input kept at most: the largest record of the format and its overhead.
const MAX_BUFFER: usize = 65_535 + 19 + MAX_LINE;

/// Bytes waiting on a connection after which its peer counts as stalled.
pub const STALLED: usize = 8 << 20;

/// How far a connection has come.
#[derive(Debug)]
pub enum Phase {
    /// TCP is being set up.
    Connecting,
    /// A proxy is asked to connect us.
    Proxying(Box<Prelude>),
    /// The peer's ID line is awaited.
    Id,
    /// The handshake, then the peer's ACK request.
    Securing(Channel),
    /// Both ACK requests were exchanged; all requests are allowed.
    Active(Channel),
    /// Somebody joins by invitation.
    Inviting(Box<Inviter>),
    /// Somebody wants to know where this connection comes from, and nothing else.
    Mirroring(Token),
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Requests, and packets.
    Meta,
    /// Packets only, beside a meta connection.
    Stream,
}

/// What protects a connection.
#[derive(Debug)]
pub enum Channel {
    /// SPTPS.
    Sptps(Box<Stream>),
    /// The protocol of tinc 1.0.
    Legacy(Box<Link>),
}

/// What the next bytes of an encrypted connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Record,
    Packet(usize),
    Raw(usize),
}

/// A complete piece of input.
#[derive(Debug, PartialEq, Eq)]
pub enum Unit {
    /// The proxy has connected us.
    Through,
    /// A plain line without its end.
    Line(Vec<u8>),
    /// The SPTPS handshake is done.
    Secured,
    /// A request without its end.
    Request(Vec<u8>),
    /// A request of tinc 1.0's authentication, without its end.
    Proof(Vec<u8>),
    /// The Ethernet frame that a PACKET request announced.
    Packet(Vec<u8>),
    /// The bytes that an SPTPS_PACKET request announced.
    Raw(Vec<u8>),
    /// Bytes of an invitation exchange.
    Invitation(Vec<u8>),
}

/// One meta connection.
#[derive(Debug)]
pub struct Connection {
    /// Its number.
    pub id: ConnId,
    /// The other end.
    pub remote: SocketAddr,
    /// Our end.
    pub local: Option<SocketAddr>,
    /// Who is there: expected if we dialled, claimed after ID otherwise.
    pub name: Option<NodeName>,
    /// The node, once the connection is active.
    pub peer: Option<PeerId>,
    /// What it is for.
    pub purpose: Purpose,
    /// How far it has come.
    pub phase: Phase,
    /// What is to be said to a proxy once TCP is up.
    pub prelude: Option<Box<Prelude>>,
    /// The name that a proxy was asked for instead of an address, and the port.
    pub beyond: Option<(String, u16)>,
    /// Options of the link, once active; the top byte is the peer's minor.
    pub options: Options,
    /// When a ping was sent, or the last step of the set-up made.
    pub last_ping: Instant,
    /// Whether a ping waits for its answer.
    pub pinged: bool,
    /// Whether that answer takes long, so that whoever dialled makes another connection beside this one.
    pub doubtful: bool,
    /// When our ID was sent; the start of the weight estimate.
    pub started: Instant,
    /// Our estimate of the weight in milliseconds.
    pub estimate: i32,
    /// What waits to be written.
    pub backlog: Backlog,
    /// Packets that wait for room there.
    pub queue: Queue,
    /// Bytes that may wait.
    pub patience: usize,
    input: Vec<u8>,
    /// Bytes at the start of `input` that are done with; they go when more comes.
    done: usize,
    expect: Expect,
}

impl Connection {
    /// A connection that somebody made to us, or that we make to `name`.
    pub fn new(id: ConnId, remote: SocketAddr, name: Option<NodeName>, now: Instant) -> Self {
        let is_up = id.0 & (ConnId::ACCEPTED | ConnId::MET) == ConnId::ACCEPTED;
        let phase = if is_up { Phase::Id } else { Phase::Connecting };
        Self {
            id,
            remote,
            local: None,
            name,
            peer: None,
            purpose: Purpose::Meta,
            phase,
            prelude: None,
            beyond: None,
            options: Options::default(),
            last_ping: now,
            pinged: false,
            doubtful: false,
            started: now,
            estimate: 0,
            backlog: Backlog::default(),
            queue: Queue::default(),
            patience: STALLED,
            input: Vec::new(),
            done: 0,
            expect: Expect::Record,
        }
    }

    /// Whether we dialled, or count as who did.
    pub const fn is_outgoing(&self) -> bool {
        self.id.0 & ConnId::ACCEPTED == 0
    }

    /// Whether both ends opened it at once.
    pub const fn is_met(&self) -> bool {
        self.id.0 & ConnId::MET != 0
    }

    /// Whether the other end can be dialled at its address.
    pub const fn was_dialled(&self) -> bool {
        self.is_outgoing() && !self.is_met()
    }

    /// Whether a proxy is asked to connect us.
    pub const fn is_proxying(&self) -> bool {
        matches!(self.phase, Phase::Proxying(_))
    }

    /// Whether all requests are allowed.
    pub const fn is_active(&self) -> bool {
        self.is_set_up() && !self.is_stream()
    }

    /// Whether both ends have shown who they are, and what they want of each other.
    pub const fn is_set_up(&self) -> bool {
        matches!(self.phase, Phase::Active(_))
    }

    /// Whether it is for packets only.
    pub const fn is_stream(&self) -> bool {
        matches!(self.purpose, Purpose::Stream)
    }

    /// Takes bytes from the network.
    ///
    /// # Errors
    /// If more is buffered than any valid input needs.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), PeerError> {
        self.input.drain(..std::mem::take(&mut self.done));
        if self.input.len() + bytes.len() > MAX_BUFFER + 65_536 {
            return Err(PeerError::LineTooLong(MAX_BUFFER));
        }
        self.input.extend_from_slice(bytes);
        Ok(())
    }

    /// The next complete unit of what came, if there is one.
    ///
    /// # Errors
    /// If the bytes cannot be what the phase allows.
    pub fn next_unit(&mut self, rng: &mut Rng) -> Result<Option<Unit>, PeerError> {
        match &self.phase {
            Phase::Connecting => Ok(None),
            Phase::Mirroring(_) => {
                self.take(self.rest().len());
                Ok(None)
            }
            Phase::Proxying(_) => self.next_answer(),
            Phase::Id => self.next_line(),
            Phase::Inviting(_) if self.rest().is_empty() => Ok(None),
            Phase::Inviting(_) => Ok(Some(Unit::Invitation(self.take(self.rest().len())))),
            Phase::Securing(Channel::Sptps(_)) | Phase::Active(Channel::Sptps(_)) => match self.expect {
                Expect::Raw(len) => Ok(self.next_raw(len)),
                Expect::Record | Expect::Packet(_) => self.next_record(rng),
            },
            Phase::Securing(Channel::Legacy(_)) | Phase::Active(Channel::Legacy(_)) => self.next_legacy(),
        }
    }

    /// The link of a connection with tinc 1.0.
    pub fn link_mut(&mut self) -> Option<&mut Link> {
        match &mut self.phase {
            Phase::Securing(Channel::Legacy(link)) | Phase::Active(Channel::Legacy(link)) => Some(link),
            Phase::Connecting
            | Phase::Proxying(_)
            | Phase::Id
            | Phase::Inviting(_)
            | Phase::Mirroring(_)
            | Phase::Securing(Channel::Sptps(_))
            | Phase::Active(Channel::Sptps(_)) => None,
        }
    }

    /// Whether the peer is spoken to in the protocol of tinc 1.0.
    pub const fn is_legacy(&self) -> bool {
        matches!(self.phase, Phase::Securing(Channel::Legacy(_)) | Phase::Active(Channel::Legacy(_)))
    }

    /// The next piece of a stream of tinc 1.0: everything behind the METAKEY request is encrypted.
    fn next_legacy(&mut self) -> Result<Option<Unit>, PeerError> {
        if self.link_mut().is_some_and(|link| !link.is_encrypted()) {
            let line = self.next_line()?;
            return Ok(line.map(|unit| if let Unit::Line(line) = unit { Unit::Proof(line) } else { unit }));
        }
        let fresh = self.take(self.rest().len());
        let expect = self.expect;
        let Some(link) = self.link_mut() else { return Ok(None) };
        link.receive(&fresh)?;
        let rest = link.rest().len();
        let unit = match expect {
            Expect::Packet(len) if rest >= len => Unit::Packet(link.take(len)),
            Expect::Raw(len) if rest >= len => Unit::Raw(link.take(len)),
            Expect::Packet(_) | Expect::Raw(_) => return Ok(None),
            Expect::Record => {
                let end = link.rest().iter().take(MAX_LINE).position(|&byte| byte == b'\n');
                let Some(end) = end else {
                    return if rest >= MAX_LINE { Err(PeerError::LineTooLong(MAX_LINE)) } else { Ok(None) };
                };
                let mut line = link.take(end + 1);
                line.pop();
                if link.is_authenticated() { Unit::Request(line) } else { Unit::Proof(line) }
            }
        };
        self.expect = Expect::Record;
        Ok(Some(unit))
    }

    fn next_answer(&mut self) -> Result<Option<Unit>, PeerError> {
        while let Phase::Proxying(prelude) = &mut self.phase {
            match prelude.feed(&self.input[self.done..])? {
                Progress::Waiting => break,
                Progress::Step(len) => self.done += len,
                Progress::Open(len) => {
                    self.done += len;
                    self.phase = Phase::Id;
                    return Ok(Some(Unit::Through));
                }
            }
        }
        Ok(None)
    }

    fn rest(&self) -> &[u8] {
        &self.input[self.done..]
    }

    fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.input[self.done..][..count].to_vec();
        self.done += count;
        taken
    }

    fn next_line(&mut self) -> Result<Option<Unit>, PeerError> {
        let Some(end) = self.rest().iter().position(|&byte| byte == b'\n') else {
            let full = self.rest().len() >= MAX_LINE;
            return if full { Err(PeerError::LineTooLong(MAX_LINE)) } else { Ok(None) };
        };
        if end >= MAX_LINE {
            return Err(PeerError::LineTooLong(MAX_LINE));
        }
        let mut line = self.take(end + 1);
        line.pop();
        Ok(Some(Unit::Line(line)))
    }

    fn next_raw(&mut self, len: usize) -> Option<Unit> {
        if self.rest().len() < len {
            return None;
        }
        self.expect = Expect::Record;
        Some(Unit::Raw(self.take(len)))
    }

    fn next_record(&mut self, rng: &mut Rng) -> Result<Option<Unit>, PeerError> {
        let (Phase::Securing(Channel::Sptps(stream)) | Phase::Active(Channel::Sptps(stream))) = &mut self.phase else {
            return Ok(None);
        };
        while self.done < self.input.len() {
            let (consumed, event) = stream.feed(&self.input[self.done..], rng)?;
            self.done += consumed;
            match event {
                None if consumed == 0 => break,
                None | Some(StreamEvent::Handshake) => {}
                Some(StreamEvent::Done) => return Ok(Some(Unit::Secured)),
                Some(StreamEvent::Record { data, .. }) => return unit_of(data, &mut self.expect).map(Some),
            }
        }
        self.release();
        Ok(None)
    }

    /// A flood leaves a large buffer behind, which an idle connection does not need.
    fn release(&mut self) {
        if self.done == self.input.len() {
            self.input.clear();
            self.done = 0;
            self.input.shrink_to(MAX_LINE);
        }
    }

    /// The next record is the frame of a PACKET request.
    ///
    /// # Errors
    /// If no frame is that long.
    pub const fn expect_packet(&mut self, len: usize) -> Result<(), PeerError> {
        if len > MAX_LINE {
            return Err(PeerError::LineTooLong(MAX_FRAME));
        }
        if len > 0 {
            self.expect = Expect::Packet(len);
        }
        Ok(())
    }

    /// The next bytes are those of an SPTPS_PACKET request.
    ///
    /// # Errors
    /// If no datagram is that long.
    pub const fn expect_raw(&mut self, len: usize) -> Result<(), PeerError> {
        if len > MAX_RAW {
            return Err(PeerError::LineTooLong(MAX_RAW));
        }
        self.expect = Expect::Raw(len);
        Ok(())
    }

    /// Encrypts `data`, as one record or the next part of the stream, behind what is there; false if that is not possible.
    pub fn seal_into(&mut self, data: &[u8], to: &mut Vec<u8>) -> bool {
        match &mut self.phase {
            Phase::Securing(Channel::Sptps(stream)) | Phase::Active(Channel::Sptps(stream)) => {
                stream.seal_into(0, data, to).is_ok()
            }
            Phase::Securing(Channel::Legacy(link)) | Phase::Active(Channel::Legacy(link)) => {
                link.seal(data).map(|sealed| to.extend_from_slice(&sealed)).is_ok()
            }
            Phase::Connecting | Phase::Proxying(_) | Phase::Id | Phase::Inviting(_) | Phase::Mirroring(_) => false,
        }
    }

    /// Takes the next packet that waits, if there is room, and encrypts it behind what is there, with what announces it.
    pub fn seal_packet(&mut self, now: Instant, hand: &mut AtHand, to: &mut Vec<u8>) -> Option<Form> {
        if !self.backlog.has_room_beside(to.len()) {
            return None;
        }
        let form = self.queue.pop(now, &mut hand.packet)?;
        hand.announce(form);
        match form {
            Form::Text => _ = self.seal_into(&hand.packet, to),
            Form::Frame | Form::Raw if !self.seal_into(hand.line.as_bytes(), to) => {}
            Form::Frame => _ = self.seal_into(&hand.packet, to),
            Form::Raw => to.extend_from_slice(&hand.packet),
        }
        Some(form)
    }

    /// Handshake bytes that are to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        match &mut self.phase {
            Phase::Securing(Channel::Sptps(stream)) | Phase::Active(Channel::Sptps(stream)) => stream.take_output(),
            Phase::Proxying(prelude) => prelude.take_output(),
            Phase::Connecting
            | Phase::Id
            | Phase::Inviting(_)
            | Phase::Mirroring(_)
            | Phase::Securing(Channel::Legacy(_))
            | Phase::Active(Channel::Legacy(_)) => Vec::new(),
        }
    }

    /// The ACK exchange is done.
    pub fn activate(&mut self, peer: PeerId, options: Options) {
        self.peer = Some(peer);
        self.options = options;
        self.phase = match std::mem::replace(&mut self.phase, Phase::Id) {
            Phase::Securing(channel) => Phase::Active(channel),
            other @ (Phase::Connecting
            | Phase::Proxying(_)
            | Phase::Id
            | Phase::Active(_)
            | Phase::Inviting(_)
            | Phase::Mirroring(_)) => other,
        };
    }
}

fn unit_of(mut data: Vec<u8>, expect: &mut Expect) -> Result<Unit, PeerError> {
    match std::mem::replace(expect, Expect::Record) {
        Expect::Packet(len) if data.len() != len => {
            Err(PeerError::Unexpected { got: "record of another length", expected: "the announced packet" })
        }
        Expect::Packet(_) => Ok(Unit::Packet(data)),
        Expect::Record | Expect::Raw(_) => {
            if data.last() == Some(&b'\n') {
                data.pop();
            }
            Ok(Unit::Request(data))
        }
    }
}
