//! Two machines with a user-space WireGuard, which is configured by its socket (its cross-platform interface's `set=1`).

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::Place;
use super::daemon::Daemon;
use super::rows::{Program, Row};
use super::wires::{Site, Wires};

/// X25519 keys of a and b, private and public, made for this benchmark.
const KEYS: [[&str; 2]; 2] = [
    [
        "77076d0a7318a57d3c16c17251b26645df4c2f92ebc0992ac177fba51db92c2a",
        "f8a9535a2d2ff605e8e144d54f4ef5c62313a2055dbb21fddd3fd9c299eb015d",
    ],
    [
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
        "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    ],
];
const PORT: u16 = 51820;
/// How long a daemon may take to make its socket.
const PATIENCE: Duration = Duration::from_secs(5);

/// Starts and configures the daemons of both machines.
pub(super) fn start(place: &Place<'_>, row: &Row, wires: &Wires) -> Result<Vec<Daemon>> {
    let mut daemons = Vec::new();
    for (at, site) in wires.sites.iter().enumerate() {
        // Sockets lie in one directory for all machines, so interfaces have names of their own.
        let interface = format!("wg-{}", site.name);
        let program = row.ends[0];
        let mut command = row.command(site, program.daemon(place.profile))?;
        match program {
            Program::Boringtun => command.args(["--foreground", "--disable-drop-privileges"]),
            Program::WireguardGo
            | Program::Tinmesh
            | Program::Tinc11
            | Program::Tinc10
            | Program::Nebula
            | Program::Pipe => command.arg("--foreground").env("LOG_LEVEL", "error"),
        };
        daemons.push(Daemon::start(command.arg(&interface), &place.dir.join(format!("{}.log", site.name)))?);
        let peer = &wires.sites[1 - at];
        configure(&interface, KEYS[at][0], KEYS[1 - at][1], peer)?;
        site.namespace.shell(&row.interface_up(site, &interface));
    }
    Ok(daemons)
}

fn configure(interface: &str, own_key: &str, peer_key: &str, peer: &Site) -> Result<()> {
    let mut wish = format!("set=1\nprivate_key={own_key}\nlisten_port={PORT}\nreplace_peers=true\n");
    writeln!(wish, "public_key={peer_key}\nendpoint={}:{PORT}\nallowed_ip={}/32\n", peer.address, peer.inner())?;
    let path = format!("/var/run/wireguard/{interface}.sock");
    let started = Instant::now();
    let mut socket = loop {
        match UnixStream::connect(Path::new(&path)) {
            Ok(socket) => break socket,
            Err(error) if started.elapsed() > PATIENCE => return Err(error).context(path),
            Err(_) => sleep(Duration::from_millis(10)),
        }
    };
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.write_all(wish.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(socket).read_line(&mut answer).context(path)?;
    if answer.trim() != "errno=0" {
        bail!("the daemon of {interface} refused its settings: {}", answer.trim());
    }
    Ok(())
}
