//! `Host`: a simulated machine, as a test speaks of it.

use std::fmt;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use tinmesh_core::crypto::keys::SecretKey;
use tinmesh_core::dataplane::fib::{Frames, Mode};
use tinmesh_core::node::config::Config;
use tinmesh_core::node::io::{Command, Input, NodeInfo, PathInfo, Reply};
use tinmesh_core::subnet::Subnet;
use tinmesh_core::time::Instant;

use crate::internet::{HostId, Link, NatId, PUBLIC};
use crate::isp::{Isp, Probes, UdpRule};
use crate::machine::{Whereabouts, Work, host_file};
use crate::nat::{Mappings, Nat};
use crate::world::World;

/// Headers around a datagram, in bytes.
const V4_AND_UDP: usize = 28;

/// One machine of a world. Settings made before time runs count from the first start, later ones from the next.
#[derive(Clone, Copy)]
pub struct Host<'w> {
    world: &'w World,
    pub(crate) id: HostId,
}

impl PartialEq for Host<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Host<'_> {}

impl fmt::Debug for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

impl<'w> Host<'w> {
    pub(crate) const fn new(world: &'w World, id: HostId) -> Self {
        Self { world, id }
    }

    pub(crate) const fn world(self) -> &'w World {
        self.world
    }

    /// Its node's name.
    pub fn name(self) -> String {
        self.world.machine(self.id, |machine| machine.config.name.to_string())
    }

    /// Puts it behind a NAT of its own.
    #[must_use]
    pub fn behind(self, nat: Nat) -> Self {
        let nat = self.world.nat(nat);
        self.behind_shared(nat)
    }

    /// Puts it behind a NAT that others may share.
    #[must_use]
    pub fn behind_shared(self, nat: NatId) -> Self {
        self.world.with_engine(|engine| {
            let realm = engine.net.inner_realm(nat);
            engine.net.move_to(self.id, realm);
        });
        self
    }

    /// Takes its IPv4 address away and gives it a public IPv6 address.
    #[must_use]
    pub fn ipv6_only(self) -> Self {
        self.world.with_engine(|engine| engine.net.drop_v4(self.id));
        self.dual_stack()
    }

    /// Gives it a public IPv6 address beside what it has.
    #[must_use]
    pub fn dual_stack(self) -> Self {
        self.world.with_engine(|engine| engine.net.add_v6(self.id));
        self
    }

    /// Connects to another node, whose host file has its key and addresses; that one knows this node's key.
    #[must_use]
    pub fn knows(self, other: Host<'_>) -> Self {
        self.dials(other, Whereabouts::Numeric)
    }

    /// The same, but the host file has a name to look up instead of addresses.
    #[must_use]
    pub fn knows_by_name(self, other: Host<'_>) -> Self {
        self.dials(other, Whereabouts::Named)
    }

    fn dials(self, other: Host<'_>, whereabouts: Whereabouts) -> Self {
        self.world.with_engine(|engine| {
            let name = engine.machine(other.id).config.name.clone();
            let machine = engine.machine_mut(self.id);
            machine.whereabouts.insert(other.id, whereabouts);
            machine.config.connect_to.push(name);
        });
        self.trusts(other)
    }

    /// Each of the two gets the other's key, and no addresses.
    #[must_use]
    pub fn trusts(self, other: Host<'_>) -> Self {
        self.world.with_engine(|engine| {
            for (a, b) in [(self.id, other.id), (other.id, self.id)] {
                let file = host_file(&engine.machine(b).key);
                let name = engine.machine(b).config.name.clone();
                let hosts = &mut engine.machine_mut(a).config.hosts;
                hosts.entry(name).or_insert(file);
            }
            let machine = engine.machine_mut(self.id);
            machine.whereabouts.entry(other.id).or_insert(Whereabouts::Unknown);
        });
        self
    }

    /// Owns an address range beside its own two addresses.
    ///
    /// # Panics
    /// If `text` is not a subnet.
    #[must_use]
    pub fn subnet(self, text: &str) -> Self {
        let subnet = Subnet::parse(text).expect("tests write proper subnets");
        self.configure(|config| config.subnets.push(subnet))
    }

    /// Changes its configuration.
    #[must_use]
    pub fn configure(self, change: impl FnOnce(&mut Config)) -> Self {
        self.world.with_engine(|engine| change(&mut engine.machine_mut(self.id).config));
        self
    }

    /// Its clock is so many seconds ahead, from its next start on.
    #[must_use]
    pub fn clock_ahead(self, seconds: i64) -> Self {
        self.world.with_engine(|engine| engine.machine_mut(self.id).clock_ahead = seconds);
        self
    }

    /// Is a switch: its device is a wire with stations, which it gets to know.
    #[must_use]
    pub fn switches(self) -> Self {
        self.carries_frames(Mode::Switch)
    }

    /// Is a hub: what comes from its wire goes to all others.
    #[must_use]
    pub fn is_hub(self) -> Self {
        self.carries_frames(Mode::Hub)
    }

    fn carries_frames(self, mode: Mode) -> Self {
        self.configure(|config| {
            config.policy.mode = mode;
            config.policy.frames = Frames::Ethernet { rewrite: None };
        })
    }

    /// Has a key for invitations.
    #[must_use]
    pub fn invites(self) -> Self {
        self.world.with_engine(|engine| {
            let seed = engine.cookie();
            engine.machine_mut(self.id).config.invitation_key = Some(SecretKey::from_seed(&seed));
        });
        self
    }

    /// Makes connections by itself.
    #[must_use]
    pub fn auto_connects(self) -> Self {
        self.configure(|config| config.mesh.auto_connect = true)
    }

    /// Changes its link.
    #[must_use]
    pub fn link(self, change: impl FnOnce(&mut Link)) -> Self {
        self.world.with_engine(|engine| change(&mut engine.net.host_mut(self.id).link));
        self
    }

    /// Listens on this port, below 1,024, instead of 655.
    #[must_use]
    pub fn listens_at(self, port: u16) -> Self {
        self.configure(|config| config.port = port)
    }

    /// Does not start before it is told to.
    #[must_use]
    pub fn waits(self) -> Self {
        self.world.with_engine(|engine| engine.machine_mut(self.id).wanted = false);
        self
    }

    /// Starts its program, after a while.
    pub fn start_after(self, delay: Duration) {
        self.world.with_engine(|engine| engine.start(self.id, delay));
    }

    /// Ends its program at once; the system closes the connections.
    pub fn kill(self) {
        self.world.with_engine(|engine| engine.kill(self.id));
    }

    /// Ends its program in order.
    pub fn stop(self) {
        self.world.with_engine(|engine| {
            engine.command(self.id, Command::Shutdown);
            engine.kill(self.id);
        });
    }

    /// Takes the power away: nobody is told.
    pub fn power_off(self) {
        self.world.with_engine(|engine| engine.power_off(self.id));
    }

    /// Ends its program, if it runs, and starts it anew with what is on its disk.
    pub fn restart(self) {
        self.kill();
        self.start_after(Duration::ZERO);
    }

    /// Suspends the machine.
    pub fn suspend(self) {
        self.world.with_engine(|engine| engine.suspend(self.id));
    }

    /// Ends the suspension.
    pub fn resume(self) {
        self.world.with_engine(|engine| engine.resume(self.id));
    }

    /// Gives it another public IPv4 address while it runs.
    pub fn move_to_new_address(self) {
        self.world.with_engine(|engine| engine.relocate(self.id, PUBLIC));
    }

    /// Moves it behind a NAT while it runs.
    pub fn move_behind(self, nat: NatId) {
        self.world.with_engine(|engine| {
            let realm = engine.net.inner_realm(nat);
            engine.relocate(self.id, realm);
        });
    }

    /// The NAT in front of it passes this port on to it, and it is told.
    pub fn map_port(self, outside: u16) {
        self.world.with_engine(|engine| engine.map_port(self.id, outside));
    }

    /// The NAT in front of it loses all mappings.
    pub fn rebind_nat(self) {
        self.world.with_engine(|engine| engine.net.forget_mappings(self.id));
    }

    /// Blocks, or lets through, all its UDP.
    pub fn block_udp(self, blocked: bool) {
        self.set_isp(|isp| isp.udp = if blocked { UdpRule::Blocked } else { UdpRule::Passes });
    }

    /// Changes what its provider does.
    #[must_use]
    pub fn isp(self, change: impl FnOnce(&mut Isp)) -> Self {
        self.set_isp(change);
        self
    }

    /// Changes what its provider does while it runs.
    pub fn set_isp(self, change: impl FnOnce(&mut Isp)) {
        self.world.with_engine(|engine| change(&mut engine.net.host_mut(self.id).isp));
    }

    /// Its name servers stop to answer, or answer again.
    pub fn break_dns(self, broken: bool) {
        self.world.with_engine(|engine| engine.net.host_mut(self.id).dns_dead = broken);
    }

    /// What the NAT in front of it has done for its datagrams.
    pub fn mappings(self) -> Mappings {
        self.world.with_engine(|engine| engine.net.mappings_of(self.id))
    }

    /// What it has sent to endpoints that had not answered.
    pub fn probes(self) -> Probes {
        self.world.with_engine(|engine| engine.net.probes_of(self.id))
    }

    /// How many sockets it has open beside those that it listens on.
    pub fn extra_sockets(self) -> usize {
        self.world.with_engine(|engine| engine.machine(self.id).extra.len())
    }

    /// Makes its link narrow; with `icmp` senders are told.
    pub fn set_link_mtu(self, mtu: u16, icmp: bool) {
        self.world.with_engine(|engine| {
            let link = &mut engine.net.host_mut(self.id).link;
            (link.mtu, link.icmp) = (mtu, icmp);
        });
    }

    /// Reads its configuration anew.
    pub fn reload(self, change: impl FnOnce(&mut Config)) {
        self.world.with_engine(|engine| {
            change(&mut engine.machine_mut(self.id).config);
            let config = engine.config_of(self.id);
            engine.changed = engine.now;
            engine.feed(self.id, Input::Reconfigure(Box::new(config)));
            engine.settle();
        });
    }

    /// What it says of another node.
    ///
    /// # Panics
    /// If it does not run.
    pub fn info(self, of: Host<'_>) -> Option<NodeInfo> {
        let Some(Reply::Nodes(nodes)) = self.world.command(self, Command::Nodes) else {
            panic!("{self:?} does not answer");
        };
        nodes.into_iter().find(|node| node.name.as_str() == of.name())
    }

    /// What it says of the path to another node.
    ///
    /// # Panics
    /// If it does not run, or has no tunnel there.
    pub fn path_info(self, to: Host<'_>) -> PathInfo {
        let Some(Reply::Paths(paths)) = self.world.command(self, Command::Paths) else {
            panic!("{self:?} does not answer");
        };
        paths.into_iter().find(|path| path.name.as_str() == to.name()).expect("there is a tunnel")
    }

    /// Whether it counts another node as reachable.
    pub fn reaches(self, other: Host<'_>) -> bool {
        self.info(other).is_some_and(|node| node.distance > 0)
    }

    /// Names of the nodes that it has active connections to.
    pub fn neighbours(self) -> Vec<String> {
        self.world.machine(self.id, |machine| {
            let peers = machine.fib.iter().flat_map(|fib| fib.peers.iter().flatten());
            peers.filter(|entry| entry.neighbour).map(|entry| entry.name.to_string()).collect()
        })
    }

    /// Whether it has any connection.
    pub fn is_connected(self) -> bool {
        self.world.machine(self.id, |machine| !machine.conns.is_empty())
    }

    /// What its program has done so far.
    pub fn work(self) -> Work {
        self.world.machine(self.id, |machine| machine.work)
    }

    /// Sizes that it asked another node's address whether they arrive, in some time, in bytes of IPv4 packet.
    pub fn sizes_asked(self, of: Host<'_>, time: Range<Instant>) -> Vec<usize> {
        let address = self.info(of).and_then(|info| info.address);
        let wanted = |&&(at, to, _): &&(Instant, SocketAddr, usize)| time.contains(&at) && Some(to) == address;
        self.world.machine(self.id, |machine| {
            machine.sizes_asked.iter().filter(wanted).map(|&(_, _, len)| len + V4_AND_UDP).collect()
        })
    }

    /// From now on datagrams that it should pass on vanish, though it says that it relays.
    pub fn lies(self) {
        self.world.with_engine(|engine| engine.machine_mut(self.id).lies = true);
    }

    /// What its device was told of packets that are too big: the sizes that would do, in bytes of IP packet.
    pub fn told_too_big(self) -> Vec<u16> {
        self.world.machine(self.id, |machine| machine.told_too_big.clone())
    }

    /// Where it is: an address of its own network.
    pub fn address(self) -> Option<SocketAddr> {
        self.world.with_engine(|engine| engine.address_of(self.id))
    }
}
