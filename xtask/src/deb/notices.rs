//! Whose work is in the package, and under which licences.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::shell::{cargo, output, root};

/// Beginnings of the names of files that hold a licence, in capitals.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "COPYRIGHT"];

/// The licence of tinmesh.
pub(super) fn copyright() -> Result<String> {
    let mit = fs::read_to_string(root().join("LICENSE-MIT"))?;
    let text = "tinmesh is under the MIT licence or the Apache licence 2.0, as you choose. Text of the latter:\n\
                /usr/share/common-licenses/Apache-2.0. What it is built with, and licences of that: notices.gz.\n\n";
    Ok(format!("{text}{mit}"))
}

/// Every crate that is linked in, with its licence; then the texts, each once.
pub(super) fn of_dependencies() -> Result<String> {
    let words = ["tree", "--package", "tinmesh", "--edges", "normal", "--prefix", "none", "--format", "{p}|{l}"];
    let tree = output(&mut cargo(&words))?;
    let crates: BTreeSet<(&str, &str)> =
        tree.lines().filter_map(|line| line.trim_end_matches(" (*)").split_once('|')).collect();
    let mut list = String::from("Linked into tinmesh, with their licences:\n\n");
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (package, licence) in
        crates.iter().filter(|(package, _)| !package.contains('(') || package.ends_with("(proc-macro)"))
    {
        list.push_str(&format!("{package}: {licence}\n"));
        for text in texts_of(package) {
            texts.entry(text).or_default().push(package);
        }
    }
    for (text, packages) in texts {
        list.push_str(&format!("\n\n==== {}\n\n{text}", packages.join(", ")));
    }
    Ok(list)
}

/// The texts of the licences that lie in a crate's source.
fn texts_of(package: &str) -> Vec<String> {
    let words: Vec<&str> = package.split(' ').collect();
    let [name, version, ..] = words[..] else { return Vec::new() };
    let directory = format!("{name}-{}", version.trim_start_matches('v'));
    let registries = entries(&cargo_home().join("registry/src"));
    let files = registries.iter().flat_map(|registry| entries(&registry.join(&directory)));
    let licences = files.filter(|path| {
        let file = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        NAMES.iter().any(|name| file.starts_with(name))
    });
    licences.filter_map(|path| fs::read_to_string(path).ok()).collect()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn cargo_home() -> PathBuf {
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cargo");
    std::env::var_os("CARGO_HOME").map_or_else(home, PathBuf::from)
}
