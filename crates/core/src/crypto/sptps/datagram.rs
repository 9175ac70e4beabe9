//! SPTPS between nodes: handshake datagrams here, data in [`Session`].
//!
//! ```text
//!  plain    number 4 · type 1 · data                     first handshake only
//!  sealed   number 4 · (type 1 · data) sealed · tag 16
//! ```
//!
//! The first handshake tolerates no loss: each number must be the next. Source: spec sptps 9.2, 12 to 15.

use std::sync::Arc;

use crate::crypto::record_key::Suite;
use crate::crypto::rng::Rng;
use crate::crypto::sptps::control::Control;
use crate::crypto::sptps::handshake::{Change, Handshake, Step};
use crate::crypto::sptps::{HANDSHAKE, Params, Role, SptpsError};
use crate::dataplane::session::{OpenError, Session};

/// Datagrams each side sends in the first handshake: KEX and SIG.
const FIRST_HANDSHAKE: u64 = 2;

/// What a handshake message led to.
#[derive(Debug, Default)]
pub struct HandshakeProgress {
    /// Datagrams to send over the meta connections, in this order.
    pub send: Vec<Vec<u8>>,
    /// The session in place of the one before, if keys changed.
    pub session: Option<Arc<Session>>,
    /// Whether this was the last step of a handshake.
    pub established: bool,
}

/// One side of a session between nodes.
#[derive(Debug)]
pub struct Datagram {
    handshake: Handshake,
    records: Records,
    patient: bool,
    /// The cipher of the keys that the next handshake makes.
    suite: Suite,
    /// Seals what goes beyond records, from the first handshake on.
    control: Option<Control>,
}

#[derive(Debug)]
enum Records {
    Plain { next_in: u32, next_out: u32, window_bytes: u16 },
    Sealed(Arc<Session>),
}

impl Datagram {
    /// Starts a session with a replay window of `window_bytes`; the second value is to be sent.
    pub fn start(params: Params, window_bytes: u16, rng: &mut Rng) -> (Self, Vec<u8>) {
        let (handshake, kex) = Handshake::start(params, rng);
        let datagram = plain(0, &kex);
        let records = Records::Plain { next_in: 0, next_out: 1, window_bytes };
        (Self { handshake, records, patient: false, suite: Suite::default(), control: None }, datagram)
    }

    /// From now on renewed keys are used for sending only when the peer is known to have them; tinc does not wait.
    pub const fn be_patient(&mut self) {
        self.patient = true;
    }

    /// From the next handshake on keys are for `suite`; both sides must have agreed on it.
    pub const fn change_suite(&mut self, suite: Suite) {
        self.suite = suite;
    }

    /// Whether no handshake is under way.
    pub const fn is_settled(&self) -> bool {
        self.handshake.is_settled()
    }

    /// Our role in the first handshake.
    pub const fn role(&self) -> Role {
        self.handshake.role()
    }

    /// Both messages of the first key exchange, the initiator's before the other, once it is over: no two sessions share them.
    pub fn exchange(&self) -> Option<&[u8]> {
        self.handshake.exchange()
    }

    /// Forgets the receiving key before the present one; tells whether there was one, and the session changed.
    pub fn forget_old_key(&mut self) -> bool {
        let Records::Sealed(session) = &self.records else { return false };
        let Some(session) = session.without_old_key() else { return false };
        self.records = Records::Sealed(Arc::new(session));
        true
    }

    /// What seals messages beside the records, once the first handshake is over.
    pub const fn control_mut(&mut self) -> Option<&mut Control> {
        self.control.as_mut()
    }

    /// The keys in use, once there are any.
    pub fn session(&self) -> Option<Arc<Session>> {
        match &self.records {
            Records::Plain { .. } => None,
            Records::Sealed(session) => Some(Arc::clone(session)),
        }
    }

