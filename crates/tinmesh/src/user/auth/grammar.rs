//! What is said of a node, in words: `bob own 10.1.0.0/16 for 7d with mbday 500`.

use anyhow::{Result, anyhow, bail};
use fides::{About, Limits, MAX_DEPTH, MAX_VALIDITY, PARDON, Sign, Subject, Time, Word};
use tinmesh_core::name::NodeName;
use tinmesh_core::subnet::Subnet;
use tinmesh_core::trust::{reach, topics};

use super::names::Names;
use super::when;
use crate::config::kind;

/// The limits of each topic.
const LIMITS: [(&str, &str); 2] = [(topics::RATE, "kbit"), (topics::RELAY, "mbday")];

/// What is to be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::user) struct Saying {
    /// Who it is about.
    pub(in crate::user) subject: Subject,
    /// What it is about: one statement each. Empty: no topic was given.
    pub(in crate::user) about: Vec<About>,
    /// Until when, if that was said.
    pub(in crate::user) until: Option<Time>,
    /// How much at most.
    pub(in crate::user) limits: Limits,
}

/// The words of a sentence, by the clause that they belong to.
#[derive(Default)]
struct Clauses<'a> {
    subject: &'a str,
    topic: Vec<&'a str>,
    span: Option<(&'a str, &'a str)>,
    limits: Vec<&'a str>,
}

impl<'a> Clauses<'a> {
    fn parse(words: &'a [String]) -> Result<Self> {
        let mut clauses = Self::default();
        let mut words = words.iter().map(String::as_str).peekable();
        clauses.subject = words.next().unwrap_or_default();
        while let Some(word) = words.next() {
            match word {
                "for" | "until" if clauses.span.is_some() => bail!("Say how long only once: one `for' or `until'"),
                "for" | "until" => {
                    let value = words.next();
                    clauses.span = Some((word, value.ok_or_else(|| anyhow!("`{word}' needs a time behind it"))?));
                }
                "with" => {
                    let limit = words.next().unwrap_or_default();
                    clauses.limits.push(limit);
                    clauses.limits.extend(words.next_if(|_| !limit.contains('=')));
                }
                word if clauses.limits.is_empty() && clauses.span.is_none() => clauses.topic.push(word),
                word => bail!("`{word}' stands behind the end of the sentence: put it in front of for, until and with"),
            }
        }
        Ok(clauses)
    }

    fn until(&self, now: Time) -> Result<Option<Time>> {
        let Some((word, value)) = self.span else { return Ok(None) };
        let until = if word == "for" { now.after(when::duration(value)?) } else { when::date(value)? };
        if until <= now {
            bail!("`{value}' is over: say a time that is to come");
        }
        Ok(Some(until))
    }
}

/// Reads a sentence of `allow` or `deny`.
///
/// # Errors
/// If it is none, with what would be one.
pub(in crate::user) fn saying(words: &[String], sign: Sign, names: &Names, now: Time) -> Result<Saying> {
    let clauses = Clauses::parse(words)?;
    let subject = names.subject(clauses.subject)?;
    let until = clauses.until(now)?;
    if sign == Sign::Yes && until.is_some_and(|until| until > now.after(MAX_VALIDITY)) {
        bail!("What is allowed ends within 400 days: say it again when it ends");
    }
    let mut limits = limits(&clauses)?;
    let (about, rate) = match clauses.topic.split_first() {
        Some((&topics::RATE, args)) if sign == Sign::Yes => (vec![about(&subject, topics::RATE, &[])?], rate(args)?),
        Some((topic, args)) => (abouts(&subject, topic, args, sign, names)?, None),
        None => (Vec::new(), None),
    };
    if let Some(kbit) = rate {
        limits.set(topics::word("kbit"), kbit);
    }
    if sign != Sign::Yes && !limits.is_empty() {
        bail!("What is denied has no limits: leave `with' out, or allow less instead");
    }
    Ok(Saying { subject, about, until, limits })
}

fn limits(clauses: &Clauses<'_>) -> Result<Limits> {
    let topic = clauses.topic.first().copied().unwrap_or_default();
    let mut limits = Limits::default();
    let words: Vec<&str> = clauses.limits.iter().flat_map(|word| word.split('=')).collect();
    if words.is_empty() {
        return Ok(limits);
    }
    let [name, value] = words[..] else { bail!("`with' needs a limit and a number, for example: with mbday 500") };
    if !LIMITS.contains(&(topic, name)) {
        let known: Vec<String> = LIMITS.iter().map(|(topic, name)| format!("{topic} with {name} N")).collect();
        bail!("There is no limit `{name}' here; there are: {}", known.join(", "));
    }
    let value = value.parse().map_err(|_| anyhow!("`{value}' is no number: write for example with {name} 500"))?;
    limits.set(topics::word(name), value);
    Ok(limits)
}

