//! A recorded session, one side or both, with the randomness of the recording.

use serde_json::Value;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::datagram::{Datagram, HandshakeProgress};
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{HANDSHAKE, Params, Role, SptpsError};
use tinmesh_core::packet::Packet;

use crate::vectors::{array, flag, hex, list, number, text, vectors};

/// Replay window of the recordings, in bytes.
const WINDOW: u16 = 16;

/// How handshake records of an established datagram session arrive.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Path {
    /// In requests of the meta connections.
    Meta,
    /// As datagrams, opened by the data plane.
    Udp,
}

/// One side of a session.
pub(crate) enum Side {
    Stream(Stream),
    Datagram(Datagram, Path),
}

/// What an event leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// What goes out, as one piece of bytes for a stream, or one per datagram.
    pub(crate) sends: Vec<Vec<u8>>,
    /// Application records.
    pub(crate) delivers: Vec<(u8, Vec<u8>)>,
    /// Whether a handshake is done.
    pub(crate) done: bool,
}

/// Alice and Bob of a session file.
pub(crate) struct Pair {
    pub(crate) file: Value,
    pub(crate) path: Path,
    sides: [Option<Side>; 2],
    finished: [bool; 2],
}

impl Pair {
    pub(crate) fn of_mode(mode: &str, path: Path) -> Self {
        match mode {
            "stream" => Self::new(vectors!("sptps_stream.json"), path),
            _ => Self::new(vectors!("sptps_datagram.json"), path),
        }
    }

    pub(crate) fn new(file: Value, path: Path) -> Self {
        Self { file, path, sides: [None, None], finished: [false; 2] }
    }

    fn params(&self, role: Role) -> Params {
        let (own, other) = match role {
            Role::Initiator => ("initiator_private", "responder_public"),
            Role::Responder => ("responder_private", "initiator_public"),
        };
        Params {
            role,
            key: SecretKey::from_expanded(&array(&self.file[own])),
            peer: PublicKey::from_bytes(array(&self.file[other])),
            label: hex(&self.file["label"]),
        }
    }

    fn index(&self, who: &Value) -> usize {
        usize::from(*who == self.file["responder"])
    }

    fn side(&mut self, who: &Value) -> &mut Side {
        let index = self.index(who);
        self.sides[index].as_mut().expect("started")
    }

    pub(crate) fn take(&mut self, who: &Value) -> Side {
        let index = self.index(who);
        self.sides[index].take().expect("started")
    }

    /// Does what event `index` of the file says and checks all that the file says of it.
    pub(crate) fn play(&mut self, index: usize) {
        let event = self.file["events"][index].clone();
        let (who, mut rng) = (&event["who"], recorded(&event["random"]));
        let outcome = match text(&event["do"]) {
            "start" => self.start(who, &mut rng),
            "force_kex" => self.side(who).rekey(&mut rng),
            "send" => self.side(who).send(number(&event["type"]) as u8, &hex(&event["data"])),
            _ => {
                assert!(flag(&event["ok"]));
                self.side(who).receive(&hex(&event["wire"]), &mut rng).unwrap()
            }
        };
        let sends: Vec<_> = list(&event["sends"]).iter().map(|send| hex(&send["wire"])).collect();
        let mut expected = Outcome { sends, ..Outcome::default() };
        for delivered in event["delivers"].as_array().unwrap_or(&Vec::new()) {
            match delivered["data"].is_null() {
                true => expected.done = true,
                false => expected.delivers.push((number(&delivered["type"]) as u8, hex(&delivered["data"]))),
            }
        }
        self.allow_silent_rekey(who, &mut expected);
        assert_eq!(outcome, expected, "event {index}: {event}");
    }

    /// A stream reports the end of its first handshake only, and gives its output in one piece.
    fn allow_silent_rekey(&mut self, who: &Value, expected: &mut Outcome) {
        let index = self.index(who);
        if matches!(self.side(who), Side::Stream(_)) {
            let first = !self.finished[index];
            self.finished[index] |= expected.done;
            expected.done &= first;
            expected.sends = Some(expected.sends.concat()).filter(|bytes| !bytes.is_empty()).into_iter().collect();
        }
    }

