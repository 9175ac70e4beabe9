//! Which outer port a new mapping gets.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use crate::dice::Dice;
use crate::nat::Ports;

/// Ports that are given out when the port of the inside is not kept.
const RANGE: RangeInclusive<u16> = 1_024..=65_535;
const SPAN: u16 = *RANGE.end() - *RANGE.start() + 1;

/// What a NAT remembers about the ports that it gave.
#[derive(Clone, Debug, Default)]
pub(super) struct Allocator {
    /// Where the next one in a sequence starts; `None`: anywhere.
    next: Option<u16>,
    /// The first port of each inside address's block, counted from the start of the range.
    blocks: BTreeMap<IpAddr, u16>,
}

impl Allocator {
    /// The first of the ports that `inside` may get that `is_free`.
    pub(super) fn give(
        &mut self,
        ports: Ports,
        inside: SocketAddr,
        dice: &mut Dice,
        is_free: impl Fn(u16) -> bool,
    ) -> Option<u16> {
        match ports {
            Ports::Preserving if is_free(inside.port()) => Some(inside.port()),
            Ports::Preserving | Ports::Random => search(0, SPAN, below(dice, SPAN), 1, is_free),
            Ports::Block(size) => {
                let first = self.block(inside.ip(), size, dice)?;
                search(first, size, below(dice, size), 1, is_free)
            }
            Ports::Sequential { step } => {
                let start = self.next.unwrap_or_else(|| below(dice, SPAN));
                let port = search(0, SPAN, start, step, is_free)?;
                self.next = Some(shifted(port - RANGE.start(), i64::from(step), SPAN));
                Some(port)
            }
        }
    }

    /// The first port of the block of an inside address, counted from the start of the range.
    fn block(&mut self, inside: IpAddr, size: u16, dice: &mut Dice) -> Option<u16> {
        if let Some(&first) = self.blocks.get(&inside) {
            return Some(first);
        }
        let count = SPAN.checked_div(size)?;
        let start = below(dice, count);
        let mut all = (0..count).map(|step| shifted(start, i64::from(step), count) * size);
        let first = all.find(|first| !self.blocks.values().any(|taken| taken == first))?;
        self.blocks.insert(inside, first);
        Some(first)
    }

    /// The sequence goes on elsewhere, and everyone gets another block.
    pub(super) fn forget(&mut self) {
        self.next = self.next.map(|next| shifted(next, 1_000, SPAN));
        self.blocks.clear();
    }
}

/// A number below `bound`; 0 if that is 0.
fn below(dice: &mut Dice, bound: u16) -> u16 {
    u16::try_from(dice.below(u64::from(bound))).unwrap_or(0)
}

fn shifted(offset: u16, by: i64, span: u16) -> u16 {
    u16::try_from((i64::from(offset) + by).rem_euclid(i64::from(span.max(1)))).unwrap_or(0)
}

/// Goes through `span` ports from `first` on (counted from the start of the range) by `step`, beginning at `start`.
fn search(first: u16, span: u16, start: u16, step: i16, is_free: impl Fn(u16) -> bool) -> Option<u16> {
    let all = (0..i64::from(span)).map(|turn| shifted(start, turn * i64::from(step), span));
    all.map(|offset| RANGE.start() + first + offset).find(|&port| is_free(port))
}
