//! Options, help, networks, the shell, editing (spec: cli A, B.8, B.12, B.15; configuration 2).

use super::case::{Aspect, Case, Fixture, all_same, same};

const OUT: &[Aspect] = &[Aspect::Out];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        same("tinc --help").differs("help-text", OUT),
        same("tinc help").differs("help-text", OUT),
        same("tinc HELP me").differs("help-text", OUT),
        same("tinc --version").differs("version-text", OUT),
        same("tinc version").differs("version-text", OUT),
        same("tinc --he").differs("help-text", OUT),
        same("tinc --help --version").differs("version-text", OUT),
        same("tincd --help").daemon_differs("help-text", OUT),
        same("tincd --version").daemon_differs("version-text", OUT),
        same("tincd -n nowhere -D").daemon_differs("start-errors", &[Aspect::Err]),
        same("tinc -n '' network").on(Fixture::Bare),
        same("tinc -n . network").on(Fixture::Bare),
    ];
    cases.extend(all_same([
        "tinc version x",
        "tinc foo",
        "tinc ini",
        "tinc --foo",
        "tinc --config",
        "tinc -x",
        "tinc -n",
        "tinc --pid",
        "tinc --force=yes get Name",
        "tinc -n a/b get Name",
        "tinc -n 'a\\b' get Name",
        "tinc -n .hidden get Name",
        "tinc -n vpn get Name",
        "tinc --net=vpn get Name",
        "tinc --net vpn GET name",
        "tinc -nvpn get Name",
        "tinc -bn vpn get Name",
        "tinc -c /etc/tinc/peer get Name",
        "tinc -n vpn -c /etc/tinc/peer get Name",
        "tinc -n nowhere get Name",
        "tinc -- get Name",
        "cd /; NETNAME=peer tinc get Name",
        "tinc network | sort",
        "mkdir ../empty; cp -r ../vpn ../.dot; cp tinc.conf ..; tinc network | sort",
        "tinc network a b",
        "tinc network vpn",
        "tinc network .",
        "tinc network a/b",
        "tinc network .x",
        "rm -r /etc/tinc; tinc network",
        "tincd --foo",
        "tincd -x",
        "tincd --config",
        "tincd -n a/b -D",
        "tincd extra words",
    ]));
    cases.extend(shell());
    cases.extend(editing());
    cases
}

/// The shell, with lines from standard input.
fn shell() -> Vec<Case> {
    let inputs = [
        "get Name\n",
        "",
        "# a comment\n\n   \nget Name\nGET Mode\n",
        " # not a comment\n",
        "get Name # not a comment\n",
        "foo\nget Name\n",
        "exit\nget Name\n",
        "QUIT\nget Name\n",
        "exit now\nget Name\n",
        "set Mode hub\nget Mode\n",
        "get Nothing\nget Name\n",
        "network peer\nget Name\nnetwork .\nget Name\n",
        "network a/b\nget Name\n",
        "import\nName = dave\nPort = 1\n",
        "get Name",
        "pid\npid\n",
        "dump\nfrobnicate\n",
    ];
    let mut cases = inputs.map(|input| same("tinc").input(input)).to_vec();
    cases.push(same("tinc").input("get \"Name\"\n").differs("did-you-mean", &[Aspect::Err]));
    cases
}

/// `edit`, with editors that tell how they were called.
fn editing() -> Vec<Case> {
    all_same([
        "EDITOR=echo tinc edit tinc.conf",
        "EDITOR=echo tinc edit tinc-up",
        "EDITOR=echo tinc edit subnet-down",
        "EDITOR=echo tinc edit host-up",
        "EDITOR=echo tinc edit bob",
        "EDITOR=echo tinc edit hosts/bob",
        "EDITOR=echo tinc edit bob-up",
        "EDITOR=echo tinc edit hosts/bob-down",
        "EDITOR=echo tinc edit bob-sideways",
        "EDITOR=echo tinc edit b.b-up",
        "EDITOR=echo tinc edit",
        "EDITOR=echo tinc edit a b",
        "VISUAL=echo EDITOR=false tinc edit tinc.conf",
    ])
    .into_iter()
    .chain([same("EDITOR=false tinc edit tinc.conf").differs("edit-status", &[Aspect::Err, Aspect::Code])])
    .chain([same("EDITOR='echo -n' tinc edit tinc.conf").differs("edit-words", &[Aspect::Out, Aspect::Err])])
    .collect()
}
