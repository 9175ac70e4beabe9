use proptest::prelude::*;

use super::*;

const NOW: Time = Time(1_800_000_000);

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed(&[number; 32])
}

fn word(text: &str) -> Word {
    Word::new(text).unwrap()
}

fn allow(args: &[&str]) -> About {
    let subject = Subject::Key(secret(2).public());
    About::Allow { subject, topic: word("edit"), args: args.iter().map(|arg| word(arg)).collect() }
}

fn claim(sign: Sign, about: About) -> Claim {
    Claim::new(sign, about, Claim::serial_after(0, NOW), NOW)
}

/// The line of a statement with one field replaced.
fn with_field(number: usize, text: &str) -> String {
    let line = claim(Sign::Yes, allow(&["wiki"])).sign(&secret(1)).unwrap().to_string();
    let mut fields: Vec<&str> = line.split(' ').collect();
    fields[number] = text;
    fields.join(" ")
}

#[test]
fn a_line_is_read_back_as_the_statement_it_was() {
    let trust = About::Trust { key: secret(3).public(), topic: word("edit") };
    for claim in [
        claim(Sign::Yes, allow(&["wiki", "a b", "ä=%"])).limit(word("pages"), 7).limit(word("bytes"), 0),
        claim(Sign::Yes, trust.clone()).depth(3),
        claim(Sign::No, trust),
        claim(Sign::DontCare, allow(&[])),
        claim(Sign::No, About::Revoke),
    ] {
        let statement = claim.sign(&secret(1)).unwrap();
        let read = Unchecked::parse(&statement.to_string()).unwrap().verify().unwrap();
        assert_eq!(*read, statement);
    }
}

#[test]
fn any_change_of_a_line_is_noticed() {
    let line = claim(Sign::Yes, allow(&["wiki"])).sign(&secret(1)).unwrap().to_string();
    for at in 0..line.len() {
        for bit in 0..7 {
            let mut bytes = line.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let changed = String::from_utf8(bytes).unwrap();
            assert!(
                Unchecked::parse(&changed).is_ok_and(|read| read.verify().is_ok()) == (changed == line),
                "{changed}"
            );
        }
    }
}

#[test]
fn numbers_words_and_limits_have_one_form() {
    for (field, text) in
        [(2, "01"), (3, "+5"), (4, ""), (4, "x"), (9, "wi%41ki"), (9, "b=1 a=1"), (9, "a=1 b"), (9, "")]
    {
        assert!(Unchecked::parse(&with_field(field, text)).is_err(), "{text}");
    }
    assert!(Unchecked::parse(&with_field(9, "b a=1")).is_ok());
}

#[test]
fn a_yes_ends_within_400_days_of_its_start_and_of_its_serial() {
    let yes = claim(Sign::Yes, allow(&[]));
    assert!(yes.clone().until(yes.from.after(MAX_VALIDITY)).sign(&secret(1)).is_ok());
    assert_eq!(yes.clone().until(yes.from.after(MAX_VALIDITY + 1)).sign(&secret(1)), Err(FormError::Endless));
    let early = Claim { serial: 5, ..yes.clone() };
    assert_eq!(early.sign(&secret(1)), Err(FormError::Endless));
    assert_eq!(Claim { until: None, ..yes.clone() }.sign(&secret(1)), Err(FormError::Endless));
    assert_eq!(yes.clone().until(yes.from).sign(&secret(1)), Err(FormError::Backwards));
}

#[test]
fn a_no_may_have_no_end_and_has_no_limits() {
    assert!(claim(Sign::No, allow(&[])).sign(&secret(1)).is_ok());
    assert_eq!(claim(Sign::No, allow(&[])).limit(word("a"), 1).sign(&secret(1)), Err(FormError::Limits));
    assert_eq!(claim(Sign::Yes, About::Revoke).sign(&secret(1)), Err(FormError::Revocation));
}

#[test]
fn trust_reaches_three_levels_at_most() {
    let trust = About::Trust { key: secret(3).public(), topic: word("edit") };
    assert_eq!(claim(Sign::Yes, trust.clone()).depth(4).sign(&secret(1)), Err(FormError::Depth));
    assert_eq!(claim(Sign::Yes, trust).limit(word("x"), 1).sign(&secret(1)), Err(FormError::Depth));
}

#[test]
fn errors_say_what_to_do() {
    assert_eq!(Unchecked::parse(&with_field(5, "yes")).unwrap_err().to_string(), "\"yes\" is no SIGN: write +, - or 0");
    assert!(Unchecked::parse("hello").unwrap_err().to_string().contains("copy the whole line"));
    let long = claim(Sign::Yes, allow(&["x".repeat(400).as_str()])).sign(&secret(1));
    assert!(matches!(long, Err(FormError::Length(_))));
}

#[test]
fn a_signature_is_bound_to_its_purpose() {
    let statement = claim(Sign::Yes, allow(&[])).sign(&secret(1)).unwrap();
    let line = statement.to_string();
    let (unsigned, _) = line.rsplit_once(' ').unwrap();
    let elsewhere = secret(1).sign(unsigned.as_bytes());
    let forged = format!("{unsigned} {}", crate::base64::encode(&elsewhere));
    assert_eq!(Unchecked::parse(&forged).unwrap().verify(), Err(SignatureError));
}

proptest! {
    #[test]
    fn what_is_read_is_written_the_same(line in "fides1 [A-Q]{42}[AQgw] [0-9]{1,3} [01]{1,2} (-|[0-9]{2}) [-+0] \
        (revoke|allow (@[a-c%=]{1,3}|[A-Q]{42}[AQgw]) [a-c]( [a-c%=0-9]{1,4}){0,3}|trust [A-Q]{42}[AQgw] a( depth [0-4])?) \
        [A-Q]{85}[AQgw]") {
        if let Ok(read) = Unchecked::parse(&line) {
            prop_assert_eq!(read.alleged().to_string(), line);
        }
    }

    #[test]
    fn no_text_is_too_strange_to_be_refused(line in "\\PC{0,80}") {
        prop_assert!(Unchecked::parse(&line).is_err());
    }
}
