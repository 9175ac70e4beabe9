//! A walk through the page `sptps` of the specification, section by section. What tinc itself computed (keys, sessions,
//! errors, replay verdicts) is replayed byte for byte in `golden/`; here stands what the page says in words.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use sha2::{Digest, Sha512};
use tinmesh_cipher::{Key, TAG};
use tinmesh_core::crypto::agreement::agree;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::replay::ReplayWindow;
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::signed_file::{SignedFile, sign};
use tinmesh_core::crypto::sptps::datagram::Datagram;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{INVITATION_LABEL, Params, Role, SptpsError, meta_label, udp_label};
use tinmesh_core::crypto::{base64, prf};
use tinmesh_core::name::NodeName;
use tinmesh_core::packet::Packet;

const WINDOW: u16 = 16;

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_seed(&[byte; 32])
}

fn params(role: Role) -> Params {
    let (own, peer) = match role {
        Role::Initiator => (key(1), key(2)),
        Role::Responder => (key(2), key(1)),
    };
    Params { role, key: own, peer: peer.public(), label: meta_label(&name("alice"), &name("bob")) }
}

/// Both ends of a stream, and what each has sent so far.
struct Ends {
    sides: [Stream; 2],
    rng: Rng,
}

impl Ends {
    fn started() -> (Self, [Vec<u8>; 2]) {
        let mut rng = Rng::from_seed([7; 32]);
        let (initiator, first) = Stream::new(params(Role::Initiator), &mut rng);
        let (responder, second) = Stream::new(params(Role::Responder), &mut rng);
        (Self { sides: [initiator, responder], rng }, [first, second])
    }

    fn established() -> Self {
        let (mut ends, [from_initiator, from_responder]) = Self::started();
        ends.feed(1, &from_initiator).unwrap();
        ends.feed(0, &from_responder).unwrap();
        let signature = ends.sides[0].take_output();
        ends.feed(1, &signature).unwrap();
        let signature = ends.sides[1].take_output();
        assert_eq!(ends.feed(0, &signature).unwrap(), [StreamEvent::Done]);
        ends
    }

    fn feed(&mut self, side: usize, mut bytes: &[u8]) -> Result<Vec<StreamEvent>, SptpsError> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (used, event) = self.sides[side].feed(bytes, &mut self.rng)?;
            events.extend(event);
            bytes = &bytes[used..];
        }
        Ok(events)
    }

    /// Carries what both have to say to the other until nobody has anything more to say; gives the records of each.
    fn carry(&mut self) -> [Vec<usize>; 2] {
        let mut sent = [Vec::new(), Vec::new()];
        loop {
            let outputs = [self.sides[0].take_output(), self.sides[1].take_output()];
            if outputs.iter().all(Vec::is_empty) {
                return sent;
            }
            for (from, output) in outputs.iter().enumerate() {
                sent[from].extend(record_lengths(output));
                self.feed(1 - from, output).unwrap();
            }
        }
    }
}

/// Whole lengths of sealed stream records.
fn record_lengths(mut bytes: &[u8]) -> Vec<usize> {
    let mut lengths = Vec::new();
    while !bytes.is_empty() {
        let whole = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 3 + TAG;
        lengths.push(whole);
        bytes = &bytes[whole..];
    }
    lengths
}

#[test]
fn s2_base64_takes_bits_from_the_least_significant_end_and_does_not_pad() {
    for (bytes, normal, url) in [
        (&b"Man"[..], "NFmb", "NFmb"),
        (&[1, 2, 3], "BIwA", "BIwA"),
        (&[0xfb, 0xef, 0xbe], "7/uv", "7_uv"),
        (&[0xff, 0xff, 0xff], "////", "____"),
    ] {
        assert_eq!((base64::encode(bytes).as_str(), base64::encode_url(bytes).as_str()), (normal, url));
        assert_eq!(base64::decode(normal.as_bytes()).as_deref(), Some(bytes));
        assert_eq!(base64::decode(url.as_bytes()).as_deref(), Some(bytes));
    }
    assert!(base64::decode(b"TWFu=").is_none(), "there is no padding");
    assert!(base64::decode(b"TW Fu").is_none(), "a blank spoils everything");
    assert_eq!(base64::decode(b"NFmbA").as_deref(), Some(&b"Man"[..]), "one digit too many is ignored");
}

