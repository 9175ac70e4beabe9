//! Free addresses for new members: the same host number in each of the network's ranges.
//!
//! A network's ranges are those of the addresses that its members give to their own interfaces. The search begins at a
//! random place, so that two members who invite at the same time hardly ever choose the same.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::subnet::{Address, Subnet};

use crate::config::edit;
use crate::config::kind::{self, Range};
use crate::files::invitations::Outstanding;

/// More host numbers than this are not used: short addresses are easier to type.
const MAX_BITS: u8 = 16;

/// The address with the given number in a range; `number` must fit into its host part.
pub fn nth(range: &Range, number: u32) -> IpAddr {
    match range.0 {
        IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() & mask_v4(range.1) | number).into(),
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & mask_v6(range.1) | u128::from(number)).into(),
    }
}

fn mask_v4(prefix: u8) -> u32 {
    u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

fn mask_v6(prefix: u8) -> u128 {
    u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into())).unwrap_or(0)
}

/// Whether two ranges have an address in common.
pub fn overlap(one: &Range, other: &Range) -> bool {
    let prefix = one.1.min(other.1);
    one.0.is_ipv4() == other.0.is_ipv4() && nth(&(one.0, prefix), 0) == nth(&(other.0, prefix), 0)
}

/// Addresses that are not free.
#[derive(Debug, Default)]
pub struct Taken {
    single: BTreeSet<IpAddr>,
    wide: Vec<Subnet>,
}

impl Taken {
    /// Nodes own `subnets`, and `invitations` promise addresses to others.
    pub fn new(subnets: impl IntoIterator<Item = Subnet>, invitations: &[Outstanding]) -> Self {
        let mut taken = Self::default();
        subnets.into_iter().for_each(|subnet| taken.insert(subnet));
        for invitation in invitations {
            let promised = edit::values(&invitation.text, "Ifconfig").into_iter().filter_map(|text| kind::range(&text));
            taken.single.extend(promised.map(|(address, _)| address));
            let own = invitation.own_part();
            let subnets = edit::values(own, "Subnet").into_iter().filter_map(|text| kind::subnet(&text).ok());
            subnets.for_each(|subnet| taken.insert(subnet));
        }
        taken
    }

    fn insert(&mut self, subnet: Subnet) {
        let single = match subnet.address() {
            Address::V4(ip) => Some(IpAddr::V4(ip)),
            Address::V6(ip) => Some(IpAddr::V6(ip)),
            Address::Mac(_) => return,
        };
        match single.filter(|_| subnet.prefix() == subnet.address().bits()) {
            Some(address) => drop(self.single.insert(address)),
            None => self.wide.push(subnet),
        }
    }

    /// Whether `address` belongs to somebody; who owns all of `range`, or more, is a way out and not a member in it.
    fn covers(&self, address: IpAddr, range: &Range) -> bool {
        let in_wide = |subnet: &Subnet| subnet.prefix() > range.1 && subnet.covers(&address.into());
        self.single.contains(&address) || self.wide.iter().any(in_wide)
    }
}

/// Chooses a free address in each range; `None` if there is none.
pub fn choose(ranges: &[Range], taken: &Taken, rng: &mut Rng) -> Option<Vec<Range>> {
    let bits = |range: &Range| if range.0.is_ipv4() { 32 - range.1.min(32) } else { 128 - range.1.min(128) };
    let bits = ranges.iter().map(bits).min()?.min(MAX_BITS);
    // The first number is the network itself, the last one means everyone.
    let count = (1_u32 << bits).checked_sub(2).filter(|count| *count > 0)?;
    let start = u32::try_from(rng.below(count as usize)).unwrap_or(0);
    let mut numbers = (0..count).map(|step| (start + step) % count + 1);
    let free = |number: &u32| ranges.iter().all(|range| !taken.covers(nth(range, *number), range));
    let number = numbers.find(free)?;
    Some(ranges.iter().map(|range| (nth(range, number), range.1)).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{prop, prop_assert, proptest};

    use super::*;

    fn ranges(texts: &[&str]) -> Vec<Range> {
        texts.iter().map(|text| kind::range(text).unwrap()).collect()
    }

    fn taken(texts: &[&str]) -> Taken {
        Taken::new(texts.iter().map(|text| Subnet::parse(text).unwrap()), &[])
    }

    #[test]
    fn the_same_number_is_free_in_every_range() {
        let chosen = choose(
            &ranges(&["10.9.0.1/29", "fd00::1/64"]),
            &taken(&["10.9.0.0/30", "fd00::4", "fd00::6"]),
            &mut Rng::from_seed([1; 32]),
        )
        .unwrap();
        assert_eq!(chosen, ranges(&["10.9.0.5/29", "fd00::5/64"]));
    }

    #[test]
    fn a_full_range_has_none() {
        let none = choose(&ranges(&["10.9.0.1/30"]), &taken(&["10.9.0.1", "10.9.0.2"]), &mut Rng::from_seed([1; 32]));
        assert_eq!(none, None);
        assert_eq!(choose(&ranges(&["10.9.0.1/32"]), &taken(&[]), &mut Rng::from_seed([1; 32])), None);
        assert_eq!(choose(&[], &taken(&[]), &mut Rng::from_seed([1; 32])), None);
    }

    #[test]
    fn a_way_out_owns_no_single_address() {
        let taken = taken(&["0.0.0.0/0", "10.9.0.0/30"]);
        assert!(choose(&ranges(&["10.9.0.1/30"]), &taken, &mut Rng::from_seed([1; 32])).is_some());
    }

    #[test]
    fn addresses_promised_by_invitations_are_not_free() {
        let invitation = Outstanding {
            file_name: String::new(),
            node: None,
            text: b"Name = x\nIfconfig = 10.9.0.1/30\nName = y\nSubnet = 10.9.0.2\n".to_vec(),
        };
        let taken = Taken::new([], &[invitation]);
        let chosen = choose(&ranges(&["10.9.0.0/30"]), &taken, &mut Rng::from_seed([1; 32]));
        assert_eq!(chosen, Some(ranges(&["10.9.0.2/30"])));
    }

    #[test]
    fn two_inviters_rarely_choose_the_same() {
        let both = [1, 2].map(|seed| choose(&ranges(&["10.9.0.1/16"]), &taken(&[]), &mut Rng::from_seed([seed; 32])));
        assert_ne!(both[0], both[1]);
    }

    #[test]
    fn ranges_overlap_if_one_holds_the_other() {
        let overlap = |one: &str, other: &str| overlap(&kind::range(one).unwrap(), &kind::range(other).unwrap());
        assert!(overlap("10.9.0.0/16", "10.0.0.0/8") && overlap("0.0.0.0/0", "10.0.0.1/32"));
        assert!(!overlap("10.9.0.0/16", "10.8.0.0/16") && !overlap("0.0.0.0/0", "::/0"));
    }

    proptest! {
        #[test]
        fn a_chosen_address_is_inside_and_free(seed: [u8; 32], used in prop::collection::vec(1_u32..254, 0..300)) {
            let range = kind::range("10.1.2.0/24").unwrap();
            let addresses = used.iter().map(|number| Subnet::host(nth(&range, *number).into()));
            let taken = Taken::new(addresses, &[]);
            if let Some(chosen) = choose(&[range], &taken, &mut Rng::from_seed(seed)) {
                prop_assert!(overlap(&chosen[0], &range));
                prop_assert!(!used.iter().any(|number| nth(&range, *number) == chosen[0].0));
            }
        }
    }
}
