//! Sections 3 to 5: what the joiner does with an invitation.

use std::fs;

use crate::inviter::{Until, serve};
use crate::machine::{Machine, Run};
use crate::terminal::Terminal;

const SEPARATOR: &str = "#---------------------------------------------------------------#";
const CANCELLED: &str =
    "Invitation cancelled. Please try again and contact the inviter for assistance if this error persists.\n";

/// A machine that joined with a file, and what it said.
fn join(file: &str, options: &str) -> (Machine, Run) {
    let machine = Machine::bare();
    let serving = serve(file, Until::Accepted);
    let run = machine.run(&format!("{options} join {}", serving.url));
    serving.joiners_key();
    (machine, run)
}

fn joined(file: &str, options: &str) -> (Machine, String) {
    let (machine, run) = join(file, options);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.err.contains("\nConfiguration stored in: DIR/net\nInvitation successfully accepted.\n"), "{run:?}");
    (machine, run.err)
}

#[test]
fn s3_the_inviter_gets_the_new_key_and_the_joiner_keeps_its_half() {
    let machine = Machine::bare();
    let serving = serve("Name = bob\nConnectTo = alpha\n", Until::Accepted);
    let run = machine.run(&format!("join {}", serving.url));
    let key = serving.joiners_key().unwrap().to_base64();
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.err.starts_with("Connected to 127.0.0.1 port "), "{run:?}");
    assert!(machine.read("hosts/bob").contains(&format!("Ed25519PublicKey = {key}\n")));
    assert_eq!(machine.mode("ed25519_key.priv"), 0o600);
    assert_eq!(machine.run("fsck").err, "");
}

#[test]
fn s3_without_acceptance_there_is_no_configuration() {
    for until in [Until::WrongKey, Until::Cookie, Until::Key] {
        let machine = Machine::bare();
        let serving = serve("Name = bob\n", until);
        let run = machine.run(&format!("join {}", serving.url));
        serving.joiners_key();
        assert_eq!(run.code, 1, "{until:?}");
        assert!(!machine.path("").exists(), "{until:?}");
        match until {
            Until::WrongKey => {
                assert!(run.err.contains("Peer has an invalid key. Please make sure you're using the correct URL."))
            }
            Until::Cookie | Until::Key | Until::Accepted => assert!(run.err.ends_with(CANCELLED), "{run:?}"),
        }
    }
}

#[test]
fn s4_the_url_may_come_from_the_input_and_is_asked_for_on_a_terminal() {
    let file = "Name = bob\n";
    let machine = Machine::bare();
    let serving = serve(file, Until::Accepted);
    assert_eq!(machine.feed(format!("{}\n", serving.url), "join").code, 0);
    let machine = Machine::bare();
    assert_eq!(machine.failure("join"), "Error while reading stdin: Broken pipe\n");
    let serving = serve(file, Until::Accepted);
    let mut command = machine.command();
    command.arg("join");
    let mut terminal = Terminal::run(command);
    terminal.answer("Enter invitation URL: ", &serving.url);
    assert_eq!(terminal.end().0, 0);
    assert_eq!(machine.read("tinc.conf"), "Name = bob\n");
}

#[test]
fn s4_a_url_that_is_none_or_leads_nowhere_is_told() {
    let machine = Machine::bare();
    let secret = "G0wTrHsr4JKpQA-InwHU4jfUqsteF7OSH47wtJ_44IoxnboT";
    for url in
        ["host", "host/short", &format!("host/{secret}x"), &format!("host:99999/{secret}"), &format!("[::1/{secret}")]
    {
        assert_eq!(machine.failure(&format!("join {url}")), "Invalid invitation URL.\n", "{url}");
    }
    let error = machine.failure(&format!("join 127.0.0.1:1/{secret}"));
    assert!(error.starts_with("Could not connect to 127.0.0.1 port 1: Connection refused\n"), "{error}");
    assert!(
        error.ends_with("Could not connect to inviter. Please make sure the URL you entered is valid.\n"),
        "{error}"
    );
    assert_eq!(machine.failure("join a b"), "Too many arguments!\n");
    let error = Machine::alice().failure("join x");
    assert_eq!(error, "Configuration file DIR/net/tinc.conf already exists!\n");
}

