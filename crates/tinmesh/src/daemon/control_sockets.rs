//! Clients of the control socket: lines in, replies out (spec: cli C).

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};

use tinmesh_os::poll::{Event, Interest, Poller};

use crate::control::encode::{self, ControlConnection};
use crate::control::request::ControlRequest;
use crate::control::server::ControlSession;
use crate::daemon::log::Line;
use crate::daemon::token::Token;

/// Clients at the same time; more are turned away.
const MAX_CLIENTS: usize = 64;
/// Bytes that may wait for a client that does not read; then it is dropped.
const MAX_WAITING: usize = 8 << 20;

/// Bytes that may wait for a client that watches packets; further packets pass it by.
const MAX_PACKETS_WAITING: usize = 1 << 20;

struct Client {
    stream: UnixStream,
    session: ControlSession,
    output: Vec<u8>,
    interest: Interest,
    /// Debug level and colour of a client that follows the log.
    log: Option<(i32, bool)>,
    /// Bytes of each packet that a client who watches them wants.
    packets: Option<usize>,
}

/// The control socket and its clients.
pub struct ControlSockets {
    listener: UnixListener,
    cookie: zeroize::Zeroizing<String>,
    clients: BTreeMap<u64, Client>,
    accepted: u64,
}

impl ControlSockets {
    /// Waits for clients that know `cookie`.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(listener: UnixListener, cookie: zeroize::Zeroizing<String>, poller: &Poller) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        poller.add(&listener, Token::ControlListener.into(), Interest::READ)?;
        Ok(Self { listener, cookie, clients: BTreeMap::new(), accepted: 0 })
    }

    /// Takes waiting clients.
    pub fn accept(&mut self, poller: &Poller) {
        while let Ok((stream, _)) = self.listener.accept() {
            let number = self.accepted;
            let ready = self.clients.len() < MAX_CLIENTS
                && stream.set_nonblocking(true).is_ok()
                && poller.add(&stream, Token::ControlClient(number).into(), Interest::READ).is_ok();
            if ready {
                self.accepted += 1;
                let session = ControlSession::new(&self.cookie);
                let client =
                    Client { stream, session, output: Vec::new(), interest: Interest::READ, log: None, packets: None };
                self.clients.insert(number, client);
            }
        }
    }

    /// Serves a client that is ready; gives what it asks for.
    pub fn on_ready(&mut self, number: u64, event: Event, poller: &Poller) -> Vec<ControlRequest> {
        let Some(client) = self.clients.get_mut(&number) else { return Vec::new() };
        let mut requests = Vec::new();
        let mut alive = true;
        if event.readable || event.hangup {
            let mut bytes = [0; 4096];
            match client.stream.read(&mut bytes) {
                Ok(0) => alive = false,
                Ok(count) => requests = client.session.feed(bytes.get(..count).unwrap_or_default()),
                Err(error) => alive = error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        if alive {
            self.flush(number, poller);
        } else {
            self.remove(number, poller);
        }
        requests
    }

    /// Answers a client.
    pub fn reply(&mut self, number: u64, bytes: &[u8], poller: &Poller) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.output.extend_from_slice(bytes);
        }
        self.flush(number, poller);
    }

    fn flush(&mut self, number: u64, poller: &Poller) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let written = client.write();
        let done = client.session.is_closed() && client.output.is_empty();
        if written.is_err() || done || client.output.len() > MAX_WAITING {
            self.remove(number, poller);
            return;
        }
        let interest = if client.output.is_empty() { Interest::READ } else { Interest::BOTH };
        let token = Token::ControlClient(number).into();
        if interest != client.interest && poller.modify(&client.stream, token, interest).is_ok() {
            client.interest = interest;
        }
    }

    fn remove(&mut self, number: u64, poller: &Poller) {
        if let Some(client) = self.clients.remove(&number) {
            // The descriptor is closed right after, which removes it too.
            poller.remove(&client.stream).ok();
        }
    }

    /// Lets a client follow the log.
    pub fn follow_log(&mut self, number: u64, level: i32, colour: bool) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.log = Some((level, colour));
        }
    }

    /// The highest level that any client follows; `None`: nobody does.
    pub fn log_level(&self, own: i32) -> Option<i32> {
        self.clients
            .values()
            .filter_map(|client| client.log)
            .map(|(level, _)| if level < 0 { own } else { level })
            .max()
    }

    /// Sends a log line to those who follow its level.
    pub fn publish(&mut self, line: &Line, own: i32, poller: &Poller) {
        let follows =
            |client: &Client| client.log.is_some_and(|(level, _)| line.level <= if level < 0 { own } else { level });
        let followers: Vec<(u64, bool)> = self
            .clients
            .iter()
            .filter(|(_, client)| follows(client))
            .map(|(&number, client)| (number, client.log.is_some_and(|(_, colour)| colour)))
            .collect();
        for (number, colour) in followers {
            self.reply(number, &encode::log_line(&line.pretty(colour)), poller);
        }
    }

    /// Lets a client watch packets, each cut to `snap_len` bytes; 0: whole.
    pub fn follow_packets(&mut self, number: u64, snap_len: usize) {
        if let Some(client) = self.clients.get_mut(&number) {
            client.packets = Some(if snap_len == 0 { usize::MAX } else { snap_len });
        }
    }

    /// Whether anybody watches packets.
    pub fn captures(&self) -> bool {
        self.clients.values().any(|client| client.packets.is_some())
    }

    /// Sends a packet to those who watch, but those who do not keep up.
    pub fn publish_packet(&mut self, frame: &[u8], poller: &Poller) {
        let keeps_up = |client: &Client| client.output.len() < MAX_PACKETS_WAITING;
        let watching = self.clients.iter().filter(|(_, client)| keeps_up(client));
        let wanted: Vec<(u64, usize)> =
            watching.filter_map(|(&number, client)| Some((number, client.packets?))).collect();
        for (number, snap_len) in wanted {
            let part = frame.get(..snap_len).unwrap_or(frame);
            self.reply(number, &encode::packet(part), poller);
        }
    }

    /// Gives the clients away at the end; until their connections are closed they wait.
    pub fn release(&mut self) -> Vec<UnixStream> {
        let open = |client: &Client| client.session.is_open() && !client.session.is_closed();
        std::mem::take(&mut self.clients).into_values().filter(open).map(|client| client.stream).collect()
    }

    /// The clients that showed the cookie, for the list of connections.
    pub fn list(&self) -> Vec<ControlConnection> {
        let open = self.clients.iter().filter(|(_, client)| client.session.is_open());
        open.map(|(&number, client)| ControlConnection {
            number: u32::try_from(number).unwrap_or(u32::MAX),
            pcap: client.packets.is_some(),
            log: client.log.is_some(),
        })
        .collect()
    }
}

impl Client {
    fn write(&mut self) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == self.output.len() {
                break Ok(());
            }
            match self.stream.write(self.output.get(written..).unwrap_or_default()) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        self.output.drain(..written);
        result
    }
}
