//! Which files and options make up the settings of this node (spec: configuration 2.2, 3.3).

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use tinmesh_core::name::NodeName;

use super::ConfigError;
use super::syntax::{self, Override, Setting, Settings};
use crate::files;
use crate::paths::Paths;

/// The name of this node, and all settings that count for it.
pub(super) fn own_settings(
    paths: &Paths,
    overrides: &[Override],
    warnings: &mut Vec<String>,
) -> Result<(NodeName, Settings), ConfigError> {
    let mut settings = server_settings(paths, overrides)?;
    let name = name_in(&Settings::new(settings.clone()), paths)?;
    let about_us = overrides.iter().filter(|option| option.is_about(&name));
    settings.extend(about_us.map(|option| option.setting.clone()));
    let path = paths.host_file(&name);
    match files::read(&path) {
        Ok(text) => settings.extend(syntax::parse(&text, &path)?),
        Err(cause) => {
            warnings.push(format!("Cannot open config file {}: {}", path.display(), files::reason(&cause)));
        }
    }
    Ok((name, Settings::new(settings)))
}

/// The name that the configuration gives to this node.
///
/// # Errors
/// If it gives none, or a file has a mistake.
pub fn own_name(paths: &Paths) -> Result<NodeName, ConfigError> {
    name_in(&Settings::new(server_settings(paths, &[])?), paths)
}

fn server_settings(paths: &Paths, overrides: &[Override]) -> Result<Vec<Setting>, ConfigError> {
    let unbound = overrides.iter().filter(|option| option.node.is_none());
    let mut settings: Vec<Setting> = unbound.map(|option| option.setting.clone()).collect();
    let main = paths.tinc_conf();
    let text = files::read(&main).map_err(|cause| {
        let path = main.clone();
        let is_missing = cause.kind() == io::ErrorKind::NotFound;
        if is_missing { ConfigError::Missing(path) } else { ConfigError::Unreadable { path, cause } }
    })?;
    settings.extend(syntax::parse(&text, &main)?);
    for path in further_files(&paths.conf_d())? {
        let text = files::read(&path).map_err(|cause| ConfigError::Unusable { path: path.clone(), cause })?;
        settings.extend(syntax::parse(&text, &path)?);
    }
    Ok(settings)
}

/// Every `*.conf` in a directory that need not exist.
fn further_files(directory: &Path) -> Result<Vec<PathBuf>, ConfigError> {
    let unreadable = |cause| ConfigError::Unreadable { path: directory.to_owned(), cause };
    let entries = match fs::read_dir(directory) {
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(unreadable)?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "conf") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn name_in(settings: &Settings, paths: &Paths) -> Result<NodeName, ConfigError> {
    let setting = settings.first("Name").ok_or_else(|| ConfigError::NoName(paths.tinc_conf()))?;
    let environment = |name: &str| match std::env::var_os(name) {
        None if name == "HOST" => Some(tinmesh_os::process::hostname()),
        other => other,
    };
    let expanded = expand(&setting.value, |name| environment(name).map(|text| text.to_string_lossy().into_owned()))?;
    NodeName::parse(&expanded).map_err(|_| ConfigError::BadName(expanded.clone(), setting.place.clone()))
}

/// A name as it is, or the value of the environment variable that it names, made a name.
fn expand(value: &str, environment: impl Fn(&str) -> Option<String>) -> Result<String, ConfigError> {
    let Some(variable) = value.strip_prefix('$') else { return Ok(value.to_owned()) };
    let text = environment(variable).ok_or_else(|| ConfigError::NoVariable(variable.to_owned()))?;
    Ok(text.bytes().map(|byte| if byte.is_ascii_alphanumeric() { char::from(byte) } else { '_' }).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_come_from_the_environment() {
        let environment = |name: &str| (name == "HOST").then(|| "a-1.example.org".to_owned());
        assert_eq!(expand("$HOST", environment).unwrap(), "a_1_example_org");
        assert_eq!(expand("me", environment).unwrap(), "me");
        let error = expand("$FOO", environment).unwrap_err();
        assert_eq!(error.to_string(), "Invalid Name: environment variable FOO does not exist");
    }

    #[test]
    fn only_files_that_end_in_conf_count_as_further_files() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.conf", "a.conf", ".conf", "c.conf~", "d.CONF"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        let found = further_files(dir.path()).unwrap();
        assert_eq!(found, ["a.conf", "b.conf"].map(|name| dir.path().join(name)));
        assert!(further_files(&dir.path().join("missing")).unwrap().is_empty());
    }
}