#[test]
fn s5_2_every_name_must_be_valid() {
    let (machine, run) = join(&format!("Name = bob\n{SEPARATOR}\nName = a-b\n"), "");
    assert!(run.code == 1 && run.err.contains("Invalid Name found in invitation!\n"), "{run:?}");
    assert!(!machine.path("tinc.conf").exists());
}

#[test]
fn s5_3_safe_variables_go_where_they_belong() {
    let file = "Name = bob\nNetName = vpn\n# comment\nConnectTo = alpha\nmode = switch\nSubnet = 10.2.0.0/16\nWeight = 5\n\
                ClampMSS=no\nName = bob\n";
    let (machine, _) = joined(file, "");
    assert_eq!(machine.read("tinc.conf"), "Name = bob\nConnectTo = alpha\nMode = switch\n");
    let host = machine.read("hosts/bob");
    assert!(host.starts_with("Subnet = 10.2.0.0/16\nWeight = 5\nClampMSS = no\nEd25519PublicKey = "), "{host}");
    assert_eq!(machine.read("invitation-data"), file);
}

#[test]
fn s5_3_unsafe_variables_need_force_and_unknown_ones_are_never_taken() {
    let file = "Name = bob\nDevice = /dev/x\nPort = 700\nFoo = 1\n";
    let (machine, told) = joined(file, "");
    for variable in ["unsafe variable 'Device'", "unsafe variable 'Port'", "unknown variable 'Foo'"] {
        assert!(told.contains(&format!("Ignoring {variable} in invitation.\n")), "{told}");
    }
    assert_eq!(machine.read("tinc.conf"), "Name = bob\n");
    let (machine, told) = joined(file, "--force");
    for text in [
        "Warning: unsafe variable 'Device' in",
        "Warning: unsafe variable 'Port' in",
        "Ignoring unknown variable 'Foo' in",
    ] {
        assert!(told.contains(&format!("{text} invitation.\n")), "{told}");
    }
    assert_eq!(machine.read("tinc.conf"), "Name = bob\nDevice = /dev/x\n");
    assert!(machine.read("hosts/bob").starts_with("Port = 700\n"));
}

#[test]
fn s5_4_further_chunks_become_host_files_but_never_the_own_one() {
    let file = format!(
        "Name = bob\nConnectTo = alpha\n{SEPARATOR}\nName = alpha\nAddress = 192.0.2.1\nSubnet = \
         10.1.0.0/16\n{SEPARATOR}\nName = carol\nPort = 5\n"
    );
    let (machine, _) = joined(&file, "");
    assert_eq!(machine.read("hosts/alpha"), "Address = 192.0.2.1\nSubnet = 10.1.0.0/16\n");
    assert_eq!(machine.read("hosts/carol"), "Port = 5\n");
    let (machine, run) = join(&format!("Name = bob\n{SEPARATOR}\nName = alpha\nName = bob\nPort = 1\n"), "");
    assert!(
        run.code == 1 && run.err.contains("Secondary chunk would overwrite our own host config file.\n"),
        "{run:?}"
    );
    assert!(!machine.path("tinc.conf").exists());
}

const STATEMENTS: &str = "Name = bob\nIfconfig = 10.9.0.1/16\nIfconfig = fd00::1/64\nIfconfig = 10.9.0.9/32\nIfconfig = dhcp\n\
                          Ifconfig = dhcp6\nIfconfig = slaac\nRoute = 10.0.0.0/8\nRoute = 10.44.0.0/16 10.9.0.2\nRoute = \
                          10.45.0.1 10.9.0.3/32\n";
const SCRIPT: &str = "#!/bin/sh
ip link set \"$INTERFACE\" up
ip addr replace 10.9.0.1/16 dev \"$INTERFACE\"
ip addr replace fd00::1/64 dev \"$INTERFACE\"
ip addr replace 10.9.0.9 dev \"$INTERFACE\"
dhclient -nw \"$INTERFACE\"
dhclient -6 -nw \"$INTERFACE\"
echo 1 >\"/proc/sys/net/ipv6/conf/$INTERFACE/accept_ra\"
echo 1 >\"/proc/sys/net/ipv6/conf/$INTERFACE/autoconf\"
ip route add 10.0.0.0/8 dev \"$INTERFACE\"
ip route add 10.44.0.0/16 via 10.9.0.2 dev \"$INTERFACE\" onlink
ip route add 10.45.0.1 via 10.9.0.3 dev \"$INTERFACE\" onlink
";

