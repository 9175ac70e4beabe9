use proptest::prelude::*;

use super::*;

const V4: &str = "127.0.0.1:6551";
const V6: &str = "[fd00::1]:655";

fn protocols() -> Vec<Protocol> {
    vec![
        Protocol::Socks4 { user: "user".to_owned() },
        Protocol::Socks4a { user: String::new() },
        Protocol::Socks5 { login: None },
        Protocol::Socks5 { login: Some(("user".to_owned(), "secret".to_owned())) },
        Protocol::Http,
    ]
}

/// Talks with a proxy that gives these answers; what it was sent before each, and at last.
fn talk(protocol: &Protocol, target: &str, answers: &[&[u8]]) -> Result<Vec<Vec<u8>>, ProxyError> {
    let mut prelude = Prelude::new(protocol, target.parse().unwrap())?;
    let mut said = vec![prelude.take_output()];
    for (at, answer) in answers.iter().enumerate() {
        // A byte at a time: answers may come in any pieces.
        for len in 0..answer.len() {
            assert_eq!(prelude.feed(&answer[..len])?, Progress::Waiting, "after {len} bytes of answer {at}");
        }
        let whole = [answer, &b"rest"[..]].concat();
        let last = at + 1 == answers.len();
        let expected = if last { Progress::Open(answer.len()) } else { Progress::Step(answer.len()) };
        assert_eq!(prelude.feed(&whole)?, expected);
        said.push(prelude.take_output());
    }
    Ok(said)
}

fn refusal(protocol: &Protocol, answers: &[&[u8]]) -> ProxyError {
    talk(protocol, V4, answers).unwrap_err()
}

#[test]
fn socks4_sends_tincs_bytes() {
    let socks4 = Protocol::Socks4 { user: "user".to_owned() };
    let said = talk(&socks4, V4, &[&[0, 0x5a, 9, 9, 9, 9, 9, 9]]).unwrap();
    assert_eq!(said[0], b"\x04\x01\x19\x97\x7f\x00\x00\x01user\0");
    assert_eq!(Prelude::new(&socks4, V6.parse().unwrap()).unwrap_err(), ProxyError::Ipv4Only);
    assert!(matches!(refusal(&socks4, &[&[0, 0x5b, 0, 0, 0, 0, 0, 0]]), ProxyError::Refused(_)));
    assert_eq!(refusal(&socks4, &[b"SSH-2.0-"]), ProxyError::Garbage("socks4"));
}

#[test]
fn socks4a_sends_what_is_not_ipv4_as_text() {
    let socks4a = Protocol::Socks4a { user: "me".to_owned() };
    let reply: &[u8] = &[0, 0x5a, 0, 0, 0, 0, 0, 0];
    assert_eq!(talk(&socks4a, V4, &[reply]).unwrap()[0], b"\x04\x01\x19\x97\x7f\x00\x00\x01me\0");
    assert_eq!(talk(&socks4a, V6, &[reply]).unwrap()[0], b"\x04\x01\x02\x8f\x00\x00\x00\x01me\0fd00::1\0");
}

#[test]
fn a_name_goes_to_whoever_takes_names() {
    let request = |protocol: &Protocol, answer: &[u8]| {
        let mut prelude = Prelude::named(protocol, "b.example", 655)?;
        let greeting = prelude.take_output();
        prelude.feed(answer).map(|_| [greeting, prelude.take_output()].concat())
    };
    let [socks4, socks4a] = [Protocol::Socks4 { user: String::new() }, Protocol::Socks4a { user: "me".to_owned() }];
    assert_eq!(request(&socks4, b""), Err(ProxyError::Nameless));
    assert_eq!(request(&socks4a, b"").unwrap(), b"\x04\x01\x02\x8f\x00\x00\x00\x01me\0b.example\0");
    assert_eq!(request(&Protocol::Http, b"").unwrap(), b"CONNECT b.example:655 HTTP/1.1\r\n\r\n");
    let socks5 = request(&Protocol::Socks5 { login: None }, &[5, 0]).unwrap();
    assert_eq!(socks5, b"\x05\x01\x00\x05\x01\x00\x03\x09b.example\x02\x8f");
    for name in ["", "a b", "a\r\nX: y", &"a".repeat(256)] {
        assert_eq!(Prelude::named(&Protocol::Http, name, 655).unwrap_err(), ProxyError::Nameless, "{name:?}");
    }
}

