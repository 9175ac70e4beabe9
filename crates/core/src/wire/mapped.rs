//! Where a node's router passes datagrams on to it, told to other nodes (docs/protocol.md, "Sealed messages").
//!
//! ```text
//!  8 · for each address: IPv6 address 16 (IPv4 as ::ffff:a.b.c.d), port 2
//! ```

use crate::wire::endpoint::Endpoints;

/// The kind of the message.
pub const MAPPED: u8 = 8;

/// The bytes of the message, kind included.
pub fn encode(mapped: Endpoints) -> Vec<u8> {
    [&[MAPPED], &mapped.encode()[..]].concat()
}

/// Reads what follows the kind; `None` if it is no message.
pub fn parse(payload: &[u8]) -> Option<Endpoints> {
    Endpoints::parse(payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let (v4, v6) = ("192.0.2.1:655".parse().unwrap(), "[2001:db8::1]:656".parse().unwrap());
        let both = Endpoints { v4: Some(v4), v6: Some(v6) };
        let bytes = [
            &[8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1, 2, 143][..],
            &[32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 144],
        ]
        .concat();
        assert_eq!(encode(both), bytes);
        assert_eq!(parse(&bytes[1..]), Some(both));
        assert_eq!(parse(&bytes[1..36]), None, "cut");
        assert_eq!(encode(Endpoints::default()), [8]);
    }
}
