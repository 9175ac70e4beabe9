//! `cargo xtask deb`: a Debian package of this machine's architecture, by dpkg-deb; `deb-trial`: what it does to a machine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::apt;
use crate::shell::{cargo, command, output, root, run, say, target};

mod notices;
mod trial;

pub(crate) use trial::run_all as try_out;

/// How the program is built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    /// For people.
    Release,
    /// For trials: quick to build.
    Dev,
}

/// Where tinc's units and ours are.
const UNITS: &str = "usr/lib/systemd/system";
/// Scripts of the package.
const SCRIPTS: [&str; 4] = ["preinst", "postinst", "prerm", "postrm"];

/// Builds the package and tells where it is.
pub(crate) fn build(profile: Profile) -> Result<PathBuf> {
    apt::need(&[("dpkg-deb", "dpkg"), ("strip", "binutils")])?;
    let program = compile(profile)?;
    let tree = target().join("deb/tree");
    let _ = fs::remove_dir_all(&tree);
    fill(&tree, &program)?;
    let architecture = output(&mut command("dpkg", &["--print-architecture"]))?.trim().to_owned();
    let version = env!("CARGO_PKG_VERSION");
    write_control(&tree, &program, &architecture, version)?;
    let package = target().join(format!("deb/tinmesh_{version}_{architecture}.deb"));
    let mut pack = command("dpkg-deb", &["--root-owner-group", "--build"]);
    output(pack.arg(&tree).arg(&package).env("SOURCE_DATE_EPOCH", commit_time()?))?;
    say(&format!("the package is {}", package.display()));
    Ok(package)
}

fn compile(profile: Profile) -> Result<PathBuf> {
    let (words, directory) = match profile {
        Profile::Release => (&["build", "--package", "tinmesh", "--locked", "--release"][..], "release"),
        Profile::Dev => (&["build", "--package", "tinmesh", "--locked"][..], "debug"),
    };
    run(&mut cargo(words))?;
    Ok(target().join(directory).join("tinmesh"))
}

/// The time of the last commit, so that one commit gives one package.
fn commit_time() -> Result<String> {
    Ok(output(&mut command("git", &["log", "-1", "--format=%ct"]))?.trim().to_owned())
}

/// Everything that is installed.
fn fill(tree: &Path, program: &Path) -> Result<()> {
    let put = |from: &Path, to: &str| copy(from, &tree.join(to));
    put(program, "usr/bin/tinmesh")?;
    output(command("strip", &["--strip-debug"]).arg(tree.join("usr/bin/tinmesh")))?;
    fs::create_dir_all(tree.join("usr/sbin"))?;
    for name in ["tinc", "tincd"] {
        symlink("../bin/tinmesh", tree.join("usr/sbin").join(name))?;
    }
    for unit in ["tinc.service", "tinc@.service"] {
        put(&root().join("packaging/systemd").join(unit), &format!("{UNITS}/{unit}"))?;
    }
    output(command(&program.to_string_lossy(), &["assets"]).arg(tree.join("usr/share")))?;
    for section in ["man1", "man5", "man8"] {
        each(&tree.join("usr/share/man").join(section), compress)?;
    }
    let documents = tree.join("usr/share/doc/tinmesh");
    each(&root().join("docs"), |document| copy(document, &documents.join(document.file_name().unwrap_or_default())))?;
    copy(&root().join("CHANGELOG.md"), &documents.join("changelog"))?;
    compress(&documents.join("changelog"))?;
    fs::write(documents.join("copyright"), notices::copyright()?)?;
    fs::write(documents.join("notices"), notices::of_dependencies()?)?;
    compress(&documents.join("notices"))?;
    fs::create_dir_all(tree.join("etc/tinc"))?;
    // Whatever the mask of who builds it.
    output(command("chmod", &["-R", "u=rwX,go=rX"]).arg(tree))?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let directory = to.parent().context("every file has a directory")?;
    fs::create_dir_all(directory)?;
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// Does something with every file of a directory, by name.
fn each(directory: &Path, work: impl Fn(&Path) -> Result<()>) -> Result<()> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| directory.display().to_string())? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.iter().try_for_each(|path| work(path))
}

fn compress(path: &Path) -> Result<()> {
    output(command("gzip", &["-9", "-n", "-f"]).arg(path)).map(drop)
}

/// What dpkg reads: the description, the scripts, the sums.
fn write_control(tree: &Path, program: &Path, architecture: &str, version: &str) -> Result<()> {
    let source = root().join("packaging/debian");
    let sums =
        output(command("sh", &["-c", "find usr -type f | LC_ALL=C sort | xargs -d '\\n' md5sum"]).current_dir(tree))?;
    let size = output(command("du", &["-sk"]).arg(tree))?;
    let control = tree.join("DEBIAN");
    fs::create_dir_all(&control)?;
    fs::write(control.join("md5sums"), sums)?;
    let text = fs::read_to_string(source.join("control"))?
        .replace("@VERSION@", version)
        .replace("@ARCHITECTURE@", architecture)
        .replace("@SIZE@", size.split_whitespace().next().unwrap_or("0"))
        .replace("@DEPENDS@", &libraries(&fs::read(program)?));
    fs::write(control.join("control"), text)?;
    let diverted = fs::read_to_string(source.join("diverted"))?;
    let diverted: Vec<&str> = diverted.lines().collect();
    for script in SCRIPTS {
        let text = fs::read_to_string(source.join(script))?.replace("@DIVERTED@", &diverted.join(" "));
        let path = control.join(script);
        fs::write(&path, text)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

/// The packages of the libraries that a program names: the C library of the newest version that a symbol wants.
fn libraries(program: &[u8]) -> String {
    let marker = b"GLIBC_2.";
    let minor = |window: usize| {
        let digits = program.get(window + marker.len()..)?.iter().take_while(|byte| byte.is_ascii_digit());
        digits.map(|digit| char::from(*digit)).collect::<String>().parse::<u32>().ok()
    };
    let wanted = program.windows(marker.len()).enumerate().filter(|(_, window)| window == marker);
    let newest = wanted.filter_map(|(at, _)| minor(at)).max().unwrap_or(0);
    let unwinder = program.windows(13).any(|window| window == b"libgcc_s.so.1");
    format!("libc6 (>= 2.{newest}){}", if unwinder { ", libgcc-s1" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_symbol_says_which_c_library_is_needed() {
        assert_eq!(libraries(b"..GLIBC_2.2.5\0GLIBC_2.34\0GLIBC_2.17\0.."), "libc6 (>= 2.34)");
        assert_eq!(libraries(b"libgcc_s.so.1\0GLIBC_2.30"), "libc6 (>= 2.30), libgcc-s1");
    }

    #[test]
    fn both_names_and_all_units_and_pages_of_tinc_are_kept_aside() {
        let diverted = include_str!("../../packaging/debian/diverted");
        for path in ["/usr/sbin/tinc", "/usr/sbin/tincd", "/lib/systemd/system/tinc@.service"] {
            assert!(diverted.lines().any(|line| line == path), "{path}");
        }
        let scripts = [include_str!("../../packaging/debian/preinst"), include_str!("../../packaging/debian/postrm")];
        assert!(scripts.iter().all(|script| script.contains("@DIVERTED@")));
    }
}
