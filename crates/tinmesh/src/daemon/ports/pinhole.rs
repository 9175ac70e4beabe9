//! Holes in the firewall of the IPv6 router that the default route leads to, by the Port Control Protocol (RFC 6887).
//!
//! Routers let packets in for the address that asks only, so the question must come from our global one, though they are asked
//! at one of the link. `crab_nat` leaves the choice to the system, which takes one of the link too.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::num::NonZeroU16;
use std::time::Duration;

use tinmesh_core::wire::pcp::{Answer, LEN, Map};
use tinmesh_os::{process, udp};
use tokio::net::UdpSocket;
use tokio::time::timeout;
use tracing::debug;

use crate::daemon::log::PROTOCOL;
use crate::daemon::ports::lease::{By, Lease, Together};
use crate::daemon::ports::{Granted, Protocol, Work, default_route, lock};
use crate::user::outside::Reach;

/// Where routers listen.
const PORT: u16 = 5351;
/// How long each of the questions waits for its answer.
const WAITS: [Duration; 3] = [Duration::from_millis(250), Duration::from_millis(500), Duration::from_millis(1_000)];
/// The longest answer, in bytes (RFC 6887, 7).
const LONGEST: usize = 1_100;
/// An address of the Internet, to which nothing is sent.
const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);

/// Whom to ask, and from where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Way {
    router: SocketAddrV6,
    local: Ipv6Addr,
}

/// A port that packets are let in for.
#[derive(Clone, Debug)]
pub(super) struct Hole {
    way: Way,
    map: Map,
}

/// Asks for all that is wanted; `None`: the router does not let packets for the UDP port in.
pub(super) async fn ask(work: &Work) -> Option<Lease> {
    let way = find()?;
    let mut opened = Together::default();
    for (protocol, port) in work.wanted(IpAddr::V6(way.local)) {
        let asked = ask_for(work, way, protocol, port).await.inspect_err(|reason| {
            let router = way.router;
            debug!(target: PROTOCOL, "[pcp] The router at {router} does not let {protocol} port {port} in: {reason}");
        });
        if opened.add(protocol, asked.ok()).is_break() {
            break;
        }
    }
    opened.lease
}

/// The address by which this machine speaks with the Internet.
pub(super) fn own_address() -> Option<IpAddr> {
    let own = udp::local_address_towards(SocketAddr::new(IpAddr::V6(FAR), PORT)).ok()?;
    Some(own).filter(|own| Reach::of(*own) == Reach::Everywhere)
}

/// The default route's next router.
fn find() -> Option<Way> {
    let Some(IpAddr::V6(local)) = own_address() else { return None };
    let route = default_route(IpAddr::is_ipv6)?;
    let Some(IpAddr::V6(router)) = route.gateway else { return None };
    Some(Way { router: SocketAddrV6::new(router, PORT, 0, route.interface?), local })
}

/// Gets or renews a port.
async fn ask_for(work: &Work, way: Way, protocol: Protocol, port: NonZeroU16) -> Result<Lease, String> {
    let before = known(work, way, protocol, port);
    let map = match &before {
        Some(hole) => hole.map,
        None => wish(way, protocol, port).map_err(|error| error.to_string())?,
    };
    let answer = exchange(way, &map, work.lease()).await.map_err(|error| error.to_string())?;
    if answer.result != 0 || answer.lifetime == 0 {
        return Err(format!("its answer is {}, for {} s", answer.result, answer.lifetime));
    }
    if before.is_none() {
        debug!(target: PROTOCOL, "[pcp] The router at {} lets {protocol} port {port} in", way.router);
    }
    let hole = Hole { way, map: Map { outer: answer.map.outer, ..map } };
    let mut granted = lock(&work.granted);
    granted
        .retain(|granted| !matches!(granted, Granted::Pinhole(known) if known.way != way || known.map.is_same(&map)));
    granted.push(Granted::Pinhole(hole));
    let term = Duration::from_secs(answer.lifetime.into());
    let (router, local) = (IpAddr::V6(*way.router.ip()), IpAddr::V6(way.local));
    Ok(Lease { by: By::Pcp, router, local, outer: SocketAddr::V6(answer.map.outer), term })
}

/// What was granted before, with the nonce that the router wants to see again.
fn known(work: &Work, way: Way, protocol: Protocol, port: NonZeroU16) -> Option<Hole> {
    let is = |hole: &&Hole| (hole.way, hole.map.protocol, hole.map.port) == (way, number(protocol), port.get());
    let granted = lock(&work.granted);
    let mut holes = granted.iter().filter_map(|granted| match granted {
        Granted::Pinhole(hole) => Some(hole),
        Granted::Pcp(_) | Granted::Upnp(_) => None,
    });
    holes.find(is).cloned()
}

/// Our own port, with a nonce that nobody guesses.
fn wish(way: Way, protocol: Protocol, port: NonZeroU16) -> std::io::Result<Map> {
    let mut nonce = [0; 12];
    process::random_bytes(&mut nonce)?;
    let outer = SocketAddrV6::new(way.local, port.get(), 0, 0);
    Ok(Map { nonce, protocol: number(protocol), port: port.get(), outer })
}

/// Asks until there is an answer to this question.
async fn exchange(way: Way, map: &Map, lifetime: u32) -> std::io::Result<Answer> {
    let socket = UdpSocket::bind(SocketAddrV6::new(way.local, 0, 0, 0)).await?;
    socket.connect(way.router).await?;
    let request: [u8; LEN] = map.request(way.local, lifetime);
    for wait in WAITS {
        socket.send(&request).await?;
        if let Ok(answer) = timeout(wait, hear(&socket, map)).await {
            return answer;
        }
    }
    Err(std::io::ErrorKind::TimedOut.into())
}

async fn hear(socket: &UdpSocket, map: &Map) -> std::io::Result<Answer> {
    let mut bytes = [0; LONGEST];
    loop {
        let len = socket.recv(&mut bytes).await?;
        let answer = bytes.get(..len).and_then(Answer::parse).filter(|answer| answer.map.is_same(map));
        if let Some(answer) = answer {
            return Ok(answer);
        }
    }
}

const fn number(protocol: Protocol) -> u8 {
    match protocol {
        Protocol::Udp => 17,
        Protocol::Tcp => 6,
    }
}

impl Hole {
    /// Closes it. miniupnpd 2.3.1 refuses that once a hole was renewed (result 2), but lets its lease be cut to a second.
    pub(super) async fn give_back(self) {
        let Self { way, map } = self;
        let mut outcome = exchange(way, &map, 0).await;
        if outcome.as_ref().is_ok_and(|answer| answer.result != 0) {
            outcome = exchange(way, &map, 1).await;
        }
        let (protocol, port) = (map.protocol, map.port);
        match outcome.map(|answer| answer.result) {
            Ok(0) => debug!(target: PROTOCOL, "[pcp] The router closes port {port} of protocol {protocol}"),
            Ok(result) => {
                debug!(target: PROTOCOL, "[pcp] Port {port} of protocol {protocol} is not closed: its answer is {result}");
            }
            Err(error) => debug!(target: PROTOCOL, "[pcp] Port {port} of protocol {protocol} is not closed: {error}"),
        }
    }
}
