use std::io::ErrorKind;

use super::*;
use crate::device::Kind;
use crate::namespace::{in_namespace, open, wait_readable};

fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix { address: address.parse().unwrap(), len: len.parse().unwrap() }
}

fn addresses_of(link: &mut Link, name: &str) -> Vec<String> {
    let interface = link.index(name).unwrap();
    let addresses = link.addresses().unwrap().into_iter().filter(|address| address.interface == interface);
    addresses.map(|address| address.prefix.to_string()).filter(|text| !text.starts_with("fe80")).collect()
}

fn routes_of(link: &mut Link, name: &str) -> Vec<(String, Option<IpAddr>)> {
    let interface = link.index(name).unwrap();
    let routes = link.routes().unwrap().into_iter().filter(|route| route.interface == Some(interface));
    let routes = routes.map(|route| (route.destination.to_string(), route.gateway));
    routes.filter(|(text, _)| !text.starts_with("fe80")).collect()
}

#[test]
fn addresses_come_and_go() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        for _twice in 0..2 {
            link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
            link.add_address("mesh0", "fd00:9::1".parse().unwrap(), 64).unwrap();
        }
        assert_eq!(addresses_of(&mut link, "mesh0"), ["10.9.0.1/24", "fd00:9::1/64"]);

        link.remove_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.remove_address("mesh0", "fd00:9::1".parse().unwrap(), 64).unwrap();
        assert_eq!(addresses_of(&mut link, "mesh0"), [""; 0]);
        assert_eq!(
            link.remove_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap_err().kind(),
            ErrorKind::AddrNotAvailable
        );
    });
}

#[test]
fn the_router_towards_an_address_and_its_address_of_the_link_are_found() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tap);
        let mut link = Link::open().unwrap();
        link.set_up("mesh0", None).unwrap();
        link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        let (far, gateway) = ("192.0.2.1".parse().unwrap(), "10.9.0.254".parse().unwrap());
        assert!(link.route_towards(far).is_err());
        link.add_route(prefix("0.0.0.0/0"), Some(gateway), "mesh0").unwrap();

        let route = link.route_towards(far).unwrap();

        let interface = link.index("mesh0").unwrap();
        assert_eq!((route.gateway, route.interface), (Some(gateway), Some(interface)));
        assert!(link.neighbour(gateway, interface).is_err(), "nobody wrote to it");
        let told = std::process::Command::new("ip")
            .args(["neigh", "add", "10.9.0.254", "lladdr", "02:00:00:00:00:07", "dev", "mesh0"])
            .status();
        assert!(told.unwrap().success());
        assert_eq!(link.neighbour(gateway, interface).unwrap(), Some(vec![2, 0, 0, 0, 0, 7]));
    });
}

#[test]
fn large_packets_are_limited() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        link.limit_large_packets("mesh0", 61_000).unwrap();
        let mut message = LinkMessage::default();
        message.attributes.push(LinkAttribute::IfName("mesh0".to_owned()));
        let attributes = link.look_up(message).unwrap().attributes;
        assert!(attributes.contains(&LinkAttribute::GsoMaxSize(61_000)), "{attributes:?}");
        assert_eq!(link.limit_large_packets("mesh1", 61_000).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn an_ipv6_address_can_be_used_at_once() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tap);
        let mut link = Link::open().unwrap();
        link.set_up("mesh0", None).unwrap();
        link.add_address("mesh0", "fd00:9::1".parse().unwrap(), 64).unwrap();
        std::net::UdpSocket::bind("[fd00:9::1]:0").unwrap();
    });
}

#[test]
fn an_address_gives_the_route_to_its_range_once_the_interface_is_up() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        link.add_address("mesh0", "10.9.0.1".parse().unwrap(), 24).unwrap();
        assert_eq!(routes_of(&mut link, "mesh0"), []);
        link.set_up("mesh0", Some(1_300)).unwrap();
        assert_eq!(routes_of(&mut link, "mesh0"), [("10.9.0.0/24".to_owned(), None)]);
        assert_eq!(crate::udp::path_mtu("10.9.0.2:7".parse().unwrap()).unwrap(), 1_300);
        let index = link.index("mesh0").unwrap();
        assert_eq!(link.mtu(index).unwrap(), 1_300);
    });
}

#[test]
fn routes_are_added_replaced_and_removed() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        link.set_up("mesh0", None).unwrap();
        link.add_address("mesh0", "fd00:9::1".parse().unwrap(), 128).unwrap();
        let gateway4: IpAddr = "192.0.2.1".parse().unwrap();
        let gateway6: IpAddr = "fd00:8::1".parse().unwrap();

        link.add_route(prefix("10.1.2.3/8"), None, "mesh0").unwrap();
        link.add_route(prefix("fd00:1::5/32"), None, "mesh0").unwrap();
        let routes = routes_of(&mut link, "mesh0");
        assert!(routes.contains(&("10.0.0.0/8".to_owned(), None)), "{routes:?}");
        assert!(routes.contains(&("fd00:1::/32".to_owned(), None)), "{routes:?}");

        link.add_route(prefix("10.0.0.0/8"), Some(gateway4), "mesh0").unwrap();
        link.add_route(prefix("fd00:1::/32"), Some(gateway6), "mesh0").unwrap();
        let routes = routes_of(&mut link, "mesh0");
        assert!(routes.contains(&("10.0.0.0/8".to_owned(), Some(gateway4))), "{routes:?}");
        assert!(!routes.contains(&("10.0.0.0/8".to_owned(), None)), "{routes:?}");
        assert!(routes.contains(&("fd00:1::/32".to_owned(), Some(gateway6))), "{routes:?}");
        assert!(!routes.contains(&("fd00:1::/32".to_owned(), None)), "{routes:?}");

        link.remove_route(prefix("10.0.0.0/8"), None, "mesh0").unwrap();
        link.remove_route(prefix("fd00:1::/32"), Some(gateway6), "mesh0").unwrap();
        assert_eq!(routes_of(&mut link, "mesh0"), [("fd00:9::1/128".to_owned(), None)]);
    });
}

