//! Statements of nodes, signed with the keys in their directories.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fides::{About, Claim, Key, Sign, Subject, Time, Word};
use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::trust;

use crate::lab::Daemon;

/// Seconds since 1970.
pub(crate) fn now() -> Time {
    Time(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs())
}

fn secret(of: &Daemon) -> SecretKey {
    let text = fs::read_to_string(of.dir.join("ed25519_key.priv")).expect("a private key");
    SecretKey::parse_file(&text).expect("a key file")
}

/// The key of a node.
pub(crate) fn key(of: &Daemon) -> Key {
    trust::key(&secret(of).public())
}

/// What may be said of a node: a topic and its arguments.
pub(crate) fn about(of: &Daemon, words: &str) -> About {
    let mut words = words.split(' ').map(|word| Word::new(word).expect("not empty"));
    let topic = words.next().expect("a topic");
    About::Allow { subject: Subject::Key(key(of)), topic, args: words.collect() }
}

/// `by` says something of `of`.
pub(crate) fn said(by: &Daemon, sign: Sign, of: &Daemon, words: &str) -> String {
    signed(by, Claim::new(sign, about(of, words), 0, now()))
}

/// `by` says a claim, later than all before.
pub(crate) fn signed(by: &Daemon, claim: Claim) -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    let serial = u64::try_from(elapsed.as_micros() / 100).expect("this millennium") / 10;
    let claim = Claim { serial, ..claim };
    std::thread::sleep(std::time::Duration::from_millis(2));
    claim.sign(&trust::secret_key(&secret(by))).expect("a statement").to_string()
}

/// Puts lines into the file of statements; a running daemon reads it with the next reload.
pub(crate) fn keep(at: &Daemon, lines: &[String]) {
    let path = file(&at.dir);
    fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    lines.iter().for_each(|line| {
        text.push_str(line);
        text.push('\n');
    });
    fs::write(path, text).expect("a file of statements");
}

/// What a daemon keeps.
pub(crate) fn kept(at: &Daemon) -> String {
    fs::read_to_string(file(&at.dir)).unwrap_or_default()
}

fn file(confbase: &Path) -> std::path::PathBuf {
    confbase.join("fides/statements")
}
