//! The ids in front of a datagram (spec: datagrams 3).

use crate::name::NodeId;

/// Bytes of the two ids.
pub const IDS: usize = 12;

/// Destination and origin of a datagram, and the rest.
pub fn split(datagram: &[u8]) -> Option<(NodeId, NodeId, &[u8])> {
    let (ids, rest) = datagram.split_first_chunk::<IDS>()?;
    let (destination, origin) = ids.split_at(6);
    Some((NodeId(destination.try_into().ok()?), NodeId(origin.try_into().ok()?), rest))
}

/// The two ids as they go in front of a datagram.
pub fn ids(destination: NodeId, origin: NodeId) -> [u8; IDS] {
    let mut ids = [0; IDS];
    ids[..6].copy_from_slice(&destination.0);
    ids[6..].copy_from_slice(&origin.0);
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_front_is_found_again_and_less_is_nothing() {
        let (destination, origin) = (NodeId::NULL, NodeId([1, 2, 3, 4, 5, 6]));
        let datagram = [&ids(destination, origin)[..], b"rest"].concat();
        assert_eq!(split(&datagram), Some((destination, origin, &b"rest"[..])));
        assert_eq!(split(&datagram[..IDS]), Some((destination, origin, &b""[..])));
        assert_eq!(split(&datagram[..IDS - 1]), None);
    }
}
