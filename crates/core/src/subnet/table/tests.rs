use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn name(id: PeerId) -> NodeName {
    NodeName::parse(&format!("n{}", 9 - id.0)).unwrap()
}

fn subnet(text: &str) -> Subnet {
    Subnet::parse(text).unwrap()
}

fn v4(text: &str) -> Address {
    Address::V4(text.parse().unwrap())
}

/// Few distinct bits, so that prefixes meet.
fn any_subnet() -> impl Strategy<Value = Subnet> {
    let address = prop_oneof![
        (0u8..4).prop_map(|last| Address::Mac([0, 0, 0, 0, last % 2, last])),
        vec(prop_oneof![Just(0u8), Just(1), Just(0x80)], 4)
            .prop_map(|b| Address::V4(Ipv4Addr::new(b[0], b[1], b[2], b[3]))),
        vec(prop_oneof![Just(0u8), Just(0x80)], 16)
            .prop_map(|b| Address::V6(Ipv6Addr::from(<[u8; 16]>::try_from(b).unwrap()))),
    ];
    (address, 0u8..=128, -1i32..2).prop_map(|(address, prefix, weight)| {
        let prefix = if matches!(address, Address::Mac(_)) { 48 } else { prefix % (address.bits() + 1) };
        Subnet::new(address, prefix, weight).unwrap()
    })
}

/// The rule as it is written: walk all subnets in order.
fn scan(table: &BTreeSet<(Subnet, Option<NodeName>, Option<PeerId>)>, address: &Address, up: u8) -> Option<Owner> {
    let mut last = None;
    for (_, _, owner) in table.iter().filter(|(subnet, ..)| subnet.covers(address)) {
        match *owner {
            None => return Some(Owner::Broadcast),
            Some(id) if up >> id.0 & 1 != 0 => return Some(Owner::Peer { id, reachable: true }),
            Some(id) => last = Some(Owner::Peer { id, reachable: false }),
        }
    }
    last
}

proptest! {
    #[test]
    fn a_node_holds_what_one_of_its_subnets_covers(
        subnets in vec((any_subnet(), 0u32..4), 0..60),
        probes in vec(any_subnet(), 20),
    ) {
        let mut table = SubnetTable::default();
        for (subnet, owner) in &subnets {
            table.insert(*subnet, Some(PeerId(*owner)), &name(PeerId(*owner)));
        }
        for address in probes.iter().map(Subnet::address).chain(subnets.iter().map(|(subnet, _)| subnet.address())) {
            for peer in 0..4 {
                let covers = subnets.iter().any(|(subnet, owner)| *owner == peer && subnet.covers(&address));
                prop_assert_eq!(table.holds(PeerId(peer), &address), covers, "{:?} of {}", address, peer);
            }
        }
    }
}

proptest! {
    #[test]
    fn a_lookup_finds_what_a_scan_finds(
        changes in vec((any_subnet(), prop::option::of(0u32..5), any::<bool>()), 0..60),
        probes in vec(any_subnet(), 20),
        up: u8,
    ) {
        let mut table = SubnetTable::default();
        let mut model = BTreeSet::new();
        for (subnet, owner, add) in changes {
            let owner = owner.map(PeerId);
            let owner_name = owner.map(name);
            let before = table.clone();
            let changed = if add {
                prop_assert_eq!(table.insert(subnet, owner, &name(owner.unwrap_or(PeerId::ME))), !before.contains(&subnet, owner));
                model.insert((subnet, owner_name, owner))
            } else {
                let victim = model.iter().next().map_or((subnet, owner_name, owner), Clone::clone);
                prop_assert_eq!(table.remove(&victim.0, victim.2), model.contains(&victim));
                model.remove(&victim)
            };
            let expected = before.iter().count();
            let now = table.iter().count();
            prop_assert_eq!(now.abs_diff(expected), usize::from(changed));
            prop_assert_eq!(table.len(), now);
        }
        let listed: Vec<_> = table.iter().collect();
        prop_assert_eq!(listed, model.iter().map(|(subnet, _, owner)| (*subnet, *owner)).collect::<Vec<_>>());
        for probe in probes.iter().map(Subnet::address).chain(model.iter().map(|(subnet, ..)| subnet.address())) {
            let found = table.lookup(&probe, |id| up >> id.0 & 1 != 0);
            prop_assert_eq!(found, scan(&model, &probe, up), "{}", probe);
        }
    }
}

#[test]
fn the_longest_prefix_of_a_reachable_owner_wins() {
    let mut table = SubnetTable::default();
    for (text, id) in [("10.0.0.0/8", 1), ("10.9.0.0/16#5", 2), ("10.9.0.0/16#20", 3), ("10.9.1.1", 4)] {
        assert!(table.insert(subnet(text), Some(PeerId(id)), &name(PeerId(id))));
    }
    let peer = |id, reachable| Some(Owner::Peer { id: PeerId(id), reachable });
    let lookup = |text: &str, up: &[u32]| table.lookup(&v4(text), |id| up.contains(&id.0));

    assert_eq!(lookup("10.9.1.1", &[1, 2, 3, 4]), peer(4, true));
    assert_eq!(lookup("10.9.1.1", &[1, 2, 3]), peer(2, true));
    assert_eq!(lookup("10.9.1.1", &[1, 3]), peer(3, true));
    assert_eq!(lookup("10.9.1.1", &[1]), peer(1, true));
    assert_eq!(lookup("10.9.1.1", &[]), peer(1, false));
    assert_eq!(lookup("10.9.1.2", &[]), peer(1, false));
    assert_eq!(lookup("11.9.1.2", &[1]), None);
}

#[test]
fn the_default_broadcast_ranges_belong_to_everyone() {
    let mut table = SubnetTable::default();
    for subnet in Subnet::broadcast_defaults() {
        table.insert(subnet, None, &name(PeerId::ME));
    }
    table.insert(subnet("224.0.0.0/4"), Some(PeerId(1)), &name(PeerId(1)));
    let lookup = |address: Address| table.lookup(&address, |_| true);

    assert_eq!(lookup(Address::Mac([0xff; 6])), Some(Owner::Broadcast));
    assert_eq!(lookup(v4("255.255.255.255")), Some(Owner::Broadcast));
    assert_eq!(lookup(v4("224.0.0.251")), Some(Owner::Broadcast));
    assert_eq!(lookup(Address::V6("ff02::1".parse().unwrap())), Some(Owner::Broadcast));
    assert_eq!(lookup(v4("10.0.0.1")), None);
}

#[test]
fn a_change_leaves_earlier_clones_alone() {
    let mut table = SubnetTable::default();
    table.insert(subnet("10.1.0.0/16"), Some(PeerId(1)), &name(PeerId(1)));
    let snapshot = table.clone();

    table.remove(&subnet("10.1.0.0/16"), Some(PeerId(1)));
    table.insert(subnet("10.1.2.3"), Some(PeerId(2)), &name(PeerId(2)));

    assert_eq!(snapshot.lookup(&v4("10.1.2.3"), |_| true), Some(Owner::Peer { id: PeerId(1), reachable: true }));
    assert_eq!((snapshot.of(PeerId(1)).count(), snapshot.count_of(PeerId(1))), (1, 1));
    assert_eq!((table.of(PeerId(1)).count(), table.count_of(PeerId(1))), (0, 0));
}
