//! Targets for the texts that the program reads: configuration, control lines, invitations. None may panic.

use std::fs;
use std::path::{Path, PathBuf};

use tinmesh_core::crypto::rng::Rng;

use crate::config::edit::{self, Edit};
use crate::config::syntax::{self, LineKind, Lines, Override};
use crate::config::variables::Variable;
use crate::control::dump::{ConnectionLine, EdgeLine, Line, NodeLine, SubnetLine};
use crate::control::pid_file::PidFile;
use crate::control::request::{ControlRequest, kind};
use crate::control::server::ControlSession;
use crate::control::stream::Records;
use crate::daemon::errands::request::Errand;
use crate::files::join::{self, Form, Received};
use crate::files::keys;
use crate::paths::{PathOptions, Paths};

/// A target's body.
pub(crate) type Target = fn(&[u8]);

/// All targets of this module by name; `fuzz/corpus/NAME` holds the corpus of each.
pub(crate) const TARGETS: [(&str, Target); 7] = [
    ("text_config", configuration),
    ("text_control", control_lines),
    ("text_lists", lists),
    ("text_invitation", invitation),
    ("text_stream", stream),
    ("text_errands", errands),
    ("text_machines", machines),
];

/// What a User Mode Linux machine asks for is an address or refused.
fn machines(data: &[u8]) {
    let address = tinmesh_os::device::uml::parse_request(data);
    assert!(data.len() >= tinmesh_os::device::uml::REQUEST_LEN || address.is_err());
}

/// What a new member's directory may hold.
const MEMBERS_FILES: [&str; 7] =
    ["tinc.conf", "hosts", "cache", "ed25519_key.priv", "invitation-data", "tinc-up", "tinc-up.invitation"];

/// A file is read or refused; values print as what reads back; an edit does what it says and nothing else.
fn configuration(data: &[u8]) {
    let _ = keys::public_in(data);
    let text = String::from_utf8_lossy(data);
    let _ = Override::parse(&text, 1);
    let Ok(settings) = syntax::parse(data, Path::new("tinc.conf")) else { return };
    for setting in &settings {
        let Some(variable) = Variable::find(&setting.variable) else { continue };
        if let Some(value) = variable.kind.canonical(&setting.value) {
            assert_eq!(variable.kind.canonical(&value).as_ref(), Some(&value), "{value:?} reads back as itself");
        }
    }
    if ends_within_key(data) {
        return;
    }
    let edited = edit::apply(data, "Port", Edit::Set("655"));
    assert_eq!(edit::values(&edited.text, "Port"), ["655"]);
    assert_eq!(edit::values(&edited.text, "Subnet"), edit::values(data, "Subnet"), "an edit changes one variable");
    let removed = edit::apply(data, "Subnet", Edit::Del(None));
    assert!(edit::values(&removed.text, "Subnet").is_empty());
}

/// Whether the last key of a file has no end, so that what is appended belongs to it.
fn ends_within_key(text: &[u8]) -> bool {
    let mut lines = Lines::default();
    syntax::lines(text).for_each(|line| _ = lines.next(line));
    lines.next(b"Port = 655") != LineKind::Setting
}

/// Without the cookie nothing is obeyed; with it, whatever is a request.
fn control_lines(data: &[u8]) {
    let cookie = "C0".repeat(32);
    let mut stranger = ControlSession::new(&cookie);
    assert_eq!(stranger.feed(data), [], "nobody guesses the cookie");
    let mut client = ControlSession::new(&cookie);
    let greeted = client.feed(format!("0 ^{cookie} 0\n").as_bytes());
    assert_eq!(greeted, [ControlRequest::Greeting]);
    for bytes in data.chunks(7) {
        client.feed(bytes);
    }
}

/// What a daemon answers, and the file that says where it is.
fn lists(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    for line in text.lines() {
        let _ = NodeLine::parse(line);
        let _ = EdgeLine::parse(line);
        let _ = SubnetLine::parse(line);
        let _ = ConnectionLine::parse(line);
    }
    if let Ok(file) = PidFile::parse(&text) {
        assert!(PidFile::parse(&file.to_string()).is_ok(), "a pid file reads back");
    }
}

/// An invitation becomes a configuration, or nothing; never a file elsewhere.
fn invitation(data: &[u8]) {
    for form in [Form::Script, Form::Variables] {
        let scratch = Scratch::new();
        let options = PathOptions { config: Some(scratch.0.join("net")), ..PathOptions::default() };
        let paths = Paths::for_control(&options).expect("a short path");
        let received = Received { text: data, name: None, form, force: false };
        let prepared = join::prepare(&paths, &received, &mut Rng::from_seed([9; 32]));
        if prepared.is_ok_and(|prepared| prepared.commit().is_ok()) {
            assert_eq!(names_in(&scratch.0), ["net"], "only the directory of the network is there");
            let names = names_in(&paths.confbase);
            assert!(names.iter().all(|name| MEMBERS_FILES.contains(&name.as_str())), "there is {names:?}");
        }
    }
}

/// What a daemon's log tells and what it captures comes in the same records however the bytes are cut.
fn stream(data: &[u8]) {
    for kind in [kind::LOG, kind::PCAP] {
        let whole = records(kind, std::iter::once(data));
        let cut = records(kind, data.chunks(7));
        assert_eq!(whole.0, cut.0, "the same records");
        assert_eq!(whole.1, cut.1, "refused in both ways or in none");
        assert!(whole.0.iter().map(Vec::len).sum::<usize>() <= data.len(), "nothing is made up");
    }
}

/// The records of a stream, and whether all of it was one.
fn records<'a>(kind: u32, pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Vec<u8>>, bool) {
    let mut stream = Records::of(kind);
    let mut found = Vec::new();
    for piece in pieces {
        let fed = stream.feed(piece, |record| {
            found.push(record.to_owned());
            true
        });
        if fed.is_err() {
            return (found, false);
        }
    }
    (found, true)
}

/// A servant agrees only to scripts in their places and to host files of nodes; what it agreed to reads back.
fn errands(data: &[u8]) {
    let Ok(errand) = Errand::parse(data) else { return };
    assert_eq!(Errand::parse(&errand.encode()).as_ref(), Ok(&errand));
    let path = match errand {
        Errand::Script { name, variables } => {
            assert!(variables.iter().all(|(name, value)| name != "PATH" && !value.contains('\0')));
            name
        }
        Errand::Key { name, .. } => format!("hosts/{name}"),
        Errand::Log => return,
    };
    assert!(!path.contains('.') && !path.contains('\0'), "{path:?} leads nowhere else");
    assert!(path.strip_prefix("hosts/").is_some_and(|file| !file.contains('/')) || !path.contains('/'));
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).expect("a directory").map(|entry| entry.expect("readable").file_name());
    entries.map(|name| name.to_string_lossy().into_owned()).collect()
}

/// A directory that vanishes with its value.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("tinmesh-fuzz-{}-{number}", std::process::id()));
        fs::create_dir(&path).expect("a fresh name");
        Self(path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
