//! `tinmesh auth` between real daemons: what is said on one machine acts on the others.

use std::process::Output;

use crate::lab::machine::Machine;
use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::topology::Segment;
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, run, secs, succeeds, wait_until};

const OURS: Kind = Kind::Ours;

fn told(lab: &Lab, daemon: &Daemon, words: &str) -> String {
    run(&mut lab.tinmesh(daemon, words))
}

fn may(lab: &Lab, at: &Daemon, question: &str) -> bool {
    told(lab, at, &format!("auth why {question}")).starts_with("yes: ")
}

/// A running pair, founded by the first.
fn founded(lab: &Lab) -> [Daemon; 2] {
    let mut mesh = mesh::pair(lab, [OURS, OURS]);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));
    told(lab, alice, "auth found --yes");
    told(lab, bob, &format!("auth founder add {}", alice.name));
    wait_until(secs(30), "the second has heard the founder", || {
        may(lab, bob, &format!("{} join", bob.name)) && told(lab, bob, "auth list").contains(&bob.name)
    });
    mesh
}

#[test]
fn a_founder_closes_a_running_network_without_cutting_anybody_off() {
    let lab = Lab::new();
    let mesh = founded(&lab);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));
    wait_for_ping(bob, &v4(1));
    assert!(!may(&lab, alice, &format!("{} own 10.77.0.0/16", bob.name)));
}

#[test]
fn a_deny_acts_at_once_and_ends_when_it_was_said_to() {
    let lab = Lab::new();
    let mesh = founded(&lab);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    let line = told(&lab, alice, &format!("auth deny {} rate", bob.name));

    assert!(line.starts_with("fides1 ") && line.contains(" - allow "), "{line}");
    wait_until(secs(5), "nothing comes from the denied node", || !ping(&alice.namespace, &v4(2)));
    told(&lab, alice, &format!("auth forget {} rate", bob.name));
    wait_for_ping(alice, &v4(2));
    told(&lab, alice, &format!("auth deny {} rate for 20s", bob.name));
    wait_until(secs(5), "nothing comes from the denied node", || !ping(&alice.namespace, &v4(2)));
    wait_until(secs(90), "the denial has ended", || ping(&alice.namespace, &v4(2)));
}

#[test]
fn a_stolen_node_is_gone_at_once_and_comes_back_when_it_is_allowed() {
    let lab = Lab::new();
    let mesh = founded(&lab);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    told(&lab, alice, &format!("auth deny {}", bob.name));

    wait_until(secs(5), "the denied node is gone", || !alice.sees(&bob.name, |node| node.reachable()));
    told(&lab, alice, &format!("auth allow {}", bob.name));
    wait_until(secs(60), "it is back", || ping(&alice.namespace, &v4(2)));
}

#[test]
fn what_was_said_outlasts_the_daemon() {
    let lab = Lab::new();
    let mut mesh = founded(&lab);
    let before = told(&lab, &mesh[0], "auth export");
    mesh[0].stop();
    assert_eq!(told(&lab, &mesh[0], "auth export"), before);
    mesh[0].start();
    assert_eq!(told(&lab, &mesh[0], "auth export"), before);
}

fn machine(lab: &Lab, wan: &Segment, name: &str, address: &str) -> Machine {
    let host = wan.host(name, &[address]);
    Machine::new(name, &host, &lab.path(""), &lab.path("bin"))
}

fn typed(machine: &Machine, words: &str) -> String {
    run(machine.command("tinmesh").args(words.split(' ')))
}

fn tried(machine: &Machine, words: &str) -> Output {
    machine.command("tinmesh").args(words.split(' ')).output().expect("the program is there")
}

/// The URL in a line that was printed to be pasted elsewhere.
fn url(printed: &str) -> String {
    let line = printed.lines().find(|line| line.contains("tinmesh join ")).unwrap_or_else(|| panic!("{printed}"));
    line.split_whitespace().skip_while(|word| *word != "join").nth(1).expect("a URL follows").to_owned()
}

fn pings(from: &Machine, to: &str) -> bool {
    succeeds(from.command("ping").args(["-n", "-q", "-c1", "-W1", to]))
}

#[test]
fn an_invitation_carries_what_the_newcomer_may_do() {
    let lab = Lab::new();
    let wan = Segment::new("wan");
    let red = machine(&lab, &wan, "red", "192.0.2.1/24");
    let green = machine(&lab, &wan, "green", "192.0.2.2/24");
    let blue = machine(&lab, &wan, "blue", "192.0.2.3/24");
    typed(&red, "up");
    typed(&red, "auth found --yes");

    let printed = typed(&red, "invite green --for 7d --own 10.99.0.0/16 --relay");
    typed(&green, &format!("join {}", url(&printed)));

    wait_until(secs(15), "green pings red by name", || pings(&green, "red"));
    wait_until(secs(15), "red pings green by name", || pings(&red, "green"));
    for at in [&red, &green] {
        wait_until(secs(30), "both know what green may do", || {
            let own = typed(at, "auth why green own 10.99.1.0/24");
            own.starts_with("yes: ") && typed(at, "auth why green relay").starts_with("yes: ")
        });
        assert!(typed(at, "auth why green own 10.98.0.0/16").starts_with("no: "));
    }
    let refused = tried(&green, "invite blue");
    let text = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && text.contains("sudo tinmesh auth allow green invite"), "{text}");

    typed(&red, "auth allow green invite");
    typed(&red, "auth trust green for join own");
    typed(&red, "auth allow green own any");
    wait_until(secs(30), "green may invite", || typed(&green, "auth why green invite").starts_with("yes: "));
    wait_until(secs(30), "green is heard", || tried(&green, "invite").status.success());
    let printed = typed(&green, "invite blue --for 1d");
    typed(&blue, &format!("join {}", url(&printed)));
    wait_until(secs(20), "blue pings green by name", || pings(&blue, "green"));
    wait_until(secs(30), "red lets blue in", || pings(&red, "blue"));
}
