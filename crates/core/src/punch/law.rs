//! `Law`: how a NAT seems to give outer ports, from what reflectors saw.

use std::fmt;

/// The first port that NATs give out.
const LOWEST: u16 = 1_024;
/// The last one.
const HIGHEST: u16 = u16::MAX;
/// A step larger than this is chance.
const LONGEST_STEP: i32 = 64;
/// Ports farther from each other than this do not belong to one block.
pub const WIDEST_BLOCK: u32 = 4_096;

/// How the next outer port is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Law {
    /// One port serves all.
    Known {
        /// The port.
        port: u16,
    },
    /// One after the other.
    Sequence {
        /// The one that comes next.
        next: u16,
        /// The distance; not 0.
        step: i16,
    },
    /// Somewhere between two ports, both included.
    Range {
        /// The lowest.
        low: u16,
        /// The highest.
        high: u16,
    },
}

/// An outer port, and the place of the packet that got it among those that were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// One more with each packet.
    pub place: u32,
    /// What a reflector saw.
    pub port: u16,
}

impl Law {
    /// The whole range.
    pub const ANY: Self = Self::Range { low: LOWEST, high: HIGHEST };

    /// What the ports of one socket, as several reflectors saw it, say; `None`: that more must be observed.
    pub fn of_one_socket(ports: &[u16]) -> Option<Self> {
        let (&first, rest) = ports.split_first().filter(|(_, rest)| !rest.is_empty())?;
        if rest.iter().all(|&port| port == first) {
            return Some(Self::Known { port: first });
        }
        Self::of_far_ports(ports)
    }

    /// What ports say of which no block can be: some are too far from each other.
    pub fn of_far_ports(ports: &[u16]) -> Option<Self> {
        (spread(ports) > WIDEST_BLOCK).then_some(Self::ANY)
    }

    /// What ports that were given one after the other say, if they are a sequence.
    pub fn of_sequence(samples: &[Sample]) -> Option<Self> {
        let (first, last) = (samples.first()?, samples.last()?);
        let places = i32::try_from(last.place.checked_sub(first.place)?).ok().filter(|&places| places > 0)?;
        let way = i32::from(last.port) - i32::from(first.port);
        let step = way / places;
        if way % places != 0 || step == 0 || step.abs() > LONGEST_STEP || samples.len() < 3 {
            return None;
        }
        let follows = |sample: &Sample| {
            let turns = i32::try_from(sample.place.wrapping_sub(first.place)).unwrap_or(i32::MAX);
            turns.checked_mul(step).is_some_and(|way| i32::from(sample.port) - i32::from(first.port) == way)
        };
        let step = i16::try_from(step).ok()?;
        samples.iter().all(follows).then(|| Self::Sequence { next: shifted(last.port, step, 1), step })
    }

    /// The range in which ports seem to lie that no sequence explains.
    pub fn of_range(ports: &[u16]) -> Self {
        let (Some(&low), Some(&high)) = (ports.iter().min(), ports.iter().max()) else { return Self::ANY };
        if spread(ports) > WIDEST_BLOCK {
            return Self::ANY;
        }
        // Of n ports the outer ones are, on average, one n-th of what they span away from the ends.
        let count = u32::try_from(ports.len()).unwrap_or(u32::MAX).max(2);
        let margin = u16::try_from(spread(ports) / (count - 1) + 1).unwrap_or(u16::MAX);
        let about = Self::Range { low: low.saturating_sub(margin).max(LOWEST), high: high.saturating_add(margin) };
        block_around(low, high).filter(|block| block.width() * 4 <= about.width() * 5).unwrap_or(about)
    }

    /// How many ports come into question; of a sequence one at a time.
    pub fn width(self) -> u32 {
        match self {
            Self::Known { .. } | Self::Sequence { .. } => 1,
            Self::Range { low, high } => u32::from(high.saturating_sub(low)) + 1,
        }
    }

    /// The port that counts at `turn`, where that can be told.
    pub fn at(self, turn: u16) -> Option<u16> {
        match self {
            Self::Known { port } => Some(port),
            Self::Sequence { next, step } => Some(shifted(next, step, turn)),
            Self::Range { .. } => None,
        }
    }
}

