//! The inviting side, on a node's meta connection.
//!
//! Source: spec invitations 3.

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::rng::Rng;
use crate::crypto::sptps::stream::{Stream, StreamEvent};
use crate::crypto::sptps::{INVITATION_LABEL, Params, Role};
use crate::invite::rights::Rights;
use crate::invite::{
    ACCEPTED, COOKIE_OR_FILE, END_OR_KEY, InviteError, MAX_FILE, NAME_CHOICE, PIECE, file_name, invitee,
    offers_name_choice,
};
use crate::name::NodeName;

/// What the joiner wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InviterEvent {
    /// The file of this name, once: answer with [`Inviter::deliver`].
    Cookie {
        /// 24 characters.
        file_name: String,
    },
    /// Another name than the file says: answer with [`Inviter::grant_name`].
    NameWanted(NodeName),
    /// To join with this key: answer with [`Inviter::accept`].
    KeyReceived {
        /// The name it gets.
        name: NodeName,
        /// Its key.
        key: PublicKey,
    },
}

/// One invitation exchange, seen from the inviter.
#[derive(Debug)]
pub struct Inviter {
    stream: Stream,
    key: PublicKey,
    phase: Phase,
    rights: Rights,
}

/// What is due next.
#[derive(Debug)]
enum Phase {
    /// The joiner's cookie.
    Cookie,
    /// Our file.
    File,
    /// The joiner's key, or a wish for another name if it has a choice.
    Key { name: NodeName, choice: bool },
    /// Our decision on the name.
    Name,
    /// Our acceptance.
    Acceptance,
    /// Nothing.
    Accepted,
}

impl Inviter {
    /// Starts an exchange; the second value is to be sent right behind the greeting, in one piece with it.
    pub fn new(key: SecretKey, joiner: PublicKey, rng: &mut Rng) -> (Self, Vec<u8>) {
        let public = key.public();
        let params = Params { role: Role::Responder, key, peer: joiner, label: INVITATION_LABEL.to_vec() };
        let (stream, kex) = Stream::new(params, rng);
        (Self { stream, key: public, phase: Phase::Cookie, rights: Rights::default() }, kex)
    }

    /// Takes bytes from the joiner.
    ///
    /// # Errors
    /// If they are not what is due.
    pub fn feed(&mut self, mut bytes: &[u8], rng: &mut Rng) -> Result<Vec<InviterEvent>, InviteError> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            let (consumed, event) = self.stream.feed(bytes, rng)?;
            bytes = &bytes[consumed..];
            match event {
                Some(StreamEvent::Record { kind, data }) => events.push(self.on_record(kind, &data)?),
                Some(StreamEvent::Handshake | StreamEvent::Done) | None => {}
            }
        }
        Ok(events)
    }

    fn on_record(&mut self, kind: u8, data: &[u8]) -> Result<InviterEvent, InviteError> {
        match (&self.phase, kind) {
            (Phase::Cookie, COOKIE_OR_FILE) => {
                let cookie = data.try_into().map_err(|_| InviteError::Unexpected(kind))?;
                self.phase = Phase::File;
                Ok(InviterEvent::Cookie { file_name: file_name(cookie, &self.key) })
            }
            (Phase::Key { choice: true, .. }, NAME_CHOICE) => {
                let name = text(data).and_then(|text| NodeName::parse(text).ok()).ok_or(InviteError::BadName)?;
                self.phase = Phase::Name;
                Ok(InviterEvent::NameWanted(name))
            }
            (Phase::Key { name, .. }, END_OR_KEY) => {
                let key = text(data).and_then(|text| PublicKey::from_base64(text).ok()).ok_or(InviteError::BadKey)?;
                let name = name.clone();
                self.phase = Phase::Acceptance;
                Ok(InviterEvent::KeyReceived { name, key })
            }
            _ => Err(InviteError::Unexpected(kind)),
        }
    }

    /// Hands over the invitation file; the result is to be sent.
    ///
    /// # Errors
    /// If no file is due, or this is none.
    pub fn deliver(&mut self, file: &[u8]) -> Result<Vec<u8>, InviteError> {
        if !matches!(self.phase, Phase::File) {
            return Err(InviteError::OutOfOrder);
        }
        if file.len() > MAX_FILE {
            return Err(InviteError::TooLong);
        }
        let name = invitee(file)?;
        self.rights = Rights::parse(file);
        let mut bytes = Vec::new();
        for piece in file.chunks(PIECE) {
            bytes.extend(self.stream.seal(COOKIE_OR_FILE, piece)?);
        }
        bytes.extend(self.stream.seal(END_OR_KEY, &[])?);
        self.phase = Phase::Key { name, choice: offers_name_choice(file) };
        Ok(bytes)
    }

    /// Decides on the wish for another name; the result is to be sent.
    ///
    /// # Errors
    /// If there was no such wish.
    pub fn grant_name(&mut self, name: &NodeName) -> Result<Vec<u8>, InviteError> {
        if !matches!(self.phase, Phase::Name) {
            return Err(InviteError::OutOfOrder);
        }
        let bytes = self.stream.seal(NAME_CHOICE, name.as_str().as_bytes())?;
        self.phase = Phase::Key { name: name.clone(), choice: false };
        Ok(bytes)
    }

    /// What the file lets the joiner do.
    pub const fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Says that the joiner's key is stored; the result is to be sent.
    ///
    /// # Errors
    /// If no key came.
    pub fn accept(&mut self) -> Result<Vec<u8>, InviteError> {
        if !matches!(self.phase, Phase::Acceptance) {
            return Err(InviteError::OutOfOrder);
        }
        self.phase = Phase::Accepted;
        Ok(self.stream.seal(ACCEPTED, &[])?)
    }

    /// Handshake bytes that are to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        self.stream.take_output()
    }
}

fn text(data: &[u8]) -> Option<&str> {
    std::str::from_utf8(data).ok()
}
