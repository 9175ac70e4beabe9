//! The package on a machine that is thrown away: this one's files, with everything that is written kept in memory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Profile, build};
use crate::shell::{command, root, run, say, target};
use crate::{apt, peers};

/// Tries the package with each version of tinc.
pub(crate) fn run_all() -> Result<()> {
    apt::need_root()?;
    apt::need(&[("unshare", "util-linux"), ("dpkg", "dpkg")])?;
    let ours = build(Profile::Dev)?;
    for theirs in peers::packages()? {
        say(&format!("the package with {}", theirs.file_name().unwrap_or_default().to_string_lossy()));
        try_with(&ours, &theirs).with_context(|| format!("with {}", theirs.display()))?;
    }
    Ok(())
}

fn try_with(ours: &Path, theirs: &Path) -> Result<()> {
    let place = target().join("deb/machine");
    fs::create_dir_all(&place)?;
    let mut inside = command("unshare", &["--mount", "--net", "--pid", "--fork", "--kill-child", "sh"]);
    run(inside.arg(root().join("packaging/debian/machine.sh")).arg(&place).arg(ours).arg(theirs))
}
