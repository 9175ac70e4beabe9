use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = NodeName> {
    "[A-Za-z0-9_]{1,12}".prop_map(|text| NodeName::parse(&text).unwrap())
}

fn address() -> impl Strategy<Value = WireAddress> {
    prop_oneof![
        Just(WireAddress::Unspecified),
        (any::<std::net::IpAddr>(), any::<u16>())
            .prop_map(|(ip, port)| WireAddress::Ip(std::net::SocketAddr::new(ip.to_canonical(), port))),
        ("[g-z.]{1,20}", "[a-z]{1,5}").prop_map(|(host, port)| WireAddress::parse(&host, &port)),
    ]
}

fn subnet() -> impl Strategy<Value = Subnet> {
    (any::<std::net::IpAddr>(), 0u8..=32, any::<i32>())
        .prop_map(|(ip, prefix, weight)| Subnet::new(ip.into(), prefix, weight).unwrap())
}

fn kind() -> impl Strategy<Value = KeyRequest> {
    prop_oneof![
        Just(KeyRequest::Legacy),
        Just(KeyRequest::PublicKeyWanted),
        "[A-Za-z0-9+/]{1,60}".prop_map(KeyRequest::PublicKey),
        "[A-Za-z0-9+/]{1,60}".prop_map(KeyRequest::Start),
        "[A-Za-z0-9+/]{1,60}".prop_map(KeyRequest::Datagram),
        prop_oneof![i32::MIN..0, 1..15, 22..i32::MAX].prop_map(KeyRequest::Other),
    ]
}

