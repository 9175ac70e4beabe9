//! `Actor`: a program that is no node, for what proper nodes never do.

use std::collections::VecDeque;
use std::net::SocketAddr;

use tinmesh_core::crypto::keys::{PublicKey, SecretKey};
use tinmesh_core::crypto::rng::Rng;
use tinmesh_core::crypto::sptps::stream::{Stream, StreamEvent};
use tinmesh_core::crypto::sptps::{Params, Role, meta_label};
use tinmesh_core::invite::joiner::{Joiner, JoinerEvent};
use tinmesh_core::invite::url::InviteUrl;
use tinmesh_core::name::{ConnId, NodeName};
use tinmesh_core::node::io::{Input, Output};
use tinmesh_core::time::Instant;

/// The only connection of an actor.
const CONN: ConnId = ConnId(0);

/// What an actor does once it is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Script {
    /// Writes these bytes.
    Bytes(Vec<u8>),
    /// Becomes a neighbour as it should, then sends these requests.
    Requests(Vec<String>),
    /// Joins by an invitation; then the machine runs a node.
    Join(InviteUrl),
}

/// Whom an actor plays, and to whom.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) name: NodeName,
    pub(crate) key: SecretKey,
    pub(crate) victim: NodeName,
    pub(crate) victim_key: PublicKey,
    pub(crate) to: SocketAddr,
}

#[derive(Debug)]
enum Stage {
    Id,
    Secured(Box<Stream>),
    Joining(Box<Joiner>),
    Joined,
    Over,
}

/// A program that dials one node and follows a script.
#[derive(Debug)]
pub(crate) struct Actor {
    part: Part,
    script: Script,
    stage: Stage,
    rng: Rng,
    input: Vec<u8>,
    outputs: VecDeque<Output>,
}

impl Actor {
    pub(crate) fn new(part: Part, script: Script, seed: [u8; 32]) -> Self {
        let rng = Rng::from_seed(seed);
        Self { part, script, stage: Stage::Id, rng, input: Vec::new(), outputs: VecDeque::new() }
    }

    pub(crate) fn handle(&mut self, _now: Instant, input: Input<'_>) {
        match input {
            Input::Timeout => {
                let (peer, to) = (self.part.victim.clone(), self.part.to);
                self.outputs.push_back(Output::Connect { conn: CONN, peer, to, from: None });
            }
            Input::Connected { .. } => match &self.script {
                Script::Bytes(bytes) => self.send(bytes.clone()),
                Script::Requests(_) => self.send(format!("0 {} 17.7\n", self.part.name).into_bytes()),
                Script::Join(url) => {
                    let mut joiner = Joiner::new(url, SecretKey::generate(&mut self.rng));
                    self.send(joiner.take_output());
                    self.stage = Stage::Joining(Box::new(joiner));
                }
            },
            Input::Received { bytes, .. } => {
                self.input.extend_from_slice(bytes);
                self.read();
            }
            Input::Closed { .. } if !self.has_joined() => self.stage = Stage::Over,
            Input::Closed { .. } => {}
            Input::Accepted { .. }
            | Input::Queued { .. }
            | Input::Punt { .. }
            | Input::TooBig { .. }
            | Input::PathMtu { .. }
            | Input::Activity(_)
            | Input::Command { .. }
            | Input::Resolved { .. }
            | Input::Invitation { .. }
            | Input::Reconfigure(_)
            | Input::NetworkChanged
            | Input::Network(_)
            | Input::Mapped(_)
            | Input::SocketOpened { .. }
            | Input::Statements(_)
            | Input::Clock { .. }
            | Input::Woke(_)
            | Input::Learnt(_)
            | Input::Capture(_)
            | Input::Stuck { .. }
            | Input::Trace(_) => {}
        }
    }

    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    fn send(&mut self, bytes: Vec<u8>) {
        self.outputs.push_back(Output::Send { conn: CONN, bytes });
    }

    fn read(&mut self) {
        match self.script {
            Script::Requests(_) => self.read_requests(),
            Script::Join(_) => self.join(),
            Script::Bytes(_) => self.input.clear(),
        }
    }

    /// Whether the machine is a member now.
    pub(crate) const fn has_joined(&self) -> bool {
        matches!(self.stage, Stage::Joined)
    }

    fn join(&mut self) {
        let Stage::Joining(joiner) = &mut self.stage else { return };
        let Ok(events) = joiner.feed(&std::mem::take(&mut self.input), &mut self.rng) else {
            self.stage = Stage::Over;
            return;
        };
        let mut accepted = false;
        for event in events {
            match event {
                JoinerEvent::FileReceived { .. } => {
                    joiner.send_key(&self.part.key.public()).expect("the inviter waits for a key");
                }
                JoinerEvent::NameGranted(_) => {}
                JoinerEvent::Accepted => accepted = true,
            }
        }
        let output = joiner.take_output();
        if accepted {
            self.stage = Stage::Joined;
        }
        if !output.is_empty() {
            self.send(output);
        }
    }

    fn read_requests(&mut self) {
        if matches!(self.stage, Stage::Id) {
            let Some(end) = self.input.iter().position(|&byte| byte == b'\n') else { return };
            self.input.drain(..=end);
            self.secure();
        }
        while let Some(event) = self.next_event() {
            match event {
                StreamEvent::Handshake => {}
                StreamEvent::Done => self.request("4 655 10 7000104"),
                StreamEvent::Record { data, .. } if data.starts_with(b"4 ") => self.follow_script(),
                StreamEvent::Record { .. } => {}
            }
        }
    }

    fn secure(&mut self) {
        let part = &self.part;
        let label = meta_label(&part.name, &part.victim);
        let params = Params { role: Role::Initiator, key: part.key.clone(), peer: part.victim_key, label };
        let (stream, output) = Stream::new(params, &mut self.rng);
        self.stage = Stage::Secured(Box::new(stream));
        self.send(output);
    }

    fn next_event(&mut self) -> Option<StreamEvent> {
        loop {
            let Stage::Secured(stream) = &mut self.stage else { return None };
            let (taken, event) = stream.feed(&self.input, &mut self.rng).ok()?;
            let output = stream.take_output();
            self.input.drain(..taken);
            if !output.is_empty() {
                self.send(output);
            }
            if event.is_some() || taken == 0 {
                return event;
            }
        }
    }

    fn request(&mut self, line: &str) {
        let Stage::Secured(stream) = &mut self.stage else { return };
        if let Ok(bytes) = stream.seal(0, format!("{line}\n").as_bytes()) {
            self.send(bytes);
        }
    }

    fn follow_script(&mut self) {
        if let Script::Requests(lines) = self.script.clone() {
            lines.iter().for_each(|line| self.request(line));
        }
    }
}