#[test]
fn socks5_sends_tincs_bytes_with_and_without_a_password() {
    let plain = Protocol::Socks5 { login: None };
    let said = talk(&plain, V4, &[&[5, 0], &[5, 0, 0, 1, 1, 2, 3, 4, 5, 6]]).unwrap();
    assert_eq!(said.concat(), b"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x19\x97");

    let login = Protocol::Socks5 { login: Some(("user".to_owned(), "secret".to_owned())) };
    let said = talk(&login, V6, &[&[5, 2], &[1, 0], &[5, 0, 0, 1, 1, 2, 3, 4, 5, 6]]).unwrap();
    assert_eq!(said[..2].concat(), b"\x05\x01\x02\x01\x04user\x06secret");
    assert_eq!(said[2], b"\x05\x01\x00\x04\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x02\x8f");
}

#[test]
fn an_answer_of_socks5_is_as_long_as_its_own_address_says() {
    let plain = Protocol::Socks5 { login: None };
    let mut long = vec![5, 0, 0, 4];
    long.extend([7; 18]);
    talk(&plain, V4, &[&[5, 0], &long]).unwrap();
    talk(&plain, V6, &[&[5, 0], b"\x05\x00\x00\x03\x05proxy\x00\x50"]).unwrap();
    assert_eq!(refusal(&plain, &[&[5, 0], &[5, 0, 0, 2, 0, 0, 0]]), ProxyError::Garbage("socks5"));
}

#[test]
fn socks5_says_what_is_wrong_with_the_login() {
    let plain = Protocol::Socks5 { login: None };
    let login = Protocol::Socks5 { login: Some(("user".to_owned(), "wrong".to_owned())) };
    assert_eq!(refusal(&plain, &[&[5, 0xff]]), ProxyError::LoginWanted);
    assert_eq!(refusal(&login, &[&[5, 2], &[1, 1]]), ProxyError::LoginRefused);
    assert!(matches!(refusal(&login, &[&[5, 0xff]]), ProxyError::Refused(_)));
    assert_eq!(refusal(&login, &[&[5, 2], &[5, 0]]), ProxyError::Garbage("socks5"));
    let refused = refusal(&plain, &[&[5, 0], &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0]]);
    assert_eq!(refused, ProxyError::Refused("its rules do not allow it".to_owned()));
}

#[test]
fn http_sends_tincs_bytes_with_brackets_around_ipv6() {
    let said = talk(&Protocol::Http, V4, &[b"HTTP/1.1 200 Connection established\r\n\r\n"]).unwrap();
    assert_eq!(said[0], b"CONNECT 127.0.0.1:6551 HTTP/1.1\r\n\r\n");
    let said = talk(&Protocol::Http, V6, &[b"HTTP/1.0 200\nVia: x\nProxy-agent: y\n\n"]).unwrap();
    assert_eq!(said[0], b"CONNECT [fd00::1]:655 HTTP/1.1\r\n\r\n");
}

#[test]
fn an_http_refusal_is_told_in_its_own_words() {
    let refused = refusal(&Protocol::Http, &[b"HTTP/1.1 407 Proxy \x07uthentication\r\n\r\n"]);
    assert_eq!(refused, ProxyError::Refused("407 Proxy ?uthentication".to_owned()));
    for garbage in
        ["HTTP/2 200\r\n\r\n", "HTTP/1.1 2x0\r\n\r\n", "HTTP/1.1\r\n", "0 bob 17.7\n", "HTTP/1.1 2000\r\n\r\n"]
    {
        assert_eq!(refusal(&Protocol::Http, &[garbage.as_bytes()]), ProxyError::Garbage("http"), "{garbage:?}");
    }
}

#[test]
fn an_endless_head_is_refused() {
    let mut prelude = Prelude::new(&Protocol::Http, V4.parse().unwrap()).unwrap();
    assert_eq!(prelude.feed(b"220 mail"), Err(ProxyError::Hasty));
    prelude.take_output();
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    head.resize(MAX_HEAD - 1, b'a');
    assert_eq!(prelude.feed(&head), Ok(Progress::Waiting));
    head.push(b'a');
    assert_eq!(prelude.feed(&head), Err(ProxyError::Garbage("http")));
}

proptest! {
    #[test]
    fn no_answer_makes_it_take_more_than_there_is(answers in prop::collection::vec(any::<u8>(), 0..64), kind in 0..5_usize) {
        let mut prelude = Prelude::new(&protocols()[kind], V4.parse().unwrap()).unwrap();
        let mut rest = answers.as_slice();
        prelude.take_output();
        while let Ok(Progress::Step(len) | Progress::Open(len)) = prelude.feed(rest) {
            prop_assert!(len > 0 && len <= rest.len());
            rest = &rest[len..];
            prelude.take_output();
            if rest.is_empty() { break }
        }
    }
}
