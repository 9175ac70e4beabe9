//! Who is in and who is not, between real daemons (issue 6: fides, section 7 point 9).

use fides::{Claim, Sign};

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::sayings::{about, keep, kept, key, now, said, signed};
use crate::lab::topology::Segment;
use crate::lab::traffic::ping;
use crate::lab::{Daemon, Kind, Lab, secs, wait_until};

const OURS: Kind = Kind::Ours;

/// What a founder says of members: their names and their addresses.
fn members(founder: &Daemon, mesh: &[Daemon]) -> Vec<String> {
    let words = (1..).zip(mesh).flat_map(|(number, daemon)| {
        [(daemon, format!("join {}", daemon.name)), (daemon, format!("own {}", v4(number)))]
    });
    words.map(|(daemon, words)| said(founder, Sign::Yes, daemon, &words)).collect()
}

/// Our nodes have these founders, and know these lines from the start.
fn found(mesh: &[Daemon], founders: &[&Daemon], lines: &[String]) {
    for daemon in mesh.iter().filter(|daemon| daemon.kind == OURS) {
        for founder in founders {
            daemon.config(&format!("Founder = {}", key(founder)));
        }
        keep(daemon, lines);
    }
}

/// A running node is handed statements.
fn hand(at: &Daemon, lines: &[String]) {
    keep(at, lines);
    at.signal("HUP");
}

/// Three nodes in a line, and a fourth that nobody knows yet, all on one segment.
fn four(lab: &Lab, kinds: [Kind; 4]) -> ([Daemon; 3], Daemon) {
    let wan = Segment::new("wan");
    let hosts = [1, 2, 3, 4].map(|number| wan.host("node", &[&format!("192.0.2.{number}/24")]));
    let [first, second, third, fourth] = kinds;
    let dave = mesh::node(lab, 4, fourth, &hosts[3]);
    let [one, two, three, _] = hosts;
    let line = mesh::line_on(lab, [first, second, third], &[one, two, three], ["192.0.2.2", "192.0.2.2"]);
    (line, dave)
}

/// `from` is to dial `to`, which is at `address`.
fn dial(from: &Daemon, to: &Daemon, address: &str) {
    from.config(&format!("ConnectTo = {}", to.name)).knows(to);
    to.knows(from);
    let path = from.host_file(&to.name);
    let text = std::fs::read_to_string(&path).expect("just copied");
    std::fs::write(path, format!("Address = {address}\n{text}")).expect("just copied");
}

fn reaches(from: &Daemon, name: &str) -> bool {
    from.tinc(&["dump", "reachable", "nodes"]).lines().any(|line| line.starts_with(&format!("{name} ")))
}

#[test]
fn a_stranger_is_refused_and_let_in_by_a_statement() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    let stranger = members(&mesh[1], &mesh[..1]);
    found(&mesh, &[&mesh[1]], &members(&mesh[1], &mesh[1..]));
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_until(secs(20), "bob refuses alice", || bob.log().contains("may not join"));
    assert!(!reaches(bob, "alice") && !ping(&alice.namespace, &v4(2)));

    hand(bob, &stranger);

    wait_until(secs(60), "alice is in", || ping(&alice.namespace, &v4(2)));
}

#[test]
fn a_member_cannot_attract_what_is_anothers_also_with_tinc_between() {
    let lab = Lab::new();
    let ([alice, mut bob, carol], dave) = four(&lab, [OURS, Kind::Tinc11, OURS, OURS]);
    dial(&dave, &bob, "192.0.2.2");
    let mut ours = [alice, carol, dave];
    let [alice, carol, dave] = &ours;
    let grants = [(alice, 1), (&bob, 2), (carol, 3), (dave, 4)].into_iter().flat_map(|(daemon, number)| {
        let words = [format!("join {}", daemon.name), format!("own {}", v4(number))];
        words.map(|words| said(alice, Sign::Yes, daemon, &words))
    });
    let lines: Vec<String> = grants.collect();
    found(&ours, &[alice], &lines);
    carol.host(&format!("Subnet = {}#1", v4(1)));
    bob.start();
    ours.iter_mut().for_each(Daemon::start);
    let [alice, carol, dave] = &ours;
    wait_for_ping(dave, &v4(3));

    let claims = |at: &Daemon| {
        at.tinc(&["dump", "subnets"]).lines().filter(|line| line.starts_with(&v4(1)) && line.contains("carol")).count()
    };
    wait_until(secs(20), "tinc believes carol", || claims(&bob) == 1);
    assert_eq!((claims(alice), claims(dave)), (0, 0));
    wait_for_ping(dave, &v4(1));
    assert!(carol.log().contains(&format!("Nobody allows this node to own {}", v4(1))));
}

