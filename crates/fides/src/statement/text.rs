//! The line of a statement, written and read.

use std::fmt;
use std::str::{FromStr, Split};

use crate::base64;
use crate::key::{Key, SIGNATURE_LEN};
use crate::statement::{About, Claim, DEPTH, FormError, Limits, MAX_LINE, Sign, Subject, depth_word};
use crate::time::Time;
use crate::word::Word;

/// The first word of every line.
const VERSION: &str = "fides1";

/// Displays the line up to the signature.
pub(super) struct Unsigned<'a>(pub(super) &'a Key, pub(super) &'a Claim);

impl fmt::Display for Unsigned<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(issuer, claim) = self;
        write!(f, "{VERSION} {issuer} {} {} ", claim.serial, claim.from)?;
        match claim.until {
            Some(until) => write!(f, "{until}")?,
            None => f.write_str("-")?,
        }
        write!(f, " {claim}")
    }
}

/// What is said, without time and issuer: `+ trust KEY TOPIC depth 1`.
impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sign, self.about)?;
        for (name, value) in self.limits.iter() {
            match &self.about {
                About::Trust { .. } => write!(f, " {name} {value}")?,
                About::Allow { .. } | About::Revoke => write!(f, " {name}={value}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Yes => "+",
            Self::No => "-",
            Self::DontCare => "0",
        })
    }
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow { subject, topic, args } => {
                write!(f, "allow {subject} {topic}")?;
                args.iter().try_for_each(|arg| write!(f, " {arg}"))
            }
            Self::Trust { key, topic } => write!(f, "trust {key} {topic}"),
            Self::Revoke => f.write_str("revoke"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(key) => write!(f, "{key}"),
            Self::Group(name) => write!(f, "@{name}"),
        }
    }
}

impl FromStr for Subject {
    type Err = FormError;

    fn from_str(text: &str) -> Result<Self, FormError> {
        match text.strip_prefix('@') {
            Some(name) => field("group", name).map(Self::Group),
            None => field("key", text).map(Self::Key),
        }
    }
}

impl FromStr for Sign {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "+" => Ok(Self::Yes),
            "-" => Ok(Self::No),
            "0" => Ok(Self::DontCare),
            _ => Err("write +, - or 0"),
        }
    }
}

/// Takes a line apart.
pub(super) fn parse(line: &str) -> Result<(Key, Claim, [u8; SIGNATURE_LEN]), FormError> {
    if line.len() > MAX_LINE {
        return Err(FormError::Length(line.len()));
    }
    let (unsigned, signature) = line.rsplit_once(' ').ok_or(FormError::Version)?;
    let mut words = unsigned.split(' ');
    if words.next() != Some(VERSION) {
        return Err(FormError::Version);
    }
    let issuer = field("ISSUER", take(&mut words, "ISSUER")?)?;
    let serial = number("SERIAL", take(&mut words, "SERIAL")?)?;
    let from = Time(number("FROM", take(&mut words, "FROM")?)?);
    let until = match take(&mut words, "UNTIL")? {
        "-" => None,
        text => Some(Time(number("UNTIL", text)?)),
    };
    let sign = field("SIGN", take(&mut words, "SIGN")?)?;
    let (about, limits) = parse_about(&mut words)?;
    let signature = base64::decode(signature).ok_or_else(|| wrong("SIGNATURE", signature, "copy the whole line"))?;
    Ok((issuer, Claim { serial, from, until, sign, about, limits }, signature))
}

fn parse_about(words: &mut Split<'_, char>) -> Result<(About, Limits), FormError> {
    match take(words, "VERB")? {
        "allow" => {
            let subject = take(words, "SUBJECT")?.parse()?;
            let topic = field("TOPIC", take(words, "TOPIC")?)?;
            let (args, limits) = parse_args(words)?;
            Ok((About::Allow { subject, topic, args }, limits))
        }
        "trust" => {
            let key = field("key", take(words, "KEY")?)?;
            let topic = field("TOPIC", take(words, "TOPIC")?)?;
            let limits = parse_depth(words)?;
            words.next().map_or(Ok(()), |word| Err(FormError::Excess(word.to_owned())))?;
            Ok((About::Trust { key, topic }, limits))
        }
        "revoke" => match words.next() {
            Some(word) => Err(FormError::Excess(word.to_owned())),
            None => Ok((About::Revoke, Limits::default())),
        },
        verb => Err(wrong("VERB", verb, "write allow, trust or revoke")),
    }
}

/// Words, and then limits: in rising order, so that there is one way to write them.
fn parse_args(words: &mut Split<'_, char>) -> Result<(Vec<Word>, Limits), FormError> {
    let (mut args, mut limits) = (Vec::new(), Limits::default());
    for word in words {
        if let Some((name, value)) = word.split_once('=') {
            let name: Word = field("limit", name)?;
            if limits.0.last().is_some_and(|(last, _)| *last >= name) {
                return Err(wrong("limit", word, "write limits once each, sorted by name"));
            }
            limits.set(name, number("limit", value)?);
        } else if limits.is_empty() {
            args.push(field("word", word)?);
        } else {
            return Err(wrong("limit", word, "limits come last"));
        }
    }
    Ok((args, limits))
}

fn parse_depth(words: &mut Split<'_, char>) -> Result<Limits, FormError> {
    let mut limits = Limits::default();
    match words.next() {
        None => {}
        Some(DEPTH) => limits.set(depth_word(), number(DEPTH, take(words, DEPTH)?)?),
        Some(word) => return Err(FormError::Excess(word.to_owned())),
    }
    Ok(limits)
}

fn take<'a>(words: &mut Split<'a, char>, name: &'static str) -> Result<&'a str, FormError> {
    words.next().ok_or(FormError::Missing(name))
}

fn field<T: FromStr<Err: fmt::Display>>(name: &'static str, text: &str) -> Result<T, FormError> {
    text.parse().map_err(|error: T::Err| wrong(name, text, &error.to_string()))
}

/// A number, written without sign and leading zeros.
fn number(name: &'static str, text: &str) -> Result<u64, FormError> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    let value = text.parse().ok().filter(|_| is_plain);
    value.ok_or_else(|| wrong(name, text, "write a number, without leading zeros"))
}

fn wrong(field: &'static str, text: &str, remedy: &str) -> FormError {
    FormError::Field { field, text: text.to_owned(), remedy: remedy.to_owned() }
}
