//! What is asked on a terminal, and what follows from the answers (spec: cli A.2, A.3, B.1, B.3, B.11, B.13). Answers
//! come when the question is there.

use super::case::{Aspect, Case, Fixture, same};

/// What Debian's tinc says about a missing RSA key, in the words of its cryptographic library.
const NO_RSA: &str = "Unable to read RSA public key";

/// A command on a terminal, with these answers as soon as it asks something, and its exit code.
macro_rules! asked {
    ($command:literal, $answers:literal) => {
        concat!(
            "asks() { grep -aq '[]:?>] $' /run/screen 2>/dev/null; }; ",
            // What is there twice is a question, and not the beginning of a line.
            "(for i in $(seq 60); do asks && sleep 0.1 && asks && break; sleep 0.05; done; ",
            "printf '",
            $answers,
            "'; sleep 0.3) | script -qefc '",
            $command,
            "' /run/screen; code=$?; rm /run/screen; exit $code"
        )
    };
}

pub(super) fn cases() -> Vec<Case> {
    [names(), keys(), fixes(), shell()].concat()
}

fn names() -> Vec<Case> {
    vec![
        same(asked!("tinc init", "alice\\n"))
            .on(Fixture::Bare)
            .new_keys()
            .differs("init-rsa", &[Aspect::Out, Aspect::Files]),
        same(asked!("tinc init", "\\n")).on(Fixture::Bare),
        same(asked!("tinc init", "a-b\\n")).on(Fixture::Bare),
        same(asked!("tinc -b init", "alice\\n")).on(Fixture::Bare),
        same(asked!("tinc join", "nonsense\\n")).on(Fixture::Bare).differs("join-leaves-nothing", &[Aspect::Files]),
    ]
}

fn keys() -> Vec<Case> {
    vec![
        same(asked!("tinc generate-ed25519-keys", "\\n\\n")).new_keys(),
        same(asked!("tinc generate-ed25519-keys", "other.priv\\nother.pub\\n")).new_keys(),
        same(asked!("tinc generate-ed25519-keys", "/etc/tinc/vpn/a\\n/etc/tinc/vpn/b\\n")).new_keys(),
        same(asked!("tinc generate-rsa-keys 1024", "\\n\\n")).new_keys(),
    ]
}

fn fixes() -> Vec<Case> {
    let fsck = |script: &'static str| same(script).on(Fixture::Modern).without(NO_RSA);
    vec![
        fsck(concat!("chmod 644 ed25519_key.priv; ", asked!("tinc fsck", "y\\n"))),
        fsck(concat!("chmod 644 ed25519_key.priv; ", asked!("tinc fsck", "n\\n"))),
        fsck(concat!("chmod 644 ed25519_key.priv; ", asked!("tinc fsck", "maybe\\ny\\n"))),
        fsck(concat!("echo > tinc-up; ", asked!("tinc fsck", "y\\n"))),
    ]
}

/// Lines of a shell come one by one: each editor has its own way with what is typed ahead.
fn shell() -> Vec<Case> {
    vec![
        same(
            "(sleep 1; echo get Name; sleep 0.5; echo foo; sleep 0.5; echo exit; sleep 0.3) | script -qec tinc /dev/null",
        ),
        same(
            "(sleep 1; echo network peer; sleep 0.5; echo get Name; sleep 0.5; echo quit; sleep 0.3) | \
              script -qec tinc /dev/null",
        ),
        same("(sleep 1; printf '\\004'; sleep 0.3) | script -qec tinc /dev/null"),
        same("(sleep 1; printf 'get Name\\nexit\\n'; sleep 0.3) | script -qec 'tinc -b' /dev/null"),
    ]
}
