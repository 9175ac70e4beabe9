//! RSA keys against files and numbers that OpenSSL made, and against themselves.

use super::*;

/// A key of 1024 bits in PKCS#1, as OpenSSL writes it.
const PRIVATE: &str = include_str!("tests/private.pem");
/// The same in PKCS#8.
const PRIVATE_ANY: &str = include_str!("tests/private_pkcs8.pem");
/// The same behind a passphrase.
const PRIVATE_LOCKED: &str = include_str!("tests/private_locked.pem");
/// Its public half in PKCS#1.
const PUBLIC: &str = include_str!("tests/public.pem");
/// The same in a SubjectPublicKeyInfo.
const PUBLIC_ANY: &str = include_str!("tests/public_spki.pem");
/// A key of 1024 bits with exponent 65535 as digits: private exponent, modulus.
const DIGITS: (&str, &str) = (include_str!("tests/private.hex"), include_str!("tests/public.hex"));

fn rng(seed: u8) -> Rng {
    Rng::from_seed([seed; 32])
}

#[test]
fn what_a_public_key_encrypts_its_private_key_decrypts() {
    let mut rng = rng(1);
    let key = PrivateKey::generate(1032, &mut rng).unwrap();
    assert_eq!((key.public().bits(), key.public().block_len()), (1032, 129));

    for _ in 0..20 {
        let block = key.public().draw_block(&mut rng);
        let sealed = key.public().encrypt(&block).unwrap();

        assert_ne!(sealed, *block);
        assert_eq!(key.decrypt(&sealed, &mut rng), Some(block));
    }
}

#[test]
fn a_block_of_another_length_or_above_the_modulus_is_refused() {
    let key = PrivateKey::parse_file(PRIVATE).unwrap();
    for block in [vec![0; 127], vec![0; 129], vec![0xff; 128]] {
        assert_eq!(key.public().encrypt(&block), None);
        assert_eq!(key.decrypt(&block, &mut rng(1)), None);
    }
    assert_eq!(key.decrypt(&[0; 128], &mut rng(1)), Some(Zeroizing::new(vec![0; 128])));
}

#[test]
fn the_same_seed_makes_the_same_key_and_other_seeds_make_others() {
    let key = |seed| PrivateKey::generate(1024, &mut rng(seed)).unwrap().public().clone();
    assert_eq!(key(1), key(1));
    assert_ne!(key(1), key(2));
}

#[test]
fn sizes_out_of_reach_are_refused() {
    for bits in [0, 8, 1016, 1025, 8200, u32::MAX] {
        assert_eq!(PrivateKey::generate(bits, &mut rng(1)).err(), Some(RsaKeyError::Size(bits)));
    }
    let short = PublicKey::from_numbers(&[0xff; 64], &[3]);
    let long = PublicKey::from_numbers(&[0xff; 1025], &[3]);
    assert_eq!((short, long), (Err(RsaKeyError::Size(512)), Err(RsaKeyError::Size(8200))));
}

#[test]
fn numbers_that_are_no_key_are_refused() {
    let odd = [0xff; 128];
    let mut even = odd;
    even[127] = 0xfe;
    for (modulus, exponent) in [(even, &[3][..]), (odd, &[]), (odd, &[1]), (odd, &[2]), (odd, &[1; 9])] {
        assert_eq!(PublicKey::from_numbers(&modulus, exponent), Err(RsaKeyError::BadNumbers));
    }
}

#[test]
fn a_file_that_was_written_reads_back() {
    let key = PrivateKey::generate(1024, &mut rng(3)).unwrap();

    let read = PrivateKey::parse_file(&key.to_file().unwrap()).unwrap();

    assert_eq!((read.public(), &read.exponent), (key.public(), &key.exponent));
    assert_eq!(PublicKey::parse_file(&key.public().to_file()).unwrap(), *key.public());
    assert_eq!(read.to_file(), key.to_file());
}

