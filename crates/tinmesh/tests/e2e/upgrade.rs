//! A network of tinc 1.1 becomes ours, one machine at a time, under a running ping; and goes back again. The directories
//! with the configuration stay as they are.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::Duration;

use crate::lab::mesh::{self, v4, wait_for_direct, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::Segment;
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

/// The longest silence that replacing one machine may cost.
const LONGEST_GAP: f64 = 5.0;

/// Three of theirs on one segment, each of which dials the others.
fn full_mesh(lab: &Lab) -> [Daemon; 3] {
    let wan = Segment::new("wan");
    let daemons = [1, 2, 3].map(|number| {
        let address = format!("192.0.2.{number}");
        let host = wan.host("node", &[&format!("{address}/24")]);
        let daemon = mesh::node(lab, number, Kind::Tinc11, &host);
        daemon.host(&format!("Address = {address}"));
        daemon
    });
    for daemon in &daemons {
        for other in daemons.iter().filter(|other| other.name != daemon.name) {
            daemon.config(&format!("ConnectTo = {}", other.name)).knows(other);
        }
    }
    daemons
}

/// A ping that writes down when each answer came.
struct Answers {
    ping: Child,
    log: PathBuf,
}

impl Answers {
    fn start(lab: &Lab, from: &Namespace, to: &str) -> Self {
        let log = lab.path("answers");
        let file = File::create(&log).expect("the directory is there");
        let ping = from.command("ping").args(["-n", "-D", "-i", "0.1", to]).stdout(file).spawn();
        Self { ping: ping.expect("ping is there"), log }
    }

    fn times(&self) -> Vec<f64> {
        let text = fs::read_to_string(&self.log).expect("ping writes it");
        let answers = text.lines().filter(|line| line.contains("bytes from"));
        answers.filter_map(|line| line.strip_prefix('[')?.split(']').next()?.parse().ok()).collect()
    }

    /// Waits for a few answers more than there are now.
    fn wait_for_more(&self) {
        let before = self.times().len();
        wait_until(secs(20), "the ping goes on", || self.times().len() > before + 5);
    }

    fn stop(mut self) -> Vec<f64> {
        run(Command::new("kill").args(["-INT", &self.ping.id().to_string()]));
        let _ = self.ping.wait();
        self.times()
    }
}

impl Drop for Answers {
    fn drop(&mut self) {
        let _ = self.ping.kill();
        let _ = self.ping.wait();
    }
}

#[test]
fn a_network_of_theirs_becomes_ours_one_by_one_and_goes_back_under_a_running_ping() {
    let lab = Lab::new();
    let mut mesh = full_mesh(&lab);
    mesh::start(&mut mesh);
    wait_for_ping(&mesh[0], &v4(3));
    let conf = mesh.each_ref().map(|daemon| fs::read(daemon.dir.join("tinc.conf")).expect("it was written"));
    let answers = Answers::start(&lab, &mesh[0].namespace, &v4(3));
    answers.wait_for_more();

    for kind in [Kind::Ours, Kind::Tinc11] {
        for at in [1, 0, 2] {
            mesh[at].stop();
            mesh[at].becomes(&lab, kind);
            mesh[at].start();
            answers.wait_for_more();
            wait_for_ping(&mesh[at], &v4((at + 1) % 3 + 1));
        }
        wait_for_direct(&mesh[0], "carol", &v4(3));
        wait_for_direct(&mesh[1], "alice", &v4(1));
    }

    let times = answers.stop();
    let gap = times.windows(2).map(|pair| pair[1] - pair[0]).fold(0.0, f64::max);
    eprintln!("{} answers, the longest silence was {:?}", times.len(), Duration::from_secs_f64(gap));
    assert!(gap <= LONGEST_GAP, "silence of {gap} s");
    let after = mesh.each_ref().map(|daemon| fs::read(daemon.dir.join("tinc.conf")).expect("it is there"));
    assert_eq!(after, conf, "no configuration was touched");
}