#[test]
fn s3_1_the_private_form_is_the_clamped_hash_of_the_seed() {
    let mut expected: [u8; 64] = Sha512::digest([1; 32]).into();
    expected[0] &= 0xf8;
    expected[31] = expected[31] & 0x3f | 0x40;

    assert_eq!(key(1).expanded(), &expected);
}

#[test]
fn s3_2_the_private_key_file_has_two_lines_of_48_bytes() {
    let file = key(1).to_file();

    let lines: Vec<&str> = file.lines().collect();

    assert_eq!(lines[0], "-----BEGIN ED25519 PRIVATE KEY-----");
    assert_eq!((lines[1].len(), lines[2].len()), (64, 64));
    assert_eq!(lines[3], "-----END ED25519 PRIVATE KEY-----");
    assert!(file.ends_with('\n'));
    let bytes = [base64::decode(lines[1].as_bytes()).unwrap(), base64::decode(lines[2].as_bytes()).unwrap()].concat();
    assert_eq!(bytes, [&key(1).expanded()[..], key(1).public().as_bytes()].concat());
}

#[test]
fn s3_3_a_public_key_is_43_digits_or_a_block() {
    let public = key(1).public();
    let text = public.to_base64();

    assert_eq!(text.len(), 43);
    assert_eq!(PublicKey::from_base64(&text).unwrap(), public);
    assert!(PublicKey::from_base64(&text[..42]).is_err());
    assert!(PublicKey::from_base64(&format!("{text}A")).is_err());
    let block = format!("-----BEGIN ED25519 PUBLIC KEY-----\n{text}\n-----END ED25519 PUBLIC KEY-----\n");
    assert_eq!(PublicKey::parse_file(&block).unwrap(), public);
}

#[test]
fn s3_4_other_blocks_are_skipped_and_a_bad_line_spoils_the_key() {
    let block = key(1).to_file();
    let other = "-----BEGIN RSA PUBLIC KEY-----\nMIIB\n-----END RSA PUBLIC KEY-----\n";
    let with_blank = block.replacen('\n', "\n\n", 1);

    assert!(SecretKey::parse_file(&format!("Name = x\n{other}{}", *block)).is_ok());
    assert!(SecretKey::parse_file(&with_blank).is_err(), "a line that decodes to nothing");
    assert!(
        SecretKey::parse_file(&block.replace("-----END ED25519 PRIVATE KEY-----\n", "")).is_ok(),
        "the file may end"
    );
    assert!(SecretKey::parse_file(other).is_err());
}

#[test]
fn s3_6_invitations_hash_the_text_of_the_key() {
    let public = key(1).public();
    let text = public.to_base64();

    assert_eq!(tinmesh_core::invite::key_hash(&public)[..], Sha512::digest(text.as_bytes())[..18]);
    let cookie = [5; 18];
    let hash = Sha512::digest([&cookie[..], text.as_bytes()].concat());
    assert_eq!(tinmesh_core::invite::file_name(&cookie, &public), base64::encode_url(&hash[..18]));
}

#[test]
fn s4_signatures_are_deterministic_and_reject_a_high_last_byte() {
    let signature = key(1).sign(b"message");

    assert_eq!(signature, key(1).sign(b"message"));
    assert!(key(1).public().verify(b"message", &signature));
    let mut high = signature;
    high[63] |= 0xe0;
    assert!(!key(1).public().verify(b"message", &high));
}

#[test]
fn s4_1_a_signed_file_signs_content_name_and_time() {
    let file = sign(b"content\n", &name("alice"), 1_795_352_130, &key(1));

    let line = file.split(|byte| *byte == b'\n').next().unwrap();
    let digits = line.strip_prefix(b"Signature = alice 1795352130 ").unwrap();
    assert_eq!(digits.len(), 86);
    assert!(file.ends_with(b"\ncontent\n"));
    let signature: [u8; 64] = base64::decode(digits).unwrap().try_into().unwrap();
    assert!(key(1).public().verify(b"content\n alice 1795352130", &signature));
    assert!(SignedFile::parse(&file).unwrap().verify(&key(1).public()));
}

#[test]
fn s5_both_ends_agree_and_the_sign_of_the_peers_key_does_not_matter() {
    let shared = agree(&key(1), &key(2).public()).unwrap();
    let mut turned = *key(2).public().as_bytes();
    turned[31] ^= 0x80;

    assert_eq!(agree(&key(2), &key(1).public()).unwrap(), shared);
    assert_eq!(agree(&key(1), &PublicKey::from_bytes(turned)).unwrap(), shared);
}

