//! Whole configurations, read from files.

use std::fs;

use tempfile::TempDir;
use tinmesh_core::dataplane::fib::Forwarding;
use tinmesh_core::dataplane::relaying::Relaying;
use tinmesh_core::name::NodeName;
use tinmesh_core::wire::address_cache;

use super::*;
use crate::paths::PathOptions;

mod legacy;
mod network;

/// An instance in a directory of its own, with keys, called `me`.
struct Instance {
    dir: TempDir,
    paths: Paths,
}

impl Instance {
    fn new(tinc_conf: &str, host_file: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = PathOptions { config: Some(dir.path().to_owned()), ..PathOptions::default() };
        let paths = Paths::for_control(&options).unwrap();
        fs::create_dir(paths.hosts()).unwrap();
        fs::create_dir(paths.cache()).unwrap();
        let instance = Self { dir, paths };
        instance.write("tinc.conf", &format!("Name = me\n{tinc_conf}"));
        instance.write("hosts/me", host_file);
        keys::append_private(&instance.paths.private_key(), &SecretKey::from_seed(&[1; 32])).unwrap();
        instance
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn load(&self) -> Loaded {
        load(&self.paths, &[]).unwrap()
    }

    fn error(&self) -> String {
        load(&self.paths, &[]).unwrap_err().to_string()
    }
}

fn name(text: &str) -> NodeName {
    NodeName::parse(text).unwrap()
}

#[test]
fn defaults_are_those_of_tinc_but_for_the_receive_buffer() {
    let loaded = Instance::new("", "").load();

    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!((loaded.node.name, loaded.node.port), (name("me"), 655));
    assert_eq!(loaded.node.timing, tinmesh_core::node::config::Timing::default());
    assert_eq!(loaded.node.mesh, tinmesh_core::node::config::MeshPolicy::default());
    assert_eq!(loaded.node.link, tinmesh_core::node::config::LinkPolicy::default());
    assert_eq!(loaded.key.public(), SecretKey::from_seed(&[1; 32]).public());
    let daemon = loaded.daemon;
    let listen: Vec<_> = daemon.listen.iter().map(|entry| entry.address.to_string()).collect();
    assert_eq!(listen, ["0.0.0.0:655", "[::]:655"]);
    assert_eq!((daemon.udp_rcvbuf.size, daemon.udp_sndbuf.size, daemon.fwmark), (512 << 10, 1 << 20, 0));
    assert_eq!((daemon.device_type, daemon.process_priority), (DeviceType::Tun, None));
}

#[test]
fn settings_reach_node_and_daemon() {
    let loaded = Instance::new(
        "ConnectTo = bob\nConnectTo = me\nConnectTo = bob\nForwarding = OFF\nPingInterval = 10\nPingTimeout = 20\n\
         Ifconfig = 10.9.0.1/16\nRoute = 10.10.0.0/16 10.9.0.2\nInterfaceMTU = 1400\nHostsFile = yes\n\
         ListenAddress = 127.0.0.1 700\nBindToAddress = 127.0.0.1\nAddressFamily = ipv4\nProcessPriority = low\n\
         ScriptsInterpreter = /bin/sh -e\nTunnelServer = yes\nReplayWindow = 64\nRelay = 2mbit",
        "Port = 0\nSubnet = 10.9.0.1\nTCPOnly = yes\nCompression = 12\n",
    )
    .load();

    assert_eq!(loaded.warnings, Vec::<String>::new());
    let node = loaded.node;
    assert_eq!(node.connect_to, [name("bob")]);
    assert_eq!((node.policy.forwarding, node.policy.compression), (Forwarding::Off, 12));
    assert_eq!(node.policy.relaying, Relaying::UpTo(2_000));
    assert_eq!(node.timing.ping_timeout, node.timing.ping_interval);
    assert_eq!(node.subnets.first().map(ToString::to_string).as_deref(), Some("10.9.0.1"));
    assert!(node.link.tcp_only && node.link.indirect && !node.link.pmtu_discovery && node.policy.tcp_only);
    assert!(node.mesh.tunnel_server && node.mesh.strict_subnets);
    assert_eq!((node.port, node.mesh.replay_window), (0, 64));
    let daemon = loaded.daemon;
    assert_eq!(daemon.ifconfig, [("10.9.0.1".parse().unwrap(), 16)]);
    assert_eq!(daemon.routes, [(("10.10.0.0".parse().unwrap(), 16), Some("10.9.0.2".parse().unwrap()))]);
    assert_eq!((daemon.interface_mtu, daemon.hosts_file), (Some(1400), true));
    let listen: Vec<_> = daemon.listen.iter().map(|entry| (entry.address.to_string(), entry.dials)).collect();
    assert_eq!(listen, [("127.0.0.1:0".to_owned(), true), ("127.0.0.1:700".to_owned(), false)]);
    assert_eq!(daemon.process_priority, Some(10));
    assert_eq!(daemon.scripts_interpreter.as_deref(), Some("/bin/sh -e"));
}

#[test]
fn the_smaller_line_number_wins_across_files_and_options_win_over_all() {
    let instance = Instance::new("\nPort = 3\n", "\nPort = 2\n");
    fs::create_dir(instance.dir.path().join("conf.d")).unwrap();
    instance.write("conf.d/a.conf", "\n\n\nPort = 4\n");
    assert_eq!(instance.load().node.port, 2);

    let options = ["me.Port=7", "Port=8", "bob.Port=9"];
    let options: Vec<_> = (1..).zip(options).map(|(n, text)| Override::parse(text, n).unwrap()).collect();
    assert_eq!(load(&instance.paths, &options).unwrap().node.port, 7);
}

#[test]
fn host_files_tell_of_other_nodes() {
    let key = SecretKey::from_seed(&[2; 32]).public();
    let instance = Instance::new("", "");
    instance.write(
        "hosts/bob",
        &format!(
            "Address = b.example\nAddress = 192.0.2.1 700\nPort = 656\nSubnet = 10.2.0.0/16\nWeight = 5\nPMTU = 1400\n\
                  ClampMSS = no\nIndirectData = yes\nUnknown = x\n{}",
            key.to_file()
        ),
    );
    instance.write("hosts/bob-up", "#!/bin/sh\n");
    instance.write("hosts/carol", "Ed25519PublicKey = nonsense\nSubnet = 10.0.0.1/8\n");
    let cached = ["192.0.2.9:655".parse().unwrap()];
    fs::write(instance.dir.path().join("cache/bob"), address_cache::encode(&cached)).unwrap();

    let loaded = instance.load();

    let names: Vec<_> = loaded.node.hosts.keys().map(ToString::to_string).collect();
    assert_eq!(names, ["bob", "carol"]);
    let bob = &loaded.node.hosts[&name("bob")];
    assert_eq!(bob.key, Some(key));
    assert_eq!(bob.addresses, [("b.example".to_owned(), 656), ("192.0.2.1".to_owned(), 700)]);
    assert_eq!((bob.weight, bob.pmtu, bob.clamp_mss), (Some(5), Some(1400), Some(false)));
    assert!(bob.indirect && !bob.tcp_only);
    assert_eq!(bob.cached, cached);
    assert_eq!(bob.subnets.len(), 1);
    let carol = &loaded.node.hosts[&name("carol")];
    assert_eq!((carol.key, carol.subnets.len()), (None, 0));
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
}

#[test]
fn a_broken_host_file_costs_only_that_node() {
    let instance = Instance::new("", "");
    instance.write("hosts/bob", "Port =\n");

    let loaded = instance.load();

    assert!(loaded.node.hosts.is_empty());
    assert!(loaded.warnings[0].starts_with("No value for variable `Port' on line 1"), "{:?}", loaded.warnings);
}

#[test]
fn nothing_is_ignored_in_silence() {
    let loaded =
        Instance::new("ConectTo = bob\nUPnP = maybe\nSandbox = off\n  Port = 1\nIffOneQueue = yes\nFoo = 1\n", "")
            .load();

    let file = |line: usize| format!("DIR/tinc.conf line {line}");
    let told: Vec<String> = loaded.warnings.iter().map(|text| mask_directory(text)).collect();
    assert_eq!(
        told,
        [
            format!("Unknown variable ConectTo in {}, ignored; did you mean ConnectTo?", file(2)),
            format!("The line begins with a blank and is ignored: {}", file(5)),
            format!("IffOneQueue has no effect ({})", file(6)),
            format!("Unknown variable Foo in {}, ignored", file(7)),
            "UPnP = maybe means no: it is yes, udponly or no".to_owned(),
        ]
    );
}

/// Puts DIR in place of the directory before `/tinc.conf`.
fn mask_directory(text: &str) -> String {
    let Some(end) = text.find("/tinc.conf") else { return text.to_owned() };
    let start = text[..end].rfind([' ', '(']).map_or(0, |at| at + 1);
    format!("{}DIR{}", &text[..start], &text[end..])
}

#[test]
fn a_malformed_bool_or_number_is_told_and_does_not_count() {
    let loaded = Instance::new("AutoConnect = maybe\nPingInterval = often\nMaxTimeout = 10s\n", "").load();

    assert!(loaded.node.mesh.auto_connect);
    assert_eq!((loaded.node.timing.ping_interval.as_secs(), loaded.node.timing.max_timeout.as_secs()), (60, 10));
    let told = loaded.warnings.join("\n");
    assert!(told.contains("\"yes\" or \"no\" expected for configuration variable AutoConnect in "), "{told}");
    assert!(told.contains("Integer expected for configuration variable PingInterval in "), "{told}");
}

#[test]
fn values_that_make_no_sense_stop_the_start_with_tincs_words() {
    let cases = [
        ("Mode = bridge", "Invalid routing mode!"),
        ("Forwarding = x", "Invalid forwarding mode!"),
        ("Relay = fast", "`fast' is no rate!"),
        ("Broadcast = x", "Invalid broadcast mode!"),
        ("AddressFamily = x", "Invalid address family!"),
        ("ProcessPriority = x", "Invalid priority `x`!"),
        ("DeviceType = x", "Unknown device type x!"),
        ("DeviceType = multicast", "Device variable required for multicast socket!"),
        ("DeviceType = multicast\nDevice = 239.1.2.3", "Port number required for multicast socket!"),
        ("DeviceType = multicast\nDevice = 239.1.2.3 x", "Invalid port!"),
        ("DeviceType = multicast\nDevice = 239.1.2.3 7 256", "Invalid TTL!"),
        ("DeviceType = multicast\nDevice = 10.1.2.3 7", "Cannot join multicast group 10.1.2.3 7: it is none!"),
        ("Proxy = x", "Unknown proxy type x!"),
        ("Sandbox = x", "Bad sandbox value x!"),
        ("MaxTimeout = 0", "Bogus maximum timeout!"),
        ("Compression = 13", "Bogus compression level!"),
        ("ReplayWindow = -1", "ReplayWindow cannot be negative!"),
        ("MaxConnectionBurst = 0", "MaxConnectionBurst cannot be negative!"),
        ("Port = nonsense", "Invalid port!"),
        ("Subnet = 10.0.0.1/8", "Network address and prefix length do not match for configuration variable Subnet!"),
        ("Ifconfig = dhcp", "Invalid Ifconfig!"),
        ("Name", "No value for variable `Name' on line 2"),
    ];
    for (line, expected) in cases {
        let error = Instance::new(line, "").error();
        assert!(error.starts_with(expected), "{line}: {error}");
    }
}

#[test]
fn a_multicast_group_is_an_address_a_port_and_perhaps_a_ttl() {
    for (device, group, ttl) in [("239.1.2.3 7", "239.1.2.3:7", 1), ("ff02::7  7 9", "[ff02::7]:7", 9)] {
        let loaded = Instance::new(&format!("DeviceType = multicast\nMode = switch\nDevice = {device}"), "").load();
        assert_eq!(loaded.daemon.device_type, DeviceType::Multicast { group: group.parse().unwrap(), ttl });
    }
}

#[test]
fn the_port_and_group_of_a_vde_switch_are_read() {
    let loaded = Instance::new("DeviceType = vde\nVDEPort = 7\nVDEGroup = plugs", "").load();
    assert_eq!(loaded.daemon.device_type, DeviceType::Vde { port: 7, group: Some("plugs".to_owned()) });
    let loaded = Instance::new("DeviceType = vde", "").load();
    assert_eq!(loaded.daemon.device_type, DeviceType::Vde { port: 0, group: None });
}

#[test]
fn a_user_mode_linux_machine_and_a_sandbox_exclude_each_other() {
    assert_eq!(Instance::new("DeviceType = uml\nSandbox = off", "").load().daemon.device_type, DeviceType::Uml);
    let error = Instance::new("DeviceType = uml\nSandbox = normal", "").error();
    assert!(error.contains("set Sandbox = off"), "{error}");
}

#[test]
fn a_missing_configuration_name_or_key_is_told_with_what_to_do() {
    let instance = Instance::new("", "");
    fs::remove_file(instance.paths.private_key()).unwrap();
    assert!(instance.error().contains("tinc generate-ed25519-keys"), "{}", instance.error());
    instance.write("tinc.conf", "Mode = router\n");
    assert!(instance.error().starts_with("Name for tinc daemon required!"), "{}", instance.error());
    instance.write("tinc.conf", "Name = a-b\n");
    assert!(instance.error().starts_with("Invalid name for myself!"), "{}", instance.error());
    fs::remove_file(instance.paths.tinc_conf()).unwrap();
    assert!(instance.error().contains("tinmesh up"), "{}", instance.error());
}

#[test]
fn a_host_file_with_another_key_is_told() {
    let other = SecretKey::from_seed(&[9; 32]).public();
    let loaded = Instance::new("", &keys::public_line(&other)).load();
    assert!(loaded.warnings[0].contains("does not belong to the private key"), "{:?}", loaded.warnings);
}

#[test]
fn the_invitation_key_is_loaded_if_there_is_one() {
    let instance = Instance::new("", "");
    fs::create_dir(instance.paths.invitations()).unwrap();
    keys::append_private(&instance.paths.invitation_key(), &SecretKey::from_seed(&[5; 32])).unwrap();
    let key = instance.load().node.invitation_key.map(|key| key.public());
    assert_eq!(key, Some(SecretKey::from_seed(&[5; 32]).public()));
}
