//! `cargo xtask bench`: tinmesh and other private networks in turn, on the same machines, as a table and a picture.
//!
//! The machines are network namespaces inside a process namespace of this run, as in the demonstration: when it ends, the
//! kernel ends every process in there and takes all namespaces away. `target/bench` gets `report.md` and `report.svg`.

mod daemon;
mod figures;
pub(crate) mod flame;
pub(crate) mod flood;
mod folded;
mod marks;
mod measure;
mod nebula;
mod options;
mod picture;
mod ping;
mod pipe;
mod publish;
pub(crate) mod refused;
mod report;
mod rows;
mod stream;
mod tinc;
mod wireguard;
mod wires;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::peers;
use crate::shell::{cargo, command, output, run, run_isolated, say, target};
use figures::{Figures, Sample};
use options::Options;
use report::{Report, Results};
use rows::{Program, Row};
use wires::Wires;

/// MTU of all private networks: what the largest headers leave of 1,500 bytes, and a bit less.
const MTU: u32 = 1400;
/// What is needed beside the namespaces' tools.
const TOOLS: &[apt::Tool] = &[
    ("iperf3", "iperf3"),
    ("ethtool", "ethtool"),
    ("unshare", "util-linux"),
    ("setpriv", "util-linux"),
    ("nice", "coreutils"),
];
/// Lines of a daemon's log that are shown with a failure.
const LAST_LINES: usize = 3;

/// Where a row's files are, and which build of ours is measured.
#[derive(Clone, Copy, Debug)]
struct Place<'a> {
    dir: &'a Path,
    profile: &'a str,
}

/// Fetches and builds what is to be measured, and measures it inside.
pub(crate) fn run_all(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    apt::need_root()?;
    apt::need(apt::LAB)?;
    apt::need(TOOLS)?;
    let wanted: Vec<Program> = options.rows().flat_map(Row::programs).collect();
    let dirs: Vec<&str> = wanted.iter().filter_map(|program| program.dir()).collect();
    peers::fetch_some(&dirs)?;
    if wanted.contains(&Program::Boringtun) {
        build_boringtun()?;
    }
    if !options.is_debug {
        say("building tinmesh");
    }
    let release: &[&str] = if options.is_debug { &[] } else { &["--release"] };
    run(cargo(&["build", "--quiet", "--package", "tinmesh"]).args(release))?;
    if wanted.contains(&Program::Pipe) {
        run(cargo(&["build", "--quiet", "--package", "tinmesh-os", "--example", "pipe"]).args(release))?;
    }
    fs::create_dir_all(scratch())?;
    run_isolated(&[&["bench-inside"], words].concat(), "the benchmark")
}

/// boringtun comes from its authors as source. Without it the others are measured, and the report says why.
fn build_boringtun() -> Result<()> {
    let root = target().join("peers/boringtun");
    if Program::Boringtun.daemon("").exists() {
        return Ok(());
    }
    say("building boringtun (a minute or two)");
    fs::create_dir_all(&root)?;
    let built = run(cargo(&["install", "boringtun-cli", "--quiet", "--locked", "--root"]).arg(&root));
    if let Err(error) = &built {
        say(&format!("BORINGTUN IS LEFT OUT: {error:#}"));
    }
    Ok(())
}

fn scratch() -> PathBuf {
    target().join("bench/scratch")
}

/// The measurements, inside namespaces of this run.
pub(crate) fn run_inside(words: &[&str]) -> Result<()> {
    let options = Options::parse(words)?;
    // Both are file systems in memory that nobody outside sees; /run gets the names of namespaces and sockets.
    for place in [scratch().as_path(), Path::new("/run")] {
        output(command("mount", &["-t", "tmpfs", "tmpfs"]).arg(place))?;
    }
    let (pair, relay) = (Wires::pair(options.is_plain_card), Wires::relay(options.is_plain_card));
    let offloads = pair.offloads()?;
    let started = Instant::now();
    let mut results = Results::of(options.rows().map(|row| (row, Figures::default())).collect());
    for round in 1..=options.rounds {
        for (row, figures) in &mut results.rows {
            say(&format!("{:>4} s: round {round} of {}: {}", started.elapsed().as_secs(), options.rounds, row.title));
            measure_row(&options, row, [&pair, &relay], figures);
        }
    }
    write_out(&options, &results, &offloads)?;
    if results.rows.iter().any(|(row, figures)| row.name == "tinmesh" && !figures.failures.is_empty()) {
        bail!("tinmesh could not be measured in full");
    }
    Ok(())
}

/// One round of a row; what fails is noted, and the others go on.
fn measure_row(options: &Options, row: &Row, [pair, relay]: [&Wires; 2], figures: &mut Figures) {
    let profile = options.profile();
    if let Some(program) = row.programs().into_iter().find(|program| !program.daemon(profile).exists()) {
        figures.failures = vec![format!("{} is not there: it could not be built", program.daemon(profile).display())];
        return;
    }
    let dir = scratch().join(row.name);
    let mut sample = Sample::new();
    let mut note = |done: Result<()>, dir: &Path| {
        if let Err(error) = done {
            let failure = format!("{error:#}{}", last_lines(dir));
            say(&format!("FAILED: {failure}"));
            figures.failures.push(failure);
        }
    };
    let place = dir.join("pair");
    note(measure::pair(&Place { dir: &place, profile }, options, row, pair, &mut sample), &place);
    if measure::can_relay(row) {
        let place = dir.join("relay");
        note(measure::relayed(&Place { dir: &place, profile }, options, row, relay, &mut sample), &place);
    }
    figures.samples.push(sample);
}

/// The ends of the daemons' logs.
fn last_lines(dir: &Path) -> String {
    let files = fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let logs = files.filter(|path| path.extension().is_some_and(|extension| extension == "log"));
    let ends = logs.map(|path| {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        format!("\n  {name}: {}", lines[lines.len().saturating_sub(LAST_LINES)..].join(" / "))
    });
    ends.collect()
}

fn write_out(options: &Options, results: &Results, offloads: &str) -> Result<()> {
    let report = Report::new(options, results, offloads)?;
    let picture = picture::draw(results);
    let dir = target().join("bench");
    let text = format!("# cargo xtask bench\n\n{}", report.long("report.svg"));
    fs::write(dir.join("report.md"), &text)?;
    fs::write(dir.join("report.svg"), &picture)?;
    if let Some(file) = &options.json {
        let json = serde_json::to_string_pretty(&results.json())?;
        fs::write(file, json).with_context(|| file.display().to_string())?;
    }
    println!("\n{text}");
    say(&format!("the report and its picture are in {}", dir.display()));
    if options.is_published {
        publish::publish(&report, &picture)?;
    }
    Ok(())
}
