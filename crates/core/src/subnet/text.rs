//! The text of a subnet: `ADDRESS[/PREFIX][#WEIGHT]` (spec: meta-protocol 8.1).

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Address, Subnet};
use crate::wire::number::int;

/// So many characters of a subnet are looked at.
const MAX_TEXT: usize = 63;

/// Why a text is not a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a subnet is an IPv4, IPv6 or MAC address, then /PREFIX if it is a range, then #WEIGHT if that is not 10")]
pub struct SubnetError;

impl Subnet {
    /// Reads a subnet, in the spelling of any tinc.
    ///
    /// # Errors
    /// If `text` is no subnet.
    pub fn parse(text: &str) -> Result<Self, SubnetError> {
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        let (range, weight) = match text.split_once('#') {
            Some((range, weight)) => (range, int(weight).ok_or(SubnetError)?),
            None => (text, Self::DEFAULT_WEIGHT),
        };
        let (address, prefix) = match range.split_once('/') {
            Some((address, prefix)) => (address, Some(int(prefix).ok_or(SubnetError)?)),
            None => (range, None),
        };
        let address = parse_address(address).ok_or(SubnetError)?;
        let is_mac = matches!(address, Address::Mac(_));
        let prefix = match prefix {
            None => address.bits(),
            Some(prefix) => u8::try_from(prefix).ok().filter(|_| !is_mac).ok_or(SubnetError)?,
        };
        Self::new(address, prefix, weight).ok_or(SubnetError)
    }

    /// The text without the weight, as scripts receive it.
    pub const fn range(&self) -> impl fmt::Display + use<> {
        self.with_weight(Self::DEFAULT_WEIGHT)
    }
}

fn parse_address(text: &str) -> Option<Address> {
    parse_mac(text)
        .map(Address::Mac)
        .or_else(|| text.parse().ok().map(Address::V4))
        .or_else(|| text.parse().ok().map(Address::V6))
}

/// Six hexadecimal numbers, of which the last two digits count.
fn parse_mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut groups = text.split(':');
    for byte in &mut mac {
        let group = groups.next()?;
        if group.is_empty() || !group.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(&group[group.len().saturating_sub(2)..], 16).ok()?;
    }
    groups.next().is_none().then_some(mac)
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.address)?;
        if self.prefix != self.address.bits() {
            write!(f, "/{}", self.prefix)?;
        }
        if self.weight != Self::DEFAULT_WEIGHT {
            write!(f, "#{}", self.weight)?;
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mac([a, b, c, d, e, g]) => write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}"),
            Self::V4(ip) => write!(f, "{ip}"),
            Self::V6(ip) => match embedded_v4(*ip) {
                Some(v4) => write!(f, "::{v4}"),
                None => write!(f, "{ip}"),
            },
        }
    }
}

/// The C library prints `::a.b.c.d` for addresses in `::/96` of which the last 32 bits are in use.
fn embedded_v4(ip: Ipv6Addr) -> Option<Ipv4Addr> {
    let low = u32::try_from(ip.to_bits()).ok()?;
    (low > 0xffff).then(|| Ipv4Addr::from_bits(low))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_address() -> impl Strategy<Value = Address> {
        prop_oneof![
            any::<[u8; 6]>().prop_map(Address::Mac),
            any::<u32>().prop_map(|bits| Address::V4(Ipv4Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| Address::V6(Ipv6Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| Address::V6(Ipv6Addr::from_bits(bits >> 88))),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back_the_same(address in any_address(), prefix in 0u8..=128, weight: i32) {
            let Some(subnet) = Subnet::new(address, prefix, weight) else { return Ok(()) };
            prop_assert_eq!(Subnet::parse(&subnet.to_string()), Ok(subnet));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,80}") {
            let _ = Subnet::parse(&text);
        }

        #[test]
        fn almost_subnets_print_as_they_are_understood(text in "[0-9a-f:.]{1,30}(/[0-9+-]{0,4})?(#[0-9+-]{0,12})?") {
            if let Ok(subnet) = Subnet::parse(&text) {
                prop_assert_eq!(Subnet::parse(&subnet.to_string()), Ok(subnet));
            }
        }
    }

    #[test]
    fn a_subnet_covers_what_agrees_in_its_prefix() {
        let subnet = Subnet::parse("10.3.1.2/16").unwrap();
        assert!(subnet.covers(&Address::V4(Ipv4Addr::new(10, 3, 200, 9))));
        assert!(!subnet.covers(&Address::V4(Ipv4Addr::new(10, 4, 1, 2))));
        assert!(!Subnet::parse("::/0").unwrap().covers(&Address::V4(Ipv4Addr::LOCALHOST)));
        assert!(Subnet::parse("::/0").unwrap().covers(&Address::V6(Ipv6Addr::LOCALHOST)));
    }

    #[test]
    fn only_a_zero_host_part_is_canonical() {
        for (text, canonical) in [
            ("10.3.0.0/16", true),
            ("10.3.1.0/16", false),
            ("10.3.1.2", true),
            ("0.0.0.0/0", true),
            ("0.0.0.1/0", false),
            ("fd00::/64", true),
            ("fd00::1/64", false),
            ("1:2:3:4:5:6", true),
        ] {
            assert_eq!(Subnet::parse(text).unwrap().is_canonical(), canonical, "{text}");
        }
    }

    #[test]
    fn the_order_is_kind_then_longer_prefix_then_address_then_weight() {
        let ordered = [
            "00:00:00:00:00:09",
            "10.0.0.9",
            "10.0.0.0/24#-1",
            "10.0.0.0/24",
            "10.0.0.1/24",
            "10.0.1.0/24",
            "9.0.0.0/8",
            "::1",
            "::/0",
        ];
        let subnets: Vec<Subnet> = ordered.iter().map(|text| Subnet::parse(text).unwrap()).collect();
        assert!(subnets.is_sorted());
    }

    #[test]
    fn the_range_has_no_weight() {
        assert_eq!(Subnet::parse("10.2.0.0/16#5").unwrap().range().to_string(), "10.2.0.0/16");
    }
}
