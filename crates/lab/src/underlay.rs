//! `Underlay`: devices in namespaces, and the thread that carries packets between them.

use std::collections::{BTreeMap, BinaryHeap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tinmesh_core::time::Instant;
use tinmesh_os::clock;
use tinmesh_os::device::{Device, DeviceOptions, Kind};
use tinmesh_os::poll::{Event, Interest, Poller};
use tinmesh_sim::{Dice, Fate, HostId, Internet, NatId, Parcel, Protocol};

use crate::ip::{self, Summary};
use crate::netns;

const DEVICE: &str = "eth0";
/// What a router answers as.
const ROUTER: Ipv4Addr = Ipv4Addr::new(198, 18, 255, 1);
const SPACE: usize = 65_536;
/// Packets read from one device before the others get their turn.
const TURN: usize = 64;
/// Packets on their way at once; more are lost.
const ON_THE_WAY: usize = 20_000;
/// Packets of each protocol remembered of each pair of hosts.
const REMEMBERED: usize = 8_192;
/// First fragments remembered.
const FRAGMENTS: usize = 256;
/// How long the thread waits at most, so that it sees that it should end.
const PATIENCE: Duration = Duration::from_millis(50);

/// A packet that will be at its next place at a time.
#[derive(Debug)]
struct Travelling {
    at: Instant,
    number: u64,
    parcel: Parcel,
    /// As the sender sent it.
    packet: Vec<u8>,
    /// The host at whose device it comes out; `None`: it has only reached the receiver's network.
    receiver: Option<HostId>,
}

impl PartialEq for Travelling {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Travelling {}

impl PartialOrd for Travelling {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Travelling {
    /// The earliest is the greatest, as a binary heap wants it.
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A host's device.
#[derive(Debug)]
struct Port {
    namespace: String,
    device: Device,
}

#[derive(Debug)]
struct State {
    net: Internet,
    dice: Dice,
    /// By host.
    ports: Vec<Port>,
    on_the_way: BinaryHeap<Travelling>,
    sent: u64,
    /// Ports of first fragments, by sender and number.
    fragments: BTreeMap<(HostId, u16), (u16, u16)>,
    /// When packets of so many bytes went from one host straight to another.
    straight: BTreeMap<(Protocol, HostId, HostId), Vec<(Instant, usize)>>,
    /// Fragments of packets that hosts have sent.
    cut: u64,
}

/// What will be an [`Underlay`].
#[derive(Debug)]
pub struct UnderlayPlan {
    state: State,
}

impl UnderlayPlan {
    /// Nobody is there yet; chance is decided by the seed.
    pub fn new(seed: u64) -> Self {
        Self {
            state: State {
                net: Internet::new(),
                dice: Dice::new(seed),
                ports: Vec::new(),
                on_the_way: BinaryHeap::new(),
                sent: 0,
                fragments: BTreeMap::new(),
                straight: BTreeMap::new(),
                cut: 0,
            },
        }
    }

    /// Plugs a namespace in: it gets a device with an address, public or behind a NAT, and a route to all.
    ///
    /// # Errors
    /// What the system says: it needs root and `ip`.
    pub fn plug(&mut self, namespace: &str, nat: Option<NatId>) -> io::Result<HostId> {
        let options = DeviceOptions {
            path: None,
            name: Some(DEVICE.to_owned()),
            kind: Kind::Tun,
            offloads: false,
            queues: false,
        };
        let device = netns::within(namespace, || Device::open(&options))?;
        let host = self.state.net.attach();
        self.state.net.settle_in(host, nat);
        self.state.ports.push(Port { namespace: namespace.to_owned(), device });
        self.state.configure(host)?;
        Ok(host)
    }

    /// The network between the hosts.
    pub const fn net(&mut self) -> &mut Internet {
        &mut self.state.net
    }

    /// Starts to carry packets.
    ///
    /// # Errors
    /// If the system has no descriptors or threads left.
    pub fn start(self) -> io::Result<Underlay> {
        let poller = Poller::new()?;
        for (token, port) in (0..).zip(&self.state.ports) {
            poller.add(&port.device, token, Interest::READ)?;
        }
        let state = Arc::new(Mutex::new(self.state));
        let over = Arc::new(AtomicBool::new(false));
        let (theirs, end) = (Arc::clone(&state), Arc::clone(&over));
        let thread = std::thread::Builder::new().name("underlay".into()).spawn(move || carry(&theirs, poller, &end))?;
        Ok(Underlay { state, over, thread: Some(thread) })
    }
}

/// The Internet between namespaces, while its value lives.
#[derive(Debug)]
pub struct Underlay {
    state: Arc<Mutex<State>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Underlay {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the network, or changes it, between two packets.
    pub fn with<T>(&self, act: impl FnOnce(&mut Internet) -> T) -> T {
        act(&mut self.lock().net)
    }

    /// Moves a host to the public realm or behind a NAT, with a new address.
    ///
    /// # Errors
    /// What `ip` says.
    pub fn move_to(&self, host: HostId, nat: Option<NatId>) -> io::Result<()> {
        let mut state = self.lock();
        state.net.settle_in(host, nat);
        state.configure(host)
    }

    /// How many datagrams of at least `len` bytes of IP packet have gone from one host straight to another since `since`.
    pub fn straight(&self, from: HostId, to: HostId, len: usize, since: Instant) -> usize {
        self.straight_by(Protocol::Udp, [from, to], len, since)
    }

    /// The same for packets of either protocol, so that those of a connection between the two can be counted.
    pub fn straight_by(&self, protocol: Protocol, [from, to]: [HostId; 2], len: usize, since: Instant) -> usize {
        let state = self.lock();
        let all = state.straight.get(&(protocol, from, to)).into_iter().flatten();
        all.filter(|(at, size)| *at >= since && *size >= len).count()
    }

    /// How many fragments of IP packets all hosts together have sent.
    pub fn fragments(&self) -> u64 {
        self.lock().cut
    }

    /// The time, as [`Underlay::straight`] counts it.
    pub fn now() -> Instant {
        Instant::from_micros(clock::now_micros())
    }
}

impl Drop for Underlay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn carry(state: &Mutex<State>, mut poller: Poller, over: &AtomicBool) {
    let mut events: Vec<Event> = Vec::new();
    let mut space = vec![0; SPACE];
    let mut next = PATIENCE;
    while !over.load(Ordering::Relaxed) {
        events.clear();
        if poller.wait(Some(next), &mut events).is_err() {
            return;
        }
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        for event in &events {
            let host = usize::try_from(event.token).unwrap_or(usize::MAX);
            state.read(host, &mut space);
        }
        next = state.forward();
    }
}

impl State {
    /// Gives a host's device its address and route.
    fn configure(&self, host: HostId) -> io::Result<()> {
        let Some(port) = self.ports.get(host.index()) else { return Ok(()) };
        let Some(address) = self.net.address(host) else { return Ok(()) };
        let name = &port.namespace;
        netns::ip(name, &["addr", "flush", "dev", DEVICE])?;
        netns::ip(name, &["addr", "add", &format!("{address}/32"), "dev", DEVICE])?;
        netns::ip(name, &["link", "set", DEVICE, "up"])?;
        netns::ip(name, &["route", "replace", "default", "dev", DEVICE])
    }

    fn read(&mut self, index: usize, space: &mut [u8]) {
        let Some(host) = u32::try_from(index).ok().map(HostId::of_index) else { return };
        for _ in 0..TURN {
            let Some(Ok(len)) = self.ports.get(index).map(|port| port.device.recv(space)) else { return };
            self.depart(host, &space[..len]);
        }
    }

    fn depart(&mut self, host: HostId, packet: &[u8]) {
        let Some(mut summary) = ip::read(packet) else { return };
        self.cut += u64::from(summary.fragment);
        if !self.complete(host, &mut summary) {
            return;
        }
        let ends = (SocketAddr::V4(summary.from), SocketAddr::V4(summary.to));
        let mut parcel = self.net.parcel(host, summary.protocol, ends, summary.len);
        parcel.fragment = summary.fragment;
        let fate = self.net.depart(Underlay::now(), &mut parcel, &mut self.dice);
        self.go_on(fate, parcel, packet, None);
    }

    /// Gives a later fragment the ports of the first; false: that has not come.
    fn complete(&mut self, host: HostId, summary: &mut Summary) -> bool {
        let key = (host, summary.identification);
        if summary.later {
            let Some(&(from, to)) = self.fragments.get(&key) else { return false };
            summary.from.set_port(from);
            summary.to.set_port(to);
        } else if summary.fragment {
            if self.fragments.len() >= FRAGMENTS {
                self.fragments.clear();
            }
            self.fragments.insert(key, (summary.from.port(), summary.to.port()));
        }
        true
    }

    fn go_on(&mut self, fate: Fate, parcel: Parcel, packet: &[u8], receiver: Option<HostId>) {
        match fate {
            Fate::TooBig | Fate::Lost => {}
            Fate::Bounced { mtu } => {
                if let Some(answer) = ip::too_long(packet, ROUTER, mtu) {
                    self.write(parcel.origin, &answer);
                }
            }
            Fate::Travels { after, twice } => {
                for _ in 0..=u8::from(twice) {
                    self.travel(after, parcel, packet, receiver);
                }
            }
        }
    }

    fn travel(&mut self, after: Duration, parcel: Parcel, packet: &[u8], receiver: Option<HostId>) {
        if self.on_the_way.len() < ON_THE_WAY {
            self.sent += 1;
            let (at, number) = (Underlay::now() + after, self.sent);
            self.on_the_way.push(Travelling { at, number, parcel, packet: packet.to_vec(), receiver });
        }
    }

    /// Brings everything that is due to its next place; how long until something else is.
    fn forward(&mut self) -> Duration {
        loop {
            let now = Underlay::now();
            match self.on_the_way.peek() {
                None => return PATIENCE,
                Some(first) if first.at > now => return first.at.since(now).min(PATIENCE),
                Some(_) => {}
            }
            if let Some(due) = self.on_the_way.pop() {
                self.arrive(now, due);
            }
        }
    }

    fn arrive(&mut self, now: Instant, due: Travelling) {
        let Travelling { mut parcel, packet, receiver, .. } = due;
        match receiver {
            Some(host) => self.deliver(now, host, &parcel, packet),
            None => {
                if let Some((host, fate)) = self.net.enter(now, &mut parcel, &mut self.dice) {
                    self.go_on(fate, parcel, &packet, Some(host));
                }
            }
        }
    }

    fn deliver(&mut self, now: Instant, host: HostId, parcel: &Parcel, mut packet: Vec<u8>) {
        let (Some(summary), Some(from), Some(to)) = (ip::read(&packet), v4(parcel.from), v4(parcel.to)) else { return };
        ip::rewrite(&mut packet, &summary, from, to);
        let list = self.straight.entry((parcel.protocol, parcel.origin, host)).or_default();
        if list.len() >= REMEMBERED {
            list.drain(..REMEMBERED / 2);
        }
        list.push((now, parcel.len));
        self.write(host, &packet);
    }

    fn write(&self, host: HostId, packet: &[u8]) {
        if let Some(port) = self.ports.get(host.index()) {
            // A device that is down loses packets, as a wire without a plug does.
            let _ = port.device.send(packet);
        }
    }
}

const fn v4(address: SocketAddr) -> Option<SocketAddrV4> {
    match address {
        SocketAddr::V4(address) => Some(address),
        SocketAddr::V6(_) => None,
    }
}
