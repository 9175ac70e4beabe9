//! A router's half of NAT-PMP alone, without its successor PCP (RFC 6886): no program of Debian's can be made to speak that.

use std::collections::BTreeSet;
use std::net::{SocketAddr, SocketAddrV4, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::lab::namespace::Namespace;
use crate::lab::run;
use crate::lab::traffic::inside;

/// What it adds to ports, so that the inner port is not mistaken for the outer one.
const SHIFT: u16 = 7_000;
const EPOCH: [u8; 4] = [0, 0, 1, 0];

/// A thread in the router's namespace.
pub(crate) struct NatPmp {
    namespace: Arc<Namespace>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NatPmp {
    /// Passes ports of `11.0.0.1` on by rules in the chains `opened` and `opened_nat` of the table `filter`.
    pub(crate) fn start(namespace: Arc<Namespace>) -> Self {
        let socket = inside(&namespace, || UdpSocket::bind("192.168.1.1:5351")).expect("the port is free");
        socket.set_read_timeout(Some(Duration::from_millis(200))).expect("a time");
        let stop = Arc::new(AtomicBool::new(false));
        let (over, router) = (Arc::clone(&stop), Arc::clone(&namespace));
        let thread = std::thread::spawn(move || serve(&router, &socket, &over));
        Self { namespace, stop, thread: Some(thread) }
    }

    /// How many ports it passes on.
    pub(crate) fn opened(&self) -> usize {
        let chain = ["list", "chain", "inet", "filter", "opened_nat"];
        run(self.namespace.command("nft").args(chain)).matches("dnat").count()
    }
}

impl Drop for NatPmp {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(router: &Namespace, socket: &UdpSocket, over: &AtomicBool) {
    let mut opened = BTreeSet::new();
    let mut bytes = [0; 100];
    while !over.load(Ordering::Relaxed) {
        let Ok((len, SocketAddr::V4(client))) = socket.recv_from(&mut bytes) else { continue };
        let answer = match bytes[..len] {
            [0, 0] => [&[0, 128, 0, 0], &EPOCH[..], &[11, 0, 0, 1]].concat(),
            [0, kind @ (1 | 2), _, _, p0, p1, _, _, l0, l1, l2, l3] => {
                let (inner, lifetime) = (u16::from_be_bytes([p0, p1]), [l0, l1, l2, l3]);
                pass_on(router, &mut opened, (kind, client, inner), lifetime != [0; 4]);
                let [o0, o1] = if lifetime == [0; 4] { [0; 2] } else { (inner + SHIFT).to_be_bytes() };
                [&[0, 128 + kind, 0, 0], &EPOCH[..], &[p0, p1, o0, o1], &lifetime].concat()
            }
            // Another version: not supported.
            _ => [&[0, 128, 0, 1], &EPOCH[..]].concat(),
        };
        socket.send_to(&answer, client).expect("the client is there");
    }
}

fn pass_on(
    router: &Namespace,
    opened: &mut BTreeSet<(u8, SocketAddrV4, u16)>,
    (kind, client, inner): (u8, SocketAddrV4, u16),
    open: bool,
) {
    let port = (kind, SocketAddrV4::new(*client.ip(), 0), inner);
    let changed = if open { opened.insert(port) } else { opened.remove(&port) };
    if !changed {
        return;
    }
    nft(router, "flush chain inet filter opened");
    nft(router, "flush chain inet filter opened_nat");
    for (kind, client, inner) in opened.iter() {
        let (protocol, client) = (if *kind == 1 { "udp" } else { "tcp" }, client.ip());
        let outer = inner + SHIFT;
        let rule = "add rule inet filter";
        nft(router, &format!("{rule} opened_nat iifname wan0 {protocol} dport {outer} dnat ip to {client}:{inner}"));
        nft(router, &format!("{rule} opened ip daddr {client} {protocol} dport {inner} accept"));
    }
}

fn nft(router: &Namespace, words: &str) {
    let command: &mut Command = &mut router.command("nft");
    run(command.args(words.split(' ')));
}
