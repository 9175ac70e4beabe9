//! The handshake: exchanges ephemeral keys, proves identities, derives session keys.
//!
//! ```text
//!  start ──► Kex ──KEX──► Sig ──SIG, first──────────► Settled
//!             ▲            └───SIG, rekey──► Ack ─ACK─► │
//!             └────────────────── rekey, or KEX ────────┘
//! ```
//!
//! A refused message changes nothing. tinc answers a KEX that it refuses in `Settled` with its own KEX, and can then not
//! renew keys any more; here the check comes first. Source: spec sptps 10 to 12, 15.

use std::fmt;

use zeroize::Zeroizing;

use crate::crypto::agreement::agree;
use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::prf;
use crate::crypto::rng::Rng;
use crate::crypto::sptps::{DirectionKey, Params, Role, SessionKeys, SptpsError};

/// Length of a KEX message: version, nonce, key.
const KEX: usize = 65;
/// The only version.
const VERSION: u8 = 0;

/// The handshake of one session, first and later ones.
#[derive(Debug)]
pub(super) struct Handshake {
    params: Params,
    state: State,
    /// Both messages of the first key exchange, the initiator's before the other, once keys were made.
    exchange: Option<[[u8; KEX]; 2]>,
}

enum State {
    Kex(Offer),
    Sig(Offer, [u8; KEX]),
    Ack,
    Settled,
}

/// Our half of a key exchange.
struct Offer {
    message: [u8; KEX],
    ephemeral: SecretKey,
}

/// What a message leads to, in this order: records to send under the present key, then a change of keys.
#[derive(Debug, Default)]
pub(super) struct Step {
    pub(super) send: Vec<Vec<u8>>,
    pub(super) change: Change,
}

/// How keys change.
#[derive(Debug, Default)]
pub(super) enum Change {
    /// Not at all.
    #[default]
    None,
    /// First keys, for both directions: the handshake is done.
    First(SessionKeys),
    /// New keys: the sending one at once, the receiving one when the peer's ACK comes.
    Sending(SessionKeys),
    /// The peer's ACK: the receiving key changes, and the handshake is done.
    Receiving,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kex(_) => "Kex",
            Self::Sig(..) => "Sig",
            Self::Ack => "Ack",
            Self::Settled => "Settled",
        })
    }
}

impl Handshake {
    /// Starts a session; the second value is our KEX.
    pub(super) fn start(params: Params, rng: &mut Rng) -> (Self, Vec<u8>) {
        let offer = Offer::draw(rng);
        let kex = offer.message.to_vec();
        (Self { params, state: State::Kex(offer), exchange: None }, kex)
    }

    /// Both messages of the first key exchange, once it is over.
    pub(super) fn exchange(&self) -> Option<&[u8]> {
        self.exchange.as_ref().map(|messages| messages.as_flattened())
    }

    /// Whether no handshake is under way.
    pub(super) const fn is_settled(&self) -> bool {
        matches!(self.state, State::Settled)
    }

    /// Our role.
    pub(super) const fn role(&self) -> Role {
        self.params.role
    }

    /// Starts renewing the keys; returns our KEX.
    pub(super) fn rekey(&mut self, rng: &mut Rng) -> Result<Vec<u8>, SptpsError> {
        match self.state {
            State::Settled => {
                let offer = Offer::draw(rng);
                let kex = offer.message.to_vec();
                self.state = State::Kex(offer);
                Ok(kex)
            }
            State::Kex(_) | State::Sig(..) | State::Ack => Err(SptpsError::Busy),
        }
    }

    /// Takes a handshake message.
    pub(super) fn on_message(&mut self, message: &[u8], rng: &mut Rng) -> Result<Step, SptpsError> {
        match self.state {
            State::Kex(_) | State::Settled => self.on_kex(message, rng),
            State::Sig(..) => self.on_sig(message),
            State::Ack if message.is_empty() => {
                self.state = State::Settled;
                Ok(Step { send: Vec::new(), change: Change::Receiving })
            }
            State::Ack => Err(SptpsError::BadAck),
        }
    }

    fn on_kex(&mut self, message: &[u8], rng: &mut Rng) -> Result<Step, SptpsError> {
        let theirs = <[u8; KEX]>::try_from(message).map_err(|_| SptpsError::BadKex)?;
        if theirs[0] != VERSION {
            return Err(SptpsError::BadKex);
        }
        let mut step = Step::default();
        let offer = match std::mem::replace(&mut self.state, State::Settled) {
            State::Kex(offer) => offer,
            State::Sig(..) | State::Ack | State::Settled => {
                let offer = Offer::draw(rng);
                step.send.push(offer.message.to_vec());
                offer
            }
        };
        if self.params.role == Role::Initiator {
            step.send.push(self.sign(&offer, &theirs));
        }
        self.state = State::Sig(offer, theirs);
        Ok(step)
    }

