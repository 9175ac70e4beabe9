//! Messages of the feature `meet`: a TCP connection that two nodes open to each other at the same time (docs/protocol.md,
//! "Meetings").
//!
//! ```text
//!  13 · token 16                                     a connection that begins with this will come: from where?
//!  14 · token 16 · address 16 · port 2               from there
//!  15 · round 1 · address 16 · port 2 …              let us connect; I come from there: one of each family at most
//!  16 · round 1 · address 16 · port 2 … · held 4     yes; I come from there, and had your word for so many microseconds
//!  17 · round 1                                      now
//! ```

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::crypto::base64;
use crate::wire::endpoint::{self, Endpoints};

/// The kinds of messages that belong to `meet`.
pub const KINDS: RangeInclusive<u8> = MIRROR..=GO;
const MIRROR: u8 = 13;
const SEEN: u8 = 14;
const OFFER: u8 = 15;
const ANSWER: u8 = 16;
const GO: u8 = 17;
/// What stands in front of a token where others write their names.
pub const MARK: char = '@';

/// What a connection is told apart by that wants to know where it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub [u8; 16]);

impl Token {
    /// The first and only line of such a connection.
    pub fn line(self) -> String {
        format!("0 {MARK}{} 17\n", base64::encode(&self.0))
    }

    /// Reads what stands behind the mark.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(base64::decode(text.as_bytes())?.try_into().ok()?))
    }
}

/// Where a node's connections come from, in one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The attempt, as the offering side counts them.
    pub round: u8,
    /// The addresses outside.
    pub from: Endpoints,
}

impl Terms {
    /// Reads them; `None` without an address.
    fn parse(round: u8, from: &[u8]) -> Option<Self> {
        let from = Endpoints::parse(from).filter(|from| *from != Endpoints::default())?;
        Some(Self { round, from })
    }

    /// Where a node with these addresses outside connects to: one family that both have, another one in the next round if
    /// there is one.
    pub fn place_for(self, own: Endpoints) -> Option<SocketAddr> {
        let shared = |to: &SocketAddr| own.addresses().any(|from| from.is_ipv4() == to.is_ipv4());
        let places: Vec<SocketAddr> = self.from.addresses().filter(shared).collect();
        places.get(usize::from(self.round).checked_rem(places.len())?).copied()
    }
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// A connection will come that begins with this; tell where it comes from.
    Mirror(Token),
    /// It came from there.
    Seen(Token, SocketAddr),
    /// Let us connect to each other.
    Offer(Terms),
    /// Ready.
    Answer {
        /// Own terms.
        terms: Terms,
        /// How long after the offer came.
        held: Duration,
    },
    /// Both connect now.
    Go {
        /// The attempt.
        round: u8,
    },
}

impl Message {
    /// Reads what follows the kind; `None` if it is no message, or tells an address that is nobody's.
    pub fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        match kind {
            MIRROR => Some(Self::Mirror(Token(payload.try_into().ok()?))),
            SEEN => {
                let (token, rest) = payload.split_first_chunk()?;
                Some(Self::Seen(Token(*token), address(rest.try_into().ok()?)?))
            }
            OFFER => {
                let (&round, rest) = payload.split_first()?;
                Some(Self::Offer(Terms::parse(round, rest)?))
            }
            ANSWER => {
                let (&round, rest) = payload.split_first()?;
                let (from, held) = rest.split_last_chunk()?;
                let held = Duration::from_micros(u32::from_be_bytes(*held).into());
                Some(Self::Answer { terms: Terms::parse(round, from)?, held })
            }
            GO => match *payload {
                [round] => Some(Self::Go { round }),
                _ => None,
            },
            _ => None,
        }
    }

    /// Its bytes, kind included.
    pub fn encode(&self) -> Vec<u8> {
        match *self {
            Self::Mirror(Token(token)) => [&[MIRROR], &token[..]].concat(),
            Self::Seen(Token(token), from) => [&[SEEN], &token[..], &endpoint::encode(from)].concat(),
            Self::Offer(terms) => [&[OFFER, terms.round], &terms.from.encode()[..]].concat(),
            Self::Answer { terms, held } => {
                let held = u32::try_from(held.as_micros()).unwrap_or(u32::MAX);
                [&[ANSWER, terms.round], &terms.from.encode()[..], &held.to_be_bytes()].concat()
            }
            Self::Go { round } => vec![GO, round],
        }
    }
}

