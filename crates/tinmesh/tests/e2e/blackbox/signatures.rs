//! `sign` and `verify` (spec: cli B.14).

use super::case::{Case, all_same, same};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = all_same([
        "tinc sign nowhere",
        "tinc sign a b",
        "rm ed25519_key.priv; echo x | tinc sign",
        "echo x > ed25519_key.priv; echo x | tinc sign",
        "sed -i /Name/d tinc.conf; echo x | tinc sign",
        "echo text > f; tinc sign f > s; tinc verify . s; tinc verify alice s; tinc verify '*' s; rm s",
        "echo text > f; tinc sign f > s; tinc verify bob s; rm s",
        "echo text | tinc sign | tinc verify .",
        "printf '' | tinc sign | tinc verify alice",
        "printf 'no newline' | tinc sign | tinc verify alice",
        "(echo text | tinc sign; echo more) | tinc verify .",
        "echo text | tinc sign | sed s/text/test/ | tinc verify .",
        "cp ../peer/hosts/bob hosts/bob; echo text | tinc -n peer sign | tinc verify bob",
        "rm hosts/bob; echo text | tinc -n peer sign | tinc verify bob",
        "rm hosts/bob; echo text | tinc -n peer sign | tinc verify '*'",
        "tinc verify",
        "tinc verify a b c",
        "tinc verify a-b f",
        "tinc verify bob nowhere",
        "echo text | tinc sign | head -c 18",
    ]);
    let bad = [
        "",
        "x\n",
        "Signature = alice 1795352130 short\ntext\n",
        "Signature = alice 0 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\ntext\n",
        "Signature = alice 17 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\ntext\n",
        "Signature = a-b 17 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\ntext\n",
    ];
    cases.extend(bad.map(|input| same("tinc verify alice").input(input)));
    cases
}
