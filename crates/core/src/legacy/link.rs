//! `Link`: a meta connection in the protocol of tinc 1.0: authentication, then one cipher stream in each direction.
//!
//! ```text
//!  I: METAKEY            the key of what I sends, encrypted for R        R: METAKEY (with its ID)
//!  I: CHALLENGE                                                          R: CHALLENGE
//!  I: CHAL_REPLY ──────► R checks it, and only then:                     R: CHAL_REPLY, ACK
//!  I: ACK
//! ```
//!
//! Nobody can use this node as an oracle (CVE-2018-16737, -16738): requests come in exactly this order; a responder proves
//! nothing before the initiator has; a stream is never without cipher; every challenge is fresh, and must not be ours
//! sent back. There is no protection against changes of the stream (CVE-2018-16758): what follows from that is in
//! `session.rs`. Source: spec legacy-1.0, 3 and 12.

use std::fmt::Write as _;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::crypto::rng::Rng;
use crate::crypto::sptps::Role;
use crate::legacy::cipher::{BudgetExceeded, Cipher, MetaStream};
use crate::legacy::digest::Digest;
use crate::legacy::hex;
use crate::legacy::rsa::{PrivateKey, PublicKey};

/// Digest of our challenge.
const OWN_DIGEST: Digest = Digest::Sha256;
/// Number of the cipher of what we send: AES with 256 bits in CFB.
const OWN_CIPHER: i32 = 429;

/// Why a peer is refused that speaks the protocol of tinc 1.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// Another request than the step allows.
    #[error("unexpected request while expecting {0}")]
    Unexpected(&'static str),
    /// A field that is absent or wrong.
    #[error("{0} is not valid")]
    Malformed(&'static str),
    /// A cipher for the connection that does not exist, or none.
    #[error("cipher {0} cannot encrypt a connection")]
    Cipher(i32),
    /// A digest that does not exist, or none.
    #[error("digest {0} cannot prove an identity")]
    Digest(i32),
    /// A cipher or digest that is too weak.
    #[error("wants a weak cipher or digest; upgrade it, or set LegacyWeakCiphers = yes")]
    Weak,
    /// Not the answer that the owner of the key would give.
    #[error("cannot prove its identity: the RSA key in its host file is not its own")]
    WrongReply,
    /// Our challenge, sent back.
    #[error("sends our own challenge back")]
    Reflected,
    /// Too much under one key.
    #[error(transparent)]
    Budget(#[from] BudgetExceeded),
}

/// Which request comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    MetaKey,
    Challenge,
    Reply,
    Done,
}

/// What a step wants done.
#[derive(Debug, Default)]
pub struct Progress {
    /// Bytes to send.
    pub send: Vec<u8>,
    /// Whether both sides have proved who they are.
    pub authenticated: bool,
}

/// This node's part of the authentication.
#[derive(Debug)]
pub struct Proof<'a> {
    /// Its key.
    pub key: &'a PrivateKey,
    /// Whether weak ciphers and digests are allowed.
    pub weak: bool,
    /// What it draws from.
    pub rng: &'a mut Rng,
}

/// One meta connection in the protocol of tinc 1.0.
#[derive(Debug)]
pub struct Link {
    role: Role,
    step: Step,
    /// Whether the connection is only for telling each other the Ed25519 keys.
    upgrade: bool,
    outgoing: MetaStream,
    incoming: Option<MetaStream>,
    peers_digest: Digest,
    challenge: Zeroizing<Vec<u8>>,
    peer: PublicKey,
    /// The responder's answer, until the initiator has proved itself.
    reply: Vec<u8>,
    /// Decrypted input, and how much of it is done with.
    plain: Vec<u8>,
    done: usize,
}

impl Link {
    /// A link to the owner of `peer`, and the METAKEY request that opens it; nothing if the key is too small for that.
    pub fn start(role: Role, peer: PublicKey, upgrade: bool, rng: &mut Rng) -> Option<(Self, Vec<u8>)> {
        let block = peer.draw_block(rng);
        let outgoing = MetaStream::from_block(Cipher::by_id(OWN_CIPHER)?, &block)?;
        let sealed = hex::encode(&peer.encrypt(&block)?);
        let request = format!("1 {OWN_CIPHER} {} 0 0 {sealed}\n", OWN_DIGEST.id());
        let link = Self {
            role,
            step: Step::MetaKey,
            upgrade,
            outgoing,
            incoming: None,
            peers_digest: OWN_DIGEST,
            challenge: Zeroizing::default(),
            peer,
            reply: Vec::new(),
            plain: Vec::new(),
            done: 0,
        };
        Some((link, request.into_bytes()))
    }

    /// Whether both sides have proved who they are.
    pub fn is_authenticated(&self) -> bool {
        self.step == Step::Done
    }

    /// Whether the connection is only for telling each other the Ed25519 keys.
    pub const fn is_upgrade(&self) -> bool {
        self.upgrade
    }

    /// Whether what comes is encrypted.
    pub const fn is_encrypted(&self) -> bool {
        self.incoming.is_some()
    }

