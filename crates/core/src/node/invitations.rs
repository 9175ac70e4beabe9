//! The inviting side of invitations, on the node's meta connections.
//!
//! Source: spec invitations 3.

use fides::Question;

use crate::crypto::keys::PublicKey;
use crate::invite::inviter::{Inviter, InviterEvent};
use crate::meta::connection::Phase;
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName};
use crate::node::Node;
use crate::node::config::HostConfig;
use crate::node::io::{Event, Output, Persist};
use crate::trust::{self, topics};
use crate::wire::request::Request;

/// Longest name that a joiner may choose: with what is put behind it, it is still a file name.
const MAX_NAME: usize = 200;
/// Numbers that are put behind a name until it is free.
const MAX_NUMBER: u32 = 1000;

impl Node {
    /// Somebody with a throw-away key wants to join.
    pub(super) fn start_invitation(&mut self, id: ConnId, throwaway: &str) -> Result<(), PeerError> {
        if !self.may_invite() {
            return Err(PeerError::MayNotInvite);
        }
        let Some(conn) = self.connections.get_mut(&id).filter(|conn| !conn.is_outgoing()) else {
            return Err(PeerError::Unexpected { got: "invitation", expected: "ID" });
        };
        let key = self.config.invitation_key.clone().ok_or(PeerError::NoInvitations)?;
        let theirs = PublicKey::from_base64(throwaway).map_err(|_| PeerError::BadInvitation)?;
        let own = Request::Id { name: self.config.name.to_string(), major: 17, minor: Some(7) };
        let mut greeting = format!("{own}\n4 {}\n", key.public().to_base64()).into_bytes();
        let (inviter, kex) = Inviter::new(key, theirs, &mut self.rng);
        conn.phase = Phase::Inviting(Box::new(inviter));
        greeting.extend_from_slice(&kex);
        self.send_bytes(id, greeting);
        Ok(())
    }

    fn inviter(&mut self, id: ConnId) -> Option<&mut Inviter> {
        match self.connections.get_mut(&id).map(|conn| &mut conn.phase) {
            Some(Phase::Inviting(inviter)) => Some(inviter),
            Some(
                Phase::Connecting
                | Phase::Proxying(_)
                | Phase::Id
                | Phase::Securing(_)
                | Phase::Active(_)
                | Phase::Mirroring(_),
            )
            | None => None,
        }
    }

    pub(super) fn on_invitation_bytes(&mut self, id: ConnId, bytes: &[u8]) -> Result<(), PeerError> {
        let Some(Phase::Inviting(inviter)) = self.connections.get_mut(&id).map(|conn| &mut conn.phase) else {
            return Ok(());
        };
        let fed = inviter.feed(bytes, &mut self.rng);
        let output = inviter.take_output();
        self.send_bytes(id, output);
        for event in fed? {
            self.on_inviter_event(id, event)?;
        }
        Ok(())
    }

    fn on_inviter_event(&mut self, id: ConnId, event: InviterEvent) -> Result<(), PeerError> {
        match event {
            InviterEvent::Cookie { file_name } => self.emit(Output::Redeem { conn: id, file_name }),
            InviterEvent::NameWanted(wanted) => {
                let hosts = &self.config.hosts;
                let taken = |name: &NodeName| hosts.contains_key(name) || self.mesh.graph.find(name).is_some();
                let name = free_name(&wanted, taken).ok_or(PeerError::BadInvitation)?;
                let bytes = self.inviter(id).map(|inviter| inviter.grant_name(&name)).transpose()?;
                self.send_bytes(id, bytes.unwrap_or_default());
            }
            InviterEvent::KeyReceived { name, key } => return self.welcome(id, &name, key),
        }
        Ok(())
    }

    /// The file that the joiner's cookie stands for, or that there is none.
    pub(super) fn on_invitation_file(&mut self, id: ConnId, file: Option<Vec<u8>>) {
        let Some(file) = file else {
            self.terminate(id, &PeerError::BadInvitation);
            return;
        };
        let delivered = match self.inviter(id) {
            Some(inviter) => inviter.deliver(&file),
            None => return,
        };
        match delivered {
            Ok(bytes) => self.send_bytes(id, bytes),
            Err(error) => self.terminate(id, &error.into()),
        }
    }

    fn welcome(&mut self, id: ConnId, name: &NodeName, key: PublicKey) -> Result<(), PeerError> {
        let known =
            self.mesh.graph.find(name).is_some_and(|peer| self.peer(peer).is_some_and(|node| node.key.is_some()));
        if known || self.config.hosts.contains_key(name) || *name == self.config.name {
            return Err(PeerError::BadInvitation);
        }
        self.config.hosts.insert(name.clone(), HostConfig { key: Some(key), ..HostConfig::default() });
        self.learn_key(name, key);
        self.allow_invited(id, name, key);
        self.emit(Output::Persist(Persist::InvitedNode { name: name.clone(), key }));
        let bytes = self.inviter(id).map(Inviter::accept).transpose()?;
        self.send_bytes(id, bytes.unwrap_or_default());
        if let Some(remote) = self.connections.get(&id).map(|conn| conn.remote) {
            self.event(Event::InvitationAccepted { name: name.clone(), remote });
        }
        Ok(())
    }
}

impl Node {
    /// Whether members let this node invite others; in an open network everybody does.
    fn may_invite(&mut self) -> bool {
        let question = Question::new(topics::word(topics::INVITE), trust::key(&self.key.public()));
        self.trust.allows(&question, self.now)
    }

    /// Says that a newcomer may join, and what else the invitation lets it do.
    fn allow_invited(&mut self, id: ConnId, name: &NodeName, key: PublicKey) {
        let rights = self.inviter(id).map(|inviter| inviter.rights().clone()).unwrap_or_default();
        if !self.trust.is_closed() && rights.is_empty() {
            return;
        }
        let time = self.trust.span(self.now).latest();
        for claim in rights.claims(trust::key(&key), name, self.config.trust.lease, time) {
            let what = claim.about.to_string();
            if let Err(error) = self.say(claim) {
                self.event(Event::Note(format!("Could not say of the invited node {name} \"{what}\": {error}")));
            }
        }
    }
}

/// The wanted name, or the first of NAME_2, NAME_3, … that nobody has; none if the search would be long, or the name is.
fn free_name(wanted: &NodeName, taken: impl Fn(&NodeName) -> bool) -> Option<NodeName> {
    if wanted.as_str().len() > MAX_NAME {
        return None;
    }
    let numbered = (2..=MAX_NUMBER).filter_map(|number| NodeName::parse(&format!("{wanted}_{number}")).ok());
    std::iter::once(wanted.clone()).chain(numbered).find(|name| !taken(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).expect("a name")
    }

    #[test]
    fn a_taken_name_gets_a_number() {
        let taken = ["bob", "bob_2"].map(name);
        assert_eq!(free_name(&name("bob"), |name| taken.contains(name)), Some(name("bob_3")));
        assert_eq!(free_name(&name("carol"), |name| taken.contains(name)), Some(name("carol")));
    }

    #[test]
    fn a_joiner_cannot_make_us_search_for_ever() {
        assert_eq!(free_name(&name("bob"), |_| true), None);
        assert_eq!(free_name(&name(&"a".repeat(NodeName::MAX_LEN)), |_| false), None);
    }
}
