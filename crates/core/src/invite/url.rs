//! Invitation URLs: `HOST:PORT/` and 48 characters, the hash of the invitation key and the cookie.
//!
//! Source: spec invitations 2.2, 2.3 and 4.

use std::fmt;

use crate::crypto::base64;
use crate::invite::COOKIE;

/// Port of a URL without one.
pub const DEFAULT_PORT: u16 = 655;
/// Characters that 18 bytes make.
const DIGITS: usize = 24;

/// Not an invitation URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an invitation URL looks like HOST:PORT/ and 48 letters, digits, '-' or '_'")]
pub struct UrlError;

/// Where to join and how to recognise each other. Whoever knows it can join: [`fmt::Debug`] hides the cookie.
#[derive(Clone, PartialEq, Eq)]
pub struct InviteUrl {
    /// Name or address, without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// What the invitation key hashes to.
    pub key_hash: [u8; COOKIE],
    /// The secret of this invitation.
    pub cookie: [u8; COOKIE],
}

impl InviteUrl {
    /// Reads a URL, with blanks around it ignored.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (place, secrets) = text.trim().split_once('/').ok_or(UrlError)?;
        let (key_hash, cookie) = secrets.split_at_checked(DIGITS).ok_or(UrlError)?;
        let (host, port) = parse_place(place)?;
        Ok(Self { host: host.to_owned(), port, key_hash: parse_half(key_hash)?, cookie: parse_half(cookie)? })
    }
}

fn parse_half(digits: &str) -> Result<[u8; COOKIE], UrlError> {
    let bytes = Some(digits.as_bytes()).filter(|digits| digits.len() == DIGITS).and_then(base64::decode);
    bytes.and_then(|bytes| bytes.try_into().ok()).ok_or(UrlError)
}

fn parse_place(place: &str) -> Result<(&str, u16), UrlError> {
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let (host, rest) = bracketed.split_once(']').ok_or(UrlError)?;
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').ok_or(UrlError)?) };
            (host, port)
        }
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    let port = port.map_or(Ok(DEFAULT_PORT), |port| port.parse().map_err(|_| UrlError))?;
    if host.is_empty() || port == 0 || host.chars().any(|char| char.is_whitespace() || char.is_control()) {
        return Err(UrlError);
    }
    Ok((host, port))
}

impl fmt::Display for InviteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]", self.host)?;
        } else {
            f.write_str(&self.host)?;
        }
        let (key_hash, cookie) = (base64::encode_url(&self.key_hash), base64::encode_url(&self.cookie));
        write!(f, ":{}/{key_hash}{cookie}", self.port)
    }
}

impl fmt::Debug for InviteUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InviteUrl({}:{}/..)", self.host, self.port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRETS: &str = "8obrrX9WhVJTlUGN87rFpwlcjTxdsfOi6mKjMfz7jNNObwYP";

    #[test]
    fn a_host_may_be_a_name_or_an_address_with_or_without_port() {
        let place = |place: &str| InviteUrl::parse(&format!("{place}/{SECRETS}")).map(|url| (url.host, url.port));

        assert_eq!(place("example.org"), Ok(("example.org".into(), 655)));
        assert_eq!(place("example.org:1"), Ok(("example.org".into(), 1)));
        assert_eq!(place("[fd00::1]"), Ok(("fd00::1".into(), 655)));
        assert_eq!(place("[fd00::1]:65535"), Ok(("fd00::1".into(), 65535)));
    }

    #[test]
    fn anything_else_is_refused() {
        for place in ["", ":1", "fd00::1", "[fd00::1", "[]:1", "a:0", "a:65536", "a:x", "[a]b", "a b", "a:"] {
            assert_eq!(InviteUrl::parse(&format!("{place}/{SECRETS}")), Err(UrlError), "{place:?}");
        }
        for rest in ["", "/", "/x", &SECRETS[1..], &format!("{SECRETS}A"), &SECRETS.replace('j', "!")] {
            assert_eq!(InviteUrl::parse(&format!("host/{rest}")), Err(UrlError), "{rest:?}");
        }
    }

    #[test]
    fn debug_output_has_no_cookie() {
        let url = InviteUrl::parse(&format!("host:1/{SECRETS}")).unwrap();

        assert_eq!(format!("{url:?}"), "InviteUrl(host:1/..)");
    }
}
