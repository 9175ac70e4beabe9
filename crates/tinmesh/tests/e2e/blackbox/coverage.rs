//! Which case shows each command and each option with arguments that are good and with some that are bad. Every command
//! and option of our definitions has a row, and a comparison fails if what stands here as good fails with tinc, or what
//! stands here as bad does not.

use super::case::{Case, Fixture};
use Fixture::{Alice, Bare, Live, Modern};

const TINC: &str = include_str!("../../../src/cli/tinc.rs");
const TINCD: &str = include_str!("../../../src/cli/tincd.rs");

/// A script, on this fixture.
type Call = (&'static str, Fixture);

/// What is shown, and by what; `None`: there are no such arguments.
struct Row(&'static str, Option<Call>, Option<Call>);

const fn row(what: &'static str, good: Call, bad: Call) -> Row {
    Row(what, Some(good), Some(bad))
}

/// On the usual configuration.
const fn usual(what: &'static str, good: &'static str, bad: &'static str) -> Row {
    row(what, (good, Alice), (bad, Alice))
}

/// Good with a running daemon only.
const fn live(what: &'static str, good: &'static str, bad: &'static str) -> Row {
    row(what, (good, Live), (bad, Alice))
}

const COMMANDS: &[Row] = &[
    row("init", ("tinc -b init alice", Bare), ("tinc init a-b", Bare)),
    usual("get", "tinc get Name", "tinc get Nonsense"),
    usual("set", "tinc set Mode hub", "tinc set Nonsense 5"),
    usual("add", "tinc add ConnectTo dave", "tinc add Nonsense 5"),
    usual("del", "tinc del ConnectTo", "tinc del Nonsense"),
    usual("config", "tinc config Name", "tinc config"),
    usual("start", "tinc start >/dev/null 2>&1 && tinc stop", "tinc start --foo >/dev/null 2>&1"),
    usual("stop", "tinc start >/dev/null 2>&1 && tinc stop", "tinc stop x"),
    usual("restart", "tinc restart >/dev/null 2>&1 && tinc stop", "tinc restart --foo >/dev/null 2>&1"),
    live("reload", "tinc reload", "tinc reload x"),
    live("pid", "test $(tinc pid) = $(cut -d' ' -f1 /run/tinc.vpn.pid); echo $?", "tinc pid x"),
    usual("generate-keys", "tinc generate-keys 1024", "tinc generate-keys x"),
    usual("generate-rsa-keys", "tinc generate-rsa-keys 1024", "tinc generate-rsa-keys 100"),
    usual("generate-ed25519-keys", "tinc generate-ed25519-keys", "tinc generate-ed25519-keys 5"),
    live("dump", "tinc dump reachable nodes", "tinc dump x"),
    live("list", "tinc LIST Nodes", "tinc list x"),
    live("info", "tinc info 10.2.0.0/16", "tinc info a-b"),
    live("purge", "tinc purge", "tinc purge x"),
    live("debug", "tinc debug 5", "tinc debug 1 2"),
    live("retry", "tinc retry", "tinc retry x"),
    Row("connect", None, Some(("tinc connect bob", Live))),
    row("disconnect", ("tinc disconnect bob; echo $?", Live), ("tinc disconnect carol", Live)),
    live(
        "top",
        "printf q | TERM=vt100 script -qec 'tinc top' /dev/null >/run/screen 2>&1; code=$?; rm /run/screen; exit $code",
        "tinc top x",
    ),
    live(
        "pcap",
        "timeout --foreground --preserve-status -s INT 4 tinc pcap 96 > /run/caught; od -An -tx1 -N24 /run/caught",
        "tinc pcap 1 2",
    ),
    live("log", "timeout --foreground --preserve-status -s INT 4 tinc log 0; echo $?", "tinc log 1 2"),
    usual("export", "tinc export", "tinc export x"),
    usual("export-all", "rm hosts/bob; tinc export-all", "tinc export-all x"),
    usual("import", "printf 'Name = dave\\nPort = 5\\n' | tinc import", "tinc import x"),
    usual("exchange", "printf 'Name = dave\\nPort = 5\\n' | tinc exchange", "tinc exchange x"),
    usual(
        "exchange-all",
        "rm hosts/bob; printf 'Name = dave\\nPort = 5\\n' | tinc exchange-all",
        "tinc exchange-all x",
    ),
    usual(
        "invite",
        "tinc invite dave | sed 's/[A-Za-z0-9_-]*$//'; stat -c %a invitations invitations/*; rm invitations/*.priv; \
         head -n 4 invitations/*; rm -r invitations",
        "tinc invite a-b",
    ),
    live(
        "join",
        "tinc -n third -b join $(tinc invite dave); ls ../third ../third/hosts; grep -c ConnectTo ../third/tinc.conf; \
         cut -d' ' -f1,2 hosts/dave; tinc -n third get Name; rm -r ../third invitations hosts/dave",
        "tinc join nonsense",
    ),
    usual("network", "tinc network vpn", "tinc network a b"),
    usual("edit", "EDITOR=echo tinc edit tinc.conf", "EDITOR=echo tinc edit bob-sideways"),
    row("fsck", ("tinc fsck", Modern), ("tinc fsck x", Modern)),
    usual("sign", "echo text | tinc sign | tinc verify .", "tinc sign nowhere"),
    usual("verify", "echo text | tinc sign | tinc verify .", "tinc verify a-b f"),
    Row("help", Some(("tinc help", Alice)), None),
    usual("version", "tinc version", "tinc version x"),
];

const OPTIONS: &[Row] = &[
    usual("-b", "tinc -b get Name", "tinc -bx get Name"),
    usual("--batch", "tinc --batch get Name", "tinc --batch=yes get Name"),
    usual("-c", "tinc -c /etc/tinc/peer get Name", "tinc -c"),
    usual("--config", "tinc --config=/etc/tinc/peer get Name", "tinc --config"),
    usual("-n", "tinc -n vpn get Name", "tinc -n a/b get Name"),
    usual("--net", "tinc --net=vpn get Name", "tinc --net"),
    live("--pidfile", "tinc --pidfile=/run/tinc.vpn.pid pid | wc -l", "tinc --pidfile=/run/nowhere pid"),
    usual("--force", "tinc --force set TunnelServer yes", "tinc --force=yes get Name"),
    usual("--help", "tinc --help", "tinc --help=x"),
    usual("--version", "tinc --version", "tinc --version=x"),
];

/// For `tincd`: how the good call and the bad one begin.
const DAEMON_OPTIONS: &[[&str; 3]] = &[
    ["-c", "tincd -c /etc/tinc/vpn >", "tincd -c"],
    ["--config", "tincd --config=/etc/tinc/vpn >", "tincd --config"],
    ["-n", "tincd -n vpn >", "tincd -n a/b -D"],
    ["--net", "tincd --net=vpn >", "tincd --net=a/b -D"],
    ["-D", "(tincd -D >", "tincd -Dx"],
    ["--no-detach", "(tincd --no-detach >", "tincd --no-detach=x"],
    ["-d", "tincd -d5 >", "tincd -dx extra"],
    ["--debug", "tincd --debug=5 >", "tincd --debug=5 extra"],
    ["-L", "tincd -L >", "tincd -Lx"],
    ["--mlock", "tincd --mlock >", "tincd --mlock=x"],
    ["--logfile", "tincd --logfile=/var/log/x >", "tincd --logfile=x extra words"],
    ["-s", "tincd -s >", "tincd -sx"],
    ["--syslog", "tincd --syslog >", "tincd --syslog=x"],
    ["--pidfile", "tincd --pidfile=/run/tinc.vpn.pid >", "tincd --pidfile"],
    ["--bypass-security", "tincd --bypass-security >", "tincd --bypass-security=x"],
    ["-o", "tincd -o PingTimeout=3 >", "tincd -o"],
    ["--option", "tincd --option=PingTimeout=3 >", "tincd --option"],
    ["-R", "tincd -R >", "tincd -Rx"],
    ["--chroot", "tincd --chroot >", "tincd --chroot=x"],
    ["-U", "tincd -U nobody >", "tincd -U"],
    ["--user", "tincd --user=nobody >", "tincd --user"],
    ["--help", "tincd --help", "tincd --help=x"],
    ["--version", "tincd --version", "tincd --version=x"],
];

/// Whether a case must succeed with tinc, or must fail; `None`: nothing is said of it here.
pub(super) fn expectation(case: &Case) -> Option<bool> {
    let call = (case.script, case.fixture);
    for Row(_, good, bad) in COMMANDS.iter().chain(OPTIONS) {
        if *good == Some(call) || *bad == Some(call) {
            return Some(*good == Some(call));
        }
    }
    for [option, good, bad] in DAEMON_OPTIONS {
        let is_answer = ["--help", "--version"].contains(option);
        if case.script == *bad || (is_answer && case.script == *good) {
            return Some(case.script == *good);
        }
        if !is_answer && case.script.starts_with(good) {
            return Some(true);
        }
    }
    None
}

/// The commands of our definition, and the one that is hidden.
fn commands() -> Vec<String> {
    let (_, list) = TINC.split_once("const COMMANDS: [&str; ").expect("the list of commands");
    let (list, _) = list.split_once("];").expect("its end");
    list.split('"').skip(1).step_by(2).map(str::to_owned).chain(["config".to_owned()]).collect()
}

/// The options of a definition, with their hyphens.
fn options(definition: &str) -> Vec<String> {
    let lines = definition.lines().filter_map(|line| line.trim().strip_prefix("spec(Key::"));
    lines
        .flat_map(|line| {
            let short = line.split_once("Some('").and_then(|(_, rest)| rest.chars().next());
            let long = line.split('"').nth(1).expect("each has a long name");
            short.map(|short| format!("-{short}")).into_iter().chain([format!("--{long}")])
        })
        .collect()
}

#[test]
fn every_command_and_option_has_a_case_with_good_arguments_and_one_with_bad_ones() {
    let cases: Vec<Case> = super::tables().concat();
    let is_there = |call: &Call| cases.iter().any(|case| (case.script, case.fixture) == *call);
    let (defined, of_tinc, of_tincd) = (commands(), options(TINC), options(TINCD));
    assert!(defined.len() > 35 && of_tinc.len() >= 10 && of_tincd.len() >= 23, "{defined:?} {of_tinc:?} {of_tincd:?}");

    for (defined, rows) in [(defined, COMMANDS), (of_tinc, OPTIONS)] {
        for what in defined {
            let Some(Row(_, good, bad)) = rows.iter().find(|Row(name, ..)| *name == what) else {
                panic!("no row for {what}")
            };
            for call in [good, bad].into_iter().flatten() {
                assert!(is_there(call), "{what}: no case {call:?}");
            }
            assert!(good.is_some() || what == "connect", "{what} can succeed");
            assert!(bad.is_some() || what == "help", "{what} can fail");
        }
    }
    for what in of_tincd {
        let Some([_, good, bad]) = DAEMON_OPTIONS.iter().find(|[option, ..]| *option == what) else {
            panic!("no row for {what}")
        };
        assert!(cases.iter().any(|case| case.script.starts_with(good)), "{what}: no case begins with {good}");
        assert!(is_there(&(*bad, Alice)), "{what}: no case {bad}");
    }
}
