//! The joiner's half of an invitation, over TCP: for `tinmesh join` and `tinc join`.
//!
//! Blocking, with a limit for every step. Source: spec cli B.11, invitations 3 and 4.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::time::{Duration, Instant};

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::invite::InviteError;
use tinmesh_core::invite::joiner::{Joiner, JoinerEvent};
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::name::NodeName;

use crate::files;

/// How long a connection may take to be made, and how long the inviter may say nothing.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one step may take at most, however slowly the inviter speaks.
const LIMIT: Duration = Duration::from_secs(20);

/// What the user may want to see while it happens.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The host's name is looked up.
    Resolving(&'a str),
    /// An address is tried.
    Connecting(SocketAddr),
    /// It did not work.
    Failed {
        /// The address.
        to: SocketAddr,
        /// Why.
        reason: &'a ExchangeError,
    },
    /// The inviter is there.
    Connected(SocketAddr),
}

/// Why an invitation was not handed over or not completed.
#[derive(Debug, thiserror::Error)]
pub enum ExchangeError {
    /// The host's name has no address.
    #[error("Could not resolve {host}: {reason}")]
    Resolve {
        /// The name.
        host: String,
        /// Why.
        reason: String,
    },
    /// No address worked.
    #[error("Could not connect to inviter. Please make sure the URL you entered is valid.")]
    NoConnection,
    /// The inviter closed the connection.
    #[error("The inviter closed the connection.")]
    Closed,
    /// Nothing came for too long.
    #[error("The inviter does not answer.")]
    Silent,
    /// The inviter is the right one but does not honour the invitation.
    #[error("The inviter does not honour this invitation: it was used before, has expired, or was withdrawn.")]
    Refused,
    /// The inviter sent something wrong.
    #[error("{0}")]
    Protocol(#[from] InviteError),
    /// The system failed.
    #[error("{}", files::reason(.0))]
    Io(#[from] io::Error),
}

/// The invitation, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// The file.
    pub file: Vec<u8>,
    /// Whether another name than that of the file may be asked for.
    pub name_choice: bool,
}

/// A connection to an inviter that has handed over its invitation.
#[derive(Debug)]
pub struct Exchange {
    stream: TcpStream,
    joiner: Joiner,
    rng: Rng,
    events: VecDeque<JoinerEvent>,
}

impl Exchange {
    /// Connects to the inviter, at each of its addresses in turn, and gets the invitation.
    ///
    /// # Errors
    /// If nobody is there, it is not the inviter, or it does not honour the invitation.
    pub fn open(url: &InviteUrl, tell: &mut dyn FnMut(Progress<'_>)) -> Result<(Self, Invitation), ExchangeError> {
        if url.host.parse::<std::net::IpAddr>().is_err() {
            tell(Progress::Resolving(&url.host));
        }
        let addresses = (url.host.as_str(), url.port)
            .to_socket_addrs()
            .map_err(|error| ExchangeError::Resolve { host: url.host.clone(), reason: error.to_string() })?;
        let mut last = ExchangeError::NoConnection;
        for to in addresses {
            tell(Progress::Connecting(to));
            match Self::try_address(url, to, tell) {
                Ok(opened) => return Ok(opened),
                Err(refused @ (ExchangeError::Refused | ExchangeError::Protocol(InviteError::WrongInviter))) => {
                    return Err(refused);
                }
                Err(reason) => {
                    tell(Progress::Failed { to, reason: &reason });
                    last = if matches!(reason, ExchangeError::Io(_)) { ExchangeError::NoConnection } else { reason };
                }
            }
        }
        Err(last)
    }

    fn try_address(
        url: &InviteUrl,
        to: SocketAddr,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(Self, Invitation), ExchangeError> {
        let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
        tell(Progress::Connected(to));
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        let mut rng = files::rng()?;
        let joiner = Joiner::new(url, SecretKey::generate(&mut rng));
        let mut exchange = Self { stream, joiner, rng, events: VecDeque::new() };
        match exchange.next_event() {
            Ok(JoinerEvent::FileReceived { file, name_choice }) => Ok((exchange, Invitation { file, name_choice })),
            Ok(JoinerEvent::NameGranted(_) | JoinerEvent::Accepted) => Err(InviteError::OutOfOrder.into()),
            // Who said its name and then nothing does not like the cookie: tinc's way of refusing.
            Err(ExchangeError::Silent | ExchangeError::Closed) if exchange.joiner.inviter().is_some() => {
                Err(ExchangeError::Refused)
            }
            Err(error) => Err(error),
        }
    }

    /// The inviter's name.
    pub const fn inviter(&self) -> Option<&NodeName> {
        self.joiner.inviter()
    }

    /// Asks for another name; gives the name that this node gets, which may be a third one.
    ///
    /// # Errors
    /// If there is no choice, or the inviter does not answer.
    pub fn want_name(&mut self, name: &NodeName) -> Result<NodeName, ExchangeError> {
        self.joiner.want_name(name)?;
        match self.next_event()? {
            JoinerEvent::NameGranted(name) => Ok(name),
            JoinerEvent::FileReceived { .. } | JoinerEvent::Accepted => Err(InviteError::OutOfOrder.into()),
        }
    }

    /// Sends the key of the new node and waits until the inviter has stored it.
    ///
    /// # Errors
    /// If the inviter does not accept it.
    pub fn send_key(&mut self, key: &PublicKey) -> Result<(), ExchangeError> {
        self.joiner.send_key(key)?;
        match self.next_event()? {
            JoinerEvent::Accepted => Ok(()),
            JoinerEvent::FileReceived { .. } | JoinerEvent::NameGranted(_) => Err(InviteError::OutOfOrder.into()),
        }
    }

    fn next_event(&mut self) -> Result<JoinerEvent, ExchangeError> {
        let end = Instant::now() + LIMIT;
        let mut buffer = [0; 4096];
        loop {
            self.stream.write_all(&self.joiner.take_output())?;
            if let Some(event) = self.events.pop_front() {
                return Ok(event);
            }
            let count = match self.stream.read(&mut buffer) {
                Ok(0) => return Err(ExchangeError::Closed),
                Ok(count) if Instant::now() < end => count,
                Ok(_) => return Err(ExchangeError::Silent),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(ExchangeError::Silent),
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Err(ExchangeError::Closed),
                Err(error) => return Err(error.into()),
            };
            let bytes = buffer.get(..count).unwrap_or_default();
            self.events.extend(self.joiner.feed(bytes, &mut self.rng)?);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::net::TcpListener;
    use std::thread::{self, JoinHandle};

    use tinmesh_core::invite::inviter::{Inviter, InviterEvent};
    use tinmesh_core::invite::key_hash;

    use super::*;

    /// What an inviter does at the cookie.
    #[derive(Clone, Copy, PartialEq)]
    pub(in crate::user) enum Mood {
        Generous,
        HangUp,
    }

    fn name(text: &str) -> NodeName {
        NodeName::parse(text).unwrap()
    }

    /// An inviter for one joiner, which gives the name it is asked for with `_2` behind; its URL, and who joined.
    pub(in crate::user) fn inviter(file: &str, mood: Mood) -> (InviteUrl, JoinHandle<Option<(NodeName, PublicKey)>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut rng = files::rng().unwrap();
        let key = SecretKey::generate(&mut rng);
        let port = listener.local_addr().unwrap().port();
        let host = "127.0.0.1".to_owned();
        let url = InviteUrl { host, port, key_hash: key_hash(&key.public()), cookie: [7; 18] };
        let file = file.to_owned();
        let thread = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut line = Vec::new();
            while line.last() != Some(&b'\n') {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                line.push(byte[0]);
            }
            let line = String::from_utf8(line).unwrap();
            let throwaway = line.strip_prefix("0 ?").and_then(|rest| rest.strip_suffix(" 17.1\n")).unwrap();
            let joiner = PublicKey::from_base64(throwaway).unwrap();
            let mut greeting = format!("0 alice 17.7\n4 {}\n", key.public().to_base64()).into_bytes();
            let (mut inviter, kex) = Inviter::new(key, joiner, &mut rng);
            greeting.extend(kex);
            stream.write_all(&greeting).unwrap();
            let mut joined = None;
            let mut buffer = [0; 1000];
            loop {
                let count = stream.read(&mut buffer).unwrap();
                if count == 0 {
                    return joined;
                }
                let events = inviter.feed(&buffer[..count], &mut rng).unwrap();
                stream.write_all(&inviter.take_output()).unwrap();
                for event in events {
                    let answer = match event {
                        InviterEvent::Cookie { .. } if mood == Mood::HangUp => return None,
                        InviterEvent::Cookie { .. } => inviter.deliver(file.as_bytes()).unwrap(),
                        InviterEvent::NameWanted(wanted) => inviter.grant_name(&name(&format!("{wanted}_2"))).unwrap(),
                        InviterEvent::KeyReceived { name, key } => {
                            joined = Some((name, key));
                            inviter.accept().unwrap()
                        }
                    };
                    stream.write_all(&answer).unwrap();
                }
            }
        });
        (url, thread)
    }

    fn some_key() -> PublicKey {
        SecretKey::generate(&mut files::rng().unwrap()).public()
    }

    #[test]
    fn an_invitation_is_received_and_answered_with_a_key() {
        let (url, thread) = inviter("Name = bob\nConnectTo = alice\n", Mood::Generous);
        let key = some_key();

        let (mut exchange, invitation) = Exchange::open(&url, &mut |_| {}).unwrap();
        assert_eq!(exchange.inviter(), Some(&name("alice")));
        assert_eq!(invitation.file, b"Name = bob\nConnectTo = alice\n");
        assert!(!invitation.name_choice);
        assert!(exchange.want_name(&name("carol")).is_err());
        exchange.send_key(&key).unwrap();

        drop(exchange);
        assert_eq!(thread.join().unwrap(), Some((name("bob"), key)));
    }

    #[test]
    fn a_name_can_be_asked_for_where_the_invitation_leaves_the_choice() {
        let (url, thread) = inviter("Name = guest\nNameChoice = yes\n", Mood::Generous);
        let key = some_key();

        let (mut exchange, invitation) = Exchange::open(&url, &mut |_| {}).unwrap();
        assert!(invitation.name_choice);
        assert_eq!(exchange.want_name(&name("carol")).unwrap(), name("carol_2"));
        exchange.send_key(&key).unwrap();

        drop(exchange);
        assert_eq!(thread.join().unwrap(), Some((name("carol_2"), key)));
    }

    #[test]
    fn a_cookie_that_is_not_honoured_is_said_to_be_refused() {
        let (url, thread) = inviter("Name = bob\n", Mood::HangUp);
        assert!(matches!(Exchange::open(&url, &mut |_| {}), Err(ExchangeError::Refused)));
        thread.join().unwrap();
    }

    #[test]
    fn another_node_than_the_inviter_gets_no_cookie() {
        let (url, thread) = inviter("Name = bob\n", Mood::Generous);
        let url = InviteUrl { key_hash: [1; 18], ..url };

        let outcome = Exchange::open(&url, &mut |_| {});

        assert!(matches!(outcome, Err(ExchangeError::Protocol(InviteError::WrongInviter))));
        assert_eq!(thread.join().unwrap(), None);
    }

    #[test]
    fn without_anybody_there_each_address_is_said_to_fail() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let url = InviteUrl { host: "127.0.0.1".to_owned(), port, key_hash: [0; 18], cookie: [0; 18] };
        let mut failed = 0;

        let outcome =
            Exchange::open(&url, &mut |progress| failed += u32::from(matches!(progress, Progress::Failed { .. })));

        assert!(matches!(outcome, Err(ExchangeError::NoConnection)));
        assert_eq!(failed, 1);
    }
}
