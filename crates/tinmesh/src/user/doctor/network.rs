//! What can be said of the network that this machine is in.

use std::net::{IpAddr, SocketAddr};

use super::{Check, State};
use crate::control::dump::paths::PathLine;
use crate::control::dump::{ExaminationLine, HindranceLine};
use crate::user::mapping::PortMapping;
use crate::user::reasons::TCP_ONLY_HERE;
use crate::user::status::{Path, Status};

/// NATs that forget a path after so many seconds are worth a remark: conforming ones take two minutes.
const SHORT: u64 = 30;

/// What other nodes see of this one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) asked: u32,
    pub(super) at: Vec<(String, SocketAddr)>,
    pub(super) forgives: bool,
}

impl Seen {
    pub(super) fn of(lines: &[ExaminationLine]) -> Self {
        let mut seen = Self::default();
        for line in lines {
            match line {
                ExaminationLine::Seen { node, address } => seen.at.push((node.clone(), *address)),
                ExaminationLine::Asked(asked, forgives) => (seen.asked, seen.forgives) = (*asked, *forgives),
            }
        }
        seen
    }

    /// Whether it is seen at addresses that it does not have; `None`: not known.
    pub(super) fn is_translated(&self, own: &[IpAddr]) -> Option<bool> {
        let (_, first) = self.at.first()?;
        Some(!own.contains(&first.ip()))
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses: Vec<SocketAddr> = self.at.iter().map(|(_, address)| *address).collect();
        addresses.sort();
        addresses.dedup();
        addresses
    }
}

/// Whether UDP gets anywhere.
pub(super) fn datagrams(status: &Status, hindrances: &[HindranceLine]) -> Check {
    if hindrances.iter().any(|line| line.word == TCP_ONLY_HERE) {
        let says = "not used: TCPOnly is set on this machine".to_owned();
        return Check::new("UDP", State::Note, says).advise("sudo tinmesh del TCPOnly, then down and up");
    }
    let used = |peer: &&crate::user::status::Peer| peer.reachable && !matches!(peer.path, Path::Idle { .. });
    let used: Vec<_> = status.peers.iter().filter(used).collect();
    let straight = used.iter().filter(|peer| matches!(peer.path, Path::Udp { .. })).count();
    let says = format!("{straight} of {} nodes that packets go to are reached straight by UDP", used.len());
    if used.is_empty() {
        let says = "not known: there were no packets for other nodes lately".to_owned();
        Check::new("UDP", State::Unknown, says).advise("ping another node, and ask again")
    } else if straight > 0 {
        Check::new("UDP", State::Good, says)
    } else {
        Check::new("UDP", State::Bad, format!("{says}: it may be blocked here"))
            .advise(format!("let UDP out, and answers in; better, open UDP port {}", status.port))
    }
}

/// How the NAT gives ports.
pub(super) fn nat(seen: &Seen, own: &[IpAddr], port: &str) -> Check {
    let addresses = seen.addresses();
    let list: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let Some(translated) = seen.is_translated(own) else {
        let says = if seen.asked == 0 {
            "not known: no node that is reached straight by UDP could be asked"
        } else {
            "not known: the nodes that were asked did not answer"
        };
        return Check::new("NAT", State::Unknown, says.to_owned());
    };
    match (translated, addresses.as_slice()) {
        (false, _) => Check::new("NAT", State::Good, format!("none: others see this machine at {}", list.join(", "))),
        (true, [_]) if seen.at.len() > 1 => {
            let says = format!("one outer port for all ({}): direct paths are found at once", list.join(", "));
            Check::new("NAT", State::Good, says)
        }
        (true, [_]) => {
            let says = format!("there is one, seen at {}; it takes two nodes to say more", list.join(", "));
            Check::new("NAT", State::Note, says)
        }
        (true, _) => {
            let says = format!("another outer port for each destination ({}): ports must be guessed", list.join(", "));
            Check::new("NAT", State::Note, says)
                .advise(format!("pass UDP port {port} on in the router, or set UPnP = udponly"))
        }
    }
}