    fn start(&mut self, who: &Value, rng: &mut Rng) -> Outcome {
        let index = self.index(who);
        let params = self.params(if index == 0 { Role::Initiator } else { Role::Responder });
        let (side, kex) = if self.file["mode"] == "stream" {
            let (stream, kex) = Stream::new(params, rng);
            (Side::Stream(stream), kex)
        } else {
            let (datagram, kex) = Datagram::start(params, WINDOW, rng);
            (Side::Datagram(datagram, self.path), kex)
        };
        self.sides[index] = Some(side);
        Outcome { sends: vec![kex], ..Outcome::default() }
    }
}

/// A generator of recorded draws.
pub(crate) fn recorded(random: &Value) -> Rng {
    Rng::from_bytes(random.as_array().into_iter().flatten().flat_map(hex).collect())
}

impl Side {
    pub(crate) fn receive(&mut self, wire: &[u8], rng: &mut Rng) -> Result<Outcome, SptpsError> {
        match self {
            Self::Stream(stream) => {
                let (consumed, event) = stream.feed(wire, rng)?;
                assert_eq!(consumed, wire.len());
                let mut outcome = Outcome { done: event == Some(StreamEvent::Done), ..Outcome::default() };
                if let Some(StreamEvent::Record { kind, data }) = event {
                    outcome.delivers.push((kind, data));
                }
                outcome.sends.extend(Some(stream.take_output()).filter(|bytes| !bytes.is_empty()));
                Ok(outcome)
            }
            Self::Datagram(datagram, path) => receive_datagram(datagram, *path, wire, rng),
        }
    }

    pub(crate) fn send(&mut self, kind: u8, data: &[u8]) -> Outcome {
        let wire = match self {
            Self::Stream(stream) => stream.seal(kind, data).unwrap(),
            Self::Datagram(datagram, _) => {
                let mut packet = Packet::from_payload(data);
                assert!(datagram.session().unwrap().seal(kind, &mut packet));
                packet.payload().to_vec()
            }
        };
        Outcome { sends: vec![wire], ..Outcome::default() }
    }

    fn rekey(&mut self, rng: &mut Rng) -> Outcome {
        let kex = match self {
            Self::Stream(stream) => {
                stream.rekey(rng).unwrap();
                stream.take_output()
            }
            Self::Datagram(datagram, _) => datagram.rekey(rng).unwrap(),
        };
        Outcome { sends: vec![kex], ..Outcome::default() }
    }
}

fn receive_datagram(datagram: &mut Datagram, path: Path, wire: &[u8], rng: &mut Rng) -> Result<Outcome, SptpsError> {
    let Some(session) = datagram.session() else { return datagram.on_handshake(wire, rng).map(Outcome::from) };
    let mut packet = Packet::from_payload(wire);
    if path == Path::Meta && wire_is_handshake(wire) {
        return datagram.on_handshake(wire, rng).map(Outcome::from);
    }
    match session.open(&mut packet)? {
        HANDSHAKE => datagram.on_record(packet.payload(), rng).map(Outcome::from),
        kind => Ok(Outcome { delivers: vec![(kind, packet.payload().to_vec())], ..Outcome::default() }),
    }
}

/// Handshake records of the recordings have lengths that no other record there has.
fn wire_is_handshake(wire: &[u8]) -> bool {
    let recorded = list(&vectors!("sptps_datagram.json")["events"]).to_vec();
    let sends = recorded.iter().flat_map(|event| list(&event["sends"]));
    sends.into_iter().any(|send| send["record_type"] == HANDSHAKE && hex(&send["wire"]) == wire)
}

impl From<HandshakeProgress> for Outcome {
    fn from(progress: HandshakeProgress) -> Self {
        Self { sends: progress.send, delivers: Vec::new(), done: progress.established }
    }
}
