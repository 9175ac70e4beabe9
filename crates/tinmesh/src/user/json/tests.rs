//! Every command with `--json`, run and compared with `docs/json.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::{CommandFactory as _, Parser as _};
use serde_json::Value;

use super::*;
use crate::cli::tinmesh::commands::Form;
use crate::cli::tinmesh::{Cli, Network};
use crate::control::fake_daemon::FakeDaemon;
use crate::user::invite::tests::founded_in;
use crate::user::{dispatch, invite, up};

const NODES: &str = "\
18 3 alice 408b27d3097e MYSELF port 6001 0 0 0 0 700000c 50 alice alice 0 1518 0 1518 1795352583 -1 0 0 0 0
18 3 bob 0416a26ba554 10.0.0.2 port 655 0 0 0 0 700010c da bob bob 1 1514 1514 1514 1795352583 247 3 4260 4 123
18 3 carol 0416a26ba554 unknown port unknown 0 0 0 0 0 5a bob carol 2 1518 0 1518 1795352583 -1 1 100 1 100
18 3 dave 0416a26ba554 unknown port unknown 0 0 0 0 0 0 - - -1 0 0 0 0 -1 0 0 0 0
18 3 erin 0416a26ba554 10.0.0.5 port 655 0 0 0 0 700000c 58 bob erin 2 1518 0 1518 1795352583 -1 0 0 0 0
18 3 frank 0416a26ba554 unknown port unknown 0 0 0 0 700000c da frank frank 1 1518 0 1518 1795352583 -1 0 0 0 0
18 3
";
const HINDRANCES: &str = "18 67 carol guessed 3 120\n18 67\n";
const PORTS: &str = "18 68 ipv4 held PCP 192.168.1.1 11.0.0.1 port 655 1795352583 1\n18 68 ipv6 none 3\n18 68\n";
const PATHS: &str = "18 69 bob 1 56 learnt 113 160 1500 0 1400 1 -3\n18 69 carol 0 10 fixed 0 0 - 0 - 0 -\n18 69\n";
const SEEN: &str = "18 66 seen bob 203.0.113.9 port 4000\n18 66 asked 1 0\n18 66\n";
const EDGES: &str = "\
18 4 bob alice 10.0.0.1 port 655 10.0.0.2 port 655 700000c 1
18 4 bob carol unknown port unknown unspec port unspec 700000c 1
18 4
";
const SUBNETS: &str = "\
18 5 10.9.0.1 alice
18 5 10.9.0.2 bob
18 5 224.0.0.0/4 (broadcast)
18 5
";
const CONNECTIONS: &str = "\
18 6 bob 10.0.0.2 port 655 700000c 12 100
18 6 <unknown> unknown port unknown 0 13 0
18 6 <control> localhost port unix 0 14 200
18 6
";

/// Fields and the types of their values.
type Shape = BTreeMap<String, BTreeSet<&'static str>>;

fn note(value: &Value, path: &str, shape: &mut Shape) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(values) => return values.iter().for_each(|value| note(value, &format!("{path}[]"), shape)),
        Value::Object(fields) => {
            let dot = if path.is_empty() { "" } else { "." };
            return fields.iter().for_each(|(name, value)| note(value, &format!("{path}{dot}{name}"), shape));
        }
    };
    shape.entry(path.to_owned()).or_default().insert(kind);
}

fn shape(values: &[Value]) -> Shape {
    let mut shape = Shape::new();
    values.iter().for_each(|value| note(value, "", &mut shape));
    shape
}

/// The tables of the document, by heading.
fn documented() -> BTreeMap<String, Shape> {
    let text = include_str!("../../../../../docs/json.md");
    let sections = text.split("\n## `").skip(1).map(|section| section.split_once("`\n").unwrap());
    sections.map(|(heading, text)| (heading.to_owned(), text.lines().filter_map(row).collect())).collect()
}

