//! Two links with each other, and one with somebody who has no key.

use super::*;

fn key(seed: u8) -> PrivateKey {
    PrivateKey::generate(1024, &mut Rng::from_seed([seed; 32])).unwrap()
}

/// One end of a connection.
struct End {
    link: Link,
    key: PrivateKey,
    rng: Rng,
}

impl End {
    fn new(role: Role, seed: u8, peer: &PublicKey) -> (Self, Vec<u8>) {
        let mut rng = Rng::from_seed([seed + 100; 32]);
        let (link, request) = Link::start(role, peer.clone(), false, &mut rng).unwrap();
        (Self { link, key: key(seed), rng }, request)
    }

    fn on_line(&mut self, line: &[u8]) -> Result<Progress, LinkError> {
        self.link.on_request(line, Proof { key: &self.key, weak: false, rng: &mut self.rng })
    }

    /// Decrypts one line and takes it.
    fn on_sealed(&mut self, sealed: &[u8]) -> Result<Progress, LinkError> {
        self.link.receive(sealed)?;
        let mut line = self.link.take(self.link.rest().len());
        assert_eq!(line.pop(), Some(b'\n'));
        self.on_line(&line)
    }
}

fn line(request: &[u8]) -> &[u8] {
    request.strip_suffix(b"\n").unwrap()
}

/// Both ends after METAKEY, with the challenges they sent.
fn pair() -> (End, End, Vec<u8>, Vec<u8>) {
    let (mut one, one_request) = End::new(Role::Initiator, 1, key(2).public());
    let (mut two, two_request) = End::new(Role::Responder, 2, key(1).public());
    let one_challenge = one.on_line(line(&two_request)).unwrap().send;
    let two_challenge = two.on_line(line(&one_request)).unwrap().send;
    (one, two, one_challenge, two_challenge)
}

#[test]
fn two_nodes_with_each_others_keys_authenticate() {
    let (mut one, mut two, one_challenge, two_challenge) = pair();

    assert!(two.on_sealed(&one_challenge).unwrap().send.is_empty());
    let proof = one.on_sealed(&two_challenge).unwrap();
    assert!(!proof.authenticated);
    let answer = two.on_sealed(&proof.send).unwrap();
    assert!(answer.authenticated && two.link.is_authenticated());
    assert!(one.on_sealed(&answer.send).unwrap().authenticated && one.link.is_authenticated());

    let sealed = one.link.seal(b"4 655 1 c\n").unwrap();
    two.link.receive(&sealed).unwrap();
    assert_eq!(two.link.rest(), b"4 655 1 c\n");
}

#[test]
fn a_responder_proves_nothing_before_the_initiator_has() {
    let (_, mut two, one_challenge, _) = pair();

    let quiet = two.on_sealed(&one_challenge).unwrap();

    assert!(quiet.send.is_empty() && !two.link.is_authenticated());
    assert_eq!(two.on_line(b"3 00").err(), Some(LinkError::WrongReply));
    assert!(!two.link.is_authenticated());
}

#[test]
fn somebody_without_the_private_key_cannot_answer() {
    let (mut one, mut two, one_challenge, _) = pair();
    two.on_sealed(&one_challenge).unwrap();
    let challenge = hex::encode(&one.link.challenge);
    for guess in [challenge, hex::encode(&OWN_DIGEST.hash(b"")), String::new(), "00".repeat(32), "00".repeat(31)] {
        assert!(matches!(
            two.on_line(format!("3 {guess}").as_bytes()),
            Err(LinkError::WrongReply | LinkError::Malformed(_))
        ));
    }
    assert!(one.on_line(b"3 00").is_err());
}