    /// Takes a handshake datagram that came over the meta connections.
    ///
    /// # Errors
    /// If it is refused.
    pub fn on_handshake(&mut self, datagram: &[u8], rng: &mut Rng) -> Result<HandshakeProgress, SptpsError> {
        let (kind, data) = match &mut self.records {
            Records::Plain { next_in, .. } => open_plain(datagram, next_in)?,
            Records::Sealed(session) => session.open_handshake(datagram)?,
        };
        match kind {
            HANDSHAKE => self.on_record(&data, rng),
            ..HANDSHAKE if matches!(self.records, Records::Plain { .. }) => Err(SptpsError::TooEarly),
            _ => Err(SptpsError::BadType(kind)),
        }
    }

    /// Takes the data of a handshake record that the session opened.
    ///
    /// # Errors
    /// If it is refused.
    pub fn on_record(&mut self, data: &[u8], rng: &mut Rng) -> Result<HandshakeProgress, SptpsError> {
        let step = self.handshake.on_message(data, rng)?;
        self.apply(step)
    }

    /// Starts renewing the keys; the result is to be sent.
    ///
    /// # Errors
    /// If a handshake is under way.
    pub fn rekey(&mut self, rng: &mut Rng) -> Result<Vec<u8>, SptpsError> {
        let kex = self.handshake.rekey(rng)?;
        self.encode(&kex)
    }

    fn apply(&mut self, step: Step) -> Result<HandshakeProgress, SptpsError> {
        let send = step.send.iter().map(|message| self.encode(message)).collect::<Result<_, _>>()?;
        let established = matches!(step.change, Change::First(_) | Change::Receiving);
        let session = match (step.change, &self.records) {
            (Change::First(keys), Records::Plain { window_bytes, .. }) => {
                self.control = Some(Control::new(&keys.control.0, &keys.control.1));
                Some(Session::new(&keys, FIRST_HANDSHAKE, *window_bytes))
            }
            (Change::Sending(keys), Records::Sealed(session)) => {
                Some(session.after_own_ack(&keys, self.suite, self.patient))
            }
            (Change::Receiving, Records::Sealed(session)) => Some(session.after_peers_ack()),
            (Change::None | Change::First(_) | Change::Sending(_) | Change::Receiving, _) => None,
        };
        let session = session.map(Arc::new);
        if let Some(session) = &session {
            self.records = Records::Sealed(Arc::clone(session));
        }
        Ok(HandshakeProgress { send, session, established })
    }

    fn encode(&mut self, message: &[u8]) -> Result<Vec<u8>, SptpsError> {
        match &mut self.records {
            Records::Plain { next_out, .. } => {
                let datagram = plain(*next_out, message);
                *next_out += 1;
                Ok(datagram)
            }
            Records::Sealed(session) => session.seal_handshake(message).ok_or(SptpsError::Exhausted),
        }
    }
}

fn plain(number: u32, message: &[u8]) -> Vec<u8> {
    [&number.to_be_bytes(), [HANDSHAKE].as_slice(), message].concat()
}

/// Type and data of a plain datagram; its number counts as used as soon as it is the expected one.
fn open_plain(datagram: &[u8], next_in: &mut u32) -> Result<(u8, Vec<u8>), SptpsError> {
    let (number, record) = datagram.split_first_chunk::<4>().ok_or(SptpsError::TooShort)?;
    let (kind, data) = record.split_first().ok_or(SptpsError::TooShort)?;
    let got = u32::from_be_bytes(*number);
    if got != *next_in {
        return Err(SptpsError::WrongNumber { got, expected: *next_in });
    }
    *next_in = next_in.wrapping_add(1);
    Ok((*kind, data.to_vec()))
}

impl From<OpenError> for SptpsError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::TooShort => Self::TooShort,
            OpenError::BadTag => Self::BadTag,
            OpenError::Replayed => Self::Replayed,
            OpenError::BadType(kind) => Self::BadType(kind),
        }
    }
}
