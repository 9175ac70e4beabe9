//! `Asked`: requests on their way, so that a reply tells which of the addresses written to it answers.
//!
//! Behind a NAT that gives ports anew for each endpoint a reply comes from another port than the one written to. What was
//! written to is what works.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dataplane::fib::UdpTarget;
use crate::time::Instant;

/// Requests remembered at most: those of one search for a port, with what goes on beside it.
const LIMIT: usize = 1_100;
/// A request that was not answered for so long will not be.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a request is told apart by: the first bytes of its noise, which the reply repeats.
pub type Mark = [u8; 4];

/// Requests that were not answered yet.
#[derive(Debug, Default)]
pub struct Asked {
    requests: VecDeque<(Mark, UdpTarget, Instant)>,
}

impl Asked {
    /// Notes a request.
    pub fn note(&mut self, mark: Mark, target: UdpTarget, now: Instant) {
        while self.requests.len() >= LIMIT || self.requests.front().is_some_and(|&(.., at)| now.since(at) > PATIENCE) {
            self.requests.pop_front();
        }
        self.requests.push_back((mark, target, now));
    }

    /// How many requests are remembered.
    pub fn len(&self) -> usize {
        self.requests.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.requests.is_empty()
    }

    /// Where the request went that a reply belongs to; a reply counts once.
    pub fn answer(&mut self, mark: Mark) -> Option<UdpTarget> {
        let at = self.requests.iter().position(|(own, ..)| *own == mark)?;
        self.requests.remove(at).map(|(_, target, _)| target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(port: u16) -> UdpTarget {
        UdpTarget { to: ([192, 0, 2, 1], port).into(), socket: 0 }
    }

    #[test]
    fn a_reply_finds_its_request_once() {
        let mut asked = Asked::default();
        asked.note([1; 4], target(1), Instant::ZERO);
        asked.note([2; 4], target(2), Instant::ZERO);
        assert_eq!(asked.answer([2; 4]), Some(target(2)));
        assert_eq!(asked.answer([2; 4]), None);
        assert_eq!(asked.answer([3; 4]), None);
    }

    #[test]
    fn there_is_a_limit_and_old_ones_go() {
        let mut asked = Asked::default();
        (0..2_000_u16)
            .for_each(|number| asked.note([1, 1, (number >> 8) as u8, number as u8], target(number), Instant::ZERO));
        assert_eq!(asked.requests.len(), LIMIT);
        assert_eq!(asked.answer([1, 1, 0, 0]), None);
        asked.note([9; 4], target(9), Instant::ZERO + PATIENCE * 2);
        assert_eq!(asked.requests.len(), 1);
    }
}