/// A rate in kilobits a second: `2000`, `2000kbit`, `2mbit`, `1gbit`.
fn rate(args: &[&str]) -> Result<Option<u64>> {
    let problem = |text: &str| anyhow!("`{text}' is no rate: write for example 2000 (kbit/s), 2mbit or 1gbit");
    match args {
        [] => Ok(None),
        [text] => kind::rate(text).map(Some).ok_or_else(|| problem(text)),
        several => Err(problem(&several.join(" "))),
    }
}

/// What a topic and its words are about: one thing, or several of the same kind.
///
/// # Errors
/// If there is no such topic, or it has no such words.
pub(in crate::user) fn abouts(
    subject: &Subject,
    topic: &str,
    args: &[&str],
    sign: Sign,
    names: &Names,
) -> Result<Vec<About>> {
    match (topic, args) {
        (topics::OWN, [_, _, ..]) | (topics::NAME, [_, _, ..]) | (topics::TAG, [_, _, ..]) => {
            args.iter().map(|arg| about(subject, topic, &[*arg])).collect()
        }
        (topics::JOIN, []) if sign == Sign::Yes => {
            let Subject::Key(key) = subject else { return Ok(vec![about(subject, topic, &[])?]) };
            let name = names.name(key).ok_or_else(|| {
                anyhow!("This key has no name here: say under which it may join, for example: join bob")
            })?;
            Ok(vec![about(subject, topic, &[name])?])
        }
        _ => Ok(vec![about(subject, topic, args)?]),
    }
}

/// What one topic and its words are about.
///
/// # Errors
/// If there is no such topic, or it has no such words.
pub(in crate::user) fn about(subject: &Subject, topic: &str, args: &[&str]) -> Result<About> {
    let args = arguments(topic, args)?;
    if let (Subject::Group(_), topics::TAG | topics::JOIN) = (subject, topic) {
        bail!("`{topic}' is said of nodes, not of groups");
    }
    let args = args.iter().map(|arg| topics::word(arg)).collect();
    Ok(About::Allow { subject: subject.clone(), topic: topics::word(topic), args })
}

/// The words of a topic as statements have them.
fn arguments(topic: &str, args: &[&str]) -> Result<Vec<String>> {
    if args.iter().any(|arg| arg.is_empty()) {
        bail!("A word of `{topic}' is empty");
    }
    let own = || args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>();
    match (topic, args) {
        (topics::JOIN | topics::NAME, []) => Ok(own()),
        (topics::JOIN | topics::NAME, [name]) => match NodeName::parse(name) {
            Ok(_) => Ok(own()),
            Err(_) => bail!("`{name}' is not a name for a node: use letters, digits and underscores"),
        },
        (topics::OWN, []) => bail!("Say which addresses: own 10.1.0.0/16, own 02:00:00:00:00:01, or own any"),
        (topics::OWN, ["any"]) => Ok(Vec::new()),
        (topics::OWN, [prefix]) => Ok(vec![subnet(prefix)?]),
        (topics::RELAY | topics::INVITE | topics::FOUND | topics::RATE, []) | (topics::TAG, [_]) => Ok(own()),
        (topics::TAG, []) => bail!("Say which group: tag servers"),
        (topics::REACH, _) => {
            let words: Vec<Word> = args.iter().map(|arg| topics::word(arg)).collect();
            if !reach::is_scope(&words) {
                bail!(
                    "`reach {}' is not understood: write reach GROUP tcp|udp|icmp|other|any PORT|LOW-HIGH",
                    args.join(" ")
                );
            }
            Ok(own())
        }
        (PARDON, [_, serial]) if serial.parse::<u64>().is_ok() => Ok(own()),
        (PARDON, _) => bail!("Say which topic, and up to which serial: pardon join 1795352583000"),
        _ if topics::ALL.contains(&topic) => {
            bail!("`{topic}' does not take `{}': see tinmesh auth --help", args.join(" "))
        }
        _ => Err(unknown_topic(topic)),
    }
}

fn subnet(text: &str) -> Result<String> {
    match Subnet::parse(text) {
        Ok(subnet) if subnet.is_canonical() => Ok(topics::prefix_word(&subnet).as_str().to_owned()),
        Ok(_) => bail!("`{text}' has bits behind its prefix: write the first address of the range"),
        Err(_) => bail!("`{text}' is no range of addresses: write for example 10.1.0.0/16, fd00::/64 or a MAC address"),
    }
}

/// What to say of a topic that there is not.
pub(in crate::user) fn unknown_topic(topic: &str) -> anyhow::Error {
    anyhow!("There is no topic `{topic}'; there are: {}", topics::ALL.join(", "))
}

