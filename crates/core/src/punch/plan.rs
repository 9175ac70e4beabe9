//! `Plan`: the shots of one side, made of what both know of their NATs.
//!
//! | own ports | the other's | this side |
//! | --- | --- | --- |
//! | known | known | writes |
//! | known | a sequence | probes the ports that come next |
//! | known | a range | probes chance ports of it, once the other has opened many |
//! | a sequence | known | opens the next few |
//! | a sequence | a sequence | writes to each next port of the other from each next own one |
//! | a sequence | a range | as with known ones; its first packet opens the first port |
//! | a range | known, a sequence | opens many |
//! | a range | a range | opens many if its filter forgives, or else its range is narrower, or else it leads; else probes |
//! | a block | a block | if two ports must be right at the same time: `blocks` |
//!
//! A side that has no port for all may get a new one with each probe, and so probes no more than it may open.
//!
//! Source of the numbers: arithmetic of guessing, `1 - C(P-S, M) / C(P, M)` for S ports open of P and M probed.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::Duration;

use crate::crypto::rng::Rng;
use crate::punch::blocks::{self, Task};
use crate::punch::law::Law;

/// Ports of a sequence that are probed: others behind the NAT take some.
const WINDOW: u16 = 12;
/// Ports of a sequence that are opened.
const OPENED: u16 = 4;
/// Pairs of ports of two sequences.
const PAIRS: u16 = 8;
/// A range at most so wide is a block that a provider gave.
pub(super) const BLOCK: u32 = 3_000;
/// Ports opened in a block, at least and at most.
const IN_BLOCK: (u32, u32) = (32, 64);
/// Ports probed in a block.
const PROBED_IN_BLOCK: usize = 108;
/// Ports opened in the whole range, if all are free.
pub(super) const OPENED_OF_ALL: u32 = 256;
/// Ports probed in the whole range from a port that serves all, together with the plain probes before and after that.
pub const PROBED_OF_ALL: u16 = 1_024;
/// Distance of two shots, as the budget paces them.
pub(super) const SHOT: Duration = Duration::from_micros(11_500);

/// Which socket a shot leaves from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum From {
    /// The one that the node listens on.
    Main,
    /// An extra one, by number.
    Extra(u16),
}

/// One probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shot {
    /// Where from.
    pub from: From,
    /// The port it goes to.
    pub port: u16,
}

/// What one side does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Shots that go at once.
    pub first: Vec<Shot>,
    /// How long to wait then.
    pub pause: Duration,
    /// The rest.
    pub rest: Vec<Shot>,
    /// How long the other side goes on after that.
    pub wait: Duration,
    /// The other's port that all extra sockets write to; what comes from another one gets no answer, but is told of.
    pub lure: Option<u16>,
    /// Whether this side looks for a port that the other lured with.
    pub seeks: bool,
}

/// What one side may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Means {
    /// Ports of the router that may be taken.
    pub ports: u16,
    /// Probes that may follow the first ones.
    pub probes: u16,
}

/// What one side tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Side {
    /// How its NAT gives ports.
    pub law: Law,
    /// Whether its NAT lets answers in from other ports than those written to.
    pub forgives: bool,
    /// Whether a socket has one port for all ports of an address.
    pub per_address: bool,
}

/// Ports that a side with such a range opens.
pub(super) const fn openings(width: u32) -> u32 {
    if width > BLOCK {
        return OPENED_OF_ALL;
    }
    let (least, most) = IN_BLOCK;
    let share = width / 16;
    if share < least {
        least
    } else if share > most {
        most
    } else {
        share
    }
}

/// Ports that a prober tries of whoever opens some.
fn probes(opener: Side, prober: Side) -> usize {
    let one_port = prober.per_address && blocks::is_enough(opener, prober) || matches!(prober.law, Law::Known { .. });
    if opener.law.width() <= BLOCK {
        PROBED_IN_BLOCK
    } else if one_port {
        usize::from(PROBED_OF_ALL)
    } else {
        OPENED_OF_ALL as usize
    }
}

impl Plan {
    /// The plan of a side. `leads` differs between the two, and changes from round to round.
    pub fn new(own: Side, other: Side, leads: bool, means: Means, rng: &mut Rng) -> Self {
        let mut plan = Self::whole(own, other, leads, rng);
        let free = means.ports;
        if own.per_address {
            let may =
                |shot: &Shot| matches!(shot.from, From::Main) || matches!(shot.from, From::Extra(at) if at < free);
            plan.first.retain(may);
            plan.rest.retain(may);
        } else if !matches!(own.law, Law::Known { .. }) {
            plan.first.truncate(usize::from(free));
            plan.rest.truncate(usize::from(free).saturating_sub(plan.first.len()));
        }
        plan.rest.truncate(usize::from(means.probes));
        plan
    }

