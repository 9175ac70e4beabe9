//! B.14: `sign` and `verify`.

use std::fs;

use crate::machine::Machine;

#[test]
fn a_signature_is_a_line_in_front_of_the_content() {
    let machine = Machine::alice();
    fs::write(machine.outside("f"), "content\n").unwrap();
    let signed = machine.success("sign f");
    let (head, content) = signed.split_once('\n').unwrap();
    assert_eq!(content, "content\n");
    let words: Vec<&str> = head.split(' ').collect();
    assert_eq!(words[..3], ["Signature", "=", "alice"]);
    assert!(words[3].parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!((words[4].len(), words.len()), (86, 5));
}

#[test]
fn what_was_signed_is_verified_byte_for_byte_for_all_three_ways_to_name_the_signer() {
    let machine = Machine::alice();
    for content in [&b"content"[..], b"", b"\0\xff\r\n\n", b"Signature = bob 1 x\n"] {
        fs::write(machine.outside("f"), content).unwrap();
        let output = machine.command().args(["sign", "f"]).output().unwrap();
        fs::write(machine.outside("s"), &output.stdout).unwrap();
        for node in [".", "*", "alice"] {
            let verified = machine.command().args(["verify", node, "s"]).output().unwrap();
            assert_eq!((verified.status.code(), verified.stdout.as_slice()), (Some(0), content), "{node}");
            let piped = machine.feed(&output.stdout, &format!("verify {node}"));
            assert_eq!(piped.code, 0);
        }
    }
}

#[test]
fn what_cannot_be_signed_is_told() {
    let machine = Machine::alice();
    assert_eq!(machine.failure("sign nothing"), "Could not open nothing: No such file or directory\n");
    assert_eq!(machine.failure("sign a b"), "Too many arguments!\n");
    machine.write("ed25519_key.priv", "");
    assert_eq!(machine.failure("sign"), "Could not read private key from DIR/net/ed25519_key.priv\n");
    fs::remove_file(machine.path("ed25519_key.priv")).unwrap();
    assert_eq!(machine.failure("sign"), "Could not open DIR/net/ed25519_key.priv: No such file or directory\n");
    fs::remove_file(machine.path("tinc.conf")).unwrap();
    assert_eq!(machine.failure("sign"), "Could not open DIR/net/tinc.conf: No such file or directory\n");
}

#[test]
fn what_does_not_verify_is_told_and_not_printed() {
    let machine = Machine::alice();
    let signed = machine.feed("content\n", "sign").out;
    let verify = |text: &str, node: &str| {
        let run = machine.feed(text, &format!("verify {node}"));
        assert!(run.code == 1 && run.out.is_empty(), "{run:?}");
        run.err
    };
    assert_eq!(machine.failure("verify"), "Not enough arguments!\n");
    assert_eq!(machine.failure("verify . f g"), "Too many arguments!\n");
    assert_eq!(machine.failure("verify . f"), "Could not open f: No such file or directory\n");
    assert_eq!(verify(&signed, "a-b"), "Invalid node name\n");
    assert_eq!(verify("content\n", "."), "Invalid input\n");
    assert_eq!(verify(signed.trim_end(), "bob"), "Signature is not made by bob\n");
    assert_eq!(verify(&signed.replace("content", "contend"), "."), "Invalid signature\n");
    assert_eq!(verify(&signed.replace(" alice 1", " alice 2"), "."), "Invalid signature\n");
    assert_eq!(
        verify(&signed.replace("alice", "carol"), "*"),
        "Could not open DIR/net/hosts/carol: No such file or directory\n"
    );
    machine.write("hosts/carol", "Port = 1\n");
    assert_eq!(verify(&signed.replace("alice", "carol"), "*"), "Could not read public key from DIR/net/hosts/carol\n");
    assert_eq!(verify(&format!("{}\n", "x".repeat(3000)), "*"), "Invalid input\n");
    let zero = signed.split(' ').enumerate().map(|(index, word)| if index == 3 { "0" } else { word });
    assert_eq!(verify(&zero.collect::<Vec<_>>().join(" "), "*"), "Invalid input\n");
}

#[test]
fn a_key_in_a_block_counts_too() {
    let machine = Machine::alice();
    let signed = machine.feed("content\n", "sign").out;
    let host = machine.read("hosts/alice");
    let key = host.lines().find_map(|line| line.strip_prefix("Ed25519PublicKey = ")).unwrap();
    machine.write(
        "hosts/alice",
        &format!("-----BEGIN ED25519 PUBLIC KEY-----\n{key}\n-----END ED25519 PUBLIC KEY-----\n"),
    );
    assert_eq!(machine.feed(signed, "verify alice").out, "content\n");
}