#[test]
fn two_founders_expel_a_third_within_seconds_and_one_cannot() {
    let lab = Lab::new();
    let ([alice, bob, carol], dave) = four(&lab, [OURS; 4]);
    dial(&dave, &carol, "192.0.2.3");
    dial(&dave, &bob, "192.0.2.2");
    let mut mesh = [alice, bob, carol, dave];
    let [alice, bob, carol, dave] = &mesh;
    let names = [alice, bob, carol].map(|founder| said(founder, Sign::Yes, founder, &format!("join {}", founder.name)));
    let guest = [alice, bob].into_iter().flat_map(|by| {
        let words = ["join dave".to_owned(), format!("own {}", v4(4))];
        words.map(|words| said(by, Sign::Yes, dave, &words))
    });
    let lines: Vec<String> = names.into_iter().chain(guest).collect();
    found(&mesh, &[alice, bob, carol], &lines);
    mesh.iter().for_each(|daemon| {
        daemon.config("Quorum = 2");
    });
    mesh.iter_mut().for_each(Daemon::start);
    let [alice, bob, carol, dave] = &mesh;
    wait_for_ping(dave, &v4(3));
    wait_for_ping(alice, &v4(4));

    let [first, second] = [alice, bob].map(|by| said(by, Sign::No, carol, "found"));
    hand(alice, std::slice::from_ref(&first));
    wait_until(secs(60), "all know the first vote", || [bob, carol, dave].iter().all(|at| kept(at).contains(&first)));
    assert!(reaches(dave, "carol") && ping(&dave.namespace, &v4(3)), "one of three");
    assert!(reaches(alice, "carol"));

    hand(bob, &[second]);
    wait_until(secs(15), "carol is out, also at dave, who has no vote", || {
        [alice, bob, dave].iter().all(|at| !reaches(at, "carol"))
    });
    assert!(!ping(&dave.namespace, &v4(3)));
    wait_for_ping(alice, &v4(4));
}

#[test]
fn a_guest_drops_out_when_its_time_is_over() {
    let lab = Lab::new();
    let mut mesh = mesh::pair(&lab, [OURS, OURS]);
    let mut lines = members(&mesh[1], &mesh);
    let until = now().after(25);
    lines[0] = signed(&mesh[1], Claim::new(Sign::Yes, about(&mesh[0], "join alice"), 0, now()).until(until));
    found(&mesh, &[&mesh[1]], &lines);
    mesh::start(&mut mesh);
    let [alice, bob] = &mesh;
    wait_for_ping(alice, &v4(2));

    wait_until(secs(40), "the guest is gone", || !reaches(bob, "alice"));
    assert!(now() >= until, "not before");
    assert!(!ping(&alice.namespace, &v4(2)));
}

#[test]
fn the_last_operator_closes_his_own_door_even_to_the_founder() {
    let lab = Lab::new();
    let mut mesh = mesh::line(&lab, [OURS, OURS, OURS]);
    let lines = members(&mesh[0], &mesh);
    found(&mesh, &[&mesh[0]], &lines);
    mesh::start(&mut mesh);
    let [alice, bob, carol] = &mesh;
    wait_for_ping(alice, &v4(3));

    hand(carol, &[said(carol, Sign::No, alice, "join")]);

    wait_until(secs(10), "carol does not know the founder any more", || !reaches(carol, "alice"));
    wait_for_ping(carol, &v4(2));
    assert!(!ping(&alice.namespace, &v4(3)));
    assert!(reaches(bob, "alice"), "his own door only");
}
