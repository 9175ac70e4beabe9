//! Topics: what statements of a mesh are about, and by which rules they are decided.
//!
//! ```text
//!  allow KEY join NAME          be the node of this name
//!  allow KEY own PREFIX         announce these addresses, or a MAC address
//!  allow KEY relay              carry others' packets, and have its own carried, limit mbday=N
//!  allow KEY rate               send through each other node, limit kbit=N
//!  allow KEY reach GROUP PROTOCOL PORT   begin conversations with members of a group
//!  allow KEY tag GROUP          be in a group; in place of KEY a statement may have @GROUP
//!  allow KEY name NAME          be found by that name
//!  allow KEY invite             invite others
//!  allow KEY found              be a founder
//! ```
//!
//! - `own`: what nobody allows is forbidden, also as a source address; as the source of frames only where anybody is
//!   allowed a MAC address.
//! - `relay`: everybody may, until somebody is allowed to; then only who is allowed, and founders. `mbday` is how many
//!   megabytes (10^6 bytes) each relay carries for the key on a day (UTC).
//! - `rate`: everybody may send as he likes until somebody speaks of him. `kbit` is in kilobits (1,000 bits) a second;
//!   50 milliseconds of it, or 64 KiB, may come at once. `deny KEY rate` lets nothing through.
//! - `reach`: everybody may begin what he likes with everybody, until somebody allows anything; then only what is
//!   allowed. The grammar is in [`super::reach`]. Answers always pass. Who receives a packet asks this, nobody else.
//! - `name`: everybody is found by the name of its node in the name service (`HostsFile`), until somebody is allowed a
//!   name; then only who is allowed his, and founders.
//!
//! Statements count if their issuer is trusted in the topic; of several limits the greatest holds.

use std::collections::BTreeMap;

use fides::{Cover, Key, Policy, Question, Quorum, Rule, Topic, Word};

use crate::name::NodeName;
use crate::subnet::Subnet;
use crate::trust::reach;

/// Be a node of the mesh.
pub const JOIN: &str = "join";
/// Announce addresses.
pub const OWN: &str = "own";
/// Carry packets of others.
pub const RELAY: &str = "relay";
/// Send so much.
pub const RATE: &str = "rate";
/// Talk to members of a group.
pub const REACH: &str = "reach";
/// Be in a group.
pub const TAG: &str = "tag";
/// Be called so.
pub const NAME: &str = "name";
/// Invite others.
pub const INVITE: &str = "invite";
/// Be a founder.
pub const FOUND: &str = "found";
/// All topics.
pub const ALL: [&str; 9] = [JOIN, OWN, RELAY, RATE, REACH, TAG, NAME, INVITE, FOUND];

/// Founders at which a second voice is needed to let somebody join.
const MANY_FOUNDERS: usize = 5;

/// The word of a topic, or of anything else that is not empty.
///
/// # Panics
/// If `text` is empty.
pub fn word(text: &str) -> Word {
    Word::new(text).expect("it is not empty")
}

/// The rules of the mesh. `quorum` is how many voices `join` takes, if the operator says so.
pub fn policy(quorum: Option<usize>) -> Policy {
    let join = quorum.map_or(Quorum::Growing { few: 1, from: MANY_FOUNDERS, many: 2 }, Quorum::Fixed);
    let plain = Topic { rule: Rule::DenyOverrides, quorum: Quorum::Fixed(1), cover: Cover::Prefix, handed_on: false };
    let own = Topic { cover: Cover::By(covers_addresses), handed_on: true, ..plain };
    let topics = ALL.into_iter().map(|topic| match topic {
        JOIN => (word(topic), Topic { rule: Rule::Quorum, quorum: join, ..plain }),
        OWN => (word(topic), own),
        REACH => (word(topic), Topic { cover: Cover::By(reach::covers), ..plain }),
        _ => (word(topic), plain),
    });
    Policy {
        topics: topics.collect::<BTreeMap<_, _>>(),
        other: plain,
        groups: Some(word(TAG)),
        founders: Some(word(FOUND)),
        ..Policy::default()
    }
}

/// What a founder may do unless somebody denies it.
pub fn is_for_founders(topic: &Word) -> bool {
    [JOIN, OWN, INVITE, RELAY, NAME].contains(&topic.as_str())
}

/// May this key be the node of this name?
pub fn join(key: Key, name: &NodeName) -> Question {
    Question::new(word(JOIN), key).arg(word(name.as_str()))
}

/// May this key announce these addresses?
pub fn own(key: Key, subnet: &Subnet) -> Question {
    Question::new(word(OWN), key).arg(prefix_word(subnet))
}

/// The word for a subnet: as it is written, without weight.
pub fn prefix_word(subnet: &Subnet) -> Word {
    word(&subnet.range().to_string())
}

/// Whether the addresses of one grant cover those of a question; a grant without any covers all.
fn covers_addresses(wide: &[Word], narrow: &[Word]) -> bool {
    let (wide, narrow) = match (wide, narrow) {
        ([], _) => return true,
        (_, []) => return false,
        ([wide, ..], [narrow, ..]) => (wide, narrow),
    };
    if wide == narrow {
        return true;
    }
    let (Ok(wide), Ok(narrow)) = (Subnet::parse(wide.as_str()), Subnet::parse(narrow.as_str())) else { return false };
    wide.prefix() <= narrow.prefix() && wide.covers(&narrow.address())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(wide: &str, narrow: &str) -> bool {
        covers_addresses(&[word(wide)], &[word(narrow)])
    }

    #[test]
    fn a_grant_covers_the_prefixes_inside_it() {
        assert!(covers("10.1.0.0/16", "10.1.2.0/24") && covers("10.1.0.0/16", "10.1.0.0/16"));
        assert!(covers("fd00::/8", "fd12::/16") && covers("0.0.0.0/0", "10.0.0.1/32"));
        assert!(!covers("10.1.2.0/24", "10.1.0.0/16") && !covers("10.1.0.0/16", "10.2.0.0/24"));
        assert!(!covers("0.0.0.0/0", "fd12::/16") && !covers("nonsense", "10.0.0.1/32"));
        assert!(covers("02:00:00:00:00:01", "02:00:00:00:00:01") && !covers("02:00:00:00:00:01", "02:00:00:00:00:02"));
        assert!(covers_addresses(&[], &[word("10.0.0.0/8")]) && !covers_addresses(&[word("10.0.0.0/8")], &[]));
    }

    #[test]
    fn the_word_of_a_subnet_has_no_weight() {
        let subnet = Subnet::parse("10.1.0.0/16#5").unwrap();
        assert_eq!(prefix_word(&subnet).as_str(), "10.1.0.0/16");
    }
}
