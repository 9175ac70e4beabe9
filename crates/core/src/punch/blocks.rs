//! `Task`: what a side does where two ports must be right at the same time, and both lie in blocks.
//!
//! One guess is enough where a filter forgives on the right side (`plan`). Where none does, a packet gets in only if it
//! comes from the port that the receiver wrote to and goes to the port that wrote. With ports given per address ("one"
//! below) or per endpoint ("many"), and filters that forgive or are strict, of blocks with P = 512 ports:
//!
//! | a side | the other | the side | the other | chance |
//! | --- | --- | --- | --- | --- |
//! | one, strict | one, strict | sweeps | sweeps | ~1: each has one port towards the other, and each is found |
//! | one, strict | many, forgiving | sweeps | opens some | ~1: the sweep is heard, and the answer goes where it may |
//! | one, strict | many, strict | sweeps from four sockets | scatters M | `1 - (1 - M/P)^4`, 92 % for M = 240 |
//! | many, strict | many, forgiving | seeks | lures | `M/P`, 47 % for 240: what found the lure goes on from new ports |
//! | many, strict | many, strict | scatters M | scatters M | `1 - exp(-M²/P²)`, 20 % for 240 |
//!
//! To sweep is to write to all ports of the other's block, from one socket after the other; to scatter is to write to
//! chance ports of it, each of which makes the NAT open a port. More than that cannot be had, as no router is to
//! open more than 256 ports. In a wider range only what a sweep hears helps: the other's block, and its filter that forgives.

use crate::crypto::rng::Rng;
use crate::punch::law::Law;
use crate::punch::plan::{self, BLOCK, From, OPENED_OF_ALL, Plan, SHOT, Shot, Side};

/// Most probes of sweeps: 24 seconds of them.
const SWEPT: u32 = 2_048;
/// Sockets that sweep, at most.
const SWEEPERS: u32 = 4;
/// Sockets that lure: one of eight ports of a block of 512.
const LURES: u16 = 64;

/// What a side does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Writes to each port of the other's block, from so many sockets.
    Sweep(u32),
    /// Opens some ports, and answers to what it hears.
    Open,
    /// Writes to chance ports of the other's block.
    Scatter,
    /// Opens ports towards one of the other's.
    Lure,
    /// Writes to chance ports until the other hears it, then from new ones to where it was heard.
    Seek,
}

/// Whether one guess is enough: the prober's, for a port of the opener.
pub(super) const fn is_enough(opener: Side, prober: Side) -> bool {
    opener.forgives && (opener.per_address || prober.forgives)
}

fn is_block(side: Side) -> bool {
    matches!(side.law, Law::Range { .. }) && side.law.width() <= BLOCK
}

/// From how many sockets one side sweeps the other's block.
fn sweepers(of: Side) -> u32 {
    if of.per_address || of.forgives { 1 } else { (SWEPT / of.law.width().max(1)).clamp(1, SWEEPERS) }
}

/// How many probes of one side are on their way at most.
fn sweep(of: Side) -> u32 {
    (of.law.width() * sweepers(of)).min(SWEPT)
}

impl Task {
    /// What `own` does with `other`; `None`: one guess is enough, or nothing helps.
    pub(super) fn of(own: Side, other: Side) -> Option<Self> {
        if is_enough(own, other) || is_enough(other, own) {
            return None;
        }
        let both = is_block(own) && is_block(other);
        match (own.per_address, other.per_address) {
            (true, true) => both.then_some(Self::Sweep(1)),
            (true, false) if other.forgives => is_block(other).then_some(Self::Sweep(1)),
            (false, true) if own.forgives => is_block(own).then_some(Self::Open),
            (true, false) => both.then(|| Self::Sweep(sweepers(other))),
            (false, true) => both.then_some(Self::Scatter),
            (false, false) if own.forgives => both.then_some(Self::Lure),
            (false, false) if other.forgives => both.then_some(Self::Seek),
            (false, false) => both.then_some(Self::Scatter),
        }
    }

