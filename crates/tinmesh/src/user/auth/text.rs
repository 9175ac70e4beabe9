//! Statements and questions as people read them.

use fides::{About, Key, Limits, Question, Sign, Statement, Subject, Time, Word};
use serde_json::{Value, json};
use tinmesh_core::trust::topics;

use super::names::Names;
use super::when;

/// What may be done, behind `may`: `join as bob`, `own 10.1.0.0/16`.
fn deed(topic: &Word, args: &[Word], limits: &Limits) -> String {
    let args: Vec<&str> = args.iter().map(Word::as_str).collect();
    let words = args.join(" ");
    let limit = |name: &str| limits.value(name);
    match (topic.as_str(), args.as_slice()) {
        (topics::JOIN, []) => "join under any name".to_owned(),
        (topics::JOIN, _) => format!("join as {words}"),
        (topics::OWN, []) => "own any addresses".to_owned(),
        (topics::RELAY, _) => match limit("mbday") {
            Some(megabytes) => format!("use and be a relay, {megabytes} MB a day"),
            None => "use and be a relay".to_owned(),
        },
        (topics::RATE, _) => limit("kbit").map_or_else(|| "send".to_owned(), |kbit| format!("send {kbit} kbit/s")),
        (topics::REACH, []) => "begin anything with everybody".to_owned(),
        (topics::TAG, _) => format!("be in the group {words}"),
        (topics::NAME, []) => "be found by any name".to_owned(),
        (topics::NAME, _) => format!("be found by the name {words}"),
        (topics::INVITE, _) => "invite others".to_owned(),
        (topics::FOUND, _) => "be a founder".to_owned(),
        (topic, []) => topic.to_owned(),
        (topic, _) => format!("{topic} {words}"),
    }
}

/// What a statement is about, as a sentence without its issuer: `bob may join as bob`.
pub(super) fn sentence(statement: &Statement, names: &Names) -> String {
    let claim = statement.claim();
    let verb = |yes: &str, no: &str, neither: &str| match claim.sign {
        Sign::Yes => yes.to_owned(),
        Sign::No => no.to_owned(),
        Sign::DontCare => neither.to_owned(),
    };
    match &claim.about {
        About::Allow { subject, topic, args } => {
            let may = verb("may", "may not", "(taken back) may");
            format!("{} {may} {}", names.show_subject(subject), deed(topic, args, &claim.limits))
        }
        About::Trust { key, topic } => {
            let counts = verb("counts", "does not count", "(taken back) counts");
            let depth = match claim.limits.value("depth") {
                None | Some(0) => String::new(),
                Some(1) => ", and of whom it introduces".to_owned(),
                Some(levels) => format!(", and of whom it introduces, {levels} levels deep"),
            };
            format!("the word of {} {counts} for {topic}{depth}", names.show(key))
        }
        About::Revoke => format!("the key of {} is void, for ever", names.show(statement.issuer())),
    }
}

/// How long a statement holds: `until 2027-01-31 12:00 UTC`.
pub(super) fn validity(statement: &Statement, now: Time) -> String {
    match (statement.claim().sign, statement.claim().until) {
        (Sign::DontCare, _) => String::new(),
        (_, None) => "without end".to_owned(),
        (_, Some(until)) if until <= now => format!("ended {} UTC", when::text(until)),
        (_, Some(until)) => format!("until {} UTC", when::text(until)),
    }
}

/// A statement with its issuer, its age and its validity.
pub(super) fn whole(statement: &Statement, names: &Names, now: Time) -> String {
    let said = when::text(said_at(statement));
    let validity = validity(statement, now);
    let (comma, issuer) = (if validity.is_empty() { "" } else { ", " }, names.show(statement.issuer()));
    format!("{}   ({issuer}, {said} UTC{comma}{validity})", sentence(statement, names))
}

/// When a statement was made: the time in its serial.
pub(super) const fn said_at(statement: &Statement) -> Time {
    Time(statement.claim().serial / 1_000)
}

/// A question as a sentence: `bob may own 10.1.0.0/16`, or `bob may not …`.
pub(super) fn answer(question: &Question, allowed: bool, names: &Names) -> String {
    let may = if allowed { "may" } else { "may not" };
    format!("{} {may} {}", names.show(&question.subject), deed(&question.topic, &question.args, &Limits::default()))
}

