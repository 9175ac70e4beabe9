use tinmesh_core::packet::Packet;

use super::*;
use crate::dice::Dice;

const PORT: u16 = 655;

struct Bench {
    net: Internet,
    dice: Dice,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { net: Internet::new(), dice: Dice::new(1), now: Instant::from_micros(5) }
    }

    fn behind(&mut self, nat: NatId) -> HostId {
        let host = self.net.attach();
        let realm = self.net.inner_realm(nat);
        self.net.move_to(host, realm);
        host
    }

    fn address(&self, host: HostId) -> SocketAddr {
        SocketAddr::new(self.net.host(host).v4.expect("has IPv4").into(), PORT)
    }

    /// Sends a datagram of `len` bytes; tells who got it, and from where.
    fn send(&mut self, from: HostId, to: SocketAddr, len: usize) -> Result<(HostId, SocketAddr), Fate> {
        let packet = Packet::from_payload(&vec![7; len]);
        let mut datagram = self.net.datagram(from, PORT, to, packet).ok_or(Fate::Lost)?;
        match self.net.depart(self.now, &mut datagram.parcel, &mut self.dice) {
            Fate::Travels { .. } => {}
            other @ (Fate::TooBig | Fate::Lost | Fate::Bounced { .. }) => return Err(other),
        }
        match self.net.enter(self.now, &mut datagram.parcel, &mut self.dice) {
            Some((host, Fate::Travels { .. })) => Ok((host, datagram.parcel.from)),
            Some((_, other)) => Err(other),
            None => Err(Fate::Lost),
        }
    }
}

#[test]
fn a_nat_hides_its_insiders_and_lets_answers_in() {
    let mut bench = Bench::new();
    let server = bench.net.attach();
    let nat = bench.net.put_up(Nat::symmetric(), None);
    let inside = bench.behind(nat);
    let (to, seen) = bench.send(inside, bench.address(server), 100).expect("gets out");
    assert_eq!(to, server);
    assert_eq!(seen.ip(), bench.net.nats[0].outer);
    assert_eq!(bench.send(server, seen, 100).expect("gets in").0, inside);
    let stranger = bench.net.attach();
    assert!(matches!(bench.send(stranger, seen, 100), Err(Fate::Lost)));
    assert!(matches!(bench.send(server, bench.address(inside), 100), Err(Fate::Lost)));
}

#[test]
fn nested_nats_translate_twice() {
    let mut bench = Bench::new();
    let server = bench.net.attach();
    let carrier = bench.net.put_up(Nat::full_cone(), None);
    let home = bench.net.put_up(Nat::full_cone(), Some(carrier));
    let inside = bench.behind(home);
    let (_, seen) = bench.send(inside, bench.address(server), 100).expect("gets out");
    assert_eq!(seen.ip(), bench.net.nats[0].outer);
    assert_eq!(bench.send(server, seen, 9).expect("gets in").0, inside);
}

#[test]
fn insiders_meet_at_home_and_by_hairpin_if_there_is_one() {
    for (nat, works) in [(Nat::full_cone(), true), (Nat::full_cone().without_hairpin(), false)] {
        let mut bench = Bench::new();
        let server = bench.net.attach();
        let nat = bench.net.put_up(nat, None);
        let (one, two) = (bench.behind(nat), bench.behind(nat));
        let (_, seen) = bench.send(one, bench.address(server), 1).expect("gets out");
        assert_eq!(bench.send(two, seen, 1).is_ok(), works);
        assert_eq!(bench.send(two, bench.address(one), 1).expect("a neighbour").0, one);
    }
}

#[test]
fn a_narrow_link_bounces_or_swallows_what_is_too_long() {
    let mut bench = Bench::new();
    let (a, b) = (bench.net.attach(), bench.net.attach());
    let to = bench.address(b);
    assert!(matches!(bench.send(a, to, 1473), Err(Fate::TooBig)));
    bench.net.host_mut(b).link.mtu = 1280;
    assert!(matches!(bench.send(a, to, 1253), Err(Fate::Bounced { mtu: 1280 })));
    assert!(bench.send(a, to, 1252).is_ok());
    bench.net.host_mut(b).link.icmp = false;
    assert!(matches!(bench.send(a, to, 1253), Err(Fate::Lost)));
    bench.net.learn_path_mtu(bench.now, a, to.ip(), 1280);
    assert!(matches!(bench.send(a, to, 1253), Err(Fate::TooBig)));
}

#[test]
fn tcp_goes_out_through_a_nat_but_not_in() {
    let mut bench = Bench::new();
    let server = bench.net.attach();
    let nat = bench.net.put_up(Nat::full_cone(), None);
    let inside = bench.behind(nat);
    let (at, insider) = (bench.address(server), bench.address(inside));
    let outer = SocketAddr::new(bench.net.nats[0].outer, PORT);
    let Bench { net, dice, now } = &mut bench;
    assert_eq!(net.call(*now, inside, (None, at), dice).expect("gets out").1.ip(), outer.ip());
    assert!(net.call(*now, server, (None, outer), dice).is_none());
    assert!(net.call(*now, server, (None, insider), dice).is_none());
}

#[test]
fn a_partition_separates_zones_and_a_cut_two_hosts() {
    let mut bench = Bench::new();
    let (a, b, c) = (bench.net.attach(), bench.net.attach(), bench.net.attach());
    bench.net.host_mut(a).zone = 1;
    assert!(!bench.net.passes(a, b) && bench.net.passes(b, c));
    bench.net.host_mut(a).zone = 0;
    bench.net.cut(b, a, Some(Cut::Udp));
    assert!(
        bench.net.passes(a, b)
            && !bench.net.lets_through(a, b, Protocol::Udp)
            && bench.net.lets_through(a, c, Protocol::Udp)
    );
}
