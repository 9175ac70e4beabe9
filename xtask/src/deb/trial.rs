//! The package on a machine that is thrown away: this one's files, with everything that is written kept in memory.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Profile, build};
use crate::shell::{command, root, run, say, target};
use crate::{apt, peers};

/// Makes the machine below `$1`, puts three files on it, and runs the first of them there.
const INSIDE: &str = "\
set -eu
mount --make-rprivate /
mount -t tmpfs none \"$1\"
mkdir \"$1/upper\" \"$1/work\" \"$1/root\"
mount -t overlay overlay -o \"lowerdir=/,upperdir=$1/upper,workdir=$1/work\" \"$1/root\"
mount --rbind /dev \"$1/root/dev\"
mount -t proc proc \"$1/root/proc\"
mount -t tmpfs none \"$1/root/run\"
mount -t tmpfs none \"$1/root/tmp\"
cp \"$2\" \"$1/root/tmp/trial.sh\"
cp \"$3\" \"$1/root/tmp/ours.deb\"
cp \"$4\" \"$1/root/tmp/theirs.deb\"
cd /
exec chroot \"$1/root\" sh /tmp/trial.sh /tmp/ours.deb /tmp/theirs.deb";

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
    let mut inside =
        command("unshare", &["--mount", "--net", "--pid", "--fork", "--kill-child", "sh", "-c", INSIDE, "sh"]);
    run(inside.arg(&place).arg(root().join("packaging/debian/trial.sh")).arg(ours).arg(theirs))
}