    fn whole(own: Side, other: Side, leads: bool, rng: &mut Rng) -> Self {
        let opening = |rng: &mut Rng| Self::opening(own, other, rng);
        match (own.law, other.law) {
            (Law::Known { .. }, Law::Known { port }) => Self::at_once(vec![Shot { from: From::Main, port }; 3]),
            (Law::Known { .. }, Law::Sequence { .. }) => Self::at_once(from_main(other.law, WINDOW)),
            (Law::Sequence { .. }, Law::Known { port }) => {
                Self::at_once((0..OPENED).map(|number| Shot { from: From::Extra(number), port }).collect())
            }
            (Law::Sequence { .. }, Law::Sequence { .. }) => {
                Self::at_once(ports(other.law, PAIRS).map(|port| Shot { from: From::Extra(0), port }).collect())
            }
            (Law::Known { .. }, Law::Range { .. }) => Self::probing(From::Main, own, other, rng),
            (Law::Sequence { .. }, Law::Range { .. }) => {
                let mut plan = Self::probing(From::Extra(0), own, other, rng);
                plan.first = plan.rest.pop().into_iter().collect();
                plan
            }
            (Law::Range { .. }, Law::Known { .. }) => opening(rng),
            (Law::Range { .. }, Law::Sequence { .. }) => {
                let mut plan = opening(rng);
                plan.first.splice(0..0, from_main(other.law, PAIRS));
                plan
            }
            (Law::Range { .. }, Law::Range { .. }) => {
                if let Some(task) = Task::of(own, other) {
                    return task.plan(own, other, rng);
                }
                let (mine, theirs) = (own.law.width(), other.law.width());
                let first =
                    |one: Ordering| one.then(mine.cmp(&theirs)).is_lt() || one.is_eq() && mine == theirs && leads;
                if first(other.forgives.cmp(&own.forgives)) {
                    opening(rng)
                } else {
                    Self::probing(From::Main, own, other, rng)
                }
            }
        }
    }

    /// How many extra sockets it needs.
    pub fn sockets(&self) -> u16 {
        let extra = self.first.iter().chain(&self.rest).filter_map(|shot| match shot.from {
            From::Main => None,
            From::Extra(number) => Some(number + 1),
        });
        extra.max().unwrap_or(0)
    }

    /// How many probes it has.
    pub fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn at_once(first: Vec<Shot>) -> Self {
        Self { first, ..Self::default() }
    }

    pub(super) fn opening(own: Side, other: Side, rng: &mut Rng) -> Self {
        let count = u16::try_from(openings(own.law.width())).unwrap_or(u16::MAX);
        let chance = distinct(other.law, usize::from(count), rng);
        let port = |number: u16| other.law.at(0).or_else(|| chance.get(usize::from(number)).copied());
        let shots = (0..count).filter_map(|number| Some(Shot { from: From::Extra(number), port: port(number)? }));
        let probed = u32::try_from(probes(own, other)).unwrap_or(u32::MAX);
        Self { wait: SHOT * probed, ..Self::at_once(shots.collect()) }
    }

    fn probing(from: From, own: Side, other: Side, rng: &mut Rng) -> Self {
        let width = other.law.width();
        let rest = distinct(other.law, probes(other, own), rng).into_iter().map(|port| Shot { from, port }).collect();
        Self { pause: SHOT * openings(width), rest, ..Self::default() }
    }
}

fn ports(law: Law, count: u16) -> impl Iterator<Item = u16> {
    (0..count).filter_map(move |turn| law.at(turn))
}

fn from_main(law: Law, count: u16) -> Vec<Shot> {
    ports(law, count).map(|port| Shot { from: From::Main, port }).collect()
}

