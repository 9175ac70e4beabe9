//! The two ends of an invitation, talking to each other.

use proptest::prelude::*;

use super::inviter::{Inviter, InviterEvent};
use super::joiner::{Joiner, JoinerEvent};
use super::url::InviteUrl;
use super::*;
use crate::crypto::keys::SecretKey;
use crate::crypto::rng::Rng;

const FILE: &[u8] = b"Name = joiner\nNameChoice = yes\nConnectTo = alpha\n";

struct Exchange {
    joiner: Joiner,
    inviter: Option<Inviter>,
    invitation: SecretKey,
    rng: Rng,
    /// Bytes are handed over in pieces of this length.
    piece: usize,
}

impl Exchange {
    fn new(piece: usize) -> Self {
        let invitation = SecretKey::from_seed(&[1; 32]);
        let key_hash = key_hash(&invitation.public());
        let url = InviteUrl { host: "host".into(), port: 1, key_hash, cookie: [5; COOKIE] };
        let joiner = Joiner::new(&url, SecretKey::from_seed(&[2; 32]));
        Self { joiner, inviter: None, invitation, rng: Rng::from_seed([3; 32]), piece }
    }

    fn tell_inviter(&mut self) -> Result<Vec<InviterEvent>, InviteError> {
        let mut events = Vec::new();
        for piece in self.joiner.take_output().chunks(self.piece) {
            let inviter = self.inviter.as_mut().expect("greeted");
            events.extend(inviter.feed(piece, &mut self.rng)?);
        }
        Ok(events)
    }

    fn tell_joiner(&mut self, mut bytes: Vec<u8>) -> Result<Vec<JoinerEvent>, InviteError> {
        bytes.extend(self.inviter.as_mut().expect("greeted").take_output());
        let mut events = Vec::new();
        for piece in bytes.chunks(self.piece) {
            events.extend(self.joiner.feed(piece, &mut self.rng)?);
        }
        Ok(events)
    }

    /// Up to the cookie.
    fn greet(&mut self) -> Vec<InviterEvent> {
        let id = String::from_utf8(self.joiner.take_output()).unwrap();
        let throwaway = PublicKey::from_base64(&id["0 ?".len()..][..43]).unwrap();
        let (inviter, kex) = Inviter::new(self.invitation.clone(), throwaway, &mut self.rng);
        self.inviter = Some(inviter);
        let greeting = format!("0 alpha 17.7\n4 {}\n", self.invitation.public().to_base64());
        self.tell_joiner([greeting.as_bytes(), &kex].concat()).unwrap();
        self.tell_inviter().unwrap();
        self.tell_joiner(Vec::new()).unwrap();
        self.tell_inviter().unwrap()
    }

    fn deliver(&mut self, file: &[u8]) -> Result<Vec<JoinerEvent>, InviteError> {
        let bytes = self.inviter.as_mut().unwrap().deliver(file)?;
        self.tell_joiner(bytes)
    }
}

#[test]
fn a_joiner_gets_the_file_and_the_inviter_its_key() {
    let mut exchange = Exchange::new(usize::MAX);
    let key = SecretKey::from_seed(&[4; 32]).public();

    let asked = exchange.greet();
    let name = file_name(&[5; COOKIE], &exchange.invitation.public());
    assert_eq!(asked, [InviterEvent::Cookie { file_name: name }]);
    let received = exchange.deliver(FILE).unwrap();
    assert_eq!(received, [JoinerEvent::FileReceived { file: FILE.to_vec(), name_choice: true }]);
    exchange.joiner.send_key(&key).unwrap();
    let keys = exchange.tell_inviter().unwrap();

    assert_eq!(keys, [InviterEvent::KeyReceived { name: NodeName::parse("joiner").unwrap(), key }]);
    let accepted = exchange.inviter.as_mut().unwrap().accept().unwrap();
    assert_eq!(exchange.tell_joiner(accepted).unwrap(), [JoinerEvent::Accepted]);
    assert_eq!(exchange.joiner.inviter().map(NodeName::as_str), Some("alpha"));
}

