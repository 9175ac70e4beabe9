//! The joining side: needs bytes from the inviter, and decisions between the events it gives.
//!
//! Source: spec invitations 3 and 4, sptps 17.3.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::keys::{PublicKey, SecretKey};
use crate::crypto::rng::Rng;
use crate::crypto::sptps::stream::{Stream, StreamEvent};
use crate::crypto::sptps::{INVITATION_LABEL, Params, Role};
use crate::invite::url::InviteUrl;
use crate::invite::{
    ACCEPTED, COOKIE, COOKIE_OR_FILE, END_OR_KEY, InviteError, MAX_FILE, NAME_CHOICE, key_hash, offers_name_choice,
};
use crate::name::NodeName;
use crate::wire::request::Request;

/// Longest line of a greeting, in bytes (spec: meta-protocol 1).
const MAX_LINE: usize = Request::MAX_LEN + 1;

/// What came from the inviter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinerEvent {
    /// The whole invitation file. Answer with [`Joiner::send_key`], before that with [`Joiner::want_name`] if a name may
    /// be chosen.
    FileReceived {
        /// Its content.
        file: Vec<u8>,
        /// Whether another name may be asked for.
        name_choice: bool,
    },
    /// The name that the new node gets.
    NameGranted(NodeName),
    /// The inviter stored the key: we are a member.
    Accepted,
}

/// One invitation exchange, seen from the joiner.
#[derive(Debug)]
pub struct Joiner {
    key: SecretKey,
    expected: [u8; COOKIE],
    cookie: Zeroizing<[u8; COOKIE]>,
    inviter: Option<NodeName>,
    phase: Phase,
    line: Vec<u8>,
    output: Vec<u8>,
}

/// What is due next.
#[derive(Debug)]
enum Phase {
    /// The inviter's ID line.
    Id,
    /// The line with the inviter's key.
    Key,
    /// The rest.
    Secured(Box<Stream>, Step),
}

#[derive(Debug)]
enum Step {
    /// The end of the handshake.
    Handshake,
    /// The rest of the file.
    File(Vec<u8>),
    /// Our key, or a wish for another name if there is a choice.
    Decision { name_choice: bool },
    /// The inviter's decision on the name.
    Name,
    /// The inviter's acceptance.
    Acceptance,
    /// Nothing.
    Accepted,
}

impl Joiner {
    /// Starts an exchange, with a key that is good for nothing else.
    pub fn new(url: &InviteUrl, throwaway: SecretKey) -> Self {
        let output = format!("0 ?{} 17.1\n", throwaway.public().to_base64()).into_bytes();
        Self {
            key: throwaway,
            expected: url.key_hash,
            cookie: Zeroizing::new(url.cookie),
            inviter: None,
            phase: Phase::Id,
            line: Vec::new(),
            output,
        }
    }

    /// The inviter's name, once it said it.
    pub const fn inviter(&self) -> Option<&NodeName> {
        self.inviter.as_ref()
    }

    /// Bytes that are to be sent.
    pub fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Takes bytes from the inviter, cut anywhere.
    ///
    /// # Errors
    /// If they are not what is due.
    pub fn feed(&mut self, mut bytes: &[u8], rng: &mut Rng) -> Result<Vec<JoinerEvent>, InviteError> {
        let mut events = Vec::new();
        while !bytes.is_empty() {
            if matches!(self.phase, Phase::Secured(..)) {
                bytes = self.feed_stream(bytes, &mut events, rng)?;
            } else {
                bytes = self.feed_line(bytes, rng)?;
            }
        }
        Ok(events)
    }

