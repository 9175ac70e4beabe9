//! A few nodes in a perfect network, looked at from inside.

mod net;

use std::time::Duration;

use net::Net;

const LAN: Duration = Duration::from_millis(1);

#[test]
fn probes_do_not_bounce_between_nodes_that_see_each_other_at_two_addresses() {
    let mut net = Net::new(LAN);
    for node in ["a", "b", "v4", "v6"] {
        net.add(node, &[]);
    }
    net.node("v6").addresses.remove(0);
    net.node("v4").addresses.remove(1);
    for node in ["a", "b"] {
        net.connect(node, "v4");
        net.connect(node, "v6");
    }
    net.run(Duration::from_secs(10));
    net.ping("a", "b");
    net.run(Duration::from_secs(10));

    let before = net.datagrams;
    for _ in 0..30 {
        net.ping("a", "b");
        net.run(Duration::from_secs(1));
    }

    assert!(net.confirmed("a", "b") && net.confirmed("b", "a"));
    assert!(net.datagrams - before < 1_000, "{} datagrams in half a minute", net.datagrams - before);
}