#[test]
fn s6_the_chain_of_the_prf_begins_with_zeros_and_mixes_the_seed_into_each_link() {
    use hmac::{Hmac, KeyInit, Mac};
    let hmac = |data: &[&[u8]]| -> Vec<u8> {
        let mut mac = Hmac::<Sha512>::new_from_slice(b"secret").unwrap();
        data.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().to_vec()
    };
    let first = hmac(&[&[0; 64], b"seed"]);
    let second = hmac(&[&first, b"seed"]);
    let expected = [hmac(&[&first, b"seed"]), hmac(&[&second, b"seed"])].concat();
    let mut output = [0; 100];

    prf::derive(b"secret", b"seed", &mut output);

    assert_eq!(output[..], expected[..100]);
}

#[test]
fn s7_the_tag_covers_the_bare_ciphertext_and_the_number_is_the_nonce() {
    use chacha20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
    use poly1305::universal_hash::KeyInit;
    let secret = [9; 32];
    let mut nonce = [0; 12];
    nonce[8..].copy_from_slice(&77_u32.to_be_bytes());
    let mut stream = chacha20::ChaCha20::new(&secret.into(), &nonce.into());
    let mut one_time = [0; 32];
    stream.apply_keystream(&mut one_time);
    let mut expected = *b"plaintext of an odd length";
    stream.seek(64_u32);
    stream.apply_keystream(&mut expected);
    let tag = poly1305::Poly1305::new(&one_time.into()).compute_unpadded(&expected);

    let mut data = *b"plaintext of an odd length";
    let ours = Key::new(&secret).seal(77, &mut data);

    assert_eq!(data, expected);
    assert_eq!(ours[..], tag[..]);
}

#[test]
fn s8_labels_name_the_initiator_first_and_end_in_a_nul_but_that_of_invitations() {
    let alice_to_bob = meta_label(&name("alice"), &name("bob"));

    assert_eq!(alice_to_bob, b"tinc TCP key expansion alice bob\0");
    assert_eq!(alice_to_bob.len(), 25 + 5 + 3);
    assert_eq!(udp_label(&name("alice"), &name("bob")), b"tinc UDP key expansion alice bob\0");
    assert_eq!(INVITATION_LABEL, b"tinc invitation");
}

#[test]
fn s9_1_a_plain_stream_record_is_length_type_and_data() {
    let (_, [kex, _]) = Ends::started();

    assert_eq!(kex[..3], [0, 65, 128]);
    assert_eq!(kex.len(), 3 + 65);
}

#[test]
fn s9_1_a_sealed_stream_record_has_19_bytes_more_and_a_clear_length() {
    let mut ends = Ends::established();

    let record = ends.sides[0].seal(0, b"hello\n").unwrap();

    assert_eq!(record.len(), 6 + 19);
    assert_eq!(record[..2], [0, 6]);
    assert_eq!(ends.feed(1, &record).unwrap(), [StreamEvent::Record { kind: 0, data: b"hello\n".to_vec() }]);
}

#[test]
fn s9_1_a_wrong_length_makes_the_tag_fail() {
    let mut ends = Ends::established();
    let mut record = ends.sides[0].seal(0, b"hello\n").unwrap();
    record[1] -= 1;

    assert_eq!(ends.feed(1, &record), Err(SptpsError::BadTag));
}

/// A session between nodes after its first handshake, from both sides.
fn datagram_pair(rng: &mut Rng) -> [Datagram; 2] {
    let (mut initiator, first) = Datagram::start(params(Role::Initiator), WINDOW, rng);
    let (mut responder, second) = Datagram::start(params(Role::Responder), WINDOW, rng);
    let signature = initiator.on_handshake(&second, rng).unwrap().send.remove(0);
    assert!(responder.on_handshake(&first, rng).unwrap().send.is_empty(), "its KEX went out at the start");
    let done = responder.on_handshake(&signature, rng).unwrap();
    assert!(done.established);
    assert!(initiator.on_handshake(&done.send[0], rng).unwrap().established);
    [initiator, responder]
}

#[test]
fn s9_2_and_s13_a_sealed_datagram_has_21_bytes_more_and_the_first_has_number_2() {
    let mut rng = Rng::from_seed([7; 32]);
    let [initiator, responder] = datagram_pair(&mut rng).map(|side| side.session().unwrap());
    let mut packet = Packet::from_payload(b"data");

    assert!(initiator.seal(0, &mut packet));

    assert_eq!(packet.len(), 4 + 21);
    assert_eq!(packet.payload()[..4], [0, 0, 0, 2]);
    assert_eq!(responder.open(&mut packet), Ok(0));
    assert_eq!(packet.payload(), b"data");
}

