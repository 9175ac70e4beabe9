//! Ethernet segments, hosts and routers.

use std::cell::Cell;
use std::sync::Arc;

use super::namespace::Namespace;

/// An Ethernet segment: a bridge in a namespace of its own.
#[derive(Debug)]
pub(crate) struct Segment {
    bridge: Arc<Namespace>,
    ports: Cell<u32>,
}

/// How a router translates addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nat {
    /// A connection keeps its port towards every destination; only answers come in.
    PortPreserving,
    /// Every destination sees another port; only answers come in.
    Symmetric,
}

impl Segment {
    /// An empty segment.
    pub(crate) fn new(role: &str) -> Self {
        let bridge = Namespace::new(role);
        bridge.shell("ip link add br0 type bridge mcast_snooping 0 && ip link set br0 up");
        Self { bridge, ports: Cell::new(0) }
    }

    /// Connects a namespace by a new interface named `name` with these addresses.
    pub(crate) fn connect(&self, namespace: &Namespace, name: &str, addresses: &[&str]) {
        let port = self.ports.replace(self.ports.get() + 1);
        self.bridge.shell(&format!(
            "ip link add p{port} type veth peer name {name} netns {}
             ip link set p{port} master br0 up",
            namespace.name()
        ));
        namespace.keep(&self.bridge);
        namespace.shell(&format!("ip link set {name} up"));
        for address in addresses {
            namespace.shell(&format!("ip addr add {address} dev {name}"));
        }
    }

    /// Lets it carry packets of up to `mtu` bytes; the interfaces of hosts stay as they are.
    pub(crate) fn set_mtu(&self, mtu: u32) {
        for port in 0..self.ports.get() {
            self.bridge.shell(&format!("ip link set p{port} mtu {mtu}"));
        }
        self.bridge.shell(&format!("ip link set br0 mtu {mtu}"));
    }

    /// A new host with one interface `eth0`.
    pub(crate) fn host(&self, role: &str, addresses: &[&str]) -> Arc<Namespace> {
        let host = Namespace::new(role);
        self.connect(&host, "eth0", addresses);
        host
    }

    /// A new host whose packets to elsewhere go through `gateway`.
    pub(crate) fn host_behind(&self, role: &str, address: &str, gateway: &str) -> Arc<Namespace> {
        let host = self.host(role, &[address]);
        host.shell(&format!("ip route add default via {gateway}"));
        host
    }
}

/// A router between `inside` and `outside`, without translation.
pub(crate) fn router(role: &str, inside: (&Segment, &[&str]), outside: (&Segment, &[&str])) -> Arc<Namespace> {
    let router = Namespace::new(role);
    inside.0.connect(&router, "lan0", inside.1);
    outside.0.connect(&router, "wan0", outside.1);
    router.shell(
        "echo 1 > /proc/sys/net/ipv4/ip_forward
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding",
    );
    router
}

/// A router that translates addresses towards `outside`.
///
/// What comes from outside and answers nothing is dropped before it leaves a trace: a remembered unwanted packet
/// would make the kernel choose another port for the connection that is to come.
pub(crate) fn nat(role: &str, inside: (&Segment, &str), outside: (&Segment, &str), nat: Nat) -> Arc<Namespace> {
    let router = router(role, (inside.0, &[inside.1]), (outside.0, &[outside.1]));
    let masquerade = match nat {
        Nat::PortPreserving => "masquerade",
        Nat::Symmetric => "masquerade fully-random",
    };
    router.nft(&format!(
        "table ip lab {{
            chain post {{ type nat hook postrouting priority 100; oifname wan0 {masquerade}; }}
            chain in {{ type filter hook input priority 0; iifname wan0 meta l4proto {{ tcp, udp }} drop; }}
            chain forward {{
                type filter hook forward priority 0;
                iifname wan0 ct state established,related accept;
                iifname wan0 drop;
            }}
        }}"
    ));
    router
}

/// Makes a host deaf to UDP, so that nobody gets an error and nothing arrives.
pub(crate) fn block_udp(host: &Namespace) {
    host.nft(
        "table inet lab {
            chain in { type filter hook input priority 0; iifname \"eth*\" meta l4proto udp drop; }
        }",
    );
}

/// Makes a host deaf to UDP, and to so many of 1,000 other packets.
pub(crate) fn block_udp_and_lose(host: &Namespace, lost: u32) {
    host.nft(&format!(
        "table inet lab {{
            chain in {{
                type filter hook input priority 0;
                iifname \"eth*\" meta l4proto udp drop;
                iifname \"eth*\" numgen random mod 1000 < {lost} drop;
            }}
        }}"
    ));
}

/// Makes a host deaf to UDP from one address.
pub(crate) fn block_udp_from(host: &Namespace, address: &str) {
    host.nft(&format!(
        "table inet lab {{
            chain in {{ type filter hook input priority 0; ip saddr {address} meta l4proto udp drop; }}
        }}"
    ));
}

/// Loses this share of the packets that arrive at a host.
pub(crate) fn lose(host: &Namespace, percent: u32) {
    host.nft(&format!(
        "table inet lab {{
            chain in {{
                type filter hook input priority 0;
                iifname \"eth*\" numgen random mod 100 < {percent} drop;
            }}
        }}"
    ));
}

/// Lets only packets of up to `mtu` through a router, and lets it keep quiet about it.
pub(crate) fn black_hole(router: &Namespace, mtu: u32) {
    router.shell(&format!("ip link set lan0 mtu {mtu} && ip link set wan0 mtu {mtu}"));
    router.nft(
        "table inet lab {
            chain out {
                type filter hook output priority 0;
                icmp type destination-unreachable drop;
                icmpv6 type packet-too-big drop;
            }
        }",
    );
}
