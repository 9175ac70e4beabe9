//! The UPnP Internet Gateway Device protocol, with the first router that answers.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use igd_next::aio::Gateway;
use igd_next::aio::tokio::{Tokio, search_gateway};
use igd_next::{AddPortError, GatewayIpVersion, PortMappingProtocol, SearchOptions};
use tinmesh_os::udp;
use tracing::debug;

use crate::daemon::log::PROTOCOL;
use crate::daemon::ports::lease::{By, Lease};
use crate::daemon::ports::{Granted, Protocol, Work, lock};

/// A port that was granted.
#[derive(Clone, Debug)]
pub(super) struct Port {
    gateway: Gateway<Tokio>,
    protocol: Protocol,
    port: u16,
}

/// Asks for all that is wanted; `None`: the router does not pass the UDP port on, or does not tell where.
pub(super) async fn ask(work: &Work) -> Option<Lease> {
    let (gateway, local) = find(work)
        .await
        .inspect_err(|reason| debug!(target: PROTOCOL, "[upnp] Unable to find a router that opens ports: {reason}"))
        .ok()?;
    let mut opened = None;
    for (protocol, port) in work.wanted(local) {
        let to = SocketAddr::new(local, port.get());
        if ask_for(work, &gateway, protocol, to).await && protocol == Protocol::Udp {
            opened = opened.or_else(|| Some(port.get()));
        }
    }
    let outer = SocketAddr::new(gateway.get_external_ip().await.ok()?, opened?);
    // The router does not tell whether it shortens the lease.
    let term = Duration::from_secs(work.lease().into());
    Some(Lease { by: By::Upnp, router: gateway.addr.ip(), local, outer, term })
}

/// A router, and this machine's address towards it.
async fn find(work: &Work) -> Result<(Gateway<Tokio>, IpAddr), String> {
    let mut options = SearchOptions::default();
    options.timeout = Some(work.settings.discover_wait);
    options.gateway_ip_version = GatewayIpVersion::V4;
    let gateway = search_gateway(options).await.map_err(|error| error.to_string())?;
    let local = udp::local_address_towards(gateway.addr).map_err(|error| error.to_string())?;
    Ok((gateway, local))
}

async fn ask_for(work: &Work, gateway: &Gateway<Tokio>, protocol: Protocol, to: SocketAddr) -> bool {
    let port = to.port();
    let add = |lease| gateway.add_port(protocol.into(), port, to, lease, &work.description);
    let mut added = add(work.lease()).await;
    if matches!(added, Err(AddPortError::OnlyPermanentLeasesSupported)) {
        // It is asked again all the same, as it may have started anew, and keeps the port no longer than this daemon lives.
        added = add(0).await;
    }
    match added {
        Ok(()) => {
            debug!(target: PROTOCOL, "[upnp] The router at {} passes {protocol} port {port} on", gateway.addr);
            remember(work, Port { gateway: gateway.clone(), protocol, port });
            true
        }
        Err(error) => {
            debug!(target: PROTOCOL, "[upnp] The router refuses {protocol} port {port}: {error}");
            false
        }
    }
}

/// Instead of what was granted for the same port, or by a router of another network.
fn remember(work: &Work, port: Port) {
    let stays = |granted: &Granted| match granted {
        Granted::Upnp(known) => known.gateway.addr == port.gateway.addr && !known.is(port.protocol, port.port),
        Granted::Pcp(_) | Granted::Pinhole(_) => true,
    };
    let mut granted = lock(&work.granted);
    granted.retain(stays);
    granted.push(Granted::Upnp(port));
}

impl Port {
    fn is(&self, protocol: Protocol, port: u16) -> bool {
        (self.protocol, self.port) == (protocol, port)
    }

    pub(super) async fn give_back(self) {
        let Self { gateway, protocol, port } = self;
        match gateway.remove_port(protocol.into(), port).await {
            Ok(()) => debug!(target: PROTOCOL, "[upnp] The router closes {protocol} port {port}"),
            Err(error) => debug!(target: PROTOCOL, "[upnp] {protocol} port {port} is not closed: {error}"),
        }
    }
}

impl From<Protocol> for PortMappingProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Udp => Self::UDP,
            Protocol::Tcp => Self::TCP,
        }
    }
}