/// Whom the NAT, or a firewall, lets in.
pub(super) fn filter(seen: &Seen) -> Check {
    if seen.at.is_empty() {
        Check::new("filter", State::Unknown, "not known".to_owned())
    } else if seen.forgives {
        Check::new("filter", State::Good, "answers from other ports get in".to_owned())
    } else {
        Check::new("filter", State::Note, "only answers from where it was written to get in".to_owned())
    }
}

/// How long NATs and firewalls let paths be silent; `paths` are those of the daemon.
pub(super) fn lifetime(paths: &[PathLine]) -> Check {
    let topic = "mapping lifetime";
    let direct = || paths.iter().filter(|path| path.direct);
    let learnt = || direct().filter_map(|path| path.lifetime.map(|lifetime| (path, lifetime)));
    let Some(interval) = learnt().map(|(path, _)| path.keepalive).min() else {
        let says = match direct().map(|path| path.keepalive).min() {
            Some(interval) => format!("not looked for; a packet every {interval} s keeps paths open"),
            None => "not known: no node is reached straight by UDP".to_owned(),
        };
        return Check::new(topic, State::Unknown, says);
    };
    let learning =
        if learnt().any(|(_, lifetime)| lifetime.learning) { "; longer silences are being tried" } else { "" };
    let keeps = format!("a packet every {interval} s keeps the path open");
    let shortest = learnt().filter_map(|(path, lifetime)| Some((lifetime.fell?, lifetime.stood, &path.node))).min();
    if let Some((fell, stood, node)) = shortest {
        let state = if fell <= SHORT { State::Note } else { State::Good };
        let says = format!("the path to {node} is forgotten after {stood} to {fell} s of silence; {keeps}{learning}");
        return Check::new(topic, state, says);
    }
    match learnt().map(|(_, lifetime)| lifetime.stood).min() {
        Some(0) | None => Check::new(topic, State::Unknown, format!("not known yet; {keeps}{learning}")),
        Some(stood) => Check::new(topic, State::Good, format!("{stood} s of silence do no harm; {keeps}{learning}")),
    }
}

/// What routers pass on; `asked` is empty if none is asked, `None` if the daemon does not tell.
pub(super) fn port_mapping(asked: Option<&[PortMapping]>, translated: Option<bool>, port: &str, now: u64) -> Check {
    let topic = "port mapping";
    let Some(asked) = asked else {
        return Check::new(topic, State::Unknown, "not known: the daemon does not tell".to_owned());
    };
    let says: Vec<String> = asked.iter().filter_map(|mapping| mapping.says(now)).collect();
    let failures = asked.iter().map(|mapping| mapping.failures).max();
    match (failures, translated) {
        _ if asked.iter().any(|mapping| mapping.usable == Some(true)) => {
            Check::new(topic, State::Good, says.join("; "))
        }
        _ if !says.is_empty() => {
            let says = format!("{}: that router is itself behind a NAT, so it is of no use", says.join("; "));
            Check::new(topic, State::Note, says)
        }
        (Some(0), _) => Check::new(topic, State::Unknown, "routers were asked just now".to_owned()),
        (_, Some(false)) => Check::new(topic, State::Good, "not needed".to_owned()),
        (Some(times), _) => {
            Check::new(topic, State::Note, format!("no router passes the port on (asked in vain: {times})"))
                .advise(format!("let the router open ports (UPnP, NAT-PMP or PCP), or pass UDP port {port} on in it"))
        }
        (None, _) => Check::new(topic, State::Note, "the router is not asked".to_owned())
            .advise("sudo tinmesh set UPnP udponly, then down and up, if it is your router"),
    }
}

/// What sizes get through.
pub(super) fn path_mtu(status: &Status) -> Check {
    let known: Vec<u32> = status.peers.iter().filter_map(|peer| peer.mtu).collect();
    let (Some(least), Some(most)) = (known.iter().min(), known.iter().max()) else {
        return Check::new("path MTU", State::Unknown, "not known: no direct path was searched yet".to_owned());
    };
    let sizes = if least == most { format!("{least} bytes") } else { format!("{least} to {most} bytes, by node,") };
    let state = if *least < 1_280 { State::Note } else { State::Good };
    Check::new("path MTU", state, format!("IP packets of up to {sizes} go in one datagram, found by probes"))
}
