//! `tinmesh auth` on files, by running the program: two nodes, statements carried from one to the other by hand.
#![expect(clippy::unwrap_used, reason = "what helps tests may fail like them")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// Nodes of one network on this machine; no daemon runs.
struct Nodes {
    dir: TempDir,
}

/// What a run printed, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Run {
    code: i32,
    out: String,
    err: String,
}

impl Nodes {
    /// Nodes of these names, which have each other's host files.
    fn new(names: &[&str]) -> Self {
        let nodes = Self { dir: tempfile::tempdir().unwrap() };
        for name in names {
            assert_eq!(nodes.run(name, &format!("init {name}")).code, 0);
        }
        for from in names {
            for to in names.iter().filter(|to| *to != from) {
                fs::copy(nodes.path(from, &format!("hosts/{from}")), nodes.path(to, &format!("hosts/{from}"))).unwrap();
            }
        }
        nodes
    }

    fn path(&self, node: &str, file: &str) -> PathBuf {
        self.dir.path().join(node).join(file)
    }

    fn read(&self, node: &str, file: &str) -> String {
        fs::read_to_string(self.path(node, file)).unwrap()
    }

    fn run(&self, node: &str, words: &str) -> Run {
        self.run_with(node, "", words)
    }

    fn run_with(&self, node: &str, input: &str, words: &str) -> Run {
        let mut child = Command::new(env!("CARGO_BIN_EXE_tinmesh"))
            .arg("--config")
            .arg(self.path(node, ""))
            .arg("--pidfile")
            .arg(self.path(node, "pid"))
            .args(words.split_ascii_whitespace())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().replace(self.dir.path().to_str().unwrap(), "DIR");
        Run { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }

    /// The output of a run that must succeed.
    fn success(&self, node: &str, words: &str) -> String {
        let run = self.run(node, words);
        assert_eq!(run.code, 0, "{words}: {run:?}");
        run.out
    }

    /// The text of a run that must fail.
    fn failure(&self, node: &str, words: &str) -> String {
        let run = self.run(node, words);
        assert_eq!(run.code, 1, "{words}: {run:?}");
        run.err
    }

    /// Whether a node may do something, as another sees it.
    fn may(&self, at: &str, question: &str) -> bool {
        let answer = self.success(at, &format!("auth why {question}"));
        assert!(answer.starts_with("yes: ") || answer.starts_with("no: "), "{answer}");
        answer.starts_with("yes: ")
    }

    /// Carries lines to a node, as if they had been pasted there.
    fn paste(&self, node: &str, lines: &str) -> String {
        let run = self.run_with(node, lines, "auth import");
        assert_eq!(run.code, 0, "{run:?}");
        run.out
    }

    fn key(&self, node: &str) -> String {
        let answer = self.success(node, &format!("auth why {node} join --json"));
        let value: Value = serde_json::from_str(&answer).unwrap();
        value["key"].as_str().unwrap().to_owned()
    }
}

#[test]
fn founding_closes_a_network_and_lets_in_whom_it_knows() {
    let nodes = Nodes::new(&["alice", "bob"]);
    fs::write(nodes.path("alice", "hosts/bob"), nodes.read("bob", "hosts/bob") + "Subnet = 10.1.0.0/16\n").unwrap();
    assert!(nodes.may("alice", "bob join") && nodes.may("alice", "bob own 10.9.0.0/16"), "all is open at first");

    let refused = nodes.run_with("alice", "y\n", "auth found");
    let lines = nodes.success("alice", "auth found --yes");

    assert!(refused.code == 1 && refused.err.contains("--yes"), "nobody was asked: {refused:?}");
    assert_eq!(lines.lines().filter(|line| line.starts_with("fides1 ")).count(), 3, "{lines}");
    let founder = format!("Founder = {}", nodes.key("alice"));
    assert!(nodes.read("alice", "tinc.conf").lines().any(|line| line == founder));
    assert_eq!(nodes.read("alice", "fides/statements").lines().count(), 3);
    assert!(nodes.may("alice", "bob join") && nodes.may("alice", "bob own 10.1.2.0/24"));
    assert!(!nodes.may("alice", "bob own 10.9.0.0/16"));
    assert!(nodes.failure("alice", "auth found --yes").contains("auth list"));
}

#[test]
fn a_line_that_is_pasted_elsewhere_acts_there() {
    let nodes = Nodes::new(&["alice", "bob", "mallory"]);
    let founded = nodes.success("alice", "auth found --yes");
    nodes.success("bob", "auth founder add alice");
    assert!(!nodes.may("bob", "mallory join"));
    nodes.paste("bob", &founded);
    assert!(nodes.may("bob", "mallory join"));

    let line = nodes.success("alice", "auth deny mallory");
    assert!(nodes.paste("bob", &line).starts_with("new: "));

    assert!(!nodes.may("bob", "mallory join"));
    assert!(nodes.paste("bob", &line).starts_with("known: "));
    nodes.paste("bob", &nodes.success("alice", "auth allow mallory"));
    assert!(nodes.may("bob", "mallory join"), "an allow takes back the deny");
    nodes.paste("bob", &nodes.success("alice", "auth forget mallory"));
    assert!(!nodes.may("bob", "mallory join"));
}

#[test]
fn what_is_allowed_ends_when_it_was_said_to() {
    let nodes = Nodes::new(&["alice", "bob"]);
    nodes.success("alice", "auth found --yes");
    nodes.success("alice", "auth forget bob");
    nodes.success("alice", "auth allow bob join for 1s");
    std::thread::sleep(std::time::Duration::from_secs(2));

    let answer = nodes.success("alice", "auth why bob join");

    assert!(answer.starts_with("no: bob may not join as bob\n"), "{answer}");
    assert!(answer.contains("it has expired") && answer.contains("ended "), "{answer}");
    assert!(answer.contains("sudo tinmesh auth allow bob join bob"), "{answer}");
}

#[test]
fn why_tells_who_said_so_and_what_would_change_it() {
    let nodes = Nodes::new(&["alice", "bob", "carol"]);
    nodes.success("alice", "auth found --yes");
    nodes.success("carol", "auth founder add alice");
    let said = nodes.success("bob", "auth allow carol own 10.2.0.0/16");
    nodes.paste("alice", &said);

    let no = nodes.success("alice", "auth why carol own 10.2.3.0/24");
    assert!(no.starts_with("no: carol may not own 10.2.3.0/24\n"), "{no}");
    assert!(no.contains(&format!("carol is {}", nodes.key("carol"))), "{no}");
    assert!(no.contains("nobody whose word counts has said anything"), "{no}");
    assert!(no.contains("its issuer is not trusted in this topic: sudo tinmesh auth trust bob for own"), "{no}");
    assert!(no.contains("sudo tinmesh auth allow carol own 10.2.3.0/24"), "{no}");

    nodes.success("alice", "auth trust bob for own");
    let still = nodes.success("alice", "auth why carol own 10.2.3.0/24");
    assert!(still.contains("its issuer may not do that itself"), "{still}");
    nodes.success("alice", "auth allow bob own 10.0.0.0/8");
    let yes = nodes.success("alice", "auth why carol own 10.2.3.0/24");
    assert!(yes.starts_with("yes: ") && yes.contains("Why their word counts:"), "{yes}");
    assert!(yes.contains("the word of bob counts for own"), "{yes}");
}

#[test]
fn two_founders_vote() {
    let nodes = Nodes::new(&["alice", "bob", "mallory"]);
    for node in ["alice", "bob"] {
        fs::write(nodes.path(node, "tinc.conf"), nodes.read(node, "tinc.conf") + "Quorum = 2\n").unwrap();
    }
    let mut said = nodes.success("alice", "auth found --yes");
    said += &nodes.success("alice", "auth founder add bob");
    nodes.success("bob", "auth founder add alice");
    nodes.success("bob", "auth founder add bob");
    nodes.paste("bob", &said);
    assert!(!nodes.may("bob", "mallory join"), "one voice of two");

    let open = nodes.success("bob", "auth vote");
    assert!(open.contains("mallory may join as mallory?   1 yes, 0 no"), "{open}");
    let number =
        open.lines().find(|line| line.contains("mallory may join")).unwrap().split_whitespace().next().unwrap();
    nodes.success("bob", &format!("auth vote yes {number}"));

    assert!(nodes.may("bob", "mallory join"));
    assert!(!nodes.success("bob", "auth vote").contains("mallory may join"));
    assert!(nodes.failure("bob", "auth vote yes 99").contains("no open question"));
}

#[test]
fn cases_are_tests_of_the_policy() {
    let nodes = Nodes::new(&["alice", "bob", "mallory"]);
    nodes.success("alice", "auth found --yes");
    let deny = nodes.success("alice", "auth deny mallory");
    nodes.success("alice", "auth forget mallory");
    nodes.success("alice", "auth allow mallory");
    let cases = "# who may do what\nbob may join: yes\nmallory may join: yes\nbob may own fd00::/64: no\n";
    fs::write(nodes.path("alice", "cases"), cases).unwrap();
    let path = nodes.path("alice", "cases").display().to_string();
    assert_eq!(nodes.success("alice", &format!("auth check {path}")), "3 cases as expected, 0 failures.\n");

    let run = nodes.run_with("alice", "bob may join: no\nbob can join: no\nbob may join\n", "auth check -");
    assert_eq!((run.code, run.out.as_str()), (1, "0 cases as expected, 3 failures.\n"));
    assert!(
        run.err.starts_with("line 1: bob may join as bob (expected: no)\n  Why: tinmesh auth why bob join bob"),
        "{run:?}"
    );
    assert!(run.err.contains("line 2: ") && run.err.contains("line 3: "), "{run:?}");

    let run = nodes.run_with("alice", &deny, "auth check");
    assert!(run.out.starts_with("outdated:") && run.out.contains("would change nothing"), "{run:?}");
    assert!(nodes.may("alice", "mallory join"));
}

#[test]
fn a_dry_run_tells_what_a_statement_would_change() {
    let nodes = Nodes::new(&["alice", "bob", "carol"]);
    let founded = nodes.success("alice", "auth found --yes");
    nodes.success("bob", "auth founder add alice");
    nodes.paste("bob", &founded);
    let deny = nodes.success("alice", "auth deny carol");

    let run = nodes.run_with("bob", &format!("{deny}carol may join: no\n"), "auth check");

    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.out.contains("would change: carol may not join as carol"), "{run:?}");
    assert!(nodes.may("bob", "carol join"), "it was only tried");
}

