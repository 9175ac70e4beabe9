//! Fetches other people's programs, as single Debian packages that are unpacked and never installed, to test against.
//!
//! tinc 1.1~pre18 is in the suite `experimental`, tinc 1.0.36 in `bookworm`; wireguard-go and nebula of `sid` are for the
//! benchmark. The mirror is the one this machine uses. A router's daemon, `miniupnpd`, opens ports when it is asked (UPnP).

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::shell::{command, output, say, target};

/// What is taken from a package.
struct Peer {
    /// Its directory below `target/peers`.
    dir: &'static str,
    package: &'static str,
    suite: &'static str,
    /// Each becomes `bin/PROGRAM`.
    programs: &'static [&'static str],
    /// What the first program must say to `--version`; empty if any version will do.
    version: &'static str,
}

/// What the tests want.
const TESTED: [Peer; 3] = [
    Peer {
        dir: "tinc-1.1",
        package: "tinc",
        suite: "experimental",
        programs: &["tincd", "tinc"],
        version: "1.1~pre18",
    },
    Peer { dir: "tinc-1.0", package: "tinc", suite: "bookworm", programs: &["tincd"], version: "1.0.36" },
    Peer { dir: "miniupnpd", package: "miniupnpd-nftables", suite: "bookworm", programs: &["miniupnpd"], version: "" },
];

/// What only the benchmark wants.
const RACED: [Peer; 2] = [
    Peer { dir: "wireguard-go", package: "wireguard-go", suite: "sid", programs: &["wireguard-go"], version: "" },
    Peer { dir: "nebula", package: "nebula", suite: "sid", programs: &["nebula", "nebula-cert"], version: "" },
];

/// The suite that has the libraries of all packages.
const LIBRARIES: &str = "bookworm";

/// Where the programs of `dir` are, once fetched.
pub(crate) fn programs(dir: &str) -> PathBuf {
    target().join("peers").join(dir).join("bin")
}

/// Fetches what is missing for the tests and returns the directory that holds one directory for each.
pub(crate) fn fetch() -> Result<PathBuf> {
    fetch_all(&TESTED.iter().collect::<Vec<_>>())?;
    let peers = target().join("peers");
    say(&format!("tinc 1.1 and 1.0 are in {}", peers.display()));
    Ok(peers)
}

/// The packages of each version of tinc as they come, fetched if they are missing.
pub(crate) fn packages() -> Result<Vec<PathBuf>> {
    let directory = target().join("peers/packages");
    let versions: Vec<&Peer> = TESTED.iter().filter(|peer| peer.package == "tinc").collect();
    let path = |peer: &Peer| directory.join(format!("{}.deb", peer.dir));
    if !versions.iter().all(|peer| path(peer).exists()) {
        fs::create_dir_all(&directory)?;
        let suites: Vec<&str> = versions.iter().map(|peer| peer.suite).collect();
        let apt = PrivateApt::new(&target().join("peers/apt"), &suites)?;
        for peer in &versions {
            let fetched = apt.download(&format!("{}/{}", peer.package, peer.suite))?;
            let [package] = &fetched[..] else { bail!("{} is not one package: {fetched:?}", peer.dir) };
            fs::copy(package, path(peer))?;
        }
    }
    Ok(versions.into_iter().map(path).collect())
}

/// Fetches what is missing of these directories, for the benchmark.
pub(crate) fn fetch_some(dirs: &[&str]) -> Result<()> {
    fetch_all(&TESTED.iter().chain(&RACED).filter(|peer| dirs.contains(&peer.dir)).collect::<Vec<_>>())
}

