//! What a reload does to every variable: it counts from then on, or the log says that it needs a restart (spec:
//! configuration 4, 5). Which is which stands in `docs/configuration.md`.

use std::fs;

use crate::lab::namespace::Namespace;
use crate::lab::{Daemon, Kind, Lab};

const DOCUMENT: &str = include_str!("../../../../docs/configuration.md");

/// Another value for each variable, than the default and than that of the daemon here.
const OTHER: &[(&str, &str)] = &[
    ("Name", "other"),
    ("ConnectTo", "bob"),
    ("AutoConnect", "yes"),
    ("Address", "192.0.2.1"),
    ("Subnet", "10.9.0.0/16"),
    ("Weight", "7"),
    ("Ed25519PublicKey", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
    ("Ed25519PublicKeyFile", "hosts/other"),
    ("Ed25519PrivateKeyFile", "other.priv"),
    ("InvitationExpire", "60"),
    ("Port", "7000"),
    ("AddressFamily", "ipv4"),
    ("ListenAddress", "127.0.0.1"),
    ("BindToAddress", "127.0.0.1"),
    ("BindToInterface", "lo"),
    ("FWMark", "7"),
    ("UDPRcvBuf", "65536"),
    ("UDPSndBuf", "65536"),
    ("PingInterval", "30"),
    ("PingTimeout", "3"),
    ("MaxTimeout", "60"),
    ("MaxConnectionBurst", "20"),
    ("MaxOutputBufferSize", "30000"),
    ("Proxy", "socks5 127.0.0.1 1080"),
    ("UPnP", "yes"),
    ("UPnPDiscoverWait", "3"),
    ("UPnPRefreshPeriod", "30"),
    ("DeviceType", "tun"),
    ("Device", "/dev/null"),
    ("Interface", "other"),
    ("Ifconfig", "10.9.0.1/16"),
    ("Route", "10.8.0.0/16"),
    ("InterfaceMTU", "1300"),
    ("HostsFile", "yes"),
    ("DeviceStandby", "yes"),
    ("VDEGroup", "other"),
    ("VDEPort", "7"),
    ("Mode", "hub"),
    ("Forwarding", "off"),
    ("DirectOnly", "yes"),
    ("DecrementTTL", "yes"),
    ("Broadcast", "no"),
    ("BroadcastSubnet", "10.255.0.0/16"),
    ("ClampMSS", "no"),
    ("Compression", "5"),
    ("PMTU", "1400"),
    ("PMTUDiscovery", "no"),
    ("MTUInfoInterval", "7"),
    ("Workers", "2"),
    ("MACExpire", "60"),
    ("PriorityInheritance", "yes"),
    ("UDPDiscovery", "no"),
    ("UDPDiscoveryInterval", "3"),
    ("UDPDiscoveryKeepaliveInterval", "7"),
    ("UDPDiscoveryTimeout", "60"),
    ("UDPInfoInterval", "7"),
    ("LocalDiscovery", "no"),
    ("TCPOnly", "yes"),
    ("IndirectData", "yes"),
    ("StrictSubnets", "yes"),
    ("TunnelServer", "yes"),
    ("KeyExpire", "60"),
    ("ReplayWindow", "64"),
    ("Sandbox", "normal"),
    ("ExperimentalProtocol", "no"),
    ("LogLevel", "3"),
    ("ProcessPriority", "low"),
    ("ScriptsExtension", ".sh"),
    ("ScriptsInterpreter", "/bin/sh"),
    ("Hostnames", "yes"),
    ("PrivateKeyFile", "other_rsa.priv"),
    ("Cipher", "aes-128-cbc"),
    ("Digest", "sha512"),
    ("MACLength", "8"),
    ("LegacyWeakCiphers", "yes"),
    ("PrivateKey", "ABCDEF"),
    ("PublicKey", "ABCDEF"),
    ("PublicKeyFile", "hosts/other"),
    ("ClockError", "5"),
    ("Founder", "Yt0e1Hcj3-xATjodLOy9DmPd-cXUUfZkunEue_-Guvw"),
    ("Quorum", "2"),
    ("Relay", "2mbit"),
];

/// Name, place, default and reload of each variable that is honoured, as the document tells them.
fn documented() -> Vec<[&'static str; 4]> {
    let section = DOCUMENT.split("\n## ").find(|section| section.starts_with("Variables\n")).expect("it is there");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let cells = rows.map(|row| row.split(" | ").collect::<Vec<_>>());
    cells
        .filter(|cells| cells.len() == 6 && cells[4] == "done")
        .map(|cells| [cells[0], cells[1], cells[2], cells[3]])
        .collect()
}

/// The value from the table; without one, the opposite of `yes` or `no`.
fn other_value(name: &str, default: &str) -> &'static str {
    match (OTHER.iter().find(|(other, _)| *other == name), default) {
        (Some((_, value)), _) => value,
        (None, "`yes`") => "no",
        (None, "`no`") => "yes",
        (None, _) => panic!("no value for {name}"),
    }
}

#[test]
fn every_variable_counts_after_a_reload_or_is_said_to_need_a_restart() {
    let lab = Lab::new();
    let mut daemon = Daemon::init(&lab, "node", Kind::Ours, &Namespace::new("node"));
    let _ = fs::remove_file(daemon.dir.join("tinc-up"));
    daemon.config("DeviceType = dummy").config("AutoConnect = no").host("Port = 0");
    let [main, host] = [daemon.dir.join("tinc.conf"), daemon.host_file("node")];
    let [main_text, host_text] = [&main, &host].map(|path| fs::read_to_string(path).expect("init wrote it"));
    daemon.start();
    let variables = documented();
    assert!(variables.len() > 70, "the document has them all: {variables:?}");
    let mut heard = daemon.log().len();

    let mut wrong = Vec::new();
    for [name, place, default, reload] in variables {
        let value = other_value(name, default);
        let (path, text) = if place.starts_with('T') { (&main, &main_text) } else { (&host, &host_text) };
        // The first of two lines counts.
        fs::write(path, format!("{name} = {value}\n{text}")).expect("the directory is there");
        let output = daemon.try_tinc(&["reload"]);
        let log = daemon.log();
        let said = log[heard..].contains(&format!("{name} needs a restart"));
        if !output.status.success() || said != (reload == "no") {
            wrong.push(format!("{name} ({reload}): {output:?}\n{}", &log[heard..]));
        }
        heard = log.len();
        fs::write(path, text).expect("the directory is there");
        daemon.tinc(&["reload"]);
        assert!(daemon.lives());
        heard = heard.max(daemon.log().len());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
