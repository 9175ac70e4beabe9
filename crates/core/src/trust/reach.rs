//! `reach`: who may begin what with the members of a group.
//!
//! ```text
//!  allow SUBJECT reach [GROUP [tcp|udp|icmp|other|any [PORT|LOW-HIGH]]]
//! ```
//!
//! What is left out is all. A port without `tcp` or `udp` in front is `any PORT`: of both. A scope that is written
//! otherwise covers nothing.

use std::collections::BTreeSet;

use fides::{Answer, Key, Question, Subject, Word};

use crate::dataplane::gate::Reach;
use crate::time::Instant;
use crate::trust::rights::Laws;
use crate::trust::{Trust, topics};

/// More scopes than this are not looked at: nothing new comes in.
const MAX_SCOPES: usize = 256;
/// Stands for the group of whoever is in none; nobody can be in it.
const NO_GROUP: &str = "\n";

/// A kind of conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Protocol {
    const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Other => "other",
        }
    }

    const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp)
    }
}

/// What a statement in the topic `reach` is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Scope<'a> {
    group: Option<&'a Word>,
    protocol: Option<Protocol>,
    ports: Option<(u16, u16)>,
}

impl<'a> Scope<'a> {
    fn parse(args: &'a [Word]) -> Option<Self> {
        let (group, protocol, ports) = match args {
            [] => (None, None, None),
            [group] => (Some(group), None, None),
            [group, protocol] => (Some(group), Some(protocol), None),
            [group, protocol, ports] => (Some(group), Some(protocol), Some(ports)),
            _ => return None,
        };
        let protocol = match protocol.map(Word::as_str) {
            None | Some("any") => None,
            Some("tcp") => Some(Protocol::Tcp),
            Some("udp") => Some(Protocol::Udp),
            Some("icmp") => Some(Protocol::Icmp),
            Some("other") => Some(Protocol::Other),
            Some(_) => return None,
        };
        let ports = match ports {
            None => None,
            Some(_) if protocol.is_some_and(|protocol| !protocol.has_ports()) => return None,
            Some(ports) => Some(range(ports.as_str())?),
        };
        Some(Self { group, protocol, ports })
    }

    fn covers(&self, narrow: &Self) -> bool {
        let group = self.group.is_none_or(|group| narrow.group == Some(group));
        let protocol = self.protocol.is_none_or(|protocol| narrow.protocol == Some(protocol));
        let ports =
            self.ports.is_none_or(|(low, high)| narrow.ports.is_some_and(|(from, until)| low <= from && until <= high));
        group && protocol && ports
    }
}

/// `PORT` or `LOW-HIGH`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let [low, high] = [low, high].map(|port| port.parse().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit())));
    let (low, high) = (low?, high?);
    (low <= high).then_some((low, high))
}

/// Whether the scope of one statement covers that of a question.
pub(super) fn covers(wide: &[Word], narrow: &[Word]) -> bool {
    match (Scope::parse(wide), Scope::parse(narrow)) {
        (Some(wide), Some(narrow)) => wide.covers(&narrow),
        (None, _) | (_, None) => wide == narrow,
    }
}

/// Whether these are arguments of a statement in the topic `reach`.
pub fn is_scope(args: &[Word]) -> bool {
    Scope::parse(args).is_some()
}

/// What the topic `reach` says at all, as far as it concerns this node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reaching {
    /// The groups of this node that scopes name, and one that nobody is in.
    groups: Vec<Word>,
    /// Ports at which an answer may begin to differ.
    bounds: BTreeSet<u16>,
    /// Groups that statements are about, and keys.
    subjects: BTreeSet<Subject>,
    /// Whether what nobody allows is forbidden.
    closed: bool,
    /// Whether there is too much to look at.
    overflows: bool,
}

impl Reaching {
    /// Whether there is too much to look at, so that nobody may begin anything.
    pub const fn overflows(&self) -> bool {
        self.overflows
    }
}

