//! `cargo xtask figures`: tinmesh and Debian's tinc 1.1 in turn, on the same two machines, as a Markdown table.
//!
//! Two namespaces, one cable. For each pair of programs: from the start of the daemons to the first ping, the round trip,
//! one TCP stream, the daemons' processor time for it, their memory, and what an idle daemon uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::shell::{cargo, command, output, run, say, target};
use crate::{apt, peers};

/// Rounds over all pairs, so that a change of the machine's speed meets all alike.
const ROUNDS: usize = 5;
/// Length of the stream.
const STREAM_SECONDS: &str = "4";
/// An idle daemon is watched for so long.
const IDLE: Duration = Duration::from_secs(5);
/// The kernel counts processor time in hundredths of a second.
const TICKS: f64 = 100.0;
/// The programs at both ends: true is tinmesh.
const PAIRS: [(&str, [bool; 2]); 4] = [
    ("tinmesh – tinmesh", [true, true]),
    ("tinmesh – tinc 1.1", [true, false]),
    ("tinc 1.1 – tinmesh", [false, true]),
    ("tinc 1.1 – tinc 1.1", [false, false]),
];
/// What is measured of a pair, and with how many decimals it is shown.
const COLUMNS: [(&str, usize); 6] = [
    ("start to first ping, s", 2),
    ("round trip, ms", 2),
    ("TCP, Mbit/s", 0),
    ("CPU, s/GB", 1),
    ("memory, MiB", 1),
    ("idle CPU, %", 2),
];

/// Measures and prints.
pub(crate) fn run_all() -> Result<()> {
    apt::need_root()?;
    apt::need(apt::LAB)?;
    apt::need(&[("iperf3", "iperf3")])?;
    let theirs = peers::fetch()?.join("tinc-1.1/bin");
    run(&mut cargo(&["build", "--quiet", "--release", "--package", "tinmesh"]))?;
    let bench = Bench::new(&theirs)?;
    let mut measured = vec![Vec::new(); PAIRS.len()];
    for round in 1..=ROUNDS {
        for ((name, ours), figures) in PAIRS.iter().zip(&mut measured) {
            say(&format!("round {round} of {ROUNDS}: {name}"));
            figures.push(bench.measure(*ours).with_context(|| (*name).to_owned())?);
        }
    }
    print_table(&measured);
    Ok(())
}