/// So many different ports of a range, in no order; fewer if it has fewer.
pub(super) fn distinct(law: Law, count: usize, rng: &mut Rng) -> Vec<u16> {
    let Law::Range { low, high } = law else { return Vec::new() };
    let width = usize::from(high.saturating_sub(low)) + 1;
    if count * 2 >= width {
        let mut all: Vec<u16> = (low..=high.max(low)).collect();
        for at in (1..all.len()).rev() {
            all.swap(at, rng.below(at + 1));
        }
        all.truncate(count);
        return all;
    }
    let (mut seen, mut chosen) = (BTreeSet::new(), Vec::with_capacity(count));
    while chosen.len() < count {
        let port = low + u16::try_from(rng.below(width)).unwrap_or(0);
        if seen.insert(port) {
            chosen.push(port);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Law = Law::Known { port: 655 };
    const SEQUENCE: Law = Law::Sequence { next: 2_000, step: 2 };
    const MEANS: Means = Means { ports: 253, probes: 1_010 };
    const BLOCK_OF_512: Law = Law::Range { low: 2_048, high: 2_559 };

    fn plan(own: Law, other: Law, leads: bool) -> Plan {
        let side = |law| Side { law, forgives: false, per_address: false };
        Plan::new(side(own), side(other), leads, MEANS, &mut Rng::from_seed([7; 32]))
    }

    #[test]
    fn nobody_probes_or_opens_more_than_the_marks_allow() {
        let laws = [KNOWN, SEQUENCE, BLOCK_OF_512, Law::Range { low: 1_024, high: 3_500 }, Law::ANY];
        for own in laws {
            for other in laws {
                for leads in [true, false] {
                    let plan = plan(own, other, leads);
                    assert!(!plan.is_empty() && plan.len() <= 1_010, "{own:?} {other:?}");
                    assert!(plan.sockets() <= 253);
                    assert!(own.width() == 1 && own == KNOWN || plan.len() <= 260);
                    let narrow = [own, other].iter().all(|law| law.width() <= BLOCK);
                    let two = [own, other].iter().all(|law| matches!(law, Law::Range { .. }));
                    assert!(!narrow || two || plan.len() <= 110, "{own:?} {other:?}: {}", plan.len());
                }
            }
        }
    }

    #[test]
    fn two_sequences_meet_at_every_turn() {
        let (one, other) = (plan(SEQUENCE, SEQUENCE, true), plan(SEQUENCE, SEQUENCE, false));
        assert_eq!(one, other);
        assert_eq!(
            one.first.iter().map(|shot| shot.port).collect::<Vec<_>>(),
            (0..8).map(|turn| 2_000 + 2 * turn).collect::<Vec<_>>()
        );
        assert_eq!(one.sockets(), 1);
    }

    #[test]
    fn of_two_ranges_the_forgiving_one_opens_else_the_narrower_one_else_who_leads() {
        let side = |forgives| Side { law: Law::ANY, forgives, per_address: false };
        let mut rng = Rng::from_seed([7; 32]);
        for leads in [true, false] {
            assert!(Plan::new(side(true), side(false), leads, MEANS, &mut rng).sockets() > 30);
            assert_eq!(Plan::new(side(false), side(true), leads, MEANS, &mut rng).sockets(), 0);
            assert_eq!(Plan::new(side(false), side(false), leads, MEANS, &mut rng).sockets() > 0, leads);
            let narrow = Side { law: BLOCK_OF_512, ..side(false) };
            assert!(Plan::new(narrow, side(false), leads, MEANS, &mut rng).sockets() > 30);
            assert_eq!(Plan::new(side(false), narrow, leads, MEANS, &mut rng).sockets(), 0);
        }
    }

    #[test]
    fn probes_of_a_range_are_all_different_and_wait_for_the_openings() {
        for law in [BLOCK_OF_512, Law::ANY, Law::Range { low: 2_000, high: 2_009 }] {
            let plan = plan(KNOWN, law, false);
            let ports: BTreeSet<u16> = plan.rest.iter().map(|shot| shot.port).collect();
            assert_eq!(ports.len(), plan.rest.len());
            let known = Side { law: KNOWN, forgives: false, per_address: false };
            assert_eq!(ports.len(), probes(Side { law, ..known }, known).min(law.width() as usize).min(1_010));
            assert_eq!(plan.pause, SHOT * openings(law.width()));
        }
    }

    #[test]
    fn a_router_that_has_few_ports_left_keeps_them() {
        let side = |law| Side { law, forgives: false, per_address: false };
        let plan = |own| {
            Plan::new(side(own), side(Law::ANY), true, Means { ports: 40, ..MEANS }, &mut Rng::from_seed([7; 32]))
        };
        assert_eq!([Law::ANY, BLOCK_OF_512, SEQUENCE].map(|own| plan(own).len()), [40, 32, 40]);
        assert_eq!(plan(KNOWN).len(), 1_010);
    }

    #[test]
    fn a_range_turned_round_is_harmless() {
        let plan = plan(KNOWN, Law::Range { low: 9, high: 3 }, false);
        assert_eq!(plan.len(), 1);
    }
}
