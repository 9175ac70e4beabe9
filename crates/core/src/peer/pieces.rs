//! `Pieces`: packets of a peer that came in two records and are put together again (docs/protocol.md, "Pieces").

use std::collections::VecDeque;
use std::time::Duration;

use crate::dataplane::record::PIECE_HEADER;
use crate::packet::MAX_FRAME;
use crate::time::Instant;

/// A piece whose other half does not come within this time is forgotten.
const PATIENCE: Duration = Duration::from_millis(50);
/// Pieces that wait at most, the oldest goes first.
const MOST: usize = 32;
/// Record types of packets end here.
const HIGHEST_KIND: u8 = 3;

/// Half of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Piece {
    at: Instant,
    number: u16,
    kind: u8,
    last: bool,
    data: Vec<u8>,
}

/// The halves that wait for the others, and the number of the packet that is cut next.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    next: u16,
    waiting: VecDeque<Piece>,
}

impl Pieces {
    /// Both pieces of a packet whose record would have this type.
    pub fn cut(&mut self, kind: u8, packet: &[u8]) -> [Vec<u8>; 2] {
        let [high, low] = self.next.to_be_bytes();
        self.next = self.next.wrapping_add(1);
        let (first, last) = packet.split_at(packet.len().div_ceil(2));
        [first, last].map(|half| [&[high, low, kind], half].concat())
    }

    /// Takes a piece; gives the type and the packet if the other half was there.
    pub fn join(&mut self, now: Instant, last: bool, piece: &[u8]) -> Option<(u8, Vec<u8>)> {
        let ([high, low, kind], data) = piece.split_first_chunk::<PIECE_HEADER>()?;
        let (number, kind) = (u16::from_be_bytes([*high, *low]), *kind);
        if kind > HIGHEST_KIND {
            return None;
        }
        self.waiting.retain(|piece| now.since(piece.at) <= PATIENCE);
        let other = |piece: &Piece| piece.number == number && piece.kind == kind && piece.last != last;
        let Some(place) = self.waiting.iter().position(other) else {
            if self.waiting.len() >= MOST {
                self.waiting.pop_front();
            }
            self.waiting.push_back(Piece { at: now, number, kind, last, data: data.to_vec() });
            return None;
        };
        let half = self.waiting.remove(place)?.data;
        let whole = if last { [&half, data].concat() } else { [data, &half].concat() };
        (whole.len() <= MAX_FRAME).then_some((kind, whole))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_micros(1_000 * ms)
    }

    #[test]
    fn a_packet_is_whole_again_in_whatever_order_its_halves_come() {
        let (mut sender, mut receiver) = (Pieces::default(), Pieces::default());
        for (len, swapped) in [(1_401, false), (1_400, true), (1, false), (0, true)] {
            let packet: Vec<u8> = (0..len).map(|at| at as u8).collect();
            let [first, last] = sender.cut(2, &packet);
            let order = if swapped { [(true, &last), (false, &first)] } else { [(false, &first), (true, &last)] };
            assert_eq!(receiver.join(at(0), order[0].0, order[0].1), None);
            assert_eq!(receiver.join(at(50), order[1].0, order[1].1), Some((2, packet)));
        }
        assert!(receiver.waiting.is_empty());
    }

    #[test]
    fn pieces_have_the_layout_of_the_table() {
        let mut pieces = Pieces { next: 0x0102, ..Pieces::default() };
        assert_eq!(pieces.cut(0, &[7, 8, 9]), [vec![1, 2, 0, 7, 8], vec![1, 2, 0, 9]]);
    }

    #[test]
    fn halves_of_different_packets_or_that_come_late_are_not_joined() {
        let (mut sender, mut receiver) = (Pieces::default(), Pieces::default());
        let [first, last] = sender.cut(0, &[1; 100]);
        let [_, other] = sender.cut(0, &[2; 100]);
        assert_eq!(receiver.join(at(0), false, &first), None);
        assert_eq!(receiver.join(at(0), false, &first), None, "the same half twice");
        assert_eq!(receiver.join(at(0), true, &other), None);
        assert_eq!(receiver.join(at(51), true, &last), None);
        assert_eq!(receiver.join(at(51), true, &[0, 0]), None, "shorter than its header");
        for last in [false, true] {
            assert_eq!(receiver.join(at(51), last, &[0, 0, 24, 1]), None, "a piece of a piece");
        }
    }

    #[test]
    fn few_pieces_wait_and_nothing_longer_than_a_frame_comes_out() {
        let mut receiver = Pieces::default();
        for number in 0..1_000_u16 {
            let [high, low] = number.to_be_bytes();
            assert_eq!(receiver.join(at(0), false, &[high, low, 0, 1]), None);
        }
        assert_eq!(receiver.waiting.len(), MOST);
        let half = [&[0xff, 0xff, 0][..], &[0; 1_000]].concat();
        assert_eq!(receiver.join(at(0), false, &half), None);
        assert_eq!(receiver.join(at(0), true, &half), None, "2,000 bytes");
    }
}
