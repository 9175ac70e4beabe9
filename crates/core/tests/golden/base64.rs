//! tinc's base64, both ways.

use tinmesh_core::crypto::base64;

use crate::vectors::{hex, list, number, text, vectors};

#[test]
fn base64_encodes_as_tinc_does() {
    for case in list(&vectors!("base64.json")["encode"]) {
        assert_eq!(base64::encode(&hex(&case["bytes"])), text(&case["tinc"]));
        assert_eq!(base64::encode_url(&hex(&case["bytes"])), text(&case["urlsafe"]));
    }
}

#[test]
fn base64_decodes_as_tinc_does() {
    for case in list(&vectors!("base64.json")["decode"]) {
        let input = text(&case["input"]);

        let decoded = base64::decode(input.as_bytes());

        assert_eq!(decoded.as_ref().map_or(0, Vec::len) as u64, number(&case["decoded_length"]), "{input:?}");
        assert_eq!(decoded.unwrap_or_default(), hex(&case["bytes"]), "{input:?}");
    }
}
