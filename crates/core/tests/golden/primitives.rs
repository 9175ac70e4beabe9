//! Key agreement, key derivation, cipher.

use serde_json::Value;
use tinmesh_cipher::Key;
use tinmesh_core::crypto::agreement::agree;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::prf;

use crate::vectors::{array, flag, hex, list, number, text, vectors};

#[test]
fn both_sides_agree_on_the_secret_that_tinc_finds() {
    for case in list(&vectors!("ecdh.json")["pairs"]) {
        let (a, b) = (SecretKey::from_seed(&array(&case["seed_a"])), SecretKey::from_seed(&array(&case["seed_b"])));
        assert_eq!(a.public().as_bytes().to_vec(), hex(&case["public_a"]));
        assert_eq!(b.public().as_bytes().to_vec(), hex(&case["public_b"]));

        assert_eq!(agree(&a, &b.public()).unwrap().to_vec(), hex(&case["shared"]));
        assert_eq!(agree(&b, &a.public()).unwrap().to_vec(), hex(&case["shared"]));
    }
}

/// tinc goes on with keys that are no curve point, and with an all-zero secret; we do not.
#[test]
fn odd_public_keys_give_the_secret_of_tinc_or_none() {
    for case in list(&vectors!("ecdh.json")["odd_public_keys"]) {
        let mut expanded = [0; 64];
        expanded[..32].copy_from_slice(&hex(&case["scalar"]));
        let honest = hex(&case["shared"]) != [0; 32] && !text(&case["description"]).contains("not a curve point");

        let shared = agree(&SecretKey::from_expanded(&expanded), &PublicKey::from_bytes(array(&case["peer_public"])));

        assert_eq!(
            shared.map(|shared| shared.to_vec()),
            honest.then(|| hex(&case["shared"])),
            "{}",
            case["description"]
        );
    }
}

#[test]
fn derived_bytes_are_those_of_tinc() {
    for case in list(&vectors!("prf.json")["vectors"]) {
        let mut output = vec![0; number(&case["length"]) as usize];

        prf::derive(&hex(&case["secret"]), &hex(&case["seed"]), &mut output);

        assert_eq!(output, hex(&case["output"]));
    }
}

fn cipher(keys: &Value, key: &Value) -> Key {
    let bytes = if key.as_str().is_some_and(|name| name.len() < 64) { hex(&keys[text(key)]) } else { hex(key) };
    Key::new(bytes.first_chunk().expect("64 bytes, of which half count"))
}

#[test]
fn records_are_sealed_as_by_tinc() {
    let file = vectors!("chacha_poly1305.json");
    for case in list(&file["vectors"]) {
        let cipher = cipher(&file["keys"], &case["key"]);
        let mut data: Vec<u8> = (0..number(&case["length"])).map(|index| (7 * index + 3) as u8).collect();

        let tag = cipher.seal(number(&case["seqno"]) as u32, &mut data);

        assert_eq!([data.as_slice(), &tag].concat(), hex(&case["ciphertext_and_tag"]));
    }
    for case in list(&file["steps"]) {
        let mut data = hex(&case["plaintext"]);

        let tag = cipher(&file["keys"], &case["key"]).seal(number(&case["seqno"]) as u32, &mut data);

        assert_eq!((data, tag.to_vec()), (hex(&case["ciphertext"]), hex(&case["tag"])));
    }
}

#[test]
fn records_open_when_tinc_opens_them() {
    let file = vectors!("chacha_poly1305.json");
    for case in list(&file["open_cases"]) {
        let mut data = hex(&case["ciphertext_and_tag"]);
        let (body, tag) = data.split_last_chunk_mut().unwrap();

        let opens = cipher(&file["keys"], &case["key"]).open(number(&case["seqno"]) as u32, body, tag);

        assert_eq!(opens, flag(&case["opens"]), "{}", case["description"]);
    }
}
