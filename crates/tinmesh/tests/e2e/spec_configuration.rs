//! A walk through the page `configuration` of the specification, sections 2 to 5, with both programs: what one makes of
//! a configuration, the other makes of it too. The process (sections 1, 6 to 12) is walked through in `spec_process`.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};
use std::sync::Arc;

use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const BOTH: [Kind; 2] = [Kind::Ours, Kind::Tinc11];

/// A fresh node with a dummy device, not yet started.
fn node(lab: &Lab, kind: Kind, host: &Arc<Namespace>) -> Daemon {
    let daemon = Daemon::init(lab, if kind == Kind::Ours { "ours" } else { "theirs" }, kind, host);
    daemon.config("DeviceType = dummy").config("AutoConnect = no");
    fs::write(daemon.dir.join("tinc-up"), "#!/bin/sh\n").expect("the directory is there");
    daemon
}

/// What `observe` sees of both programs with the configuration that `configure` writes; it must be the same.
#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(configure: impl Fn(&mut Daemon), observe: impl Fn(&mut Daemon) -> T) -> T {
    let lab = Lab::new();
    let [ours, theirs] = BOTH.map(|kind| {
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        configure(&mut daemon);
        observe(&mut daemon)
    });
    assert_eq!(ours, theirs, "ours differs from theirs");
    ours
}

/// The port that a started daemon listens on.
fn port(daemon: &mut Daemon) -> String {
    daemon.start();
    let file = fs::read_to_string(daemon.pidfile()).expect("a running daemon has a pid file");
    file.trim().rsplit(' ').next().expect("a pid file has words").to_owned()
}

/// Its own subnets, as `dump subnets` tells them.
fn subnets(daemon: &mut Daemon) -> Vec<String> {
    daemon.start();
    let owner = format!(" owner {}", daemon.name);
    let text = daemon.tinc(&["dump", "subnets"]);
    text.lines().filter_map(|line| Some(line.strip_suffix(&owner)?.to_owned())).collect()
}

/// Starts it where it must fail, and gives the exit code and what it said without times and directories.
fn failure(daemon: &mut Daemon) -> (Option<i32>, String) {
    let output = run(daemon);
    let text = String::from_utf8_lossy(&output.stderr).replace(&daemon.dir.display().to_string(), "DIR");
    (output.status.code(), text)
}

