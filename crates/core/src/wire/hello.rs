//! Hellos: which features beyond tinc two tinmesh nodes use between them (docs/protocol.md, "Extensions").
//!
//! ```text
//!  version 1 · features, names divided by blanks · signature 64
//! ```
//!
//! The asker signs its own list. The answer signs both, so nobody on the way can take a feature away unnoticed. Both sign the
//! key exchange of their session, which has a nonce of each side.

use std::fmt;

use crate::crypto::base64;
use crate::crypto::keys::{PublicKey, SIGNATURE_LEN, SecretKey};
use crate::name::NodeName;

/// The only version.
const VERSION: u8 = 1;
/// Longest list of features, in bytes.
const MAX_LIST: usize = 512;
/// What is signed begins with this, so that it is nothing else.
const LABEL: &[u8] = b"tinmesh hello 1\0";

/// What two nodes may agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feature {
    /// Packets under AES-256-GCM, once the keys of the session are renewed.
    Aes256Gcm,
    /// Statements of who may do what are passed on.
    Statements,
    /// Reports of what arrives, and the choice of way that follows.
    Health,
    /// Packets that are too long for their way go in two records.
    Split,
    /// Direct paths through NATs whose ports must be guessed; nodes tell each other where they see them.
    Punch,
    /// Nodes tell which ports their routers pass on.
    Mapped,
    /// Relays are chosen by what they measure.
    Relay,
    /// Keep-alives go as seldom as NATs and firewalls on the way allow.
    Keepalive,
    /// TCP connections that both ends open at once, where datagrams do not get through.
    Meet,
    /// Packets without UDP go over several connections.
    Streams,
    /// Pieces of large packets come without their checksums.
    Checksums,
}

impl Feature {
    /// All features.
    pub const ALL: [Self; 11] = [
        Self::Aes256Gcm,
        Self::Statements,
        Self::Health,
        Self::Split,
        Self::Punch,
        Self::Mapped,
        Self::Relay,
        Self::Keepalive,
        Self::Meet,
        Self::Streams,
        Self::Checksums,
    ];

    /// Its name, in hellos and in the variable `Extensions`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes256Gcm => "aead-aes256gcm",
            Self::Statements => "statements",
            Self::Health => "health",
            Self::Split => "split",
            Self::Punch => "punch",
            Self::Mapped => "mapped",
            Self::Relay => "relay",
            Self::Keepalive => "keepalive",
            Self::Meet => "meet",
            Self::Streams => "streams",
            Self::Checksums => "checksums",
        }
    }
}

/// A set of features.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Features(u32);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);

    /// All features.
    pub fn all() -> Self {
        Feature::ALL.into_iter().collect()
    }

    /// Whether `feature` is among them.
    pub const fn has(self, feature: Feature) -> bool {
        self.0 & 1 << feature as u32 != 0
    }

    /// Whether there is none.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn both(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// The features that a list names; unknown names do not count.
    pub fn parse(list: &str) -> Self {
        let named = |name: &str| Feature::ALL.into_iter().find(|feature| feature.name() == name);
        list.split_ascii_whitespace().filter_map(named).collect()
    }
}

impl FromIterator<Feature> for Features {
    fn from_iter<T: IntoIterator<Item = Feature>>(features: T) -> Self {
        Self(features.into_iter().fold(0, |bits, feature| bits | 1 << feature as u32))
    }
}

/// The names, divided by blanks.
impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names = Feature::ALL.into_iter().filter(|feature| self.has(*feature)).map(Feature::name);
        names.next().map_or(Ok(()), |first| f.write_str(first))?;
        names.try_for_each(|name| write!(f, " {name}"))
    }
}

/// Who speaks with whom, and when: what a hello is bound to.
#[derive(Clone, Copy, Debug)]
pub struct Bond<'a> {
    /// Who sent the hello that asks.
    pub asker: &'a NodeName,
    /// Who answers.
    pub answerer: &'a NodeName,
    /// The keys of both, in this order.
    pub keys: [&'a PublicKey; 2],
    /// Both messages of the session's key exchange.
    pub exchange: &'a [u8],
}

/// A hello or the answer to one, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    list: String,
    signature: [u8; SIGNATURE_LEN],
}

impl Hello {
    /// The asker's hello.
    pub fn ask(bond: &Bond<'_>, features: Features, key: &SecretKey) -> Self {
        let list = features.to_string();
        let signature = key.sign(&signed(bond, &list, None));
        Self { list, signature }
    }

    /// The answer to `asked`.
    pub fn answer(bond: &Bond<'_>, asked: &Self, features: Features, key: &SecretKey) -> Self {
        let list = features.to_string();
        let signature = key.sign(&signed(bond, &asked.list, Some(&list)));
        Self { list, signature }
    }