fn fetch_all(wanted: &[&Peer]) -> Result<()> {
    let is_here = |peer: &Peer| peer.programs.iter().all(|program| programs(peer.dir).join(program).exists());
    let missing: Vec<&&Peer> = wanted.iter().filter(|peer| !is_here(peer)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    apt::need(&[("apt-get", "apt"), ("dpkg", "dpkg")])?;
    let suites: BTreeSet<&str> = missing.iter().map(|peer| peer.suite).collect();
    let names: Vec<&str> = missing.iter().map(|peer| peer.dir).collect();
    let from: Vec<&str> = suites.iter().copied().collect();
    say(&format!("fetching {} from this machine's Debian mirror ({})", names.join(", "), from.join(", ")));
    for suite in suites {
        // A newer suite may have let go of a library that a package of another needs, or have one for a newer libc.
        let lists = BTreeSet::from([LIBRARIES, suite]).into_iter().collect::<Vec<_>>();
        let apt = PrivateApt::new(&target().join("peers/apt"), &lists)?;
        for peer in missing.iter().filter(|peer| peer.suite == suite) {
            fetch_one(&apt, peer).with_context(|| peer.dir.to_owned())?;
        }
    }
    Ok(())
}

fn fetch_one(apt: &PrivateApt, peer: &Peer) -> Result<()> {
    let dir = target().join("peers").join(peer.dir);
    unpack(apt, &dir, &format!("{}/{}", peer.package, peer.suite), peer.programs)?;
    if let (Some(first), false) = (peer.programs.first(), peer.version.is_empty()) {
        let said = output(Command::new(dir.join("bin").join(first)).arg("--version"))?;
        if !said.contains(peer.version) {
            bail!("the package has another version: {}", said.lines().next().unwrap_or_default());
        }
    }
    say(&format!("{} of {} is in {}", peer.dir, peer.suite, dir.display()));
    Ok(())
}

/// Unpacks a package, and those of its libraries that are not installed, and makes `bin/PROGRAM` below `dir`.
fn unpack(apt: &PrivateApt, dir: &Path, package: &str, programs: &[&str]) -> Result<()> {
    let tree = dir.join("tree");
    fs::create_dir_all(&tree)?;
    apt.unpack(package, &tree)?;
    let mut waiting: VecDeque<String> = apt.dependencies(package)?.into();
    let mut seen = BTreeSet::new();
    while let Some(package) = waiting.pop_front() {
        if installed(&package) || !seen.insert(package.clone()) {
            continue;
        }
        apt.unpack(&package, &tree)?;
        waiting.extend(apt.dependencies(&package)?);
    }
    programs.iter().try_for_each(|program| write_wrapper(dir, &tree, program))
}

/// A script `bin/PROGRAM` that runs the unpacked program with the unpacked libraries.
fn write_wrapper(dir: &Path, tree: &Path, program: &str) -> Result<()> {
    let places = ["usr/sbin", "usr/bin"].map(|place| tree.join(place).join(program));
    let real = places.iter().find(|path| path.exists()).with_context(|| format!("the package has no {program}"))?;
    let libraries = [libraries(&tree.join("usr/lib")), libraries(&tree.join("lib"))].concat().join(":");
    let script = format!("#!/bin/sh\nLD_LIBRARY_PATH='{libraries}' exec '{}' \"$@\"\n", real.display());
    let path = dir.join("bin").join(program);
    fs::create_dir_all(dir.join("bin"))?;
    fs::write(&path, script)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

/// A directory of libraries and those inside it, one for each architecture.
fn libraries(lib: &Path) -> Vec<String> {
    let below = fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(lib.to_owned())
        .chain(below.filter(|path| path.is_dir()))
        .map(|path| path.display().to_string())
        .collect()
}

fn installed(package: &str) -> bool {
    let state = output(&mut command("dpkg-query", &["-W", "-f", "${db:Status-Status}", package]));
    state.is_ok_and(|state| state == "installed")
}

/// apt with sources and state of its own, so that the machine's are not touched.
struct PrivateApt {
    dir: PathBuf,
}

impl PrivateApt {
    fn new(dir: &Path, suites: &[&str]) -> Result<Self> {
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let apt = Self { dir: dir.to_owned() };
        let mirror = mirror()?;
        let sources: String = suites.iter().map(|suite| format!("deb {mirror} {suite} main\n")).collect();
        fs::write(dir.join("sources.list"), sources)?;
        output(apt.command("apt-get").arg("update")).context("reading the package lists")?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let dir = self.dir.display();
        let mut command = command(program, &["-q", "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]);
        for option in [
            format!("Dir::Etc::SourceList={dir}/sources.list"),
            "Dir::Etc::SourceParts=-".to_owned(),
            "Dir::Etc::PreferencesParts=-".to_owned(),
            format!("Dir::State::Lists={dir}/lists"),
            format!("Dir::Cache={dir}"),
        ] {
            command.arg("-o").arg(option);
        }
        command
    }

    /// Downloads one package.
    fn download(&self, package: &str) -> Result<Vec<PathBuf>> {
        let download = self.dir.join("download");
        let _ = fs::remove_dir_all(&download);
        fs::create_dir_all(&download)?;
        output(self.command("apt-get").args(["download", package]).current_dir(&download))?;
        fs::read_dir(&download)?.map(|entry| Ok(entry?.path())).collect()
    }

    /// Downloads one package and unpacks it below `tree`.
    fn unpack(&self, package: &str, tree: &Path) -> Result<()> {
        for path in self.download(package)? {
            output(command("dpkg", &["-x"]).arg(path).arg(tree))?;
        }
        Ok(())
    }

    /// The first alternatives of a package's `Depends`.
    fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let shown = output(self.command("apt-cache").args(["show", package]))?;
        let line = shown.lines().find_map(|line| line.strip_prefix("Depends: ")).unwrap_or_default();
        let names = line.split(", ").filter_map(|one| one.split_whitespace().next());
        Ok(names.map(|name| name.split(':').next().unwrap_or(name).to_owned()).collect())
    }
}

/// The archive that this machine's apt uses for its main distribution.
fn mirror() -> Result<String> {
    let targets = output(&mut command("apt-get", &["indextargets", "--format", "$(REPO_URI) $(COMPONENT)"]))?;
    let mut archives = targets.lines().filter_map(|line| line.strip_suffix(" main"));
    let found = archives.find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    found.map(str::to_owned).context(
        "apt on this machine knows no Debian archive (an URI that ends in /debian). \
         On another system put tincd and tinc of tinc 1.1~pre18 into target/peers/tinc-1.1/bin by hand.",
    )
}
