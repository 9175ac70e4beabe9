//! Every cipher, digest and level of compression with tinc 1.0.36.

use super::{OLD, OURS, use_rsa};
use crate::lab::Lab;
use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::traffic::ping_many;

/// Each cipher with some digest, length of codes and compression, in both directions.
#[test]
fn every_cipher_that_openssl_still_has_works_both_ways() {
    let ciphers = [
        "aes-128-cbc",
        "aes-192-cbc",
        "aes-256-cfb",
        "aes-128-ctr",
        "aes-256-ofb",
        "aes-256-ecb",
        "aria-256-cbc",
        "camellia-256-cbc",
        "sm4-cbc",
        "des-ede3-cbc",
        "chacha20",
    ];
    let digests = ["sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "blake2b512", "sm3", "ripemd160", "md5"];
    let levels = ["0", "1", "9", "10", "11"];
    for (at, cipher) in ciphers.iter().enumerate() {
        let lines = [
            format!("Cipher = {cipher}"),
            format!("Digest = {}", digests[at % digests.len()]),
            format!("MACLength = {}", 4 + at),
            format!("Compression = {}", levels[at % levels.len()]),
        ];
        let lab = Lab::new();
        let mut mesh = mesh::pair(&lab, [OURS, OLD]);
        mesh[0].config("LegacyWeakCiphers = yes");
        for daemon in &mesh {
            for line in &lines {
                daemon.host(line);
            }
        }
        use_rsa(&mesh);
        mesh::start(&mut mesh);
        wait_for_direct(&mesh[0], "bob", &v4(2));
        assert_eq!(ping_many(&mesh[0].namespace, &v4(2), 20), 20, "{lines:?}");
    }
}
