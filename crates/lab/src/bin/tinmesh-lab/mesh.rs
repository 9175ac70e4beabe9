//! Four daemons of one kind: carol and dave with public addresses, alice and bob who dial them.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::namespace::Namespace;

/// A daemon must listen on its control socket within this.
const START: Duration = Duration::from_secs(15);
const NAMES: [&str; 4] = ["carol", "dave", "alice", "bob"];

/// A node: its place, its files, its process.
pub(crate) struct Node {
    pub(crate) namespace: Arc<Namespace>,
    name: &'static str,
    dir: PathBuf,
    child: Option<Child>,
}

impl Node {
    /// Sends its daemon a signal by name.
    pub(crate) fn signal(&self, signal: &str) -> io::Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        succeed(Command::new("kill").args([&format!("-{signal}"), &child.id().to_string()]))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The four nodes; their files go with the value.
pub(crate) struct Mesh {
    pub(crate) nodes: [Node; 4],
    dir: PathBuf,
}

/// What is said of carol and dave, and of all.
pub(crate) struct Settings {
    /// Where the two are.
    pub(crate) addresses: [Ipv4Addr; 2],
    /// The port that they listen on.
    pub(crate) port: u16,
    /// Whether nodes make connections that nobody named (`AutoConnect`).
    pub(crate) auto_connects: bool,
}

impl Drop for Mesh {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The address of a node inside the mesh.
pub(crate) fn inner(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 77, 0, u8::try_from(index + 1).unwrap_or(u8::MAX))
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().replace(['\n', '\t'], " ");
    Err(io::Error::other(format!("{:?}: {said}", command.get_program())))
}

fn append(path: &Path, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

impl Mesh {
    /// Makes the files of four nodes in these namespaces, with the programs in `programs`, and starts them.
    pub(crate) fn new(programs: &Path, namespaces: [Arc<Namespace>; 4], settings: &Settings) -> io::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("tinmesh-lab-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let mut at = 0;
        let nodes = namespaces.map(|namespace| {
            let name = NAMES[at];
            at += 1;
            Node { namespace, name, dir: dir.join(name), child: None }
        });
        let mut mesh = Self { nodes, dir };
        for index in 0..NAMES.len() {
            mesh.init(programs, index, settings)?;
            let text = if settings.auto_connects { "AutoConnect = yes\n" } else { "AutoConnect = no\n" };
            append(&mesh.nodes[index].dir.join("tinc.conf"), text)?;
        }
        mesh.introduce()?;
        for index in 0..NAMES.len() {
            mesh.start(programs, index)?;
        }
        Ok(mesh)
    }

    fn init(&self, programs: &Path, index: usize, settings: &Settings) -> io::Result<()> {
        let node = &self.nodes[index];
        succeed(Command::new(programs.join("tinc")).arg("-c").arg(&node.dir).args(["init", node.name]))?;
        let mut config = String::from("Interface = vpn0\nDeviceType = tun\n");
        for known in NAMES.iter().take(2).take(index) {
            config.push_str(&format!("ConnectTo = {known}\n"));
        }
        append(&node.dir.join("tinc.conf"), &config)?;
        let host = node.dir.join("hosts").join(node.name);
        append(&host, &format!("\nSubnet = {}/32\n", inner(index)))?;
        if let Some(address) = settings.addresses.get(index) {
            let own = format!("Address = {address}\nPort = {}\n", settings.port);
            let text = own + &fs::read_to_string(&host)?;
            fs::write(&host, text)?;
        }
        let script = node.dir.join("tinc-up");
        let lines = format!("#!/bin/sh\nip addr add {}/24 dev $INTERFACE\nip link set $INTERFACE up\n", inner(index));
        fs::write(&script, lines)?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
    }

    /// Carol and dave know all; the others know these two.
    fn introduce(&self) -> io::Result<()> {
        for (of, node) in self.nodes.iter().enumerate() {
            for (at, other) in self.nodes.iter().enumerate() {
                if of != at && (of < 2 || at < 2) {
                    let from = node.dir.join("hosts").join(node.name);
                    fs::copy(from, other.dir.join("hosts").join(node.name))?;
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, programs: &Path, index: usize) -> io::Result<()> {
        let node = &mut self.nodes[index];
        let log = File::create(node.dir.join("log"))?;
        let mut command = node.namespace.command(programs.join("tincd"));
        command.args(["-D", "-d2"]).arg("-c").arg(&node.dir);
        command.arg(format!("--pidfile={}", node.dir.join("pid").display()));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        node.child = Some(command.spawn()?);
        let (socket, start) = (node.dir.join("pid.socket"), Instant::now());
        while UnixStream::connect(&socket).is_err() {
            if start.elapsed() > START {
                let log = fs::read_to_string(node.dir.join("log")).unwrap_or_default().replace(['\n', '\t'], " ");
                return Err(io::Error::other(format!("{} did not start: {log}", node.name)));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}
