//! TCP inside the tunnel is told which segments fit, for each destination by itself, in the laboratory's emulator.
//!
//! ```text
//!  alice ─ NAT ─┐            ┌─ NAT ─ carol      carol's link takes 1,280 bytes and says nothing of longer ones
//!               └─ Internet ─┘
//!                     │
//!                    bob
//! ```

use std::net::{TcpListener, TcpStream};

use tinmesh_sim::Nat;

use crate::emulated::{Story, story_with};
use crate::lab::mesh::{v4, v6, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::status::NodeStatus;
use crate::lab::traffic::{inside, transfer};
use crate::lab::{Lab, run, secs, wait_until};

const NARROW: u16 = 1_280;
const WIDE: u16 = 1_500;
/// Below: headers of IPv4 and UDP, ids, number, type, tag. Above: headers of IPv4 and TCP, and its timestamps.
const AROUND: u16 = 28 + 12 + 21;
const ETHERNET: u16 = 14;
const TCP_V4: u16 = 20 + 20 + 12;
const TCP_V6: u16 = 40 + 20 + 12;

/// What each end of a new connection puts into a segment, in bytes: who called, who was called.
fn segments(from: &Namespace, to: &Namespace, address: &str) -> [u16; 2] {
    let listener = inside(to, || TcpListener::bind((address, 0))).expect("the address is the host's");
    let target = listener.local_addr().expect("it is bound");
    let caller = inside(from, || TcpStream::connect_timeout(&target, secs(10))).expect("the tunnel carries it");
    let (called, _) = listener.accept().expect("it came");
    let port = target.port();
    let sizes = [(from, format!("dport = :{port}")), (to, format!("sport = :{port}"))].map(|(host, which)| {
        let text = run(host.command("ss").args(["-tinH", "state", "established", &which]));
        let size = text.split_whitespace().find_map(|word| word.strip_prefix("mss:"));
        size.and_then(|size| size.parse().ok()).unwrap_or_else(|| panic!("ss says: {text}"))
    });
    drop((caller, called));
    sizes
}

#[test]
fn segments_fit_the_path_of_their_own_destination_in_both_families() {
    let lab = Lab::new();
    let nat = Nat::port_restricted_cone();
    let Story { mesh: [alice, bob, carol], underlay, .. } = story_with(&lab, [nat; 2], |_, underlay, hosts| {
        underlay.with(|net| {
            let link = net.link_mut(hosts[2]);
            (link.mtu, link.icmp) = (NARROW, false);
        });
    });
    for (number, name) in [(2, "bob"), (3, "carol")] {
        wait_for_ping(&alice, &v4(number));
        wait_for_direct(&alice, name, &v4(number));
    }
    wait_for_direct(&carol, "alice", &v4(1));
    wait_until(secs(20), "all sizes are found", || {
        let known = [(&alice, "bob"), (&alice, "carol"), (&bob, "alice"), (&carol, "alice")];
        known.iter().all(|(daemon, other)| daemon.sees(other, NodeStatus::mtu_found))
    });

    for (daemon, number, path) in [(&bob, 2, WIDE), (&carol, 3, NARROW)] {
        for (address, headers) in [(v4(number), TCP_V4), (v6(number), TCP_V6)] {
            let fits = path - AROUND - ETHERNET - headers;
            assert_eq!(segments(&alice.namespace, &daemon.namespace, &address), [fits; 2], "{address}");
        }
        transfer(&alice.namespace, &daemon.namespace, &v4(number), 2_000_000).assert_intact(2_000_000);
    }
    drop(underlay);
}
