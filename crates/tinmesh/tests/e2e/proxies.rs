//! Meta connections through proxies, where there is no other way.
//!
//! ```text
//!  alice ─ left ─ proxy ─ right ─ bob        (the proxy's host forwards nothing)
//! ```

use std::sync::Arc;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::proxy::{Manner, Proxy};
use crate::lab::topology::Segment;
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};
use crate::streams::{Flows, connections};

const OURS: Kind = Kind::Ours;
const THEIRS: Kind = Kind::Tinc11;

const BOB4: &str = "203.0.113.3";
const BOB6: &str = "2001:db8:2::3";

/// Alice, who dials bob at `address`, and the proxy's host.
fn parted(lab: &Lab, kind: Kind, address: &str) -> ([Daemon; 2], Arc<Namespace>) {
    let (left, right) = (Segment::new("left"), Segment::new("right"));
    let host = left.host("proxy", &["198.51.100.2/24", "2001:db8:1::2/64"]);
    right.connect(&host, "eth1", &["203.0.113.2/24", "2001:db8:2::2/64"]);
    let inner = left.host("node", &["198.51.100.1/24", "2001:db8:1::1/64"]);
    let outer = right.host("node", &[&format!("{BOB4}/24"), &format!("{BOB6}/64")]);
    let [alice, bob] = [mesh::node(lab, 1, OURS, &inner), mesh::node(lab, 2, kind, &outer)];
    bob.host(&format!("Address = {address}"));
    alice.config("ConnectTo = bob").knows(&bob);
    bob.knows(&alice);
    ([alice, bob], host)
}

/// A packet gets through, by way of the proxy.
fn reaches(kind: Kind, manner: Manner, line: &str, address: &str) {
    let lab = Lab::new();
    let (mut mesh, host) = parted(&lab, kind, address);
    let proxy = Proxy::start(&host, manner);
    mesh[0].config(&line.replace("HOST", "198.51.100.2").replace("PORT", &proxy.port.to_string()));
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;

    wait_for_ping(alice, &v4(2));

    assert!(!ping(&alice.namespace, BOB4), "there is no way around");
    let asked = proxy.asked();
    assert_eq!(asked.first().map(|to| (to.ip().to_string(), to.port())), Some((address.to_owned(), 655)));
    assert!(alice.log().contains(&format!("Connection with bob ({address} port 655) activated")));
}

#[test]
fn socks4_leads_to_ours() {
    reaches(OURS, Manner::Socks4, "Proxy = socks4 HOST PORT user", BOB4);
}

#[test]
fn socks4_leads_to_theirs() {
    reaches(THEIRS, Manner::Socks4, "Proxy = socks4 HOST PORT", BOB4);
}

#[test]
fn socks4a_leads_to_ours() {
    reaches(OURS, Manner::Socks4, "Proxy = socks4a HOST PORT user", BOB6);
}

#[test]
fn socks4a_leads_to_theirs() {
    reaches(THEIRS, Manner::Socks4, "Proxy = socks4a HOST PORT", BOB4);
}

/// Nobody but the proxy knows where bob is.
fn a_name_leads_to(kind: Kind) {
    let lab = Lab::new();
    let (mut mesh, host) = parted(&lab, kind, "bob.example");
    let proxy = Proxy::start(&host, Manner::Socks4);
    mesh[0].config(&format!("Proxy = socks4a 198.51.100.2 {}", proxy.port));
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;

    wait_for_ping(alice, &v4(2));

    assert!(alice.log().contains("The name bob.example is left to the proxy"));
    assert!(alice.tinc(&["dump", "edges"]).contains("alice to bob at unspec port unspec"), "she does not know where");
    assert!(bob.tinc(&["dump", "edges"]).contains("alice to bob at unspec port unspec"));
}

#[test]
fn socks4a_leads_to_ours_by_a_name_that_only_the_proxy_knows() {
    a_name_leads_to(OURS);
}

#[test]
fn socks4a_leads_to_theirs_by_a_name_that_only_the_proxy_knows() {
    a_name_leads_to(THEIRS);
}

#[test]
fn socks5_leads_to_ours() {
    reaches(OURS, Manner::Socks5, "Proxy = socks5 HOST PORT", BOB4);
}

