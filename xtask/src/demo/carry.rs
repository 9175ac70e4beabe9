//! Carries a file from one machine to another over plain TCP, with what every Linux machine has.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};

use super::PATIENCE;
use super::world::{Stage, World};

/// Where the receiver listens.
const PORT: u16 = 7000;

/// A file at both ends.
pub(crate) struct Parcel {
    pub(crate) sent: String,
    pub(crate) received: String,
}

/// Makes a file of so many random bytes at alice's and sends it to bob, who is found by his name.
pub(crate) fn send(world: &World, bytes: u64) -> Result<Parcel> {
    let (from, to) = (&world.alice, &world.bob);
    let [sent, received] = ["sent", "received"].map(|name| world.scratch.join(name).display().to_string());
    let parcel = Parcel { sent, received };
    from.quietly(&format!("dd if=/dev/urandom of={} bs=1M count={bytes} iflag=count_bytes status=none", parcel.sent))?;
    let mut receiver = ourselves(to, &["demo-receive", &PORT.to_string(), &parcel.received])?;
    wait_for_listener(to)?;
    let mut sender = ourselves(from, &["demo-send", to.machine().name(), &PORT.to_string(), &parcel.sent])?;
    for child in [&mut sender, &mut receiver] {
        if !child.wait()?.success() {
            bail!("the file was not carried");
        }
    }
    Ok(parcel)
}

/// This program, with another task, on a machine.
fn ourselves(stage: &Stage, words: &[&str]) -> Result<Child> {
    let itself = std::env::current_exe().context("cannot find this program")?;
    let mut command: Command = stage.machine().command(&itself.to_string_lossy());
    command.args(words).stdin(Stdio::null()).spawn().context("cannot run this program again")
}

fn wait_for_listener(stage: &Stage) -> Result<()> {
    let start = std::time::Instant::now();
    let wanted = format!(":{PORT:04X} ");
    let tables = || {
        let read = |name| stage.quietly(&format!("cat /proc/thread-self/net/{name}"));
        [read("tcp"), read("tcp6")].into_iter().flatten().any(|table| table.contains(&wanted))
    };
    while !tables() {
        if start.elapsed() > PATIENCE {
            bail!("nobody listens for the file");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Ok(())
}

/// `demo-send HOST PORT FILE`.
pub(crate) fn sender(host: &str, port: &str, file: &str) -> Result<()> {
    let port: u16 = port.parse().context("PORT is a number")?;
    let mut stream = std::net::TcpStream::connect((host, port)).with_context(|| format!("cannot reach {host}"))?;
    std::io::copy(&mut std::fs::File::open(file)?, &mut stream)?;
    Ok(())
}

/// `demo-receive PORT FILE`.
pub(crate) fn receiver(port: &str, file: &str) -> Result<()> {
    let port: u16 = port.parse().context("PORT is a number")?;
    let listener = std::net::TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port))?;
    let (mut stream, _) = listener.accept()?;
    std::io::copy(&mut stream, &mut std::fs::File::create(file)?)?;
    Ok(())
}
