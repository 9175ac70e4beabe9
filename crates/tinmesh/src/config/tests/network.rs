//! Sockets, families and proxies.

use tinmesh_core::meta::proxy::Protocol;

use super::*;
use crate::config::daemon::{Buffer, Listen};

fn proxy(value: &str) -> Option<Proxy> {
    Instance::new(&format!("Proxy = {value}"), "").load().daemon.proxy
}

fn server(protocol: Protocol, host: &str, port: u16) -> Option<Proxy> {
    Some(Proxy::Server { protocol, host: host.to_owned(), port })
}

fn listen(tinc_conf: &str) -> Vec<(String, bool)> {
    let daemon = Instance::new(tinc_conf, "").load().daemon;
    daemon.listen.into_iter().map(|Listen { address, dials }| (address.to_string(), dials)).collect()
}

#[test]
fn every_type_of_proxy_is_read() {
    let login = Some(("me".to_owned(), "secret".to_owned()));
    assert_eq!(proxy("none"), None);
    assert_eq!(proxy("SOCKS4 p 1080 me"), server(Protocol::Socks4 { user: "me".to_owned() }, "p", 1080));
    assert_eq!(proxy("socks4a p 1080"), server(Protocol::Socks4a { user: String::new() }, "p", 1080));
    assert_eq!(proxy("socks5 ::1 9050 me secret"), server(Protocol::Socks5 { login }, "::1", 9050));
    assert_eq!(proxy("socks5 p 9050 me"), server(Protocol::Socks5 { login: None }, "p", 9050));
    assert_eq!(proxy("http p 8080"), server(Protocol::Http, "p", 8080));
    let command = "nc $REMOTEADDRESS  $REMOTEPORT".to_owned();
    assert_eq!(proxy("exec nc $REMOTEADDRESS  $REMOTEPORT"), Some(Proxy::Program { command }));
}

#[test]
fn a_proxy_that_cannot_be_is_refused_with_tincs_words() {
    for (value, words) in [
        ("ftp p 1", "Unknown proxy type ftp!"),
        ("http", "Host and port argument expected for proxy!"),
        ("socks5 p", "Host and port argument expected for proxy!"),
        ("socks5 p  1080", "Host and port argument expected for proxy!"),
        ("socks5 p nonsense", "Invalid port nonsense of the proxy!"),
        ("exec", "Argument expected for proxy type exec!"),
    ] {
        let error = Instance::new(&format!("Proxy = {value}"), "").error();
        assert!(error.contains(words), "{value}: {error}");
    }
    let error = Instance::new(&format!("Proxy = socks5 p 1 {} b", "a".repeat(256)), "").error();
    assert!(error.contains("at most 255 bytes"), "{error}");
}

#[test]
fn words_behind_a_proxy_that_do_not_count_are_told() {
    let loaded = Instance::new("Proxy = http p 8080 me secret", "").load();
    assert_eq!(loaded.warnings, ["Proxy has more words than count: it is http HOST PORT"]);
}

#[test]
fn a_removed_line_keeps_its_effect_where_tinc_keeps_it() {
    let instance = Instance::new("Proxy = http p 8080\nMaxTimeout = 7\nAddressFamily = ipv4", "");
    let first = instance.load();
    instance.write("tinc.conf", "Name = me\nHostnames = yes\n");

    let second = reread(&instance.paths, &[], Some(&first.settings)).unwrap();
    assert_eq!((second.daemon.proxy, second.daemon.address_family), (first.daemon.proxy, AddressFamily::V4));
    assert_eq!(second.node.timing.max_timeout.as_secs(), 900);
    instance.write("tinc.conf", "Name = me\nProxy = none\n");

    let third = reread(&instance.paths, &[], Some(&second.settings)).unwrap();
    assert_eq!((third.daemon.proxy, third.daemon.address_family), (None, AddressFamily::V4));
    assert!(third.daemon.hostnames);
}

