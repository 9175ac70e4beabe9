use super::*;
use crate::control::fake_daemon::{COOKIE, FakeDaemon as Daemon, paths_in};

#[test]
fn a_client_learns_who_the_daemon_is() {
    let daemon = Daemon::answering(&[]);
    let client = daemon.client();
    assert_eq!((client.name.as_str(), client.pid, client.port.as_str()), ("alice", std::process::id(), "655"));
}

#[test]
fn a_list_ends_with_the_bare_type() {
    let mut daemon = Daemon::answering(&["18 5 10.1.2.3#5 alice\n18 5 10.2.0.0/16 bob\n18 5\n", "18 5\n"]);
    let mut client = daemon.client();

    let owners: Vec<String> = client.subnets().unwrap().into_iter().map(|subnet| subnet.owner).collect();

    assert_eq!(owners, ["alice", "bob"]);
    assert_eq!(client.subnets().unwrap(), []);
    drop(client);
    let subnets = ControlRequest::Subnets;
    assert_eq!(daemon.requests(), [ControlRequest::Greeting, subnets.clone(), subnets]);
}

#[test]
fn a_list_of_another_kind_or_form_is_an_error() {
    for reply in ["18 3\n", "18 55 x y\n", "hello\n", "18 5 lonely\n"] {
        let daemon = Daemon::answering(&[reply]);
        assert!(daemon.client().subnets().is_err(), "{reply}");
    }
}

#[test]
fn a_reply_is_a_number() {
    let daemon = Daemon::answering(&["18 1 22\n", "18 12 -2\n", "18 -1\n"]);
    let mut client = daemon.client();

    assert_eq!(client.ask(&ControlRequest::Reload).unwrap(), 22);
    assert_eq!(client.ask(&ControlRequest::Disconnect(Some("bob".to_owned()))).unwrap(), -2);
    assert!(client.ask(&ControlRequest::Purge).is_err());
}

#[test]
fn stop_waits_for_the_end_of_the_connection() {
    let mut daemon = Daemon::answering(&[]);
    daemon.client().stop().unwrap();
    assert_eq!(daemon.requests(), [ControlRequest::Greeting, ControlRequest::Stop]);
}

fn records(daemon: &Daemon, wanted: usize) -> Vec<String> {
    let mut records = Vec::new();
    let request = ControlRequest::Log { level: -1, colour: false };
    let end = daemon.client().follow(&request, None, |record| {
        records.push(String::from_utf8_lossy(record).into_owned());
        records.len() < wanted
    });
    end.unwrap();
    records
}

#[test]
fn a_stream_gives_records_until_the_daemon_ends() {
    let daemon = Daemon::ending_after(&["18 15 5\nReady18 15 4\na\nbc"]);
    assert_eq!(records(&daemon, 99), ["Ready", "a\nbc"]);
}

#[test]
fn a_stream_gives_records_until_the_reader_has_enough() {
    let daemon = Daemon::answering(&["18 15 5\nReady18 15 4\na\nbc"]);
    assert_eq!(records(&daemon, 1), ["Ready"]);
}

#[test]
fn without_a_pid_file_there_is_no_daemon() {
    let dir = tempfile::tempdir().unwrap();

    let error = Client::connect(&paths_in(dir.path())).unwrap_err();

    assert!(error.is_absence());
    let path = dir.path().join("pid");
    assert_eq!(error.to_string(), format!("Could not open pid file {}: No such file or directory", path.display()));
}

#[test]
fn the_files_of_a_daemon_that_died_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths_in(dir.path());
    let mut child = std::process::Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    std::fs::write(&paths.pid_file, format!("{} {COOKIE} 127.0.0.1 port 655\n", child.id())).unwrap();
    std::fs::write(&paths.socket, "").unwrap();

    let error = Client::connect(&paths).unwrap_err();

    assert!(matches!(error, ConnectError::NotRunning(pid) if pid == child.id()));
    assert!(!paths.pid_file.exists() && !paths.socket.exists());
}

#[test]
fn a_daemon_that_cannot_be_reached_is_told_from_none() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths_in(dir.path());
    std::fs::write(&paths.pid_file, format!("{} {COOKIE} 127.0.0.1 port 655\n", std::process::id())).unwrap();

    let error = Client::connect(&paths).unwrap_err();

    assert!(!error.is_absence());
    assert_eq!(error.silent_pid(), Some(std::process::id()));
    assert!(paths.pid_file.exists());
}

#[test]
fn a_file_that_is_no_pid_file_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let paths = paths_in(dir.path());
    std::fs::write(&paths.pid_file, "hello\n").unwrap();
    assert!(matches!(Client::connect(&paths), Err(ConnectError::BadPidFile { .. })));
}