impl Trust {
    /// What the topic `reach` says at all, as far as it concerns this node.
    pub fn reaching(&mut self, laws: &Laws, now: Instant) -> Reaching {
        let scopes: Vec<Scope<'_>> = laws.scopes.iter().filter_map(|args| Scope::parse(args)).collect();
        let named: BTreeSet<&Word> = scopes.iter().filter_map(|scope| scope.group).collect();
        let mut groups: Vec<Word> =
            named.into_iter().filter(|group| self.is_in(self.me, group, now)).cloned().collect();
        groups.push(topics::word(NO_GROUP));
        let concerns = |scope: &&Scope<'_>| scope.group.is_none_or(|group| groups.contains(group));
        let ranges = || scopes.iter().filter(concerns).filter_map(|scope| scope.ports);
        let bounds = ranges().flat_map(|(low, high)| [Some(low), high.checked_add(1)]).flatten().chain([0]).collect();
        Reaching {
            overflows: scopes.iter().filter(concerns).count() > MAX_SCOPES,
            bounds,
            groups,
            subjects: laws.subjects.clone(),
            closed: laws.grant(topics::REACH),
        }
    }

    /// The statements of the topic `reach` that are about a node, by their subjects: nodes with the same ones may begin
    /// the same with this one.
    pub fn reach_class(&mut self, key: Key, reaching: &Reaching, now: Instant) -> BTreeSet<Subject> {
        let subjects = reaching.subjects.iter().filter(|subject| match subject {
            Subject::Key(named) => *named == key,
            Subject::Group(group) => self.is_in(key, group, now),
        });
        let mut class: BTreeSet<Subject> = subjects.cloned().collect();
        if self.store.ledger().is_revoked(&key) {
            class.insert(Subject::Key(key));
        }
        class
    }

    /// What a node may begin with this one.
    pub fn reach(&mut self, key: Key, reaching: &Reaching, now: Instant) -> Reach {
        if reaching.overflows {
            return Reach::default();
        }
        Reach {
            tcp: self.ports(key, Protocol::Tcp, reaching, now),
            udp: self.ports(key, Protocol::Udp, reaching, now),
            icmp: self.may_begin(key, Protocol::Icmp, None, reaching, now),
            other: self.may_begin(key, Protocol::Other, None, reaching, now),
        }
    }

    /// The open ports, as disjoint ranges.
    fn ports(&mut self, key: Key, protocol: Protocol, reaching: &Reaching, now: Instant) -> Box<[(u16, u16)]> {
        let mut open: Vec<(u16, u16)> = Vec::new();
        let ends = reaching.bounds.iter().skip(1).map(|next| next - 1).chain([u16::MAX]);
        for (low, high) in reaching.bounds.iter().copied().zip(ends) {
            if !self.may_begin(key, protocol, Some((low, high)), reaching, now) {
                continue;
            }
            match open.last_mut() {
                Some((_, end)) if *end + 1 == low => *end = high,
                Some(_) | None => open.push((low, high)),
            }
        }
        open.into()
    }

    fn may_begin(
        &mut self,
        key: Key,
        protocol: Protocol,
        ports: Option<(u16, u16)>,
        reaching: &Reaching,
        now: Instant,
    ) -> bool {
        let answers: BTreeSet<Answer> = reaching
            .groups
            .iter()
            .map(|group| {
                let question = Question::new(topics::word(topics::REACH), key);
                let question = question.arg(group.clone()).arg(topics::word(protocol.name()));
                let question = match ports {
                    Some((low, high)) => question.arg(topics::word(&format!("{low}-{high}"))),
                    None => question,
                };
                self.answer(&question, now)
            })
            .collect();
        let allowed = answers.contains(&Answer::Allow) || !reaching.closed;
        allowed && !answers.contains(&Answer::Deny)
    }

    /// Whether a key is in a group.
    fn is_in(&mut self, key: Key, group: &Word, now: Instant) -> bool {
        let question = Question::new(topics::word(topics::TAG), key).arg(group.clone());
        self.answer(&question, now) == Answer::Allow
    }
}

#[cfg(test)]
mod tests;
