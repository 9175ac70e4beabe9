//! Messages of the feature `relay`: which relay is how far from a node (docs/protocol.md, "Sealed messages").
//!
//! ```text
//!   9 · id 6                                                            how far is that node from you?
//!  10 · id 6 · flags 1 · round trip 4 · loss 2 · frame size 2           so far, by UDP, without another relay
//!  11 · will 1                                                          this node relays, or does not
//! ```

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::name::NodeId;

/// The kinds of messages that belong to `relay`.
pub const KINDS: RangeInclusive<u8> = ASK..=WILL;
const ASK: u8 = 9;
const OFFER: u8 = 10;
const WILL: u8 = 11;
/// Flag of an offer: there is a path, and the node relays.
const OPEN: u8 = 1;
/// Flag of an offer: the frame size is measured to the end.
const SETTLED: u8 = 2;

/// What a relay says of its own path to a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Round-trip time; told in microseconds.
    pub rtt: Duration,
    /// Datagrams that are lost, in a thousand.
    pub loss: u16,
    /// Largest frame that is known to arrive, in bytes from the Ethernet header.
    pub size: u16,
    /// Whether no larger one does.
    pub settled: bool,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// How far is this node?
    Ask(NodeId),
    /// So far; `None`: there is no path, or the sender does not relay.
    Offer(NodeId, Option<Offer>),
    /// Whether the sender relays at all.
    Will(bool),
}

impl Message {
    /// Reads what follows the kind; `None` if it is no message.
    pub fn parse(kind: u8, payload: &[u8]) -> Option<Self> {
        match kind {
            ASK => Some(Self::Ask(NodeId(payload.try_into().ok()?))),
            OFFER => {
                let (id, rest) = payload.split_first_chunk::<6>()?;
                let &[flags, a, b, c, d, loss_high, loss_low, size_high, size_low] = rest else { return None };
                let offer = Offer {
                    rtt: Duration::from_micros(u32::from_be_bytes([a, b, c, d]).into()),
                    loss: u16::from_be_bytes([loss_high, loss_low]).min(1_000),
                    size: u16::from_be_bytes([size_high, size_low]),
                    settled: flags & SETTLED != 0,
                };
                Some(Self::Offer(NodeId(*id), Some(offer).filter(|_| flags & OPEN != 0)))
            }
            WILL => match payload {
                [will @ 0..=1] => Some(Self::Will(*will == 1)),
                _ => None,
            },
            _ => None,
        }
    }

    /// Its bytes, kind included.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Ask(NodeId(id)) => [&[ASK][..], id].concat(),
            Self::Offer(NodeId(id), None) => [&[OFFER][..], id, &[0; 9]].concat(),
            Self::Offer(NodeId(id), Some(offer)) => {
                let flags = OPEN | if offer.settled { SETTLED } else { 0 };
                let rtt = u32::try_from(offer.rtt.as_micros()).unwrap_or(u32::MAX);
                let (loss, size) = (offer.loss.to_be_bytes(), offer.size.to_be_bytes());
                [&[OFFER][..], id, &[flags], &rtt.to_be_bytes(), &loss, &size].concat()
            }
            Self::Will(will) => vec![WILL, u8::from(*will)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_the_layout_of_the_table() {
        let id = NodeId([1, 2, 3, 4, 5, 6]);
        let offer = Offer { rtt: Duration::from_micros(0x0102_0304), loss: 10, size: 1_400, settled: true };
        let golden: [(Message, &[u8]); 4] = [
            (Message::Ask(id), &[9, 1, 2, 3, 4, 5, 6]),
            (Message::Offer(id, Some(offer)), &[10, 1, 2, 3, 4, 5, 6, 3, 1, 2, 3, 4, 0, 10, 5, 120]),
            (Message::Offer(id, None), &[10, 1, 2, 3, 4, 5, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            (Message::Will(false), &[11, 0]),
        ];
        for (message, bytes) in golden {
            assert_eq!(message.encode(), bytes);
            assert!(KINDS.contains(&bytes[0]));
            assert_eq!(Message::parse(bytes[0], &bytes[1..]), Some(message));
            assert_eq!(Message::parse(bytes[0], &[&bytes[1..], &[0]].concat()), None, "one byte too many");
            assert_eq!(Message::parse(bytes[0], &bytes[1..bytes.len() - 1]), None, "one too few");
        }
        assert_eq!(Message::parse(11, &[2]), None);
    }
}