#[test]
fn a_joiner_with_a_choice_gets_the_name_that_the_inviter_grants() {
    let mut exchange = Exchange::new(7);
    let (wanted, granted) = (NodeName::parse("laptop").unwrap(), NodeName::parse("laptop_2").unwrap());
    let key = SecretKey::from_seed(&[4; 32]).public();
    exchange.greet();
    exchange.deliver(FILE).unwrap();

    exchange.joiner.want_name(&wanted).unwrap();
    assert_eq!(exchange.tell_inviter().unwrap(), [InviterEvent::NameWanted(wanted.clone())]);
    let bytes = exchange.inviter.as_mut().unwrap().grant_name(&granted).unwrap();
    assert_eq!(exchange.tell_joiner(bytes).unwrap(), [JoinerEvent::NameGranted(granted.clone())]);
    assert_eq!(exchange.joiner.want_name(&wanted), Err(InviteError::OutOfOrder));
    exchange.joiner.send_key(&key).unwrap();

    assert_eq!(exchange.tell_inviter().unwrap(), [InviterEvent::KeyReceived { name: granted, key }]);
}

#[test]
fn a_file_without_the_line_gives_no_choice_of_name() {
    let mut exchange = Exchange::new(usize::MAX);
    exchange.greet();

    let received = exchange.deliver(b"Name = joiner\n#---#\nName = alpha\nNameChoice = yes\n").unwrap();

    assert!(matches!(received[..], [JoinerEvent::FileReceived { name_choice: false, .. }]));
    assert_eq!(exchange.joiner.want_name(&NodeName::parse("x").unwrap()), Err(InviteError::OutOfOrder));
}

#[test]
fn an_inviter_with_another_key_is_refused() {
    let mut exchange = Exchange::new(usize::MAX);
    let other = SecretKey::from_seed(&[9; 32]).public().to_base64();

    let fed = exchange.joiner.feed(format!("0 alpha 17.7\n4 {other}\n").as_bytes(), &mut exchange.rng);

    assert_eq!(fed, Err(InviteError::WrongInviter));
}

#[test]
fn a_greeting_that_never_ends_is_refused() {
    let mut exchange = Exchange::new(usize::MAX);

    let fed = exchange.joiner.feed(&[b'0'; 3000], &mut exchange.rng);

    assert_eq!(fed, Err(InviteError::BadGreeting));
}

#[test]
fn files_that_are_too_long_or_nameless_are_not_delivered() {
    let mut exchange = Exchange::new(usize::MAX);
    exchange.greet();

    assert_eq!(exchange.deliver(&[b'x'; MAX_FILE + 1]), Err(InviteError::TooLong));
    assert_eq!(exchange.deliver(b"NetName = vpn\n"), Err(InviteError::NoName));
    assert!(exchange.deliver(b"nAmE=joiner \r\n").is_ok());
}

#[test]
fn steps_out_of_order_are_refused() {
    let mut exchange = Exchange::new(usize::MAX);
    exchange.greet();
    let inviter = exchange.inviter.as_mut().unwrap();

    assert_eq!(inviter.accept(), Err(InviteError::OutOfOrder));
    assert_eq!(inviter.grant_name(&NodeName::parse("x").unwrap()), Err(InviteError::OutOfOrder));
    assert_eq!(exchange.joiner.send_key(&exchange.invitation.public()), Err(InviteError::OutOfOrder));
}

#[test]
fn the_first_line_names_the_invitee() {
    let name = |file: &[u8]| invitee(file).map(|name| name.to_string());

    assert_eq!(name(b"Name = joiner\nrest"), Ok("joiner".into()));
    assert_eq!(name(b"NAME\tjoiner"), Ok("joiner".into()));
    assert_eq!(name(b"name=joiner\t\r\n"), Ok("joiner".into()));
    for bad in [&b""[..], b"\nName = joiner", b"Name = no-name", b"Name", b"Names = x", b"Name = \xff"] {
        assert_eq!(name(bad), Err(InviteError::NoName), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn bytes_may_be_cut_anywhere(piece in 1_usize..200, len in 0_usize..5000) {
        let mut exchange = Exchange::new(piece);
        let file = [b"Name = joiner\n".as_slice(), &vec![b'x'; len]].concat();
        exchange.greet();

        let received = exchange.deliver(&file).unwrap();

        prop_assert_eq!(received, [JoinerEvent::FileReceived { file, name_choice: false }]);
    }

    #[test]
    fn noise_is_refused_or_waited_for(noise in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut exchange = Exchange::new(usize::MAX);

        let fed = exchange.joiner.feed(&noise, &mut exchange.rng);

        prop_assert!(fed.is_err() || fed == Ok(Vec::new()));
    }
}