#[test]
fn lines_that_are_no_statements_are_refused_with_their_place() {
    let nodes = Nodes::new(&["alice", "bob"]);
    let line = nodes.success("alice", "auth allow bob own 10.0.0.0/8");
    let forged = line.replace("10.0.0.0/8", "10.0.0.0/7");

    let run = nodes.run_with("bob", &format!("# pasted\n\n{forged}hello\n  {line}"), "auth import");

    assert_eq!(run.code, 1);
    assert!(run.err.contains("line 3: the signature is wrong") && run.err.contains("line 4: "), "{run:?}");
    assert!(run.out.starts_with("kept: ") && run.out.contains("10.0.0.0/8   (alice, "), "{run:?}");
}

#[test]
fn statements_are_found_listed_exported_and_checked() {
    let nodes = Nodes::new(&["alice", "bob"]);
    nodes.success("alice", "auth found --yes");
    nodes.success("alice", "auth allow bob relay with mbday 500");
    nodes.success("alice", "auth allow bob rate 2mbit for 3d");

    let list = nodes.success("alice", "auth list bob");
    assert!(
        list.contains("This network is closed.") && list.contains("bob may use and be a relay, 500 MB a day"),
        "{list}"
    );
    assert_eq!(nodes.success("alice", "auth find alice + allow bob relay").lines().count(), 1);
    assert_eq!(nodes.success("alice", "auth find *").lines().count(), 4);
    assert_eq!(nodes.success("alice", "auth export").lines().count(), 4);
    assert!(nodes.success("alice", "auth fsck").contains("Ends soon: bob may send 2000 kbit/s"));
    let who: Value = serde_json::from_str(&nodes.success("alice", "auth who-can join alice --json")).unwrap();
    assert_eq!(who[0]["name"], "alice");

    let kept = nodes.read("alice", "fides/statements").replacen("bob", "eve", 1);
    fs::write(nodes.path("alice", "fides/statements"), kept).unwrap();
    let run = nodes.run("alice", "auth fsck");
    assert!(run.code == 1 && run.out.contains("fides/statements, line ") && run.out.contains("signature"), "{run:?}");
}

