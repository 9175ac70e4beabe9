//! In which network this machine is: its routers tell that, by their addresses of the network and of the link.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use tinmesh_core::punch::memory::NetworkId;
use tinmesh_core::time::Instant;
use tinmesh_os::netlink::Link;

/// Addresses of the Internet, to which nothing is sent.
const FAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// Address and link-layer address of a router.
type Router = (IpAddr, Vec<u8>);
/// How often is looked, and the distance: a router's address of the link is known once something was sent to it.
const TIMES: u8 = 10;
const DISTANCE: Duration = Duration::from_secs(1);

/// When to look next, and how often still.
#[derive(Clone, Copy, Debug)]
pub struct Looking {
    /// When.
    pub at: Instant,
    left: u8,
}

impl Looking {
    /// Now, and some more times.
    pub const fn for_network(at: Instant) -> Self {
        Self { at, left: TIMES }
    }

    /// Whether this is the last time.
    pub const fn is_last(self) -> bool {
        self.left <= 1
    }

    /// Later; `None`: this was the last time.
    pub fn next(self, now: Instant) -> Option<Self> {
        (!self.is_last()).then(|| Self { at: now + DISTANCE, left: self.left - 1 })
    }
}

/// What tells this network from others; `None`: no router is known, as on a line from point to point, or not yet. With `now`
/// the router of one family must do if the other's address of the link is not known.
pub fn identify(now: bool) -> Option<NetworkId> {
    let mut link = Link::open().ok()?;
    let [v4, v6] = FAR.map(|far| router_towards(&mut link, far));
    let routers = if now { [v4.ok().flatten(), v6.ok().flatten()] } else { [v4.ok()?, v6.ok()?] };
    routers.iter().any(Option::is_some).then(|| id_of(&routers))
}

/// The next router towards an address, if there is one.
fn router_towards(link: &mut Link, far: IpAddr) -> io::Result<Option<Router>> {
    // Without a route there is no router of this family.
    let Ok(route) = link.route_towards(far) else { return Ok(None) };
    let Some((gateway, interface)) = route.gateway.zip(route.interface) else { return Ok(None) };
    match link.neighbour(gateway, interface)? {
        Some(address) => Ok(Some((gateway, address))),
        None => Err(io::ErrorKind::NotFound.into()),
    }
}

/// Good for as long as this program runs.
fn id_of(routers: &[Option<Router>; 2]) -> NetworkId {
    let mut hasher = DefaultHasher::new();
    routers.hash(&mut hasher);
    NetworkId(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routers_with_one_address_are_told_apart_by_that_of_the_link() {
        let router = |last| Some((IpAddr::from([192, 168, 1, 1]), vec![2, 0, 0, 0, 0, last]));
        assert_eq!(id_of(&[router(1), None]), id_of(&[router(1), None]));
        assert_ne!(id_of(&[router(1), None]), id_of(&[router(2), None]));
        assert_ne!(id_of(&[router(1), None]), id_of(&[router(1), Some((FAR[1], vec![1]))]));
    }

    #[test]
    fn it_is_looked_ten_times() {
        let mut looking = Some(Looking::for_network(Instant::ZERO));
        let mut times = 0;
        while let Some(now) = looking {
            times += 1;
            looking = now.next(now.at);
        }
        assert_eq!(times, TIMES);
    }
}
