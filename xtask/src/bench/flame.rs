//! `cargo xtask flame`: where the processor time of both daemons goes while one TCP stream runs, as a picture.
//!
//! `perf` looks a few hundred times a second at what each daemon does, the kernel's part for it included. `target/bench` gets
//! `flame.svg`; with `--publish` it goes to `docs` too.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::super::apt;
use super::super::shell::{cargo, command, output, root, run, run_isolated, say, target};
use super::folded::Folded;
use super::options::Options;
use super::rows::{Program, Row};
use super::stream::{Server, Stream};
use super::wires::Wires;
use super::{Place, TOOLS, measure, scratch};

/// How often a second a daemon is looked at; no divisor of anything that happens in regular intervals.
const RATE: &str = "499";
/// Seconds that are looked at, and how much longer the stream runs.
const SECONDS: (u32, u32) = (6, 3);

/// Builds the program, and looks at it inside.
pub(crate) fn run_all(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    chosen(&options)?;
    apt::need_root()?;
    apt::need(apt::LAB)?;
    apt::need(TOOLS)?;
    apt::need(&[("perf", "linux-perf")])?;
    let release: &[&str] = if options.is_debug { &[] } else { &["--release"] };
    run(cargo(&["build", "--quiet", "--package", "tinmesh"]).args(release))?;
    fs::create_dir_all(scratch())?;
    run_isolated(&[&["flame-inside"], words].concat(), "perf")
}

/// The row that is looked at: one of tinmesh only.
fn chosen(options: &Options) -> Result<&'static Row> {
    let row = options.rows().next().context("no row")?;
    if row.ends != [Program::Tinmesh; 2] {
        bail!("{} is not tinmesh at both ends", row.name);
    }
    Ok(row)
}

/// The stream and the look at it, inside namespaces of this run.
pub(crate) fn run_inside(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    let row = chosen(&options)?;
    for place in [scratch().as_path(), Path::new("/run")] {
        output(command("mount", &["-t", "tmpfs", "tmpfs"]).arg(place))?;
    }
    let wires = Wires::pair(options.is_plain_card);
    let place = scratch().join(row.name);
    let daemons = measure::ready(&Place { dir: &place, profile: options.profile() }, row, &wires)?;
    let _server = Server::start(wires.b())?;
    let (seconds, more) = SECONDS;
    let stream = Stream::start(wires.a(), &wires.b().inner(), 1, seconds + more, false)?;
    // It is at full speed by then.
    std::thread::sleep(Duration::from_secs(1));
    // b is called, and starts first.
    let [receiver, sender] = daemons.as_slice() else { bail!("there are not two daemons") };
    let record = scratch().join("perf.data");
    let pids = format!("{},{}", sender.pid(), receiver.pid());
    let mut perf = command("perf", &["record", "--quiet", "--event", "cpu-clock", "--freq", RATE]);
    perf.args(["--call-graph", "dwarf", "--pid", &pids, "--output"]).arg(&record);
    output(perf.args(["--", "sleep", &seconds.to_string()]))?;
    stream.finish()?;
    say("reading what perf saw");
    let mut script = command("perf", &["script", "--no-inline", "--fields", "comm,pid,tid,ip,sym", "--input"]);
    let text = output(script.arg(&record))?;
    let folded = Folded::read(&text, &[(sender.pid(), "sending end"), (receiver.pid(), "receiving end")]);
    if folded.count() == 0 {
        bail!("perf saw nothing");
    }
    println!("{}", folded.shares());
    let title = format!("{}: one TCP stream, {} samples", row.title, folded.count());
    let picture = folded.draw(&title);
    let file = target().join("bench/flame.svg");
    fs::write(&file, &picture)?;
    if options.is_published {
        fs::write(root().join("docs/flame.svg"), &picture)?;
    }
    say(&format!("the picture is {}", file.display()));
    Ok(())
}
