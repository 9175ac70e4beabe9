//! Switch mode with tinc 1.0: two sites, or three, are one Ethernet.

use super::{OLD, OURS, use_rsa};
use crate::lab::topology::Segment;
use crate::lab::traffic::{ping, transfer};
use crate::lab::{Kind, Lab, run, secs, wait_until};
use crate::switched::site;

/// Sites in a line whose hosts are one Ethernet: ARP, both families, a transfer.
fn is_one_ethernet<const N: usize>(kinds: [Kind; N]) {
    let (lab, wan) = (Lab::new(), Segment::new("wan"));
    let sites: Vec<_> = kinds.iter().enumerate().map(|(at, kind)| site(&lab, &wan, at + 1, *kind)).collect();
    let (mut daemons, wires): (Vec<_>, Vec<_>) = sites.into_iter().map(|site| (site.daemon, site.wire)).unzip();
    for pair in daemons.windows(2) {
        pair[0].config(&format!("ConnectTo = {}", pair[1].name)).knows(&pair[1]);
        pair[1].knows(&pair[0]);
    }
    use_rsa(&daemons);
    daemons.iter_mut().rev().for_each(super::Daemon::start);
    let hosts: Vec<_> = wires
        .iter()
        .zip(1..)
        .map(|(wire, number)| wire.host("site", &[&format!("10.99.0.{number}/24"), &format!("fd99::{number}/64")]))
        .collect();
    let (left, right) = (&hosts[0], &hosts[N - 1]);

    for address in [format!("10.99.0.{N}"), format!("fd99::{N}")] {
        wait_until(secs(20), &format!("{address} answers"), || ping(left, &address));
    }
    transfer(left, right, &format!("10.99.0.{N}"), 5_000_000).assert_intact(5_000_000);
    transfer(right, left, "10.99.0.1", 5_000_000).assert_intact(5_000_000);

    for ours in daemons.iter().filter(|daemon| daemon.kind == OURS) {
        for (host, owner) in hosts.iter().zip(&daemons) {
            let mac = run(host.command("cat").arg("/sys/class/net/eth0/address"));
            let line = format!("{} owner {}", mac.trim(), owner.name);
            wait_until(secs(5), &format!("{} knows {line}", ours.name), || {
                ping(left, "10.99.0.2");
                ours.tinc(&["dump", "subnets"]).contains(&line)
            });
        }
    }
}

#[test]
fn ours_and_tinc_1_0_are_one_ethernet() {
    is_one_ethernet([OURS, OLD]);
}

#[test]
fn tinc_1_0_and_ours_are_one_ethernet() {
    is_one_ethernet([OLD, OURS]);
}

#[test]
fn ours_between_two_of_tinc_1_0_is_one_ethernet_with_them() {
    is_one_ethernet([OLD, OURS, OLD]);
}

#[test]
fn tinc_1_0_between_two_of_ours_is_one_ethernet_with_them() {
    is_one_ethernet([OURS, OLD, OURS]);
}