    /// Takes a request of the authentication.
    ///
    /// # Errors
    /// If it is not the one that must come now, or wrong.
    pub fn on_request(&mut self, line: &[u8], proof: Proof<'_>) -> Result<Progress, LinkError> {
        match self.step {
            Step::MetaKey => self.on_meta_key(words(line, "1", "METAKEY")?, proof),
            Step::Challenge => self.on_challenge(words(line, "2", "CHALLENGE")?, proof.key),
            Step::Reply => self.on_reply(words(line, "3", "CHAL_REPLY")?),
            Step::Done => Err(LinkError::Unexpected("ACK")),
        }
    }

    fn on_meta_key<'a>(
        &mut self,
        mut words: impl Iterator<Item = &'a str>,
        proof: Proof<'_>,
    ) -> Result<Progress, LinkError> {
        let mut number = |field| {
            let word = words.next().ok_or(LinkError::Malformed(field))?;
            word.parse::<i32>().map_err(|_| LinkError::Malformed(field))
        };
        let (cipher_id, digest_id) = (number("METAKEY cipher")?, number("METAKEY digest")?);
        number("METAKEY MAC length")?;
        number("METAKEY compression")?;
        let sealed = words.next().and_then(hex::decode).ok_or(LinkError::Malformed("METAKEY key"))?;
        let cipher = Cipher::by_id(cipher_id).ok_or(LinkError::Cipher(cipher_id))?;
        let digest = Digest::by_id(digest_id).ok_or(LinkError::Digest(digest_id))?;
        if (cipher.has_small_blocks() || digest.is_weak()) && !proof.weak {
            return Err(LinkError::Weak);
        }
        let block = proof.key.decrypt(&sealed, proof.rng).ok_or(LinkError::Malformed("METAKEY key"))?;
        self.incoming = Some(MetaStream::from_block(cipher, &block).ok_or(LinkError::Cipher(cipher_id))?);
        self.peers_digest = digest;
        self.challenge = Zeroizing::new(vec![0; self.peer.block_len()]);
        proof.rng.fill(&mut self.challenge);
        self.step = Step::Challenge;
        let request = Zeroizing::new(format!("2 {}\n", hex::encode(&self.challenge)));
        Ok(Progress { send: self.seal(request.as_bytes())?, authenticated: false })
    }

    fn on_challenge<'a>(
        &mut self,
        mut words: impl Iterator<Item = &'a str>,
        key: &PrivateKey,
    ) -> Result<Progress, LinkError> {
        let theirs = words.next().and_then(hex::decode).ok_or(LinkError::Malformed("CHALLENGE"))?;
        if theirs.len() != key.public().block_len() {
            return Err(LinkError::Malformed("CHALLENGE"));
        }
        if theirs == *self.challenge {
            return Err(LinkError::Reflected);
        }
        let mut reply = String::from("3 ");
        let _ = writeln!(reply, "{}", hex::encode(&self.peers_digest.hash(&theirs)));
        self.step = Step::Reply;
        match self.role {
            Role::Initiator => Ok(Progress { send: self.seal(reply.as_bytes())?, authenticated: false }),
            Role::Responder => {
                self.reply = reply.into_bytes();
                Ok(Progress::default())
            }
        }
    }

    fn on_reply<'a>(&mut self, mut words: impl Iterator<Item = &'a str>) -> Result<Progress, LinkError> {
        let theirs = words.next().and_then(hex::decode).ok_or(LinkError::Malformed("CHAL_REPLY"))?;
        let right: bool = OWN_DIGEST.hash(&self.challenge).ct_eq(&theirs).into();
        if !right {
            return Err(LinkError::WrongReply);
        }
        self.step = Step::Done;
        let reply = std::mem::take(&mut self.reply);
        Ok(Progress { send: self.seal(&reply)?, authenticated: true })
    }

    /// Encrypts the next bytes to send.
    ///
    /// # Errors
    /// If the key has served for too long.
    pub fn seal(&mut self, data: &[u8]) -> Result<Vec<u8>, BudgetExceeded> {
        let mut sealed = data.to_vec();
        self.outgoing.encrypt(&mut sealed)?;
        Ok(sealed)
    }

    /// Decrypts what came.
    ///
    /// # Errors
    /// If the key has served for too long.
    pub fn receive(&mut self, data: &[u8]) -> Result<(), LinkError> {
        self.plain.drain(..std::mem::take(&mut self.done));
        let start = self.plain.len();
        self.plain.extend_from_slice(data);
        let Some(incoming) = &mut self.incoming else { return Err(LinkError::Unexpected("METAKEY")) };
        incoming.decrypt(&mut self.plain[start..])?;
        Ok(())
    }

    /// The decrypted bytes that wait.
    pub fn rest(&self) -> &[u8] {
        &self.plain[self.done..]
    }

    /// Takes the first `count` of them.
    pub fn take(&mut self, count: usize) -> Vec<u8> {
        let taken = self.plain[self.done..][..count].to_vec();
        self.done += count;
        taken
    }
}

/// The words of a request behind its number, which must be this one.
fn words<'a>(line: &'a [u8], number: &str, request: &'static str) -> Result<impl Iterator<Item = &'a str>, LinkError> {
    let line = std::str::from_utf8(line).map_err(|_| LinkError::Unexpected(request))?;
    let mut words = line.split_ascii_whitespace();
    if words.next() == Some(number) { Ok(words) } else { Err(LinkError::Unexpected(request)) }
}

#[cfg(test)]
mod tests;
