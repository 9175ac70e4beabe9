//! `Tunnel`: what is kept to send packets to a peer: keys, UDP path, MTU.
//!
//! Exists once there is traffic (or for neighbours), and goes when the peer becomes unreachable.
//! Source: spec datagrams 4, 11 to 13.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use crate::crypto::sptps::datagram::Datagram;
use crate::dataplane::fib::UdpTarget;
use crate::dataplane::session::Session;
use crate::legacy;
use crate::name::PeerId;
use crate::packet::Packet;
use crate::peer::agreement::Agreement;
use crate::peer::asked::{Asked, Mark};
use crate::peer::health::Health;
use crate::peer::lifetime::Lifetime;
use crate::peer::pieces::Pieces;
use crate::peer::pmtu::Pmtu;
use crate::peer::relay::RelayChoice;
use crate::peer::watch::Watch;
use crate::punch::budget::Budget;
use crate::punch::retries::{Calls, Retries};
use crate::time::Instant;

/// A session start that was not answered is repeated after so long (spec: datagrams 4.3).
const KEY_TIMEOUT: Duration = Duration::from_secs(10);
/// A second request for a public key waits so long.
const KEY_QUESTION_INTERVAL: Duration = Duration::from_secs(1);
/// Packets kept while the first handshake runs.
const WAITING_PACKETS: usize = 16;
/// Traffic counts as recent for so long.
const RECENT: Duration = Duration::from_secs(2);
/// Probes sent in quick succession before the slow rhythm begins.
const EAGER_PROBES: u32 = 6;
/// Questions where a connection comes from that are looked at at once: an attempt to open one from both ends asks one, and a
/// node makes four at a time.
const QUESTIONS: u32 = 16;
/// A round-trip time that was asked for is measured for so long.
const WANTED: Duration = Duration::from_secs(5);
/// Distance of these probes.
const EAGER_INTERVAL: Duration = Duration::from_millis(300);
/// Distance of those that go out although guesses failed, until guesses begin again.
const HOPELESS_INTERVAL: Duration = Duration::from_secs(5);

/// The state of the session with a peer.
#[derive(Debug, Default)]
pub enum Keying {
    /// None, and none under way.
    #[default]
    Absent,
    /// The first handshake is under way; we started it if `initiator`.
    Waiting {
        /// The handshake.
        handshake: Box<Datagram>,
        /// Whether we started it.
        initiator: bool,
    },
    /// Keys are there.
    Ready(Box<Datagram>),
}

/// Keys of tinc 1.0.
#[derive(Debug, Default)]
pub struct LegacyKeys {
    /// Both directions.
    pub session: Arc<legacy::session::Session>,
    /// When the peer was last asked for its key.
    pub asked: Option<Instant>,
    /// When it was last given ours.
    pub given: Option<Instant>,
    /// Whether its key was refused, and that told.
    pub refused: bool,
}

/// A plain packet that waits for keys.
#[derive(Debug)]
pub struct Waiting {
    /// Who sent it into the mesh.
    pub source: PeerId,
    /// The packet.
    pub packet: Packet,
}

