//! `start`, `stop`, `restart` and commands without a daemon (spec: cli A.4, B.6; configuration 2, 11).

use super::case::{Aspect, Case, all_same, same};

pub(super) fn cases() -> Vec<Case> {
    [absent(), lives(), found()].concat()
}

/// Those in which a tool starts the daemon that it finds, which need not be its own.
pub(super) fn starts() -> Vec<Case> {
    [lives(), found()].concat()
}

/// Which `tincd` is started: the one beside `tinc` if that is called with a directory, else the first on the path.
fn found() -> Vec<Case> {
    all_same([
        "tinc start >/dev/null 2>&1; echo $?; cmp /proc/$(tinc pid)/exe /etc/bin/tincd && echo it is; tinc stop",
        "/etc/bin/tinc start >/dev/null 2>&1; cmp /proc/$(tinc pid)/exe /etc/bin/tincd && echo it is; tinc stop",
        "cd /etc/bin; ./tinc start >/dev/null 2>&1; cmp /proc/$(tinc pid)/exe tincd && echo it is; tinc stop",
        "mkdir x; ln -s /etc/bin/tinc x/tinc; ln -s /etc/theirs/tincd x/tincd; x/tinc start >/dev/null 2>&1; \
         cmp /proc/$(tinc pid)/exe /etc/theirs/tincd && echo it is; tinc stop; rm -r x",
        "mkdir x; ln -s /etc/theirs/tincd x/tincd; PATH=$PWD/x:$PATH tinc start >/dev/null 2>&1; \
         cmp /proc/$(tinc pid)/exe /etc/theirs/tincd && echo it is; tinc stop; rm -r x",
        "tinc restart >/dev/null 2>&1; cmp /proc/$(tinc pid)/exe /etc/bin/tincd && echo it is; tinc stop",
    ])
}

/// No daemon: each command says so.
fn absent() -> Vec<Case> {
    let mut cases = all_same([
        "tinc stop",
        "tinc reload",
        "tinc pid",
        "tinc purge",
        "tinc retry",
        "tinc debug 5",
        "tinc disconnect bob",
        "tinc connect bob",
        "tinc dump nodes",
        "tinc dump edges",
        "tinc dump graph",
        "tinc info bob",
        "tinc info 10.1.2.3",
        "tinc log",
        "tinc pcap",
        "tinc top",
        "tinc stop x",
        "tinc reload x",
        "tinc pid x",
        "tinc purge x",
        "tinc retry x",
        "tinc debug",
        "tinc debug 1 2",
        "tinc disconnect",
        "tinc disconnect a b",
        "tinc disconnect a-b",
        "tinc connect",
        "tinc connect a b",
        "tinc connect a-b",
        "tinc dump",
        "tinc dump x",
        "tinc dump x y",
        "tinc dump reachable",
        "tinc dump reachable edges",
        "tinc dump reachable x",
        "tinc dump nodes x",
        "tinc dump reachable nodes x",
        "tinc info",
        "tinc info a b",
        "tinc info a-b",
        "tinc info 10.1.2.3.4",
        "tinc log 1 2",
        "tinc pcap 1 2",
        "tinc top x",
        "tinc --pidfile=/run/nowhere pid",
        "echo nonsense > /run/tinc.vpn.pid; tinc pid",
        "echo 99999999 AB 127.0.0.1 port 655 > /run/tinc.vpn.pid; tinc pid; tinc pid",
        "echo 4194303 AB 127.0.0.1 port 655 > /run/tinc.vpn.pid; touch /run/tinc.vpn.socket; tinc set Mode hub",
        "echo $$ AB 127.0.0.1 port 655 > /run/tinc.vpn.pid; tinc pid",
    ]);
    cases.push(
        same("sleep 20 & echo $! AB 127.0.0.1 port 655 > /run/tinc.vpn.pid; tinc stop; echo $?; kill $! 2>/dev/null; true")
            .differs("stop-signal", &[Aspect::Out, Aspect::Err])
            .masked(&["PID "]),
    );
    cases
}

/// A daemon that comes and goes.
fn lives() -> Vec<Case> {
    let mut cases = all_same([
        "tinc start >/dev/null 2>&1; echo $?; tinc stop; echo $?; tinc stop",
        "tinc start >/dev/null 2>&1; tinc restart >/dev/null 2>&1; echo $?; tinc stop",
        "tinc restart >/dev/null 2>&1; echo $?; tinc stop",
        "echo garbage >> tinc.conf; tinc start >/dev/null 2>&1; echo $?",
        "rm ed25519_key.priv rsa_key.priv; tinc start >/dev/null 2>&1; echo $?",
        "tinc start --foo 2>&1 | tail -n 1",
        "rm -r ../vpn; tinc start 2>&1 | tail -n 1",
        "tinc start -o PingTimeout=3 > /dev/null 2>&1; echo $?; tinc stop",
        "tinc start > /dev/null 2>&1; tinc set PingInterval 30; tinc get PingInterval; tinc stop",
        "tinc start > /dev/null 2>&1; echo garbage >> hosts/bob; tinc reload; echo $?; tinc stop",
        "printf '#!/bin/sh\\nsleep 2\\n' > tinc-down; chmod +x tinc-down; tinc start >/dev/null 2>&1; tinc stop; ls /run",
        "tinc start > /dev/null 2>&1; printf 'dump nodes\\npid\\nstop\\n' | tinc | wc -l",
        "tinc start -D > /dev/null 2>&1 & for i in $(seq 50); do tinc pid >/dev/null 2>&1 && break; sleep 0.1; done; \
         tinc stop; wait $!; echo $?",
    ]);
    cases.push(same("tinc start > /dev/null 2>&1; tinc start; echo $?; tinc stop").masked(&["pid "]));
    cases.push(
        same("tinc -b start > /dev/null 2>&1; echo $?; tinc stop")
            .differs("start-options", &[Aspect::Out, Aspect::Err, Aspect::Code]),
    );
    cases.push(
        same("tinc --force start > /dev/null 2>&1; echo $?; tinc stop")
            .differs("start-options", &[Aspect::Out, Aspect::Err, Aspect::Code]),
    );
    cases
}
