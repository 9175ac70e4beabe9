//! Both ends of an invitation: the URL, the file, and the exchange that hands one over and brings a key back.
//!
//! ```text
//!  joiner                                     inviter
//!  0 ?THROWAWAY 17.1  ──────────────────────►
//!                     ◄──────────────────────  0 NAME 17.7 · 4 KEY · KEX
//!  handshake          ◄─────────────────────►
//!  cookie (0)         ──────────────────────►
//!                     ◄──────────────────────  file (0, in pieces) · end (1)
//!  [wanted name (3)   ──────────────────────►
//!                     ◄──────────────────────  granted name (3)]
//!  key (1)            ──────────────────────►
//!                     ◄──────────────────────  accepted (2)
//! ```
//!
//! The lines in brackets are beyond tinc, and happen only if the file says `NameChoice = yes`. Source: spec invitations,
//! docs/protocol.md.

use sha2::{Digest, Sha512};

use crate::crypto::base64;
use crate::crypto::keys::PublicKey;
use crate::crypto::sptps::SptpsError;
use crate::name::NodeName;

pub mod inviter;
pub mod joiner;
pub mod rights;
pub mod url;

/// Bytes of a cookie, and of the hashes in a URL and a file name.
pub const COOKIE: usize = 18;
/// Longest invitation file, in bytes.
pub const MAX_FILE: usize = 65_536;
/// Longest piece of an invitation file in one record, in bytes (spec: invitations 3).
const PIECE: usize = 1024;
/// Record types of the exchange (spec: invitations 3).
const COOKIE_OR_FILE: u8 = 0;
const END_OR_KEY: u8 = 1;
const ACCEPTED: u8 = 2;
const NAME_CHOICE: u8 = 3;

/// Why an invitation exchange fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// The encrypted stream is broken or forged.
    #[error("encrypted stream refused: {0}")]
    Sptps(#[from] SptpsError),
    /// Not the greeting of an inviter.
    #[error("the other end is not a node that invites")]
    BadGreeting,
    /// The inviter's key is not that of the URL.
    #[error("the other end is not the node that made this invitation")]
    WrongInviter,
    /// A record that does not belong here.
    #[error("unexpected record of type {0}")]
    Unexpected(u8),
    /// A key that is none.
    #[error("not an Ed25519 public key")]
    BadKey,
    /// A name that is none.
    #[error("not a node name")]
    BadName,
    /// A file whose first line is not `Name = NAME`.
    #[error("the first line of the invitation file is not \"Name = NAME\"")]
    NoName,
    /// A file that is too long.
    #[error("the invitation file is longer than {MAX_FILE} bytes")]
    TooLong,
    /// A step out of order.
    #[error("a step of the exchange out of order")]
    OutOfOrder,
}

/// The hash by which a URL names the invitation key.
pub fn key_hash(key: &PublicKey) -> [u8; COOKIE] {
    hash(key.to_base64().as_bytes())
}

/// The name of the file of the invitation with this cookie.
pub fn file_name(cookie: &[u8; COOKIE], key: &PublicKey) -> String {
    base64::encode_url(&hash(&[cookie, key.to_base64().as_bytes()].concat()))
}

fn hash(bytes: &[u8]) -> [u8; COOKIE] {
    let mut short = [0; COOKIE];
    short.copy_from_slice(&Sha512::digest(bytes)[..COOKIE]);
    short
}

/// The name that an invitation file gives to who joins: its first line.
///
/// # Errors
/// If the first line is not `Name = NAME`.
pub fn invitee(file: &[u8]) -> Result<NodeName, InviteError> {
    let line = file.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let (variable, value) = std::str::from_utf8(line).ok().and_then(assignment).ok_or(InviteError::NoName)?;
    if !variable.eq_ignore_ascii_case("Name") {
        return Err(InviteError::NoName);
    }
    NodeName::parse(value).map_err(|_| InviteError::NoName)
}

/// Whether an invitation file lets the joiner choose another name: `NameChoice = yes` in its first chunk.
pub fn offers_name_choice(file: &[u8]) -> bool {
    let mut own = own_part(file);
    own.any(|(name, value)| name.eq_ignore_ascii_case("NameChoice") && value.eq_ignore_ascii_case("yes"))
}

/// The settings in the first part of an invitation file, which is about the invited node.
fn own_part(file: &[u8]) -> impl Iterator<Item = (&str, &str)> {
    let lines = file.split(|&byte| byte == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
    lines.filter_map(assignment).skip(1).take_while(|(name, _)| !name.eq_ignore_ascii_case("Name"))
}

/// Variable and value of a configuration line.
fn assignment(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_end();
    let end = line.find([' ', '\t', '='])?;
    let (variable, rest) = line.split_at(end);
    let blank = [' ', '\t'];
    let rest = rest.trim_start_matches(blank);
    Some((variable, rest.strip_prefix('=').unwrap_or(rest).trim_start_matches(blank)))
}

#[cfg(test)]
mod tests;
