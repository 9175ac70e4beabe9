//! What the daemon tells and does, asked by either tool (spec: cli B.4 to B.7).

use super::case::{Aspect, Case, Fixture, same};

const OUT: &[Aspect] = &[Aspect::Out];
/// Numbers of a node line that depend on what was measured when.
const NODE: &[&str] = &["status ", "pmtu ", "min ", "max ", "rx ", "rx N ", "tx ", "tx N ", " rtt "];
const INFO: &[&str] = &["RX:           ", "packets  ", "TX:           "];
/// Weights are measured.
const WEIGHTS: &[&str] = &["weight ", "w = ", "weight = ", "local 127.0.0.1 port "];

pub(super) fn cases() -> Vec<Case> {
    [dumps(), infos(), orders(), streams(), strangers()]
        .concat()
        .into_iter()
        .map(|case| case.on(Fixture::Live))
        .collect()
}

fn dumps() -> Vec<Case> {
    vec![
        same("tinc dump nodes").masked(NODE).daemon_differs("extension-bit", OUT),
        same("tinc LIST Nodes").masked(NODE).daemon_differs("extension-bit", OUT),
        same("tinc dump reachable nodes").masked(NODE).daemon_differs("extension-bit", OUT),
        same("tinc dump edges").masked(WEIGHTS).daemon_differs("extension-bit", OUT),
        same("tinc dump subnets"),
        same("tinc dump connections").masked(&["socket ", "127.0.0.1 port "]),
        same("tinc dump graph").masked(WEIGHTS).daemon_differs("early-keys", OUT),
        same("tinc dump digraph").masked(WEIGHTS).daemon_differs("early-keys", OUT),
        same("tinc dump x"),
        same("tinc dump reachable"),
        same("tinc dump reachable edges"),
        same("tinc dump nodes edges"),
    ]
}

fn infos() -> Vec<Case> {
    vec![
        same("tinc info alice").masked(INFO),
        same("tinc info bob").masked(INFO).daemon_differs("early-keys", OUT),
        same("tinc info bob | grep -Ev 'Status|Reachability|PMTU|RTT'").masked(INFO),
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
        same("tinc purge; tinc dump nodes | wc -l").daemon_differs("purge-dialled", OUT),
        same("tinc disconnect carol"),
        same("tinc disconnect bob; echo $?"),
        same("tinc disconnect a-b"),
        same("tinc connect bob"),
        same("tinc start").masked(&["pid "]),
        same("printf 'debug 2\\ndebug 0\\npid\\n' | tinc | sed '$d'"),
        same("tinc stop; echo $?; tinc pid").fresh(),
        same("printf 'pid\\nstop\\npid\\n' | tinc | wc -l").fresh(),
        same("kill -STOP $(tinc pid); tinc pid & sleep 0.5; kill $!; kill -CONT $(cut -d' ' -f1 /run/tinc.vpn.pid)")
            .fresh(),
    ]
}

/// `log` and `pcap` as shells see them: ended by SIGINT, or by a reader that has enough. Without `--foreground`, `timeout`
/// may send the signal twice.
fn streams() -> Vec<Case> {
    vec![
        same("timeout --foreground --preserve-status -s INT 4 tinc log 0; echo $?").fresh(),
        same("timeout --foreground --preserve-status -s INT 4 tinc log; echo $?").fresh(),
        same("timeout --foreground --preserve-status -s INT 4 tinc pcap > /run/caught; echo $?; od -An -tx1 -N24 /run/caught")
            .fresh(),
        same("timeout --foreground --preserve-status -s INT 4 tinc pcap 96 > /run/caught; od -An -tx1 -N24 /run/caught").fresh(),
        same("timeout --foreground --preserve-status -s INT 4 tinc pcap x > /run/caught; od -An -tx1 -N24 /run/caught").fresh(),
        same("TERM=nothing tinc top; echo $?").fresh().differs("top-terminal", &[Aspect::Err]),
    ]
}

/// Clients that come another way.
fn strangers() -> Vec<Case> {
    let by_tcp = "bash -c 'read -r pid cookie host word port < /run/tinc.vpn.pid; exec 3<>/dev/tcp/127.0.0.1/$port; \
                  printf \"0 ^%s 0\\n\" $cookie >&3; timeout 2 head -n 2 <&3'; true";
    vec![same(by_tcp).masked(&["4 0 "]).daemon_differs("control-tcp", OUT)]
}
