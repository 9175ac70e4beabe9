//! What a router has granted, and when it is asked again. Time comes in, nothing is sent.
//!
//! ```text
//!  granted ─ half of the lease, at most the period ─► asked ─ granted ─► from the start
//!                                                       └─ not ─► half of what is left ─► asked …
//!  lease over, or never granted ─ the period ─► asked ─ not ─► twice as long, up to an hour ─► asked …
//! ```

use std::net::{IpAddr, SocketAddr};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tinmesh_core::wire::endpoint::Endpoints;

use crate::daemon::ports::Protocol;
use crate::user::outside::Reach;

/// Routers are not asked again faster than this.
pub(super) const CALM: Duration = Duration::from_secs(1);
/// Routers that do not grant anything are asked at least so often, if the period is not longer.
const RARELY: Duration = Duration::from_secs(3_600);

/// How the router was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Port Control Protocol.
    Pcp,
    /// NAT Port Mapping Protocol.
    NatPmp,
    /// UPnP Internet Gateway Device.
    Upnp,
}

/// The UDP port that a router passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// How it was asked.
    pub by: By,
    /// Its address.
    pub router: IpAddr,
    /// Our address, to which it passes datagrams on.
    pub local: IpAddr,
    /// Where the port is outside, as it says.
    pub outer: SocketAddr,
    /// How long it passes them on, from when it said so.
    pub term: Duration,
}

/// What a router grants for several ports.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// That of the first UDP port, until the first of them ends.
    pub(super) lease: Option<Lease>,
}

/// How it stands with the routers of one family of addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// What is passed on, and until when.
    pub held: Option<(Lease, Instant)>,
    /// How often routers were asked in vain since they last granted something.
    pub failures: u32,
}

/// Decides when to ask, and what holds meanwhile.
#[derive(Debug)]
pub(super) struct Keeper {
    period: Duration,
    standing: Standing,
}

impl By {
    /// Its usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcp => "PCP",
            Self::NatPmp => "NAT-PMP",
            Self::Upnp => "UPnP",
        }
    }
}

impl Lease {
    /// The address outside, if others can use it: a router that is behind another NAT tells one that they cannot.
    pub fn told(&self) -> Option<SocketAddr> {
        let usable = Reach::of(self.outer.ip()) == Reach::Everywhere && Endpoints::default().with(self.outer).is_some();
        usable.then_some(self.outer)
    }
}

impl Together {
    /// Takes what was granted for another port. Without a UDP port nothing else is worth asking for.
    pub(super) fn add(&mut self, protocol: Protocol, granted: Option<Lease>) -> ControlFlow<()> {
        match (granted, &mut self.lease) {
            (Some(lease), Some(first)) => first.term = first.term.min(lease.term),
            (Some(lease), None) => self.lease = Some(lease).filter(|_| protocol == Protocol::Udp),
            (None, _) if protocol == Protocol::Udp => return ControlFlow::Break(()),
            (None, _) => {}
        }
        ControlFlow::Continue(())
    }
}

impl Standing {
    /// The address that others are to be told.
    pub fn told(&self) -> Option<SocketAddr> {
        self.held.as_ref().and_then(|(lease, _)| lease.told())
    }
}

impl Keeper {
    /// One that has not asked yet; granted ports are renewed once in a `period`, or sooner.
    pub(super) fn new(period: Duration) -> Self {
        Self { period, standing: Standing::default() }
    }

    pub(super) const fn standing(&self) -> &Standing {
        &self.standing
    }

    pub(super) fn on_granted(&mut self, lease: Lease, now: Instant) {
        let until = now + lease.term;
        self.standing = Standing { held: Some((lease, until)), failures: 0 };
    }

    /// What was granted holds until its end, but not for another address of ours: `still` tells whether it is ours.
    pub(super) fn on_failed(&mut self, now: Instant, still: impl FnOnce(&Lease) -> bool) {
        let standing = &mut self.standing;
        standing.failures = standing.failures.saturating_add(1);
        if standing.held.as_ref().is_some_and(|(lease, until)| *until <= now || !still(lease)) {
            *standing = Standing { held: None, failures: 1 };
        }
    }

    /// The network is another: what failed in the former one does not count.
    pub(super) const fn on_other_network(&mut self) {
        self.standing.failures = 0;
    }

