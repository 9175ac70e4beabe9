//! The least that a private network in user space costs: packets of a TUN device become datagrams as they are, and back.
//!
//! `cargo build --release -p tinmesh-os --example pipe`, and then, as root, `pipe INTERFACE OWN-ADDRESS:PORT PEER-ADDRESS:PORT`.
//!
//! Nothing is looked up, sealed, summed up, cut into packets or joined. What is left are the system calls with their copies, the
//! same that tinmesh makes, so `cargo xtask bench` shows it as the limit of these. Packets of the device must not be longer than
//! [`LONGEST`], and whatever is lost takes a whole burst with it.

use std::io::{self, IoSlice};
use std::net::SocketAddr;

use tinmesh_os::device::{Device, DeviceOptions, Kind, LARGEST};
use tinmesh_os::poll::{Interest, Poller};
use tinmesh_os::udp::{BATCH, Inbox, UdpOptions, UdpSocket};

/// Bytes of a datagram: about those of a packet that tinmesh has sealed.
const DATAGRAM: usize = 1_440;
/// Longest packet of the device that goes as one burst, in bytes.
const LONGEST: usize = 64_000;
/// Receive buffer, as in tinmesh, and send buffer, in bytes.
const BUFFER: usize = 512 * 1024;
/// Packets taken from the device before datagrams get their turn.
const TURN: usize = 16;

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [interface, own, peer] = words.as_slice() else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "usage: pipe INTERFACE OWN-ADDRESS:PORT PEER-ADDRESS:PORT",
        ));
    };
    let address = |text: &str| text.parse::<SocketAddr>().map_err(io::Error::other);
    let options =
        DeviceOptions { path: None, name: Some(interface.clone()), kind: Kind::Tun, offloads: true, queues: false };
    let device = Device::open(&options)?;
    let options = UdpOptions { rcvbuf: BUFFER, sndbuf: BUFFER, dont_fragment: true, ..UdpOptions::default() };
    let socket = UdpSocket::bind(address(own)?, &options)?;
    carry(&device, &socket, address(peer)?)
}

/// Carries packets both ways until something breaks.
fn carry(device: &Device, socket: &UdpSocket, peer: SocketAddr) -> io::Result<()> {
    let mut poller = Poller::new()?;
    poller.add(device, 0, Interest::READ)?;
    poller.add(socket, 1, Interest::READ)?;
    let (mut events, mut inbox, mut space) = (Vec::new(), Inbox::new(), vec![0; LARGEST]);
    loop {
        poller.wait(None, &mut events)?;
        for event in &events {
            if event.token == 0 {
                send(device, socket, peer, &mut space)?;
            } else {
                deliver(device, socket, &mut inbox)?;
            }
        }
    }
}

fn send(device: &Device, socket: &UdpSocket, peer: SocketAddr, space: &mut [u8]) -> io::Result<()> {
    for _ in 0..TURN {
        match device.recv(space) {
            Ok(len) if len <= LONGEST => {
                socket.send_batch(space[..len].chunks(DATAGRAM).map(|part| (part, peer)), |_, _| ());
            }
            Ok(len) => {
                return Err(io::Error::other(format!("a packet of {len} bytes: limit the device's with gso_max_size")));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn deliver(device: &Device, socket: &UdpSocket, inbox: &mut Inbox) -> io::Result<()> {
    match socket.receive(inbox) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
        Err(error) => return Err(error),
    }
    for message in inbox.messages() {
        let mut parts = [IoSlice::new(&[]); BATCH];
        for (part, datagram) in parts.iter_mut().zip(message.datagrams()) {
            *part = IoSlice::new(datagram);
        }
        // What is no packet, as its end was lost, is refused.
        device.send_parts(&parts[..message.count().min(BATCH)]).ok();
    }
    Ok(())
}
