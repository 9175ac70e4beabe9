//! `SubnetTable`: who owns an address (spec: meta-protocol 8.2, 8.3).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::trie::{Prefix, Trie};
use super::{Address, Subnet};
use crate::name::{NodeName, PeerId};

/// To whom an address belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// To a node.
    Peer {
        /// Which.
        id: PeerId,
        /// Whether it can be reached; if not, no other owner can be either.
        reachable: bool,
    },
    /// To everyone.
    Broadcast,
}

/// One claim on a range.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Claim {
    subnet: Subnet,
    /// `None`: everyone.
    owner: Option<(PeerId, NodeName)>,
}

impl Claim {
    /// A range that belongs to everyone goes before equal ranges of nodes.
    fn order(&self) -> (Subnet, Option<&NodeName>) {
        (self.subnet, self.owner.as_ref().map(|(_, name)| name))
    }

    fn id(&self) -> Option<PeerId> {
        self.owner.as_ref().map(|(id, _)| *id)
    }
}

/// Claims on ranges that agree in all leading bits, in order.
type Claims = Vec<Claim>;

/// All subnets, by address and by owner. A clone shares what does not change afterwards.
#[derive(Clone, Debug, Default)]
pub struct SubnetTable {
    macs: Trie<Claims>,
    v4: Trie<Claims>,
    v6: Trie<Claims>,
    owned: BTreeMap<Option<PeerId>, Arc<BTreeSet<Subnet>>>,
    len: usize,
}

impl SubnetTable {
    /// Adds a subnet of `owner` (`None`: of everyone), called `name`; tells whether it is new.
    pub fn insert(&mut self, subnet: Subnet, owner: Option<PeerId>, name: &NodeName) -> bool {
        if !Arc::make_mut(self.owned.entry(owner).or_default()).insert(subnet) {
            return false;
        }
        let claim = Claim { subnet, owner: owner.map(|id| (id, name.clone())) };
        let claims = self.trie_mut(&subnet.address()).entry(&prefix_of(&subnet));
        let at = claims.partition_point(|other| other.order() < claim.order());
        if claims.is_empty() {
            // Most ranges are claimed once.
            claims.reserve_exact(1);
        }
        claims.insert(at, claim);
        self.len += 1;
        true
    }

    /// Removes a subnet of `owner` (`None`: of everyone); tells whether it was there.
    pub fn remove(&mut self, subnet: &Subnet, owner: Option<PeerId>) -> bool {
        let Some(owned) = self.owned.get_mut(&owner) else { return false };
        if !owned.contains(subnet) {
            return false;
        }
        let owned = Arc::make_mut(owned);
        owned.remove(subnet);
        self.len -= 1;
        if owned.is_empty() {
            self.owned.remove(&owner);
        }
        let prefix = prefix_of(subnet);
        let trie = self.trie_mut(&subnet.address());
        let claims = trie.entry(&prefix);
        claims.retain(|claim| claim.subnet != *subnet || claim.id() != owner);
        if claims.is_empty() {
            trie.remove(&prefix);
        }
        true
    }

    /// Whether `owner` (`None`: everyone) has exactly this subnet.
    pub fn contains(&self, subnet: &Subnet, owner: Option<PeerId>) -> bool {
        self.owned.get(&owner).is_some_and(|owned| owned.contains(subnet))
    }

    /// The subnets of one node, in order.
    pub fn of(&self, owner: PeerId) -> impl Iterator<Item = Subnet> {
        self.owned.get(&Some(owner)).into_iter().flat_map(|owned| owned.iter().copied())
    }

    /// How many subnets there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many subnets one node has.
    pub fn count_of(&self, owner: PeerId) -> usize {
        self.owned.get(&Some(owner)).map_or(0, |owned| owned.len())
    }

    /// All subnets in order, with their owners (`None`: everyone).
    pub fn iter(&self) -> impl Iterator<Item = (Subnet, Option<PeerId>)> {
        let mut all: Vec<&Claim> = Vec::new();
        for trie in [&self.macs, &self.v4, &self.v6] {
            trie.walk(|claims| all.extend(claims));
        }
        all.sort_by(|a, b| a.order().cmp(&b.order()));
        all.into_iter().map(|claim| (claim.subnet, claim.id()))
    }

    /// Whether one of the subnets of `owner` holds `address`.
    pub fn holds(&self, owner: PeerId, address: &Address) -> bool {
        let is_own = |claims: &Claims| claims.iter().any(|claim| claim.id() == Some(owner)).then_some(());
        self.trie(address).search(&prefix_of(&Subnet::host(*address)), is_own).is_some()
    }

    /// The owner of `address`: by the longest prefix, then the lowest weight, then the first name,
    /// among those that are reachable. If none is, one that is not.
    pub fn lookup(&self, address: &Address, reachable: impl Fn(PeerId) -> bool) -> Option<Owner> {
        let mut unreachable = None;
        let owner = self.trie(address).search(&prefix_of(&Subnet::host(*address)), |claims| {
            claims.iter().find_map(|claim| match claim.id() {
                None => Some(Owner::Broadcast),
                Some(id) if reachable(id) => Some(Owner::Peer { id, reachable: true }),
                Some(id) => {
                    unreachable = Some(Owner::Peer { id, reachable: false });
                    None
                }
            })
        });
        owner.or(unreachable)
    }

    const fn trie(&self, address: &Address) -> &Trie<Claims> {
        match address {
            Address::Mac(_) => &self.macs,
            Address::V4(_) => &self.v4,
            Address::V6(_) => &self.v6,
        }
    }

    const fn trie_mut(&mut self, address: &Address) -> &mut Trie<Claims> {
        match address {
            Address::Mac(_) => &mut self.macs,
            Address::V4(_) => &mut self.v4,
            Address::V6(_) => &mut self.v6,
        }
    }
}

const fn prefix_of(subnet: &Subnet) -> Prefix {
    Prefix { key: subnet.address.leading() & subnet.mask(), bits: subnet.prefix }
}

#[cfg(test)]
mod tests;