    fn on_sig(&mut self, message: &[u8]) -> Result<Step, SptpsError> {
        let State::Sig(offer, theirs) = &self.state else { return Err(SptpsError::BadSignature) };
        let signature = message.try_into().map_err(|_| SptpsError::BadSignature)?;
        let signed = self.signed(self.params.role.other(), theirs, &offer.message);
        if !self.params.peer.verify(&signed, signature) {
            return Err(SptpsError::BadSignature);
        }
        let keys = self.derive(offer, theirs)?;
        let mut send = Vec::new();
        if self.params.role == Role::Responder {
            send.push(self.sign(offer, theirs));
        }
        if self.exchange.is_some() {
            send.push(Vec::new());
            self.state = State::Ack;
            return Ok(Step { send, change: Change::Sending(keys) });
        }
        self.exchange = Some(match self.params.role {
            Role::Initiator => [offer.message, *theirs],
            Role::Responder => [*theirs, offer.message],
        });
        self.state = State::Settled;
        Ok(Step { send, change: Change::First(keys) })
    }

    fn sign(&self, offer: &Offer, theirs: &[u8; KEX]) -> Vec<u8> {
        self.params.key.sign(&self.signed(self.params.role, &offer.message, theirs)).to_vec()
    }

    /// What the side with `role` signs: its own KEX comes first.
    fn signed(&self, role: Role, own: &[u8; KEX], other: &[u8; KEX]) -> Vec<u8> {
        [&[u8::from(role == Role::Initiator)], own.as_slice(), other, &self.params.label].concat()
    }

    fn derive(&self, offer: &Offer, theirs: &[u8; KEX]) -> Result<SessionKeys, SptpsError> {
        let (our_nonce, _) = parts(&offer.message);
        let (their_nonce, their_key) = parts(theirs);
        let shared = agree(&offer.ephemeral, &PublicKey::from_bytes(their_key)).ok_or(SptpsError::WeakKey)?;
        let (first, second) = match self.params.role {
            Role::Initiator => (our_nonce, their_nonce),
            Role::Responder => (their_nonce, our_nonce),
        };
        let mut block = Zeroizing::new([[0; 32]; 4]);
        let seed = [b"key expansion", first.as_slice(), &second, &self.params.label].concat();
        prf::derive(shared.as_slice(), &seed, block.as_flattened_mut());
        let [from_responder, _, from_initiator, _] = &*block;
        let (sending, receiving) = self.by_direction(from_initiator, from_responder);
        let mut control = Zeroizing::new([[0; 32]; 2]);
        let seed = [b"tinmesh control", first.as_slice(), &second, &self.params.label].concat();
        prf::derive(shared.as_slice(), &seed, control.as_flattened_mut());
        let [from_initiator, from_responder] = &*control;
        let control = self.by_direction(from_initiator, from_responder);
        Ok(SessionKeys { sending, receiving, control })
    }

    /// The sending key and the receiving one.
    fn by_direction(&self, from_initiator: &[u8; 32], from_responder: &[u8; 32]) -> (DirectionKey, DirectionKey) {
        let [from_initiator, from_responder] = [from_initiator, from_responder].map(|key| Zeroizing::new(*key));
        match self.params.role {
            Role::Initiator => (from_initiator, from_responder),
            Role::Responder => (from_responder, from_initiator),
        }
    }
}

impl Role {
    const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Responder,
            Self::Responder => Self::Initiator,
        }
    }
}

impl Offer {
    /// Draws the nonce, then the ephemeral key.
    fn draw(rng: &mut Rng) -> Self {
        let nonce: [u8; 32] = rng.bytes();
        let ephemeral = SecretKey::generate(rng);
        let mut message = [VERSION; KEX];
        message[1..33].copy_from_slice(&nonce);
        message[33..].copy_from_slice(ephemeral.public().as_bytes());
        Self { message, ephemeral }
    }
}