    fn feed_line<'a>(&mut self, bytes: &'a [u8], rng: &mut Rng) -> Result<&'a [u8], InviteError> {
        let end = bytes.iter().position(|&byte| byte == b'\n');
        let (piece, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        if self.line.len() + piece.len() >= MAX_LINE {
            return Err(InviteError::BadGreeting);
        }
        self.line.extend_from_slice(piece);
        let Some((_, rest)) = rest.split_first() else { return Ok(rest) };
        let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| InviteError::BadGreeting)?;
        match self.phase {
            Phase::Id => self.on_id(&line)?,
            Phase::Key | Phase::Secured(..) => self.on_key(&line, rng)?,
        }
        Ok(rest)
    }

    fn on_id(&mut self, line: &str) -> Result<(), InviteError> {
        let mut words = line.split(' ');
        let (Some("0"), Some(name), Some(version)) = (words.next(), words.next(), words.next()) else {
            return Err(InviteError::BadGreeting);
        };
        let name = NodeName::parse(name).map_err(|_| InviteError::BadGreeting)?;
        if version.split('.').next() != Some("17") {
            return Err(InviteError::BadGreeting);
        }
        self.inviter = Some(name);
        self.phase = Phase::Key;
        Ok(())
    }

    fn on_key(&mut self, line: &str, rng: &mut Rng) -> Result<(), InviteError> {
        let text = line.strip_prefix("4 ").ok_or(InviteError::BadGreeting)?;
        let peer = PublicKey::from_base64(text).map_err(|_| InviteError::BadGreeting)?;
        let same_text = peer.to_base64() == text;
        if !same_text || !bool::from(key_hash(&peer).ct_eq(&self.expected)) {
            return Err(InviteError::WrongInviter);
        }
        let label = INVITATION_LABEL.to_vec();
        let params = Params { role: Role::Initiator, key: self.key.clone(), peer, label };
        let (stream, kex) = Stream::new(params, rng);
        self.output.extend(kex);
        self.phase = Phase::Secured(Box::new(stream), Step::Handshake);
        Ok(())
    }

    fn feed_stream<'a>(
        &mut self,
        bytes: &'a [u8],
        events: &mut Vec<JoinerEvent>,
        rng: &mut Rng,
    ) -> Result<&'a [u8], InviteError> {
        let Phase::Secured(stream, step) = &mut self.phase else { return Err(InviteError::OutOfOrder) };
        let (consumed, event) = stream.feed(bytes, rng)?;
        self.output.extend(stream.take_output());
        match event {
            Some(StreamEvent::Done) => {
                self.output.extend(stream.seal(COOKIE_OR_FILE, self.cookie.as_slice())?);
                *step = Step::File(Vec::new());
            }
            Some(StreamEvent::Record { kind, data }) => events.extend(step.on_record(kind, &data)?),
            Some(StreamEvent::Handshake) | None => {}
        }
        Ok(&bytes[consumed..])
    }

    /// Asks for another name than that of the file.
    ///
    /// # Errors
    /// If there is no choice, or not at this point.
    pub fn want_name(&mut self, name: &NodeName) -> Result<(), InviteError> {
        let Phase::Secured(stream, step @ Step::Decision { name_choice: true }) = &mut self.phase else {
            return Err(InviteError::OutOfOrder);
        };
        self.output.extend(stream.seal(NAME_CHOICE, name.as_str().as_bytes())?);
        *step = Step::Name;
        Ok(())
    }

    /// Sends the new node's key.
    ///
    /// # Errors
    /// If it is not due.
    pub fn send_key(&mut self, key: &PublicKey) -> Result<(), InviteError> {
        let Phase::Secured(stream, step @ Step::Decision { .. }) = &mut self.phase else {
            return Err(InviteError::OutOfOrder);
        };
        self.output.extend(stream.seal(END_OR_KEY, key.to_base64().as_bytes())?);
        *step = Step::Acceptance;
        Ok(())
    }
}

impl Step {
    fn on_record(&mut self, kind: u8, data: &[u8]) -> Result<Option<JoinerEvent>, InviteError> {
        match (&mut *self, kind) {
            (Self::File(file), COOKIE_OR_FILE) => {
                if file.len() + data.len() > MAX_FILE {
                    return Err(InviteError::TooLong);
                }
                file.extend_from_slice(data);
                Ok(None)
            }
            (Self::File(file), END_OR_KEY) => {
                let file = std::mem::take(file);
                let name_choice = offers_name_choice(&file);
                *self = Self::Decision { name_choice };
                Ok(Some(JoinerEvent::FileReceived { file, name_choice }))
            }
            (Self::Name, NAME_CHOICE) => {
                let name = std::str::from_utf8(data).ok().and_then(|text| NodeName::parse(text).ok());
                let name = name.ok_or(InviteError::BadName)?;
                *self = Self::Decision { name_choice: false };
                Ok(Some(JoinerEvent::NameGranted(name)))
            }
            (Self::Acceptance, ACCEPTED) => {
                *self = Self::Accepted;
                Ok(Some(JoinerEvent::Accepted))
            }
            _ => Err(InviteError::Unexpected(kind)),
        }
    }
}