#[test]
fn a_reply_from_an_earlier_connection_is_worthless() {
    let (_, _, _, two_challenge) = pair();
    let (mut one, request) = End::new(Role::Initiator, 1, key(2).public());
    one.rng = Rng::from_seed([77; 32]);
    let (_, other) = End::new(Role::Responder, 2, key(1).public());
    let first = one.on_line(line(&other)).unwrap().send;
    assert_ne!(first, two_challenge);
    let (mut again, again_request) = End::new(Role::Initiator, 1, key(2).public());
    again.rng = Rng::from_seed([78; 32]);
    let second = again.on_line(line(&other)).unwrap().send;

    assert_eq!(request, again_request);
    assert_ne!(first, second, "each connection has a challenge of its own");
}

#[test]
fn our_own_challenge_sent_back_is_refused() {
    let (mut one, ..) = pair();
    let same = format!("2 {}", hex::encode(&one.link.challenge));
    assert_eq!(one.on_line(same.as_bytes()).err(), Some(LinkError::Reflected));
}

#[test]
fn requests_come_in_their_order_only() {
    for early in ["2 00", "3 00", "4 655 0 c", "10 1 a 10.0.0.1", "0 a 17", "", "1", "garbage"] {
        let (mut two, _) = End::new(Role::Responder, 2, key(1).public());
        assert!(two.on_line(early.as_bytes()).is_err(), "{early}");
        assert!(!two.link.is_encrypted());
    }
    let (mut one, _, _, _) = pair();
    assert_eq!(one.on_line(b"3 00").err(), Some(LinkError::Unexpected("CHALLENGE")));
    assert_eq!(one.on_line(b"1 429 672 0 0 00").err(), Some(LinkError::Unexpected("CHALLENGE")));
}

#[test]
fn a_connection_without_cipher_or_digest_or_with_weak_ones_is_refused() {
    let sealed = |id: &str| {
        let (mut two, _) = End::new(Role::Responder, 2, key(1).public());
        let (_, request) = End::new(Role::Initiator, 1, key(2).public());
        let request = String::from_utf8(request).unwrap().replacen("429 672", id, 1);
        two.on_line(line(request.as_bytes())).map(|_| ()).err()
    };
    assert_eq!(sealed("0 672"), Some(LinkError::Cipher(0)));
    assert_eq!(sealed("429 0"), Some(LinkError::Digest(0)));
    assert_eq!(sealed("427 672"), Some(LinkError::Cipher(427)), "a mode that changes lengths");
    assert_eq!(sealed("426 672"), Some(LinkError::Cipher(426)));
    assert_eq!(sealed("-1 672"), Some(LinkError::Cipher(-1)));
    assert_eq!(sealed("94 64"), Some(LinkError::Weak), "tinc before 1.0.30");
    assert_eq!(sealed("429 4"), Some(LinkError::Weak));
    assert_eq!(sealed("421 64"), None);
    assert_eq!(sealed("x 672"), Some(LinkError::Malformed("METAKEY cipher")));
}

#[test]
fn a_key_of_another_length_or_above_the_modulus_is_refused() {
    let peer = key(1);
    for key in ["", "00", &"FF".repeat(128), &"00".repeat(127), &"00".repeat(129)] {
        let (mut two, _) = End::new(Role::Responder, 2, peer.public());
        let wrong = two.on_line(format!("1 429 672 0 0 {key}").as_bytes());
        assert_eq!(wrong.err(), Some(LinkError::Malformed("METAKEY key")));
    }
}

#[test]
fn a_challenge_of_another_length_is_refused() {
    let (mut one, ..) = pair();
    for len in [0, 127, 129] {
        let wrong = format!("2 {}", "00".repeat(len));
        assert_eq!(one.on_line(wrong.as_bytes()).err(), Some(LinkError::Malformed("CHALLENGE")));
    }
}

#[test]
fn a_changed_bit_of_the_stream_changes_no_proof_into_a_valid_one() {
    let (mut one, mut two, one_challenge, two_challenge) = pair();
    two.on_sealed(&one_challenge).unwrap();
    let mut proof = one.on_sealed(&two_challenge).unwrap().send;
    proof[10] ^= 1;
    assert!(two.on_sealed(&proof).is_err());
    assert!(!two.link.is_authenticated());
}
