//! What tinc printed, read and computed, against what this crate prints, reads and computes.

#![expect(clippy::unwrap_used, reason = "a recording that cannot be read is a failed test")]

use std::path::PathBuf;

use serde_json::Value;
use tinmesh_core::name::NodeName;
use tinmesh_core::subnet::Subnet;
use tinmesh_core::wire::request::{Request, RequestError};

fn vector(file: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/vectors").join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn json(file: &str) -> Value {
    serde_json::from_str(&vector(file)).unwrap()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

#[test]
fn node_ids_are_those_of_tinc() {
    let vectors = json("node_ids.json");
    let ids = vectors["ids"].as_array().unwrap();
    assert!(!ids.is_empty());
    for vector in ids {
        let name = NodeName::parse(vector["name"].as_str().unwrap()).unwrap();
        assert_eq!(name.id().to_string(), vector["id"].as_str().unwrap(), "{name}");
    }
}

#[test]
fn subnets_are_read_and_printed_as_by_tinc() {
    let table = vector("meta/subnet-strings.tsv");
    let mut rows = 0;
    for row in table.lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        let read = Subnet::parse(columns[0]);
        if columns[1] == "REJECT" {
            assert!(read.is_err(), "{row}");
        } else {
            assert_eq!(read.unwrap().to_string(), columns[1], "{row}");
        }
        rows += 1;
    }
    assert_eq!(rows, 43);
}

#[test]
fn subnets_of_older_versions_mean_the_same() {
    for row in vector("meta/subnet-strings.tsv").lines().skip(1) {
        let columns: Vec<&str> = row.split('\t').collect();
        for old in columns[2..].iter().filter(|&&old| old != "REJECT" && columns[1] != "REJECT") {
            assert_eq!(Subnet::parse(old), Subnet::parse(columns[1]), "{row}");
        }
    }
}

/// What the recorder cut off is not a request.
const LOG_WIDTH: usize = 240;

/// The request lines of a recording: `05:43 < m : 17 98`, `05:44 > m : 15 a b`, or `< 7`.
fn logged(file: &str) -> Vec<String> {
    let log = vector(file);
    let lines = log.lines().filter(|line| !line.starts_with('#') && line.len() < LOG_WIDTH);
    let requests = lines.filter_map(|line| {
        let upgrade = line.strip_prefix("< ").or_else(|| line.strip_prefix("> "));
        upgrade.or_else(|| line.split_once(" : ").map(|(_, request)| request))
    });
    requests.map(str::to_owned).collect()
}

/// A subnet from 1.0, which prints what goes without saying.
fn is_verbose(request: &str) -> bool {
    request.ends_with("#10")
}

/// The upgrade exchange: a key where others have port, weight and options.
fn is_upgrade(request: &str) -> bool {
    request.starts_with("4 ") && request.split(' ').count() == 2
}

#[test]
fn recorded_requests_print_as_they_were_read() {
    let files = [
        "log-relay-sptps.txt",
        "log-relay-via-1.0.txt",
        "log-1.0-behind-1.1.txt",
        "log-key-expiry.txt",
        "log-upgrade.txt",
    ];
    for file in files {
        let requests = logged(&format!("meta/{file}"));
        assert!(requests.len() > 10, "{file}");
        for text in requests {
            match Request::parse(text.as_bytes()) {
                Ok(request) if is_verbose(&text) => {
                    assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request), "{file}: {text}");
                }
                Ok(request) => assert_eq!(request.to_string(), text, "{file}"),
                Err(RequestError::Legacy(_)) => assert!(["1", "2", "3"].contains(&&text[..1]), "{file}: {text}"),
                Err(error) => assert!(is_upgrade(&text), "{file}: {text}: {error}"),
            }
        }
    }
}

/// What stands in a recording beside requests: frames that follow a PACKET request, and remarks.
fn is_remark(line: &str) -> bool {
    line.starts_with(['<', '\0']) || line.contains('(')
}

#[test]
fn the_requests_of_recorded_sessions_print_as_they_were_read() {
    let session = json("meta/sptps-meta-session.json");
    let lines = [texts(&session["lines_from_alpha"]), texts(&session["lines_from_cli"])].concat();
    let requests: Vec<String> = lines.into_iter().filter(|line| !is_remark(line)).collect();
    assert!(requests.len() > 10);
    for text in requests {
        let request = Request::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(request.to_string(), text);
    }
}

#[test]
fn the_legacy_handshake_is_recognised() {
    let session = json("meta/legacy-handshake.json");
    for side in ["beta_to_alpha", "alpha_to_beta"] {
        let read: Vec<_> = texts(&session[side]["lines"]).iter().map(|line| Request::parse(line.as_bytes())).collect();
        assert!(matches!(read[0], Ok(Request::Id { .. })), "{side}");
        let legacy: Vec<&str> = read
            .iter()
            .filter_map(|read| if let Err(RequestError::Legacy(label)) = read { Some(*label) } else { None })
            .collect();
        assert_eq!(legacy, ["METAKEY", "CHALLENGE", "CHAL_REPLY"], "{side}");
        assert!(matches!(read[4], Ok(Request::Ack { .. })), "{side}");
    }
}