#[test]
fn a_revoked_key_is_void() {
    let nodes = Nodes::new(&["alice", "bob"]);
    nodes.success("alice", "auth found --yes");
    let stolen = nodes.path("bob", "ed25519_key.priv").display().to_string();

    nodes.success("alice", &format!("auth revoke --yes --with {stolen}"));

    let answer = nodes.success("alice", "auth why bob join");
    assert!(answer.starts_with("no: ") && answer.contains("revoked by its owner"), "{answer}");
}

#[test]
fn a_new_key_is_vouched_for_by_the_old_one() {
    let nodes = Nodes::new(&["alice", "bob"]);
    let before = nodes.key("bob");
    nodes.success("bob", "auth founder add alice");

    let lines = nodes.success("bob", "auth rekey --yes");

    let after = nodes.key("bob");
    assert_ne!(before, after);
    assert!(
        lines.contains(&format!("fides1 {before} ")) && lines.contains(&format!("allow {after} join bob")),
        "{lines}"
    );
    assert!(nodes.failure("bob", "auth rekey --yes").contains("--finish"));
    let line = nodes.success("bob", "auth rekey --finish --yes");
    assert!(line.starts_with(&format!("fides1 {before} ")) && line.contains(" - revoke "), "{line}");
    assert!(nodes.failure("bob", "auth rekey --finish --yes").contains("No key waits"));
}