#[test]
fn listening_addresses_come_in_tincs_order_without_duplicates() {
    let conf =
        "ListenAddress = 127.0.0.2\nBindToAddress = 127.0.0.1 700\nBindToAddress = 127.0.0.2\nListenAddress = * 701";
    let expected = [("127.0.0.1:700", true), ("127.0.0.2:655", true), ("0.0.0.0:701", false), ("[::]:701", false)];
    assert_eq!(listen(conf), expected.map(|(address, dials)| (address.to_owned(), dials)));
    assert_eq!(listen("AddressFamily = ipv6"), [("[::]:655".to_owned(), false)]);
}

#[test]
fn an_address_to_listen_on_that_cannot_be_used_is_fatal() {
    let error = Instance::new("ListenAddress = no.such.host.invalid", "").error();
    assert!(error.contains("Could not look up the address"), "{error}");
    let error = Instance::new("BindToAddress = ::1\nAddressFamily = ipv4", "").error();
    assert!(error.contains("no address of the AddressFamily"), "{error}");
}

#[test]
fn numeric_addresses_of_another_family_are_not_dialled() {
    let instance = Instance::new("AddressFamily = ipv6", "");
    instance.write("hosts/bob", "Address = 192.0.2.1\nAddress = 2001:db8::1\nAddress = b.example\n");
    let loaded = instance.load();
    let hosts = &loaded.node.hosts[&name("bob")];
    let addresses: Vec<_> = hosts.addresses.iter().map(|(host, _)| host.as_str()).collect();
    assert_eq!(addresses, ["2001:db8::1", "b.example"]);
    assert!(loaded.warnings.iter().any(|text| text.starts_with("Address = 192.0.2.1 in ")), "{:?}", loaded.warnings);
}

#[test]
fn buffers_know_whether_the_operator_asked_for_them() {
    let daemon = Instance::new("UDPRcvBuf = 0\n", "").load().daemon;
    assert_eq!(daemon.udp_rcvbuf, Buffer { size: 0, asked: true });
    assert_eq!(daemon.udp_sndbuf, Buffer { size: 1 << 20, asked: false });
    let error = Instance::new("UDPSndBuf = -1", "").error();
    assert!(error.contains("UDPSndBuf cannot be negative!"), "{error}");
}

#[test]
fn times_that_make_no_sense_are_corrected_as_in_tinc() {
    let timing = |conf: &str| {
        let timing = Instance::new(conf, "").load().node.timing;
        (timing.ping_interval.as_secs(), timing.ping_timeout.as_secs())
    };
    assert_eq!(timing("PingInterval = 0"), (86_400, 5));
    assert_eq!(timing("PingInterval = -3\nPingTimeout = 0"), (86_400, 86_400));
    assert_eq!(timing("PingInterval = 3\nPingTimeout = 4"), (3, 3));
    let error = Instance::new("MaxTimeout = 0", "").error();
    assert!(error.contains("Bogus maximum timeout!"), "{error}");
}

#[test]
fn upnp_is_asked_for_by_two_words_and_any_other_means_no() {
    let upnp = |conf: &str| Instance::new(conf, "").load().daemon.upnp;
    let seconds = std::time::Duration::from_secs;
    let usual = Upnp { tcp: true, discover_wait: seconds(5), refresh_period: seconds(60) };
    assert_eq!(upnp(""), None);
    assert_eq!(upnp("UPnP = Yes"), Some(usual));
    assert_eq!(upnp("UPnP = udponly"), Some(Upnp { tcp: false, ..usual }));
    let conf = "UPnP = yes\nUPnPDiscoverWait = 2\nUPnPRefreshPeriod = 30";
    assert_eq!(upnp(conf), Some(Upnp { tcp: true, discover_wait: seconds(2), refresh_period: seconds(30) }));
    assert_eq!(upnp("UPnP = perhaps"), None);
}

#[test]
fn a_port_may_be_the_name_of_a_service() {
    assert_eq!(Instance::new("", "Port = ssh").load().node.port, 22);
    let instance = Instance::new("", "");
    instance.write("hosts/bob", "Address = b.example\nAddress = b.example ssh\nPort = 700\n");
    let hosts = instance.load().node.hosts;
    let ports: Vec<u16> = hosts[&name("bob")].addresses.iter().map(|(_, port)| *port).collect();
    assert_eq!(ports, [700, 22]);
}