fn row(line: &str) -> Option<(String, BTreeSet<&'static str>)> {
    let (field, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
    let types = rest.split_once(" |")?.0.split(", ");
    let known = |word: &str| ["boolean", "null", "number", "text"].into_iter().find(|known| *known == word);
    Some((field.to_owned(), types.map(|word| known(word).unwrap_or_else(|| panic!("{line}"))).collect()))
}

fn assert_documented(heading: &str, found: &Shape) {
    let documented = documented();
    let expected = documented.get(heading).unwrap_or_else(|| panic!("{heading} is not in docs/json.md"));
    assert_eq!(found, expected, "`{heading}` prints what is left, docs/json.md says what is right");
}

/// What the program prints, asked for the configuration in `dir`.
fn told(dir: &Path, text: &str) -> (Value, bool) {
    let (dir, pid) = (dir.display().to_string(), dir.join("pid").display().to_string());
    let words = ["tinmesh", "-c", &dir, "-n", "", "--pidfile", &pid];
    let cli = Cli::try_parse_from(words.into_iter().chain(text.split(' ')).chain(["--json"])).unwrap();
    let mut out = Vec::new();
    let outcome = dispatch(&cli, &mut out);
    let value = serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{text}: {error}, {outcome:?}"));
    (value, outcome.is_ok())
}

/// The same, with a daemon that has these answers.
fn told_by(replies: &[&str], text: &str) -> Value {
    let daemon = FakeDaemon::answering(replies);
    told(&daemon.paths().confbase, text).0
}

#[test]
fn what_the_daemon_tells_is_documented() {
    for (text, replies) in [
        ("status", &[NODES, SUBNETS, CONNECTIONS, HINDRANCES, PORTS][..]),
        ("doctor", &[NODES, SUBNETS, CONNECTIONS, HINDRANCES, PORTS, PATHS, SEEN, PORTS]),
        ("dump nodes", &[NODES]),
        ("dump edges", &[EDGES]),
        ("dump subnets", &[SUBNETS]),
        ("dump connections", &[CONNECTIONS]),
        ("pid", &[]),
    ] {
        let mut found = shape(&[told_by(replies, text)]);
        if text == "status" {
            // This test has no network with a name.
            found.get_mut("network").unwrap().insert("text");
        }
        if text == "doctor" {
            // Nor is there a node without a daemon.
            found.get_mut("node").unwrap().insert("null");
        }
        assert_documented(text, &found);
    }
}

#[test]
fn reachable_nodes_and_graphs_have_the_fields_of_other_lists() {
    assert_eq!(told_by(&[NODES], "dump nodes").as_array().unwrap().len(), 6);
    assert_eq!(told_by(&[NODES], "dump reachable nodes").as_array().unwrap().len(), 5);
    let graph = told_by(&[NODES, EDGES], "dump digraph");
    assert_eq!(graph["nodes"], told_by(&[NODES], "dump nodes"));
    assert_eq!(graph["edges"], told_by(&[EDGES], "dump edges"));
}

#[test]
fn info_is_documented() {
    let bob = told_by(&[NODES, EDGES, SUBNETS], "info bob");
    assert_eq!((&bob["edges"], &bob["subnets"]), (&json!(["alice", "carol"]), &json!(["10.9.0.2"])));
    let node = told_by(&[NODES], "dump nodes")[1].clone();
    let own: Shape = shape(std::slice::from_ref(&bob))
        .into_iter()
        .filter(|(path, _)| node.pointer(&pointer(path)).is_none())
        .collect();
    assert_documented("info NODE", &own);
    node.as_object().unwrap().iter().for_each(|(field, value)| assert_eq!(&bob[field], value));
    assert_eq!(told_by(&[SUBNETS], "info 10.9.0.2"), json!([{ "subnet": "10.9.0.2", "owner": "bob" }]));
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace("[]", "/0").replace('.', "/"))
}

#[test]
fn what_files_tell_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());
    invite::make(&place, Some("bob"), Some("vpn.example.org")).unwrap();
    fs::write(place.paths.invitations().join("A".repeat(24)), "nonsense").unwrap();
    assert_documented("dump invitations", &shape(&[told(dir.path(), "dump invitations").0]));
    assert_documented("get", &shape(&[told(dir.path(), "get Ifconfig").0]));
    assert_documented("version", &shape(&[told(dir.path(), "version").0]));
}

#[test]
fn fsck_tells_a_program_all_that_it_finds() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("hosts")).unwrap();
    fs::write(dir.path().join("tinc.conf"), "Name = alice\nPort = 655\n").unwrap();

    let (value, fine) = told(dir.path(), "fsck");

    assert_documented("fsck", &shape(std::slice::from_ref(&value)));
    assert!(!fine, "without keys no node can work");
    assert_eq!(value["usable"], false);
    let first = &value["findings"][0];
    assert_eq!(first, &json!({ "level": "error", "text": "Neither RSA or Ed25519 private key found." }));
    let levels: BTreeSet<&str> =
        value["findings"].as_array().unwrap().iter().map(|finding| finding["level"].as_str().unwrap()).collect();
    assert_eq!(levels, BTreeSet::from(["error", "note", "warning"]), "{value}");
}