/// What is kept to send packets to one peer.
#[derive(Debug)]
pub struct Tunnel {
    /// Keys.
    pub keying: Keying,
    /// Keys of tinc 1.0, if the peer is spoken to in that protocol.
    pub legacy: Option<Box<LegacyKeys>>,
    /// When a session was last started by either side.
    pub last_start: Option<Instant>,
    /// Since when the keys are being renewed.
    pub rekeying: Option<Instant>,
    /// When the peer's public key was last asked for.
    pub last_question: Option<Instant>,
    /// Whether UDP works both ways with the peer's address.
    pub confirmed: bool,
    /// Path MTU search.
    pub pmtu: Pmtu,
    /// UDP probing.
    pub probing: Probing,
    /// Whether datagrams arrive while packets flow.
    pub watch: Watch,
    /// What part of them does, as the peer tells.
    pub health: Health,
    /// How attempts to get through NATs went.
    pub retries: Retries,
    /// How attempts to open a connection from both ends went.
    pub meetings: Retries,
    /// Those that the peer began.
    pub calls: Calls,
    /// Its questions where its connections come from, that are looked at.
    pub questions: Budget<QUESTIONS>,
    /// Which relay packets take that cannot go straight.
    pub relay: RelayChoice,
    /// Packets that go or come in two records.
    pub pieces: Pieces,
    /// How long the path may be silent.
    pub lifetime: Lifetime,
    /// Where others saw the peer when attempts to reach it were last thought of.
    pub place: Option<IpAddr>,
    /// What the peer wants to hear once more, later.
    pub late: Late,
    /// What time the peer said it is, and when.
    pub clock: Option<(fides::Time, Instant)>,
    /// Compression level that the peer wants.
    pub compression: u8,
    /// When there was traffic last.
    pub used: Option<Instant>,
    /// When UDP_INFO and MTU_INFO were last sent towards it.
    pub info_sent: (Option<Instant>, Option<Instant>),
    /// Packets that wait for the first handshake.
    pub waiting: VecDeque<Waiting>,
    /// What goes beyond tinc.
    pub agreement: Agreement,
    /// Sealed datagrams that overtook the end of the first handshake.
    pub early: VecDeque<Vec<u8>>,
}

/// When probes went out and what came back.
#[derive(Debug, Default)]
pub struct Probing {
    /// When the last request was sent.
    pub sent: Option<Instant>,
    /// When a request was last sent to another address than the confirmed one.
    pub elsewhere: Option<Instant>,
    /// Requests that were not answered yet.
    pub asked: Asked,
    /// Where the peer's datagrams come from, if not from where ours go.
    pub source: Option<SocketAddr>,
    /// Another address that answered lately, while the confirmed one counted.
    pub alternative: Option<(UdpTarget, Instant)>,
    /// Requests since the path was last confirmed.
    pub unanswered: u32,
    /// When the request was sent whose answer gives the round-trip time.
    pub timing: Option<Instant>,
    /// When a gratuitous reply was sent.
    pub reply_sent: Option<Instant>,
    /// When a reply came.
    pub heard: Option<Instant>,
    /// When the peer's own request was last answered, so that UDP works both ways as it sees it.
    pub answered: Option<Instant>,
    /// When somebody last wanted to know the round-trip time.
    pub wanted: Option<Instant>,
    /// Round-trip time.
    pub rtt: Option<Duration>,
    /// Longest frame received lately, in bytes.
    pub max_recent_len: u16,
    /// What the system says of the path, in bytes of IP packet.
    pub path_mtu: Option<u16>,
    /// How often it said less than before.
    pub narrowed: u32,
}

/// Answers of reflection that the peer ordered.
#[derive(Debug, Default)]
pub struct Late {
    /// The one that is due later.
    pub order: Option<(Mark, UdpTarget)>,
    /// When a port of its address was last written to because it wanted that.
    pub opened: Option<Instant>,
}

/// How often requests go out.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// While they are not answered.
    pub slow: Duration,
    /// On a path that works.
    pub keepalive: Duration,
    /// On one of which nothing is known.
    pub base: Duration,
}

impl Default for Tunnel {
    fn default() -> Self {
        Self::new()
    }
}

impl Tunnel {
    /// A tunnel without keys.
    pub fn new() -> Self {
        Self {
            keying: Keying::Absent,
            legacy: None,
            last_start: None,
            rekeying: None,
            last_question: None,
            confirmed: false,
            pmtu: Pmtu::new(),
            probing: Probing::default(),
            watch: Watch::default(),
            health: Health::default(),
            retries: Retries::default(),
            meetings: Retries::default(),
            calls: Calls::default(),
            questions: Budget::default(),
            relay: RelayChoice::default(),
            pieces: Pieces::default(),
            lifetime: Lifetime::default(),
            place: None,
            late: Late::default(),
            clock: None,
            compression: 0,
            used: None,
            info_sent: (None, None),
            waiting: VecDeque::new(),
            early: VecDeque::new(),
            agreement: Agreement::default(),
        }
    }

    /// The keys in use.
    pub fn session(&self) -> Option<Arc<Session>> {
        match &self.keying {
            Keying::Ready(handshake) => handshake.session(),
            Keying::Absent | Keying::Waiting { .. } => None,
        }
    }

