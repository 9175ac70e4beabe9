//! Every cipher against what OpenSSL makes of the same text.

use super::*;

const OPENSSL: &str = include_str!("tests/openssl.tsv");

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn text() -> Vec<u8> {
    (0..150_u8).map(|index| index.wrapping_mul(7).wrapping_add(3)).collect()
}

struct Sample {
    cipher: Cipher,
    id: i32,
    /// Key and IV.
    key: Vec<u8>,
    /// IV and key.
    block: Vec<u8>,
    sealed: Vec<u8>,
}

fn samples() -> Vec<Sample> {
    let sample = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [name, id, key, iv, sealed] = fields[..] else { panic!("{line}") };
        let (key, iv) = (bytes(key), bytes(iv));
        Sample {
            cipher: Cipher::by_name(name).unwrap_or_else(|| panic!("{name}")),
            id: id.parse().unwrap(),
            key: [&key[..], &iv].concat(),
            block: [&iv[..], &key].concat(),
            sealed: bytes(sealed),
        }
    };
    OPENSSL.lines().skip(1).map(sample).collect()
}

#[test]
fn every_cipher_has_a_sample_its_number_and_its_name() {
    let samples = samples();
    for cipher in Cipher::all() {
        let sample = samples.iter().find(|sample| sample.cipher == cipher).unwrap_or_else(|| panic!("{cipher}"));
        assert_eq!((cipher.id(), Cipher::by_id(sample.id)), (sample.id, Some(cipher)));
        assert_eq!(cipher.key_len() + cipher.iv_len(), sample.key.len(), "{cipher}");
    }
}

#[test]
fn packets_are_encrypted_as_by_openssl_and_decrypted_again() {
    for Sample { cipher, key, sealed, .. } in samples() {
        let keyed = PacketCipher::new(cipher, &key).unwrap();
        let mut packet = Packet::from_payload(&text());

        assert!(keyed.encrypt(&mut packet));
        assert_eq!(packet.payload(), sealed, "{cipher}");
        assert!(keyed.decrypt(&mut packet), "{cipher}");
        assert_eq!(packet.payload(), text(), "{cipher}");
    }
}

#[test]
fn a_stream_may_be_cut_anywhere() {
    for Sample { cipher, block, sealed, .. } in samples().into_iter().filter(|sample| sample.cipher.padding_len() == 1)
    {
        for piece in [1, 7, 150] {
            let block = [&[9; 80], &block[..]].concat();
            let [mut out, mut back] = [(); 2].map(|()| MetaStream::from_block(cipher, &block).unwrap());
            let mut data = text();
            for piece in data.chunks_mut(piece) {
                out.encrypt(piece).unwrap();
            }
            assert_eq!(data, sealed, "{cipher} in pieces of {piece}");
            for piece in data.chunks_mut(piece + 2) {
                back.decrypt(piece).unwrap();
            }
            assert_eq!(data, text(), "{cipher} in pieces of {piece}");
        }
    }
}

#[test]
fn ciphers_that_change_lengths_make_no_stream_and_short_blocks_none_at_all() {
    let aes_cbc = Cipher::by_name("aes-256-cbc").unwrap();
    let aes_cfb = Cipher::by_name("aes-256-cfb").unwrap();
    assert!(MetaStream::from_block(aes_cbc, &[1; 256]).is_none());
    assert!(MetaStream::from_block(aes_cfb, &[1; 47]).is_none());
    assert!(MetaStream::from_block(aes_cfb, &[1; 48]).is_some());
}

#[test]
fn a_key_of_another_length_is_refused() {
    for cipher in Cipher::all() {
        let len = cipher.key_len() + cipher.iv_len();
        for wrong in [0, 1, len - 1, len + 1] {
            assert!(PacketCipher::new(cipher, &vec![1; wrong]).is_none(), "{cipher}: {wrong}");
        }
    }
}

#[test]
fn damaged_padding_is_noticed() {
    let keyed = PacketCipher::new(Cipher::by_name("aes-128-cbc").unwrap(), &[1; 32]).unwrap();
    for len in [0, 15, 17] {
        assert!(!keyed.decrypt(&mut Packet::from_payload(&vec![0; len])), "{len}");
    }
    for last in [0_u8, 17, 255] {
        let mut packet = Packet::from_payload(&[last; 16]);
        let Keyed::Block(block, _) = &keyed.keyed else { panic!("a block cipher") };
        block.encrypt_chain(&keyed.iv[..], packet.payload_mut());
        assert!(!keyed.decrypt(&mut packet), "{last}");
    }
}

#[test]
fn only_cbc_with_blocks_of_16_bytes_protects_packets_well() {
    let strong: Vec<String> =
        Cipher::all().filter(|cipher| !cipher.is_weak()).map(|cipher| cipher.to_string()).collect();
    assert_eq!(strong.len(), 10);
    assert!(strong.iter().all(|name| name.ends_with("-cbc") && !name.contains("des") && !name.contains("cast")));
}

#[test]
fn names_are_those_of_openssl_in_any_case_with_its_short_forms() {
    for (short, full) in [
        ("AES-256-CBC", "aes-256-cbc"),
        ("aes192", "aes-192-cbc"),
        ("camellia256", "camellia-256-cbc"),
        ("ARIA128", "aria-128-cbc"),
        ("blowfish", "bf-cbc"),
        ("des3", "des-ede3-cbc"),
        ("des-ede3", "des-ede3-ecb"),
        ("cast", "cast5-cbc"),
    ] {
        assert_eq!(Cipher::by_name(short).map(|cipher| cipher.to_string()).as_deref(), Some(full));
    }
    assert_eq!((Cipher::by_name("none"), Cipher::by_name("aes-256-gcm"), Cipher::by_id(0)), (None, None, None));
}
