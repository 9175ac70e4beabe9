//! Fetches Debian's tinc, as single packages that are unpacked and never installed, to test against.
//!
//! tinc 1.1~pre18 is in the suite `experimental`, tinc 1.0.36 in `bookworm`. The mirror is the one this machine uses.
//! A router's daemon, `miniupnpd`, comes with them: it opens ports when it is asked (UPnP).

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt;
use crate::shell::{command, output, say, target};

/// A version of tinc: directory, suite, and the start of its version number.
const VERSIONS: [(&str, &str, &str); 2] =
    [("tinc-1.1", "experimental", "1.1~pre18"), ("tinc-1.0", "bookworm", "1.0.36")];

/// The router's daemon: directory and package.
const ROUTER: (&str, &str) = ("miniupnpd", "miniupnpd-nftables/bookworm");

/// Fetches what is missing and returns the directory that holds one directory for each version.
pub(crate) fn fetch() -> Result<PathBuf> {
    let peers = target().join("peers");
    let router = peers.join(ROUTER.0);
    let complete = VERSIONS.iter().all(|(dir, ..)| peers.join(dir).join("bin/tincd").exists());
    if complete && router.join("bin/miniupnpd").exists() {
        say(&format!("tinc 1.1 and 1.0 are in {}", peers.display()));
        return Ok(peers);
    }
    apt::need(&[("apt-get", "apt"), ("dpkg", "dpkg")])?;
    say("fetching tinc 1.1~pre18 (experimental) and 1.0.36 (bookworm) from this machine's Debian mirror");
    let apt = PrivateApt::new(&peers.join("apt"))?;
    unpack(&apt, &router, ROUTER.1, &["miniupnpd"]).context("miniupnpd")?;
    for (dir, suite, version) in VERSIONS {
        unpack_tinc(&apt, &peers.join(dir), suite, version).with_context(|| format!("tinc {version}"))?;
        say(&format!("tinc {version} is in {}", peers.join(dir).display()));
    }
    Ok(peers)
}

/// The packages of each version of tinc as they come, fetched if they are missing.
pub(crate) fn packages() -> Result<Vec<PathBuf>> {
    let peers = target().join("peers");
    let wanted: Vec<PathBuf> = VERSIONS.iter().map(|(dir, ..)| peers.join(format!("packages/{dir}.deb"))).collect();
    if wanted.iter().all(|path| path.exists()) {
        return Ok(wanted);
    }
    fs::create_dir_all(peers.join("packages"))?;
    let apt = PrivateApt::new(&peers.join("apt"))?;
    for ((_, suite, version), path) in VERSIONS.iter().zip(&wanted) {
        let fetched = apt.download(&format!("tinc/{suite}"))?;
        let [package] = &fetched[..] else { bail!("tinc {version} is not one package: {fetched:?}") };
        fs::copy(package, path)?;
    }
    Ok(wanted)
}

/// Unpacks tinc of `suite` below `dir`.
fn unpack_tinc(apt: &PrivateApt, dir: &Path, suite: &str, version: &str) -> Result<()> {
    unpack(apt, dir, &format!("tinc/{suite}"), &["tincd", "tinc"])?;
    let said = output(Command::new(dir.join("bin/tincd")).arg("--version"))?;
    if !said.contains(version) {
        bail!("the package has another version: {}", said.lines().next().unwrap_or_default());
    }
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
    let real = tree.join("usr/sbin").join(program);
    if !real.exists() {
        return Ok(());
    }
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
    fn new(dir: &Path) -> Result<Self> {
        for part in ["lists/partial", "archives/partial"] {
            fs::create_dir_all(dir.join(part))?;
        }
        let apt = Self { dir: dir.to_owned() };
        let mirror = mirror()?;
        let sources: String = VERSIONS.iter().map(|(_, suite, _)| format!("deb {mirror} {suite} main\n")).collect();
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
        Ok(fs::read_dir(&download)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?)
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