#[test]
fn s10_1_a_kex_has_65_bytes_and_version_0() {
    for (length, version) in [(64, 0), (66, 0), (65, 1)] {
        let (mut ends, _) = Ends::started();
        let mut record = vec![0, length, 128];
        record.extend([version]);
        record.extend(vec![3; usize::from(length) - 1]);

        assert_eq!(ends.feed(0, &record), Err(SptpsError::BadKex), "{length} bytes, version {version}");
    }
}

#[test]
fn s10_2_and_s10_3_a_signature_is_by_the_peer_over_both_messages_and_the_label() {
    let (mut ends, [initiators_kex, responders_kex]) = Ends::started();
    ends.feed(0, &responders_kex).unwrap();
    let record = ends.sides[0].take_output();

    let signed =
        [&[1], &initiators_kex[3..], &responders_kex[3..], b"tinc TCP key expansion alice bob\0".as_slice()].concat();

    assert_eq!(record[..3], [0, 64, 128]);
    assert!(key(1).public().verify(&signed, record[3..].try_into().unwrap()));
}

#[test]
fn s10_4_and_s12_no_ack_in_the_first_handshake() {
    let (mut ends, [from_initiator, from_responder]) = Ends::started();

    ends.feed(1, &from_initiator).unwrap();
    assert!(ends.sides[1].take_output().is_empty(), "a responder answers a KEX with nothing");
    ends.feed(0, &from_responder).unwrap();
    let signature = ends.sides[0].take_output();
    assert_eq!(ends.feed(1, &signature).unwrap(), [StreamEvent::Done], "the responder is done with its SIG");
    let answer = ends.sides[1].take_output();
    assert_eq!(answer.len(), 67, "one SIG, plain");
    assert_eq!(ends.feed(0, &answer).unwrap(), [StreamEvent::Done]);
    assert!(ends.sides[0].take_output().is_empty());
}

#[test]
fn s11_the_first_half_of_the_block_is_for_what_the_responder_sends() {
    let seeds: Vec<u8> = (0..128).collect();
    let (nonces, secrets) = ([&seeds[..32], &seeds[64..96]], [&seeds[32..64], &seeds[96..]]);
    let mut rng = Rng::from_bytes(seeds.clone());
    let [initiator, _] = datagram_pair(&mut rng);
    let ephemeral = secrets.map(|seed| SecretKey::from_seed(seed.try_into().unwrap()));
    let shared = agree(&ephemeral[0], &ephemeral[1].public()).unwrap();
    let label = meta_label(&name("alice"), &name("bob"));
    let mut block = [0; 128];
    prf::derive(&*shared, &[b"key expansion", nonces[0], nonces[1], &label].concat(), &mut block);
    let mut packet = Packet::from_payload(b"x");

    assert!(initiator.session().unwrap().seal(0, &mut packet));

    let mut sealed = [0, b'x'];
    let tag = Key::new(block[64..96].try_into().unwrap()).seal(2, &mut sealed);
    assert_eq!(packet.payload()[4..], [&sealed[..], &tag].concat());
}

#[test]
fn s12_application_records_wait_for_the_handshake() {
    let (mut ends, _) = Ends::started();

    assert_eq!(ends.sides[0].seal(0, b"x"), Err(SptpsError::TooEarly));
    assert_eq!(ends.feed(1, &[0, 1, 0, b'x']), Err(SptpsError::TooEarly));
}

#[test]
fn s13_a_plain_datagram_has_exactly_the_number_that_is_due() {
    let mut rng = Rng::from_seed([7; 32]);
    let (_, kex) = Datagram::start(params(Role::Initiator), WINDOW, &mut rng);
    let (mut responder, _) = Datagram::start(params(Role::Responder), WINDOW, &mut rng);
    let mut later = kex.clone();
    later[3] = 1;

    assert_eq!(
        responder.on_handshake(&later, &mut rng).unwrap_err(),
        SptpsError::WrongNumber { got: 1, expected: 0 },
        "and nothing is lost by it:"
    );
    assert!(responder.on_handshake(&kex, &mut rng).is_ok());
}

