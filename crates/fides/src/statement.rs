//! Statements: one signed line each.
//!
//! ```text
//! fides1 ISSUER SERIAL FROM UNTIL SIGN VERB WORDS… SIGNATURE
//! ```
//!
//! | field | meaning |
//! | --- | --- |
//! | ISSUER | who says it: a public key, 43 base64 digits |
//! | SERIAL | rises with each statement of an issuer: the greater of the last one + 1 and the time in ms |
//! | FROM, UNTIL | when it holds, in unix seconds; `-` for without end |
//! | SIGN | `+` yes, `-` no, `0` don't care |
//! | VERB WORDS | `allow SUBJECT TOPIC ARGS… LIMITS…`, `trust KEY TOPIC` (with `depth D` after a `+`), or `revoke` |
//! | SIGNATURE | Ed25519 over all before it, 86 base64 digits |
//!
//! A SUBJECT is a key or `@GROUP`; a limit is `NAME=NUMBER`. There is one way to write each statement.

mod text;

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::key::{Key, SIGNATURE_LEN, SecretKey};
use crate::time::{AHEAD, DAY, Moment, Time};
use crate::word::Word;

/// Longest line of a statement, in bytes.
pub const MAX_LINE: usize = 512;
/// How long a yes may hold, in seconds: 400 days.
pub const MAX_VALIDITY: u64 = 400 * DAY;
/// How long a yes holds if nobody says otherwise, in seconds: 90 days.
pub const DEFAULT_VALIDITY: u64 = 90 * DAY;
/// How far back a statement is dated, in seconds, so that it counts at once where the clock is wrong by as much.
pub const BACKDATED: u64 = 3_600;
/// How far a key that is brought in may itself introduce others, at most.
pub const MAX_DEPTH: u64 = 3;
/// The name of that limit.
pub(crate) const DEPTH: &str = "depth";
/// Goes before the line in what is signed, so that a signature made for something else is none here.
const DOMAIN: &str = "fides statement 1\0";

/// Yes, no, or neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Sign {
    /// Allows or trusts.
    Yes,
    /// Withdraws what was said before.
    DontCare,
    /// Denies or distrusts. Of several signs the greatest restricts most.
    No,
}

/// Whom an `allow` is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// One key.
    Key(Key),
    /// All keys of a group.
    Group(Word),
}

/// What a statement is about: all but its limits and its time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum About {
    /// Whether a subject may do something.
    Allow {
        /// Who may.
        subject: Subject,
        /// Do what.
        topic: Word,
        /// With which things.
        args: Vec<Word>,
    },
    /// Whether the word of a key counts.
    Trust {
        /// Whose word.
        key: Key,
        /// In which topic.
        topic: Word,
    },
    /// The issuer takes back all it ever said, for ever.
    Revoke,
}

impl About {
    /// The topic; a revocation is about all of them.
    pub const fn topic(&self) -> Option<&Word> {
        match self {
            Self::Allow { topic, .. } | Self::Trust { topic, .. } => Some(topic),
            Self::Revoke => None,
        }
    }
}

/// Numbers that a yes must not exceed, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Limits(Vec<(Word, u64)>);

impl Limits {
    /// Sets a limit.
    pub fn set(&mut self, name: Word, value: u64) {
        match self.0.binary_search_by(|(other, _)| other.cmp(&name)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (name, value)),
        }
    }

    /// The limit of this name.
    pub fn value(&self, name: &str) -> Option<u64> {
        self.0.iter().find(|(other, _)| other.as_str() == name).map(|(_, value)| *value)
    }

    /// All limits, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&Word, u64)> {
        self.0.iter().map(|(name, value)| (name, *value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether as much as `demand` fits in: what is not limited always does.
    pub fn permit(&self, demand: &Self) -> bool {
        demand.iter().all(|(name, wanted)| self.value(name.as_str()).is_none_or(|limit| wanted <= limit))
    }
}

/// A statement that nobody has signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Rises with each statement of an issuer.
    pub serial: u64,
    /// From when it holds.
    pub from: Time,
    /// Until when it holds; always given for a yes.
    pub until: Option<Time>,
    /// Yes, no, or neither.
    pub sign: Sign,
    /// What it is about.
    pub about: About,
    /// What a yes does not exceed.
    pub limits: Limits,
}