/// The words of a question as they are typed: `bob own 10.1.0.0/16`.
pub(super) fn typed(question: &Question, names: &Names) -> String {
    let args = question.args.iter().map(Word::as_str);
    let args: Vec<&str> = match question.topic.as_str() {
        topics::OWN if question.args.is_empty() => vec!["any"],
        _ => args.collect(),
    };
    let all = [names.show(&question.subject), question.topic.as_str().to_owned()].into_iter();
    all.chain(args.into_iter().map(str::to_owned)).collect::<Vec<_>>().join(" ")
}

/// What is typed to take back a statement.
pub(super) fn forgetting(statement: &Statement, names: &Names) -> Option<String> {
    match &statement.claim().about {
        About::Allow { subject, topic, .. } => Some(format!("auth forget {} {topic}", names.show_subject(subject))),
        About::Trust { key, topic } => Some(format!("auth forget {} {topic}", names.show(key))),
        About::Revoke => None,
    }
}

/// A statement for programs.
pub(super) fn json(statement: &Statement, names: &Names, now: Time) -> Value {
    let claim = statement.claim();
    let key = |key: &Key| json!({ "key": key.to_string(), "name": names.name(key), "group": null });
    let (verb, topic, subject, args) = match &claim.about {
        About::Allow { subject: Subject::Key(of), topic, args } => ("allow", Some(topic), key(of), args.as_slice()),
        About::Allow { subject: Subject::Group(group), topic, args } => {
            let subject = json!({ "key": null, "name": null, "group": group.as_str() });
            ("allow", Some(topic), subject, args.as_slice())
        }
        About::Trust { key: of, topic } => ("trust", Some(topic), key(of), [].as_slice()),
        About::Revoke => ("revoke", None, key(statement.issuer()), [].as_slice()),
    };
    let limits = claim.limits.iter().map(|(name, value)| json!({ "name": name.as_str(), "value": value }));
    json!({
        "issuer": { "key": statement.issuer().to_string(), "name": names.name(statement.issuer()) },
        "sign": claim.sign.to_string(),
        "verb": verb,
        "subject": subject,
        "topic": topic.map(Word::as_str),
        "args": args.iter().map(Word::as_str).collect::<Vec<_>>(),
        "limits": limits.collect::<Vec<_>>(),
        "said": said_at(statement).0,
        "from": claim.from.0,
        "until": claim.until.map(|until| until.0),
        "over": claim.until.is_some_and(|until| until <= now),
        "line": statement.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use fides::{Claim, SecretKey};

    use super::*;

    const NOW: Time = Time(1_800_000_000);

    fn shown(sign: Sign, about: About, limit: Option<(&str, u64)>) -> String {
        let mut names = Names::default();
        names.add("bob", Key::from_bytes([2; 32]));
        let mut claim = Claim::new(sign, about, NOW.0 * 1_000, NOW);
        if let Some((name, value)) = limit {
            claim = claim.limit(topics::word(name), value);
        }
        sentence(&claim.sign(&SecretKey::from_seed(&[1; 32])).unwrap(), &names)
    }

    fn bob(topic: &str, args: &[&str]) -> About {
        let args = args.iter().map(|arg| topics::word(arg)).collect();
        About::Allow { subject: Subject::Key(Key::from_bytes([2; 32])), topic: topics::word(topic), args }
    }

    #[test]
    fn statements_are_sentences() {
        assert_eq!(shown(Sign::Yes, bob("join", &["bob"]), None), "bob may join as bob");
        assert_eq!(shown(Sign::No, bob("join", &[]), None), "bob may not join under any name");
        assert_eq!(shown(Sign::DontCare, bob("own", &["10.1.0.0/16"]), None), "bob (taken back) may own 10.1.0.0/16");
        assert_eq!(shown(Sign::Yes, bob("rate", &[]), Some(("kbit", 500))), "bob may send 500 kbit/s");
        assert_eq!(shown(Sign::Yes, bob("reach", &["servers", "tcp", "22"]), None), "bob may reach servers tcp 22");
        let trust = About::Trust { key: Key::from_bytes([2; 32]), topic: topics::word("join") };
        assert_eq!(
            shown(Sign::Yes, trust, Some(("depth", 1))),
            "the word of bob counts for join, and of whom it introduces"
        );
    }
}