/// An address at which a node can be.
fn address(bytes: &[u8; endpoint::LEN]) -> Option<SocketAddr> {
    Some(endpoint::decode(bytes)).filter(|address| endpoint::is_a_nodes(*address))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Token = Token([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
    const PLACE: [u8; 18] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 1, 2, 143];
    const PLACE_V6: [u8; 18] = [32, 1, 13, 184, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 144];

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let from = "192.0.2.1:655".parse().expect("an address");
        let both = Endpoints::default().with(from).and_then(|both| both.with("[2001:db8::1]:656".parse().ok()?));
        let both = both.expect("nodes can be there");
        let terms = Terms { round: 3, from: Endpoints { v6: None, ..both } };
        let two = Terms { round: 3, from: both };
        let golden = [
            (Message::Mirror(TOKEN), [&[13], &TOKEN.0[..]].concat()),
            (Message::Seen(TOKEN, from), [&[14], &TOKEN.0[..], &PLACE].concat()),
            (Message::Offer(terms), [&[15, 3], &PLACE[..]].concat()),
            (Message::Offer(two), [&[15, 3], &PLACE[..], &PLACE_V6].concat()),
            (
                Message::Answer { terms, held: Duration::from_micros(258) },
                [&[16, 3], &PLACE[..], &[0, 0, 1, 2]].concat(),
            ),
            (
                Message::Answer { terms: two, held: Duration::from_micros(258) },
                [&[16, 3], &PLACE[..], &PLACE_V6, &[0, 0, 1, 2]].concat(),
            ),
            (Message::Go { round: 3 }, vec![17, 3]),
        ];
        for (message, bytes) in golden {
            assert_eq!(message.encode(), bytes);
            assert!(KINDS.contains(&bytes[0]));
            assert_eq!(Message::parse(bytes[0], &bytes[1..]), Some(message));
            assert_eq!(Message::parse(bytes[0], &bytes[1..bytes.len() - 1]), None);
            assert_eq!(Message::parse(bytes[0], &[&bytes[1..], &[0]].concat()), None);
        }
    }

    #[test]
    fn nobody_is_sent_where_no_node_can_be() {
        for wrong in ["0.0.0.0:1", "127.0.0.1:1", "224.0.0.1:1", "192.0.2.1:0", "[::1]:1", "[ff02::1]:1"] {
            let place = endpoint::encode(wrong.parse().expect("an address"));
            assert_eq!(Message::parse(OFFER, &[&[0], &place[..]].concat()), None, "{wrong}");
            assert_eq!(Message::parse(SEEN, &[&TOKEN.0[..], &place].concat()), None, "{wrong}");
        }
        assert_eq!((Message::parse(OFFER, &[0]), Message::parse(ANSWER, &[0, 0, 0, 0, 9])), (None, None), "nowhere");
    }

    #[test]
    fn both_connect_in_a_family_that_both_have_and_in_each_such_by_turns() {
        let v4: SocketAddr = "192.0.2.1:655".parse().expect("an address");
        let v6: SocketAddr = "[2001:db8::1]:656".parse().expect("an address");
        let of = |places: &[SocketAddr]| {
            places.iter().fold(Endpoints::default(), |all, &place| all.with(place).expect("a node can be there"))
        };
        let places = |theirs: &[SocketAddr], own: &[SocketAddr]| {
            [0, 1, 2].map(|round| Terms { round, from: of(theirs) }.place_for(of(own)))
        };
        assert_eq!(places(&[v4, v6], &[v4, v6]), [Some(v4), Some(v6), Some(v4)]);
        assert_eq!(places(&[v4, v6], &[v6]), [Some(v6); 3]);
        assert_eq!(places(&[v4], &[v4, v6]), [Some(v4); 3]);
        assert_eq!(places(&[v4], &[v6]), [None; 3]);
    }

    #[test]
    fn a_token_comes_back_from_its_line() {
        let line = TOKEN.line();
        let text = line.strip_prefix("0 @").and_then(|rest| rest.strip_suffix(" 17\n")).expect("a line");
        assert_eq!(Token::parse(text), Some(TOKEN));
        assert_eq!((Token::parse(&text[1..]), Token::parse("?")), (None, None));
    }
}
