//! The Port Control Protocol and its forerunner NAT-PMP, with the router that the default route leads to (RFC 6887, 6886).

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;
use std::time::Duration;

use crab_nat::{
    GATEWAY_PORT, GatewayAddress, InternetProtocol, PortMapping, PortMappingOptions, PortMappingType, TimeoutConfig,
    natpmp, pcp,
};
use tinmesh_os::udp;
use tokio::time::timeout;
use tracing::debug;

use crate::daemon::log::PROTOCOL;
use crate::daemon::ports::lease::{By, Lease, Together};
use crate::daemon::ports::{Granted, Protocol, Work, default_route, lock};

/// A question is repeated twice: after so long, and twice that.
const TIMES: TimeoutConfig =
    TimeoutConfig { initial_timeout: Duration::from_millis(250), max_retries: 2, max_retry_timeout: None };

/// Whom to ask, and our address there.
#[derive(Clone, Copy)]
struct Way {
    gateway: GatewayAddress,
    local: IpAddr,
}

/// Asks for all that is wanted; `None`: the router does not pass the UDP port on.
pub(super) async fn ask(work: &Work) -> Option<Lease> {
    let way = find()?;
    let mut mapped = Together::default();
    for (protocol, port) in work.wanted(way.local) {
        let asked = timeout(work.settings.discover_wait, ask_for(work, way, protocol, port)).await;
        let asked = asked.unwrap_or_else(|_| Err("no answer".to_owned())).inspect_err(|reason| {
            let router = IpAddr::from(way.gateway);
            debug!(target: PROTOCOL, "[pcp] The router at {router} does not pass {protocol} port {port} on: {reason}");
        });
        if mapped.add(protocol, asked.ok()).is_break() {
            break;
        }
    }
    mapped.lease
}

/// The default route's next router.
fn find() -> Option<Way> {
    let gateway = default_route(IpAddr::is_ipv4)?.gateway?;
    let local = udp::local_address_towards(SocketAddr::new(gateway, GATEWAY_PORT)).ok()?;
    Some(Way { gateway: gateway.into(), local })
}

/// Gets or renews a port.
async fn ask_for(work: &Work, way: Way, protocol: Protocol, port: NonZeroU16) -> Result<Lease, String> {
    let before = known(work, way, protocol, port);
    let (mapping, ip) = request(work, way, protocol, port, before.as_ref()).await?;
    let outer = SocketAddr::new(ip, mapping.external_port().get());
    let (router, by) = (IpAddr::from(way.gateway), by(&mapping));
    let term = Duration::from_secs(mapping.lifetime().into());
    if term.is_zero() {
        return Err("it is closed at once".to_owned());
    }
    if before.is_none() {
        let (ip, outer, name) = (outer.ip(), outer.port(), by.name());
        debug!(target: PROTOCOL, "[pcp] The router at {router} passes {protocol} port {port} on from {ip} port {outer} ({name})");
    }
    let mut granted = lock(&work.granted);
    granted.retain(|granted| !is(granted, way, protocol, port));
    granted.push(Granted::Pcp(mapping));
    Ok(Lease { by, router, local: way.local, outer, term })
}

async fn request(
    work: &Work,
    way: Way,
    protocol: Protocol,
    port: NonZeroU16,
    before: Option<&PortMapping>,
) -> Result<(PortMapping, IpAddr), String> {
    let kind = internet_protocol(protocol);
    let options = PortMappingOptions {
        external_port: Some(before.map_or(port, PortMapping::external_port)),
        lifetime_seconds: Some(work.lease()),
        timeout_config: Some(TIMES),
    };
    let (nonce, ip) = match before.map(PortMapping::mapping_type) {
        Some(PortMappingType::Pcp { nonce, external_ip, .. }) => (Some(nonce), Some(external_ip)),
        Some(PortMappingType::NatPmp) | None => (None, None),
    };
    let base = pcp::BaseMapRequest::new(way.gateway, way.local, kind, port);
    let newer = pcp::port_mapping(base, nonce, ip, options).await;
    let reason = match newer.map(|mapping| (mapping.mapping_type(), mapping)) {
        Ok((PortMappingType::Pcp { external_ip, .. }, mapping)) => return Ok((mapping, external_ip)),
        Ok((PortMappingType::NatPmp, _)) => "an answer of another protocol".to_owned(),
        // Nobody listens there.
        Err(pcp::Failure::Socket(cause)) => return Err(cause.to_string()),
        Err(failure) => failure.to_string(),
    };
    let older = natpmp::port_mapping(way.gateway, kind, port, options).await;
    let mapping = older.map_err(|failure| format!("{reason}; {failure}"))?;
    let ip = natpmp::external_address(way.gateway, Some(TIMES)).await.map_err(|failure| failure.to_string())?;
    Ok((mapping, ip.into()))
}

/// What this router granted before.
fn known(work: &Work, way: Way, protocol: Protocol, port: NonZeroU16) -> Option<PortMapping> {
    let granted = lock(&work.granted);
    granted.iter().find_map(|granted| match granted {
        Granted::Pcp(mapping) if is_mapping(mapping, way, protocol, port) => Some(mapping.clone()),
        Granted::Pcp(_) | Granted::Upnp(_) | Granted::Pinhole(_) => None,
    })
}

/// Whether it is replaced by what was granted for this port: the same port, or a router of another network.
fn is(granted: &Granted, way: Way, protocol: Protocol, port: NonZeroU16) -> bool {
    match granted {
        Granted::Pcp(mapping) => mapping.gateway() != way.gateway || is_mapping(mapping, way, protocol, port),
        Granted::Upnp(_) | Granted::Pinhole(_) => false,
    }
}

fn is_mapping(mapping: &PortMapping, way: Way, protocol: Protocol, port: NonZeroU16) -> bool {
    let same = mapping.protocol() as u8 == internet_protocol(protocol) as u8;
    same && mapping.gateway() == way.gateway && mapping.internal_port() == port
}

const fn internet_protocol(protocol: Protocol) -> InternetProtocol {
    match protocol {
        Protocol::Udp => InternetProtocol::Udp,
        Protocol::Tcp => InternetProtocol::Tcp,
    }
}

fn by(mapping: &PortMapping) -> By {
    match mapping.mapping_type() {
        PortMappingType::NatPmp => By::NatPmp,
        PortMappingType::Pcp { .. } => By::Pcp,
    }
}

pub(super) async fn give_back(mapping: PortMapping) {
    let (protocol, port) = (mapping.protocol(), mapping.internal_port());
    match mapping.try_drop().await {
        Ok(()) => debug!(target: PROTOCOL, "[pcp] The router closes {protocol} port {port}"),
        Err((failure, _)) => debug!(target: PROTOCOL, "[pcp] {protocol} port {port} is not closed: {failure}"),
    }
}
