//! What members of a closed network may send, between real daemons.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use fides::{Claim, Sign, Word};

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::sayings::{about, keep, kept, key, now, said, signed};
use crate::lab::traffic::{inside, ping, transfer};
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;

/// Alice is the founder; she lets everybody in, with his addresses.
fn found(mesh: &[Daemon]) {
    let alice = &mesh[0];
    let mut lines = Vec::new();
    for (daemon, number) in mesh.iter().zip(1..) {
        let addresses = [v4(number), mesh::v6(number)];
        let topics = addresses.iter().map(|address| format!("own {address}"));
        let topics = topics.chain([format!("join {}", daemon.name)]);
        lines.extend(topics.map(|topic| said(alice, Sign::Yes, daemon, &topic)));
    }
    for daemon in mesh {
        daemon.config(&format!("Founder = {}", key(alice)));
        keep(daemon, &lines);
    }
}

/// Alice says something, and everybody hears it.
fn says(mesh: &[Daemon], lines: &[String]) {
    keep(&mesh[0], lines);
    mesh[0].signal("HUP");
    for daemon in mesh {
        wait_until(secs(60), &format!("{} knows what alice says", daemon.name), || {
            let kept = kept(daemon);
            lines.iter().all(|line| kept.contains(line))
        });
    }
}

/// Starts to count pings that claim to come from an address.
fn count_pings(host: &Namespace, from: &str) {
    host.nft(&format!(
        "table inet gate {{
            counter pings {{ }}
            chain in {{ type filter hook input priority 0; ip saddr {from} icmp type echo-request counter name pings; }}
        }}"
    ));
}

fn pings(host: &Namespace) -> u64 {
    let output = host.command("nft").args(["list", "counter", "inet", "gate", "pings"]).output().expect("nft is there");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().skip_while(|word| *word != "packets");
    words.nth(1).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("nft says: {text}"))
}

/// Bob pings alice as if he were carol; how many of ten pings alice's system saw.
fn forge(alice: &Daemon, bob: &Daemon) -> u64 {
    count_pings(&alice.namespace, &v4(3));
    bob.namespace.shell(&format!("ip addr add {}/32 dev vpn0", v4(3)));
    let args = ["-n", "-q", "-c10", "-i0.1", "-W1", "-I", &v4(3), &v4(1)];
    let _ = bob.namespace.command("ping").args(args).output().expect("ping is there");
    pings(&alice.namespace)
}

#[test]
fn nobody_sends_from_the_address_of_another_member() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS; 3]);
    found(&mesh);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_for_ping(carol, &v4(1));
    wait_for_ping(alice, &mesh::v6(3));

    assert_eq!(forge(alice, bob), 0);

    wait_for_ping(bob, &v4(1));
    mesh[0].stop();
    assert!(mesh[0].log().contains("foreign_source"), "{}", mesh[0].log());
}

#[test]
fn in_an_open_network_a_member_can() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS; 3]);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(bob, &v4(1));
    wait_for_ping(carol, &v4(1));

    assert!(forge(alice, bob) >= 5);
}

#[test]
fn a_member_sends_no_faster_than_it_may() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    found(&mesh);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let kbit = Word::new("kbit").expect("a word");
    let limit = Claim::new(Sign::Yes, about(&mesh[1], "rate"), 0, now()).limit(kbit, 2_000);
    says(&mesh, &[signed(&mesh[0], limit)]);
    let [alice, bob] = &mesh;

    let slow = transfer(&bob.namespace, &alice.namespace, &v4(1), 1_500_000);
    let fast = transfer(&alice.namespace, &bob.namespace, &v4(2), 1_500_000);

    slow.assert_intact(1_500_000);
    fast.assert_intact(1_500_000);
    // 12 Mbit at 2 Mbit/s, of which half a Mbit may come at once.
    assert!(slow.took >= Duration::from_millis(5_500), "{:?}", slow.took);
    assert!(fast.took < slow.took / 2, "{:?} of {:?}: alice may send as she likes", fast.took, slow.took);
    mesh[0].stop();
    assert!(mesh[0].log().contains("over_rate"), "{}", mesh[0].log());
}

/// Whether a connection to a port of `to` comes about.
fn connects(from: &Daemon, to: &Daemon, address: &str, port: u16) -> bool {
    let address = SocketAddr::new(address.parse().expect("an address"), port);
    let listener = inside(&to.namespace, || TcpListener::bind(address).expect("the port is free"));
    let connected = inside(&from.namespace, || TcpStream::connect_timeout(&address, secs(3)).is_ok());
    drop(listener);
    connected
}

#[test]
fn conversations_begin_where_the_founder_allows_them() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    found(&mesh);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(2));
    let [alice, bob] = &mesh;
    assert!(connects(alice, bob, &v4(2), 8_023) && connects(bob, alice, &v4(1), 8_022), "all is open at first");

    let lines = ["tag servers", "tag clients"].into_iter().zip([bob, alice]);
    let mut lines: Vec<String> = lines.map(|(topic, of)| said(alice, Sign::Yes, of, topic)).collect();
    lines.push(said(alice, Sign::Yes, alice, "reach servers tcp 8000-8022"));
    says(&mesh, &lines);

    wait_until(secs(20), "port 8023 is closed", || !connects(alice, bob, &v4(2), 8_023));
    for address in [v4(2), mesh::v6(2)] {
        assert!(connects(alice, bob, &address, 8_022), "an open port, {address}");
    }
    assert!(!connects(bob, alice, &v4(1), 8_022), "alice is no server");
    assert!(!ping(&alice.namespace, &v4(2)), "ICMP is not allowed");

    says(&mesh, &[said(alice, Sign::Yes, alice, "reach servers icmp")]);
    wait_for_ping(alice, &v4(2));
    says(&mesh, &[said(alice, Sign::No, alice, "reach servers tcp 8022")]);
    wait_until(secs(20), "port 8022 is closed", || !connects(alice, bob, &v4(2), 8_022));
    assert!(connects(alice, bob, &v4(2), 8_021), "others are not");
}

#[test]
fn nobody_relays_for_whom_the_founder_denies_it() {
    let lab = Lab::new();
    let mut mesh = mesh::parted_line(&lab, [OURS; 3]);
    found(&mesh);
    mesh::start(&mut mesh);
    let [alice, _, carol] = &mesh;
    wait_for_ping(alice, &v4(3));
    wait_for_ping(carol, &v4(1));

    says(&mesh, &[said(alice, Sign::No, carol, "relay")]);

    wait_until(secs(20), "nothing of carol comes to alice", || !ping(&carol.namespace, &v4(1)));
    assert!(!ping(&alice.namespace, &v4(3)), "her answers do not either");
    wait_for_ping(carol, &v4(2));
    wait_for_ping(alice, &v4(2));
    says(&mesh, &[said(alice, Sign::DontCare, carol, "relay")]);
    wait_for_ping(carol, &v4(1));
    mesh[1].stop();
    assert!(mesh[1].log().contains("relay_denied"), "{}", mesh[1].log());
}
