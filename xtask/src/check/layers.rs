//! What each crate may depend on (ARCHITECTURE.md).

use anyhow::Result;

use crate::shell::{cargo, output};

/// Crates that reach for the operating system, by their names or the beginnings of them.
const SYSTEM: [&str; 16] = [
    "tinmesh-os",
    "rustix",
    "nix",
    "socket2",
    "mio",
    "polling",
    "tokio",
    "async-",
    "netlink-",
    "getrandom",
    "rand",
    "fastrand",
    "tempfile",
    "tracing",
    "signal-hook",
    "anyhow",
];

/// A crate, and a rule for what it depends on.
struct Layer {
    name: &'static str,
    rule: &'static str,
    forbidden: fn(&str) -> bool,
}

const LAYERS: [Layer; 6] = [
    Layer {
        name: "fides",
        rule: "depends on no other part and on nothing with access to the system",
        forbidden: is_system_or_ours,
    },
    Layer { name: "tinmesh-cipher", rule: "knows bytes and keys only", forbidden: is_system_or_ours },
    Layer { name: "tinmesh-core", rule: "depends on nothing with access to the system", forbidden: is_system },
    Layer { name: "tinmesh-os", rule: "knows no protocol", forbidden: |name| name == "tinmesh-core" },
    Layer {
        name: "tinmesh",
        rule: "is never simulated",
        forbidden: |name| ["tinmesh-sim", "tinmesh-lab"].contains(&name),
    },
    Layer { name: "tinmesh-sim", rule: "uses the core alone", forbidden: |name| name.starts_with("tinmesh-os") },
];

/// All breaches.
pub(crate) fn breaches() -> Result<Vec<String>> {
    let mut breaches = Vec::new();
    for layer in LAYERS {
        let options = ["tree", "-p", layer.name, "--edges", "normal", "--prefix", "none", "--format", "{p}"];
        let tree = output(&mut cargo(&options))?;
        let names = tree.lines().skip(1).filter_map(|line| line.split_whitespace().next());
        let mut bad: Vec<&str> = names.filter(|name| (layer.forbidden)(name)).collect();
        bad.sort_unstable();
        bad.dedup();
        breaches.extend(bad.iter().map(|name| format!("{} {}, but has {name}", layer.name, layer.rule)));
    }
    Ok(breaches)
}

fn is_system_or_ours(name: &str) -> bool {
    is_system(name) || name.starts_with("tinmesh")
}

fn is_system(name: &str) -> bool {
    SYSTEM.iter().any(|system| name == *system || (system.ends_with('-') && name.starts_with(system)))
}