/// Nonce and ephemeral key of a KEX.
fn parts(kex: &[u8; KEX]) -> ([u8; 32], [u8; 32]) {
    let (mut nonce, mut key) = ([0; 32], [0; 32]);
    nonce.copy_from_slice(&kex[1..33]);
    key.copy_from_slice(&kex[33..]);
    (nonce, key)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(role: Role) -> (Handshake, Vec<u8>) {
        let (own, peer) = match role {
            Role::Initiator => (1, 2),
            Role::Responder => (2, 1),
        };
        let peer = SecretKey::from_seed(&[peer; 32]).public();
        let params = Params { role, key: SecretKey::from_seed(&[own; 32]), peer, label: b"label".to_vec() };
        Handshake::start(params, &mut Rng::from_seed([own; 32]))
    }

    /// A handshake in each state, and the messages that are right somewhere.
    fn handshakes(role: Role) -> (Vec<Handshake>, [(&'static str, Vec<u8>); 3]) {
        let rng = &mut Rng::from_seed([9; 32]);
        let messages = |own: &mut Handshake, own_kex: &[u8]| {
            let (mut peer, kex) = start(role.other());
            let mut sent = peer.on_message(own_kex, &mut Rng::from_seed([8; 32])).unwrap().send;
            for answer in own.on_message(&kex, &mut Rng::from_seed([7; 32])).unwrap().send {
                sent.extend(peer.on_message(&answer, &mut Rng::from_seed([8; 32])).unwrap().send);
            }
            (kex, sent.pop().unwrap())
        };
        let (mut waiting_sig, own_kex) = start(role);
        let (kex, sig) = messages(&mut waiting_sig, &own_kex);
        let (mut settled, _) = start(role);
        settled.on_message(&kex, rng).unwrap();
        settled.on_message(&sig, rng).unwrap();
        let acknowledging =
            Handshake { state: State::Ack, exchange: Some([[0; KEX]; 2]), params: start(role).0.params };
        let all = vec![start(role).0, waiting_sig, acknowledging, settled];
        (all, [("KEX", kex), ("SIG", sig), ("ACK", Vec::new())])
    }

    /// What each state does with each message: records sent, change of keys, next state.
    fn table(role: Role) -> Vec<String> {
        let mut lines = Vec::new();
        for message in 0..3 {
            let (all, messages) = handshakes(role);
            for mut handshake in all {
                let (name, bytes) = &messages[message];
                let before = format!("{:?}", handshake.state);
                let result = match handshake.on_message(bytes, &mut Rng::from_seed([5; 32])) {
                    Ok(step) => {
                        let change = format!("{:?}", step.change);
                        let change = change.split('(').next().unwrap_or_default().to_owned();
                        format!("{:?} {change}", step.send.iter().map(Vec::len).collect::<Vec<_>>())
                    }
                    Err(error) => format!("{error:?}"),
                };
                lines.push(format!("{before} + {name} = {result} -> {:?}", handshake.state));
            }
        }
        lines
    }

    #[test]
    fn each_state_takes_its_message_and_refuses_the_others() {
        let expected = |kex: &str, sig: &str| {
            let lines = format!(
                "Kex + KEX = {kex} None -> Sig
                 Sig + KEX = BadSignature -> Sig
                 Ack + KEX = BadAck -> Ack
                 Settled + KEX = [65{}] None -> Sig
                 Kex + SIG = BadKex -> Kex
                 Sig + SIG = {sig} First -> Settled
                 Ack + SIG = BadAck -> Ack
                 Settled + SIG = BadKex -> Settled
                 Kex + ACK = BadKex -> Kex
                 Sig + ACK = BadSignature -> Sig
                 Ack + ACK = [] Receiving -> Settled
                 Settled + ACK = BadKex -> Settled",
                if kex == "[]" { "" } else { ", 64" }
            );
            lines.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
        };

        assert_eq!(table(Role::Initiator), expected("[64]", "[]"));
        assert_eq!(table(Role::Responder), expected("[]", "[64]"));
    }

    #[test]
    fn a_weak_ephemeral_key_is_refused() {
        let rng = &mut Rng::from_seed([9; 32]);
        let (mut own, own_kex) = start(Role::Responder);
        let (peer, _) = start(Role::Initiator);
        let mut weak = [0; KEX];
        weak[33] = 1;
        own.on_message(&weak, rng).unwrap();
        let own_kex: [u8; KEX] = own_kex.try_into().unwrap();
        let signature = peer.params.key.sign(&peer.signed(Role::Initiator, &weak, &own_kex));

        let result = own.on_message(&signature, rng);

        assert_eq!(result.err(), Some(SptpsError::WeakKey));
        assert_eq!(format!("{:?}", own.state), "Sig");
    }

    #[test]
    fn keys_are_renewed_only_when_no_handshake_is_under_way() {
        let (mut own, _) = start(Role::Initiator);

        assert_eq!(own.rekey(&mut Rng::from_seed([9; 32])).err(), Some(SptpsError::Busy));
    }
}