fn ans_key() -> impl Strategy<Value = AnsKey> {
    let numbers = (any::<i32>(), any::<i32>(), any::<i32>(), any::<i32>());
    (name(), name(), "[!-~]{1,60}", numbers, prop::option::of(address())).prop_map(
        |(from, to, key, (cipher, digest, mac_length, compression), reflexive)| AnsKey {
            from,
            to,
            key,
            cipher,
            digest,
            mac_length,
            compression,
            reflexive,
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    let ends = || (any::<u32>(), name(), name()).prop_filter("two nodes", |(_, from, to)| from != to);
    prop_oneof![
        ("[!-~]{1,70}", 0u16..100, prop::option::of(0u16..1000)).prop_map(|(name, major, minor)| Request::Id {
            name,
            major,
            minor
        }),
        ("[!-~]{1,5}", any::<i32>(), any::<u32>()).prop_map(|(port, weight, options)| Request::Ack {
            port,
            weight,
            options: Options(options)
        }),
        prop_oneof![Just(Request::TermReq), Just(Request::Ping), Just(Request::Pong)],
        (any::<u32>(), name(), subnet()).prop_map(|(nonce, owner, subnet)| Request::AddSubnet { nonce, owner, subnet }),
        (any::<u32>(), name(), subnet()).prop_map(|(nonce, owner, subnet)| Request::DelSubnet { nonce, owner, subnet }),
        (ends(), address(), any::<u32>(), any::<i32>(), prop::option::of(address())).prop_map(
            |((nonce, from, to), address, options, weight, local)| {
                Request::AddEdge { nonce, from, to, address, options: Options(options), weight, local }
            }
        ),
        ends().prop_map(|(nonce, from, to)| Request::DelEdge { nonce, from, to }),
        (any::<u32>(), name()).prop_map(|(nonce, name)| Request::KeyChanged { nonce, name }),
        (name(), name(), kind()).prop_map(|(from, to, kind)| Request::ReqKey { from, to, kind }),
        ans_key().prop_map(Request::AnsKey),
        (0..=0x7fffu16).prop_map(|len| Request::Packet { len }),
        (0..=0x7fffu16).prop_map(|len| Request::SptpsPacket { len }),
        (name(), name(), address()).prop_map(|(from, to, address)| Request::UdpInfo { from, to, address }),
        (name(), name(), 512..i32::MAX).prop_map(|(from, to, mtu)| Request::MtuInfo { from, to, mtu }),
    ]
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_the_same(request in request()) {
        prop_assert_eq!(Request::parse(request.to_string().as_bytes()), Ok(request));
    }

    #[test]
    fn more_words_change_nothing_where_no_more_are_expected(request in request(), more in "( [!-~]{1,9}){1,3}") {
        let open = matches!(
            &request,
            Request::ReqKey { .. }
                | Request::AnsKey(AnsKey { reflexive: None, .. })
                | Request::AddEdge { local: None, .. }
        );
        if !open {
            prop_assert_eq!(Request::parse(format!("{request}{more}").as_bytes()), Ok(request));
        }
    }

    #[test]
    fn garbage_is_refused_without_harm(text: Vec<u8>) {
        let _ = Request::parse(&text);
    }

    #[test]
    fn damaged_requests_are_read_or_refused_but_what_is_read_prints_as_it_was_understood(
        request in request(), at: prop::sample::Index, with: u8,
    ) {
        let mut text = request.to_string().into_bytes();
        let at = at.index(text.len());
        text[at] = with;
        if let Ok(read) = Request::parse(&text) {
            prop_assert_eq!(Request::parse(read.to_string().as_bytes()), Ok(read));
        }
    }
}

fn parse(text: &str) -> Result<Request, RequestError> {
    Request::parse(text.as_bytes())
}

fn wrong(request: &'static str, field: &'static str) -> RequestError {
    RequestError::Field { request, field }
}

#[test]
fn the_number_is_the_leading_integer() {
    for text in ["8", "08", "+8", "  8", "\t8", "8 and more", "8x", "8x y"] {
        assert_eq!(parse(text), Ok(Request::Ping), "{text}");
    }
    for text in ["x", " 0 a 17", "+0 a 17", "-0 a 17", "hello world", "-", " "] {
        assert_eq!(parse(text), Err(RequestError::NoNumber), "{text}");
    }
}

#[test]
fn requests_that_the_mesh_does_not_know_are_refused() {
    for number in [-1, 5, 6, 19, 20, 24, 1_000_000_000_000, i64::MAX] {
        assert_eq!(parse(&format!("{number} a b c")), Err(RequestError::Unknown(number)));
    }
    assert_eq!(parse("1 429 672 0 0 57AB"), Err(RequestError::Legacy("METAKEY")));
    assert_eq!(parse("2 57AB"), Err(RequestError::Legacy("CHALLENGE")));
    assert_eq!(parse("3 57AB"), Err(RequestError::Legacy("CHAL_REPLY")));
    assert_eq!(parse("18 0"), Err(RequestError::Control));
}

#[test]
fn one_request_is_one_line_of_text_of_a_bounded_length() {
    assert_eq!(parse(""), Err(RequestError::Empty));
    assert_eq!(parse("8\n9"), Err(RequestError::Broken));
    assert_eq!(parse("8\0"), Err(RequestError::Broken));
    let long = format!("8 {}", "x".repeat(Request::MAX_LEN - 2));
    assert_eq!(parse(&long), Ok(Request::Ping));
    assert_eq!(parse(&format!("{long}x")), Err(RequestError::TooLong(Request::MAX_LEN + 1)));
}

#[test]
fn words_have_at_most_2048_characters() {
    let name = "n".repeat(2048);
    assert!(parse(&format!("14 1 {name}")).is_ok());
    assert_eq!(parse(&format!("14 1 {name}n")), Err(wrong("KEY_CHANGED", "name")));
    assert_eq!(parse(&format!("16 a b {name}n -1 -1 -1 0")), Err(wrong("ANS_KEY", "key")));
}

#[test]
fn the_id_of_every_kind_of_client_is_read() {
    let id = |name: &str, major, minor| Ok(Request::Id { name: name.to_owned(), major, minor });
    assert_eq!(parse("0 alpha 17.7"), id("alpha", 17, Some(7)));
    assert_eq!(parse("0 beta 17"), id("beta", 17, None));
    assert_eq!(parse("0 ^c001 0"), id("^c001", 0, None));
    assert_eq!(parse("0 ?KEY 17.1"), id("?KEY", 17, Some(1)));
    assert_eq!(parse("0 a 171.2"), id("a", 17, None));
    assert_eq!(parse("0 a 17.12345"), id("a", 17, Some(123)));
    assert_eq!(parse("0 a 17."), id("a", 17, None));
    assert_eq!(parse("0 a"), Err(wrong("ID", "version")));
    assert_eq!(parse("0 a x"), Err(wrong("ID", "version")));
    assert_eq!(parse("0"), Err(wrong("ID", "name")));
}

#[test]
fn an_upgrade_ack_is_no_ack() {
    assert_eq!(parse("4 Q9sQwppxIOWsexqotNVvxo/22cXVXFvodlL5UM8/hiG"), Err(wrong("ACK", "weight")));
}

#[test]
fn an_edge_has_six_or_eight_fields_behind_the_nonce() {
    let edge = "12 f mid foo unspec unspec 0 5";
    let local = |text: &str| match parse(text) {
        Ok(Request::AddEdge { local, .. }) => Ok(local.map(|local| local.to_string())),
        Ok(other) => panic!("{other}"),
        Err(error) => Err(error),
    };
    assert_eq!(local(edge), Ok(None));
    assert_eq!(local(&format!("{edge} 10.0.0.1")), Err(wrong("ADD_EDGE", "local address")));
    assert_eq!(local(&format!("{edge} 10.0.0.1 655")), Ok(Some("10.0.0.1 655".to_owned())));
    assert_eq!(local(&format!("{edge} any thing more")), Ok(Some("any thing".to_owned())));
    assert_eq!(local("12 f mid foo unspec unspec 0"), Err(wrong("ADD_EDGE", "weight")));
}

#[test]
fn an_edge_joins_two_nodes() {
    assert_eq!(parse("12 f a a unspec unspec 0 5"), Err(RequestError::Loop("ADD_EDGE")));
    assert_eq!(parse("13 f a a"), Err(RequestError::Loop("DEL_EDGE")));
    assert_eq!(parse("13 f a b-c"), Err(wrong("DEL_EDGE", "to")));
}

#[test]
fn an_address_may_be_any_text_even_if_it_is_not_utf8() {
    let read = Request::parse(b"12 f a b h\xff\xfest 655 0 5").unwrap();
    assert_eq!(read.to_string(), "12 f a b h\u{fffd}\u{fffd}st 655 0 5");
}

#[test]
fn key_requests_are_told_apart_by_their_sub_request() {
    let kind = |text: &str| match parse(&format!("15 a b{text}")) {
        Ok(Request::ReqKey { kind, .. }) => kind,
        other => panic!("{other:?}"),
    };
    assert_eq!(kind(""), KeyRequest::Legacy);
    assert_eq!(kind(" 0"), KeyRequest::Legacy);
    assert_eq!(kind(" what"), KeyRequest::Legacy);
    assert_eq!(kind(" 19"), KeyRequest::PublicKeyWanted);
    assert_eq!(kind(" 20 KEY"), KeyRequest::PublicKey("KEY".to_owned()));
    assert_eq!(kind(" 15 KEX"), KeyRequest::Start("KEX".to_owned()));
    assert_eq!(kind(" 21 DATA"), KeyRequest::Datagram("DATA".to_owned()));
    assert_eq!(kind(" 21"), KeyRequest::Other(21));
    assert_eq!(kind(" 99 x"), KeyRequest::Other(99));
}

#[test]
fn an_answer_needs_seven_words_and_may_carry_an_address() {
    let reflexive = |text: &str| match parse(text) {
        Ok(Request::AnsKey(answer)) => Ok(answer.reflexive.map(|address| address.to_string())),
        Ok(other) => panic!("{other}"),
        Err(error) => Err(error),
    };
    assert_eq!(reflexive("16 a f 236D79184E 427 672 4 0"), Ok(None));
    assert_eq!(reflexive("16 b a AAIA -1 -1 -1 0 10.99.0.3 655"), Ok(Some("10.99.0.3 655".to_owned())));
    assert_eq!(reflexive("16 b a AAIA -1 -1 -1 0 10.99.0.3"), Ok(None));
    assert_eq!(reflexive("16 b a AAIA -1 -1 -1"), Err(wrong("ANS_KEY", "compression")));
}

#[test]
fn lengths_are_16_bit_numbers_that_are_not_negative() {
    assert_eq!(parse("17 0"), Ok(Request::Packet { len: 0 }));
    assert_eq!(parse("21 117"), Ok(Request::SptpsPacket { len: 117 }));
    assert_eq!(parse("17 65537"), Ok(Request::Packet { len: 1 }));
    assert_eq!(parse("17 -1"), Err(wrong("PACKET", "length")));
    assert_eq!(parse("21 32768"), Err(wrong("SPTPS_PACKET", "length")));
}

#[test]
fn no_path_has_an_mtu_below_512() {
    assert!(parse("23 a b 512").is_ok());
    assert_eq!(parse("23 a b 511"), Err(wrong("MTU_INFO", "MTU")));
}
