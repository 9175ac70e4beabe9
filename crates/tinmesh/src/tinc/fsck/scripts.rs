//! Scripts: their names, and whether they can be run.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rustix::fs::{Access, access};

use super::Check;
use crate::files;

const KNOWN: [&str; 3] = ["tinc", "host", "subnet"];

pub(super) fn check(check: &mut Check<'_>) {
    let directory = check.tool.paths.confbase.clone();
    let mut explained = false;
    for path in check.entries(&directory) {
        let Some(kind) = kind(&path) else { continue };
        if KNOWN.contains(&kind.as_str()) {
            check_mode(check, &path);
            continue;
        }
        check.report.warning(format_args!("Unknown script {} found.", path.display()));
        if !std::mem::replace(&mut explained, true) {
            check.report.note(format_args!("The only scripts in {} executed by tinc are:", directory.display()));
            check.report.note("tinc-up, tinc-down, host-up, host-down, subnet-up and subnet-down.");
        }
    }
    for path in check.entries(&check.tool.paths.hosts()) {
        if kind(&path).is_some() {
            check_mode(check, &path);
        }
    }
}

/// What stands in front of `-up` or `-down`.
fn kind(path: &Path) -> Option<String> {
    match path.file_name()?.to_str()?.rsplit_once('-') {
        Some((kind, "up" | "down")) => Some(kind.to_owned()),
        Some(_) | None => None,
    }
}

fn check_mode(check: &mut Check<'_>, path: &Path) {
    let Err(cause) = access(path, Access::READ_OK | Access::EXEC_OK) else { return };
    check.report.warning(format_args!("cannot read and execute {}: {}", path.display(), files::reason(&cause.into())));
    if check.may_fix()
        && let Err(cause) = fs::set_permissions(path, fs::Permissions::from_mode(0o755))
    {
        check.report.note(format_args!("Could not fix permissions of {}: {}", path.display(), files::reason(&cause)));
    }
}
