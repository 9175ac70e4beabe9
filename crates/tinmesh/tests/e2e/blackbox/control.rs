//! What the daemon tells and does, asked by either tool (spec: cli B.4 to B.7, C).

use super::case::{Aspect, Case, Fixture, same};

/// Numbers of a node line that depend on what was measured when.
const NODE: &[&str] = &["status ", "pmtu ", "min ", "max ", "rx ", "rx N ", "tx ", "tx N ", " rtt "];
const INFO: &[&str] = &["PMTU:         ", "RTT:          ", "RX:           ", "packets  ", "TX:           "];

pub(super) fn cases() -> Vec<Case> {
    [dumps(), infos(), orders(), raw()].concat().into_iter().map(|case| case.on(Fixture::Live)).collect()
}

fn dumps() -> Vec<Case> {
    vec![
        same("tinc dump nodes").masked(NODE),
        same("tinc LIST Nodes").masked(NODE),
        same("tinc dump reachable nodes").masked(NODE),
        same("tinc dump edges").masked(&["weight ", "local 127.0.0.1 port "]),
        same("tinc dump subnets"),
        same("tinc dump connections").masked(&["socket ", "127.0.0.1 port "]),
        same("tinc dump graph").masked(&["w = ", "weight = "]),
        same("tinc dump digraph").masked(&["w = ", "weight = "]),
    ]
}

fn infos() -> Vec<Case> {
    vec![
        same("tinc info alice").masked(INFO),
        same("tinc info bob | grep -v Reachability").masked(INFO),
        same("tinc info carol").masked(INFO),
        same("tinc info Alice"),
        same("tinc info 10.2.3.4"),
        same("tinc info 10.2.0.0/16"),
        same("tinc info 10.2.3.4#10"),
        same("tinc info 10.2.3.4#5"),
        same("tinc info fd01::1"),
        same("tinc info fd01::/64"),
        same("tinc info fd01::/64#5"),
        same("tinc info fd01::/64#6"),
        same("tinc info 10.9.9.9"),
        same("tinc info 10.9.0.0/16"),
        same("tinc info 10.2.0.0/17"),
        same("tinc info 255.255.255.255"),
        same("tinc info ff:ff:ff:ff:ff:ff"),
        same("tinc info 1:2:3:4:5:6"),
        same("tinc info 10.2.x"),
        same("tinc info ''"),
        same("tinc info a-b"),
    ]
}

fn orders() -> Vec<Case> {
    vec![
        same("test $(tinc pid) = $(cut -d' ' -f1 /run/tinc.vpn.pid); echo $?"),
        same("tinc debug 5"),
        same("tinc debug -1"),
        same("tinc debug high"),
        same("tinc debug 0x"),
        same("tinc debug 3; tinc debug 0"),
        same("tinc retry"),
        same("tinc reload"),
        same("tinc purge"),
        same("tinc disconnect carol"),
        same("tinc disconnect bob; echo $?"),
        same("tinc disconnect a-b"),
        same("tinc connect bob"),
        same("tinc start").masked(&["pid "]),
        same("printf 'debug 2\\ndebug 0\\npid\\n' | tinc | sed '$d'"),
        same("timeout -s INT 1 tinc log 0; echo $?"),
        same("tinc pcap > /run/none & sleep 0.5; kill -INT $!; wait $!; echo $?; od -An -tx1 -N24 /run/none; rm /run/none"),
        same("tinc pcap 96 | head -c 24 | od -An -tx4 & sleep 0.5; kill %1 2>/dev/null; true"),
        same("tinc top < /dev/null 2>&1 | head -c 0"),
    ]
}

/// The protocol itself, without a tool; the pid is on the second line of the greeting.
fn raw() -> Vec<Case> {
    Vec::new()
}

const _: &[Aspect] = &[Aspect::Out];