    /// Whether there are keys to send with.
    pub fn has_keys(&self) -> bool {
        self.session().is_some() || self.legacy.as_ref().is_some_and(|keys| keys.session.sending().is_some())
    }

    /// Whether a session must be started: there is none, or its start was not answered.
    pub fn wants_start(&self, now: Instant) -> bool {
        match self.keying {
            Keying::Ready(_) => false,
            Keying::Absent => true,
            Keying::Waiting { .. } => self.start_is_old(now),
        }
    }

    /// Whether the last session start was so long ago that a failure may start another.
    pub fn start_is_old(&self, now: Instant) -> bool {
        self.last_start.is_none_or(|start| now.since(start) > KEY_TIMEOUT)
    }

    /// Notes that the keys are being renewed; tells whether they have been for too long, because a message was lost.
    pub fn rekey_is_stuck(&mut self, now: Instant) -> bool {
        now.since(*self.rekeying.get_or_insert(now)) > KEY_TIMEOUT
    }

    /// Whether the peer's public key may be asked for (again); notes that it is.
    pub fn may_ask_key(&mut self, now: Instant) -> bool {
        let due = self.last_question.is_none_or(|asked| now.since(asked) >= KEY_QUESTION_INTERVAL);
        if due {
            self.last_question = Some(now);
        }
        due
    }

    /// Keeps a sealed datagram while the first handshake runs, as its last message travels by TCP and is often overtaken.
    pub fn keep_early(&mut self, datagram: &[u8]) {
        if !matches!(self.keying, Keying::Waiting { .. }) {
            return;
        }
        if self.early.len() >= WAITING_PACKETS {
            self.early.pop_front();
        }
        self.early.push_back(datagram.to_vec());
    }

    /// Keeps a packet until there are keys; the oldest goes when there are too many.
    pub fn keep(&mut self, waiting: Waiting) {
        if self.waiting.len() >= WAITING_PACKETS {
            self.waiting.pop_front();
        }
        self.waiting.push_back(waiting);
    }

    /// Whether there was traffic a short time ago.
    pub fn is_used(&self, now: Instant) -> bool {
        self.used.is_some_and(|used| now.since(used) < RECENT)
    }

    /// Forgets everything known of the UDP path.
    pub fn reset_path(&mut self) {
        self.confirmed = false;
        self.pmtu.reset();
        self.watch = Watch::default();
        self.health.reset();
        self.lifetime.forget();
        self.probing.alternative = None;
        self.probing.source = None;
        self.probing.max_recent_len = 0;
        self.probing.answered = None;
        self.probing.unanswered = 0;
        self.probing.path_mtu = None;
        self.probing.narrowed = 0;
    }

    /// Whether the path is unknown and the first probes go out in quick succession.
    pub const fn is_eager(&self) -> bool {
        !self.confirmed && self.probing.unanswered < EAGER_PROBES
    }

    /// How long to wait between probes. What goes unanswered after a long silence is repeated soon.
    pub fn probe_interval(&self, now: Instant, pace: Pace) -> Duration {
        let Pace { slow, keepalive, base } = pace;
        let wanted = self.probing.wanted.is_some_and(|at| now.since(at) < WANTED);
        let missed = self.probing.unanswered > 0 && keepalive > base;
        if self.confirmed && (wanted || missed) {
            slow.min(keepalive)
        } else if self.confirmed {
            keepalive
        } else if self.is_eager() {
            EAGER_INTERVAL
        } else if self.retries.pauses(now) {
            slow.max(HOPELESS_INTERVAL)
        } else {
            slow
        }
    }

    /// What failed says nothing of what comes.
    pub fn forget_attempts(&mut self) {
        self.retries = Retries::default();
        self.meetings = Retries::default();
    }

    /// An attempt to guess ports ended.
    pub fn note_attempt(&mut self, direct: bool, narrow: bool, now: Instant) {
        self.retries.note(direct, narrow, now);
        if !direct {
            self.probing.unanswered = self.probing.unanswered.max(EAGER_PROBES);
        }
    }
}
