//! Messages of the feature `punch`: what each side knows of its NAT, told before both write at once (docs/protocol.md,
//! "Sealed messages").
//!
//! ```text
//!  5 (offer), 6 (answer) · round 1 · flags 1 · IPv4 address 4 · law 1 · two numbers of 2 bytes
//!  7 (heard) · round 1 · mark of a probe 4
//! ```

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use crate::punch::law::Law;
use crate::punch::plan::Side;

/// The kinds of messages that belong to `punch`.
pub const KINDS: RangeInclusive<u8> = OFFER..=HEARD;
const OFFER: u8 = 5;
const ANSWER: u8 = 6;
const HEARD: u8 = 7;
const FORGIVES: u8 = 1;
const PER_ADDRESS: u8 = 2;
const KNOWN: u8 = 0;
const SEQUENCE: u8 = 1;
const RANGE: u8 = 2;

/// What one side says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terms {
    /// The attempt, as the offering side counts them.
    pub round: u8,
    /// Its address outside.
    pub ip: Ipv4Addr,
    /// Its NAT.
    pub side: Side,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// Let us write to each other; answer when you know your NAT.
    Offer(Terms),
    /// Both write now.
    Answer(Terms),
    /// A probe of yours came in, from a port to which I cannot answer.
    Heard {
        /// The attempt.
        round: u8,
        /// Which probe.
        mark: [u8; 4],
    },
}

impl Message {
    /// Reads what follows the kind; `None` if it is no message.
    pub fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        if let (HEARD, &[round, a, b, c, d]) = (kind, payload) {
            return Some(Self::Heard { round, mark: [a, b, c, d] });
        }
        let &[round, flags, a, b, c, d, law, one, two, three, four] = payload else { return None };
        let (first, second) = (u16::from_be_bytes([one, two]), u16::from_be_bytes([three, four]));
        let law = match law {
            KNOWN if second == 0 => Law::Known { port: first },
            SEQUENCE if second != 0 => Law::Sequence { next: first, step: second.cast_signed() },
            RANGE if first <= second => Law::Range { low: first, high: second },
            _ => return None,
        };
        let side = Side { law, forgives: flags & FORGIVES != 0, per_address: flags & PER_ADDRESS != 0 };
        let terms = Terms { round, ip: Ipv4Addr::new(a, b, c, d), side };
        match kind {
            OFFER => Some(Self::Offer(terms)),
            ANSWER => Some(Self::Answer(terms)),
            _ => None,
        }
    }

    /// Its bytes, kind included.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, terms) = match self {
            Self::Offer(terms) => (OFFER, terms),
            Self::Answer(terms) => (ANSWER, terms),
            Self::Heard { round, mark } => return [&[HEARD, *round], &mark[..]].concat(),
        };
        let (law, first, second) = match terms.side.law {
            Law::Known { port } => (KNOWN, port, 0),
            Law::Sequence { next, step } => (SEQUENCE, next, step.cast_unsigned()),
            Law::Range { low, high } => (RANGE, low, high),
        };
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let flags = flag(terms.side.forgives, FORGIVES) | flag(terms.side.per_address, PER_ADDRESS);
        let head = [kind, terms.round, flags];
        [&head[..], &terms.ip.octets(), &[law], &first.to_be_bytes(), &second.to_be_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let side = |law, flags: u8| Side { law, forgives: flags & 1 != 0, per_address: flags & 2 != 0 };
        let terms = |law, flags| Terms { round: 2, ip: Ipv4Addr::new(192, 0, 2, 1), side: side(law, flags) };
        let golden: [(Message, &[u8]); 4] = [
            (Message::Offer(terms(Law::Known { port: 655 }, 1)), &[5, 2, 1, 192, 0, 2, 1, 0, 2, 143, 0, 0]),
            (
                Message::Answer(terms(Law::Sequence { next: 258, step: -1 }, 0)),
                &[6, 2, 0, 192, 0, 2, 1, 1, 1, 2, 255, 255],
            ),
            (Message::Offer(terms(Law::Range { low: 1, high: 2 }, 2)), &[5, 2, 2, 192, 0, 2, 1, 2, 0, 1, 0, 2]),
            (Message::Heard { round: 3, mark: [1, 2, 3, 4] }, &[7, 3, 1, 2, 3, 4]),
        ];
        for (message, bytes) in golden {
            assert_eq!(message.encode(), bytes);
            assert!(KINDS.contains(&bytes[0]));
            assert_eq!(Message::parse(bytes[0], &bytes[1..]), Some(message));
            assert_eq!(Message::parse(bytes[0], &bytes[1..bytes.len() - 1]), None);
            assert_eq!(Message::parse(bytes[0], &[&bytes[1..], &[0]].concat()), None);
        }
        for wrong in
            [[0, 0, 1, 1, 1, 1, 1, 0, 9, 0, 0], [0, 0, 1, 1, 1, 1, 2, 0, 9, 0, 8], [0, 0, 1, 1, 1, 1, 3, 0, 9, 0, 9]]
        {
            assert_eq!(Message::parse(5, &wrong), None, "a step of nothing, a range turned round, an unknown law");
        }
    }
}