/// The smallest block with both ports, as providers cut them: of a power of two, counted from 0 or from the first port given.
fn block_around(low: u16, high: u16) -> Option<Law> {
    let sizes = (6..=12).map(|power| 1_u16 << power);
    let blocks =
        sizes.flat_map(|size| [0, LOWEST].map(|start| (size, start + low.saturating_sub(start) / size * size)));
    let mut blocks = blocks.filter_map(|(size, start)| Some((start, start.checked_add(size - 1)?)));
    let (start, end) = blocks.find(|&(start, end)| start <= low && high <= end)?;
    Some(Law::Range { low: start.max(LOWEST), high: end })
}

fn spread(ports: &[u16]) -> u32 {
    let (low, high) = (ports.iter().min().copied().unwrap_or(0), ports.iter().max().copied().unwrap_or(0));
    u32::from(high - low)
}

/// The port so many steps further; a sequence begins anew at its other end.
fn shifted(port: u16, step: i16, turns: u16) -> u16 {
    let span = i64::from(HIGHEST) - i64::from(LOWEST) + 1;
    let place = i64::from(port) - i64::from(LOWEST) + i64::from(step) * i64::from(turns);
    u16::try_from(place.rem_euclid(span) + i64::from(LOWEST)).unwrap_or(port)
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known { .. } => f.write_str("one port for all"),
            Self::Sequence { step, .. } => write!(f, "ports in steps of {step}"),
            Self::Range { .. } if self.width() > WIDEST_BLOCK => f.write_str("ports at random"),
            Self::Range { .. } => write!(f, "ports at random in a block of about {}", self.width()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(ports: &[(u32, u16)]) -> Vec<Sample> {
        ports.iter().map(|&(place, port)| Sample { place, port }).collect()
    }

    #[test]
    fn one_socket_says_whether_ports_depend_on_the_other_side() {
        assert_eq!((Law::of_one_socket(&[]), Law::of_one_socket(&[700])), (None, None));
        assert_eq!(Law::of_one_socket(&[700, 700, 700]), Some(Law::Known { port: 700 }));
        assert_eq!(Law::of_one_socket(&[5_000, 5_001]), None);
        assert_eq!(Law::of_one_socket(&[5_000, 50_001]), Some(Law::ANY));
    }

    #[test]
    fn sequences_are_found_though_answers_are_lost() {
        let law = Law::of_sequence(&samples(&[(0, 5_000), (1, 5_002), (3, 5_006)]));
        assert_eq!(law, Some(Law::Sequence { next: 5_008, step: 2 }));
        let law = Law::of_sequence(&samples(&[(0, 1_026), (1, 1_025), (2, 1_024)]));
        assert_eq!(law, Some(Law::Sequence { next: 65_535, step: -1 }));
        assert_eq!(law.and_then(|law| law.at(2)), Some(65_533));
        for other in [
            &[(0, 5_000), (1, 5_002)][..],
            &[(0, 5_000), (1, 5_002), (2, 5_003)],
            &[(0, 5_000), (1, 5_200), (2, 5_400)],
        ] {
            assert_eq!(Law::of_sequence(&samples(other)), None);
        }
    }

    #[test]
    fn ranges_reach_beyond_what_was_seen() {
        let Law::Range { low, high } = Law::of_range(&[2_300, 2_700, 2_500, 2_400]) else { panic!("a range") };
        assert!(low < 2_200 && low > 2_100 && high > 2_800 && high < 2_900, "{low} {high}");
        assert_eq!(Law::of_range(&[1_030, 60_000]), Law::ANY);
        assert_eq!(Law::of_range(&[]), Law::ANY);
        assert_eq!(Law::ANY.width(), 64_512);
    }

    #[test]
    fn blocks_as_providers_cut_them_are_recognised() {
        for (ports, low, high) in [
            (&[2_060, 2_500, 2_300, 2_200, 2_410, 2_130][..], 2_048, 2_559),
            (&[3_100, 4_900, 4_000, 3_500, 4_300][..], 3_072, 5_119),
            (&[65_100, 65_500, 65_300, 65_150, 65_420][..], 65_024, 65_535),
        ] {
            assert_eq!(Law::of_range(ports), Law::Range { low, high });
        }
    }
}
