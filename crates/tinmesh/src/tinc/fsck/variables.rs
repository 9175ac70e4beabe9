//! Variables: unknown ones, obsolete ones, and those that stand in the wrong file or too often.

use std::collections::BTreeMap;
use std::path::Path;

use tinmesh_core::name::NodeName;

use super::Check;
use crate::config::syntax::{self, Setting};
use crate::config::variables::Variable;
use crate::files;

/// A kind of file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Server,
    Host,
}

pub(super) fn check(check: &mut Check<'_>) {
    // What is wrong with these files as a whole is told already.
    let read = |path: &Path| syntax::parse(&files::read(path).ok()?, path).ok();
    let server: Vec<Setting> = check.server_files().iter().filter_map(|path| read(path)).flatten().collect();
    check_settings(check, &server, Side::Server, "tinc.conf");
    for path in check.entries(&check.tool.paths.hosts()) {
        let Some(name) = path.file_name().and_then(|name| NodeName::parse(name.to_str()?).ok()) else { continue };
        let settings = if name == check.name { read(&path) } else { check.parse_of_other(&path) };
        check_settings(check, &settings.unwrap_or_default(), Side::Host, name.as_str());
    }
}

fn check_settings(check: &mut Check<'_>, settings: &[Setting], side: Side, file: &str) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for Setting { variable, place, .. } in settings {
        if variable.is_empty() {
            check.report.warning(format_args!("the line begins with a blank and is ignored: {place}"));
            continue;
        }
        let Some(known) = Variable::find(variable) else {
            check.report.warning(format_args!("unknown variable {variable} in {place}"));
            if let Some(like) = Variable::like(variable) {
                check.report.note(format_args!("Did you mean {}?", like.name));
            }
            continue;
        };
        *counts.entry(known.name).or_default() += 1;
        if known.class.obsolete {
            check.report.warning(format_args!("obsolete variable {variable} in {place}"));
        }
        // The blanks at the end are tinc's.
        match side {
            Side::Server if !known.class.server => {
                check.report.warning(format_args!("host variable {variable} found in server config {place} "));
            }
            Side::Host if !known.class.host => {
                check.report.warning(format_args!("server variable {variable} found in host config {place} "));
            }
            Side::Server | Side::Host => {}
        }
    }
    for (variable, count) in counts {
        if count > 1 && Variable::find(variable).is_some_and(|known| !known.class.multiple) {
            check.report.warning(format_args!("multiple instances of variable {variable} in {file}"));
        }
    }
}
