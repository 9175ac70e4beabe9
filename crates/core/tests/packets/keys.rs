//! Sessions for tests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::crypto::record_key::Suite;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::datagram::Datagram;
use tinmesh_core::crypto::sptps::{Params, Role};
use tinmesh_core::dataplane::session::Session;

/// Replay window in bytes, as tinc has it.
const WINDOW: u16 = 16;

/// One side of a handshake.
pub(crate) struct Side {
    pub(crate) key: SecretKey,
    pub(crate) rng: Rng,
}

/// Both ends of a session, with keys of its own.
pub(crate) fn session_pair() -> (Arc<Session>, Arc<Session>) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let side = |side: u8| {
        let mut seed = [side; 32];
        seed[..8].copy_from_slice(&COUNT.fetch_add(1, Relaxed).to_be_bytes());
        Side { key: SecretKey::from_seed(&[side; 32]), rng: Rng::from_seed(seed) }
    };
    handshake(side(1), side(2), b"test")
}

/// Both ends of the session that two sides agree on.
pub(crate) fn handshake(one: Side, two: Side, label: &[u8]) -> (Arc<Session>, Arc<Session>) {
    handshake_for(Suite::default(), one, two, label)
}

/// The same, whose keys are renewed for a cipher if it is not that of the first keys.
pub(crate) fn handshake_for(suite: Suite, mut one: Side, mut two: Side, label: &[u8]) -> (Arc<Session>, Arc<Session>) {
    let params = |role, key: &SecretKey, peer: &SecretKey| Params {
        role,
        key: key.clone(),
        peer: peer.public(),
        label: label.to_vec(),
    };
    let initiator = params(Role::Initiator, &one.key, &two.key);
    let responder = params(Role::Responder, &two.key, &one.key);
    let (mut initiator, kex) = Datagram::start(initiator, WINDOW, &mut one.rng);
    let (mut responder, answer) = Datagram::start(responder, WINDOW, &mut two.rng);
    responder.on_handshake(&kex, &mut two.rng).expect("the key exchange of the initiator is right");
    let signed = initiator.on_handshake(&answer, &mut one.rng).expect("the key exchange of the responder is right");
    let signed = responder.on_handshake(&signed.send[0], &mut two.rng).expect("the initiator signed");
    initiator.on_handshake(&signed.send[0], &mut one.rng).expect("the responder signed");
    if suite != Suite::default() {
        initiator.change_suite(suite);
        responder.change_suite(suite);
        let mut sent = vec![initiator.rekey(&mut one.rng).expect("the handshake is over")];
        while !sent.is_empty() {
            let answers =
                sent.iter().flat_map(|sent| responder.on_handshake(sent, &mut two.rng).expect("genuine").send);
            let answers: Vec<_> = answers.collect();
            let next =
                answers.iter().flat_map(|sent| initiator.on_handshake(sent, &mut one.rng).expect("genuine").send);
            sent = next.collect();
        }
    }
    let session = |side: &Datagram| side.session().expect("the handshake is over");
    (session(&initiator), session(&responder))
}