    /// How long to wait before routers are asked again.
    pub(super) fn wait(&self, now: Instant) -> Duration {
        match &self.standing.held {
            Some((_, until)) => {
                let left = until.saturating_duration_since(now);
                left.min((left / 2).max(CALM)).min(self.period)
            }
            None => {
                let doublings = self.standing.failures.saturating_sub(1).min(16);
                (self.period * 2_u32.pow(doublings)).min(RARELY.max(self.period))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn lease(term: u64) -> Lease {
        let (router, local) = ("192.168.1.1".parse().unwrap(), "192.168.1.100".parse().unwrap());
        let outer = "11.0.0.1:655".parse().unwrap();
        Lease { by: By::Pcp, router, local, outer, term: Duration::from_secs(term) }
    }

    /// The seconds after which routers are asked, from when `term` seconds were granted, while they are silent.
    fn asked(term: u64) -> (Vec<u64>, Keeper) {
        let (start, mut keeper) = (Instant::now(), Keeper::new(MINUTE));
        keeper.on_granted(lease(term), start);
        let (mut now, mut times) = (start, Vec::new());
        while keeper.standing().held.is_some() {
            now += keeper.wait(now);
            times.push((now - start).as_secs());
            keeper.on_failed(now, |_| true);
        }
        (times, keeper)
    }

    #[test]
    fn silent_routers_are_asked_again_and_again_until_the_lease_ends_and_it_holds_until_then() {
        assert_eq!(asked(120).0, [60, 90, 105, 112, 116, 118, 119, 120]);
        assert_eq!(asked(300).0[..4], [60, 120, 180, 240], "a long lease is renewed once in the period");
    }

    #[test]
    fn a_short_lease_is_renewed_at_half_of_it() {
        assert_eq!(asked(20).0[0], 10);
        assert_eq!(asked(2).0[..2], [1, 2]);
        assert_eq!(asked(0).0, [0], "and what is over at once is not kept");
    }

    #[test]
    fn routers_that_grant_nothing_are_asked_less_and_less_often() {
        let (now, mut keeper) = (Instant::now(), Keeper::new(MINUTE));
        let mut waits = || {
            keeper.on_failed(now, |_| true);
            keeper.wait(now).as_secs() / 60
        };
        let waits: Vec<u64> = (0..8).map(|_| waits()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        keeper.on_other_network();
        keeper.on_failed(now, |_| true);
        assert_eq!(keeper.wait(now), MINUTE, "another network is another chance");
        for _ in 0..100 {
            keeper.on_failed(now, |_| true);
        }
        assert_eq!(keeper.wait(now), RARELY);
    }

    #[test]
    fn ports_that_are_granted_together_end_with_the_first() {
        let mut granted = Together::default();
        assert!(granted.add(Protocol::Tcp, Some(lease(9))).is_continue() && granted.lease.is_none());
        assert!(granted.add(Protocol::Udp, Some(lease(7))).is_continue());
        assert!(granted.add(Protocol::Tcp, None).is_continue(), "TCP is not missed");
        assert!(granted.add(Protocol::Tcp, Some(lease(5))).is_continue());
        assert!(granted.add(Protocol::Udp, None).is_break());
        assert_eq!(granted.lease, Some(lease(5)));
    }

    #[test]
    fn the_end_of_a_lease_begins_the_back_off_anew() {
        let (_, keeper) = asked(120);
        assert_eq!(keeper.standing(), &Standing { held: None, failures: 1 });
        assert_eq!(keeper.wait(Instant::now()), MINUTE);
    }

    #[test]
    fn a_lease_for_an_address_that_this_machine_no_longer_has_does_not_hold() {
        let (now, mut keeper) = (Instant::now(), Keeper::new(MINUTE));
        keeper.on_granted(lease(120), now);
        keeper.on_failed(now + MINUTE, |lease| lease.local.to_string() != "192.168.1.100");
        assert_eq!(keeper.standing().told(), None);
    }

    #[test]
    fn only_addresses_that_others_can_use_are_told() {
        let told = |outer: &str| Lease { outer: outer.parse().unwrap(), ..lease(1) }.told().is_some();
        assert!(told("11.0.0.1:655") && told("100.128.0.1:655") && told("[2001:db8::1]:655"));
        for wrong in ["10.1.2.3:1", "172.16.0.1:1", "192.168.1.1:1", "169.254.1.1:1", "100.64.0.1:1", "0.0.0.0:1"] {
            assert!(!told(wrong), "{wrong}");
        }
        for wrong in ["127.0.0.1:1", "11.0.0.1:0", "[::1]:1", "[fe80::1]:1", "[fd00::1]:1"] {
            assert!(!told(wrong), "{wrong}");
        }
    }
}