#[test]
fn s5_5_statements_become_a_script_that_waits_for_consent() {
    let (machine, told) = joined(STATEMENTS, "");
    assert!(told.contains("A tinc-up script was generated, but has been left disabled.\n"), "{told}");
    assert_eq!(machine.read("tinc-up.invitation"), SCRIPT);
    assert!(!machine.path("tinc-up").exists());
    let (machine, told) = joined(STATEMENTS, "--force");
    assert!(told.contains("tinc-up enabled.\n"), "{told}");
    assert_eq!((machine.read("tinc-up").as_str(), machine.mode("tinc-up")), (SCRIPT, 0o755));
    assert!(!machine.path("tinc-up.invitation").exists());
}

#[test]
fn s5_5_bad_statements_are_told_and_left_out() {
    let (machine, told) = joined(
        "Name = bob\nIfconfig = 10.9.0.1/16; reboot\nRoute = x\nRoute = 10.0.0.0/8 fd00::1\nRoute = 10.1.0.0/16\n",
        "",
    );
    for text in ["address in Ifconfig", "subnet in Route", "gateway in Route"] {
        assert!(told.contains(&format!("Could not parse {text} statement\n")), "{told}");
    }
    let script = "#!/bin/sh\nip link set \"$INTERFACE\" up\nip route add 10.1.0.0/16 dev \"$INTERFACE\"\n";
    assert_eq!(machine.read("tinc-up.invitation"), script);
}

#[test]
fn s5_5_without_statements_there_is_a_reminder() {
    let (machine, _) = joined("Name = bob\n", "");
    let expected = "#!/bin/sh\nip link set \"$INTERFACE\" up\n#ip addr add <your vpn IP address>/<prefix of whole VPN> dev \
                    $INTERFACE\n\necho \"Unconfigured tinc-up script, please edit '$0'!\" >&2\n";
    assert_eq!((machine.read("tinc-up").as_str(), machine.mode("tinc-up")), (expected, 0o755));
}

/// Joins on a terminal; `answers` are those to the question about the script.
fn review(editor: &str, answers: &[&str]) -> (Machine, String) {
    let machine = Machine::bare();
    let serving = serve(STATEMENTS, Until::Accepted);
    let mut command = machine.command();
    command.args(["join", &serving.url]).env("VISUAL", editor);
    let mut terminal = Terminal::run(command);
    terminal.expect("Please review the following tinc-up script:");
    terminal.expect("ip addr replace 10.9.0.1/16");
    for answer in answers {
        terminal.answer("Do you want to use this script [y]es/[n]o/[e]dit? ", answer);
    }
    let (code, shown) = terminal.end();
    assert_eq!(code, 0);
    (machine, shown)
}

#[test]
fn s5_5_on_a_terminal_the_script_is_reviewed() {
    let (machine, shown) = review("false", &["what", "y"]);
    assert!(shown.contains("tinc-up enabled.\n"), "{shown}");
    assert_eq!((machine.read("tinc-up").as_str(), machine.mode("tinc-up")), (SCRIPT, 0o755));
    let (machine, shown) = review("false", &["n"]);
    assert!(shown.contains("tinc-up has been left disabled.\n"), "{shown}");
    assert!(machine.path("tinc-up.invitation").exists() && !machine.path("tinc-up").exists());
    let (machine, _) = review("sed -i 's/10.9.0.1/10.9.0.5/'", &["e"]);
    assert_eq!(machine.read("tinc-up"), SCRIPT.replace("10.9.0.1/", "10.9.0.5/"));
    let (machine, _) = review("false", &["e"]);
    assert!(!machine.path("tinc-up").exists());
}

#[test]
fn s5_6_only_a_key_of_the_new_protocol_is_made() {
    let (machine, _) = joined("Name = bob\n", "");
    assert!(!machine.path("rsa_key.priv").exists());
    let entries =
        fs::read_dir(machine.path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    assert_eq!(names, ["cache", "ed25519_key.priv", "hosts", "invitation-data", "tinc-up", "tinc.conf"]);
}
