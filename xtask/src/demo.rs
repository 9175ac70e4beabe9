//! `cargo xtask demo`: three machines, two of them behind NATs, become one private network before your eyes.
//!
//! The machines are network namespaces inside a process namespace of this demonstration. When it ends, by success,
//! failure or Ctrl-C, the kernel ends every process in there and takes all namespaces and files away.

pub(crate) mod carry;
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::shell::{cargo, command, output, run, run_isolated, say, target};
use world::World;

/// The namespaces' and the kernel's tools.
const TOOLS: &[apt::Tool] = &[("unshare", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux")];
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Size of the file that is carried, in bytes.
const FILE: u64 = 100_000_000;

/// Builds the program and shows it.
pub(crate) fn run_all() -> Result<()> {
    apt::need_root()?;
    apt::need(apt::LAB)?;
    apt::need(TOOLS)?;
    say("building tinmesh (the first time this takes a minute or two)");
    run(&mut cargo(&["build", "--release", "--quiet", "--package", "tinmesh"]))?;
    let program = target().join("release/tinmesh");
    let done = run_isolated(&["demo-inside", &program.to_string_lossy()], "the demonstration");
    say("all of it is gone: machines, interfaces, processes, files");
    done
}

/// The demonstration itself, inside its namespaces.
pub(crate) fn run_inside(program: &str) -> Result<()> {
    let start = Instant::now();
    let scratch = target().join("demo");
    std::fs::create_dir_all(&scratch).context("cannot make a directory for the demonstration")?;
    // Both are file systems in memory that nobody outside sees; /run gets the names of namespaces.
    for place in [scratch.as_path(), Path::new("/run")] {
        output(command("mount", &["-t", "tmpfs", "tmpfs"]).arg(place))?;
    }
    let world = World::new(&scratch, Path::new(program))?;
    world.draw();
    found_network(&world)?;
    talk(&world)?;
    carry_file(&world)?;
    leave(&world)?;
    say(&format!("shown in {} s", start.elapsed().as_secs()));
    Ok(())
}

/// `up` on the hub, `join` on the others.
fn found_network(world: &World) -> Result<()> {
    say("the first machine makes a network");
    let printed = world.hub.shows("tinmesh up")?;
    say("the second joins it with the line that was printed");
    world.alice.shows(&format!("tinmesh join {}", joining(&printed)?))?;
    say("the third joins it with a line of its own");
    let printed = world.hub.shows("tinmesh invite")?;
    world.bob.shows(&format!("tinmesh join {}", joining(&printed)?))?;
    Ok(())
}

/// The URL in the line to paste.
fn joining(printed: &str) -> Result<&str> {
    let mut words = printed.split_whitespace().skip_while(|word| *word != "join");
    words.nth(1).with_context(|| format!("no line to join with in:\n{printed}"))
}

/// Pings by name until alice and bob talk directly.
fn talk(world: &World) -> Result<()> {
    say("alice and bob, behind different NATs, look for a path without the hub");
    let start = Instant::now();
    while !world.alice.is_direct("bob") || !world.bob.is_direct("alice") {
        if start.elapsed() > PATIENCE {
            world.alice.shows("tinmesh status")?;
            bail!("alice and bob have no direct path after {PATIENCE:?}");
        }
        let _ = world.alice.quietly("ping -n -q -c1 -W1 bob");
    }
    say(&format!("found, {:.1} s after the last one joined", start.elapsed().as_secs_f64()));
    world.alice.shows("ping -c 3 -i 0.3 bob")?;
    world.bob.shows("ping -c 3 -i 0.3 hub")?;
    for machine in [&world.hub, &world.alice, &world.bob] {
        machine.shows("tinmesh status")?;
    }
    Ok(())
}

/// A file goes from alice to bob through the tunnel; the status shows it pass.
fn carry_file(world: &World) -> Result<()> {
    say(&format!("a file of {} MB goes from alice to bob through the tunnel", FILE / 1_000_000));
    let start = Instant::now();
    let parcel = carry::send(world, FILE)?;
    let seconds = start.elapsed().as_secs_f64();
    world.alice.shows(&format!("sha256sum {}", parcel.sent))?;
    world.bob.shows(&format!("sha256sum {}", parcel.received))?;
    let sums = [(&world.alice, &parcel.sent), (&world.bob, &parcel.received)]
        .map(|(machine, file)| machine.quietly(&format!("sha256sum {file}")));
    let [sent, received] = sums;
    if sent?.split_whitespace().next() != received?.split_whitespace().next() {
        bail!("the file did not arrive as it was sent");
    }
    let rate = FILE as f64 * 8.0 / seconds / 1e6;
    say(&format!("the same at both ends, after {seconds:.1} s ({rate:.0} Mbit/s; both ends share this computer)"));
    world.alice.shows("tinmesh status")?;
    Ok(())
}

/// `down` everywhere.
fn leave(world: &World) -> Result<()> {
    say("everyone leaves");
    for machine in [&world.alice, &world.bob, &world.hub] {
        machine.shows("tinmesh down")?;
    }
    Ok(())
}