#[test]
fn socks5_leads_to_theirs_over_ipv6() {
    reaches(THEIRS, Manner::Socks5, "Proxy = socks5 HOST PORT", BOB6);
}

#[test]
fn socks5_with_a_password_leads_to_ours_over_ipv6() {
    reaches(OURS, Manner::Socks5Login, "Proxy = socks5 HOST PORT user secret", BOB6);
}

#[test]
fn socks5_with_a_password_leads_to_theirs() {
    reaches(THEIRS, Manner::Socks5Login, "Proxy = socks5 HOST PORT user secret", BOB4);
}

#[test]
fn http_leads_to_ours_over_ipv6() {
    reaches(OURS, Manner::Http, "Proxy = http HOST PORT", BOB6);
}

#[test]
fn http_leads_to_theirs() {
    reaches(THEIRS, Manner::Http, "Proxy = http HOST PORT", BOB4);
}

/// A program carries the connection; it sees who is meant, and ends with the connection.
fn program_leads_to(kind: Kind) {
    let lab = Lab::new();
    let (mut mesh, host) = parted(&lab, kind, BOB4);
    let (told, pid) = (lab.path("told"), lab.path("pid"));
    let script = lab.path("carry");
    std::fs::write(
        &script,
        format!(
            "echo $NAME $NODE $REMOTEADDRESS $REMOTEPORT > {}; echo $$ > {}
             exec ip netns exec {} bash -c 'exec 3<>/dev/tcp/$REMOTEADDRESS/$REMOTEPORT; cat <&3 & cat >&3'\n",
            told.display(),
            pid.display(),
            host.name()
        ),
    )
    .expect("the directory is ours");
    mesh[0].config(&format!("Proxy = exec sh {}", script.display()));
    mesh::start(&mut mesh);
    let [alice, _] = &mut mesh;

    wait_for_ping(alice, &v4(2));

    assert_eq!(std::fs::read_to_string(&told).expect("the program wrote it"), "alice bob 203.0.113.3 655\n");
    let pid: u32 = std::fs::read_to_string(&pid).expect("the program wrote it").trim().parse().expect("a number");
    let lives = || std::path::Path::new(&format!("/proc/{pid}")).exists();
    assert!(lives());
    run(&mut alice.tinc_command(&["del", "ConnectTo", "bob"]));
    wait_until(secs(10), "the program is gone and reaped", || !lives());
    assert!(alice.lives());
}

#[test]
fn a_program_leads_to_ours() {
    program_leads_to(OURS);
}

#[test]
fn a_program_leads_to_theirs() {
    program_leads_to(THEIRS);
}

/// Streams go the way of the meta connection.
fn streams_go(line: &str, address: &str) {
    let lab = Lab::alone();
    let (mut mesh, host) = parted(&lab, OURS, address);
    let proxy = Proxy::start(&host, if line.contains("http") { Manner::Http } else { Manner::Socks4 });
    let script = lab.path("carry");
    let carry = "bash -c 'exec 3<>/dev/tcp/$REMOTEADDRESS/$REMOTEPORT; cat <&3 & cat >&3'";
    std::fs::write(&script, format!("exec ip netns exec {} {carry}\n", host.name())).expect("the directory is ours");
    let line = line.replace("HOST", "198.51.100.2").replace("PORT", &proxy.port.to_string());
    mesh[0].config(&line.replace("SCRIPT", &script.display().to_string()));
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let _flows = Flows::start(&mesh, 4);

    wait_until(secs(10), "all streams are there", || {
        connections(&mesh[0]) == 4 && connections_with_alice(&mesh[1]) == 4
    });

    assert_eq!(proxy.asked().len(), if line.contains("exec") { 0 } else { 4 });
}

fn connections_with_alice(bob: &Daemon) -> usize {
    bob.tinc(&["dump", "connections"]).lines().filter(|line| line.starts_with("alice ")).count()
}

#[test]
fn streams_go_through_a_proxy() {
    streams_go("Proxy = http HOST PORT", BOB4);
}

#[test]
fn streams_go_through_a_proxy_that_alone_knows_the_name() {
    streams_go("Proxy = socks4a HOST PORT", "bob.example");
}

#[test]
fn streams_go_through_a_program() {
    streams_go("Proxy = exec sh SCRIPT", BOB4);
}

