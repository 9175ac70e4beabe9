//! The inviting side of invitations, on the node's meta connections.
//!
//! Source: spec invitations 3.

use crate::crypto::keys::PublicKey;
use crate::invite::inviter::{Inviter, InviterEvent};
use crate::meta::connection::Phase;
use crate::meta::error::PeerError;
use crate::name::{ConnId, NodeName};
use crate::node::Node;
use crate::node::config::HostConfig;
use crate::node::io::{Event, Output, Persist};
use crate::wire::request::Request;

impl Node {
    /// Somebody with a throw-away key wants to join.
    pub(super) fn start_invitation(&mut self, id: ConnId, throwaway: &str) -> Result<(), PeerError> {
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
            Some(Phase::Connecting | Phase::Id | Phase::Securing(_) | Phase::Active(_)) | None => None,
        }
    }

    pub(super) fn on_invitation_bytes(&mut self, id: ConnId, bytes: &[u8]) -> Result<(), PeerError> {
        let mut rng = self.rng.clone();
        let Some(inviter) = self.inviter(id) else { return Ok(()) };
        let fed = inviter.feed(bytes, &mut rng);
        let output = inviter.take_output();
        self.rng = rng;
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
                let name = self.free_name(&wanted);
                let bytes = self.inviter(id).map(|inviter| inviter.grant_name(&name)).transpose()?;
                self.send_bytes(id, bytes.unwrap_or_default());
            }
            InviterEvent::KeyReceived { name, key } => return self.welcome(id, &name, key),
        }
        Ok(())
    }

    /// The wanted name, or the first of NAME_2, NAME_3, … that nobody has.
    fn free_name(&self, wanted: &NodeName) -> NodeName {
        let taken = |name: &NodeName| self.config.hosts.contains_key(name) || self.mesh.graph.find(name).is_some();
        let numbered = (2..u32::MAX).filter_map(|number| NodeName::parse(&format!("{wanted}_{number}")).ok());
        std::iter::once(wanted.clone()).chain(numbered).find(|name| !taken(name)).unwrap_or_else(|| wanted.clone())
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
        self.emit(Output::Persist(Persist::InvitedNode { name: name.clone(), key }));
        let bytes = self.inviter(id).map(Inviter::accept).transpose()?;
        self.send_bytes(id, bytes.unwrap_or_default());
        if let Some(remote) = self.connections.get(&id).map(|conn| conn.remote) {
            self.event(Event::InvitationAccepted { name: name.clone(), remote });
        }
        Ok(())
    }
}
