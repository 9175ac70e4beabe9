//! An inviter that says what the test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread::{self, JoinHandle};

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::invite::inviter::{Inviter, InviterEvent};
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::invite::{COOKIE, file_name, key_hash};

/// How far an inviter goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// It greets with another key than that of the URL.
    WrongKey,
    /// It closes the connection when it has seen the cookie.
    Cookie,
    /// It closes the connection when it has the joiner's key.
    Key,
    /// It accepts.
    Accepted,
}

/// A listening inviter, for one joiner.
pub(crate) struct Serving {
    pub(crate) url: String,
    thread: JoinHandle<Option<PublicKey>>,
}

impl Serving {
    /// Waits for the end; gives the key that the joiner sent.
    pub(crate) fn joiners_key(self) -> Option<PublicKey> {
        self.thread.join().unwrap()
    }
}

/// Serves an invitation file to the next one who comes.
pub(crate) fn serve(file: &str, until: Until) -> Serving {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let key = SecretKey::from_seed(&[7; 32]);
    let port = listener.local_addr().unwrap().port();
    let cookie = [9; COOKIE];
    let url = InviteUrl { host: "127.0.0.1".to_owned(), port, key_hash: key_hash(&key.public()), cookie };
    let file = file.to_owned();
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        talk(stream, &file, until, &cookie)
    });
    Serving { url: url.to_string(), thread }
}

fn talk(mut stream: TcpStream, file: &str, until: Until, cookie: &[u8; COOKIE]) -> Option<PublicKey> {
    let mut rng = Rng::from_seed([3; 32]);
    let key = SecretKey::from_seed(&[if until == Until::WrongKey { 8 } else { 7 }; 32]);
    let mut id = Vec::new();
    while !id.ends_with(b"\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        id.extend(byte);
    }
    // Section 3: `0 ?KEY 17.1`.
    let id = String::from_utf8(id).unwrap();
    let throwaway = id.strip_prefix("0 ?").and_then(|rest| rest.strip_suffix(" 17.1\n")).unwrap();
    let throwaway = PublicKey::from_base64(throwaway).unwrap();
    let (mut inviter, kex) = Inviter::new(key.clone(), throwaway, &mut rng);
    stream.write_all(format!("0 alpha 17.7\n4 {}\n", key.public().to_base64()).as_bytes()).unwrap();
    stream.write_all(&kex).unwrap();
    let mut joiner = None;
    let mut bytes = [0; 4096];
    loop {
        let count = stream.read(&mut bytes).unwrap_or(0);
        if count == 0 {
            return joiner;
        }
        for event in inviter.feed(&bytes[..count], &mut rng).unwrap() {
            let answer = match event {
                InviterEvent::Cookie { file_name: asked } => {
                    assert_eq!(asked, file_name(cookie, &key.public()));
                    if until == Until::Cookie {
                        return None;
                    }
                    inviter.deliver(file.as_bytes()).unwrap()
                }
                InviterEvent::NameWanted(name) => panic!("tinc join wanted the name {name}"),
                InviterEvent::KeyReceived { key, .. } => {
                    joiner = Some(key);
                    if until == Until::Key {
                        return joiner;
                    }
                    inviter.accept().unwrap()
                }
            };
            stream.write_all(&answer).unwrap();
        }
        stream.write_all(&inviter.take_output()).unwrap();
    }
}
