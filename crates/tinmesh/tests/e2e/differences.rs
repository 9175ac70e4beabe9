//! Deliberate differences of the daemon, with tinc's and with ours: what the last table of `docs/differences.md` says.

use std::fs;
use std::time::Duration;

use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const KINDS: [Kind; 2] = [Kind::Tinc11, Kind::Ours];
/// What did not happen for so long does not.
const A_WHILE: Duration = Duration::from_millis(1500);

/// One daemon without neighbours, not yet started.
fn alone(lab: &Lab, kind: Kind) -> Daemon {
    let name = if kind == Kind::Ours { "ours" } else { "theirs" };
    let daemon = Daemon::init(lab, name, kind, &Namespace::new("alone"));
    let _ = fs::remove_file(daemon.dir.join("tinc-up"));
    daemon.config("DeviceType = dummy").config("AutoConnect = no");
    daemon
}

/// Two of a kind that are connected.
fn connected(lab: &Lab, kind: Kind) -> [Daemon; 2] {
    let wan = Segment::new("wan");
    let mut pair = [0, 1].map(|at| {
        let address = format!("192.0.2.{}", at + 1);
        let name = format!("{}_{kind:?}", ["alice", "bob"][at]).to_lowercase();
        let daemon = Daemon::init(lab, &name, kind, &wan.host("node", &[&format!("{address}/24")]));
        let _ = fs::remove_file(daemon.dir.join("tinc-up"));
        daemon.config("DeviceType = dummy").config("AutoConnect = no").host(&format!("Address = {address}"));
        daemon
    });
    pair[0].config(&format!("ConnectTo = {}", pair[1].name)).knows(&pair[1]);
    pair[1].knows(&pair[0]);
    pair[1].start();
    pair[0].start();
    wait_until(secs(15), "they meet", || pair[0].sees(&pair[1].name, |node| node.reachable()));
    pair
}

fn subnets(daemon: &Daemon) -> String {
    daemon.tinc(&["dump", "subnets"])
}

#[test]
fn ours_makes_directories_that_are_missing() {
    for kind in KINDS {
        let lab = Lab::new();
        let mut daemon = alone(&lab, kind);
        for name in ["cache", "invitations"] {
            let _ = fs::remove_dir_all(daemon.dir.join(name));
        }

        daemon.start();
        // It answers when it is ready.
        daemon.tinc(&["pid"]);

        let made = ["cache", "invitations"].map(|name| daemon.dir.join(name).is_dir());
        assert_eq!(made, [kind == Kind::Ours; 2], "{kind:?}");
    }
}

#[test]
fn a_hangup_with_a_broken_file_does_not_end_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let mut daemon = alone(&lab, kind);
        daemon.start();
        daemon.config("Device =");

        daemon.signal("HUP");

        if kind == Kind::Ours {
            wait_until(secs(5), "it complains", || daemon.log().contains("Unable to reread configuration file"));
            assert!(daemon.lives() && daemon.try_tinc(&["pid"]).status.success());
        } else {
            wait_until(secs(5), "tinc has ended", || !daemon.lives());
        }
    }
}

#[test]
fn a_reload_with_an_invalid_word_changes_nothing_of_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let mut daemon = alone(&lab, kind);
        daemon.start();
        daemon.config("Mode = bridge").host("Subnet = 10.3.0.0/16");

        let status = daemon.try_tinc(&["reload"]).status;

        assert_eq!(status.success(), kind != Kind::Ours, "{kind:?}");
        assert_eq!(subnets(&daemon).contains("10.3.0.0/16"), kind != Kind::Ours, "{kind:?}");
    }
}

#[test]
fn options_for_the_own_node_stay_in_force_with_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let mut daemon = alone(&lab, kind);
        daemon.args.push(format!("-o{}.Subnet=10.4.0.0/16", daemon.name));
        daemon.start();
        assert!(subnets(&daemon).contains("10.4.0.0/16"), "{kind:?}");

        daemon.tinc(&["reload"]);

        assert_eq!(subnets(&daemon).contains("10.4.0.0/16"), kind == Kind::Ours, "{kind:?}");
    }
}

#[test]
fn a_reload_leaves_clients_that_have_not_shown_their_cookie_to_ours() {
    use std::io::Read as _;
    for kind in KINDS {
        let lab = Lab::new();
        let mut daemon = alone(&lab, kind);
        // Nor may it end for being slow.
        daemon.config("PingTimeout = 60");
        daemon.start();
        let mut early = std::os::unix::net::UnixStream::connect(daemon.socket()).expect("it listens");
        early.set_read_timeout(Some(A_WHILE)).expect("a valid time");
        // Whoever comes later is heard later.
        daemon.tinc(&["pid"]);

        daemon.tinc(&["reload"]);

        // A test beside this one may interrupt it.
        let interrupted = |heard: &std::io::Result<usize>| {
            heard.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::Interrupted)
        };
        let heard = std::iter::repeat_with(|| early.read(&mut [0])).find(|heard| !interrupted(heard)).expect("endless");
        let silent = heard.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert_eq!(silent, kind == Kind::Ours, "{kind:?}: {heard:?}\n{}", daemon.log());
    }
}

#[test]
fn a_host_file_that_was_only_touched_does_not_end_the_connection_of_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let [alice, bob] = connected(&lab, kind);
        let socket = || {
            let text = alice.tinc(&["dump", "connections"]);
            text.lines().find(|line| line.starts_with(&format!("{} at ", bob.name))).map(str::to_owned)
        };
        let before = socket().expect("they are connected");
        // Times of files count in seconds for tinc.
        let later = std::time::SystemTime::now() + secs(2);
        let file = fs::File::options().append(true).open(alice.host_file(&bob.name)).expect("it was copied");
        file.set_modified(later).expect("the file is ours");

        alice.tinc(&["reload"]);

        let changed = || socket().as_ref() != Some(&before);
        if kind == Kind::Ours {
            let until = std::time::Instant::now() + A_WHILE;
            while std::time::Instant::now() < until {
                assert!(!changed(), "{before} became {:?}", socket());
            }
        } else {
            wait_until(secs(5), "tinc has closed it", changed);
        }
    }
}

#[test]
fn what_is_switched_off_in_a_file_is_off_after_a_reload_of_ours() {
    const TCP_ONLY: u32 = 2;
    for kind in KINDS {
        let lab = Lab::new();
        let [mut alice, bob] = connected(&lab, kind);
        let main = alice.dir.join("tinc.conf");
        let text = fs::read_to_string(&main).expect("it runs");
        alice.stop();
        alice.config("TCPOnly = yes");
        alice.start();
        let is_set = || {
            let edges = bob.tinc(&["dump", "edges"]);
            let line = edges.lines().find(|line| line.starts_with(&format!("{} to {} ", alice.name, bob.name)))?;
            let options = line.split_whitespace().skip_while(|word| *word != "options").nth(1).expect("a word follows");
            Some(u32::from_str_radix(options, 16).expect("hexadecimal") & TCP_ONLY != 0)
        };
        wait_until(secs(15), "bob knows that alice speaks TCP only", || is_set() == Some(true));

        fs::write(&main, &text).expect("the directory is there");
        alice.tinc(&["reload"]);
        alice.tinc(&["disconnect", &bob.name]);
        wait_until(secs(15), "they part", || is_set().is_none());
        alice.tinc(&["retry"]);

        wait_until(secs(15), "they meet again", || is_set().is_some());
        assert_eq!(is_set(), Some(kind != Kind::Ours), "{kind:?}");
    }
}