    /// Whether the asker of `bond` said this.
    pub fn is_asked(&self, bond: &Bond<'_>) -> bool {
        bond.keys[0].verify(&signed(bond, &self.list, None), &self.signature)
    }

    /// Whether the answerer of `bond` said this to `asked`.
    pub fn is_answer(&self, bond: &Bond<'_>, asked: &Self) -> bool {
        bond.keys[1].verify(&signed(bond, &asked.list, Some(&self.list)), &self.signature)
    }

    /// What its sender can do, as far as this node knows it.
    pub fn features(&self) -> Features {
        Features::parse(&self.list)
    }

    /// Its form inside a request.
    pub fn encode(&self) -> String {
        base64::encode(&[&[VERSION], self.list.as_bytes(), &self.signature].concat())
    }

    /// Reads the form inside a request.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = base64::decode(text.as_bytes())?;
        let (version, rest) = bytes.split_first()?;
        let (list, signature) = rest.split_last_chunk::<SIGNATURE_LEN>()?;
        if *version != VERSION || list.len() > MAX_LIST || list.contains(&0) {
            return None;
        }
        let list = std::str::from_utf8(list).ok()?.to_owned();
        Some(Self { list, signature: *signature })
    }
}

/// What is signed: lists have no NUL inside, and all that is before them has a length of its own or ends with one.
fn signed(bond: &Bond<'_>, asked: &str, answered: Option<&str>) -> Vec<u8> {
    let mut bytes = LABEL.to_vec();
    for name in [bond.asker, bond.answerer] {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.push(0);
    }
    bond.keys.iter().for_each(|key| bytes.extend_from_slice(key.as_bytes()));
    bytes.extend_from_slice(bond.exchange);
    bytes.extend_from_slice(asked.as_bytes());
    if let Some(answered) = answered {
        bytes.push(0);
        bytes.extend_from_slice(answered.as_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Two {
        names: [NodeName; 2],
        secrets: [SecretKey; 2],
        keys: [PublicKey; 2],
    }

    impl Two {
        fn new() -> Self {
            let secrets = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
            let keys = [secrets[0].public(), secrets[1].public()];
            Self { names: ["alice", "bob"].map(|name| NodeName::parse(name).unwrap()), secrets, keys }
        }

        fn bond<'a>(&'a self, exchange: &'a [u8]) -> Bond<'a> {
            let [asker, answerer] = &self.names;
            Bond { asker, answerer, keys: [&self.keys[0], &self.keys[1]], exchange }
        }
    }

    #[test]
    fn both_sides_believe_each_other_and_nobody_else() {
        let two = Two::new();
        let (bond, later) = (two.bond(b"now"), two.bond(b"later"));
        let asked = Hello::ask(&bond, Features::all(), &two.secrets[0]);
        let answer = Hello::answer(&bond, &asked, Features::all(), &two.secrets[1]);

        assert!(asked.is_asked(&bond) && !asked.is_asked(&later));
        assert!(answer.is_answer(&bond, &asked) && !answer.is_answer(&later, &asked));
        assert!(!asked.is_answer(&bond, &asked), "a hello is not its own answer");
        assert_eq!(Hello::decode(&asked.encode()), Some(asked));
        assert_eq!(answer.features(), Features::all());
    }

    #[test]
    fn a_feature_that_was_taken_away_on_the_way_is_noticed() {
        let two = Two::new();
        let bond = two.bond(b"now");
        let asked = Hello::ask(&bond, Features::all(), &two.secrets[0]);
        let poorer = Hello { list: String::new(), ..asked };
        assert!(!poorer.is_asked(&bond));

        let answer = Hello::answer(&bond, &asked, Features::all(), &two.secrets[1]);
        let poorer_answer = Hello { list: String::new(), ..answer };
        assert!(!poorer_answer.is_answer(&bond, &asked));
        assert!(!answer.is_answer(&bond, &poorer));
    }

    #[test]
    fn names_that_nobody_knows_and_other_versions_are_ignored() {
        assert_eq!(
            Features::parse(
                "tea aead-aes256gcm biscuits statements health split punch mapped relay keepalive meet streams checksums"
            ),
            Features::all()
        );
        assert_eq!(
            Features::all().to_string(),
            "aead-aes256gcm statements health split punch mapped relay keepalive meet streams checksums"
        );
        assert!(Features::parse("").is_empty() && Features::NONE.to_string().is_empty());

        let two = Two::new();
        let asked = Hello::ask(&two.bond(b"now"), Features::all(), &two.secrets[0]);
        let mut bytes = base64::decode(asked.encode().as_bytes()).unwrap();
        bytes[0] = 2;
        assert_eq!(Hello::decode(&base64::encode(&bytes)), None);
        assert_eq!(Hello::decode(&base64::encode(&[1; 64])), None);
        assert_eq!(Hello::decode("???"), None);
    }
}