fn print_table(measured: &[Vec<[f64; COLUMNS.len()]>]) {
    let titles: Vec<&str> = COLUMNS.iter().map(|(title, _)| *title).collect();
    println!("\nMedian (lowest–highest) of {ROUNDS} rounds; memory and idle CPU of the first end.\n");
    println!("| from – to | {} |", titles.join(" | "));
    println!("| --- |{}", " --- |".repeat(titles.len()));
    for ((name, _), figures) in PAIRS.iter().zip(measured) {
        let cells = COLUMNS.iter().enumerate().map(|(column, (_, decimals))| {
            let mut values: Vec<f64> = figures.iter().filter_map(|row| row.get(column).copied()).collect();
            values.sort_by(f64::total_cmp);
            let [low, middle, high] = [0, values.len() / 2, values.len() - 1].map(|at| values[at]);
            format!("{middle:.decimals$} ({low:.decimals$}–{high:.decimals$})")
        });
        println!("| {name} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
}

/// The two machines and the programs.
struct Bench {
    dir: PathBuf,
    programs: [PathBuf; 2],
}

impl Drop for Bench {
    fn drop(&mut self) {
        for end in ["a", "b"] {
            // Best effort: a namespace that is already gone is what is wanted.
            let _ = output(&mut command("ip", &["netns", "del", &format!("figures-{end}")]));
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Bench {
    fn new(theirs: &Path) -> Result<Self> {
        let dir = target().join(format!("figures-{}", std::process::id()));
        fs::create_dir_all(&dir)?;
        let ours = dir.join("bin");
        fs::create_dir_all(&ours)?;
        for name in ["tinc", "tincd"] {
            std::os::unix::fs::symlink(target().join("release/tinmesh"), ours.join(name))?;
        }
        let bench = Self { dir, programs: [theirs.to_owned(), ours] };
        bench.wire()?;
        bench.configure()?;
        Ok(bench)
    }

    fn wire(&self) -> Result<()> {
        for end in ["a", "b"] {
            ip(&["netns", "add", &format!("figures-{end}")])?;
        }
        ip(&[
            "link",
            "add",
            "wire",
            "netns",
            "figures-a",
            "type",
            "veth",
            "peer",
            "name",
            "wire",
            "netns",
            "figures-b",
        ])?;
        for (end, address) in [("a", "192.0.2.1/24"), ("b", "192.0.2.2/24")] {
            let space = format!("figures-{end}");
            ip(&["-n", &space, "link", "set", "lo", "up"])?;
            ip(&["-n", &space, "link", "set", "wire", "up"])?;
            ip(&["-n", &space, "address", "add", address, "dev", "wire"])?;
        }
        Ok(())
    }

    /// The same files for all programs: keys made by tinmesh, the interface set up by a script.
    fn configure(&self) -> Result<()> {
        for (end, number) in [("a", 1), ("b", 2)] {
            let base = self.dir.join(end);
            output(Command::new(self.programs[1].join("tinc")).arg("-c").arg(&base).args(["-b", "init", end]))?;
            let script = base.join("tinc-up");
            let lines = format!(
                "#!/bin/sh\nip address add 10.9.0.{number}/24 dev $INTERFACE\nip link set $INTERFACE up mtu 1400\n"
            );
            fs::write(&script, lines)?;
            fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
            let host = base.join("hosts").join(end);
            let known = fs::read_to_string(&host)?;
            fs::write(&host, format!("{known}Subnet = 10.9.0.{number}\nAddress = 192.0.2.{number}\n"))?;
        }
        for (from, to) in [("a", "b"), ("b", "a")] {
            fs::copy(self.dir.join(from).join("hosts").join(from), self.dir.join(to).join("hosts").join(from))?;
        }
        fs::write(self.dir.join("a/tinc.conf"), "Name = a\nConnectTo = b\nAutoConnect = no\n")?;
        fs::write(self.dir.join("b/tinc.conf"), "Name = b\nAutoConnect = no\n")?;
        Ok(())
    }

    fn start(&self, end: &str, ours: bool) -> Result<Daemon> {
        let mut program = inside(end, &self.programs[usize::from(ours)].join("tincd"));
        program.arg("-c").arg(self.dir.join(end)).arg("-D");
        program.arg(format!("--pidfile={}", self.dir.join(format!("{end}.pid")).display()));
        let log = fs::File::create(self.dir.join(format!("{end}.log")))?;
        Ok(Daemon(program.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn()?))
    }

    fn measure(&self, ours: [bool; 2]) -> Result<[f64; COLUMNS.len()]> {
        let listening = self.start("b", ours[1])?;
        sleep(Duration::from_millis(300));
        let started = Instant::now();
        let dialling = self.start("a", ours[0])?;
        while !ping("1").is_ok_and(|text| text.contains("1 received")) {
            if started.elapsed() > Duration::from_secs(20) {
                bail!("no ping came through within 20 s");
            }
        }
        let first_ping = started.elapsed().as_secs_f64();
        // The search of the path MTU goes on for a moment while pings keep it going.
        ping("15")?;
        let round_trip = average(&ping("20")?)?;
        let before = [listening.ticks()?, dialling.ticks()?];
        let bits = stream()?;
        let after = [listening.ticks()?, dialling.ticks()?];
        let busy: f64 = before.iter().zip(after).map(|(before, after)| (after - before) / TICKS).sum();
        let gigabytes = bits * STREAM_SECONDS.parse::<f64>()? / 8e9;
        let memory = dialling.memory()?;
        let before = dialling.ticks()?;
        sleep(IDLE);
        let idle = (dialling.ticks()? - before) / IDLE.as_secs_f64();
        Ok([first_ping, round_trip, bits / 1e6, busy / gigabytes, memory, idle])
    }
}

/// A running daemon; `ip netns exec` has become it.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = output(&mut command("kill", &[&self.0.id().to_string()]));
        let _ = self.0.wait();
    }
}

impl Daemon {
    fn ticks(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.0.id())).context("a daemon has ended")?;
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let field = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        Ok(field(11) + field(12))
    }

    /// Resident memory in MiB.
    fn memory(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
        let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib / 1024.0)
    }
}

fn ip(args: &[&str]) -> Result<()> {
    output(&mut command("ip", args)).map(|_| ())
}

fn inside(end: &str, program: &Path) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", &format!("figures-{end}")]).arg(program);
    command
}

fn ping(count: &str) -> Result<String> {
    output(inside("a", Path::new("ping")).args(["-c", count, "-i", "0.1", "-W", "1", "10.9.0.2"]))
}

/// The average of a ping's last line, in ms.
fn average(text: &str) -> Result<f64> {
    let line = text.lines().last().unwrap_or_default();
    let values = line.split(" = ").nth(1).context("ping gave no times")?;
    Ok(values.split('/').nth(1).context("ping gave no average")?.parse()?)
}

/// One TCP stream from a to b: what arrived, in bits per second.
fn stream() -> Result<f64> {
    let mut server = inside("b", Path::new("iperf3")).args(["-s", "-1"]).stdout(Stdio::null()).spawn()?;
    sleep(Duration::from_millis(300));
    let sent = output(inside("a", Path::new("iperf3")).args(["-c", "10.9.0.2", "-t", STREAM_SECONDS, "-f", "k"]));
    if sent.is_err() {
        server.kill()?;
    }
    server.wait()?;
    let text = sent?;
    let line = text.lines().find(|line| line.contains("receiver")).context("iperf3 gave no result")?;
    let words: Vec<&str> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "Kbits/sec").context("iperf3 gave no rate")?;
    let rate = at.checked_sub(1).and_then(|at| words.get(at)).context("iperf3 gave no rate")?;
    Ok(rate.parse::<f64>()? * 1e3)
}
