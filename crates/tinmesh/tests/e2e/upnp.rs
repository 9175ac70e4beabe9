//! A router that opens ports when it is asked: Debian's miniupnpd.
//!
//! ```text
//!  alice ─ home ─ router (NAT, miniupnpd) ─ wan ─ bob
//! ```

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use crate::lab::mesh::{self, v4, wait_for_ping};
use crate::lab::namespace::Namespace;
use crate::lab::topology::{Segment, router};
use crate::lab::traffic::inside;
use crate::lab::{Daemon, Kind, Lab, run, secs, wait_until};

/// The router and the program that opens its ports.
struct Router {
    namespace: Arc<Namespace>,
    daemon: Child,
}

impl Router {
    fn new(lab: &Lab, home: &Segment, wan: &Segment) -> Self {
        let namespace = router("router", (home, &["192.168.1.1/24"]), (wan, &["192.0.2.1/24"]));
        namespace.nft(
            "table inet filter {
                chain post { type nat hook postrouting priority 100; oifname wan0 masquerade; }
                chain prerouting { type nat hook prerouting priority -100; jump opened_nat; }
                chain forward {
                    type filter hook forward priority 0;
                    iifname lan0 accept;
                    ct state established,related accept;
                    jump opened;
                    drop;
                }
                chain opened { }
                chain opened_nat { }
                chain opened_post { }
            }",
        );
        // The address is only what it tells others; it takes none that is reserved for documents.
        let conf = lab.path("miniupnpd.conf");
        let text = "ext_ifname=wan0\nlistening_ip=lan0\next_ip=11.0.0.1\nenable_upnp=yes\nenable_natpmp=no\n\
                    secure_mode=yes\nupnp_table_name=filter\nupnp_nat_table_name=filter\nupnp_forward_chain=opened\n\
                    upnp_nat_chain=opened_nat\nupnp_nat_postrouting_chain=opened_post\nnotify_interval=900\n\
                    uuid=00000000-0000-0000-0000-000000000001\nallow 1-65535 192.168.1.0/24 1-65535\n";
        std::fs::write(&conf, text).expect("the directory is ours");
        let log = std::fs::File::create(lab.path("miniupnpd.log")).expect("the directory is ours");
        let mut command = namespace.command(program());
        command.arg("-d").arg("-f").arg(&conf).arg("-P").arg(lab.path("miniupnpd.pid"));
        command.stdin(Stdio::null()).stdout(log.try_clone().expect("an open file")).stderr(log);
        let daemon = command.spawn().expect("the program is there");
        let router = Self { namespace, daemon };
        let log = lab.path("miniupnpd.log");
        wait_until(secs(10), "miniupnpd listens", || {
            std::fs::read_to_string(&log).is_ok_and(|text| text.contains("HTTP listening on port"))
        });
        router
    }

    /// The ports that it passes on.
    fn opened(&self) -> String {
        run(self.namespace.command("nft").args(["list", "chain", "inet", "filter", "opened_nat"]))
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let _ = self.daemon.kill();
        let _ = self.daemon.wait();
    }
}

fn program() -> std::path::PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("the directory lies in the target directory");
    let path = target.join("peers/miniupnpd/bin/miniupnpd");
    assert!(path.exists(), "\n\n  {} is missing: run `cargo xtask peers` first\n\n", path.display());
    path
}

fn answers(from: &Namespace) -> bool {
    let to = "192.0.2.1:655".parse().expect("an address");
    inside(from, || TcpStream::connect_timeout(&to, Duration::from_millis(500))).is_ok()
}

/// Alice asks with these lines; bob, outside, knows only the router's address.
fn meet(lines: &[&str], kind: Kind) -> (Lab, Router, [Daemon; 2]) {
    let lab = Lab::new();
    let (home, wan) = (Segment::new("home"), Segment::new("wan"));
    let router = Router::new(&lab, &home, &wan);
    let inner = home.host_behind("node", "192.168.1.100/24", "192.168.1.1");
    let outer = wan.host("node", &["192.0.2.2/24"]);
    let [alice, bob] = [mesh::node(&lab, 1, Kind::Ours, &inner), mesh::node(&lab, 2, kind, &outer)];
    for line in lines {
        alice.config(line);
    }
    alice.host("Address = 192.0.2.1").knows(&bob);
    bob.config("ConnectTo = alice").config("MaxTimeout = 1").knows(&alice);
    (lab, router, [alice, bob])
}

#[test]
fn the_router_opens_both_ports_keeps_them_open_and_closes_them_at_the_end() {
    let (_lab, router, [mut alice, mut bob]) = meet(&["UPnP = yes", "UPnPRefreshPeriod = 3"], Kind::Tinc11);
    bob.start();
    assert!(!answers(&bob.namespace), "the router is closed");
    alice.start();

    wait_for_ping(&bob, &v4(1));

    let opened = router.opened();
    assert_eq!(opened.matches("dnat ip to 192.168.1.100:655").count(), 2, "{opened}");
    let log = alice.log();
    assert!(log.contains("[upnp] The router at 192.168.1.1:") && log.contains(" passes TCP port 655 on"), "{log}");
    // The lease is twice the period: without renewal it would be over.
    std::thread::sleep(secs(8));
    assert!(answers(&bob.namespace));
    assert!(alice.stop().success());
    let opened = router.opened();
    assert!(!opened.contains("dnat"), "{opened}");
}

#[test]
fn udponly_opens_only_the_udp_port() {
    let (_lab, router, [mut alice, _bob]) = meet(&["UPnP = UDPOnly"], Kind::Ours);
    alice.start();

    wait_until(secs(10), "the router passes the port on", || router.opened().contains("dnat"));

    let opened = router.opened();
    // nft shows the protocol as miniupnpd wrote it: a byte of the header, 17 for UDP.
    assert!(opened.contains("0x11 th dport 655") && opened.matches("dnat").count() == 1, "{opened}");
}

#[test]
fn without_such_a_router_nothing_but_a_line_in_the_log_follows() {
    let lab = Lab::new();
    let host = Segment::new("home").host("node", &["192.168.1.100/24"]);
    let mut alice = mesh::node(&lab, 1, Kind::Ours, &host);
    alice.config("UPnP = yes").config("UPnPDiscoverWait = 1");
    alice.start();

    wait_until(secs(5), "the log says so", || alice.log().contains("[upnp] Unable to find a router that opens ports"));

    assert!(alice.stop().success());
}