    /// The shots of it.
    pub(super) fn plan(self, own: Side, other: Side, rng: &mut Rng) -> Plan {
        let scattered = plan::distinct(other.law, OPENED_OF_ALL as usize, rng);
        let scattered: Vec<Shot> = scattered.into_iter().map(|port| Shot { from: From::Main, port }).collect();
        match self {
            Self::Sweep(sockets) => {
                let behind = sweep(own).saturating_sub(sweep(other));
                Plan {
                    wait: SHOT * if own.per_address && other.per_address { behind } else { 0 },
                    ..swept(other.law, sockets, rng)
                }
            }
            Self::Open => Plan { wait: SHOT * sweep(own), ..Plan::opening(own, other, rng) },
            Self::Scatter => {
                let all = if other.per_address { sweep(own) } else { OPENED_OF_ALL };
                Plan { wait: SHOT * all.saturating_sub(OPENED_OF_ALL), ..Plan::at_once(scattered) }
            }
            Self::Lure => {
                let port = scattered.first().map(|shot| shot.port);
                let shots = (0..LURES).filter_map(|at| Some(Shot { from: From::Extra(at), port: port? })).collect();
                Plan { wait: SHOT * OPENED_OF_ALL, lure: port, ..Plan::at_once(shots) }
            }
            Self::Seek => Plan { pause: SHOT * u32::from(LURES), rest: scattered, seeks: true, ..Plan::default() },
        }
    }
}

/// All ports of a block from the main socket, then from further ones.
fn swept(block: Law, sockets: u32, rng: &mut Rng) -> Plan {
    let extra = (0..).map(From::Extra);
    let sockets = std::iter::once(From::Main).chain(extra).take(sockets as usize);
    let mut shots = Vec::new();
    for from in sockets {
        let ports = plan::distinct(block, block.width() as usize, rng);
        shots.extend(ports.into_iter().map(|port| Shot { from, port }));
    }
    shots.truncate(SWEPT as usize);
    Plan::at_once(shots)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::punch::plan::Means;

    const MEANS: Means = Means { ports: 240, probes: 1_010 };

    fn side(per_address: bool, forgives: bool) -> Side {
        Side { law: Law::Range { low: 2_048, high: 2_559 }, forgives, per_address }
    }

    fn plan(own: Side, other: Side) -> Plan {
        Plan::new(own, other, true, MEANS, &mut Rng::from_seed([7; 32]))
    }

    #[test]
    fn tasks_of_both_sides_fit_together() {
        let (one, many, open) = (side(true, false), side(false, false), side(false, true));
        let forgiving = side(true, true);
        for (own, other, mine, its) in [
            (one, one, Some(Task::Sweep(1)), Some(Task::Sweep(1))),
            (one, many, Some(Task::Sweep(4)), Some(Task::Scatter)),
            (one, open, Some(Task::Sweep(1)), Some(Task::Open)),
            (many, open, Some(Task::Seek), Some(Task::Lure)),
            (many, many, Some(Task::Scatter), Some(Task::Scatter)),
            (open, open, None, None),
            (forgiving, many, None, None),
            (forgiving, one, None, None),
        ] {
            assert_eq!((Task::of(own, other), Task::of(other, own)), (mine, its), "{own:?} {other:?}");
        }
    }

    #[test]
    fn a_wide_range_sweeps_a_block_that_hears_and_else_nothing_is_swept() {
        let wide = |per_address| Side { law: Law::ANY, ..side(per_address, false) };
        assert_eq!(Task::of(wide(true), side(false, true)), Some(Task::Sweep(1)));
        assert_eq!(Task::of(side(false, true), wide(true)), Some(Task::Open));
        for (own, other) in
            [(wide(true), side(true, false)), (wide(true), side(false, false)), (wide(false), side(false, true))]
        {
            assert_eq!((Task::of(own, other), Task::of(other, own)), (None, None), "{own:?} {other:?}");
        }
    }

    #[test]
    fn a_sweep_writes_to_every_port_and_a_socket_more_makes_another() {
        let (own, other) = (side(true, false), side(false, false));
        let plan = plan(own, other);
        assert_eq!((plan.len(), plan.sockets()), (2_048, 3));
        for from in [From::Main, From::Extra(0), From::Extra(2)] {
            let ports: BTreeSet<u16> =
                plan.first.iter().filter(|shot| shot.from == from).map(|shot| shot.port).collect();
            assert_eq!(ports.len(), 512);
        }
        let few = Plan::new(own, other, true, Means { ports: 1, ..MEANS }, &mut Rng::from_seed([7; 32]));
        assert_eq!((few.len(), few.sockets()), (1_024, 1));
    }

    #[test]
    fn a_lure_is_one_port_and_who_seeks_it_tries_many() {
        let (lure, seek) = (plan(side(false, true), side(false, false)), plan(side(false, false), side(false, true)));
        let ports: BTreeSet<u16> = lure.first.iter().map(|shot| shot.port).collect();
        assert_eq!((ports.first().copied(), ports.len(), lure.sockets()), (lure.lure, 1, 64));
        assert!(seek.seeks && seek.first.is_empty() && seek.rest.len() == 240 && lure.wait >= SHOT * 240);
    }
}