fn run(daemon: &Daemon) -> Output {
    let mut command = daemon.tincd_command(&["-D"]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the program is there");
    let start = std::time::Instant::now();
    while child.try_wait().expect("our child").is_none() {
        if start.elapsed() > secs(5) {
            let _ = child.kill();
            let output = child.wait_with_output().expect("our child");
            panic!("{} runs with a configuration that it should refuse:\n{output:?}", daemon.name);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    child.wait_with_output().expect("our child")
}

/// Both refuse to start with exit code 1 and say this.
#[track_caller]
fn both_refuse(configure: impl Fn(&mut Daemon), said: &str) {
    let lab = Lab::new();
    for kind in BOTH {
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        configure(&mut daemon);
        let (code, text) = failure(&mut daemon);
        assert_eq!(code, Some(1), "{kind:?}: {text}");
        assert!(text.contains(said), "{kind:?} says {text:?}, not {said:?}");
    }
}

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a file has a directory")).expect("the disk has room");
    fs::write(path, text).expect("the disk has room");
}

/// A name that both use, so that what they say is the same.
fn named(daemon: &mut Daemon, line: &str, name: &str) {
    let conf = fs::read_to_string(daemon.dir.join("tinc.conf")).expect("init wrote it");
    let rest: Vec<&str> = conf.lines().filter(|line| !line.starts_with("Name")).collect();
    write(&daemon.dir.join("tinc.conf"), &format!("{line}\n{}\n", rest.join("\n")));
    fs::rename(daemon.host_file(&daemon.name), daemon.host_file(name)).expect("init wrote it");
}

fn own_name(daemon: &mut Daemon) -> String {
    daemon.start();
    let nodes = daemon.tinc(&["dump", "nodes"]);
    nodes.split(' ').next().expect("a node is there").to_owned()
}

#[test]
fn s2_2_a_name_may_come_from_the_environment_with_odd_characters_replaced() {
    let name = same(
        |daemon| {
            named(daemon, "Name = $SITE", "head_office_7");
            daemon.env("SITE", "head-office.7");
        },
        own_name,
    );

    assert_eq!(name, "head_office_7");
}

#[test]
fn s2_2_a_name_from_an_unset_variable_is_refused() {
    both_refuse(
        |daemon| named(daemon, "Name = $NO_SUCH_THING", "x"),
        "Invalid Name: environment variable NO_SUCH_THING does not exist",
    );
}

#[test]
fn s2_2_a_name_with_other_characters_is_refused() {
    both_refuse(|daemon| named(daemon, "Name = head-office", "x"), "Invalid name for myself!");
}

#[test]
fn s2_2_files_that_are_no_names_are_not_nodes() {
    let nodes = same(
        |daemon| {
            for file in ["bob", "bob.bak", "bob-up", ".carol"] {
                write(&daemon.dir.join("hosts").join(file), "Address = 192.0.2.2\n");
            }
        },
        |daemon| {
            daemon.start();
            let nodes = daemon.tinc(&["dump", "nodes"]);
            let names = nodes.lines().filter_map(|line| line.split(' ').next());
            names.filter(|name| *name != daemon.name).map(str::to_owned).collect::<Vec<_>>()
        },
    );

    assert_eq!(nodes, ["bob"]);
}

#[test]
fn s3_blanks_and_the_sign_are_optional_and_one_sign_is_skipped() {
    for line in ["Port 7001", "Port=7001", "Port =7001", "PORT\t=\t7001", "port = 7001  \t", "Port = 7001\r"] {
        let port = same(|daemon| _ = daemon.config(line), port);
        assert_eq!(port, "7001", "{line:?}");
    }
}

#[test]
fn s3_comments_stand_in_the_first_column_and_blocks_are_skipped() {
    let port = same(
        |daemon| {
            daemon.config("# Port = 7001\n\n-----BEGIN ANYTHING-----\nPort = 7002\n-----END ANYTHING-----");
            daemon.config("  Port = 7003\nPort = 7004");
        },
        port,
    );

    assert_eq!(port, "7004", "the indented line has no variable");
}

#[test]
fn s3_a_variable_without_value_stops_the_start() {
    both_refuse(|daemon| _ = daemon.config("Device ="), "No value for variable `Device'");
}

#[test]
fn s3_unknown_variables_do_not_stop_the_start() {
    assert_eq!(same(|daemon| _ = daemon.config("Colour = red").config("Port = 7001"), port), "7001");
}

#[test]
fn s3_1_a_number_ends_at_the_first_other_character() {
    let lab = Lab::new();
    for kind in BOTH {
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        daemon.config("PingInterval = 10s").config("LogLevel = 3x");
        daemon.start();
    }
}

#[test]
fn s3_1_a_malformed_truth_value_counts_as_absent() {
    let lab = Lab::new();
    for kind in BOTH {
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        daemon.config("DecrementTTL = maybe");
        daemon.start();
        let said = "\"yes\" or \"no\" expected for configuration variable DecrementTTL";
        assert!(daemon.log().contains(said), "{kind:?}: {}", daemon.log());
    }
}

#[test]
fn s3_2_subnets_are_read_and_printed_alike() {
    let found = same(
        |daemon| {
            for subnet in ["10.2.0.0/16", "10.1.2.3", "10.1.2.3/32#5", "fd00:2::/64#10", "FD00::0001", "0.0.0.0/0#-3"] {
                daemon.host(&format!("Subnet = {subnet}"));
            }
            daemon.host("Subnet = 2:0:0:0:0:1");
        },
        subnets,
    );

    let expected =
        ["02:00:00:00:00:01", "10.1.2.3#5", "10.1.2.3", "10.2.0.0/16", "0.0.0.0/0#-3", "fd00::1", "fd00:2::/64"];
    assert_eq!(found, expected);
}

#[test]
fn s3_2_host_bits_are_refused() {
    both_refuse(
        |daemon| _ = daemon.host("Subnet = 10.1.2.3/16"),
        "Network address and prefix length do not match for configuration variable Subnet",
    );
}

#[test]
fn s3_3_an_option_wins_over_files_and_the_first_option_over_others() {
    let port = same(
        |daemon| {
            daemon.config("Port = 7001");
            daemon.args = ["-o", "Port=7002", "-o", "Port=7003"].map(str::to_owned).to_vec();
        },
        port,
    );

    assert_eq!(port, "7002");
}

#[test]
fn s3_3_the_smaller_line_number_wins_whatever_the_file() {
    let port_with = |conf: &str, host: &str| {
        same(
            |daemon| {
                let old = fs::read_to_string(daemon.dir.join("tinc.conf")).expect("init wrote it");
                write(&daemon.dir.join("tinc.conf"), &format!("{conf}{old}"));
                let path = daemon.host_file(&daemon.name);
                let old = fs::read_to_string(&path).expect("init wrote it");
                write(&path, &format!("{host}{old}"));
            },
            port,
        )
    };

    assert_eq!(port_with("Port = 7001\n", "# first\nPort = 7002\n"), "7001");
    assert_eq!(port_with("# first\n# second\nPort = 7001\n", "# first\nPort = 7002\n"), "7002");
}

#[test]
fn s3_3_with_equal_line_numbers_the_path_decides() {
    let port = same(
        |daemon| {
            let conf = fs::read_to_string(daemon.dir.join("tinc.conf")).expect("init wrote it");
            write(&daemon.dir.join("tinc.conf"), &format!("Port = 7001\n{conf}"));
            write(&daemon.dir.join("conf.d/10-port.conf"), "Port = 7002\n");
        },
        port,
    );

    assert_eq!(port, "7002", "conf.d stands before tinc.conf");
}

#[test]
fn s3_3_conf_d_is_read_by_suffix_and_a_broken_file_stops_the_start() {
    let port = same(
        |daemon| {
            write(&daemon.dir.join("conf.d/port.conf"), "Port = 7001\n");
            write(&daemon.dir.join("conf.d/port.CONF"), "Port = 7002\n");
            write(&daemon.dir.join("conf.d/port.conf.bak"), "Port = 7003\n");
        },
        port,
    );
    assert_eq!(port, "7001");

    both_refuse(|daemon| write(&daemon.dir.join("conf.d/broken.conf"), "Port\n"), "No value for variable `Port'");
}

#[test]
fn s3_3_options_for_a_host_count_for_that_host_alone() {
    let port = same(
        |daemon| {
            daemon.args = ["-o", "somebody.Port=7001", "-o"].map(str::to_owned).to_vec();
            daemon.args.push(format!("{}.Port=7002", daemon.name));
        },
        port,
    );

    assert_eq!(port, "7002");
}

#[test]
fn s4_1_words_that_are_none_of_the_list_stop_the_start() {
    for (line, said) in [
        ("Mode = bridge", "Invalid routing mode!"),
        ("Forwarding = maybe", "Invalid forwarding mode!"),
        ("Broadcast = all", "Invalid broadcast mode!"),
        ("AddressFamily = ipx", "Invalid address family!"),
        ("ProcessPriority = highest", "Invalid priority `highest`!"),
        ("Proxy = socks6 192.0.2.1 1080", "Unknown proxy type socks6!"),
        ("Proxy = socks5 192.0.2.1", "Host and port argument expected for proxy!"),
        ("Proxy = exec", "Argument expected for proxy type exec!"),
        ("MaxTimeout = 0", "Bogus maximum timeout!"),
        ("Compression = 99", "Bogus compression level!"),
    ] {
        both_refuse(|daemon| _ = daemon.config(line), said);
    }
}

#[test]
fn s4_1_an_unknown_device_type_stops_the_start() {
    both_refuse(
        |daemon| {
            let conf = fs::read_to_string(daemon.dir.join("tinc.conf")).expect("init wrote it");
            write(&daemon.dir.join("tinc.conf"), &conf.replace("DeviceType = dummy", "DeviceType = tuntap"));
        },
        "Unknown device type tuntap!",
    );
}

#[test]
fn s4_1_an_invalid_name_to_connect_to_is_skipped() {
    let lab = Lab::new();
    for kind in BOTH {
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        daemon.config("ConnectTo = head-office");
        daemon.start();
        let said = || daemon.log().contains("Invalid name for outgoing connection");
        wait_until(secs(10), &format!("{kind:?} says that the name is invalid"), said);
    }
}

/// Two of these kinds on a wire; the first dials the second. Both have host files of each other.
fn connected(lab: &Lab, kinds: [Kind; 2]) -> [Daemon; 2] {
    let wan = Segment::new("wan");
    let mut pair = [0, 1].map(|at| {
        let address = format!("192.0.2.{}", at + 1);
        let daemon = Daemon::init(lab, ["alice", "bob"][at], kinds[at], &wan.host("node", &[&format!("{address}/24")]));
        daemon.config("DeviceType = dummy").config("AutoConnect = no").host(&format!("Address = {address}"));
        daemon
    });
    pair[0].config("ConnectTo = bob").knows(&pair[1]);
    pair[1].knows(&pair[0]);
    pair[1].start();
    pair[0].start();
    wait_for(&pair, true);
    pair
}

#[track_caller]
fn wait_for(pair: &[Daemon; 2], reachable: bool) {
    wait_until(secs(15), &format!("bob is {}reachable", if reachable { "" } else { "un" }), || {
        pair[0].sees("bob", |node| node.reachable() == reachable)
    });
}

#[test]
fn s5_a_reload_takes_new_subnets_and_drops_those_that_are_gone() {
    for kinds in [[Kind::Ours, Kind::Tinc11], [Kind::Tinc11, Kind::Ours]] {
        let lab = Lab::new();
        let pair = connected(&lab, kinds);
        let known = |subnet: &str| pair[1].tinc(&["dump", "subnets"]).contains(&format!("{subnet} owner alice"));

        pair[0].host("Subnet = 10.5.0.0/16");
        pair[0].tinc(&["reload"]);
        wait_until(secs(5), "the subnet is announced", || known("10.5.0.0/16"));
        let path = pair[0].host_file("alice");
        let text = fs::read_to_string(&path).expect("it is there").replace("Subnet = 10.5.0.0/16\n", "");
        write(&path, &text);
        pair[0].tinc(&["reload"]);

        wait_until(secs(5), "the subnet is withdrawn", || !known("10.5.0.0/16"));
    }
}

#[test]
fn s5_a_reload_ends_connections_whose_line_is_gone_and_starts_new_ones() {
    for kind in BOTH {
        let lab = Lab::new();
        let pair = connected(&lab, [kind, Kind::Tinc11]);

        pair[0].tinc(&["del", "ConnectTo", "bob"]);
        wait_for(&pair, false);
        pair[0].tinc(&["add", "ConnectTo", "bob"]);

        wait_for(&pair, true);
    }
}

#[test]
fn s5_a_reload_ends_connections_with_nodes_whose_host_file_is_gone() {
    for kind in BOTH {
        let lab = Lab::new();
        let pair = connected(&lab, [Kind::Tinc11, kind]);

        fs::remove_file(pair[1].host_file("alice")).expect("it was copied");
        pair[1].tinc(&["reload"]);

        wait_for(&pair, false);
    }
}

#[test]
fn s5_a_reload_of_a_broken_file_fails_and_changes_nothing() {
    for kind in BOTH {
        let lab = Lab::new();
        let mut pair = connected(&lab, [kind, Kind::Tinc11]);
        pair[0].config("Device =");

        let output = pair[0].try_tinc(&["reload"]);

        assert_eq!(output.status.code(), Some(1), "{kind:?}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("Could not reload configuration."), "{kind:?} says {said:?}");
        assert!(pair[0].lives() && pair[0].sees("bob", |node| node.reachable()), "{kind:?}");
    }
}

#[test]
fn s5_with_strict_subnets_a_reload_takes_the_subnets_of_host_files() {
    for kind in BOTH {
        let lab = Lab::new();
        let mut daemon = node(&lab, kind, &Namespace::new("node"));
        daemon.config("StrictSubnets = yes");
        write(&daemon.dir.join("hosts/bob"), "Subnet = 10.7.0.0/16\n");
        daemon.start();
        let known = |subnet: &str| daemon.tinc(&["dump", "subnets"]).contains(&format!("{subnet} owner bob"));
        assert!(known("10.7.0.0/16"), "{kind:?}");

        write(&daemon.dir.join("hosts/bob"), "Subnet = 10.8.0.0/16\n");
        daemon.tinc(&["reload"]);

        wait_until(secs(5), "bob's subnet is the new one", || known("10.8.0.0/16") && !known("10.7.0.0/16"));
    }
}
