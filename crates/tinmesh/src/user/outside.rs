//! By which address others may reach this machine: a guess, without asking anybody.

use std::cmp::Reverse;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tinmesh_os::netlink::Link;
use tinmesh_os::udp::local_address_towards;

/// How far an address is good; the later, the farther.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Reach {
    /// Not outside of this machine, or not without an interface.
    Nowhere,
    /// In the local network.
    Local,
    /// Everywhere, as far as the address tells.
    Everywhere,
}

impl Reach {
    /// How far `address` is good.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self::of_v4(ip),
            IpAddr::V6(ip) => Self::of_v6(ip),
        }
    }

    fn of_v4(ip: Ipv4Addr) -> Self {
        let [first, second, ..] = ip.octets();
        let shared = first == 100 && second & 0xc0 == 64;
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_link_local() {
            Self::Nowhere
        } else if ip.is_private() || shared {
            Self::Local
        } else {
            Self::Everywhere
        }
    }

    fn of_v6(ip: Ipv6Addr) -> Self {
        if ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || ip.is_unicast_link_local() {
            Self::Nowhere
        } else if ip.is_unique_local() {
            Self::Local
        } else {
            Self::Everywhere
        }
    }

    /// How far the host of an invitation is good, if that is an address; a name is trusted to be good everywhere.
    pub(crate) fn of_host(host: &str) -> Self {
        host.parse().map_or(Self::Everywhere, Self::of)
    }
}

/// The addresses from which this machine would speak with the Internet: those of its routes. No packet is sent to find
/// them out: the targets are addresses for documentation.
pub(crate) fn routed() -> impl Iterator<Item = IpAddr> {
    let anywhere =
        [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
    anywhere.into_iter().filter_map(|to| local_address_towards(SocketAddr::new(to, 9)).ok())
}

/// The address that others most likely reach this machine by; `own` are those inside the mesh, which do not count.
pub(crate) fn guess(own: &[IpAddr]) -> Option<IpAddr> {
    let all = Link::open().and_then(|mut link| link.addresses()).unwrap_or_default();
    let candidates = routed().chain(all.into_iter().map(|address| address.prefix.address));
    best(candidates.filter(|address| !own.contains(address)))
}

/// The first of those that are good farthest.
fn best(candidates: impl Iterator<Item = IpAddr>) -> Option<IpAddr> {
    let useful = candidates.filter(|address| Reach::of(*address) > Reach::Nowhere);
    useful.min_by_key(|address| Reverse(Reach::of(*address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn addresses_are_sorted_by_how_far_they_are_good() {
        for nowhere in ips(&["127.0.0.1", "0.0.0.0", "169.254.1.1", "224.0.0.1", "::1", "fe80::1", "ff02::1", "::"]) {
            assert_eq!(Reach::of(nowhere), Reach::Nowhere, "{nowhere}");
        }
        for local in ips(&["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"]) {
            assert_eq!(Reach::of(local), Reach::Local, "{local}");
        }
        for everywhere in ips(&["8.8.4.4", "100.128.0.1", "2001:db8::1"]) {
            assert_eq!(Reach::of(everywhere), Reach::Everywhere, "{everywhere}");
        }
        assert_eq!(Reach::of_host("vpn.example.org"), Reach::Everywhere);
    }

    #[test]
    fn the_first_of_the_best_is_taken() {
        let best = |texts: &[&str]| best(ips(texts).into_iter());
        assert_eq!(best(&["10.1.2.3", "127.0.0.1", "8.8.4.4", "8.8.8.8"]), "8.8.4.4".parse().ok());
        assert_eq!(best(&["192.168.1.1", "10.1.2.3"]), "192.168.1.1".parse().ok());
        assert_eq!(best(&["127.0.0.1", "fe80::1"]), None);
    }
}