#[test]
fn s14_the_window_covers_128_numbers_and_believes_the_fifth_jump() {
    let window = ReplayWindow::new(WINDOW, 2);

    assert!(window.accept(0, 0).is_err() && window.accept(1, 0).is_err(), "0 and 1 count as seen");
    assert!(window.accept(2, 0).is_ok());
    assert!(window.accept(2, 0).is_err(), "twice");
    assert!(window.accept(130, 0).is_ok(), "127 ahead of the next");
    assert!(window.accept(3, 0).is_ok(), "the last that the window holds");
    assert_eq!((0..4).filter(|_| window.accept(1000, 0).is_ok()).count(), 0, "four jumps are not believed");
    assert!(window.accept(1000, 0).is_ok());
    assert!(window.accept(131, 0).is_err(), "left behind");
    assert!(window.accept(990, 0).is_ok(), "what was jumped over may come late");
}

#[test]
fn s14_a_window_of_0_accepts_everything() {
    let window = ReplayWindow::new(0, 2);

    assert!([5, 5, 2, 5000, 1].into_iter().all(|number| window.accept(number, 0).is_ok()));
}

#[test]
fn s15_s18_roles_stay_whoever_renews() {
    const KEX: usize = 84;
    const SIG: usize = 83;
    const ACK: usize = 19;
    for starters in [&[0][..], &[1], &[0, 1]] {
        let mut ends = Ends::established();
        for side in starters {
            ends.sides[*side].rekey(&mut ends.rng).unwrap();
        }

        let sent = ends.carry();

        assert_eq!(sent[0], [KEX, SIG, ACK], "the initiator, started by {starters:?}");
        assert_eq!(sent[1], [KEX, SIG, ACK], "the responder, started by {starters:?}");
        let record = ends.sides[0].seal(0, b"x").unwrap();
        assert_eq!(ends.feed(1, &record).unwrap(), [StreamEvent::Record { kind: 0, data: b"x".to_vec() }]);
    }
}

#[test]
fn s15_nobody_renews_while_a_handshake_is_under_way() {
    let (mut ends, _) = Ends::started();

    assert_eq!(ends.sides[0].rekey(&mut ends.rng), Err(SptpsError::Busy));
}

#[test]
fn s16_types_from_129_on_are_errors() {
    let mut ends = Ends::established();

    assert!(ends.sides[0].seal(129, b"").is_err());
    let mut rng = Rng::from_seed([7; 32]);
    let (mut responder, _) = Datagram::start(params(Role::Responder), WINDOW, &mut rng);
    assert_eq!(responder.on_handshake(&[0, 0, 0, 0, 130], &mut rng).unwrap_err(), SptpsError::BadType(130));
    assert_eq!(responder.on_handshake(&[0, 0, 0, 0], &mut rng).unwrap_err(), SptpsError::TooShort);
}

#[test]
fn s18_handshake_datagrams_have_the_sizes_of_the_table() {
    let mut rng = Rng::from_seed([7; 32]);
    let (mut initiator, first) = Datagram::start(params(Role::Initiator), WINDOW, &mut rng);
    let (_, second) = Datagram::start(params(Role::Responder), WINDOW, &mut rng);
    let signature = initiator.on_handshake(&second, &mut rng).unwrap().send.remove(0);

    assert_eq!((first.len(), base64::encode(&first).len()), (70, 94));
    assert_eq!((signature.len(), base64::encode(&signature).len()), (69, 92));
    let [mut initiator, mut responder] = datagram_pair(&mut rng);
    let kex = initiator.rekey(&mut rng).unwrap();
    assert_eq!((kex.len(), base64::encode(&kex).len()), (86, 115));
    let answer = responder.on_handshake(&kex, &mut rng).unwrap().send.remove(0);
    let signature = initiator.on_handshake(&answer, &mut rng).unwrap().send.remove(0);
    assert_eq!((signature.len(), base64::encode(&signature).len()), (85, 114));
    let ack = responder.on_handshake(&signature, &mut rng).unwrap().send.pop().unwrap();
    assert_eq!((ack.len(), base64::encode(&ack).len()), (21, 28));
}

#[test]
fn s19_the_nonce_is_drawn_before_the_ephemeral_seed() {
    let drawn: Vec<u8> = (0..64).collect();
    let mut rng = Rng::from_bytes(drawn.clone());

    let (_, kex) = Stream::new(params(Role::Initiator), &mut rng);

    assert_eq!(kex[4..36], drawn[..32]);
    assert_eq!(kex[36..], SecretKey::from_seed(drawn[32..].try_into().unwrap()).public().as_bytes()[..]);
}