#[test]
fn networks_have_names_and_directories() {
    let dir = tempfile::tempdir().unwrap();
    let mut place = Place::named(&Network::default()).unwrap();
    place.paths.confdir = dir.path().to_owned();
    fs::create_dir(dir.path().join("vpn")).unwrap();
    fs::write(dir.path().join("tinc.conf"), "").unwrap();
    fs::write(dir.path().join("vpn/tinc.conf"), "").unwrap();
    let mut out = Vec::new();

    run(&place, &Question::Network { network: None, form: Form { json: true } }, &mut out).unwrap();

    let value: Value = serde_json::from_slice(&out).unwrap();
    assert_documented("network", &shape(std::slice::from_ref(&value)));
    assert_eq!(value[1], json!({ "name": "vpn", "config": dir.path().join("vpn") }));
}

#[test]
fn invitations_and_reports_are_documented() {
    let dir = tempfile::tempdir().unwrap();
    let place = founded_in(dir.path());
    let [open, named] = [None, Some("bob")].map(|name| invite::make(&place, name, Some("vpn.example.org")).unwrap());
    let values = [serde_json::to_value(&open).unwrap(), serde_json::to_value(named).unwrap()];
    assert_documented("invite", &shape(&values));
    assert_documented("up", &shape(&up::tests::reports(&open)));
}

/// What Bob says of Carol, and that he revokes his key.
fn sayings_of_bob(bob: &fides::SecretKey, carol: fides::Key) -> [String; 2] {
    let now = fides::Time(tinmesh_os::clock::unix_seconds());
    let subject = fides::Subject::Key(carol);
    let [topic, name] = ["join", "carol"].map(|word| fides::Word::new(word).unwrap());
    let about = fides::About::Allow { subject, topic, args: vec![name] };
    let yes = fides::Claim::new(fides::Sign::Yes, about, now.0 * 1_000, now);
    let void = fides::Claim::new(fides::Sign::No, fides::About::Revoke, now.0 * 1_000 + 1, now);
    [yes, void].map(|claim| claim.sign(bob).unwrap().to_string())
}

#[test]
fn what_statements_say_is_documented() {
    let dir = tempfile::tempdir().unwrap();
    founded_in(dir.path());
    let [bob, carol] = [2, 3].map(|seed| fides::SecretKey::from_seed(&[seed; 32]));
    let [yes, void] = sayings_of_bob(&bob, carol.public());
    [("yes", yes), ("void", void)].iter().for_each(|(name, line)| fs::write(dir.path().join(name), line).unwrap());
    let typed = |text: &str| {
        let (bob, carol) = (bob.public().to_string(), carol.public().to_string());
        text.replace("DIR", &dir.path().display().to_string()).replace("BOB", &bob).replace("CAROL", &carol)
    };
    let say = |text: &str| {
        let words = ["tinmesh", "-c", "DIR", "-n", "", "--pidfile", "DIR/pid", "auth"].map(typed);
        let cli = Cli::try_parse_from(words.into_iter().chain(text.split(' ').map(typed))).unwrap();
        dispatch(&cli, &mut Vec::new()).unwrap_or_else(|error| panic!("{text}: {error}"));
    };
    let told = |text: &str| told(dir.path(), &typed(text)).0;
    let sentences = ["found --yes", "allow BOB rate 5", "forget BOB", "allow @all own any", "deny BOB join"];
    sentences.into_iter().for_each(say);
    ["founder add BOB", "import DIR/yes", "trust CAROL for join"].into_iter().for_each(say);
    fs::write(dir.path().join("tinc.conf"), fs::read_to_string(dir.path().join("tinc.conf")).unwrap() + "Quorum = 2\n")
        .unwrap();

    let whys = ["auth why alice join", "auth why CAROL join carol", "auth why BOB rate"].map(told);
    assert_documented("auth vote", &shape(&[told("auth vote")]));
    assert_documented("auth who-can", &shape(&[told("auth who-can own 10.0.0.0/8"), told("auth who-can join alice")]));
    say("import DIR/void");

    assert_documented("auth list", &shape(&[told("auth list")]));
    let listed = documented()["auth list"].clone();
    let is_own = |path: &String| !listed.contains_key(&path.replace("statements[]", "[]"));
    assert_documented("auth why", &shape(&whys).into_iter().filter(|(path, _)| is_own(path)).collect());
}

#[test]
fn every_command_that_has_json_is_documented() {
    let documented = documented();
    for command in
        Cli::command().get_subcommands().filter(|command| command.get_arguments().any(|arg| arg.get_id() == "json"))
    {
        let name = command.get_name();
        let told = documented.keys().any(|heading| heading.split(' ').next() == Some(name));
        assert!(told, "docs/json.md says nothing of `{name}`");
    }
}