/// Why a claim cannot be made, or a line is not one of a statement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Too long.
    #[error("a statement has at most 512 bytes, this one has {0}: use shorter words, or two statements")]
    Length(usize),
    /// Not a statement at all.
    #[error("a statement begins with \"fides1 \": copy the whole line")]
    Version,
    /// A field is missing.
    #[error("the {0} is missing: copy the whole line")]
    Missing(&'static str),
    /// A field cannot be read.
    #[error("\"{text}\" is no {field}: {remedy}")]
    Field {
        /// Which.
        field: &'static str,
        /// As it was written.
        text: String,
        /// What would be right.
        remedy: String,
    },
    /// Something stands where nothing is expected.
    #[error("\"{0}\" is too much here: remove it")]
    Excess(String),
    /// A yes without end.
    #[error("a + needs an UNTIL, at most 400 days after its FROM and its SERIAL")]
    Endless,
    /// Ends before it begins.
    #[error("UNTIL is not after FROM")]
    Backwards,
    /// A no with limits.
    #[error("only a + has limits")]
    Limits,
    /// `trust` with other limits than a depth.
    #[error("a + trust says \"depth D\", with D from 0 to 3")]
    Depth,
    /// A revocation that is not for ever.
    #[error("a revocation is written - revoke, with - for UNTIL")]
    Revocation,
}

/// The signature does not belong to the line and its issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the signature is wrong: the line was changed, or somebody else signed it")]
pub struct SignatureError;

impl Claim {
    /// A claim made at `now`: it holds from an hour ago, for clocks differ, and a yes for 90 days. The serial must be
    /// greater than that of the issuer's last statement; [`Claim::serial_after`] finds it.
    ///
    /// ```
    /// use fides::{About, Claim, SecretKey, Sign, Subject, Time};
    ///
    /// let [alice, bob] = [1, 2].map(|seed| SecretKey::from_seed(&[seed; 32]));
    /// let about = About::Allow {
    ///     subject: Subject::Key(bob.public()),
    ///     topic: "edit".parse().unwrap(),
    ///     args: vec!["wiki".parse().unwrap()],
    /// };
    /// let now = Time(1_800_000_000);
    /// let statement = Claim::new(Sign::Yes, about, Claim::serial_after(0, now), now).sign(&alice)?;
    /// assert!(statement.to_string().contains("+ allow"));
    /// # Ok::<(), fides::FormError>(())
    /// ```
    pub fn new(sign: Sign, about: About, serial: u64, now: Time) -> Self {
        let until = (sign == Sign::Yes).then(|| now.after(DEFAULT_VALIDITY));
        let mut limits = Limits::default();
        if let (Sign::Yes, About::Trust { .. }) = (sign, &about) {
            limits.set(depth_word(), 0);
        }
        Self { serial, from: now.before(BACKDATED), until, sign, about, limits }
    }

    /// The serial of the next statement of an issuer whose last one had `last`.
    pub fn serial_after(last: u64, now: Time) -> u64 {
        last.saturating_add(1).max(now.0.saturating_mul(1_000))
    }

    /// The same, until another time.
    #[must_use]
    pub fn until(mut self, until: Time) -> Self {
        self.until = Some(until);
        self
    }

    /// The same, with a limit.
    #[must_use]
    pub fn limit(mut self, name: Word, value: u64) -> Self {
        self.limits.set(name, value);
        self
    }

    /// The same, for a key that may introduce others `depth` levels further.
    #[must_use]
    pub fn depth(self, depth: u64) -> Self {
        self.limit(depth_word(), depth)
    }

    /// Signs it.
    ///
    /// # Errors
    /// If there is no such statement: a yes that holds too long, a line that is too long.
    pub fn sign(self, secret: &SecretKey) -> Result<Statement, FormError> {
        self.check()?;
        let issuer = secret.public();
        let signature = secret.sign(signed_part(&issuer, &self).as_bytes());
        let statement = Statement::assembled(issuer, self, signature);
        let length = statement.to_string().len();
        if length > MAX_LINE { Err(FormError::Length(length)) } else { Ok(statement) }
    }

    /// What must hold for every statement.
    fn check(&self) -> Result<(), FormError> {
        if self.until.is_some_and(|until| until <= self.from) {
            return Err(FormError::Backwards);
        }
        let is_revoke = self.about == About::Revoke;
        if is_revoke && (self.sign != Sign::No || self.until.is_some()) {
            return Err(FormError::Revocation);
        }
        if self.sign != Sign::Yes {
            return if self.limits.is_empty() { Ok(()) } else { Err(FormError::Limits) };
        }
        if self.until.is_none_or(|until| until > self.from.min(self.made_at()).after(MAX_VALIDITY)) {
            return Err(FormError::Endless);
        }
        match (&self.about, self.limits.0.as_slice()) {
            (About::Trust { .. }, [(name, depth)]) if name.as_str() == DEPTH && *depth <= MAX_DEPTH => Ok(()),
            (About::Trust { .. }, _) => Err(FormError::Depth),
            (About::Allow { .. } | About::Revoke, _) => Ok(()),
        }
    }

