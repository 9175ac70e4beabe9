//! What an invitation lets the newcomer do, for the inviter's own daemon: it says so once the newcomer's key is known.
//!
//! ```text
//!  Allow = own 10.1.0.0/16
//!  Allow = rate kbit=2000
//!  AllowFor = 604800
//! ```
//!
//! Each `Allow` is a topic, its words and limits as statements write them; `AllowFor` is how long all of it holds, in
//! seconds. They stand in the first part of the invitation file; who joins ignores them.

use fides::{About, Claim, DAY, Key, Limits, MAX_VALIDITY, Sign, Subject, Time, Word};

use crate::invite::own_part;
use crate::name::NodeName;
use crate::trust::topics;

/// The variable with one right.
pub const ALLOW: &str = "Allow";
/// The variable with the time for which all of them hold.
pub const ALLOW_FOR: &str = "AllowFor";
/// Rights of one invitation that are looked at.
const MAX_RIGHTS: usize = 64;

/// What an invitation lets the newcomer do, besides joining.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    allow: Vec<Right>,
    /// For how long, in seconds.
    seconds: Option<u64>,
}

/// One thing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Right {
    topic: Word,
    args: Vec<Word>,
    limits: Limits,
}

impl Right {
    fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let topic: Word = words.next()?.parse().ok()?;
        let (mut args, mut limits) = (Vec::new(), Limits::default());
        for word in words {
            match word.split_once('=') {
                Some((name, value)) => limits.set(name.parse().ok()?, value.parse().ok()?),
                None => args.push(word.parse().ok()?),
            }
        }
        topics::ALL.contains(&topic.as_str()).then_some(Self { topic, args, limits })
    }
}

impl Rights {
    /// Reads them from an invitation file. What is written wrong gives no right.
    pub fn parse(file: &[u8]) -> Self {
        let mut rights = Self::default();
        for (variable, value) in own_part(file) {
            if variable.eq_ignore_ascii_case(ALLOW) && rights.allow.len() < MAX_RIGHTS {
                rights.allow.extend(Right::parse(value));
            } else if variable.eq_ignore_ascii_case(ALLOW_FOR) {
                rights.seconds = value.parse().ok();
            }
        }
        rights
    }

    /// Whether the invitation says nothing of rights.
    pub const fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.seconds.is_none()
    }

    /// What is said of the newcomer with this key, called `name`: that it may join, and what else it may. With `lease`
    /// it joins for a day.
    pub fn claims(&self, key: Key, name: &NodeName, lease: bool, now: Time) -> Vec<Claim> {
        let join = Right {
            topic: topics::word(topics::JOIN),
            args: vec![topics::word(name.as_str())],
            limits: Limits::default(),
        };
        let all = std::iter::once(&join).chain(&self.allow);
        let claims = all.map(|right| {
            let about =
                About::Allow { subject: Subject::Key(key), topic: right.topic.clone(), args: right.args.clone() };
            let is_leased = lease && right.topic.as_str() == topics::JOIN;
            let seconds = if is_leased { Some(self.seconds.unwrap_or(DAY).min(DAY)) } else { self.seconds };
            let mut claim = Claim { limits: right.limits.clone(), ..Claim::new(Sign::Yes, about, 0, now) };
            if let Some(seconds) = seconds {
                claim.until = Some(now.after(seconds.clamp(1, MAX_VALIDITY)));
            }
            claim
        });
        claims.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &[u8] = b"Name = bob\nAllow = own 10.1.0.0/16\nAllow = rate kbit=2000\nAllow = fly\nAllow = own a=b\n\
        AllowFor = 3600\n#---#\nName = alice\nAllow = found\n";

    #[test]
    fn rights_become_claims_on_the_newcomers_key() {
        let rights = Rights::parse(FILE);
        let name = NodeName::parse("bob_2").unwrap();
        let claims = rights.claims(Key::from_bytes([7; 32]), &name, false, Time(1_000_000));
        let key = Key::from_bytes([7; 32]);
        let told: Vec<String> = claims.iter().map(|claim| claim.to_string().replace(&key.to_string(), "KEY")).collect();
        assert_eq!(told, ["+ allow KEY join bob_2", "+ allow KEY own 10.1.0.0/16", "+ allow KEY rate kbit=2000"]);
        assert!(claims.iter().all(|claim| claim.until == Some(Time(1_003_600))));
    }

    #[test]
    fn a_lease_ends_within_a_day() {
        let rights = Rights { allow: Vec::new(), seconds: Some(7 * DAY) };
        let name = NodeName::parse("bob").unwrap();
        let claims = rights.claims(Key::from_bytes([7; 32]), &name, true, Time(0));
        assert_eq!(claims[0].until, Some(Time(DAY)));
    }

    #[test]
    fn an_invitation_without_rights_has_none() {
        assert!(Rights::parse(b"Name = bob\nConnectTo = alice\n").is_empty());
    }
}
