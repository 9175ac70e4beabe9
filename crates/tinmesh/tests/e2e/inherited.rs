//! What a daemon is given by whoever starts it, sockets and variables (spec: configuration 9.1, 11): tinc's and ours.

use std::fs;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};

use crate::lab::namespace::Namespace;
use crate::lab::traffic::inside;
use crate::lab::{Daemon, Kind, Lab, secs, tinc11, wait_until};

const KINDS: [Kind; 2] = [Kind::Tinc11, Kind::Ours];
/// The port of the configuration.
const OWN_PORT: &str = "7655";

fn daemon(lab: &Lab, kind: Kind) -> Daemon {
    let namespace = Namespace::new("alice");
    let daemon = Daemon::init(lab, &format!("alice_{kind:?}").to_lowercase(), kind, &namespace);
    let _ = fs::remove_file(daemon.dir.join("tinc-up"));
    daemon.config("DeviceType = dummy").config("BindToAddress = 127.0.0.1").host(&format!("Port = {OWN_PORT}"));
    daemon
}

/// `tincd` in place of a shell that has `socket` as descriptor 3 and these variables; `$$` in them is its number.
fn given(lab: &Lab, daemon: &Daemon, socket: &impl AsRawFd, variables: &str, options: &str) -> Command {
    let program = if daemon.kind == Kind::Ours { lab.ours("tincd") } else { tinc11("tincd") };
    let line = format!(
        "exec 3<&{}; export {variables}; exec '{}' -c '{}' --pidfile='{}' {options}",
        socket.as_raw_fd(),
        program.display(),
        daemon.dir.display(),
        daemon.pidfile().display()
    );
    // Not every `sh` copies descriptors above 9.
    let mut command = daemon.namespace.command("bash");
    command.args(["-c", &line]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(fs::File::create(daemon.dir.join("said")).expect("the directory is there"));
    command
}

/// A listening socket inside the daemon's namespace that programs inherit, and its port.
fn listener(daemon: &Daemon) -> (std::net::TcpListener, String) {
    let listener = inside(&daemon.namespace, || std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free"));
    rustix::io::fcntl_setfd(&listener, rustix::io::FdFlags::empty()).expect("an open descriptor");
    let port = listener.local_addr().expect("bound").port().to_string();
    (listener, port)
}

/// The port of the running daemon, which is stopped then.
fn port_in_use(daemon: &Daemon) -> String {
    wait_until(secs(10), "it answers", || daemon.try_tinc(&["pid"]).status.success());
    let text = fs::read_to_string(daemon.pidfile()).expect("it is there");
    daemon.tinc(&["stop"]);
    text.split_whitespace().last().expect("a port").to_owned()
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone_by_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let alice = daemon(&lab, kind);
        let (socket, port) = listener(&alice);

        let mut child = given(&lab, &alice, &socket, "LISTEN_PID=1 LISTEN_FDS=1", "-D").spawn().expect("bash is there");

        let expected = if kind == Kind::Ours { OWN_PORT } else { &port };
        assert_eq!(port_in_use(&alice), expected, "{kind:?}");
        child.wait().expect("our child");
    }
}

#[test]
fn a_daemon_that_detaches_uses_no_sockets_that_it_was_given() {
    for kind in KINDS {
        let lab = Lab::new();
        let alice = daemon(&lab, kind);
        let (socket, _) = listener(&alice);

        let status =
            given(&lab, &alice, &socket, "LISTEN_FDS=1", "--logfile=/dev/null").status().expect("bash is there");

        assert!(status.success(), "{kind:?}");
        assert_eq!(port_in_use(&alice), OWN_PORT, "{kind:?}");
    }
}

#[test]
fn a_datagram_socket_among_the_given_ones_is_refused_with_a_remedy() {
    let lab = Lab::new();
    let alice = daemon(&lab, Kind::Ours);
    let socket = inside(&alice.namespace, || std::net::UdpSocket::bind("127.0.0.1:0").expect("a port is free"));
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::empty()).expect("an open descriptor");

    let status = given(&lab, &alice, &socket, "LISTEN_PID=$$ LISTEN_FDS=1", "").status().expect("bash is there");

    let said = fs::read_to_string(alice.dir.join("said")).expect("it was made");
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("Inherited descriptor 3: name TCP sockets only (ListenStream=)"), "{said}");
    assert!(!alice.pidfile().exists() && !alice.socket().exists());
}

#[test]
fn scripts_see_nothing_of_the_umbilical_of_ours() {
    for kind in KINDS {
        let lab = Lab::new();
        let alice = daemon(&lab, kind);
        alice.up_script("env | grep -c ^TINC_UMBILICAL= > umbilicals");

        alice.tinc(&["start", "--logfile=/dev/null"]);

        let seen = || fs::read_to_string(alice.dir.join("umbilicals")).unwrap_or_default();
        wait_until(secs(5), "the script has run", || !seen().is_empty());
        alice.tinc(&["stop"]);
        assert_eq!(seen().trim(), if kind == Kind::Ours { "0" } else { "1" }, "{kind:?}");
    }
}
