//! `Memory`: what was found out of paths to peers, network by network, so that whoever comes back need not find it out again.
//!
//! ```text
//!  here: home ──► office ──► home      attempts that failed at home still pause there, and silences that its router bears
//!                                      need not be tried one by one; what failed at home says nothing of the office
//! ```
//!
//! Nothing is kept while it is not known which network this is. It goes with the program.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use crate::name::NodeName;
use crate::punch::retries::Retries;

/// Networks that are remembered: the last ones.
const NETWORKS: usize = 8;
/// Peers in each; of more nothing is remembered.
const PEERS: usize = 1_024;
/// Addresses of each peer: the last ones.
const ADDRESSES: usize = 4;

/// What tells a network from others, whatever that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkId(pub u64);

/// What silences did to a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Silences {
    /// The longest that did no harm, in seconds; 0: none was tried.
    pub stood: u64,
    /// The shortest that did, in seconds.
    pub fell: Option<u64>,
}

/// What was found out of a peer at one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How attempts to guess ports went.
    pub retries: Retries,
    /// How attempts to connect from both ends went.
    pub meetings: Retries,
    /// What silences did.
    pub silences: Silences,
}

/// What was found out of one peer, by its address, the latest last.
type Places = VecDeque<(IpAddr, Found)>;

/// What was found out in the last networks.
#[derive(Debug, Default)]
pub struct Memory {
    here: Option<NetworkId>,
    /// The latest last.
    networks: VecDeque<(NetworkId, BTreeMap<NodeName, Places>)>,
}

impl Memory {
    /// Whether this machine is in that network.
    pub fn is_in(&self, network: NetworkId) -> bool {
        self.here == Some(network)
    }

    /// Whether it is known in which network it is.
    pub const fn is_somewhere(&self) -> bool {
        self.here.is_some()
    }

    /// This machine is in that network; `None`: nobody knows in which.
    pub fn enter(&mut self, network: Option<NetworkId>) {
        self.here = network;
        let Some(id) = network else { return };
        let at = self.networks.iter().position(|(known, _)| *known == id);
        let found = at.and_then(|at| self.networks.remove(at)).map(|(_, found)| found).unwrap_or_default();
        self.networks.push_back((id, found));
        if self.networks.len() > NETWORKS {
            self.networks.pop_front();
        }
    }

    /// Of how many peers something was found out here.
    pub fn peers(&self) -> usize {
        let here = self.networks.back().filter(|_| self.here.is_some());
        here.map_or(0, |(_, known)| known.len())
    }

    /// What was found out here of a peer at this address; `None`: nothing.
    pub fn of(&self, peer: &NodeName, ip: IpAddr) -> Option<Found> {
        self.here?;
        let places = self.networks.back()?.1.get(peer)?;
        places.iter().find(|(known, _)| *known == ip).map(|&(_, found)| found)
    }

    /// Changes that.
    pub fn change(&mut self, peer: &NodeName, ip: IpAddr, change: impl FnOnce(&mut Found)) {
        let mut found = self.of(peer, ip).unwrap_or_default();
        let Some((_, known)) = self.networks.back_mut().filter(|_| self.here.is_some()) else { return };
        change(&mut found);
        let mut places = known.remove(peer).unwrap_or_default();
        places.retain(|(known, _)| *known != ip);
        if found != Found::default() {
            places.push_back((ip, found));
        }
        if places.len() > ADDRESSES {
            places.pop_front();
        }
        if !places.is_empty() && known.len() < PEERS {
            known.insert(peer.clone(), places);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Instant;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).expect("a name")
    }

    fn at(last: u8) -> IpAddr {
        [192, 0, 2, last].into()
    }

    fn fail(memory: &mut Memory, peer: &str, ip: IpAddr, failures: u32) {
        memory.change(&name(peer), ip, |found| found.retries = Retries { failures, not_before: Instant::ZERO });
    }

    fn failures(memory: &Memory, peer: &str, ip: IpAddr) -> u32 {
        memory.of(&name(peer), ip).map_or(0, |found| found.retries.failures)
    }

    #[test]
    fn each_network_has_its_own_memory_and_the_last_eight_are_kept() {
        let mut memory = Memory::default();
        for network in 1..=9 {
            memory.enter(Some(NetworkId(network)));
            assert!(memory.is_in(NetworkId(network)) && memory.is_somewhere());
            assert_eq!(failures(&memory, "bob", at(1)), 0);
            fail(&mut memory, "bob", at(1), 1);
        }
        memory.enter(Some(NetworkId(2)));
        assert_eq!((failures(&memory, "bob", at(1)), failures(&memory, "carol", at(1))), (1, 0));
        memory.enter(Some(NetworkId(1)));
        assert_eq!(failures(&memory, "bob", at(1)), 0, "eight others came after it");
        assert_eq!(memory.networks.len(), NETWORKS);
    }

    #[test]
    fn nothing_is_kept_of_a_network_that_is_not_known() {
        let mut memory = Memory::default();
        fail(&mut memory, "bob", at(1), 1);
        memory.enter(Some(NetworkId(1)));
        assert_eq!(failures(&memory, "bob", at(1)), 0);
        fail(&mut memory, "bob", at(1), 2);
        memory.enter(None);
        assert!(!memory.is_somewhere());
        fail(&mut memory, "bob", at(1), 3);
        assert_eq!(failures(&memory, "bob", at(1)), 0);
        memory.enter(Some(NetworkId(1)));
        assert_eq!(failures(&memory, "bob", at(1)), 2);
    }

    #[test]
    fn memory_is_bounded_and_success_takes_no_room() {
        let mut memory = Memory::default();
        memory.enter(Some(NetworkId(1)));
        for number in 0..2 * PEERS {
            fail(&mut memory, &format!("node{number}"), at(1), 1);
        }
        assert_eq!(memory.peers(), PEERS);
        fail(&mut memory, "node7", at(1), 0);
        assert_eq!((memory.peers(), memory.of(&name("node7"), at(1))), (PEERS - 1, None));

        (1..=5).for_each(|last| fail(&mut memory, "node8", at(last), last.into()));
        assert_eq!([1, 2, 5].map(|last| failures(&memory, "node8", at(last))), [0, 2, 5]);
    }
}