#[test]
fn files_are_written_as_openssl_writes_them() {
    let key = PrivateKey::parse_file(PRIVATE).unwrap();
    assert_eq!(*key.to_file().unwrap(), PRIVATE);
    assert_eq!(key.public().to_file(), PUBLIC);
}

#[test]
fn each_kind_of_block_is_read_with_text_around_it_and_any_line_ends() {
    let key = PrivateKey::parse_file(PRIVATE).unwrap();
    let around = |block: &str| format!("\nAddress = a.example\n{block}Subnet = 10.0.0.0/8\n");
    for text in [PUBLIC, PUBLIC_ANY] {
        assert_eq!(PublicKey::parse_file(&around(text)).unwrap(), *key.public());
        assert_eq!(PublicKey::parse_file(&around(text).replace('\n', "\r\n")).unwrap(), *key.public());
    }
    for text in [PRIVATE, PRIVATE_ANY] {
        assert_eq!(PrivateKey::parse_file(&around(text)).unwrap().exponent, key.exponent);
    }
}

#[test]
fn a_damaged_or_locked_file_says_what_is_wrong() {
    let parse = |text: &str| PrivateKey::parse_file(text).err();
    assert_eq!(parse(PUBLIC), Some(RsaKeyError::NoBlock("RSA PRIVATE KEY")));
    assert_eq!(parse(&PRIVATE[..200]), Some(RsaKeyError::BadBlock("RSA PRIVATE KEY")));
    assert_eq!(parse(PRIVATE_LOCKED), Some(RsaKeyError::Encrypted));
    let ed25519 = "-----BEGIN PRIVATE KEY-----\n\
                   MC4CAQAwBQYDK2VwBCIEIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f\n\
                   -----END PRIVATE KEY-----\n";
    assert_eq!(parse(ed25519), Some(RsaKeyError::OtherKind));
    assert_eq!(PublicKey::parse_file(PRIVATE).err(), Some(RsaKeyError::NoBlock("RSA PUBLIC KEY")));
}

#[test]
fn keys_written_as_digits_have_the_exponent_65535() {
    let (private, modulus) = (DIGITS.0.trim(), DIGITS.1.trim());
    let key = PrivateKey::parse_hex(private, modulus).unwrap();
    let block = key.public().draw_block(&mut rng(1));

    let sealed = key.public().encrypt(&block).unwrap();

    assert_eq!(key.public(), &PublicKey::parse_hex(&modulus.to_lowercase()).unwrap());
    assert_eq!(key.decrypt(&sealed, &mut rng(2)), Some(block));
    assert_eq!(key.to_file(), None);
}

#[test]
fn digits_that_are_no_key_are_refused() {
    let modulus = DIGITS.1.trim();
    assert_eq!(PublicKey::parse_hex(""), Err(RsaKeyError::NotHex));
    assert_eq!(PublicKey::parse_hex(&format!("{modulus} ")), Err(RsaKeyError::NotHex));
    assert_eq!(PublicKey::parse_hex(&modulus.replace('A', "ä")), Err(RsaKeyError::NotHex));
    assert_eq!(PrivateKey::parse_hex("1234567", modulus).err(), Some(RsaKeyError::Mismatch));
    assert_eq!(PrivateKey::parse_hex(&format!("10{modulus}"), modulus).err(), Some(RsaKeyError::BadNumbers));
}

#[test]
fn halves_of_different_keys_do_not_match() {
    let one = PrivateKey::parse_file(PRIVATE).unwrap();
    let other = PublicKey::parse_hex(DIGITS.1.trim()).unwrap();
    assert_ne!(one.public(), &other);
    assert_eq!(PrivateKey::from_numbers(other, &one.exponent.to_be_bytes()).err(), Some(RsaKeyError::Mismatch));
}

#[test]
fn debug_output_has_no_secret_numbers() {
    let key = PrivateKey::parse_file(PRIVATE).unwrap();
    assert_eq!(format!("{key:?}"), "rsa::PrivateKey(1024 bits)");
}
