//! Every configuration variable: where it may stand, what it holds, and what tinmesh does with it.
//!
//! The table serves loading, the editing commands and the filter of invitations. Source: spec configuration 4.

use super::kind::Kind;

#[cfg(test)]
mod tests;

/// In which files a variable may stand, and how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Class {
    /// `tinc.conf`.
    pub server: bool,
    /// Host files.
    pub host: bool,
    /// More than once.
    pub multiple: bool,
    /// Kept only because old files have it.
    pub obsolete: bool,
    /// Accepted from an inviter.
    pub safe: bool,
}

/// What a reload does to a variable of tinc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// Read anew; absent means the default.
    Yes,
    /// Read anew; absent means the last value.
    Keep,
    /// Can be switched on, never off.
    On,
    /// Looked up whenever it is used.
    Use,
    /// Counts only at the start.
    No,
}

/// What tinmesh does with a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// What its description says.
    Honoured,
    /// Nothing, because it has no effect in tinc either, or none on this system.
    Pointless,
}

/// One configuration variable.
#[derive(Clone, Copy, Debug)]
pub struct Variable {
    /// Its name, in the spelling that is written.
    pub name: &'static str,
    /// Where it may stand.
    pub class: Class,
    /// What it holds.
    pub kind: Kind,
    /// What counts if it is absent.
    pub default: &'static str,
    /// What a reload does to it with tinc.
    pub reload: Reload,
    /// Whether a change counts only after a restart.
    pub restart: bool,
    /// What tinmesh does with it.
    pub support: Support,
    /// Whether tinc knows it too.
    pub tinc: bool,
    /// What it is for.
    pub about: &'static str,
}

const fn server(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Variable {
    let class = Class { server: true, host: false, multiple: false, obsolete: false, safe: false };
    let (reload, support) = (Reload::No, Support::Honoured);
    Variable { name, class, kind, default, reload, restart: true, support, tinc: true, about }
}

const fn host(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Variable {
    let variable = server(name, kind, default, about);
    Variable { class: Class { server: false, host: true, ..variable.class }, ..variable }
}

const fn both(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Variable {
    let variable = server(name, kind, default, about);
    Variable { class: Class { host: true, ..variable.class }, ..variable }
}

impl Variable {
    const fn multiple(self) -> Self {
        Self { class: Class { multiple: true, ..self.class }, ..self }
    }

    /// Old, but read as ever.
    const fn old(self) -> Self {
        Self { class: Class { obsolete: true, ..self.class }, ..self }
    }

    const fn obsolete(self) -> Self {
        Self { class: Class { obsolete: true, ..self.class }, support: Support::Pointless, ..self }
    }

    const fn safe(self) -> Self {
        Self { class: Class { safe: true, ..self.class }, ..self }
    }

    const fn reload(self, reload: Reload) -> Self {
        Self { reload, restart: false, ..self }
    }

    /// Counts after a reload, though it needs a restart with tinc.
    const fn live(self) -> Self {
        Self { restart: false, ..self }
    }

    /// Counts after a restart, though sockets that tinc makes later have it at once.
    const fn restarts(self) -> Self {
        Self { restart: true, ..self }
    }

    const fn pointless(self) -> Self {
        Self { support: Support::Pointless, ..self }
    }

    const fn ours(self) -> Self {
        Self { tinc: false, ..self }
    }

    /// The variable of this name, in any case.
    pub fn find(name: &str) -> Option<&'static Self> {
        VARIABLES.iter().find(|variable| variable.name.eq_ignore_ascii_case(name))
    }

    /// The known variable whose name is most like `name`, if any is like it at all.
    pub fn like(name: &str) -> Option<&'static Self> {
        let name = name.to_ascii_lowercase();
        let distance = |variable: &&Self| distance(&name, &variable.name.to_ascii_lowercase());
        let nearest = VARIABLES.iter().min_by_key(distance)?;
        (distance(&nearest) <= 1 + name.len() / 5).then_some(nearest)
    }
}

/// How many letters must be put in, left out or changed to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    if a.len().abs_diff(b.len()) > 8 {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (y, above) in b.bytes().zip(row.iter_mut().skip(1)) {
            let here = (diagonal + usize::from(x != y)).min(left + 1).min(*above + 1);
            diagonal = std::mem::replace(above, here);
            left = here;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(usize::MAX)
}

