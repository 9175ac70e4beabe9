//! Key files and signatures.

use serde_json::Value;
use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::signed_file::{self, SignedFile};
use tinmesh_core::name::NodeName;

use crate::vectors::{array, flag, hex, list, number, text, vectors};

fn key_named(name: &Value) -> SecretKey {
    let keys = vectors!("keys.json");
    let key = list(&keys["keys"]).iter().find(|key| key["name"] == *name).unwrap();
    SecretKey::parse_file(text(&key["private_file"])).unwrap()
}

#[test]
fn key_pairs_and_their_files_are_those_of_tinc() {
    for case in list(&vectors!("keys.json")["keys"]) {
        let key = SecretKey::from_seed(&array(&case["seed"]));

        assert_eq!(key.expanded().to_vec(), hex(&case["private"]));
        assert_eq!(key.public().as_bytes().to_vec(), hex(&case["public"]));
        assert_eq!(key.public().to_base64(), text(&case["public_base64"]));
        assert_eq!(key.to_file().as_str(), text(&case["private_file"]));
        assert_eq!(key.public().to_file(), text(&case["public_file"]));
    }
}

#[test]
fn key_files_are_accepted_and_refused_as_by_tinc() {
    for case in list(&vectors!("keys.json")["file_reader_cases"]) {
        let (kind, file) = (text(&case["kind"]), text(&case["text"]));

        let read = match kind {
            "private" => SecretKey::parse_file(file).map(|key| key.public()),
            _ => PublicKey::parse_file(file),
        };

        assert_eq!(read.is_ok(), flag(&case["accepted"]), "{}: {read:?}", case["description"]);
        assert_eq!(read.ok().map(|key| key.to_base64()).as_deref(), case["public_base64"].as_str());
    }
}

#[test]
fn public_key_texts_are_accepted_and_refused_as_by_tinc() {
    for case in list(&vectors!("keys.json")["public_key_string_cases"]) {
        let key = PublicKey::from_base64(text(&case["input"]));

        assert_eq!(key.is_ok(), flag(&case["accepted"]), "{}", case["input"]);
        assert_eq!(key.ok().map(|key| key.to_base64()).as_deref(), case["public_base64"].as_str());
    }
}

#[test]
fn signatures_are_those_of_tinc() {
    for case in list(&vectors!("signatures.json")["sign"]) {
        let key = key_named(&case["key"]);
        assert_eq!(key.public().as_bytes().to_vec(), hex(&case["public"]));

        let signature = key.sign(&hex(&case["message"]));

        assert_eq!(signature.to_vec(), hex(&case["signature"]));
        assert_eq!(key.public().verify(&hex(&case["message"]), &signature), flag(&case["valid"]));
    }
}

#[test]
fn signatures_are_accepted_as_by_tinc_except_the_malleable_form() {
    for case in list(&vectors!("signatures.json")["verify"]) {
        let key = PublicKey::from_bytes(array(&case["public"]));
        let malleable = text(&case["description"]).contains("malleable");

        let accepted = key.verify(&hex(&case["message"]), &array(&case["signature"]));

        assert_eq!(accepted, flag(&case["tinc_accepts"]) && !malleable, "{}", case["description"]);
    }
}

#[test]
fn signed_files_are_those_of_tinc() {
    for case in list(&vectors!("signatures.json")["signed_files"]) {
        let (key, name) = (key_named(&case["key"]), NodeName::parse(text(&case["key"])).unwrap());
        let (body, file) = (hex(&case["body"]), hex(&case["signed_file"]));

        assert_eq!(signed_file::sign(&body, &name, number(&case["time"]), &key), file);
        let parsed = SignedFile::parse(&file).unwrap();

        assert_eq!((&parsed.signer, parsed.time, parsed.body), (&name, number(&case["time"]), body.as_slice()));
        assert_eq!(parsed.verify(&key.public()), number(&case["tinc_verify_exit"]) == 0);
    }
}