/// No connection comes about, the log says why, and the next attempt comes later.
fn fails(manner: Manner, line: &str, address: &str, reason: &str) {
    let lab = Lab::new();
    let (mut mesh, host) = parted(&lab, OURS, address);
    let proxy = Proxy::start(&host, manner);
    mesh[0].config("PingTimeout = 2");
    mesh[0].config(&line.replace("HOST", "198.51.100.2").replace("PORT", &proxy.port.to_string()));
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;

    let told = format!("Could not reach bob ({address} port 655) through the proxy: {reason}");
    wait_until(secs(10), &format!("the log says: {told}"), || alice.log().contains(&told));

    wait_until(secs(2), "it waits before it tries again", || {
        alice.log().contains("Trying to re-establish outgoing connection to bob in 5 seconds")
    });
    assert!(!alice.log().contains("secret") && !alice.log().contains("wrong"), "no password is logged");
}

#[test]
fn a_wrong_password_is_told() {
    let reason = "the proxy did not accept user and password: correct them in Proxy";
    fails(Manner::Socks5Login, "Proxy = socks5 HOST PORT user wrong1", BOB4, reason);
}

#[test]
fn a_missing_password_is_told() {
    let reason = "the proxy wants a user and a password: add them to Proxy";
    fails(Manner::Socks5Login, "Proxy = socks5 HOST PORT", BOB4, reason);
}

#[test]
fn a_refusal_is_told() {
    fails(Manner::Forbidding, "Proxy = http HOST PORT", BOB4, "the proxy refused: 403 Not for you");
}

#[test]
fn a_closed_port_behind_the_proxy_is_told() {
    // The other address of the proxy's own host, where nobody listens.
    let reason = "the proxy refused: the other end refused the connection";
    fails(Manner::Socks5, "Proxy = socks5 HOST PORT", "203.0.113.2", reason);
}

#[test]
fn a_program_that_ends_at_once_is_tried_again_later() {
    let lab = Lab::new();
    let (mut mesh, _host) = parted(&lab, OURS, BOB4);
    mesh[0].config("Proxy = exec echo no way >&2; false");
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;

    wait_until(secs(5), "it waits before it tries again", || {
        alice.log().contains("Trying to re-establish outgoing connection to bob in 5 seconds")
    });

    let log = alice.log();
    assert!(log.contains("Closing connection with bob (203.0.113.3 port 655): closed by the peer"), "{log}");
    assert!(log.contains("\nno way\n"), "what the program says is in the log: {log}");
}

#[test]
fn a_reload_changes_the_proxy_and_does_not_take_it_away() {
    let lab = Lab::new();
    let (mut mesh, host) = parted(&lab, OURS, BOB4);
    let proxy = Proxy::start(&host, Manner::Socks5Login);
    let line = |password: &str| format!("socks5 198.51.100.2 {} user {password}", proxy.port);
    mesh[0].config(&format!("Proxy = {}", line("wrong1")));
    mesh::start(&mut mesh);
    let [alice, _] = &mesh;
    wait_until(secs(5), "the password is refused", || alice.log().contains("did not accept user and password"));

    alice.tinc(&["set", "Proxy", &line("secret")]);
    alice.tinc(&["retry"]);
    wait_for_ping(alice, &v4(2));

    let before = proxy.asked().len();
    alice.tinc(&["del", "Proxy"]);
    alice.tinc(&["disconnect", "bob"]);
    wait_until(secs(10), "the proxy is asked again", || proxy.asked().len() > before);
    wait_for_ping(alice, &v4(2));
}

#[test]
fn garbage_is_told() {
    let reason = "the answer is not that of a proxy of type socks5: correct type, host or port in Proxy";
    fails(Manner::Garbage, "Proxy = socks5 HOST PORT", BOB4, reason);
}

#[test]
fn a_proxy_that_says_nothing_is_told() {
    fails(Manner::Silent, "Proxy = http HOST PORT", BOB4, "the proxy did not answer in time");
}

#[test]
fn an_ipv6_address_behind_socks4_is_told() {
    let reason = "SOCKS4 knows no IPv6: use Proxy = socks5, or AddressFamily = ipv4";
    fails(Manner::Socks4, "Proxy = socks4 HOST PORT", BOB6, reason);
}