const LEVELS: Kind = Kind::Number { min: 0, max: 12 };

/// Every variable, by name; first those of `tinc.conf`, then those of host files, then those that only tinmesh has.
#[rustfmt::skip] // One line per variable reads as a table.
pub static VARIABLES: &[Variable] = &[
    server("AddressFamily", Kind::Word(&["ipv4", "ipv6", "any"]), "any", "Family of addresses to listen on and to dial.").safe().reload(Reload::Keep),
    server("AutoConnect", Kind::Bool, "yes", "Whether the node makes connections by its own choice.").safe().reload(Reload::Yes),
    server("BindToAddress", Kind::Endpoint, "", "Address to listen on, and to dial from.").multiple(),
    server("BindToInterface", Kind::Text, "", "Interface that all sockets are bound to.").reload(Reload::Use).restarts(),
    server("Broadcast", Kind::Word(&["no", "mst", "yes", "direct"]), "mst", "How broadcast packets are spread.").safe().reload(Reload::Keep),
    server("BroadcastSubnet", Kind::Subnet, "", "Another subnet that means everyone.").multiple().safe().reload(Reload::Yes),
    server("ConnectTo", Kind::Node, "", "Node to keep a connection to.").multiple().safe().reload(Reload::Yes),
    server("DecrementTTL", Kind::Bool, "no", "Whether packets that are passed on lose one hop of life.").safe().reload(Reload::Keep),
    server("Device", Kind::Text, "", "The device node; by default that of the device type."),
    server("DeviceStandby", Kind::Bool, "no", "Whether the interface is up only while a node is reachable."),
    server("DeviceType", Kind::Text, "", "Kind of device: tun, tap, fd, dummy, raw_socket, multicast, uml or vde."),
    server("DirectOnly", Kind::Bool, "no", "Whether packets that need a relay are refused.").safe().reload(Reload::Keep),
    server("DisableBuggyPeers", Kind::Bool, "no", "Whether ancient peers are made to hang up.").reload(Reload::Keep).pointless(),
    server("Ed25519PrivateKeyFile", Kind::Text, "ed25519_key.priv", "File with the private key."),
    server("ExperimentalProtocol", Kind::Bool, "yes", "Whether the protocol of tinc 1.1 is spoken."),
    server("Forwarding", Kind::Word(&["off", "internal", "kernel"]), "internal", "What to do with packets of others for others.").reload(Reload::Keep),
    server("FWMark", Kind::Int, "0", "Firewall mark of everything that is sent."),
    server("GraphDumpFile", Kind::Text, "", "Has no effect.").obsolete(),
    server("Hostnames", Kind::Bool, "no", "Whether addresses are shown by name.").reload(Reload::Keep),
    server("IffOneQueue", Kind::Bool, "no", "Has no effect on current kernels.").pointless(),
    server("Interface", Kind::Text, "", "Name of the interface; by default the netname, else what the kernel chooses."),
    server("InvitationExpire", Kind::Int, "604800", "Seconds for which an invitation holds.").reload(Reload::Yes),
    server("KeyExpire", Kind::Int, "3600", "Seconds after which session keys are made anew.").safe().reload(Reload::Yes),
    server("ListenAddress", Kind::Endpoint, "", "Address to listen on.").multiple(),
    server("LocalDiscovery", Kind::Bool, "yes", "Whether peers are looked for on the local network.").safe().reload(Reload::Keep),
    server("LogLevel", Kind::Int, "0", "Debug level, unless the command line has one."),
    server("MACExpire", Kind::Int, "600", "Seconds for which a learnt MAC address is kept.").safe().reload(Reload::Yes),
    server("MaxConnectionBurst", Kind::Int, "10", "Accepted connections at once, before new ones have to wait.").safe().live(),
    server("MaxOutputBufferSize", Kind::Int, "", "Bytes of packets that may wait for a connection, 1 MiB by default.").safe().live(),
    server("MaxTimeout", Kind::Int, "900", "Longest pause between attempts to connect, in seconds.").safe().reload(Reload::Yes),
    server("Mode", Kind::Word(&["router", "switch", "hub"]), "router", "Whether packets are sent by IP address, by MAC address, or to all.").safe().reload(Reload::Keep),
    server("MTUInfoInterval", Kind::Int, "5", "Seconds between messages that tell a peer its MTU.").safe().reload(Reload::Keep),
    server("Name", Kind::Text, "", "This node's name, or $VARIABLE of the environment."),
    server("PingInterval", Kind::Int, "60", "Seconds of silence before a neighbour is asked whether it is there.").safe().live(),
    server("PingTimeout", Kind::Int, "5", "Seconds that a neighbour has to answer.").safe().live(),
    server("PriorityInheritance", Kind::Bool, "no", "Whether the type of service of packets is copied to the outside.").reload(Reload::Keep),
    server("PrivateKey", Kind::Text, "", "Private key of tinc 1.0, as a number.").old(),
    server("PrivateKeyFile", Kind::Text, "rsa_key.priv", "File with the private key of tinc 1.0."),
    server("ProcessPriority", Kind::Word(&["low", "normal", "high"]), "", "Priority of the daemon among processes."),
    server("Proxy", Kind::Text, "none", "Proxy through which connections are made.").reload(Reload::Keep),
    server("ReplayWindow", Kind::Int, "16", "Bytes of the window in which late packets are accepted; 0: accept everything.").safe().live(),
    server("Sandbox", Kind::Word(&["off", "normal", "high"]), "off", "How much the daemon takes rights away from itself."),
    server("ScriptsExtension", Kind::Text, "", "What is put behind the names of scripts.").reload(Reload::Yes),
    server("ScriptsInterpreter", Kind::Text, "", "Program that runs scripts.").reload(Reload::Yes),
    server("StrictSubnets", Kind::Bool, "no", "Whether only subnets in host files count.").safe().live(),
    server("TunnelServer", Kind::Bool, "no", "Whether nodes are kept from learning of each other.").safe().live(),
    server("UDPDiscovery", Kind::Bool, "yes", "Whether it is tested if UDP works.").safe().reload(Reload::Keep),
    server("UDPDiscoveryInterval", Kind::Int, "2", "Seconds between tests while UDP does not work.").safe().reload(Reload::Keep),
    server("UDPDiscoveryKeepaliveInterval", Kind::Int, "10", "Seconds between tests while UDP works.").safe().reload(Reload::Keep),
    server("UDPDiscoveryTimeout", Kind::Int, "30", "Seconds of silence after which UDP no longer works.").safe().reload(Reload::Keep),
    server("UDPInfoInterval", Kind::Int, "5", "Seconds between messages that tell a peer its address.").safe().reload(Reload::Keep),
    server("UDPRcvBuf", Kind::Int, "524288", "Bytes of the receive buffer of UDP sockets; 0: the system's choice."),
    server("UDPSndBuf", Kind::Int, "1048576", "Bytes of the send buffer of UDP sockets; 0: the system's choice."),
    server("UPnP", Kind::Word(&["no", "yes", "udponly"]), "no", "Whether the router is asked to open ports."),
    server("UPnPDiscoverWait", Kind::Int, "5", "Seconds to wait for a router."),
    server("UPnPRefreshPeriod", Kind::Int, "60", "Seconds after which ports are asked for again."),
    server("VDEGroup", Kind::Text, "", "Group of a VDE switch."),
    server("VDEPort", Kind::Int, "0", "Port of a VDE switch."),
    host("Address", Kind::Endpoint, "", "Where to dial the node: address or host name, and port.").multiple().reload(Reload::Use),
    both("Cipher", Kind::Text, "aes-256-cbc", "Cipher of packets in the protocol of tinc 1.0."),
    both("ClampMSS", Kind::Bool, "yes", "Whether TCP inside the tunnel is told to send packets that fit.").safe().reload(Reload::On),
    both("Compression", LEVELS, "0", "Compression that this node wants to receive, 0 to 12.").safe(),
    both("Digest", Kind::Text, "sha256", "Digest of packets in the protocol of tinc 1.0."),
    host("Ed25519PublicKey", Kind::Key, "", "The node's public key.").reload(Reload::Use),
    both("Ed25519PublicKeyFile", Kind::Text, "", "File with the node's public key.").reload(Reload::Use),
    both("IndirectData", Kind::Bool, "no", "Whether others reach the node only through its neighbours.").safe().reload(Reload::On),
    both("MACLength", Kind::Int, "4", "Bytes of each digest that are sent in the protocol of tinc 1.0."),
    both("PMTU", Kind::Int, "1518", "Largest frame, in bytes.").reload(Reload::Use),
    both("PMTUDiscovery", Kind::Bool, "yes", "Whether the largest packet that arrives is found out.").reload(Reload::On),
    host("Port", Kind::Text, "655", "TCP and UDP port; 0: any."),
    host("PublicKey", Kind::Text, "", "Public key of tinc 1.0, as a number.").old().reload(Reload::Use),
    both("PublicKeyFile", Kind::Text, "", "File with the public key of tinc 1.0.").old().reload(Reload::Use),
    host("Subnet", Kind::Subnet, "", "Addresses that the node owns.").multiple().safe().reload(Reload::Yes),
    both("TCPOnly", Kind::Bool, "no", "Whether packets travel only inside meta connections.").safe().reload(Reload::On),
    host("Weight", Kind::Int, "", "Weight of the node's connections; measured by default.").safe().reload(Reload::Use),
    server("ClockError", Kind::Int, "0", "Seconds by which this machine's clock may be wrong when statements end.").ours().live(),
    server("DeviceOffload", Kind::Bool, "yes", "Whether large packets are exchanged with the tun/tap device.").ours(),
    server("Extensions", Kind::Text, "yes", "What is used with tinmesh nodes beyond tinc's protocol: yes, no, or names.").ours().live(),
    server("Founder", Kind::Text, "", "Key of a founder; with one, only members that were allowed may join.").multiple().safe().ours().live(),
    server("HostsFile", Kind::Bool, "no", "Whether names of members are put into /etc/hosts.").safe().ours(),
    server("Ifconfig", Kind::Interface, "", "Address of the interface, with the length of the network's prefix.").multiple().safe().ours(),
    server("InterfaceMTU", Kind::Number { min: 576, max: 65_535 }, "", "Largest packet of the interface, in bytes.").safe().ours(),
    server("LegacyWeakCiphers", Kind::Bool, "no", "Whether weak ciphers of tinc 1.0 are used.").ours(),
    server("Lease", Kind::Bool, "no", "Whether members are let in for a day at a time.").safe().ours().live(),
    server("Quorum", Kind::Int, "", "Voices that it takes to let somebody join.").safe().ours().live(),
    server("ReceiveOffload", Kind::Bool, "yes", "Whether several UDP packets are received as one.").ours(),
    server("Relay", Kind::Share, "yes", "Whether packets of others are passed on: yes, no, or how fast, for example 2mbit.").safe().ours().live(),
    server("Route", Kind::Route, "", "Addresses behind the interface, and a gateway if there is one.").multiple().safe().ours(),
    server("SendOffload", Kind::Bool, "yes", "Whether several UDP packets are sent as one.").ours(),
    server("Workers", Kind::Number { min: 1, max: 16 }, "", "Threads that carry packets; half the processors, at most 2, by default.").ours(),
];
