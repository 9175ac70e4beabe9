//! Every cipher for packets, every digest and level of compression that tinc 1.0.36 has from OpenSSL, each at least
//! once, both ways.
//!
//! Row by row the next cipher meets the next digest, level and length of codes, in a pair of namespaces of its own; several
//! pairs run at a time. What OpenSSL 3 offers only by its legacy provider is switched on by an environment variable.

use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tinmesh_core::legacy::cipher::Cipher;
use tinmesh_core::legacy::digest::Digest;

use super::{OLD, OURS, use_rsa};
use crate::lab::mesh::{self, v4, wait_for_direct};
use crate::lab::traffic::{ping, ping_many};
use crate::lab::{Daemon, Lab, secs, wait_until};

/// Pairs that run at the same time.
const AT_ONCE: usize = 8;
/// Levels that tinc 1.0 knows: none, zlib 1 to 9, LZO 10 and 11.
const LEVELS: usize = 12;

const LEGACY_PROVIDER: &str = "openssl_conf = start
[start]
providers = all
[all]
default = on
legacy = on
[on]
activate = 1
";

/// One combination.
struct Row {
    cipher: Option<Cipher>,
    digest: Option<Digest>,
    mac_length: usize,
    level: usize,
}

impl Row {
    fn lines(&self) -> [String; 4] {
        let name = |name: Option<String>| name.unwrap_or_else(|| "none".to_owned());
        [
            format!("Cipher = {}", name(self.cipher.map(|cipher| cipher.to_string()))),
            format!("Digest = {}", name(self.digest.map(|digest| digest.to_string()))),
            format!("MACLength = {}", self.mac_length),
            format!("Compression = {}", self.level),
        ]
    }
}

fn rows() -> Vec<Row> {
    let ciphers = Cipher::all().filter(|cipher| cipher.is_for_packets()).map(Some).chain([None, None]);
    let digests: Vec<Option<Digest>> = Digest::ALL.iter().copied().map(Some).chain([None]).collect();
    let row = |(at, cipher): (usize, _)| {
        let digest = digests[at % digests.len()];
        let longest = digest.map_or(0, Digest::size);
        // Without codes at all, with short ones, and with whole ones.
        let mac_length = [4, longest, 0, 1 + at % longest.max(1)][at / 2 % 4].min(longest);
        Row { cipher, digest, mac_length, level: at % LEVELS }
    };
    ciphers.enumerate().map(row).collect()
}

/// What the node tells of how packets to another are protected.
fn shown(daemon: &Daemon, row: &Row) -> bool {
    let list = daemon.tinc(&["dump", "nodes"]);
    let cipher = row.cipher.map_or(0, Cipher::id);
    let digest = row.digest.map_or(0, Digest::id);
    let words = format!("cipher {cipher} digest {digest} maclength {} compression {} ", row.mac_length, row.level);
    list.lines().any(|line| line.contains(&words))
}

/// Both ends want packets protected so; one dials, or the other.
fn works(lab: &Lab, at: usize, row: &Row) {
    let kinds = if at.is_multiple_of(2) { [OURS, OLD] } else { [OLD, OURS] };
    let mut mesh = mesh::pair(lab, kinds);
    let provider = lab.path("openssl.cnf");
    fs::write(&provider, LEGACY_PROVIDER).expect("the directory is there");
    for daemon in &mut mesh {
        row.lines().iter().for_each(|line| {
            daemon.host(line);
        });
        if daemon.kind == OURS {
            daemon.config("LegacyWeakCiphers = yes");
        } else {
            daemon.env("OPENSSL_CONF", &provider.display().to_string());
        }
    }
    use_rsa(&mesh);
    mesh::start(&mut mesh);

    let [alice, bob] = &mesh;
    let (ours, theirs, address) = if alice.kind == OURS { (alice, bob, v4(2)) } else { (bob, alice, v4(1)) };
    wait_for_direct(ours, &theirs.name, &address);
    assert!(shown(ours, row), "{:?}: {}", row.lines(), ours.tinc(&["dump", "nodes"]));
    wait_until(secs(10), &format!("{:?}: packets pass both ways", row.lines()), || ping(&ours.namespace, &address));
    // Without codes a packet under the key before looks like that, and while keys are exchanged there are some.
    let wild = || theirs.log().matches("seqs in the future").count();
    let before = wild();
    let answered = ping_many(&ours.namespace, &address, 20);
    assert!(answered >= 15, "{answered} of 20 with {:?}", row.lines());
    assert_eq!(wild(), before, "packets were not understood with {:?}", row.lines());
}

#[test]
fn every_cipher_digest_and_level_works_both_ways() {
    let rows = rows();
    for digest in Digest::ALL {
        assert!(rows.iter().any(|row| row.digest == Some(*digest) && row.mac_length > 0), "{digest}");
    }
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((at, row)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, rows.get(at)?)))
                {
                    let outcome = std::panic::catch_unwind(|| works(&Lab::new(), at, row));
                    if outcome.is_err() {
                        failed.lock().expect("nobody panics with it").push(row.lines());
                    }
                }
            });
        }
    });
    assert_eq!(failed.into_inner().expect("nobody panics with it"), Vec::<[String; 4]>::new());
}