#[test]
fn mistakes_are_told_with_the_remedy() {
    let nodes = Nodes::new(&["alice", "bob"]);
    for (words, hint) in [
        ("auth allow carol", "write one of alice, bob"),
        ("auth allow bob jion", "there are: join"),
        ("auth allow bob join for 7w", "7d"),
        ("auth forget bob", "auth list bob"),
        ("auth why bob own", "own any"),
        ("auth founder remove bob", "auth list"),
        ("auth import /nonexistent", "/nonexistent"),
    ] {
        let error = nodes.failure("alice", words);
        assert!(error.contains(hint), "{words}: {error}");
    }
    assert!(nodes.failure("nobody", "auth list").contains("sudo tinmesh up"));
}

#[test]
fn a_lease_lasts_a_day() {
    let nodes = Nodes::new(&["alice", "bob"]);
    fs::write(nodes.path("alice", "tinc.conf"), nodes.read("alice", "tinc.conf") + "Lease = yes\n").unwrap();
    nodes.success("alice", "auth found --yes");

    let list: Value = serde_json::from_str(&nodes.success("alice", "auth list bob --json")).unwrap();

    let [said, until] = ["said", "until"].map(|field| list[0][field].as_u64().unwrap());
    assert_eq!(until - said, 86_400);
}

#[test]
fn a_line_that_was_only_signed_acts_where_it_is_imported() {
    let nodes = Nodes::new(&["alice", "bob"]);
    nodes.success("alice", "auth found --yes");

    let line = nodes.success("alice", "auth deny bob --print");

    assert!(nodes.may("alice", "bob join"));
    nodes.paste("alice", &line);
    assert!(!nodes.may("alice", "bob join"));
}

/// The lines of the guide's chapter that are typed, with the node at which they are.
fn story() -> Vec<(&'static str, &'static str)> {
    let text = include_str!("../../../docs/guide.md");
    let chapter = text.split("\n## ").find(|chapter| chapter.starts_with("Who may do what\n")).unwrap();
    chapter.lines().filter_map(|line| line.split_once("$ ")).filter(|(node, _)| !node.contains(' ')).collect()
}

/// Statements spread by daemons; here they are carried by hand.
fn spread(nodes: &Nodes, names: &[&str]) {
    for from in names {
        let lines = nodes.success(from, "auth export");
        for to in names.iter().filter(|to| *to != from) {
            nodes.run_with(to, &lines, "auth import");
        }
    }
}

#[test]
fn the_story_of_the_guide_is_typed_from_beginning_to_end() {
    let names = ["red", "green", "blue", "laptop"];
    let nodes = Nodes::new(&names);
    fs::write(nodes.path("red", "hosts/red"), nodes.read("red", "hosts/red") + "Address = vpn.example.org 655\n")
        .unwrap();
    let program = PathBuf::from(env!("CARGO_BIN_EXE_tinmesh"));
    let mut answers = Vec::new();
    for (node, line) in story() {
        let ours = format!(
            "{} --config {} --pidfile {}",
            program.display(),
            nodes.path(node, "").display(),
            nodes.path(node, "pid").display()
        );
        let script = format!("sudo() {{ \"$@\"; }}; tinmesh() {{ {ours} \"$@\"; }}; {line}");
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(nodes.dir.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
        assert!(output.status.success(), "{node}$ {line}\n{out}{err}");
        answers.push((line, out));
        spread(&nodes, &names);
    }
    let answer =
        |words: &str| &answers.iter().find(|(line, _)| line.contains(words)).unwrap_or_else(|| panic!("{words}")).1;
    assert!(answers.len() >= 18, "{}", answers.len());
    assert!(answer("invite friend").contains("tinmesh join "));
    assert!(answer("why green own").starts_with("yes: "), "{}", answer("why green own"));
    assert!(answer("why laptop join").starts_with("no: "), "{}", answer("why laptop join"));
    assert!(nodes.may("green", "laptop join"));
    assert_eq!(answer("auth check cases"), "2 cases as expected, 0 failures.\n");
}