    /// The time in its serial.
    const fn made_at(&self) -> Time {
        Time(self.serial / 1_000)
    }
}

/// The name of the limit of a `trust`.
fn depth_word() -> Word {
    Word::new(DEPTH).expect("it is not empty")
}

/// What is signed: the line up to the signature, behind a label.
fn signed_part(issuer: &Key, claim: &Claim) -> String {
    format!("{DOMAIN}{}", text::Unsigned(issuer, claim))
}

/// The name of a statement: SHA-256 of its line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatementId(pub [u8; 32]);

/// A signed statement whose signature is right. Its `Display` is its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    issuer: Key,
    claim: Claim,
    signature: [u8; SIGNATURE_LEN],
    id: StatementId,
}

impl Statement {
    fn assembled(issuer: Key, claim: Claim, signature: [u8; SIGNATURE_LEN]) -> Self {
        let mut statement = Self { issuer, claim, signature, id: StatementId([0; 32]) };
        statement.id = StatementId(Sha256::digest(statement.to_string().as_bytes()).into());
        statement
    }

    /// Who says it.
    pub const fn issuer(&self) -> &Key {
        &self.issuer
    }

    /// What is said.
    pub const fn claim(&self) -> &Claim {
        &self.claim
    }

    /// Its name.
    pub const fn id(&self) -> StatementId {
        self.id
    }

    /// Whether the signature is right: of a statement that was read it is, unless the memory is broken.
    pub(crate) fn is_genuine(&self) -> bool {
        let message = signed_part(&self.issuer, &self.claim);
        self.issuer.verify(message.as_bytes(), &self.signature)
    }

    /// Of two statements in one slot the one that counts is the greater: by serial, then by how much it restricts.
    pub(crate) fn rank(&self) -> (u64, Sign, StatementId) {
        (self.claim.serial, self.claim.sign, self.id)
    }

    /// Whether it counts. A yes has a beginning and an end, a no at most an end.
    pub(crate) fn holds(&self, moment: Moment) -> bool {
        match self.claim.sign {
            Sign::Yes => {
                self.claim.from <= moment.yes.after(AHEAD) && self.claim.until.is_some_and(|until| moment.yes < until)
            }
            Sign::No => self.claim.until.is_none_or(|until| moment.no < until),
            Sign::DontCare => false,
        }
    }

    /// When it may be forgotten: it is over, and so is every yes that it replaced.
    pub(crate) fn forgettable_at(&self) -> Option<Time> {
        self.claim.until.map(|until| until.max(self.claim.made_at().after(MAX_VALIDITY)))
    }

    /// A statement for tests that is not signed: that is what takes the time.
    #[cfg(test)]
    pub(crate) fn unsigned(issuer: Key, claim: Claim) -> Arc<Self> {
        assert_eq!(claim.check(), Ok(()));
        Arc::new(Self::assembled(issuer, claim, [0; SIGNATURE_LEN]))
    }
}

/// A line with the form of a statement, whose signature nobody has looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unchecked(Statement);

impl Unchecked {
    /// Reads a line.
    ///
    /// # Errors
    /// If the line is not exactly as a statement is written.
    pub fn parse(line: &str) -> Result<Self, FormError> {
        let (issuer, claim, signature) = text::parse(line)?;
        claim.check()?;
        Ok(Self(Statement::assembled(issuer, claim, signature)))
    }

    /// Verifies the signature.
    ///
    /// # Errors
    /// If it is wrong.
    pub fn verify(self) -> Result<Arc<Statement>, SignatureError> {
        let Self(statement) = self;
        if statement.is_genuine() { Ok(Arc::new(statement)) } else { Err(SignatureError) }
    }

    /// Who is said to say it.
    pub const fn issuer(&self) -> &Key {
        &self.0.issuer
    }

    /// What is said.
    pub const fn claim(&self) -> &Claim {
        &self.0.claim
    }

    /// Its name.
    pub const fn id(&self) -> StatementId {
        self.0.id
    }

    /// Its rank, and when it may be forgotten, in case it is genuine.
    pub(crate) const fn alleged(&self) -> &Statement {
        &self.0
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", text::Unsigned(&self.issuer, &self.claim), crate::base64::encode(&self.signature))
    }
}

#[cfg(test)]
mod tests;
