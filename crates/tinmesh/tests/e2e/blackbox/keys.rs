//! `generate-keys` and its halves (spec: cli B.3).

use super::case::{Aspect, Case, Fixture, all_same, same};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = all_same([
        "tinc generate-keys 100",
        "tinc generate-keys 9000",
        "tinc generate-keys x",
        "tinc generate-rsa-keys 100",
        "tinc generate-rsa-keys 1 2",
        "tinc generate-keys 1 2",
        "tinc generate-ed25519-keys 5",
    ]);
    let made = [
        "tinc generate-ed25519-keys",
        "tinc -b generate-ed25519-keys",
        "rm ed25519_key.priv; tinc generate-ed25519-keys",
        "rm hosts/alice; tinc generate-ed25519-keys",
        "sed -i /Name/d tinc.conf; tinc generate-ed25519-keys",
        "tinc generate-rsa-keys 1024",
        "rm rsa_key.priv; tinc generate-rsa-keys 1030",
        "tinc generate-keys 1024",
        "sed -i /Name/d tinc.conf; tinc generate-keys 1024",
    ];
    cases.extend(made.map(|script| same(script).new_keys()));
    let private = same("chmod 640 ed25519_key.priv hosts/alice; tinc generate-ed25519-keys");
    cases.push(private.new_keys().differs("keys-mode", &[Aspect::Files]));
    let nowhere = same("tinc -n none generate-ed25519-keys").on(Fixture::Bare);
    cases.push(nowhere.differs("keys-message", &[Aspect::Err]));
    cases
}