/// Reads a sentence of `trust` or `distrust`: `bob for join own depth 1`. Gives what it is about, and the depth.
///
/// # Errors
/// If it is none, with what would be one.
pub(in crate::user) fn introduction(words: &[String], names: &Names) -> Result<(Vec<About>, u64)> {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let (words, depth) = match words.as_slice() {
        [front @ .., "depth", depth] => (front, Some(*depth)),
        all => (all, None),
    };
    let depth = depth.map(|text| text.parse().ok().filter(|depth| *depth <= MAX_DEPTH).ok_or(text)).transpose();
    let depth = depth.map_err(|text| anyhow!("`{text}' is no depth: it is a number from 0 to {MAX_DEPTH}"))?;
    let [node, "for", topics @ ..] = words else { bail!("Say for what: {} for join", words.join(" ")) };
    if topics.is_empty() {
        bail!("Say for what: {node} for join");
    }
    let key = names.key(node)?;
    let about = topics.iter().map(|topic| match topics::ALL.contains(topic) {
        true => Ok(About::Trust { key, topic: topics::word(topic) }),
        false => Err(unknown_topic(topic)),
    });
    Ok((about.collect::<Result<_>>()?, depth.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use fides::Key;
    use proptest::prelude::*;

    use super::*;

    const NOW: Time = Time(1_800_000_000);

    fn names() -> Names {
        let mut names = Names::default();
        names.add("bob", Key::from_bytes([2; 32]));
        names
    }

    fn read(text: &str, sign: Sign) -> Result<Saying> {
        let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
        saying(&words, sign, &names(), NOW)
    }

    /// What is said, with the key written as KEY.
    fn said(text: &str) -> Vec<String> {
        let saying = read(text, Sign::Yes).unwrap_or_else(|error| panic!("{text}: {error}"));
        let key = Key::from_bytes([2; 32]).to_string();
        saying.about.iter().map(|about| about.to_string().replace(&key, "KEY")).collect()
    }

    #[test]
    fn sentences_become_what_statements_are_about() {
        for (text, expected) in [
            ("bob join", &["allow KEY join bob"][..]),
            ("bob join robert", &["allow KEY join robert"]),
            ("bob own 10.1.0.0/16 fd00::/64", &["allow KEY own 10.1.0.0/16", "allow KEY own fd00::/64"]),
            ("bob own any", &["allow KEY own"]),
            ("bob rate 2mbit", &["allow KEY rate"]),
            ("@laptops reach servers tcp 22", &["allow @laptops reach servers tcp 22"]),
            ("bob tag servers", &["allow KEY tag servers"]),
            ("bob invite until 2027-06-30", &["allow KEY invite"]),
        ] {
            assert_eq!(said(text), expected, "{text}");
        }
        assert_eq!(read("bob", Sign::Yes).unwrap().about, []);
    }

    #[test]
    fn validity_and_limits_may_follow() {
        let saying = read("bob relay for 7d with mbday 500", Sign::Yes).unwrap();
        assert_eq!((saying.until, saying.limits.value("mbday")), (Some(NOW.after(604_800)), Some(500)));
        assert_eq!(read("bob relay with mbday=5 for 1h", Sign::Yes).unwrap().limits.value("mbday"), Some(5));
        assert_eq!(read("bob rate 2mbit", Sign::Yes).unwrap().limits.value("kbit"), Some(2_000));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        for (text, hint) in [
            ("carol join", "bob"),
            ("bob own 10.1.0.1/16", "first address"),
            ("bob own", "own any"),
            ("bob own ten", "10.1.0.0/16"),
            ("bob jion", "there are: join"),
            ("bob join a-b", "letters"),
            ("bob join for 7w", "7d"),
            ("bob join until 2020-01-01", "to come"),
            ("bob join for 401d", "400 days"),
            ("bob join for", "needs a time"),
            ("bob join for 1d for 2d", "only once"),
            ("bob for 7d join", "in front of for"),
            ("bob own any with mbday 5", "relay with mbday"),
            ("bob relay with mbday many", "no number"),
            ("bob rate fast", "2mbit"),
            ("bob reach servers tls", "tcp|udp"),
            ("@all tag x", "not of groups"),
        ] {
            let error = read(text, Sign::Yes).unwrap_err().to_string();
            assert!(error.contains(hint), "{text}: {error}");
        }
        assert!(read("bob relay with mbday 5", Sign::No).unwrap_err().to_string().contains("limits"));
    }

    proptest! {
        #[test]
        fn no_words_make_it_panic(words in proptest::collection::vec("for|until|with|bob|own|join|rate|reach|any|@|7d|\\PC{0,6}", 0..6)) {
            let _ = saying(&words, Sign::Yes, &names(), NOW);
            let _ = saying(&words, Sign::No, &names(), NOW);
            let _ = introduction(&words, &names());
        }
    }

    #[test]
    fn introductions_name_topics_and_perhaps_a_depth() {
        let read = |text: &str| {
            let words: Vec<String> = text.split(' ').map(str::to_owned).collect();
            introduction(&words, &names())
        };
        let (about, depth) = read("bob for join own depth 1").unwrap();
        assert_eq!((about.len(), depth), (2, 1));
        for (text, hint) in
            [("bob", "for join"), ("bob for", "for join"), ("bob for jion", "join"), ("bob for join depth 4", "0 to 3")]
        {
            assert!(read(text).unwrap_err().to_string().contains(hint), "{text}");
        }
    }
}