#[test]
fn default_routes_of_both_families_are_listed() {
    in_namespace(65_536, || {
        let _device = open("mesh0", Kind::Tun);
        let mut link = Link::open().unwrap();
        link.set_up("mesh0", None).unwrap();
        for all in ["0.0.0.0/0", "::/0"] {
            link.add_route(prefix(all), None, "mesh0").unwrap();
            assert!(routes_of(&mut link, "mesh0").contains(&(all.to_owned(), None)));
        }
    });
}

#[test]
fn an_error_says_what_was_being_done() {
    in_namespace(65_536, || {
        let mut link = Link::open().unwrap();
        let error = link.set_up("nowhere", None).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert_eq!(error.to_string(), "looking up interface nowhere: No such device (os error 19)");
        let error = link.add_address("lo", "10.9.0.1".parse().unwrap(), 77).unwrap_err();
        assert_eq!(error.to_string(), "adding address 10.9.0.1/77 to lo: Invalid argument (os error 22)");
        let error = link.remove_route(prefix("10.0.0.0/8"), None, "lo").unwrap_err();
        assert_eq!(error.to_string(), "removing route 10.0.0.0/8 through lo: No such process (os error 3)");
    });
}

#[test]
fn a_long_list_comes_whole() {
    in_namespace(65_536, || {
        let mut link = Link::open().unwrap();
        for last in 0..=255 {
            for third in 0..4 {
                link.add_address("lo", [10, 9, third, last].into(), 32).unwrap();
            }
        }
        let count = addresses_of(&mut link, "lo").iter().filter(|text| text.starts_with("10.9.")).count();
        assert_eq!(count, 1_024);
    });
}

/// A namespace with the interfaces `own` and `other`, and a monitor that ignores `own`; both are up.
fn with_monitor(test: impl FnOnce(Link, Monitor) + Send + 'static) {
    in_namespace(65_536, || {
        // Otherwise each interface gets an IPv6 address by itself, some time after it comes up.
        std::fs::write("/proc/sys/net/ipv6/conf/default/addr_gen_mode", "1").unwrap();
        let mut link = Link::open().unwrap();
        let _devices = [open("own", Kind::Tun), open("other", Kind::Tun)];
        for name in ["own", "other"] {
            link.set_up(name, None).unwrap();
        }
        let mut monitor = Monitor::open(Some(link.index("own").unwrap())).unwrap();
        // What the kernel still reports of the interfaces' birth.
        settle(&mut monitor);
        test(link, monitor);
    });
}

fn settle(monitor: &mut Monitor) {
    while monitor.drain().unwrap() {}
}

#[test]
fn nothing_happened_means_no_change() {
    with_monitor(|_, mut monitor| assert!(!monitor.drain().unwrap()));
}

#[test]
fn a_new_address_is_a_change_and_its_repetition_is_not() {
    with_monitor(|mut link, mut monitor| {
        link.add_address("other", "192.0.2.1".parse().unwrap(), 24).unwrap();
        wait_readable(&monitor);
        assert!(monitor.drain().unwrap());
        assert!(!monitor.drain().unwrap());

        link.add_address("other", "192.0.2.1".parse().unwrap(), 24).unwrap();
        wait_readable(&monitor);
        assert!(!monitor.drain().unwrap());

        link.remove_address("other", "192.0.2.1".parse().unwrap(), 24).unwrap();
        assert!(monitor.drain().unwrap());
    });
}

#[test]
fn a_default_route_is_a_change_and_a_route_to_a_host_is_not() {
    with_monitor(|mut link, mut monitor| {
        link.add_route(prefix("192.0.2.9/32"), None, "other").unwrap();
        wait_readable(&monitor);
        assert!(!monitor.drain().unwrap());

        for all in ["0.0.0.0/0", "::/0"] {
            link.add_route(prefix(all), None, "other").unwrap();
            assert!(monitor.drain().unwrap());
            link.remove_route(prefix(all), None, "other").unwrap();
            assert!(monitor.drain().unwrap());
        }
    });
}

#[test]
fn a_link_that_comes_up_or_vanishes_is_a_change() {
    with_monitor(|mut link, mut monitor| {
        let device = open("third", Kind::Tun);
        settle(&mut monitor);
        link.set_up("third", None).unwrap();
        assert!(monitor.drain().unwrap());
        drop(device);
        assert!(monitor.drain().unwrap());
    });
}

#[test]
fn changes_of_the_ignored_interface_do_not_count() {
    with_monitor(|mut link, mut monitor| {
        link.add_address("own", "10.9.0.1".parse().unwrap(), 24).unwrap();
        link.add_address("own", "fd00:9::1".parse().unwrap(), 64).unwrap();
        link.add_route(prefix("0.0.0.0/0"), None, "own").unwrap();
        link.set_up("own", Some(1_300)).unwrap();
        link.remove_address("own", "10.9.0.1".parse().unwrap(), 24).unwrap();
        wait_readable(&monitor);
        assert!(!monitor.drain().unwrap());
    });
}

#[test]
fn lost_reports_count_as_a_change() {
    with_monitor(|mut link, mut monitor| {
        socket2::SockRef::from(&monitor).set_recv_buffer_size(1).unwrap();
        for last in 0..50 {
            link.add_address("own", [10, 9, 0, last].into(), 32).unwrap();
        }
        assert!(monitor.drain().unwrap());
        assert!(!monitor.drain().unwrap());
    });
}
